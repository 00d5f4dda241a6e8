"""Wake-ups: whoever commits work tells the workers at once. A wake-up that is lost only delays; the interval tick is the net.

On PostgreSQL by LISTEN and NOTIFY, to the workers of every process; on SQLite, where there is one process, by an event in it.
"""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import structlog
from sqlalchemy import event, text

from app.kit.at_once import driver_options
from app.kit.database import Database, Transaction
from app.kit.rows import on_postgresql

log = structlog.get_logger(__name__)

CHANNEL = "harmline_work"
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
STILL_THERE_AFTER = 30.0
"""Seconds between two looks whether the listening connection still stands; a dead one may never say so by itself."""

_NOTIFY = text(f"NOTIFY {CHANNEL}")
_WOKEN = "wakeup"


async def announce(tx: Transaction) -> None:
    """Wake the workers when this transaction commits, and not before; nothing happens if it does not."""
    if on_postgresql(tx):
        await tx.execute(_NOTIFY)
        return
    database: Database | None = tx.info.get("database")
    if database is not None and not tx.info.get(_WOKEN):
        tx.info[_WOKEN] = True
        event.listen(tx.sync_session, "after_commit", lambda _: database.announced.set(), once=True)


class Listener:
    """Hears announcements until it is cancelled. Calls `woken` for each, and after each time it began to listen."""

    def __init__(self, database: Database, woken: Callable[[], None]) -> None:
        """`woken` must return at once."""
        self._database = database
        self._woken = woken
        self.connected = asyncio.Event()

    async def run(self) -> None:
        """Listen; a connection that breaks is made anew, ever more patiently."""
        wait = FIRST_WAIT
        while True:
            try:
                await (self._here() if self._database.is_sqlite else self._there())
            except Exception as error:  # whatever it was: the interval tick goes on working, and we listen again
                log.warning("not listening, working by the clock", error=type(error).__name__, again_in=wait)
            wait = FIRST_WAIT if self.connected.is_set() else min(wait * 2, LONGEST_WAIT)
            self.connected.clear()
            await asyncio.sleep(wait)

    async def _here(self) -> None:
        self.connected.set()
        while True:
            await self._database.announced.wait()
            self._database.announced.clear()
            self._woken()

    async def _there(self) -> None:
        connection = await asyncpg.connect(**driver_options(self._database.engine), timeout=LONGEST_WAIT)
        try:
            ended = asyncio.Event()
            connection.add_termination_listener(lambda _: ended.set())
            await connection.add_listener(CHANNEL, lambda *_: self._woken())
            self.connected.set()
            self._woken()  # what was announced while nobody listened
            while not ended.is_set():
                try:
                    await asyncio.wait_for(ended.wait(), STILL_THERE_AFTER)
                except TimeoutError:
                    await connection.fetchval("SELECT 1", timeout=LONGEST_WAIT)
        finally:
            connection.terminate()


class Wakeups:
    """Runs one piece of work whenever it is announced: at once, one at a time, and once more for what came meanwhile."""

    def __init__(self, database: Database, work: Callable[[], Awaitable[object]]) -> None:
        """`work` must not raise."""
        self._told = asyncio.Event()
        self.listener = Listener(database, self._told.set)
        self._work = work

    async def run(self) -> None:
        """Listen and work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.listener.run())
            group.create_task(self._working())

    async def _working(self) -> None:
        while True:
            await self._told.wait()
            self._told.clear()
            await self._work()
