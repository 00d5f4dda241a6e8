"""What the tests with processes share: the one process that forks servers, and a database of the rig's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.crash.cluster import Cluster
from tests.crash.system import Zygote


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    """Forks servers for the tests of one module."""
    made = Zygote()
    yield made
    made.close()


@pytest.fixture
async def store(database_kind: str, tmp_path: Path) -> AsyncIterator[tuple[str, Cluster | None]]:
    """An empty database on a disk, everything flushed as in production: `(its URL, its cluster if it is PostgreSQL)`."""
    if database_kind == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path}/crash.db", None
        return
    cluster = Cluster()
    try:
        await cluster.start()
        yield await cluster.server.create_database("crash"), cluster
    finally:
        cluster.remove()
