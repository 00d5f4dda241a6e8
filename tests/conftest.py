"""What every test may use: a fresh migrated database of either kind, the browser, repeatable examples."""

from __future__ import annotations

import asyncio
import fcntl
import importlib
import inspect
import logging
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import settings

from app.kit.config import settings as service_settings
from tests.support.compiled_once import share_compiled_statements
from tests.support.hurried import forget_what_stays, hurry
from tests.support.less import left_out
from tests.support.postgres import PostgresServer, fast_folder, named_server, running_server, start_supervised
from tests.support.world import Filled, World, fill, make_world

SHARED = "HARMLINE_TEST_SHARED"  # the folder that this run's processes share; its name is the run's own
STOP_TIMEOUT = 30.0
SERIAL = count(1)
TABLES_OF_TESTS = "; ".join(
    f"ALTER DEFAULT PRIVILEGES GRANT ALL ON {things} TO harmline_worker, harmline_door" for things in ("TABLES", "SEQUENCES")
)
"""A table that a test makes beside the service's own is nobody's row by row: the service may use it."""

EVERY_EXAMPLE = settings(deadline=None, derandomize=True, database=None)
settings.register_profile("harmline", EVERY_EXAMPLE)
settings.register_profile("quick", EVERY_EXAMPLE, max_examples=25)

share_compiled_statements()
hurry()


def pytest_addoption(parser: pytest.Parser) -> None:
    """What `./run test` without --all says."""
    parser.addoption("--quick", action="store_true", help="the whole suite without what takes long, see docs/decisions/0023")


@pytest.hookimpl(trylast=True)  # after `-m` and `-k`: what they leave out is nobody's other run, and no sample is for it
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what a quick run leaves to the whole one, and a sample where all of it runs."""
    gone = left_out(items, quick=config.getoption("quick"))
    config.hook.pytest_deselected(items=list(gone))
    items[:] = [item for item in items if item not in gone]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Just before the first test."""
    forget_what_stays()


def pytest_configure(config: pytest.Config) -> None:
    """Make the shared folder, in the process that starts the run; xdist's workers inherit its name, and the options."""
    if not hasattr(config, "workerinput"):
        # Whoever names folders or files wants to know all about them.
        config.option.quick = config.option.quick and config.args_source is pytest.Config.ArgsSource.TESTPATHS
        shared = tempfile.mkdtemp(prefix="harmline-tests-", dir=fast_folder())
        Path(shared, "owner").write_text(str(os.getpid()))
        os.environ[SHARED] = shared
    settings.load_profile("quick" if config.option.quick else "harmline")


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the PostgreSQL of this run, if any test needed one. Runs after Ctrl-C too."""
    if hasattr(config, "workerinput"):
        return
    shared = Path(os.environ.pop(SHARED))
    supervisor = shared / "supervisor"
    if supervisor.exists():
        os.kill(int(supervisor.read_text()), signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT
        while shared.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
    shutil.rmtree(shared, ignore_errors=True)


def run_apart(make: Callable[[], Any]) -> Any:
    """Call `make` in a thread of its own and run the coroutine it may return, whatever this thread's loop is doing."""

    def call() -> Any:
        result = make()
        return asyncio.run(result) if inspect.iscoroutine(result) else result

    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(call).result()


def migrate(url: str) -> None:
    """Bring an empty database to the newest schema."""
    run_apart(lambda: importlib.import_module("app.kit.migrate").upgrade(url))


@pytest.fixture(scope="session")
def postgres() -> PostgresServer:
    """The PostgreSQL of this run: TEST_DATABASE_URL's, or our own, started by whichever worker needs it first."""
    if named := os.environ.get("TEST_DATABASE_URL"):
        return named_server(named)
    shared = Path(os.environ[SHARED])
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return running_server(shared) or start_supervised(shared, owner=int((shared / "owner").read_text()))


@pytest.fixture(scope="session")
def database_prefix(worker_id: str) -> str:
    """The start of every database name of this worker, so that runs sharing a named server do not meet."""
    return f"harmline_{Path(os.environ[SHARED]).name.rpartition('-')[2]}_{worker_id}"


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer, database_prefix: str) -> Iterator[str]:
    """The name of a migrated PostgreSQL database to copy from. Nobody may connect to it."""
    name = f"{database_prefix}_template"
    migrate(run_apart(lambda: postgres.create_database(name)))
    run_apart(lambda: postgres.execute(TABLES_OF_TESTS, name))
    yield name
    run_apart(lambda: postgres.drop_database(name))


@pytest.fixture(scope="session")
def sqlite_template(database_prefix: str) -> Path:
    """A migrated SQLite file to copy from, complete in itself (no write-ahead log beside it)."""
    path = Path(os.environ[SHARED], database_prefix, "template", "harmline.sqlite")
    path.parent.mkdir(parents=True)
    migrate(f"sqlite+aiosqlite:///{path}")
    leftovers = [other.name for other in path.parent.iterdir() if other != path]
    assert not leftovers, f"the migration left connections open: {leftovers}"
    return path


@pytest.fixture(scope="session")
def afterwards(postgres_template: str) -> Iterator[Callable[[Coroutine[Any, Any, None]], object]]:
    """Does what no test has to wait for, while the next one runs; at the end everything is done.

    On one loop for all of it: a new one writes a line to the log, and the next test may be about logs.
    """
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner, ThreadPoolExecutor(max_workers=1) as pool:
        runner.get_loop()
        yield lambda work: pool.submit(runner.run, work)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """The kind of database: a test that uses one runs once on each. `parametrize("database_kind", …, indirect=True)` chooses."""
    kind: str = request.param
    return kind


@pytest.fixture
def database_url(request: pytest.FixtureRequest, database_kind: str, database_prefix: str) -> Iterator[str]:
    """The SQLAlchemy URL of a migrated, empty database that only this test sees."""
    name = f"{database_prefix}_{next(SERIAL)}"
    if database_kind == "sqlite":
        template_file: Path = request.getfixturevalue("sqlite_template")
        folder = template_file.parents[1] / name
        folder.mkdir()
        yield f"sqlite+aiosqlite:///{shutil.copy(template_file, folder)}"
        shutil.rmtree(folder)
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    template: str = request.getfixturevalue("postgres_template")
    afterwards: Callable[[Coroutine[Any, Any, None]], object] = request.getfixturevalue("afterwards")
    yield run_apart(lambda: server.create_database(name, template=template))
    afterwards(server.drop_database(name))


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the system's Chromium. Without one `./run test --all` leaves browser tests out, and says so."""
    for name in (os.environ.get("HARMLINE_CHROMIUM"), "chromium", "chromium-browser", "google-chrome"):
        if name and (path := shutil.which(name)):
            return path
    raise FileNotFoundError("No Chromium on this machine. To install it: apt-get install chromium")


@pytest.fixture(scope="session")
def filled_sqlite(sqlite_template: Path) -> tuple[Path, Filled]:
    """A SQLite file with the world in it, to copy from: making the world anew for each test would take minutes."""
    path = sqlite_template.parents[1] / "filled" / sqlite_template.name
    path.parent.mkdir()
    shutil.copy(sqlite_template, path)
    known = run_apart(lambda: fill(f"sqlite+aiosqlite:///{path}"))
    leftovers = [other.name for other in path.parent.iterdir() if other != path]
    assert not leftovers, f"filling left connections open: {leftovers}"
    return path, known


@pytest.fixture(scope="session")
def filled_postgres(postgres: PostgresServer, postgres_template: str) -> Iterator[tuple[str, Filled]]:
    """The name of a PostgreSQL database with the world in it, to copy from."""
    name = f"{postgres_template}_filled"
    url = run_apart(lambda: postgres.create_database(name, template=postgres_template))
    yield name, run_apart(lambda: fill(url))
    run_apart(lambda: postgres.drop_database(name))


def staged(url: str, known: Filled) -> Filled:
    """Put the scene of the authorization tests into a filled database."""
    made: Filled = run_apart(lambda: importlib.import_module("tests.access.scene").stage(url, known))
    return made


@pytest.fixture(scope="session")
def staged_sqlite(filled_sqlite: tuple[Path, Filled]) -> tuple[Path, Filled]:
    """The same with the scene in it."""
    path = filled_sqlite[0].parents[1] / "staged" / filled_sqlite[0].name
    path.parent.mkdir()
    shutil.copy(filled_sqlite[0], path)
    return path, staged(f"sqlite+aiosqlite:///{path}", filled_sqlite[1])


@pytest.fixture(scope="session")
def staged_postgres(postgres: PostgresServer, filled_postgres: tuple[str, Filled]) -> Iterator[tuple[str, Filled]]:
    """The same with the scene in it."""
    name = f"{filled_postgres[0]}_staged"
    url = run_apart(lambda: postgres.create_database(name, template=filled_postgres[0]))
    yield name, staged(url, filled_postgres[1])
    run_apart(lambda: postgres.drop_database(name))


@pytest.fixture
def filled_database(request: pytest.FixtureRequest, database_kind: str, database_prefix: str) -> Iterator[tuple[str, Filled]]:
    """The URL of a database that only this test sees, with the world in it, and what that is; for a `scene`, that too."""
    name = f"{database_prefix}_{next(SERIAL)}"
    kind = "staged" if "scene" in request.fixturenames else "filled"
    if database_kind == "sqlite":
        path, known = request.getfixturevalue(f"{kind}_sqlite")
        folder = path.parents[1] / name
        folder.mkdir()
        yield f"sqlite+aiosqlite:///{shutil.copy(path, folder)}", known
        shutil.rmtree(folder)
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    template, known = request.getfixturevalue(f"{kind}_postgres")
    afterwards: Callable[[Coroutine[Any, Any, None]], object] = request.getfixturevalue("afterwards")
    yield run_apart(lambda: server.create_database(name, template=template)), known
    afterwards(server.drop_database(name))


@pytest.fixture
async def world(filled_database: tuple[str, Filled]) -> AsyncIterator[World]:
    """Two organizations on a fresh database of either kind, with people in every role and the clock stopped."""
    url, known = filled_database
    async with make_world(url, known) as made:
        yield made


@pytest.fixture
def logs_as_before() -> Iterator[None]:
    """A command sends the logs of the whole process to its own standard error, which ends with it."""
    before = (logging.root.handlers[:], logging.root.level)
    yield
    structlog.reset_defaults()
    logging.root.handlers[:], logging.root.level = before


@pytest.fixture
def home(tmp_path: Path, database_url: str, logs_as_before: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a service of its own, to be run by commands, has its key, under a name of production."""
    for name, value in (
        ("DATABASE_URL", database_url),
        ("KEY_FILE", tmp_path / "top.key"),
        ("UNSAFE_STORE", "yes"),
    ):  # of the tests' own PostgreSQL
        monkeypatch.setenv(f"HARMLINE_{name}", str(value))
    monkeypatch.setenv("HARMLINE_BASE_URL", "https://h.example")
    monkeypatch.setenv("HARMLINE_UNSAFE_LOGIN", "yes")
    service_settings.cache_clear()
    yield tmp_path
    service_settings.cache_clear()
