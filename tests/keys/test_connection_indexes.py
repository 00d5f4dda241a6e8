"""What came over a connection is put under a new index key at once: what is the same stays the same, and nobody is missed."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from app import connection_indexes
from app.connections.models import Connection
from app.incidents.models import MemberAlert
from app.intake.models import AlertRow, Event, EventOutcome, LookUpState, Receipt
from app.kit import clock, indexes
from app.kit.acting import WORKER
from app.kit.context import Context
from app.kit.outbox import Message
from app.ledger.models import LedgerEntry
from app.ledger.service import SYSTEM, Act
from app.members import erasing
from app.members import service as members
from app.members.roster import EnrollmentEntry
from app.members.service import REFERENCE_FORGOTTEN
from app.tables import metadata
from tests.connectors.stage import PEOPLE
from tests.intake.answering_late import asked_and_silent
from tests.intake.exports import connected, exported, handed
from tests.intake.looked_up import looked_up_world
from tests.keys.hanging import keyring_of
from tests.keys.test_indexes import NOTHING, make_busy
from tests.keys.test_rotation import EQUAL_FOR_EVER
from tests.support.world import World, alert

OF_OTHERS = {
    *("member.external_index", "account.email_index", "guesses.key"),
    *("provider_link.subject_index", "member_event.institution_index"),
}
"""Indexes that say something beyond one connection."""


async def moved(world: World) -> list[str]:
    """Put the union's connections under a new version, as another process does; what was said."""
    said: list[str] = []
    context = world.context
    assert await connection_indexes.replace(context.database, keyring_of(context), world.union.id, said.append) == {}
    return said


async def stored(world: World, organization_id: UUID) -> dict[str, Counter[bytes]]:
    """Every index of an organization's connections, by column."""
    found = {}
    async with world.context.database.begin(read_only=True) as tx:
        mine = select(Connection.id).where(Connection.organization_id == organization_id)
        for name in sorted(connection_indexes.columns()):
            table, column = name.split(".")
            own = metadata.tables[table].c
            query = select(own[column]).where(own.connection_id.in_(mine), own[column].is_not(None))
            found[name] = Counter(value for value in (await tx.execute(query)).scalars() if value != NOTHING)
    return found


async def versions(world: World) -> set[int]:
    """Of which versions the union's indexes are."""
    found = await stored(world, world.union.id)
    return {indexes.version_of(one) for values in found.values() for one in values}


async def outcomes(world: World) -> list[EventOutcome]:
    async with world.context.database.begin(read_only=True) as tx:
        query = select(Event.outcome).where(Event.connection_id == world.union.connection.connection.id)
        return [EventOutcome(one) for one in (await tx.execute(query.order_by(Event.id))).scalars()]


async def count(world: World, table: Any) -> int:
    async with world.context.database.begin(read_only=True) as tx:
        return (await tx.execute(select(func.count()).select_from(table))).scalar_one()


async def received(world: World, body: bytes | dict[str, Any]) -> tuple[str, bool]:
    """The receipt of a delivery, and whether it is a repeat."""
    answer = await world.deliver(body)
    assert answer.status_code == 202
    return answer.json()["receipt"], answer.json()["repeat"]


async def matched(world: World) -> dict[str, int]:
    """How many alerts each of the union's members has, after all work is done."""
    await world.workers.drain()
    numbers = {member_id: number for number, member_id in world.union.members.items()}
    async with world.context.database.begin(read_only=True) as tx:
        query = select(MemberAlert.member_id, func.count()).group_by(MemberAlert.member_id)
        return {numbers[row[0]]: row[1] for row in (await tx.execute(query)).all()}


async def enrolled(world: World, who: str, reference: str) -> tuple[int, int]:
    """Import one enrollment with its consent; how many were added, and how many were there."""
    async with world.context.database.begin() as tx:
        entry = EnrollmentEntry(1, who, reference, True, None, None)
        where = (world.union.id, world.union.connection.connection.id)
        report = await members.import_enrollments(tx, world.context.keyring, *where, [entry], ())
    return report.added, report.unchanged


def test_every_index_that_came_over_a_connection_is_moved() -> None:
    assert connection_indexes.columns() == EQUAL_FOR_EVER - OF_OTHERS


@pytest.mark.long
async def test_each_index_becomes_the_one_made_of_it_and_nobody_elses_changes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_busy(world)
    monkeypatch.setattr(connection_indexes, "BATCH", 2)
    before, theirs = await stored(world, world.union.id), await stored(world, world.other.id)
    assert {name for name, values in before.items() if not values} <= {"poll_subject.reference_index"}
    for version in (2, 3):
        said = await moved(world)
        assert f"connections: version {version} made" in said
        async with world.context.database.begin(read_only=True) as tx:
            keys = await keyring_of(world.context).opened(tx, world.union.id)
            status = await connection_indexes.status(tx, keyring_of(world.context), world.union.id)
        after = await stored(world, world.union.id)
        fields = {f"{t.__tablename__}.{c}": field for t, made in connection_indexes._TABLES for c, field in made.items()}
        for name, values in before.items():
            assert after[name] == Counter({keys.unchanging.raised(fields[name], one)[-1]: n for one, n in values.items()}), name
        assert {indexes.version_of(one) for values in after.values() for one in values} == {version}
        assert status["connections"] == {"version": version, "left": 0}
        assert not {one for values in before.values() for one in values} & {one for v in after.values() for one in v}
    assert await stored(world, world.other.id) == theirs
    async with world.context.database.begin(read_only=True) as tx:
        entries = (await tx.execute(select(LedgerEntry.organization_id).where(LedgerEntry.kind == Act.KEY))).scalars().all()
    connections = len((await stored_versions(world))[world.union.id])
    assert entries.count(world.union.id) >= 2 * (1 + connections)


async def stored_versions(world: World) -> dict[UUID, list[int]]:
    """The versions of all connections, by organization."""
    found: dict[UUID, list[int]] = {}
    async with world.context.database.begin(read_only=True) as tx:
        for one, version in (await tx.execute(select(Connection.organization_id, Connection.index_version))).all():
            found.setdefault(one, []).append(version)
    return found


async def test_what_is_the_same_stays_the_same(world: World) -> None:
    receipt, repeat = await received(world, alert())
    assert not repeat
    await world.workers.drain()
    for turn in range(2):
        await moved(world)
        assert await received(world, alert()) == (receipt, True), "by a door that has not heard of it"
        assert (await received(world, json.dumps(alert(), indent=3 + turn).encode()))[1] is False
        await world.workers.drain()
        assert await enrolled(world, "M-1", "ref-M-1") == (0, 1)
    await received(world, alert(summary="Something else."))
    await received(world, alert(member="ref-M-2"))
    await world.workers.drain()
    sightings = [EventOutcome.SIGHTING] * 2
    assert await outcomes(world) == [EventOutcome.NEW, *sightings, EventOutcome.REVISION, EventOutcome.QUARANTINED]
    assert await count(world, AlertRow) == 1
    assert await matched(world) == {"M-1": 1}
    assert (await received(world, alert(id="a-2")))[1] is False
    assert await matched(world) == {"M-1": 2}, "whoever was enrolled before is found by what comes afterwards"


async def test_what_waits_for_an_enrollment_is_found_by_it_afterwards(world: World) -> None:
    await received(world, alert(id="w-1", member="ref-new"))
    await world.workers.drain()
    await moved(world)
    await received(world, alert(id="w-2", member="ref-new"))
    assert await matched(world) == {}
    assert await enrolled(world, "M-1", "ref-new") == (1, 0)
    assert await matched(world) == {"M-1": 2}


async def test_a_repeat_of_something_erased_is_still_known(world: World) -> None:
    receipt, _ = await received(world, alert())
    await world.workers.drain()
    async with world.context.database.begin() as tx:
        await erasing.erase(tx, world.context.keyring, world.union.id, world.union.members["M-1"], SYSTEM)
    await moved(world)  # what is to be forgotten under the reference is on its way meanwhile
    async with world.context.database.begin(read_only=True) as tx:
        told = (await tx.execute(select(Message.payload).where(Message.topic == REFERENCE_FORGOTTEN))).scalars().all()
    assert [indexes.version_of(bytes.fromhex(one["reference_index"])) for one in told] == [2]
    await world.workers.drain()
    async with world.context.database.begin(read_only=True) as tx:
        (kept,) = (await tx.execute(select(Receipt))).scalars()
    assert kept.wrapped_key is None, "it was forgotten"
    assert await received(world, alert()) == (receipt, True)
    await moved(world)
    assert await received(world, alert()) == (receipt, True)
    await world.workers.drain()
    assert await count(world, AlertRow) == 1


async def test_notices_and_files_are_known_again(world: World) -> None:
    connection_id = await connected(world)
    assert (await handed(world, connection_id, exported(4), at_once=None)).already is False
    async with looked_up_world(world) as crs:
        await crs.enroll()
        crs.happens()
        await crs.notices()
        waiting = list(crs.provider.waiting)
        await world.workers.ask()
        asked, alerts = crs.details_asked, await count(world, AlertRow)
        assert await crs.states() == [LookUpState.DONE]
        await moved(world)
        assert (await crs.notices(waiting)).json()["repeat"] is True
        assert (await crs.notices(waiting + waiting)).json()["repeat"] is False
        await world.workers.ask()
        assert await crs.states() == [LookUpState.DONE]
        assert (crs.details_asked, await count(world, AlertRow)) == (asked, alerts)
    assert (await handed(world, connection_id, exported(4), at_once=None)).already is True


async def test_who_asks_a_provider_meanwhile_asks_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with asked_and_silent(world, monkeypatch) as (stage, answers):
        await moved(world)
        await answers()
        for _ in range(3):
            await world.workers.ask()
        found = await stored(world, world.union.id)
        abouts, subjects = found["receipt.about_index"], found["poll_subject.reference_index"]
        assert set(abouts) == set(subjects) == set(found["enrollment.reference_index"]) & set(subjects)
        assert len(subjects) == len(PEOPLE)
        assert {indexes.version_of(one) for one in (*abouts, *subjects)} == {2}
        kept = await count(world, Receipt)
        await moved(world)
        clock.set_to(clock.now() + stage.connector.poll.every * 2)  # type: ignore[union-attr]
        await world.workers.ask()
        assert await count(world, Receipt) == kept, "the same pages are repeats"


async def test_a_new_connection_is_of_the_newest_version(world: World) -> None:
    await moved(world)
    await connected(world)
    assert set((await stored_versions(world))[world.union.id]) == {2}
    await moved(world)
    assert set((await stored_versions(world))[world.union.id]) == {3}
    assert set((await stored_versions(world))[world.other.id]) == {1}


async def test_what_was_begun_is_ended_before_anything_new_is_begun(world: World) -> None:
    await connected(world)
    where = (world.context.database, keyring_of(world.context), world.union.id)
    receipt, _ = await received(world, alert())
    assert await connection_indexes.begin(*where) == (2, True)
    assert await connection_indexes.begin(*where) == (2, False)
    assert await received(world, alert()) == (receipt, True)
    await connection_indexes.move(*where[:2], world.union.connection.connection.id, lambda _: None)
    assert sorted((await stored_versions(world))[world.union.id]) == [1, 2]
    assert await received(world, alert()) == (receipt, True)
    assert await connection_indexes.begin(*where) == (2, False)
    assert "connections: version 2 was made already, going on" in await moved(world)
    assert await connection_indexes.begin(*where) == (3, True)


async def test_everybody_waits_for_it_and_then_knows(world: World, database_kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held in its middle, with every row moved. On SQLite whoever waits there is waited for in this very process."""
    receipt, _ = await received(world, alert())
    await received(world, alert(id="a-2"))
    inside, go_on, real = asyncio.Event(), asyncio.Event(), connection_indexes.move_messages

    async def held(*where: Any) -> None:
        await real(*where)
        inside.set()
        await go_on.wait()

    monkeypatch.setattr(connection_indexes, "move_messages", held)
    moving = asyncio.create_task(moved(world))
    await inside.wait()
    same = asyncio.create_task(received(world, alert()))
    new = asyncio.create_task(received(world, alert(id="a-3")))
    working = asyncio.create_task(world.workers.drain())
    enrolling = asyncio.create_task(enrolled(world, "M-1", "ref-M-1"))
    await asyncio.sleep(0.3)
    assert not any(task.done() for task in (same, new, working, enrolling))
    go_on.set()
    await asyncio.gather(moving, same, new, working, enrolling)
    assert (same.result(), new.result()[1], enrolling.result()) == ((receipt, True), False, (0, 1))
    assert await matched(world) == {"M-1": 3}
    assert await count(world, Receipt) == 3
    assert await versions(world) == {2}


async def test_it_gives_way_to_whoever_writes_for_long(world: World, database_kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On PostgreSQL. SQLite has one writer, for which everybody waits anyway."""
    if database_kind == "sqlite":
        return
    monkeypatch.setattr(connection_indexes, "SOON", 0.1)
    context = world.context
    where = (context.database, keyring_of(context), world.union.id)
    async with context.database.begin(acting=WORKER) as tx:
        await tx.execute(select(1))
        with pytest.raises(DBAPIError):
            async with context.database.begin(alone=True) as alone:
                await alone.execute(select(1))
        moving = asyncio.create_task(moved(world))
        await asyncio.sleep(2.5)
        assert not moving.done()
    assert any("others are writing" in said for said in await moving)
    monkeypatch.setattr(connection_indexes, "TURNS", 1)
    async with context.database.begin(acting=WORKER) as tx:
        await tx.execute(select(1))
        assert await connection_indexes.replace(*where, lambda _: None) == {"connections": 1}
    assert await received(world, alert())


async def _sender(
    world: World, bodies: Sequence[dict[str, Any]], ids: dict[str, set[str]], seed: int, over: asyncio.Event
) -> None:
    chosen = random.Random(seed)
    while not over.is_set():
        body = chosen.choice(bodies)
        answer = await world.deliver(body)
        if answer.status_code == 202:
            ids.setdefault(body["id"], set()).add(answer.json()["receipt"])
        else:
            assert answer.status_code == 503


async def _in_work(world: World, context: Context, over: asyncio.Event) -> None:
    while not over.is_set():
        await world.workers.drain()
        await enrolled(world, "M-2", "ref-M-2")
        await asyncio.sleep(0.01)


async def test_deliveries_work_and_enrollments_go_on_while_it_is_done_again_and_again(world: World) -> None:
    over, ids = asyncio.Event(), dict[str, set[str]]()
    bodies = [alert(id=f"n-{n}", member=f"ref-M-{1 + n % 2}") for n in range(40)]
    busy = [asyncio.create_task(_sender(world, bodies, ids, seed, over)) for seed in range(3)]
    busy.append(asyncio.create_task(_in_work(world, world.context, over)))
    for _ in range(4):
        await asyncio.sleep(0.3)
        await moved(world)
    await asyncio.sleep(0.2)
    over.set()
    await asyncio.gather(*busy)
    assert len(ids) > 20
    assert {len(kept) for kept in ids.values()} == {1}, "each body has one receipt, whenever it came"
    assert await count(world, Receipt) == await count(world, AlertRow) == len(ids)
    assert await matched(world) == Counter(body["member"].removeprefix("ref-") for body in bodies if body["id"] in ids)
    assert set(await outcomes(world)) == {EventOutcome.NEW}
    assert await versions(world) == {5}


async def test_a_large_connection_is_left_until_somebody_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_indexes, "LARGE", 1)
    await connected(world)
    receipt, _ = await received(world, alert())
    await received(world, alert(id="a-2"))
    said: list[str] = []
    where = (world.context.database, keyring_of(world.context), world.union.id, said.append)
    assert await connection_indexes.replace(*where) == {"connections": 1}
    assert any("2 receipts, left as it is" in one for one in said)
    assert sorted((await stored_versions(world))[world.union.id]) == [1, 2]
    assert await received(world, alert()) == (receipt, True)
    assert await connection_indexes.replace(*where, large=True) == {}
    assert set((await stored_versions(world))[world.union.id]) == {2}
    assert await received(world, alert()) == (receipt, True)
