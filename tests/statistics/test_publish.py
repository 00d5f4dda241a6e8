"""Publishing: editions are numbered, stored once and never changed; what staff read is what was stored, and names nobody."""

from __future__ import annotations

import asyncio
import json
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError

from app.access.roles import Role
from app.kit import clock
from app.ledger.models import LedgerEntry
from app.members import service as members
from app.members.roster import EnrollmentEntry, Job, RosterEntry
from app.statistics.models import StatisticsRelease
from app.statistics.workers import publish_release
from tests.support.rows import contents
from tests.support.world import World, alert

PEOPLE, BYSTANDERS = 30, 20
NAMES = ["Avery", "Blake", "Casey", "Canary", "example.org", "P-1", "ref-"]


async def crowd(world: World, start: int = 0, size: int = PEOPLE) -> None:
    """So many more people, each with one alert, on a roster with some who have none."""
    numbers = [f"P-{n}" for n in range(start, start + size)]
    async with world.context.database.begin() as tx:
        keyring, own, connection = world.context.keyring, world.union.id, world.union.connection.connection.id
        jobs, bystanders = {Job(date(2015, 1, 1), None)}, [f"Q-{n}" for n in range(BYSTANDERS)]
        people = [RosterEntry(n, number, f"Canary {number}", None, jobs) for n, number in enumerate(numbers + bystanders)]
        await members.import_roster(tx, keyring, own, people, ())
        entries = [EnrollmentEntry(n, number, f"ref-{number}", True, None, None) for n, number in enumerate(numbers)]
        await members.import_enrollments(tx, keyring, own, connection, entries, ())
    batch = [alert(id=f"a-{number}", member=f"ref-{number}", institution=f"Canary Bank {number}") for number in numbers]
    assert (await world.deliver({"alerts": batch})).status_code == 202
    await world.workers.drain()
    clock.set_to(clock.now() + timedelta(days=40))  # only months that have ended are counted


async def publish(world: World) -> None:
    async with world.context.database.begin() as tx:
        await publish_release(tx, world.context, world.union.id)


async def stored(world: World) -> list[StatisticsRelease]:
    async with world.context.database.begin(read_only=True) as tx:
        return list((await tx.execute(select(StatisticsRelease).order_by(StatisticsRelease.number))).scalars())


async def read(world: World, role: Role = Role.STAFF, tenant: Any = None) -> Any:
    async with await world.sign_in(role, tenant=tenant) as browser:
        return await browser.get("/v1/statistics/incidents")


async def test_what_staff_read_is_the_stored_edition_and_names_nobody(world: World) -> None:
    await crowd(world)
    assert (await read(world)).status_code == 404, "before the first edition there is nothing"
    await publish(world)
    (edition,) = await stored(world)
    answer = await read(world)
    assert answer.status_code == 200
    assert answer.json() == edition.body
    assert answer.json() == (await read(world, Role.COUNSEL)).json()
    assert answer.json()["audit"]["passed"] is True
    values = [cell["value"] for cube in answer.json()["cubes"] for cell in cube["cells"]]
    assert PEOPLE in values
    assert all(value is None or value >= 11 for value in values)
    assert [word for word in NAMES if word in json.dumps(edition.body)] == []
    assert (await read(world, tenant=world.other)).status_code == 404
    for role in (Role.MEMBER, Role.CASEWORKER, Role.ADMIN, Role.AUDITOR):
        assert (await read(world, role)).status_code == 403


@pytest.mark.long
async def test_a_reader_sees_the_same_until_the_next_edition_whatever_happens_meanwhile(world: World) -> None:
    await crowd(world)
    await publish(world)
    before = (await read(world)).json()
    await crowd(world, start=PEOPLE, size=15)
    assert (await read(world)).json() == before
    await publish(world)
    assert (await read(world)).json() != before
    editions = await stored(world)
    assert [edition.number for edition in editions] == [1, 2]
    assert editions[0].body == before
    assert (await read(world)).json() == editions[1].body


async def test_an_edition_cannot_be_changed_and_is_in_the_ledger(world: World) -> None:
    await crowd(world)
    await publish(world)
    for change in (update(StatisticsRelease).values(number=7), text("DELETE FROM statistics_release")):
        async with world.context.database.begin() as tx:
            with pytest.raises(DBAPIError, match=r"never changed|permission denied"):
                await tx.execute(change)
            await tx.rollback()
    (edition,) = await stored(world)
    async with world.context.database.begin(read_only=True) as tx:
        (entry,) = (await tx.execute(select(LedgerEntry).where(LedgerEntry.kind == "release"))).scalars()
    assert entry.subjects == {"release": str(edition.id)}


async def test_two_who_publish_at_once_make_two_editions_one_after_the_other(world: World) -> None:
    await crowd(world)
    await asyncio.gather(publish(world), publish(world))
    editions = await stored(world)
    assert [edition.number for edition in editions] == [1, 2]
    assert editions[1].body["audit"]["earlier_editions"] == 1


async def test_an_edition_that_fails_leaves_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await crowd(world)
    before = await contents(world.context.database)

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("app.statistics.workers.append", fail)
    with pytest.raises(RuntimeError):
        await publish(world)
    assert await contents(world.context.database) == before


@pytest.mark.long
async def test_an_erased_member_changes_no_edition_and_still_counts_in_the_roster(world: World) -> None:
    await crowd(world)
    await publish(world)
    before = (await read(world)).json()
    async with await world.sign_in(Role.ADMIN) as admin:
        assert (await admin.post(f"/v1/members/{world.union.members['M-1']}/erasure")).status_code == 204
    await world.workers.drain()
    assert (await read(world)).json() == before
    await publish(world)
    assert (await read(world)).json()["population"] == before["population"] == PEOPLE + BYSTANDERS + 3
    async with world.context.database.begin(read_only=True) as tx:
        assert (await tx.execute(select(func.count()).select_from(StatisticsRelease))).scalar_one() == 2
