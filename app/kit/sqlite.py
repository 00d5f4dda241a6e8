"""SQLite as the embedded store: how it is opened, and where its statements run.

A statement takes microseconds, and a turn of another thread costs a hundred: so statements run where they stand, on the
event loop. What may wait for another writer or for the disk (taking the writer, committing) goes to a thread of its own.
"""

import sqlite3
from collections.abc import Callable
from typing import Any

import aiosqlite
from sqlalchemy import Engine, event
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

TAKE_WRITER = "BEGIN IMMEDIATE"
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "busy_timeout=30000",
    # Without it INSERT OR REPLACE deletes rows past the triggers that forbid it.
    "recursive_triggers=ON",
    # What was deleted or written over is gone from the file: destroyed keys above all. Not every build does so by itself.
    "secure_delete=ON",
)
_ROWS_AT_ONCE = 64


class _Near(aiosqlite.Connection):
    """A connection whose statements run on the event loop, but for those that may wait, and those that come behind them."""

    _handed_over = 0
    _done = 0

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        # Somebody who was cancelled left a call behind that still runs: what comes next keeps its place behind it.
        still_at_work = self._handed_over != self._done
        if not (still_at_work or fn == self._conn.commit or args[:1] == (TAKE_WRITER,)):
            return fn(*args, **kwargs)
        self._handed_over += 1
        return await super()._execute(self._apart, fn, *args, **kwargs)  # type: ignore[no-untyped-call]

    def _apart(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return fn(*args, **kwargs)
        finally:
            self._done += 1


def open_engine(url: URL) -> AsyncEngine:
    """An engine on one file, made where it is missing: durable commits, one writer, foreign keys checked."""

    async def connect() -> aiosqlite.Connection:
        # SQLAlchemy hands a connection on only when what it did before is done, so no two threads are in it at once.
        near = _Near(lambda: sqlite3.connect(url.database or ":memory:", check_same_thread=False), _ROWS_AT_ONCE)
        near._thread.daemon = True  # noqa: SLF001 - as SQLAlchemy does it: a forgotten connection must not keep the process alive
        return await near

    options = {"pool_size": 8, "max_overflow": 8, "pool_timeout": 60, "hide_parameters": True}
    engine = create_async_engine(url, async_creator=connect, **options)
    _tune(engine.sync_engine)
    return engine


def _tune(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        read_only = connection.get_execution_options().get("read_only")
        connection.exec_driver_sql("BEGIN" if read_only else TAKE_WRITER)
