"""The ledger: rows that nobody changes, commitments that bind everything, no act without its entry and none without its act."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from app.access.walls import ROLES
from app.kit import canonical, crypto
from app.kit.acting import ITSELF, SERVICE
from app.kit.database import Database, Transaction
from app.kit.ids import uuid7
from app.kit.keyring import Keyring
from app.kit.migrate import upgrade
from app.ledger.models import LedgerEntry
from app.ledger.repository import entries_after
from app.ledger.service import Act, Actor, Entry, append, commitment, entry_row, statement
from app.members.models import Organization
from app.members.service import create_organization
from app.statistics.models import StatisticsRelease
from tests.support.postgres import PostgresServer

AT = datetime(2023, 6, 1, 12, tzinfo=UTC)
VERBS = {"UPDATE": "UPDATE {} SET id = id", "DELETE": "DELETE FROM {}", "TRUNCATE": "TRUNCATE {} CASCADE"}
TABLES = ["ledger_entry", "statistics_release"]
FIELDS: dict[str, Any] = {
    "id": st.uuids(),
    "organization_id": st.uuids(),
    "kind": st.sampled_from(Act),
    "member_id": st.none() | st.uuids(),
    "actor_id": st.none() | st.uuids(),
    "actor_role": st.none() | st.sampled_from(["member", "counsel"]),
    "subjects": st.dictionaries(st.sampled_from(["receipt", "link"]), st.uuids().map(str)),
    "at": st.datetimes(timezones=st.just(UTC)),
}
FACTS = st.dictionaries(st.text(max_size=5), st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5), max_size=3)


def test_every_field_of_an_entry_is_known_here() -> None:
    assert {column.key for column in LedgerEntry.__table__.columns} == {*FIELDS, "commitment"}


@settings(max_examples=30)
@given(st.fixed_dictionaries(FIELDS), FACTS, st.data())
def test_a_commitment_binds_every_field_the_facts_and_the_salt(values: dict[str, Any], facts: dict[str, Any], data: Any) -> None:
    salt = bytes(32)
    made = commitment(salt, statement(LedgerEntry(**values), facts))
    assert made == commitment(salt, statement(LedgerEntry(**values), dict(reversed(facts.items()))))
    for name, strategy in FIELDS.items():
        other = data.draw(strategy.filter(lambda value, name=name: value != values[name]))
        assert commitment(salt, statement(LedgerEntry(**{**values, name: other}), facts)) != made, name
    assert commitment(salt, statement(LedgerEntry(**values), {**facts, "more": 1})) != made
    assert commitment(bytes(31) + b"\x01", statement(LedgerEntry(**values), facts)) != made


@settings(max_examples=30)
@given(FACTS)
def test_an_entry_binds_the_same_whether_its_facts_are_given_or_written_already(facts: dict[str, Any]) -> None:
    salt, ids = bytes(32), {"receipt": uuid7()}
    row = entry_row(Entry(uuid7(), Act.RECEIPT, facts, ids), uuid7(), salt, AT)
    written = entry_row(Entry(row["organization_id"], Act.RECEIPT, canonical.dumps(facts), ids), row["id"], salt, AT)
    assert row == written
    assert row["commitment"] == commitment(salt, statement(LedgerEntry(**row), facts))
    assert row["at"] == AT


@asynccontextmanager
async def filled(url: str) -> AsyncIterator[tuple[Database, UUID, dict[str, Any]]]:
    """A database with one entry of known facts, and one release; the organization, and what the entry was made of."""
    database, keyring = Database(url), Keyring(crypto.new_key())
    async with database.begin() as tx:
        organization_id = (await create_organization(tx, keyring, "A union")).id
        told = {
            "facts": {"what": "éçà", "n": 3},
            "salt": crypto.new_key(),
            "member_id": uuid7(),
            "actor": Actor(uuid7(), "admin"),
        }
        entry_id = await append(tx, keyring, organization_id, Act.VIEW, **told, receipt=uuid7())
        await tx.execute(insert(StatisticsRelease).values(**_release(organization_id)))
    yield database, organization_id, {**told, "id": entry_id}
    await database.close()


def _release(organization_id: UUID, number: int = 1) -> dict[str, Any]:
    row = {"id": uuid7(), "organization_id": organization_id, "number": number}
    return {**row, "as_of": AT, "body": {}, "published_at": AT}


async def test_a_stored_entry_proves_itself_with_its_facts_and_salt(database_url: str) -> None:
    async with filled(database_url) as (database, organization_id, told), database.begin(read_only=True) as tx:
        rows = await entries_after(tx, organization_id, UUID(int=0), 10)
        (row,) = [row for row in rows if row.id == told["id"]]
        assert row.commitment == commitment(told["salt"], statement(row, told["facts"]))
        assert (row.actor_id, row.actor_role, row.member_id) == (told["actor"].id, "admin", told["member_id"])
        assert [row.id for row in rows] == sorted(row.id for row in rows)
        assert await entries_after(tx, uuid7(), UUID(int=0), 10) == []


async def test_equal_facts_give_unequal_commitments(database_url: str) -> None:
    async with filled(database_url) as (database, organization_id, _):
        keyring = Keyring(crypto.new_key())
        keyring._opened = {}
        async with database.begin() as tx:
            other = (await create_organization(tx, keyring, "B")).id
            for _ in range(2):
                await append(tx, keyring, other, Act.VIEW, facts={"what": "roster"})
            rows = await entries_after(tx, other, UUID(int=0), 10)
        assert len({row.commitment for row in rows}) == len(rows)
        assert organization_id != other


async def _snapshot(tx: Transaction, table: str) -> list[Any]:
    return [tuple(row) for row in (await tx.execute(text(f"SELECT * FROM {table} ORDER BY id"))).all()]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("table", TABLES)
async def test_no_row_can_be_changed_deleted_or_swept_away(database_url: str, table: str, verb: str) -> None:
    async with filled(database_url) as (database, _, _):
        if database.is_sqlite and verb == "TRUNCATE":
            verb = "DELETE"  # SQLite has no TRUNCATE; its own form of it is DELETE without WHERE
        async with database.begin(read_only=True) as tx:
            before = await _snapshot(tx, table)
        with pytest.raises(DBAPIError, match=r"never changed|permission denied"):
            await _run(database, VERBS[verb].format(table))
        async with database.begin(read_only=True) as tx:
            assert await _snapshot(tx, table) == before
        assert before


async def _run(database: Database, statement: str) -> None:
    async with database.begin() as tx:
        await tx.execute(text(statement))


async def test_the_applications_own_ways_to_change_a_row_fail_too(database_url: str) -> None:
    async with filled(database_url) as (database, _, told):
        for change in (update(LedgerEntry).values(kind="other"), delete(LedgerEntry).where(LedgerEntry.id == told["id"])):
            async with database.begin() as tx:
                with pytest.raises(DBAPIError):
                    await tx.execute(change)
                await tx.rollback()
        if database.is_sqlite:
            for table in TABLES:
                with pytest.raises(DBAPIError, match="never changed"):
                    await _run(database, f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")


@pytest.fixture
async def owned_url(postgres: PostgresServer, database_prefix: str) -> AsyncIterator[str]:
    """A migrated PostgreSQL database that belongs to a role without any privilege of its own."""
    name, role = f"{database_prefix}_owned{next(_SERIAL)}", f"{database_prefix}_owner"
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    await admin.execute(f"CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD 'only-for-this-test'")
    for one in (SERVICE, *ROLES):
        made = "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL"  # by another test of this run
        await admin.execute(f"DO $$ BEGIN CREATE ROLE {one} NOLOGIN NOINHERIT; {made}; END $$")
    await admin.execute(f"GRANT {', '.join(ROLES)} TO {SERVICE}")
    await admin.execute(f"GRANT {SERVICE} TO {role}")
    await admin.execute(f"CREATE DATABASE {name} OWNER {role}")
    url = postgres.url(name).replace(
        f"//{postgres.base.partition('//')[2].partition('@')[0]}@", f"//{role}:only-for-this-test@", 1
    )
    await asyncio.to_thread(upgrade, url)
    yield url
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.execute(f"DROP ROLE {role}")
    await admin.close()


_SERIAL = count(1)


async def test_even_the_owner_of_the_tables_is_refused_by_its_grants(owned_url: str) -> None:
    async with filled(owned_url) as (database, _, _):
        owner = database.acting_as(ITSELF)
        async with owner.begin() as tx:
            assert (await tx.execute(text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"))).scalar_one() is False
        for table in TABLES:
            for statement_ in VERBS.values():
                for who in (owner, database):
                    with pytest.raises(DBAPIError, match="permission denied"):
                        await _run(who, statement_.format(table))
            async with database.begin(read_only=True) as tx:
                assert await _snapshot(tx, table)


async def test_an_act_that_is_rolled_back_leaves_no_entry_and_an_entry_that_fails_leaves_no_act(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, keyring = Database(database_url), Keyring(crypto.new_key())
    async with database.begin() as tx:
        await create_organization(tx, keyring, "never founded")
        await tx.rollback()

    async def no_entry(*_: Any, **__: Any) -> None:
        raise RuntimeError("the ledger is full")

    monkeypatch.setattr("app.members.service.append", no_entry)
    with pytest.raises(RuntimeError):
        await _found(database, keyring)
    async with database.begin(read_only=True) as tx:
        for table in (Organization, LedgerEntry):
            assert (await tx.execute(select(func.count()).select_from(table))).scalar_one() == 0
    await database.close()


async def _found(database: Database, keyring: Keyring) -> None:
    async with database.begin() as tx:
        await create_organization(tx, keyring, "never founded")
