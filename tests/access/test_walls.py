"""The second wall by itself: SQL without any WHERE, as each database role, beside what Python says each role is to see."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy import Table, delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from app.access.policy import POLICY
from app.access.roles import Principal, Role
from app.access.walls import ACCOUNT, MEMBER, OF_PEOPLE, ROLES, STATISTICS, WALLS, acting_for
from app.connections.service import own_connection
from app.kit.acting import ANYONE, DOOR, NOBODY, SERVICE, WORKER, Acting
from app.ledger.service import SYSTEM
from app.tables import metadata
from tests.access.rows import SEES, WRITES, Everything, acting
from tests.migrations.test_migrations import fill
from tests.support.logins import LOGIN, dsn
from tests.support.world import NOW, World, alert

on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)

NOT_OURS = {"alembic_version": "says which schema it is; no row of anybody's"}
"""Tables without a wall, with the reason."""
OF_NOBODY = {"guesses": "hashes of addresses, known or not", "spent_challenge": "hashes of random bytes"}
"""Tables whose rows do not say whose they are."""
REFUSED = ("permission denied", "row-level security")
LATER = ("foreign key", "already exists")
"""What is looked at only when the wall has let a row through."""
TELL = {"ledger_entry", "ledger_pending", "outbox", "deletion"}
"""Tables that people's acts are written into and that they do not read, or not all that they may write."""


async def asked(world: World, statement: str, **values: object) -> list[Any]:
    """The rows of one statement, as the owner of everything."""
    engine = create_async_engine(world.owner_url)
    async with engine.connect() as owner:
        rows = (await owner.execute(text(statement), values)).all()
    await engine.dispose()
    return list(rows)


async def everything(world: World) -> Everything:
    engine = create_async_engine(world.owner_url)
    async with engine.connect() as owner:
        rows = {
            name: [dict(row) for row in (await owner.execute(select(table))).mappings()]
            for name, table in metadata.tables.items()
        }
    await engine.dispose()
    return Everything(rows)


async def fill_both(world: World) -> Everything:
    """Both organizations have rows in every table, and two members of each have incidents."""
    for tenants in ((world.union, world.other), (world.other, world.union)):
        await fill(replace(world, union=tenants[0], other=tenants[1]))
        for number in (1, 2):
            body = alert(id=f"b-{number}", member=f"ref-M-{number}", institution=f"Another Bank {number}")
            assert (await world.deliver(body, tenants[0])).status_code == 202
    await world.workers.drain()
    return await everything(world)


def cast(world: World) -> list[Acting]:
    """Each role in both organizations, and for members two people in each."""
    found = [acting(role) for role in (NOBODY.role, ANYONE.role, DOOR.role)]
    for tenant in (world.union, world.other):
        for role in OF_PEOPLE:
            name = {ACCOUNT: "staff", STATISTICS: "staff"}.get(role, role.removeprefix("harmline_"))
            if role != MEMBER:
                found.append(acting(role, tenant.id, tenant.accounts[name]))
        found += [acting(MEMBER, tenant.id, tenant.accounts[who], tenant.members[who]) for who in ("M-1", "M-2")]
    return found


def key_of(table: Table, row: Any) -> tuple[Any, ...]:
    return tuple(row[column.name] for column in table.primary_key)


async def seen_by(world: World, me: Acting, table: Table) -> set[tuple[Any, ...]] | None:
    """The keys of all rows that a role finds without asking for any in particular; None: it may not ask."""
    try:
        async with world.context.database.begin(read_only=True, acting=me) as tx:
            return {tuple(row) for row in (await tx.execute(select(*table.primary_key.columns))).all()}
    except DBAPIError as error:
        if "permission denied" not in str(error.orig):
            raise
        return None


def test_every_table_has_its_wall() -> None:
    assert set(WALLS) == set(metadata.tables)
    assert {role for wall in WALLS.values() for role in wall} <= set(ROLES)
    assert set(SEES) == set(WRITES) == set(ROLES) - {WORKER.role}


@on_postgresql
async def test_every_table_is_closed_to_its_owner_too(world: World) -> None:
    rows = await asked(
        world,
        "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relkind IN ('r', 'p')"
        " AND relnamespace = 'public'::regnamespace",
    )
    open_ones = {name for name, secured, forced in rows if not (secured and forced)}
    assert open_ones == set(NOT_OURS)
    assert {row[0] for row in rows} == set(metadata.tables) | set(NOT_OURS)


@on_postgresql
async def test_one_role_and_one_act_have_one_condition_without_or(world: World) -> None:
    rows = await asked(
        world, "SELECT tablename, roles, cmd, permissive, coalesce(qual, ''), coalesce(with_check, '') FROM pg_policies"
    )
    places = [(table, *roles, act) for table, roles, act, *_ in rows]
    assert len(places) == len(set(places)) > 200
    for table, roles, act, permissive, found, written in rows:
        assert len(roles) == 1, table
        assert roles[0] in ROLES, table
        assert (act != "ALL", permissive) == (True, "PERMISSIVE"), table
        assert " OR " not in found + written, (table, found, written)


@on_postgresql
async def test_no_role_may_more_than_its_policies_say(world: World) -> None:
    ours = "WHERE grantee LIKE 'harmline%' AND table_name <> 'alembic_version'"
    granted = await asked(
        world,
        f"SELECT DISTINCT grantee, table_name, privilege_type FROM information_schema.role_table_grants {ours} UNION"
        f" SELECT DISTINCT grantee, table_name, privilege_type FROM information_schema.column_privileges {ours}",
    )
    policies = {
        (roles[0], table, act) for table, roles, act in await asked(world, "SELECT tablename, roles, cmd FROM pg_policies")
    }
    assert {tuple(row) for row in granted} == policies
    assert not {role for role, *_ in granted} & {NOBODY.role, SERVICE}
    everybodys = await asked(
        world, "SELECT table_name FROM information_schema.role_table_grants WHERE grantee = 'PUBLIC' AND table_schema = 'public'"
    )
    assert {row[0] for row in everybodys} <= set(NOT_OURS)


@on_postgresql
async def test_no_role_can_step_over_the_wall(world: World) -> None:
    rows = await asked(
        world,
        "SELECT rolname, rolsuper, rolbypassrls, rolcanlogin, rolinherit, rolcreaterole FROM pg_roles"
        " WHERE rolname LIKE 'harmline%'",
    )
    assert {row[0] for row in rows} >= {*ROLES, SERVICE, LOGIN}
    assert [row for row in rows if row[1] or row[2] or row[4] or row[5] or row[3] != (row[0] == LOGIN)] == []
    owners = {row[0] for row in await asked(world, "SELECT tableowner FROM pg_tables WHERE schemaname = 'public'")}
    assert not owners & {*ROLES, SERVICE, LOGIN}


@pytest.mark.long
@on_postgresql
async def test_each_role_sees_just_what_it_should(world: World) -> None:
    all_there_is = await fill_both(world)
    assert [name for name, rows in all_there_is.rows.items() if not rows] == []
    shown = hidden = 0
    for me in cast(world):
        for name, table in metadata.tables.items():
            found, sees = await seen_by(world, me, table), SEES[me.role].get(name)
            if sees is None:
                assert found is None, f"{me.role} may read {name}"
                continue
            right = {key_of(table, row) for row in all_there_is.rows[name] if sees(row, me, all_there_is)}
            assert found == right, (me.role, name)
            shown, hidden = shown + len(right), hidden + len(all_there_is.rows[name]) - len(right)
    assert shown > 500
    assert hidden > 1000


@pytest.mark.long
@on_postgresql
async def test_told_nothing_a_role_of_people_sees_nothing(world: World) -> None:
    await fill_both(world)
    for role in OF_PEOPLE:
        for table in metadata.tables.values():
            if table.name not in OF_NOBODY:
                assert not await seen_by(world, Acting(role), table), (role, table.name)


@pytest.mark.long
@on_postgresql
async def test_each_role_writes_only_where_and_what_it_may(world: World) -> None:
    all_there_is = await fill_both(world)
    for me in cast(world):
        for name, table in metadata.tables.items():
            may, sees = name in WRITES[me.role], SEES[me.role].get(name)
            mine = sum(sees(row, me, all_there_is) for row in all_there_is.rows[name]) if sees else 0
            first = next(iter(table.primary_key.columns))
            for statement in (update(table).values({first: first}), delete(table)):
                touched = await tried(world, me, statement)
                assert touched is None or (may and touched <= mine), (me.role, name, touched, mine)
            strange = next((row for row in all_there_is.rows[name] if is_strange(name, row, me, all_there_is)), None)
            if strange is not None:
                anew = {column.name: uuid4() for column in table.primary_key if isinstance(strange[column.name], UUID)}
                keys = {"member_id", "account_id", "connection_id", "organization_id", "matter_id"} - {"id"}
                anew = {column: value for column, value in anew.items() if column not in keys}
                assert await tried(world, me, insert(table).values(**{**strange, **anew})) is None, (me.role, name)


def is_strange(name: str, row: Any, me: Acting, all_there_is: Everything) -> bool:
    """Whether a role must not be able to write such a row."""
    if name not in WRITES[me.role]:
        return True
    if me.organization_id is None:
        return False
    sees = SEES[me.role].get(name)
    return row["organization_id"] != me.organization_id if name in TELL or sees is None else not sees(row, me, all_there_is)


async def tried(world: World, me: Acting, statement: Any) -> int | None:
    """How many rows a statement touches, without anything being kept; None: the wall refuses it."""
    tx = None
    try:
        async with world.context.database.begin(acting=me) as tx:
            touched: int = (await tx.execute(statement)).rowcount
            raise Undo(touched)
    except Undo as undone:
        return int(undone.args[0])
    except DBAPIError as error:
        if any(words in str(error.orig) for words in REFUSED):
            return None
        if any(words in str(error.orig) for words in LATER):
            return -1
        raise


class Undo(Exception):
    """Nothing is to be kept."""


@on_postgresql
async def test_a_lock_is_no_leave_to_write(world: World) -> None:
    me = acting(MEMBER, world.union.id, world.union.accounts["M-1"], world.union.members["M-1"])
    member = metadata.tables["member"]
    async with world.context.database.begin(acting=me) as tx:
        assert len((await tx.execute(select(member.c.id).with_for_update())).all()) == 1
    assert await tried(world, me, update(member).values(id=member.c.id)) is None
    assert await tried(world, me, update(member).values(sealed=b"")) is None


@on_postgresql
async def test_the_login_by_itself_sees_nothing(world: World) -> None:
    login = await asyncpg.connect(dsn(world.context.database.url))
    assert await login.fetchval("SELECT current_user") == LOGIN
    for name in metadata.tables:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await login.fetch(f"SELECT 1 FROM {name}")
    await login.close()


@on_postgresql
async def test_counsel_is_granted_only_by_counsel_whatever_the_code_says(world: World) -> None:
    grants = metadata.tables["role_grant"]
    for role, may in ((Role.ADMIN, False), (Role.COUNSEL, True)):
        me = acting(f"harmline_{role}", world.union.id, world.union.accounts[role])
        new = {"id": uuid4(), "organization_id": world.union.id, "account_id": world.union.accounts[Role.STAFF]}
        row = {**new, "role": "counsel", "granted_by": None, "granted_at": text("now()")}
        assert (await tried(world, me, insert(grants).values(**row)) is not None) is may
        assert (await tried(world, me, insert(grants).values(**{**row, "role": "staff"})) is not None) is not may


@on_postgresql
async def test_a_member_makes_no_connection_but_the_one_of_reports_and_enrolls_nobody_else_and_nowhere_else(world: World) -> None:
    me = acting(MEMBER, world.union.id, world.union.accounts["M-1"], world.union.members["M-1"])
    async with world.context.database.begin() as tx:
        own = await own_connection(tx, world.context.keyring, world.other.id, SYSTEM)
        theirs = await own_connection(tx, world.context.keyring, world.union.id, SYSTEM)
        theirs.closed_at = NOW  # so that there may be one more
    connection, enrollment = metadata.tables["connection"], metadata.tables["enrollment"]
    row = {"organization_id": world.union.id, "title": "x", "sender": "provider", "token_hash": b"x", "created_at": NOW}
    made = {"own": 1, "standard": None, "mail": None}
    for name, touched in made.items():
        new = insert(connection).values(id=uuid4(), connector=name, **row)
        assert await tried(world, me, new) == touched, name
        foreign = insert(connection).values(**{**row, "id": uuid4(), "connector": name, "organization_id": world.other.id})
        assert await tried(world, me, foreign) is None, name
    assert await tried(world, me, update(connection).values(title="x")) is None
    told = {"organization_id": world.union.id, "reference_index": b"x", "created_at": NOW}
    for member, where, may in (
        ("M-1", theirs.id, True),
        ("M-2", theirs.id, False),
        ("M-1", world.union.connection.connection.id, False),
        ("M-1", own.id, False),
    ):
        new = insert(enrollment).values(member_id=world.union.members[member], id=uuid4(), connection_id=where, **told)
        assert (await tried(world, me, new) is not None) is may, (member, where)


@on_postgresql
async def test_a_request_acts_as_the_gate_says(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with await world.sign_in(Role.MEMBER) as browser:
        assert (await browser.get("/v1/me/timeline")).status_code == 200
        monkeypatch.setattr("app.access.gate.acting_for", lambda rule, caller: NOBODY)
        assert (await browser.get("/v1/me/timeline")).status_code == 500


def callers() -> Collection[Principal]:
    return [Principal(uuid4(), uuid4(), role, uuid4() if role is Role.MEMBER else None) for role in Role]


def test_every_rule_acts_as_somebody_for_whom_it_lets_in_and_as_nobody_else() -> None:
    for route, rule in POLICY.items():
        for caller in callers():
            me = acting_for(rule, caller)
            if rule.public:
                assert me == ANYONE
            elif caller.role in rule.roles:
                assert me.role in OF_PEOPLE, route
                assert (me.organization_id, me.account_id) == (caller.organization_id, caller.account_id)
                assert me.member_id == caller.member_id
            else:
                assert me.role in (NOBODY.role, ACCOUNT, STATISTICS, f"harmline_{caller.role}"), (
                    "never as another role than its own"
                )
        assert acting_for(rule, None) == ANYONE
