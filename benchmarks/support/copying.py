"""Copies a small filled PostgreSQL database many times into itself, block by block, by SQL: a million alerts in minutes.

Ids get an earlier time and a tail of their own; keyed hashes are hashed again; members get real keys and real references, so
that new alerts about them are matched and sealed; positions in the outbox go on. A block is one transaction, so that the copying
can be stopped and goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy import LargeBinary, Table, Uuid, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.kit.acting import ITSELF
from app.kit.context import Context
from app.members.service import reference_index
from app.tables import metadata
from benchmarks.support.wire import reference

PEOPLE = ("member", "employment", "account", "role_grant", "enrollment", "consent", "exposure")
ALERTS = ("receipt", "alert", "event", "member_alert", "member_event", "incident", "incident_alert", "link")
TOLD = ("letter", "member_notice", "ledger_entry", "outbox")
STATIC = frozenset({"organization_id", "connection_id", "breach_id", "granted_by", "actor_id"})
"""Ids of what is there once, however many alerts there are."""
HASHES = frozenset({"external_index", "email_index", "body_hash", "dedupe_key", "content_hash"})

_FUNCTIONS = """
CREATE OR REPLACE FUNCTION bench_id(id uuid, k int, span bigint) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT (lpad(to_hex(('x' || substr(i, 1, 12))::bit(48)::bigint - k * span), 12, '0') || '7' || substr(m, 1, 3)
          || '8' || substr(m, 4, 15))::uuid
  FROM (SELECT encode(uuid_send(id), 'hex') AS i, md5(encode(uuid_send(id), 'hex') || k) AS m) AS parts
$$
"""


def _expression(table: Table, name: str) -> str:
    column = table.columns[name]
    if table.name == "member" and name == "wrapped_key":
        return "(SELECT p.wrapped FROM bench_key p WHERE p.id = bench_id(t.id, :k, :span))"
    if name == "reference_index":
        return "(SELECT r.new FROM bench_reference r WHERE r.k = :k AND r.old = t.reference_index)"
    if table.name == "outbox" and name == "position":
        return "t.position + :k * CAST(:positions AS bigint)"
    if isinstance(column.type, Uuid) and name not in STATIC:
        return f"bench_id(t.{name}, :k, :span)"
    if isinstance(column.type, LargeBinary) and name in HASHES:
        return f"sha256(t.{name} || int4send(:k))"
    return f"t.{name}"


def _copy_statement(name: str) -> str:
    table = metadata.tables[name]
    names = [column.name for column in table.columns]
    wanted = ", ".join(_expression(table, column) for column in names)
    return f"INSERT INTO {name} ({', '.join(names)}) SELECT {wanted} FROM bench_{name} t"


async def _template(connection: AsyncConnection) -> None:
    """The first block, put aside; the functions; how far the copying has come."""
    await connection.execute(text(_FUNCTIONS))
    for name in (*PEOPLE, *ALERTS, *TOLD):
        await connection.execute(text(f"CREATE UNLOGGED TABLE IF NOT EXISTS bench_{name} AS SELECT * FROM {name}"))
    await connection.execute(text("CREATE TABLE IF NOT EXISTS bench_block (k int PRIMARY KEY)"))
    await connection.execute(text("CREATE UNLOGGED TABLE IF NOT EXISTS bench_key (id uuid PRIMARY KEY, wrapped bytea)"))
    made = "CREATE UNLOGGED TABLE IF NOT EXISTS bench_reference (k int, old bytea, new bytea, PRIMARY KEY (k, old))"
    await connection.execute(text(made))


async def _people(context: Context, connection_id: UUID, members: int, given: dict[str, int]) -> None:
    """Real keys and references of the members of one block."""
    k = given["k"]
    async with context.database.begin(acting=ITSELF) as tx:  # the helping tables are nobody's but the owner's
        await tx.execute(text("TRUNCATE bench_key, bench_reference"))
        asked = "SELECT bench_id(id, :k, :span), organization_id FROM bench_member"
        found = await tx.execute(text(asked), _only_named(asked, given))
        rows = found.all()
        organization_id = rows[0][1]
        wrapped = [
            {"id": row[0], "wrapped": (await context.keyring.wrap_new(tx, organization_id, "member", row[0]))[1]} for row in rows
        ]
        await tx.execute(text("INSERT INTO bench_key VALUES (:id, :wrapped)"), wrapped)
        told: list[dict[str, Any]] = []
        for number in range(members):
            old, new = [
                await reference_index(tx, context.keyring, organization_id, connection_id, reference(n))
                for n in (number, k * members + number)
            ]
            told.append({"k": k, "old": old, "new": new})
        await tx.execute(text("INSERT INTO bench_reference VALUES (:k, :old, :new)"), told)


async def _block(connection: AsyncConnection, given: dict[str, int]) -> None:
    await connection.execute(text("SET LOCAL session_replication_role = replica"))
    await connection.execute(text("SET LOCAL synchronous_commit = off"))
    for name in (*PEOPLE, *ALERTS, *TOLD):
        await connection.execute(text(_copy_statement(name)), _only_named(_copy_statement(name), given))
    last = (given["k"] + 1) * given["positions"]
    await connection.execute(text("UPDATE outbox_consumer SET position = :last"), {"last": last})
    await connection.execute(text("INSERT INTO bench_block VALUES (:k)"), {"k": given["k"]})


def _only_named(statement: str, given: dict[str, int]) -> dict[str, int]:
    return {name: value for name, value in given.items() if f":{name}" in statement}


async def copy_blocks(context: Context, connection_id: str, members: int, blocks: int, say: Callable[[str], None]) -> None:
    """Copy until there are `blocks` blocks, from wherever it was stopped; then pack the indexes and take statistics."""
    engine = context.database.engine
    async with engine.begin() as connection:
        await _template(connection)
        done = (await connection.execute(text("SELECT coalesce(max(k), 0) FROM bench_block"))).scalar_one()
        positions = (await connection.execute(text("SELECT max(position) FROM bench_outbox"))).scalar_one()
        span = "SELECT max(received_at) - min(received_at) FROM bench_receipt"
        milliseconds = int((await connection.execute(text(span))).scalar_one().total_seconds() * 1000) + 1
    for k in range(done + 1, blocks):
        begun = time.monotonic()
        given = {"k": k, "span": milliseconds, "positions": positions}
        await _people(context, UUID(connection_id), members, given)
        async with engine.begin() as connection:
            await _block(connection, given)
        say(f"block {k} of {blocks - 1} copied in {time.monotonic() - begun:.1f} s")
    await _tidy(engine.connect())
    await context.database.close()


async def _tidy(opening: Any) -> None:
    async with opening as connection:
        plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
        for name in (*PEOPLE, *ALERTS, *TOLD, "block", "key", "reference"):
            await plain.execute(text(f"DROP TABLE IF EXISTS bench_{name}"))
        await plain.execute(text("DROP FUNCTION IF EXISTS bench_id"))
        await plain.execute(text("SET maintenance_work_mem = '1GB'"))
        for name in (*PEOPLE, *ALERTS, *TOLD):
            await plain.execute(text(f"REINDEX TABLE {name}"))
        await plain.execute(text("VACUUM ANALYZE"))
