"""Runs the migrations over the application's own async engine, on either database."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection, text

from app.kit.config import settings
from app.kit.database import Database, Money, UtcDateTime
from app.tables import metadata
from migrations import raising
from migrations.by_statement import NAMES


def render_item(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Write our own column types by the plain types they are stored as."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, Money):
        return "sa.BigInteger()"
    return False


def include_object(_item: Any, name: str | None, kind: str, reflected: bool, _compared: Any) -> bool:
    """Whether a thing of the schema is compared. What triggers check on PostgreSQL is declared, and is not to be there."""
    by_trigger = kind == "foreign_key_constraint" and name in NAMES and context.get_context().dialect.name == "postgresql"
    return reflected or not by_trigger


def run(connection: Connection) -> None:
    """Migrate over one connection, in one transaction."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        render_item=render_item,
        include_object=include_object,
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL lock_timeout = '5s'"))
            with _wall_around(connection):
                context.run_migrations()
        else:
            context.run_migrations()


@contextmanager
def _wall_around(connection: Connection) -> Iterator[None]:
    """The second wall is down while the schema changes, and stands again at the newest one; nobody else sees it down."""
    try:
        wanted = context.get_revision_argument()
    except KeyError:  # a question about the schema: nothing changes
        yield
        return
    newest, present = context.script.get_heads(), context.get_context().get_current_heads
    moves = [*present()] != ([wanted] if isinstance(wanted, str) else [*(wanted or ())])
    if moves:
        raising.take_down(connection)
    yield
    if [*present()] == [*newest] and not raising.stands(connection):
        raising.raise_walls(connection)


async def run_online() -> None:
    """Open the database named by the alembic option `url`, or by the settings, and migrate it."""
    database = Database(context.config.get_main_option("url") or settings().database_url)
    async with database.engine.begin() as connection:
        await connection.run_sync(run)
    await database.close()


asyncio.run(run_online())
