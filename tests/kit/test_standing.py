"""A login above the second wall is refused at the start; who migrates may be somebody else, and is told what they lack."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from app import cli
from app.access.walls import ROLES
from app.kit.acting import SERVICE
from app.kit.config import Settings
from app.kit.database import Database
from app.kit.migrate import NotYours, upgrade
from app.kit.standing import said, what_is_wrong
from app.kit.vault import create_key_file
from migrations import raising
from tests.conftest import run_apart
from tests.support.logins import as_service
from tests.support.postgres import PostgresServer, free_port

NUMBER = count(1)


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        ((False, False, False, True), []),
        ((True, True, True, True), ["is a superuser"]),
        ((False, True, False, True), ["has BYPASSRLS"]),
        ((False, False, True, True), ["owns the tables"]),
        ((False, False, False, False), [f"is no member of {SERVICE}"]),
        ((False, True, True, False), ["has BYPASSRLS", "owns the tables", f"is no member of {SERVICE}"]),
    ],
)
def test_what_is_wrong_is_said_in_words(told: tuple[bool, bool, bool, bool], wrong: list[str]) -> None:
    assert said(*told) == wrong


async def test_of_sqlite_and_of_a_server_that_is_away_nothing_is_said(tmp_path: Path) -> None:
    assert await what_is_wrong(f"sqlite+aiosqlite:///{tmp_path}/x.db") == []
    assert await what_is_wrong(f"postgresql+asyncpg://nobody@127.0.0.1:{free_port()}/none") == []


@pytest.fixture
async def login(postgres: PostgresServer, database_prefix: str) -> AsyncIterator[Callable[[str], str]]:
    """Makes a login with some attributes; its name."""
    made: list[str] = []

    def make(attributes: str) -> str:
        made.append(f"{database_prefix}_login_{next(NUMBER)}")
        run_apart(lambda: postgres.execute(f"CREATE ROLE {made[-1]} LOGIN {attributes}"))
        return made[-1]

    yield make
    for name in made:
        await postgres.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


def with_login(url: str, name: str) -> str:
    return url.replace("//postgres@", f"//{name}@")


on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)


@on_postgresql
async def test_each_login_is_told_apart(database_url: str, postgres: PostgresServer, login: Callable[[str], str]) -> None:
    assert await what_is_wrong(database_url) == ["is a superuser"]
    assert await what_is_wrong(await as_service(database_url)) == []
    plain = login("")
    assert await what_is_wrong(with_login(database_url, plain)) == [f"is no member of {SERVICE}"]
    await postgres.execute(f"GRANT {SERVICE} TO {plain}")
    assert await what_is_wrong(with_login(database_url, plain)) == []
    await postgres.execute(f"ALTER ROLE {plain} BYPASSRLS")
    assert await what_is_wrong(with_login(database_url, plain)) == ["has BYPASSRLS"]
    owner = login("")
    await postgres.execute(f"GRANT {SERVICE} TO {owner}; ALTER ROLE {plain} NOBYPASSRLS")
    await postgres.execute(f"ALTER TABLE incident OWNER TO {owner}", database_url.rpartition("/")[2])
    assert await what_is_wrong(with_login(database_url, owner)) == ["owns the tables"]
    await postgres.execute(f"GRANT {owner} TO {plain}")
    assert await what_is_wrong(with_login(database_url, plain)) == ["owns the tables"], "also whoever can become the owner"
    await postgres.execute("ALTER TABLE incident OWNER TO postgres", database_url.rpartition("/")[2])


def started(monkeypatch: pytest.MonkeyPatch, command: str, **settings: object) -> tuple[Result, list[str]]:
    """What a command said, and how far it got."""
    got_to: list[str] = []
    monkeypatch.setattr(cli.schema, "upgrade", lambda url: got_to.append(f"migrated {url}"))
    monkeypatch.setattr(cli.Server, "run", lambda self: (got_to.append("served"), setattr(self, "started", True)))
    monkeypatch.setattr(cli, "work_until_stopped", lambda _: got_to.append("worked"))
    monkeypatch.setattr(cli.uvloop, "run", lambda _: None)
    monkeypatch.setattr(cli, "configure", lambda _: None)
    config = Settings(**{"unsafe_store": True, "_env_file": None, **settings})
    monkeypatch.setattr(cli, "read_settings", lambda: config)
    return CliRunner().invoke(cli.cli, [command]), got_to


@on_postgresql
@pytest.mark.parametrize("command", ["serve", "work"])
def test_neither_web_nor_work_starts_above_the_wall(
    command: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"key_file": tmp_path / "top.key"}
    create_key_file(settings["key_file"])
    result, got_to = started(monkeypatch, command, database_url=database_url, **settings)
    assert (result.exit_code, got_to) == (1, [])
    for words in ("PostgreSQL login is a superuser", "HARMLINE_OWNER_URL", "docs/running.md", "HARMLINE_UNSAFE_LOGIN=yes"):
        assert words in result.stderr
    result, got_to = started(monkeypatch, command, database_url=database_url, unsafe_login=True, **settings)
    assert (result.exit_code, got_to[-1]) == (0, "served" if command == "serve" else "worked")
    service = run_apart(lambda: as_service(database_url))
    result, got_to = started(monkeypatch, command, database_url=service, owner_url=database_url, **settings)
    assert result.exit_code == 0
    assert got_to == ([f"migrated {database_url}", "served"] if command == "serve" else ["worked"])


def test_no_worker_starts_without_the_key(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could open nothing; only `serve` makes a key, and in development only."""
    missing = tmp_path / "top.key"
    result, got_to = started(monkeypatch, "work", database_url=database_url, unsafe_login=True, key_file=missing)
    assert (result.exit_code, got_to) == (1, [])
    assert str(missing) in result.stderr


def test_an_owner_without_any_privilege_migrates_where_the_roles_are(
    postgres: PostgresServer, postgres_template: str, login: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, name = login(""), f"{postgres_template}_owned"
    url = with_login(run_apart(lambda: postgres.create_database(name)), owner)
    run_apart(lambda: postgres.execute(f"ALTER DATABASE {name} OWNER TO {owner}; GRANT {SERVICE} TO {owner}"))
    upgrade(url)
    assert run_apart(lambda: _rows_of(url, "SELECT count(*) FROM pg_policies")) > 200
    with monkeypatch.context() as other:
        other.setattr(raising, "ROLES", (*ROLES, "harmline_not_there"))
        with pytest.raises(NotYours) as refused:
            upgrade(url)
    for words in ("CREATE ROLE harmline_member NOLOGIN NOINHERIT;", f"GRANT {SERVICE} TO the_login_of_the_service;"):
        assert words in str(refused.value)
    upgrade(url)
    run_apart(lambda: postgres.drop_database(name))


def test_an_owner_who_may_make_roles_needs_nobody(
    postgres: PostgresServer, postgres_template: str, login: Callable[[str], str]
) -> None:
    owner, name = login("CREATEROLE"), f"{postgres_template}_alone"
    url = with_login(run_apart(lambda: postgres.create_database(name)), owner)
    run_apart(lambda: postgres.execute(f"ALTER DATABASE {name} OWNER TO {owner}; GRANT {SERVICE} TO {owner}"))
    upgrade(url)
    run_apart(lambda: postgres.drop_database(name))


def test_who_serves_and_does_not_own_is_told_who_migrates(postgres: PostgresServer, postgres_template: str) -> None:
    name = f"{postgres_template}_empty"
    url = run_apart(lambda: postgres.create_database(name))
    service = run_apart(lambda: as_service(url))
    with pytest.raises(NotYours, match="Run `harmline migrate` with the owner's login in HARMLINE_OWNER_URL"):
        upgrade(service)
    upgrade(url)
    upgrade(service)  # nothing to do, and so nothing to refuse
    run_apart(lambda: postgres.drop_database(name))


async def _rows_of(url: str, query: str) -> int:
    database = Database(url)
    async with database.engine.connect() as connection:
        found: int = (await connection.exec_driver_sql(query)).scalar_one()
    await database.close()
    return found


def test_the_owner_is_asked_for_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings(_env_file=None).migrating_url == Settings(_env_file=None).database_url
    monkeypatch.setenv("HARMLINE_OWNER_URL", "postgresql://owner@host/name")
    assert Settings(_env_file=None).migrating_url == "postgresql+asyncpg://owner@host/name"
    monkeypatch.setenv("HARMLINE_OWNER_URL", "sqlite:///x")
    with pytest.raises(ValueError, match="HARMLINE_OWNER_URL must begin with postgresql://"):
        Settings(_env_file=None)


def test_the_statements_in_the_documents_are_those_that_are_needed() -> None:
    documented = (Path(__file__).parents[2] / "docs" / "running.md").read_text()
    for statement in raising.BY_HAND.splitlines():
        named = statement.replace("the_owner_of_the_tables", "harmline_owner").replace("the_login_of_the_service", "harmline_app")
        assert named in documented, statement
