"""The three that are measured, over fresh databases: made ready, started with one and with two processes, and counted after."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import text

from app.connections.service import Created, create_connection
from app.kit.config import Settings
from app.kit.context import Context, open_context
from app.kit.database import Database
from app.kit.migrate import upgrade
from app.kit.vault import create_key_file
from app.members.service import create_organization
from benchmarks.support.child import Child
from benchmarks.support.naive import Base, open_engine
from benchmarks.support.postgres import durable_postgres, make_wal_ready, wal_written
from connectors.contract import Sender
from tests.support.postgres import PostgresServer, free_port

BARE, NAIVE, HARMLINE, ROUTE = "bare", "naive", "harmline", "route"
KINDS = (BARE, NAIVE, HARMLINE)
OWN = (HARMLINE, ROUTE)
"""Those that keep what comes in Harmline's database."""


@dataclass(frozen=True)
class Target:
    """Where to post to: the processes behind one port, and the path."""

    children: tuple[Child, ...]
    port: int
    path: str

    def ready(self) -> None:
        """Come back when all of it listens. Raises ChildFailed."""
        for child in self.children:
            child.hear()

    def stop(self) -> None:
        """End all of it."""
        for child in self.children:
            child.stop()

    def cpu_seconds(self) -> float | None:
        """Processor time of all its processes so far."""
        times = [child.cpu_seconds() for child in self.children]
        return None if None in times else sum(time for time in times if time is not None)


def harmline_environment(database_url: str, key_file: Path) -> dict[str, str]:
    """What Harmline's own processes are told. All comes from one address on one connection, so rate limits are set aside."""
    unlimited = {"HARMLINE_CONNECTION_RATE": "0", "HARMLINE_ADDRESS_RATE": "0"}
    return {**unlimited, "HARMLINE_DATABASE_URL": database_url, "HARMLINE_KEY_FILE": str(key_file)}


def start(kind: str, folder: Path, environment: Mapping[str, str], processes: int = 1, path: str = "/") -> Target:
    """One of `serve`'s applications, with so many processes on one port; `folder` gets its log. Not `ready` yet."""
    port, log = free_port(), folder / f"{kind}-{processes}.log"
    told = {**environment, "HARMLINE_BASE_URL": f"http://127.0.0.1:{port}"}
    children = [Child("benchmarks.support.serve", kind, str(port), log=log, environment=told) for _ in range(processes)]
    return Target(tuple(children), port, path)


@dataclass(frozen=True)
class Stage:
    """Migrated databases, and the connection through which everything comes."""

    folder: Path
    harmline_url: str
    naive_url: str
    path: str
    secret: str
    server: PostgresServer | None = None

    def begin_round(self) -> int | None:
        """Let PostgreSQL finish what it has put off, so that no round pays for the one before, and WAL files are ready again.

        How many bytes of WAL were written up to now; None: this is SQLite.
        """
        if self.server is None:
            return None
        asyncio.run(self.server.execute("CHECKPOINT"))
        return asyncio.run(wal_written(self.server))

    def start(self, kind: str, processes: int) -> Target:
        """One of `KINDS`, or ROUTE, with so many processes on one port. Wait until it is `ready` before anything is sent."""
        environment = {
            "BENCH_SECRET": self.secret,
            "BENCH_DATABASE_URL": self.naive_url,
            **harmline_environment(self.harmline_url, self.folder / "top.key"),
        }
        return start(kind, self.folder, environment, processes, self.path if kind in OWN else "/")

    async def stored(self) -> dict[str, dict[str, int]]:
        """What stands in the databases: rows, the deliveries they stand for, and ledger entries of receipts."""
        found = {}
        for kind, url, questions in (
            (
                HARMLINE,
                self.harmline_url,
                {
                    "rows": "SELECT count(*) FROM receipt",
                    "deliveries": "SELECT count(*) + coalesce(sum(repeats), 0) FROM receipt",
                    "in_ledger": "SELECT count(*) FROM ledger_entry WHERE kind = 'receipt'",
                },
            ),
            (NAIVE, self.naive_url, {"rows": "SELECT count(*) FROM delivery"}),
        ):
            database = Database(url)
            async with database.engine.connect() as owner:
                found[kind] = {name: int((await owner.execute(text(sql))).scalar_one()) for name, sql in questions.items()}
            await database.close()
        return found


async def new_connection(context: Context) -> Created:
    """An organization with one connection of the standard connector."""
    async with context.database.begin() as tx:
        organization = await create_organization(tx, context.keyring, "Bench")
        return await create_connection(
            tx, context.keyring, organization.id, connector="standard", title="Bench", sender=Sender.PROVIDER
        )


async def _prepared(folder: Path, harmline_url: str, naive_url: str) -> Stage:
    create_key_file(folder / "top.key")
    create_key_file(folder / "door.key")
    context = open_context(Settings(database_url=harmline_url, key_file=folder / "top.key"))
    made = await new_connection(context)
    await context.database.close()
    engine = open_engine(naive_url)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await engine.dispose()
    return Stage(folder, harmline_url, naive_url, made.path, made.secret)


@contextmanager
def stage(database: str, folder: Path) -> Iterator[Stage]:
    """Databases of one kind ("sqlite" or "postgresql") in a folder on disk."""
    if database == "sqlite":
        urls = [f"sqlite+aiosqlite:///{folder}/{name}.db" for name in (HARMLINE, NAIVE)]
        upgrade(urls[0])
        yield asyncio.run(_prepared(folder, *urls))
        return
    with durable_postgres(folder / "postgres") as server:
        urls = [asyncio.run(server.create_database(name)) for name in (HARMLINE, NAIVE)]
        upgrade(urls[0])
        asyncio.run(make_wal_ready(server))
        yield replace(asyncio.run(_prepared(folder, *urls)), server=server)
