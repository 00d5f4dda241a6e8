"""Named points at which a server process of the crash rig kills itself. Bound from outside: app/ knows nothing of them.

They hang on what survives a rewrite: statements by their pattern, commits by the table that the transaction wrote to, the
edges of ASGI, and a handful of functions by name. `install` is called in the forked server, before anything is opened.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from app.intake import receive, rounds
from app.kit import sqlite
from app.kit.answering import LINES, WHOLE
from app.kit.at_once import AtOnce

FLAG = "crash.written"
_WRITES = re.compile(r"\b(?:INSERT INTO|UPDATE|DELETE FROM) (\w+)")

BEFORE = {
    "before-insert": r"INSERT INTO receipt\b",
    "parsed": r"INSERT INTO event\b",
    "cursor-set": r"UPDATE poll SET .*\bcursor\s*=",
}
AFTER = {
    "after-insert": r"INSERT INTO receipt\b",
    "claim": r"SELECT .*\bsealed\b.*\bFROM receipt\b.*\bLIMIT\b",
    "upsert": r"INSERT INTO alert\b",
    "outbox": r"INSERT INTO outbox\b",
    "mark-done": r"UPDATE receipt SET .*\bstate\s*=",
    "sequenced": r"UPDATE outbox SET position",
    "matched": r"INSERT INTO member_alert\b",
    "linked": r"INSERT INTO incident_alert\b",
    "consumer-moved": r"UPDATE outbox_consumer SET position\s*=",
}
COMMITS = ("before-commit", "commit-sent-no-reply", "after-commit")
EDGES = ("recv-headers", "recv-body", "verified", "before-response", "half-response")
POLLED = ("page-fetched", "rows-inserted", "cursor-set")
WEB = (*EDGES, "before-insert", "after-insert", *COMMITS)
WORK = ("claim", "parsed", "upsert", "outbox", "mark-done", "sequenced", "matched", "linked", "consumer-moved", *POLLED)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass
class Trap:
    """The n-th time that one point is reached, the process is gone. `deaths`: the file that says where and who."""

    point: str
    left: int
    deaths: Path
    committing: dict[Any, set[str]] = field(default_factory=dict)

    def reached(self, point: str) -> None:
        """Die, if this is the point and the time for it."""
        if point != self.point:
            return
        self.left -= 1
        if self.left <= 0:
            with self.deaths.open("a") as file:
                file.write(f"{os.getpid()} {point}\n")
            os.kill(os.getpid(), signal.SIGKILL)

    def is_committing_a_receipt(self) -> bool:
        """Whether the present task commits a transaction that wrote a receipt."""
        return "receipt" in self.committing.get(_task(), ())


def _task() -> Any:
    try:
        return asyncio.current_task()
    except RuntimeError:  # another thread, or no loop yet
        return None


def install(trap: Trap) -> None:
    """Bind every point to this process."""
    _statements(trap)
    _commits(trap)
    _drivers(trap)
    _at_once(trap)
    _functions(trap)


def _statements(trap: Trap) -> None:
    before = {name: re.compile(pattern, re.IGNORECASE | re.DOTALL) for name, pattern in BEFORE.items()}
    after = {name: re.compile(pattern, re.IGNORECASE | re.DOTALL) for name, pattern in AFTER.items()}

    @event.listens_for(Engine, "before_cursor_execute")
    def _before(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        connection.info.setdefault(FLAG, set()).update(_WRITES.findall(statement))
        for name, pattern in before.items():
            if pattern.search(statement):
                trap.reached(name)

    @event.listens_for(Engine, "after_cursor_execute")
    def _after(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        for name, pattern in after.items():
            if pattern.search(statement):
                trap.reached(name)
        if re.search(AFTER["after-insert"], statement) and "poll" in connection.info.get(FLAG, ()):
            trap.reached("rows-inserted")


def _commits(trap: Trap) -> None:
    @event.listens_for(Engine, "commit")
    def _commit(connection: Any) -> None:
        written = connection.info.pop(FLAG, set())
        trap.committing[_task()] = written
        if "receipt" in written:
            trap.reached("before-commit")

    @event.listens_for(Engine, "rollback")
    def _rollback(connection: Any) -> None:
        connection.info.pop(FLAG, None)

    @event.listens_for(Session, "after_commit")
    def _after_commit(_session: Any) -> None:
        if "receipt" in trap.committing.pop(_task(), ()):
            trap.reached("after-commit")


def _drivers(trap: Trap) -> None:
    """The ambiguous one: the database has the COMMIT, and nobody here will ever hear what came of it."""
    execute = asyncpg.Connection.execute

    async def _execute(self: Any, query: str, *arguments: Any, **named: Any) -> Any:
        if query == "COMMIT;" and trap.point == "commit-sent-no-reply" and trap.is_committing_a_receipt():
            sent = asyncio.ensure_future(execute(self, query, *arguments, **named))
            await asyncio.sleep(0.001 if trap.left <= 1 else 0)
            trap.reached("commit-sent-no-reply")
            return await sent
        return await execute(self, query, *arguments, **named)

    asyncpg.Connection.execute = _execute
    apart = sqlite._Near._apart

    def _apart(self: Any, fn: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        done = apart(self, fn, *arguments, **named)
        if getattr(fn, "__name__", "") == "commit" and any("receipt" in written for written in trap.committing.values()):
            trap.reached("commit-sent-no-reply")
        return done

    sqlite._Near._apart = _apart  # type: ignore[method-assign]


def _at_once(trap: Trap) -> None:
    """A statement that is a transaction of its own: sent, it is committed, whether or not anybody hears of it."""
    fetch = AtOnce.fetch

    async def _fetch(self: AtOnce, statement: str, *values: Any) -> list[Any]:
        if "INSERT INTO receipt" not in statement:
            return await fetch(self, statement, *values)
        trap.reached("before-insert")
        trap.reached("before-commit")
        sent = asyncio.ensure_future(fetch(self, statement, *values))
        if trap.point == "commit-sent-no-reply":
            await asyncio.sleep(0.001 if trap.left <= 1 else 0)
            trap.reached("commit-sent-no-reply")
        rows = await sent
        trap.reached("after-insert")
        trap.reached("after-commit")
        return rows

    AtOnce.fetch = _fetch  # type: ignore[method-assign]


def _functions(trap: Trap) -> None:
    verify, check = receive.verify, rounds.Pages.check

    def _verify(*arguments: Any, **named: Any) -> Any:
        verification = verify(*arguments, **named)
        trap.reached("verified")
        return verification

    def _check(self: Any, *arguments: Any) -> None:
        trap.reached("page-fetched")
        check(self, *arguments)

    receive.verify = _verify
    rounds.Pages.check = _check  # type: ignore[method-assign]


def at_the_edges(app: App, trap: Trap) -> App:
    """The application with the points of ASGI: a head came in, its body, an answer begins, an answer is half out.

    A body that came along with its head stands in the scope, and nobody asks for it: such a request has no time without a body.
    """

    async def edged(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/webhooks/"):
            await app(scope, receive, send)
            return
        trap.reached("recv-headers" if scope.get(WHOLE) is None else "recv-body")

        async def receiving() -> dict[str, Any]:
            message = await receive()
            if message["type"] == "http.request":
                trap.reached("recv-body")
            return message

        async def sending(message: dict[str, Any]) -> None:
            if message["type"] != "http.response.start":
                await send(message)
                return
            trap.reached("before-response")
            if trap.point == "half-response":  # an answer whose lines are known leaves in one piece, and has no half
                message = {name: value for name, value in message.items() if name != LINES}
            await send(message)
            if trap.point == "half-response":
                await asyncio.sleep(0)  # what was written is sent at the end of the loop's turn
            trap.reached("half-response")

        await app(scope, receiving, sending)

    return edged
