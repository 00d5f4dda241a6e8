"""The database: engine, tables' base, and the unit of work. Services take a transaction and never commit one."""

import asyncio
import copy
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import JSON, BigInteger, Connection, DateTime, Dialect, MetaData, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Session, SessionTransaction
from sqlalchemy.types import TypeDecorator

from app.kit import arrays
from app.kit.acting import DOOR, TAKE_ON, TAKE_ON_TO_WRITE, WORKER, WRITE_ALONE, Acting
from app.kit.at_once import AtOnce
from app.kit.sqlite import open_engine

Transaction = AsyncSession

_MONEY_SCALE = Decimal(10_000)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, kept in UTC with microseconds on both databases; a naive one is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Aware in, UTC to the database."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone")
        return value if value.tzinfo is UTC else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """UTC from the database, aware out."""
        if value is None or value.tzinfo is UTC:
            return value
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Money(TypeDecorator[Decimal]):
    """An amount as Decimal, kept as whole ten-thousandths, so that SQLite is as exact as PostgreSQL."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        """Decimal in, ten-thousandths to the database; finer amounts are refused."""
        if value is None:
            return None
        scaled = value * _MONEY_SCALE
        if scaled != scaled.to_integral_value():
            raise ValueError("an amount finer than a ten-thousandth")
        return int(scaled)

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        """Ten-thousandths from the database, Decimal out, with two places at least."""
        if value is None:
            return None
        exact = Decimal(value) / _MONEY_SCALE
        cents = exact.quantize(Decimal("0.01"))
        return cents if cents == exact else exact


PortableJson = JSON().with_variant(JSONB(), "postgresql")


_PLANNED_ONCE = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}
"""For the few single statements: to plan one anew each time costs as much as to run it. None of them is ever to read a whole
table, however small that was when it was planned; and none asks by a value for which only a partial index is good."""


def upsert(tx: Transaction, table: type[Any]) -> Any:
    """An INSERT of this database's own dialect, for ON CONFLICT."""
    dialect = postgresql if tx.get_bind().dialect.name == "postgresql" else sqlite
    return dialect.insert(table)


class Base(DeclarativeBase):
    """Base of every table; constraints are named, so that migrations can find them on both databases."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime(), Decimal: Money()}  # noqa: RUF012 - SQLAlchemy's own way


class _ActingSession(Session):
    """A session whose every transaction begins with taking on a role, before its first statement."""


@event.listens_for(_ActingSession, "after_begin")
def _take_on(session: Session, begun: SessionTransaction, connection: Connection) -> None:
    if begun.nested or connection.dialect.name != "postgresql":
        return
    alone, reads = session.info["alone"], session.info["read_only"]
    connection.exec_driver_sql(TAKE_ON if alone or reads else TAKE_ON_TO_WRITE, session.info["acting"].values)
    for statement in WRITE_ALONE if alone else ():
        connection.exec_driver_sql(statement)


def _taught(connection: Any, _: object) -> None:
    arrays.teach(connection.driver_connection)


@asynccontextmanager
async def taking_on(tx: Transaction, acting: Acting) -> AsyncIterator[None]:
    """Let a part of a transaction act as somebody else, for what only they may do; then as before. After an error it is over.

    SQLite knows no roles: nothing happens there.
    """
    await tx.flush()
    if tx.get_bind().dialect.name != "postgresql":
        yield
        return
    connection = await tx.connection()
    await connection.exec_driver_sql(TAKE_ON, acting.values)
    yield
    await tx.flush()
    await connection.exec_driver_sql(TAKE_ON, tx.info["acting"].values)


class Database:
    """One engine and the only way to a transaction."""

    def __init__(self, url: str, acting: Acting = WORKER) -> None:
        """`url`: sqlite+aiosqlite:///path or postgresql+asyncpg://…; `acting`: as whom a transaction acts that is not told.

        Whoever opens it is the service itself. A request gets a view of it (`acting_as`) that may do nothing unless it says so.
        """
        parsed = make_url(url)
        self.url = url
        self._acting = acting
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self.at_once: AtOnce | None = None
        """PostgreSQL only: where deliveries are kept, each batch by a single statement that is a transaction of its own."""
        self._single: AtOnce | None = None
        if self.is_sqlite:
            if parsed.database:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            self.engine = open_engine(parsed)
        else:
            # A plan for any values, made while a table was small, would stay when it is large, and use no partial index.
            # To compile each plan (jit) takes longer than any of ours runs.
            planned = {"plan_cache_mode": "force_custom_plan", "jit": "off"}
            settings = {"timezone": "UTC", "synchronous_commit": "on", **planned}
            options = {"server_settings": settings}
            self.engine = create_async_engine(
                url,
                pool_size=10,
                max_overflow=10,
                connect_args=options,
                hide_parameters=True,
                json_deserializer=msgspec.json.decode,  # jsonb holds nothing that it could not read
            )
            event.listen(self.engine.sync_engine, "connect", _taught)
            self.at_once = AtOnce(self.engine, settings | _PLANNED_ONCE, DOOR)
            self._single = AtOnce(self.engine, settings | _PLANNED_ONCE, acting)
        of_one_moment = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._reading = self.engine.execution_options(read_only=True, **of_one_moment)
        self._one_writer = asyncio.Lock()
        self.announced = asyncio.Event()
        """SQLite only: set when a transaction that announced work has committed (`kit/wakeup`)."""

    @asynccontextmanager
    async def begin(
        self, *, read_only: bool = False, alone: bool = False, acting: Acting | None = None
    ) -> AsyncIterator[Transaction]:
        """One unit of work: commits when the block ends well, rolls back when it raises.

        `acting`: as whom, if other than this view of the database says. `alone`: no other unit of work that writes is under
        way meanwhile, in any process; single statements (`at_once`) are. Raises a DBAPIError (55P03) when others do not end.

        `read_only`: all of it sees one and the same moment, so that sums over several statements agree. Nothing is to be
        written in it, and PostgreSQL refuses to.
        """
        if self.is_sqlite and not read_only:
            async with self._one_writer, self._session(acting, read_only, alone) as tx:
                yield tx
        else:
            async with self._session(acting, read_only, alone) as tx:
                yield tx

    @asynccontextmanager
    async def _session(self, acting: Acting | None, read_only: bool, alone: bool) -> AsyncIterator[Transaction]:
        engine = self._reading if read_only else self.engine
        info = {"database": self, "acting": acting or self._acting, "read_only": read_only, "alone": alone}
        session = AsyncSession(engine, sync_session_class=_ActingSession, expire_on_commit=False, info=info)
        async with session as tx, tx.begin():
            yield tx

    async def single(self, statement: Any, **values: Any) -> Sequence[Any]:
        """The rows of one statement that is a unit of work of its own, after its COMMIT: a sixth of a transaction's turns.

        The statement lives as long as the process. `values`: ids, words, numbers and aware moments, by the statement's names.
        """
        if self._single is not None:
            return await self._single.execute(statement, values)
        async with self.begin(read_only=statement.is_select) as tx:
            return (await tx.execute(statement, values)).all()

    def acting_as(self, acting: Acting) -> "Database":
        """The same database, on the same connections, for whom is named."""
        view = copy.copy(self)
        view._acting = acting  # noqa: SLF001 - our own copy
        view._single = None  # noqa: SLF001 - those connections act as another
        return view

    async def close(self) -> None:
        """Let every connection go."""
        for store in (self.at_once, self._single):
            if store is not None:
                await store.close()
        await self.engine.dispose()
