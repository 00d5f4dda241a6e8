"""The roster's numbers are put under a new index key while everything runs: who is there is found, nobody is added twice."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from app import index_rotation, rotation
from app.access.roles import Role
from app.index_rotation import LOOKED_UP
from app.kit import indexes
from app.kit.context import Context
from app.kit.keyring import Keyring, Lane
from app.ledger.models import LedgerEntry
from app.ledger.service import SYSTEM, Act
from app.members import erasing
from app.members.models import Member
from app.members.roster import Job, RosterEntry
from app.members.service import EXTERNAL, find_member, import_roster
from tests.keys.hanging import keyring_of
from tests.keys.test_dictionary import stolen
from tests.support.world import ROSTER, World

(PLACE,) = LOOKED_UP
KEYS = st.lists(st.binary(min_size=32, max_size=32), max_size=4, unique=True)


@given(st.binary(min_size=32, max_size=32), KEYS)
def test_each_version_is_made_of_the_one_before_and_says_which_it_is(first: bytes, later: list[bytes]) -> None:
    versions = indexes.raised(first, later)
    assert [indexes.version_of(one) for one in versions] == list(range(1, len(later) + 2))
    assert versions[0] == first
    for number, one in enumerate(versions):
        assert indexes.raised(one, later) == versions[number:]
        assert one.startswith(indexes.header(number + 1))
    assert len({one[-indexes.HASH_BYTES :] for one in versions}) == len(versions)


async def rotated(world: World, keyring: Keyring | None = None) -> list[str]:
    """Put the union's under a new version; what was said."""
    said: list[str] = []
    context = world.context
    assert await index_rotation.replace(context.database, keyring or keyring_of(context), world.union.id, said.append) == {}
    return said


async def stored(world: World) -> dict[Any, bytes]:
    """The indexes of the union's members."""
    query = select(Member.id, Member.external_index).where(Member.organization_id == world.union.id)
    async with world.context.database.begin(read_only=True) as tx:
        return {row[0]: row[1] for row in (await tx.execute(query)).all() if row[1] is not None}


async def found(context: Context, keyring: Keyring, world: World) -> dict[str, Any]:
    async with context.database.begin(read_only=True) as tx:
        people = {number: await find_member(tx, keyring, world.union.id, number) for number in (*world.union.members, "M-9")}
    return {number: one.id for number, one in people.items() if one is not None}


async def imported(world: World, keyring: Keyring) -> tuple[int, int, int]:
    async with world.context.database.begin() as tx:
        report = await import_roster(tx, keyring, world.union.id, ROSTER, ())
    return report.added, report.updated, report.unchanged


@pytest.mark.parametrize("times", [1, 3])
async def test_everybody_is_found_by_every_process_and_nobody_is_added_twice(world: World, times: int) -> None:
    context, stale = world.context, keyring_of(world.context)
    assert await found(context, stale, world) == world.union.members
    before = await stored(world)
    for _ in range(times):
        await rotated(world)
    after = await stored(world)
    assert after.keys() == before.keys()
    assert {indexes.version_of(one) for one in after.values()} == {times + 1}
    assert len({*before.values(), *after.values()}) == 2 * len(before)
    for keyring in (stale, keyring_of(context), keyring_of(context)):
        assert await found(context, keyring, world) == world.union.members
        assert await imported(world, keyring) == (0, 0, len(ROSTER))
    stale = keyring_of(context)
    await found(context, stale, world)
    await rotated(world)
    assert await imported(world, stale) == (0, 0, len(ROSTER)), "whoever writes knows of it, whatever they knew before"
    async with context.database.begin(read_only=True) as tx:
        status = await index_rotation.status(tx, keyring_of(context), world.union.id)
        other = await index_rotation.status(tx, keyring_of(context), world.other.id)
        entries = (await tx.execute(select(LedgerEntry.organization_id).where(LedgerEntry.kind == Act.KEY))).scalars().all()
    assert status == {PLACE.name: {"version": times + 2, "left": 0}}
    assert other == {PLACE.name: {"version": 1, "left": 0}}
    assert entries.count(world.union.id) == entries.count(world.other.id) + times + 1


async def test_whoever_has_the_keys_of_before_can_try_nothing_in_the_database_of_after(world: World) -> None:
    async with world.context.database.begin(read_only=True) as tx:
        before = await keyring_of(world.context).opened(tx, world.union.id)
    index = before.index(EXTERNAL, b"M-1")
    assert index in (await stored(world)).values()
    await rotated(world)
    database = await stolen(world)
    async with world.context.database.begin(read_only=True) as tx:
        after = await keyring_of(world.context).opened(tx, world.union.id)
    assert [one for one in (await stored(world)).values() if index[:8] in one] == []
    assert world.context.database.is_sqlite or index[:8] not in database, "SQLite's log still holds it for a while"
    assert after.indexes(EXTERNAL, b"M-1")[0] == index
    assert after.index(EXTERNAL, b"M-1") in database
    assert after.unchanging.later[EXTERNAL][0] not in database
    same = [
        before.index(field, b"x") == after.index(field, b"x") for field in ("receipt.body", "alert.identity", "account.email")
    ]
    assert same == [True] * 3, "what must stay equal stays"


async def test_it_goes_with_every_other_replacing_of_keys(world: World) -> None:
    """Before, between and after versions of the organization's key; and whoever is erased stays so."""
    context = world.context
    await rotated(world)
    where = (context.database, context.keyring, world.union.id, Lane.FACTUAL)
    await rotation.begin(*where)
    assert len([said for said in await rotated(world) if "made" in said]) == 1
    assert await rotation.replace(*where, lambda _: None) == {}
    async with context.database.begin() as tx:
        await erasing.erase(tx, context.keyring, world.union.id, world.union.members["M-2"], SYSTEM)
    await rotated(world)
    there = {number: one for number, one in world.union.members.items() if number != "M-2"}
    assert await found(context, keyring_of(context), world) == there
    assert {indexes.version_of(one) for one in (await stored(world)).values()} == {4}
    assert await world.timeline("M-1") == []


async def test_what_was_begun_is_ended_before_anything_new_is_begun(world: World) -> None:
    context = world.context
    where = (context.database, keyring_of(context), world.union.id)
    assert await index_rotation.begin(*where, PLACE) == (2, True)
    assert await index_rotation.begin(*where, PLACE) == (2, False)
    assert await found(context, keyring_of(context), world) == world.union.members
    new = RosterEntry(2, "M-7", "Drew Invented", None, {Job(date(2012, 1, 1), None)})
    async with context.database.begin() as tx:
        await import_roster(tx, context.keyring, world.union.id, [new], ())
    assert sorted(indexes.version_of(one) for one in (await stored(world)).values()) == [1, 1, 1, 2]
    assert any("going on" in said for said in await rotated(world))
    assert await index_rotation.begin(*where, PLACE) == (3, True)


async def test_a_version_waits_for_whoever_is_importing_and_they_cannot_miss_it(world: World, database_kind: str) -> None:
    """On PostgreSQL. SQLite has one writer, so that nobody can be in the middle of anything."""
    if database_kind == "sqlite":
        return
    context, first, second = world.context, keyring_of(world.context), keyring_of(world.context)
    new = [RosterEntry(2, "M-7", "Drew Invented", None, {Job(date(2012, 1, 1), None)})]
    await found(context, second, world)
    async with context.database.begin() as tx:
        assert (await import_roster(tx, first, world.union.id, new, ())).added == 1
        rotating = asyncio.create_task(rotated(world))
        await asyncio.sleep(0.3)
        assert not rotating.done()
    await rotating
    async with context.database.begin() as tx:
        assert (await import_roster(tx, second, world.union.id, new, ())).unchanged == 1
    assert {indexes.version_of(one) for one in (await stored(world)).values()} == {2}
    async with context.database.begin() as tx:
        await index_rotation.while_nobody_writes(tx, context.keyring, world.union.id)
        importing = asyncio.create_task(imported(world, second))
        await asyncio.sleep(0.3)
        assert not importing.done(), "whoever comes meanwhile waits, and then reads the keys anew"
    assert await importing == (0, 0, len(ROSTER))


async def test_the_roster_and_the_emergency_go_by_number_as_before(world: World) -> None:
    await rotated(world)
    async with await world.sign_in(Role.CASEWORKER) as caseworker:
        asked = {"external_id": "M-2", "reason": "They cannot be reached."}
        assert (await caseworker.post("/v1/break-glass", json=asked)).status_code == 201
        assert (await caseworker.post("/v1/break-glass", json=asked | {"external_id": "M-99"})).status_code in (404, 422)
