"""The foreign keys that PostgreSQL checks by triggers of ours: what they refuse, whom they wait for, and that each is there."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import ForeignKeyConstraint

from app.access.walls import CASEWORKER, MEMBER, ROLES
from app.kit.acting import DOOR, TAKE_ON, WORKER, Acting
from app.kit.ids import uuid7
from app.tables import metadata
from migrations.by_statement import CHECKED, CHECKING, KEEPS_KEY, PARENTS, Reference
from tests.support.logins import dsn
from tests.support.world import World, alert

on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
each = pytest.mark.parametrize("one", CHECKED, ids=lambda one: one.name)

Row = dict[str, Any]
TABLES = tuple(dict.fromkeys(name for one in CHECKED for name in (one.child, one.parent)))
HASHES = {"receipt": ("body_hash",), "alert": ("dedupe_key",), "member": ("external_index",), "connection": ("token_hash",)}
WORDS = {"breach": ("key",), "letter": ("about",)}
"""What there must not be two of, beside the keys."""
MANY = 500
REFUSED = asyncpg.ForeignKeyViolationError


class Rows:
    """One connection as the owner of everything, with a row of each table that more like it are made of."""

    def __init__(self, connection: asyncpg.Connection[Any], rows: Mapping[str, Row]) -> None:
        self.connection = connection
        self.rows = rows

    def like(self, table: str, **given: object) -> Row:
        """A row with keys of its own, as JSON."""
        own = {column.name for column in metadata.tables[table].primary_key} - {"connection_id", "member_id"}
        others: Row = {name: str(uuid7()) for name in (*own, *WORDS.get(table, ()))}
        others |= {name: f"\\x{secrets.token_hex(16)}" for name in HASHES.get(table, ())}
        return {**self.rows[table], **others, **{name: str(value) for name, value in given.items()}}

    async def write(self, table: str, *rows: Row) -> None:
        """One statement."""
        statement = f"INSERT INTO {table} SELECT * FROM jsonb_populate_recordset(NULL::{table}, $1::jsonb)"
        await self.connection.execute(statement, json.dumps(rows))

    async def parent(self, one: Reference) -> Row:
        """A row to point at that nothing points at yet."""
        row = self.like(one.parent)
        await self.write(one.parent, row)
        return row

    def child(self, one: Reference, parent: Row) -> Row:
        """A row that points at it."""
        row = self.like(one.child, **{column: parent[key] for key, column in zip(one.keys, one.columns, strict=True)})
        return {**row, "position": secrets.randbelow(2**30)} if one.child == "event" else row

    def orphan(self, one: Reference) -> Row:
        """A row that points at nothing, and at what is there by all other references."""
        return self.child(one, {**self.rows[one.parent], one.keys[-1]: str(uuid7())})

    async def delete(self, one: Reference, parent: Row) -> None:
        """Without asking whether anything points at it."""
        await self.connection.execute(f"DELETE FROM {one.parent} WHERE {_where(one.keys)}", *(parent[key] for key in one.keys))

    async def pointing(self, one: Reference, parent: Row) -> int:
        """How many rows do."""
        values = [parent[key] for key in one.keys]
        return int(await self.connection.fetchval(f"SELECT count(*) FROM {one.child} WHERE {_where(one.columns)}", *values))

    async def waits(self, other: Rows) -> None:
        """Come back when the other connection waits for a lock."""
        pid = await self.connection.fetchval("SELECT pg_backend_pid()")
        async with asyncio.timeout(10):
            query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND $1 = ANY(pg_blocking_pids(pid))"
            while not await other.connection.fetchval(query, pid):  # noqa: ASYNC110 - it is the database that knows
                await asyncio.sleep(0.01)


def _where(columns: tuple[str, ...]) -> str:
    return " AND ".join(f"{column} = ${number}::text::uuid" for number, column in enumerate(columns, 1))


@asynccontextmanager
async def opened(world: World, rows: Mapping[str, Row] | None = None) -> AsyncIterator[Rows]:
    connection = await asyncpg.connect(dsn(world.owner_url))
    try:
        known = dict(rows or {})
        for table in TABLES if rows is None else ():
            known[table] = json.loads(await connection.fetchval(f"SELECT to_jsonb(t) FROM {table} AS t LIMIT 1"))
        yield Rows(connection, known)
    finally:
        await connection.close()


@pytest.fixture
async def rows(world: World) -> AsyncIterator[Rows]:
    await world.deliver(alert())
    await world.workers.drain()
    async with opened(world) as first:
        yield first


@each
def test_each_is_declared_as_the_models_have_it(one: Reference) -> None:
    constraint = next(key for key in metadata.tables[one.child].foreign_key_constraints if key.name == one.name)
    assert isinstance(constraint, ForeignKeyConstraint)
    assert tuple(constraint.column_keys) == one.columns
    assert tuple(element.target_fullname for element in constraint.elements) == tuple(f"{one.parent}.{key}" for key in one.keys)
    assert (constraint.ondelete == "CASCADE", constraint.onupdate, constraint.deferrable) == (one.cascades, None, None)


@on_postgresql
async def test_each_is_checked_by_its_triggers_or_by_postgresql_itself(world: World) -> None:
    declared = {(table.name, *key.column_keys) for table in metadata.tables.values() for key in table.foreign_key_constraints}
    ours = {(one.child, *one.columns) for one in CHECKED}
    connection = await asyncpg.connect(dsn(world.owner_url))
    real = await connection.fetch(
        "SELECT conrelid::regclass::text, array(SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS k(number, place)"
        " JOIN pg_attribute ON attrelid = conrelid AND attnum = number ORDER BY place)"
        " FROM pg_constraint WHERE contype = 'f' AND convalidated"
    )
    assert {(row[0], *row[1]) for row in real} == declared - ours
    assert declared > ours
    triggers = await connection.fetch(
        "SELECT t.tgrelid::regclass::text, t.tgname, t.tgenabled::text FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid"
        " WHERE p.proname LIKE 'fk\\_%' OR p.proname = $1",
        KEEPS_KEY,
    )
    expected = {place for one in CHECKED for place in one.triggers} | {(name, f"{name}_keeps_its_key") for name in PARENTS}
    assert {(row[0], row[1]) for row in triggers} == expected
    assert {row[2] for row in triggers} == {"O"}
    functions = await connection.fetch(
        "SELECT proname, pg_get_userbyid(proowner), prosecdef, proconfig FROM pg_proc WHERE proname LIKE 'fk\\_%'"
    )
    assert {row[0] for row in functions} == set(CHECKING)
    assert all(row[1:3] == (WORKER.role, True) for row in map(tuple, functions))
    assert all({"search_path=public, pg_temp", "enable_seqscan=off"} <= set(row[3]) for row in functions)
    await connection.close()


@on_postgresql
async def test_a_row_that_points_at_nothing_is_refused_alone_and_among_many(rows: Rows) -> None:
    for one in CHECKED:
        with pytest.raises(REFUSED, match=one.name) as refused:
            await rows.write(one.child, rows.orphan(one))
        assert (refused.value.constraint_name, refused.value.table_name) == (one.name, one.child)
        assert refused.value.detail is None
        parent = await rows.parent(one)
        many = [rows.child(one, parent) for _ in range(MANY)]
        if one.child == "link":
            many = [{**link, "superseded_at": link["found_at"]} for link in many]
        async with rows.connection.transaction():
            with pytest.raises(REFUSED, match=one.name):
                async with rows.connection.transaction():
                    await rows.write(one.child, *many[:250], rows.orphan(one), *many[250:])
            assert await rows.pointing(one, parent) == 0
            await rows.write(one.child, *many[:250])
            await rows.write(one.child, *many[250:])
        assert await rows.pointing(one, parent) == MANY


@on_postgresql
async def test_no_row_is_made_to_point_at_nothing_and_no_row_gets_another_key(rows: Rows) -> None:
    for one in CHECKED:
        parent, other = await rows.parent(one), await rows.parent(one)
        await rows.write(one.child, rows.child(one, parent))
        last, values = one.columns[-1], [parent[key] for key in one.keys]
        change = f"UPDATE {one.child} SET {last} = ${len(values) + 1}::text::uuid WHERE {_where(one.columns)}"
        assert await rows.connection.execute(change, *values, values[-1]) == "UPDATE 1"
        with pytest.raises(REFUSED, match=f"{one.name}|rows of {one.child} keep their keys"):
            await rows.connection.execute(change, *values, str(uuid7()))
        if last in PARENTS.get(one.child, ()):
            continue
        assert await rows.connection.execute(change, *values, other[one.keys[-1]]) == "UPDATE 1"
        if metadata.tables[one.child].c[last].nullable:
            assert await rows.connection.execute(change, *values[:-1], other[one.keys[-1]], None) == "UPDATE 1"
    for parent_table, keys in PARENTS.items():
        place = rows.rows[parent_table][keys[-1]]
        with pytest.raises(REFUSED, match=f"rows of {parent_table} keep their keys|foreign key constraint"):
            await rows.connection.execute(f"UPDATE {parent_table} SET {keys[-1]} = $2 WHERE {_where(keys[-1:])}", place, uuid7())


@on_postgresql
async def test_what_is_pointed_at_stays_and_links_go_with_their_incident(rows: Rows) -> None:
    for one in CHECKED:
        parent = await rows.parent(one)
        await rows.write(one.child, rows.child(one, parent))
        if one.cascades:
            await rows.delete(one, parent)
            assert await rows.pointing(one, parent) == 0
            continue
        with pytest.raises(REFUSED, match=one.name) as refused:
            await rows.delete(one, parent)
        assert refused.value.constraint_name == one.name
        assert await rows.pointing(one, parent) == 1
        await rows.connection.execute(f"DELETE FROM {one.child} WHERE {_where(one.columns)}", *(parent[key] for key in one.keys))
        await rows.delete(one, parent)
    with pytest.raises(REFUSED, match="fk_event_connection_id_alert_id"):
        await rows.connection.execute("TRUNCATE alert")
    await rows.connection.execute("TRUNCATE alert, event")


@on_postgresql
async def test_whoever_deletes_and_whoever_points_wait_for_each_other(world: World, rows: Rows) -> None:
    async with opened(world, rows.rows) as other:
        for one in CHECKED:
            parent = await rows.parent(one)
            writing = rows.connection.transaction()
            await writing.start()
            await rows.write(one.child, rows.child(one, parent))
            deletion = asyncio.create_task(other.delete(one, parent))
            async with opened(world, rows.rows) as third:
                await rows.waits(third)
            await writing.commit()
            if one.cascades:
                await deletion
            else:
                with pytest.raises(REFUSED, match=one.name):
                    await deletion
            assert await rows.pointing(one, parent) == (0 if one.cascades else 1)
            parent = await rows.parent(one)
            deleting = other.connection.transaction()
            await deleting.start()
            await other.delete(one, parent)
            writes = asyncio.create_task(rows.write(one.child, rows.child(one, parent)))
            async with opened(world, rows.rows) as third:
                await other.waits(third)
            await deleting.commit()
            with pytest.raises(REFUSED, match=one.name):
                await writes
            assert await rows.pointing(one, parent) == 0


@on_postgresql
async def test_no_check_reads_a_table_from_beginning_to_end(rows: Rows) -> None:
    """Of tables that were small, or of which nothing is known, when its plan was made."""
    read = "SELECT seq_scan, coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables WHERE relname = $1"
    for one in CHECKED:
        parent = await rows.parent(one)
        child = rows.child(one, parent)
        writing = rows.connection.transaction()
        await writing.start()
        await rows.connection.execute("SET LOCAL enable_seqscan = off")  # for the deletion itself
        for table in (one.parent, one.child):
            act = rows.write(one.child, child) if table == one.parent else rows.delete(one, parent)
            before = await rows.connection.fetchrow(read, table)
            with suppress(REFUSED):
                async with rows.connection.transaction():
                    await act
            after = await rows.connection.fetchrow(read, table)
            assert after[0] == before[0], (one.name, table)
            assert table == one.child or after[1] - before[1] == 1, (one.name, "more than the row that is named")
        await writing.rollback()


async def _takes_on(rows: Rows, me: Acting) -> None:
    await rows.connection.execute("RESET ROLE")
    await rows.connection.execute(TAKE_ON.replace("true", "false"), *me.values)


@on_postgresql
async def test_each_role_is_told_the_same_whatever_it_sees(world: World, rows: Rows) -> None:
    by_name = {one.name: one for one in CHECKED}
    caseworker = Acting(CASEWORKER, world.union.id)
    refused = [(WORKER, name) for name in by_name] + [
        (DOOR, "fk_receipt_connection_id"),
        (caseworker, "fk_alert_connection_id"),
        (caseworker, "fk_event_connection_id_receipt_id"),
        (caseworker, "fk_event_connection_id_alert_id"),
    ]
    for me, name in refused:
        good = rows.child(by_name[name], await rows.parent(by_name[name]))
        await _takes_on(rows, me)
        with pytest.raises(REFUSED, match=name):
            await rows.write(by_name[name].child, rows.orphan(by_name[name]))
        await rows.write(by_name[name].child, good)
        await rows.connection.execute("RESET ROLE")
    me = Acting(MEMBER, world.union.id, member_id=UUID(rows.rows["incident"]["member_id"]))
    await _takes_on(rows, me)
    for table in ("incident", "incident_alert"):
        await rows.write(table, rows.like(table))
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await rows.write(table, rows.like(table, member_id=uuid7()))


@on_postgresql
async def test_a_view_of_an_earlier_moment_writes_and_deletes_nothing(rows: Rows) -> None:
    one = CHECKED[-1]
    parent = await rows.parent(one)
    for act in (lambda: rows.write(one.child, rows.child(one, parent)), lambda: rows.delete(one, parent)):
        with pytest.raises(asyncpg.FeatureNotSupportedError, match="READ COMMITTED"):
            async with rows.connection.transaction(isolation="repeatable_read"):
                await act()


@on_postgresql
async def test_nobody_makes_the_checks_run_for_a_table_of_their_own(world: World, rows: Rows) -> None:
    """They run as the worker, who may delete: a trigger of their own would delete what they do not even see."""
    asked = "SELECT proname FROM pg_proc WHERE proname = ANY($1) AND has_function_privilege($2::name, oid, 'EXECUTE')"
    for role in ROLES:
        may = await rows.connection.fetch(asked, list(CHECKING), role)
        assert len(may) == (len(CHECKING) if role == WORKER.role else 0), role
    async with rows.connection.transaction():
        await rows.connection.execute(TAKE_ON, *Acting(MEMBER, world.other.id, member_id=world.other.members["M-2"]).values)
        await rows.connection.execute("CREATE TEMP TABLE mine (member_id uuid, id uuid)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await rows.connection.execute(
                "CREATE TRIGGER mine AFTER DELETE ON mine REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT"
                " EXECUTE FUNCTION fk_link_member_id_incident_id_deleted()"
            )
