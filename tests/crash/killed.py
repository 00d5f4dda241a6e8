"""Asks a provider, or replaces keys, in a process of its own that dies at one chosen step of what it does. Holds no tests.

`python -m tests.crash.killed` has imported everything and forks one asker for each JSON order that ends in a death, which takes
milliseconds; who is to live asks in the first process, so that all statements are compiled when the others are forked. The steps
are bound from outside, by the statements and commits that are seen to happen; app/ knows nothing of them.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from app import connection_indexes, index_rotation, operations, rotation, sign_in_indexes
from app.evidence import folder
from app.evidence.workers import Builder
from app.intake.asker import Asker
from app.kit import clock, sqlite
from app.kit.attesters import Witness
from app.kit.config import Settings
from app.kit.context import Context, open_context
from app.kit.mail import Mailer
from app.kit.vault import KeyFile
from app.ledger import attesting, notes, sequencing
from app.ledger.reading_back import read_back
from app.main import Workers
from app.notices import writing
from connectors.asking import PollPlan
from connectors.http import sandbox_allowed
from tests.ledger.small_witness import SmallWitness
from tests.support.compiled_once import share_compiled_statements
from tests.support.paged import Paged, paged_registered

BEFORE_FILE, AFTER_FILE = "before the key file is replaced", "after the key file was replaced"
BEFORE_COMMIT, COMMIT_SENT, AFTER_COMMIT = "before COMMIT", "COMMIT sent, no answer heard", "after COMMIT"
SIGNED = "after the checkpoint was signed"
BEFORE_PLACE, AFTER_PLACE = "before a file is in its place", "after a file is in its place"
LETTER_SENT, CHECKPOINT_SENT = "after a letter was handed over", "after a witness was sent a checkpoint"
HOOK_SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LOG_HOST = "h.example"
_STATEMENT = re.compile(r"\s*(?:(INSERT INTO|UPDATE|DELETE FROM)\s+(\w+)|(SELECT)\b.*?\bFROM\s+(\w+)|(\w+))", re.DOTALL)


@dataclass(frozen=True)
class Order:
    """One asker: whom it asks and when by its clock. `die_at`: the how-manieth step; 0: it lives. `steps`: the file for them.

    `work`: "ask", or "rotate": replace the keys of the organization that stands in the place of the connection, then the top key;
    "indexes": put its look-up indexes under a new key; "connections": put all that came over its connections under one;
    "sign in": put what people sign in by under one; "log": give the ledger's entries their places, two by two; "packets":
    build what counsel ordered, into the folder that stands in the place of the address; "letters": send what is due by the mail
    server or the webhook at the address; or "cosign": send the log of the organization to the witness there.
    """

    database_url: str
    key_file: str
    base_url: str
    connection: str
    now: str
    steps: str
    die_at: int = 0
    work: str = "ask"


@dataclass
class Trap:
    """Counts the steps of everything that writes. At the chosen one the process is gone."""

    order: Order | None = None
    reached: int = 0
    committing: bool = False

    def set_for(self, order: Order) -> None:
        """From now on it is about this one."""
        self.order, self.reached, self.committing = order, 0, False

    def step(self, name: str) -> None:
        """One more step."""
        assert self.order is not None
        self.reached += 1
        if self.order.die_at in (0, self.reached):
            with Path(self.order.steps).open("a") as file:
                file.write(name + "\n")
        if self.order.die_at == self.reached:
            os.kill(os.getpid(), signal.SIGKILL)


def named(statement: str) -> str:
    """A statement by its verb and its table; of one that does several things at once, what it writes first."""
    several = statement.lstrip().upper().startswith("WITH")
    found = _STATEMENT.match(statement[statement.index("INSERT INTO") :] if several and "INSERT INTO" in statement else statement)
    assert found is not None
    return " ".join(part for part in found.groups() if part)


def _reads(connection: Any) -> bool:
    return bool(connection.get_execution_options().get("read_only"))


def install(trap: Trap) -> None:
    """Bind the steps to this process: around each statement of a transaction that writes, and around its commit."""

    @event.listens_for(Engine, "before_cursor_execute")
    def _before(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not _reads(connection):
            trap.step(f"before {named(statement)}")

    @event.listens_for(Engine, "after_cursor_execute")
    def _after(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not _reads(connection):
            trap.step(f"after {named(statement)}")

    @event.listens_for(Engine, "commit")
    def _commit(connection: Any) -> None:
        trap.committing = not _reads(connection)
        if trap.committing:
            trap.step(BEFORE_COMMIT)

    @event.listens_for(Session, "after_commit")
    def _committed(_session: Session) -> None:
        if trap.committing:
            trap.step(AFTER_COMMIT)
        trap.committing = False

    _drivers(trap)
    _key_file(trap)
    _signer(trap)
    _folder(trap)
    _sent(trap)


def _sent(trap: Trap) -> None:
    """What has left the house, before it is written down that it has."""

    def then(send: Callable[..., Awaitable[Any]], step: str) -> Any:
        async def sent(*arguments: Any, **named: Any) -> Any:
            answer = await send(*arguments, **named)
            trap.step(step)
            return answer

        return sent

    Mailer.send = then(Mailer.send, LETTER_SENT)  # type: ignore[method-assign]
    writing._notify = then(writing._notify, LETTER_SENT)
    attesting.post = then(attesting.post, CHECKPOINT_SENT)


def _folder(trap: Trap) -> None:
    replace = os.replace

    def _replace(source: Any, target: Any) -> None:
        trap.step(BEFORE_PLACE)
        replace(source, target)
        trap.step(AFTER_PLACE)

    folder.os = SimpleNamespace(**{**vars(os), "replace": _replace})  # type: ignore[assignment]


def _key_file(trap: Trap) -> None:
    replace = KeyFile.replace

    def _replace(self: KeyFile, keys: Any) -> None:
        trap.step(BEFORE_FILE)
        replace(self, keys)
        trap.step(AFTER_FILE)

    KeyFile.replace = _replace  # type: ignore[method-assign]


def _signer(trap: Trap) -> None:
    sign = notes.Signer.sign

    def _sign(self: notes.Signer, text: str, seconds: int = 0) -> notes.Signature:
        signature = sign(self, text, seconds)
        trap.step(SIGNED)
        return signature

    notes.Signer.sign = _sign  # type: ignore[method-assign]


def _drivers(trap: Trap) -> None:
    """The database has the COMMIT, and nobody here will ever hear what came of it."""
    execute, apart = asyncpg.Connection.execute, sqlite._Near._apart

    async def _execute(self: Any, query: str, *arguments: Any, **named: Any) -> Any:
        if query == "COMMIT;" and trap.committing:
            sent = asyncio.ensure_future(execute(self, query, *arguments, **named))
            await asyncio.sleep(0)
            trap.step(COMMIT_SENT)
            return await sent
        return await execute(self, query, *arguments, **named)

    def _apart(self: Any, fn: Any, *arguments: Any, **named: Any) -> Any:
        done = apart(self, fn, *arguments, **named)
        if getattr(fn, "__name__", "") == "commit" and trap.committing:
            trap.step(COMMIT_SENT)
        return done

    asyncpg.Connection.execute = _execute
    sqlite._Near._apart = _apart  # type: ignore[method-assign]


@asynccontextmanager
async def opened(order: Order, **more: Any) -> AsyncIterator[Context]:
    """A process's own view of the order's database and key file, at the order's time. `more`: settings."""
    clock.set_to(datetime.fromisoformat(order.now))
    context = open_context(Settings(database_url=order.database_url, key_file=Path(order.key_file), **more))
    try:
        yield context
    finally:
        await context.database.close()


async def ask(order: Order) -> None:
    """One turn with one provider, at the order's time."""
    # Without an overlap each turn asks for new rows alone: what a page holds is known to whoever watches.
    Paged.poll = PollPlan(every=timedelta(hours=1), requests_per_minute=600_000, overlap=timedelta(0))
    async with opened(order) as context:
        asker = Asker(context)
        try:
            with sandbox_allowed(order.base_url), paged_registered():
                assert await asker.ask(UUID(order.connection)), "somebody else is asking"
        finally:
            await asker.close()


async def rotate(order: Order) -> None:
    """Replace every key, in small batches."""
    rotation.BATCH, rotation.PAUSE, rotation.PAUSE_OF_ONE_WRITER = 2, 0.0, 0.0
    async with opened(order) as context:
        left = await operations.rotate_keys(context, UUID(order.connection), lambda _: None)
        assert left == {}, left
        await operations.replace_top_key(context, only_prepare=False)


async def rotate_indexes(order: Order) -> None:
    """Put the look-up indexes under a new key, in small batches."""
    index_rotation.BATCH = 2
    async with opened(order) as context:
        left = await index_rotation.replace(context.database, context.keyring, UUID(order.connection), lambda _: None)
        assert left == {}, left


async def move_connections(order: Order) -> None:
    """Put the indexes of what came over its connections under a new key."""
    async with opened(order) as context:
        left = await connection_indexes.replace(context.database, context.keyring, UUID(order.connection), lambda _: None)
        assert left == {}, left


async def move_sign_in(order: Order) -> None:
    """Put what people sign in by under a new key."""
    async with opened(order) as context:
        where = (context.database, context.keyring)
        await sign_in_indexes.move_addresses(*where, [UUID(order.connection)], lambda _: None)
        await sign_in_indexes.move_subjects(*where, UUID(order.connection), lambda _: None)


async def sequence(order: Order) -> None:
    """Give every entry its place, and read all of it again."""
    sequencing.BATCH = 2
    async with opened(order) as context:
        await sequencing.integrate(context.database, context.keyring, LOG_HOST)
        await read_back(context.database)


async def build_packets(order: Order) -> None:
    """Build what was ordered."""
    async with opened(order, packet_folder=Path(order.base_url)) as context:
        await Builder(context).build()


async def send_letters(order: Order) -> None:
    """Send every letter that is due."""
    by_mail = {"smtp_url": order.base_url}
    by_hook = {"alarm_webhook_url": order.base_url, "alarm_webhook_secret": HOOK_SECRET}
    is_mail = order.base_url.startswith("smtp:")
    with nullcontext() if is_mail else sandbox_allowed(origin_of(order.base_url)):
        async with opened(order, **(by_mail if is_mail else by_hook)) as context:
            await Workers(context).send_letters()


async def cosign(order: Order) -> None:
    """Let the witness cosign one log."""
    with sandbox_allowed(origin_of(order.base_url)):
        witness = Witness(url=order.base_url, key=SmallWitness().key, organizations=frozenset({UUID(order.connection)}))
        async with opened(order, ledger_witnesses={"witness": witness}) as context:
            await attesting.Attesting(context).cosign()


def origin_of(url: str) -> str:
    """Scheme, name and port of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


WORKS = {
    "ask": ask,
    "rotate": rotate,
    "indexes": rotate_indexes,
    "connections": move_connections,
    "sign in": move_sign_in,
    "log": sequence,
    "packets": build_packets,
    "letters": send_letters,
    "cosign": cosign,
}


def ended(order: Order) -> int:
    """Let one work here; the exit code of that."""
    try:
        asyncio.run(WORKS[order.work](order))
    except BaseException as error:  # whoever gave the order only sees the exit code: say what it was
        sys.stderr.write(f"{error!r}\n")
        sys.stderr.flush()
        return 1
    return 0


def killed(order: Order) -> int:
    """Let one ask in a process of its own; its exit code."""
    child = os.fork()
    if child == 0:
        os._exit(ended(order))
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def run() -> None:
    """Let one ask for each order and say how it ended, until there are no more orders."""
    share_compiled_statements()
    trap = Trap()
    install(trap)
    for line in sys.stdin:
        order = Order(**json.loads(line))
        trap.set_for(order)
        code = killed(order) if order.die_at else ended(order)
        sys.stdout.write(f"{code}\n")
        sys.stdout.flush()


@dataclass
class Launcher:
    """The process that forks askers."""

    process: subprocess.Popen[str]

    async def ask(self, order: Order) -> int:
        """Let one ask; its exit code, -9 when it died as it should."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(asdict(order)) + "\n")
        self.process.stdin.flush()
        return int(await asyncio.to_thread(self.process.stdout.readline))


@contextmanager
def launcher() -> Iterator[Launcher]:
    """Start it; it ends with the block."""
    command = [sys.executable, "-m", "tests.crash.killed"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Launcher(process)
        finally:
            process.kill()


if __name__ == "__main__":
    run()
