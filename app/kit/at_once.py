"""Single statements, each a transaction of its own, past SQLAlchemy: what it does around one costs more than the statement.

PostgreSQL only, and only for what is done all the time: deliveries, looks for work, leases. Everything else goes by
`Database.begin`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

import asyncpg
from sqlalchemy import ClauseElement
from sqlalchemy.dialects.postgresql import asyncpg as postgresql
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.compiler import SQLCompiler

from app.kit.acting import TAKE_ON, Acting

_NOT_ASYNCPGS = frozenset({"async_fallback", "prepared_statement_cache_size", "prepared_statement_name_func"})
"""What an address may say to SQLAlchemy that asyncpg itself does not know."""

LONGEST = 30.0
"""Seconds to connect, and to be answered: a connection that hangs must not hang whoever waits behind it."""

MOST = 4
"""Connections that one of these has at the most: a crowd waits its turn, which is soon, instead of using up the store's."""

STATES_OF_THE_STORE = ("08", "40", "53", "57", "58")
"""Classes of SQLSTATE that say nothing about the statement: no connection, a lost race, no room, a stop, a broken disk."""


def store_is_away(error: Exception) -> bool:
    """Whether an error says that the store (or the top key) is not to be had just now, and nothing about what was to be done."""
    if isinstance(error, OperationalError | InterfaceError | OSError):
        return True
    return isinstance(error, DBAPIError) and str(getattr(error.orig, "sqlstate", None) or "").startswith(STATES_OF_THE_STORE)


def driver_options(engine: AsyncEngine) -> dict[str, Any]:
    """How asyncpg alone connects to where an engine does."""
    given = engine.dialect.create_connect_args(engine.url)[1]
    return {name: value for name, value in given.items() if name not in _NOT_ASYNCPGS}


@lru_cache(maxsize=64)
def _written(statement: ClauseElement) -> tuple[str, Sequence[str], Mapping[str, Any]]:
    """A statement as the driver takes it, the names of its values in their order, and those that stand in it."""
    compiled = statement.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
    if not isinstance(compiled, SQLCompiler) or compiled.positiontup is None:
        raise TypeError("not a statement for rows")
    return str(compiled), compiled.positiontup, compiled.params


class AtOnce:
    """Runs them on a few connections of its own, as many as statements are under way. Opened when needed, kept while good."""

    def __init__(self, engine: AsyncEngine, settings: Mapping[str, str], acting: Acting) -> None:
        """`engine`: where to connect to; `settings`: those that every connection of this house has.

        `acting`: as whom all statements act. It is said once, when connecting: nobody else ever gets these connections.
        """
        self._acting = acting
        self._options = {**driver_options(engine), "server_settings": {**settings, "role": acting.role}}
        self._free: list[asyncpg.Connection] = []
        self._room = asyncio.Semaphore(MOST)
        self._behind_a_pooler = False
        """Whether something in between keeps what was said when connecting to itself: then each transaction says it."""

    async def fetch(self, statement: str, *values: Any) -> list[Any]:
        """The rows of one statement, after its COMMIT.

        Raises what SQLAlchemy would: OperationalError when the store is away, DBAPIError when it refuses the statement.
        """
        return await self._run(statement, *values)

    async def execute(self, statement: ClauseElement, values: Mapping[str, Any]) -> list[Any]:
        """`fetch` of a statement of SQLAlchemy's that lives as long as the process: its text is made once.

        `values` go to the driver as they are (ids, words, numbers, aware moments), and so do rows come back.
        """
        text, names, its_own = _written(statement)
        every = {**its_own, **values}
        return await self.fetch(text, *(every[name] for name in names))

    async def _run(self, statement: str, *values: Any) -> list[Any]:
        try:
            async with self._room:
                return await self._fetched(self._unbroken() or await self._connected(), statement, values)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
            kind = DBAPIError if _is_about_the_statement(error) else OperationalError
            raise kind("at once", None, error, hide_parameters=True) from None

    def _unbroken(self) -> asyncpg.Connection | None:
        """A connection that is free and, as far as is known here, not broken: a restart of the store breaks all of them."""
        while self._free:
            connection = self._free.pop()
            if not connection.is_closed():
                return connection
        return None

    async def _connected(self) -> asyncpg.Connection:
        connection = await asyncpg.connect(**self._options, timeout=LONGEST)
        try:
            self._behind_a_pooler = await connection.fetchval("SELECT current_user", timeout=LONGEST) != self._acting.role
        except BaseException:  # whatever it was, also somebody who gave up: the connection is nobody's then
            connection.terminate()
            raise
        return connection

    async def _fetched(self, connection: asyncpg.Connection, statement: str, values: tuple[Any, ...]) -> list[Any]:
        good = False
        rows: list[Any]
        try:
            if self._behind_a_pooler:
                rows = await self._acting_each_time(connection, statement, values)
            else:
                rows = await connection.fetch(statement, *values, timeout=LONGEST)
            good = True
        except asyncpg.PostgresError:
            good = True  # it has answered, if only with a no
            raise
        finally:
            if good and not connection.is_closed():
                self._free.append(connection)
            else:
                connection.terminate()
        return rows

    async def _acting_each_time(self, connection: asyncpg.Connection, statement: str, values: tuple[Any, ...]) -> list[Any]:
        async with asyncio.timeout(LONGEST), connection.transaction():
            await connection.fetch(TAKE_ON, *self._acting.values)
            rows: list[Any] = await connection.fetch(statement, *values)
            return rows

    async def notify(self, channel: str) -> None:
        """Wake whoever listens. It is told to nobody that it failed: a wake-up that is lost only delays."""
        with suppress(DBAPIError):
            await self._run(f"NOTIFY {channel}")

    async def close(self) -> None:
        """Let every connection go."""
        while self._free:
            await self._free.pop().close()


def _is_about_the_statement(error: Exception) -> bool:
    state = getattr(error, "sqlstate", None)
    return state is not None and not state.startswith(STATES_OF_THE_STORE)
