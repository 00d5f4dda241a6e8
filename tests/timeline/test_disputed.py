"""What a mark over a stretch of time does: it holds for all that was received in it, for nothing else, and touches no row."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from app.access.roles import Role
from app.connections import disputing
from app.connections import service as connections
from app.connections.schemas import DisputeView
from app.incidents.disputed import disputed_events, disputed_incidents
from app.incidents.models import MemberEvent
from app.kit import clock
from app.members import service as members
from app.members.roster import EnrollmentEntry
from app.timeline.wording import DISPUTED
from connectors.contract import Sender
from tests.support.rows import contents, counts, grown
from tests.support.world import NOW, Tenant, World, alert

DAY = timedelta(days=1)
FROM, UNTIL = NOW - 20 * DAY, NOW - 10 * DAY
TICK = timedelta(microseconds=1)
AT = {"before": FROM - TICK, "first": FROM, "amid": NOW - 15 * DAY, "last": UNTIL - TICK, "end": UNTIL, "after": NOW - DAY}
INSIDE = {"first", "amid", "last"}


async def received(world: World, moment: datetime, number: str, tenant: Tenant | None = None, **change: Any) -> None:
    """One alert, received at a moment; each is an incident of its own, told apart by its institution."""
    clock.set_to(moment)
    body = {**alert(id=number, institution=f"Bank {number}"), **change}
    del body["last_four"]
    assert (await world.deliver(body, tenant)).status_code == 202
    await world.workers.drain()
    clock.set_to(NOW)


async def mark(world: World, start: datetime = FROM, end: datetime | None = UNTIL, tenant: Tenant | None = None) -> DisputeView:
    tenant = tenant or world.union
    where = (world.context.keyring, tenant.id, tenant.connection.connection.id)
    async with world.context.database.begin() as tx:
        return await disputing.dispute(tx, *where, received_from=start, received_until=end, reason="Taken over.")


async def withdraw(world: World, dispute_id: UUID) -> None:
    where = (world.context.keyring, world.union.id, world.union.connection.connection.id)
    async with world.context.database.begin() as tx:
        await disputing.withdraw(tx, *where, dispute_id)


async def doubtful(world: World, who: str = "M-1", tenant: Tenant | None = None) -> set[str]:
    """The institutions of the incidents that a member reads to be disputed."""
    return {item["institution"] for item in await world.timeline(who, tenant) if item["disputed"]}


def banks(names: set[str]) -> set[str]:
    return {f"Bank {name}" for name in names}


async def second_connection(world: World) -> Tenant:
    """Another service that tells the same organization about the same member."""
    keyring, own = world.context.keyring, world.union.id
    async with world.context.database.begin() as tx:
        made = await connections.create_connection(tx, keyring, own, connector="standard", title="Second", sender=Sender.PROVIDER)
        entry = EnrollmentEntry(2, "M-1", "ref-M-1", True, None, None)
        await members.import_enrollments(tx, keyring, own, made.connection.id, [entry], [])
    return replace(world.union, connection=made)


@pytest.fixture
async def busy(world: World) -> World:
    for name, moment in AT.items():
        await received(world, moment, name)
    return world


async def test_all_of_the_range_is_marked_and_nothing_outside_it_and_no_row_is_touched(busy: World) -> None:
    ignored = frozenset({"session", "sign_in_link", "outbox_consumer", "ledger_entry", "disputed_range"})
    before, rows = await counts(busy.context.database), await contents(busy.context.database, without=ignored)
    made = await mark(busy)
    assert grown(before, await counts(busy.context.database)) == {"disputed_range": 1, "ledger_entry": 1}
    assert await contents(busy.context.database, without=ignored) == rows
    assert await doubtful(busy) == banks(INSIDE)
    await withdraw(busy, made.id)
    assert await doubtful(busy) == set()
    assert await contents(busy.context.database, without=ignored) == rows


async def test_every_event_of_a_member_is_judged_by_when_it_came(busy: World) -> None:
    await mark(busy)
    async with busy.context.database.begin(read_only=True) as tx:
        marked = await disputed_events(tx, busy.union.members["M-1"])
        events = {row.event_id: row.received_at for row in (await tx.execute(select(MemberEvent))).scalars()}
    assert len(events) == len(AT)
    assert marked == {event for event, moment in events.items() if FROM <= moment < UNTIL}


async def test_what_comes_later_into_an_open_range_is_marked_as_it_comes(busy: World) -> None:
    await mark(busy, FROM, None)
    await received(busy, NOW + DAY, "tomorrow")
    assert await doubtful(busy) == banks(INSIDE | {"end", "after", "tomorrow"})


async def test_of_overlapping_marks_each_holds_by_itself(busy: World) -> None:
    first, second = await mark(busy, FROM, NOW - 14 * DAY), await mark(busy, NOW - 16 * DAY, UNTIL)
    assert await doubtful(busy) == banks(INSIDE)
    await withdraw(busy, first.id)
    assert await doubtful(busy) == banks({"amid", "last"})
    await withdraw(busy, second.id)
    assert await doubtful(busy) == set()


async def test_a_mark_is_about_one_connection_of_one_organization(busy: World) -> None:
    second = await second_connection(busy)
    await received(busy, AT["amid"], "elsewhere", second)
    await received(busy, AT["amid"], "other", busy.other)
    await mark(busy)
    assert await doubtful(busy) == banks(INSIDE)
    assert await doubtful(busy, tenant=busy.other) == set()


async def test_what_was_told_again_outside_the_range_is_not_in_doubt_as_a_whole(busy: World) -> None:
    """The event in the range is marked all the same; whoever told it again, or told it too, stands for the rest."""
    await received(busy, NOW - DAY, "amid", summary="In other words.")
    await received(busy, NOW - DAY, "first", await second_connection(busy))
    await mark(busy)
    assert await doubtful(busy) == banks({"last"})
    items = {item["institution"]: item for item in await busy.timeline()}
    assert items["Bank first"]["alerts"] == 2, "one incident, told by two services"
    async with await busy.sign_in(Role.MEMBER) as browser:
        for name in ("amid", "first"):
            detail = (await browser.get(f"/v1/incidents/{items[f'Bank {name}']['id']}")).json()
            marks = [event["disputed"] for source in detail["sources"] for event in source["events"]]
            assert (marks, detail["disputed"], detail["disputed_text"]) == ([True, False], False, None)


async def test_the_statistics_see_what_the_timeline_shows(busy: World) -> None:
    await received(busy, NOW - DAY, "amid", summary="In other words.")
    async with busy.context.database.begin(read_only=True) as tx:
        assert await disputed_incidents(tx, busy.union.id) == frozenset()
    await mark(busy)
    shown = {UUID(item["id"]) for item in await busy.timeline() if item["disputed"]}
    async with busy.context.database.begin(read_only=True) as tx:
        assert await disputed_incidents(tx, busy.union.id) == {(busy.union.members["M-1"], one) for one in shown}
        assert await disputed_incidents(tx, busy.other.id) == frozenset()
    assert len(shown) == len(INSIDE) - 1


async def test_member_and_counsel_read_that_it_is_doubtful_wherever_it_is_shown(busy: World) -> None:
    async with await busy.sign_in(Role.COUNSEL) as counsel, await busy.sign_in(Role.MEMBER) as member:
        (matter,) = (await counsel.get("/v1/matters")).json()
        places = ("/timeline", f"/matters/{matter['id']}")
        for browser, place in zip((member, counsel), places, strict=True):
            assert "Doubtful" not in (await browser.get(place)).text
        await mark(busy)
        entry = next(item for item in await busy.timeline() if item["institution"] == "Bank amid")
        assert (entry["disputed"], entry["disputed_text"]) == (True, DISPUTED)
        for browser, place in zip((member, counsel), places, strict=True):
            assert (await browser.get(place)).text.count(">Doubtful</span>") == len(INSIDE)
        listed = (await counsel.get(f"/v1/matters/{matter['id']}/incidents")).json()["items"]
        assert {item["incident"]["institution"] for item in listed if item["incident"]["disputed"]} == banks(INSIDE)
        for browser in (member, counsel):
            page = (await browser.get(f"/incidents/{entry['id']}")).text
            assert DISPUTED in page
            assert "Doubtful: the organization is not sure that the service itself sent this." in page
            detail = (await browser.get(f"/v1/incidents/{entry['id']}")).json()
            assert detail["links"], "links stay"
            event = detail["sources"][0]["events"][0]["event_id"]
            original = f"/incidents/{entry['id']}/originals/{event}"
            assert (await browser.get(f"/v1{original}")).json()["disputed"] is True
            assert "Doubtful" in (await browser.get(original)).text
        assert ", which is doubtful" in page
