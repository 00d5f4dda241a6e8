"""An empty database of the kind under test, and a folder for backups."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SERIAL, run_apart
from tests.support.postgres import PostgresServer
from tests.support.world import World
from tests.upkeep.places import Places


@pytest.fixture
def empty_url(request: pytest.FixtureRequest, database_kind: str, database_prefix: str, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without a table."""
    if database_kind == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path}/restored/harmline.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    afterwards: Callable[[Coroutine[Any, Any, None]], object] = request.getfixturevalue("afterwards")
    name = f"{database_prefix}_{next(SERIAL)}_empty"
    yield run_apart(lambda: server.create_database(name))
    afterwards(server.drop_database(name))


@pytest.fixture
def places(world: World, tmp_path: Path, empty_url: str) -> Places:
    """A world with somewhere to put its backups and to restore them to."""
    return Places(world, tmp_path, empty_url)
