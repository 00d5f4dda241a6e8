"""A5: a database that may forget what it has said is kept stops the start, and says why."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app import cli
from app.kit.config import Settings
from app.kit.durability import switched_off, what_is_off
from app.kit.vault import create_key_file
from tests.crash.cluster import Cluster
from tests.support.postgres import free_port

ON = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


@pytest.mark.parametrize("name", ON)
def test_each_of_them_matters(name: str) -> None:
    assert switched_off(ON) == []
    assert switched_off(ON | {name: "off"}) == [name]


@pytest.mark.parametrize("waits_for", ["local", "remote_write", "remote_apply"])
def test_whatever_flushes_here_is_good_enough(waits_for: str) -> None:
    assert switched_off(ON | {"synchronous_commit": waits_for}) == []


@pytest.fixture
async def durable() -> AsyncIterator[Cluster]:
    cluster = Cluster()
    await cluster.start()
    yield cluster
    cluster.remove()


async def test_a_server_that_flushes_is_taken(durable: Cluster) -> None:
    assert await what_is_off(durable.server.url("postgres")) == []


async def test_of_a_server_that_is_away_nothing_is_said() -> None:
    assert await what_is_off(f"postgresql+asyncpg://nobody@127.0.0.1:{free_port()}/none") == []


def started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str, url: str, *, unsafe: bool = False
) -> tuple[Result, list[str]]:
    """What a command said, and how far it got: nothing is served or migrated here."""
    got_to: list[str] = []
    monkeypatch.setattr(cli.schema, "upgrade", lambda _: got_to.append("migrated"))
    monkeypatch.setattr(cli.Server, "run", lambda self: (got_to.append("served"), setattr(self, "started", True)))
    monkeypatch.setattr(cli, "work_until_stopped", lambda _: got_to.append("worked"))
    monkeypatch.setattr(cli.uvloop, "run", lambda _: None)
    monkeypatch.setattr(cli, "configure", lambda _: None)
    key_file = tmp_path / "top.key"
    if not key_file.exists():
        create_key_file(key_file)
    config = Settings(database_url=url, key_file=key_file, unsafe_store=unsafe, unsafe_login=True, _env_file=None)
    monkeypatch.setattr(cli, "read_settings", lambda: config)
    return CliRunner().invoke(cli.cli, [command]), got_to


@pytest.mark.parametrize(("command", "goes_on"), [("serve", ["migrated", "served"]), ("work", ["worked"])])
def test_neither_web_nor_work_starts_over_a_store_that_forgets(
    command: str, goes_on: list[str], database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests' own PostgreSQL does not flush; SQLite always does."""
    result, got_to = started(monkeypatch, tmp_path, command, database_url)
    if database_url.startswith("sqlite"):
        assert (result.exit_code, got_to) == (0, goes_on)
        return
    assert (result.exit_code, got_to) == (1, [])
    for said in ("fsync=off, full_page_writes=off", "alerts that were acknowledged would be lost", "HARMLINE_UNSAFE_STORE=yes"):
        assert said in result.stderr
    result, got_to = started(monkeypatch, tmp_path, command, database_url, unsafe=True)
    assert (result.exit_code, got_to) == (0, goes_on)


def test_it_is_asked_for_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Settings(_env_file=None).unsafe_store
    monkeypatch.setenv("HARMLINE_UNSAFE_STORE", "yes")
    assert Settings(_env_file=None).unsafe_store
