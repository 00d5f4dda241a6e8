"""A union with members, enrollments and alerts already on their timelines, for `./run bench pipeline`; kept between runs.

Up to 10,000 alerts everything goes the real way: imported, sent over HTTP, worked on. A million is made of a hundred such blocks:
each copy gets ids, hashes, members and their keys of its own, so that rows and indexes are as large and as scattered as real
ones, and new alerts about any of the members are matched. (What is sealed in a copied row stays sealed for its original.)
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path

from sqlalchemy import text

from app.breaches.service import load_catalogue
from app.connections.service import create_connection
from app.kit.config import Settings
from app.kit.context import Context, open_context
from app.kit.migrate import head, upgrade
from app.kit.vault import create_key_file
from app.ledger import workers as ledger
from app.ledger.service import SYSTEM
from app.members import service as members
from app.members.roster import EnrollmentEntry, Job, RosterEntry
from app.members.service import create_organization
from benchmarks.support.child import Child
from benchmarks.support.copying import copy_blocks
from benchmarks.support.servers import HARMLINE, harmline_environment, start
from benchmarks.support.wire import reference
from connectors.contract import Sender
from tests.support.postgres import PostgresServer

ALERTS_EACH = 20
"""How many alerts a member has."""
SENT_AT_ONCE = 2_000
IMPORTED_AT_ONCE = 100


@dataclass(frozen=True)
class Union:
    """Who the alerts are about, and where they come in."""

    organization_id: str
    connection_id: str
    path: str
    secret: str
    members: int
    stored: int


@dataclass(frozen=True)
class Filled:
    """A filled database: its URL, the union in it, and the folder with its key file."""

    url: str
    union: Union
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What Harmline's processes are told."""
        return harmline_environment(self.url, self.folder / "top.key")

    def open(self) -> Context:
        """A context over it, to be closed by whoever opened it."""
        return open_context(Settings(database_url=self.url, key_file=self.folder / "top.key"))


def progress(said: str) -> None:
    """A line for whoever waits."""
    sys.stderr.write(said + "\n")


async def logged(filled: Filled) -> None:
    """Let every entry of the ledger have its place in the log, as it has in a service that has run for a while."""
    context = filled.open()
    while await ledger.go_on(context):
        pass
    await context.database.close()


async def found_union(filled_url: str, folder: Path, count: int) -> Union:
    """An organization that knows the Oakland breaches, with a connection and members who are enrolled and agreed."""
    context = open_context(Settings(database_url=filled_url, key_file=folder / "top.key"))
    async with context.database.begin() as tx:
        organization = await create_organization(tx, context.keyring, "Bench")
        made = await create_connection(
            tx, context.keyring, organization.id, connector="standard", title="Bench", sender=Sender.PROVIDER
        )
        await load_catalogue(tx, context.keyring, organization.id, "oakland", SYSTEM)
    for first in range(0, count, IMPORTED_AT_ONCE):
        numbers = range(first, min(count, first + IMPORTED_AT_ONCE))
        roster = [
            RosterEntry(n, f"M-{n}", f"Person {n}", f"person-{n}@example.org", {Job(date(2012, 1, 1), None)}) for n in numbers
        ]
        enrolled = [EnrollmentEntry(n, f"M-{n}", reference(n), True, None, None) for n in numbers]
        async with context.database.begin() as tx:
            await members.import_roster(tx, context.keyring, organization.id, roster, ())
            await members.import_enrollments(tx, context.keyring, organization.id, made.connection.id, enrolled, ())
        progress(f"{numbers[-1] + 1} of {count} members")
    await context.database.close()
    ids = (str(organization.id), str(made.connection.id))
    return Union(*ids, made.path, made.secret, count, 0)


@contextmanager
def at_work(filled: Filled, workers: int = 1) -> Iterator[Sequence[Child]]:
    """Real workers, each a process of its own; `drained` lets them work."""
    log = filled.folder / "work.log"
    children = [Child("benchmarks.support.work", log=log, environment=filled.environment) for _ in range(workers)]
    try:
        for child in children:
            child.hear()
        yield children
    finally:
        for child in children:
            child.stop()


def drained(children: Sequence[Child]) -> tuple[float, int | None]:
    """Let them work until nothing waits: the seconds it took, and the largest memory."""
    begun = time.perf_counter()
    for child in children:
        child.tell("work")
    for child in children:
        child.hear()
    took = time.perf_counter() - begun
    sizes = [child.memory() for child in children]
    return took, max((size for size in sizes if size is not None), default=None)


def drain(filled: Filled) -> None:
    """Let one worker work until nothing waits."""
    with at_work(filled) as children:
        drained(children)


def receive(filled: Filled, count: int, run: str) -> float:
    """Send so many distinct alerts over HTTP to a web process of Harmline; deliveries a second. Raises when one is refused."""
    web = start(HARMLINE, filled.folder, filled.environment, path=filled.union.path)
    sender = Child("benchmarks.support.client", log=filled.folder / "client.log")
    try:
        web.ready()
        sender.hear()
        begun = time.perf_counter()
        for first in range(0, count, SENT_AT_ONCE):
            job = {"port": web.port, "path": web.path, "secret": filled.union.secret, "members": filled.union.members}
            job |= {"bodies": "distinct", "most": min(SENT_AT_ONCE, count - first), "connections": 64, "seconds": 3600}
            sender.tell({**job, "run": f"{run}-{first}"})
            result = sender.hear()
            if result["refused"]:
                raise RuntimeError(f"refused while filling: {result['refused']}")
        return count / (time.perf_counter() - begun)
    finally:
        sender.stop()
        web.stop()


def _fill(filled: Filled, size: int) -> None:
    drain(filled)
    done = 0
    while done < size:
        part = min(SENT_AT_ONCE, size - done)
        receive(filled, part, f"fill-{done}")
        drain(filled)
        done += part
        progress(f"{done} of {size} alerts are on their timelines")


class Cache:
    """Filled databases of one kind, kept until the schema changes."""

    def __init__(self, place: Path, server: PostgresServer | None) -> None:
        """`server`: where PostgreSQL's databases are; None: SQLite, in the folder."""
        self._folder = place
        self._server = server
        self._folder.mkdir(parents=True, exist_ok=True)
        if not (self._folder / "top.key").exists():
            create_key_file(self._folder / "top.key")
            create_key_file(self._folder / "door.key")

    def _url(self, name: str) -> str:
        return self._server.url(name) if self._server else f"sqlite+aiosqlite:///{self._folder}/{name}.db"

    def _new(self, name: str, template: str | None = None) -> str:
        self.drop(name)
        if self._server is not None:
            return asyncio.run(self._server.create_database(name, template))
        if template is not None:
            shutil.copy(self._folder / f"{template}.db", self._folder / f"{name}.db")
        return self._url(name)

    def drop(self, name: str) -> None:
        """Remove a database, if it is there."""
        if self._server is not None:
            asyncio.run(self._server.drop_database(name))
        for path in self._folder.glob(f"{name}.db*"):
            path.unlink()

    def _known(self, name: str) -> Filled | None:
        note = self._folder / f"{name}.json"
        return Filled(self._url(name), Union(**json.loads(note.read_text())), self._folder) if note.exists() else None

    def _note(self, name: str, union: Union) -> None:
        (self._folder / f"{name}.json").write_text(json.dumps(asdict(union)))

    def small(self, size: int, members: int | None = None) -> Filled:
        """A database whose alerts all came the real way, about so many members; ALERTS_EACH each if not said."""
        members = members or max(1, size // ALERTS_EACH)
        name = _name(size, members)
        if (known := self._known(name)) is not None:
            return known
        url = self._new(name)
        upgrade(url)
        union = replace(asyncio.run(found_union(url, self._folder, members)), stored=size)
        filled = Filled(url, union, self._folder)
        _fill(filled, size)
        asyncio.run(logged(filled))
        asyncio.run(self._settled(url))
        self._note(name, union)
        return filled

    def large(self, source: Filled, blocks: int) -> Filled:
        """A database of so many copies of a small one; goes on where it was stopped."""
        of = source.union
        union = replace(of, members=of.members * blocks, stored=of.stored * blocks)
        name = _name(union.stored, union.members)
        if (known := self._known(name)) is not None:
            return known
        begun = self._folder / f"{name}.begun"
        if not begun.exists():
            self._new(name, _name(of.stored, of.members))
            begun.touch()
        filled = Filled(self._url(name), union, self._folder)
        asyncio.run(copy_blocks(filled.open(), of.connection_id, of.members, blocks, progress))
        self._note(name, filled.union)
        begun.unlink()
        return filled

    async def _settled(self, url: str) -> None:
        """Statistics as a database has them after a while."""
        context = open_context(Settings(database_url=url, key_file=self._folder / "top.key"))
        async with context.database.engine.connect() as connection:
            plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await plain.execute(text("VACUUM ANALYZE" if self._server else "ANALYZE"))
        await context.database.close()

    @contextmanager
    def working_copy(self, filled: Filled) -> Iterator[Filled]:
        """A copy that a measurement may fill further, removed at the end."""
        template = _name(filled.union.stored, filled.union.members)
        name = f"measured_{template}"
        try:
            yield Filled(self._new(name, template), filled.union, self._folder)
        finally:
            self.drop(name)


def _name(alerts: int, members: int) -> str:
    return f"filled_{alerts}" if members == max(1, alerts // ALERTS_EACH) else f"filled_{alerts}_of_{members}"


def cache_name(database: str) -> str:
    """The folder of a cache; another schema is another cache."""
    return f"pipeline-{database}-{head()}"
