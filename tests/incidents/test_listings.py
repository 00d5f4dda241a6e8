"""From a listing service to the facts of a link, in the real core: asked, kept, matched with consent, a rival of the breach."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app.access.roles import Role
from app.breaches.models import Breach, ExposureRow, MemberEvidence
from app.connections import service as connections
from app.connections.models import Connection, Poll, PollState
from app.intake import receive
from app.intake.models import Channel, Event, EventOutcome, Receipt
from app.intake.receive import FETCHED, Arrival
from app.intake.sealing import open_event
from app.kit import clock
from app.ledger.service import SYSTEM
from app.members import erasing
from app.members import service as members
from app.members.models import Member
from app.members.roster import EnrollmentEntry
from connectors.contract import Sender
from connectors.hibp.sandbox import CLASSES, HibpSandbox
from connectors.sandboxing import Fault, Happening, serving
from connectors.vocabulary import AlertKind
from tests.support.world import World, alert

ADDRESSES = {"M-1": "avery@example.org", "M-2": "Blake@Example.org ", "M-3": "casey@example.org"}
DAY = date(2021, 2, 3)
on_one = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
"""For what does not depend on the kind of database."""


@dataclass
class Listed:
    """The world with a connection to the listing service; M-1, M-2 and M-3 are enrolled, M-3 did not agree."""

    world: World
    service: HibpSandbox
    connection: Connection

    def lists(self, who: str, title: str = "Invented Payroll", kind: AlertKind = AlertKind.EXPOSURE_SSN) -> None:
        moment = clock.now() - timedelta(days=1)
        self.service.tell(Happening(ADDRESSES[who], kind, moment, institution=title, opened=DAY))

    async def ask(self) -> None:
        """The next hour's question, and all the work behind it."""
        clock.set_to(clock.now() + timedelta(hours=1))
        await self.world.workers.ask()

    async def rows(self, table: Any) -> list[Any]:
        async with self.world.context.database.begin(read_only=True) as tx:
            return list((await tx.execute(select(table))).scalars())

    async def enroll(self, who: str, *, agrees: bool | None) -> None:
        entry = EnrollmentEntry(2, who, ADDRESSES[who], bool(agrees), None, None)
        async with self.world.context.database.begin() as tx:
            organization_id = self.world.union.id
            await members.import_enrollments(tx, self.world.context.keyring, organization_id, self.connection.id, [entry], ())

    async def answers(self, who: str, *, given: bool) -> None:
        async with self.world.context.database.begin() as tx:
            member = await tx.get_one(Member, self.world.union.members[who])
            consent = {"given": given, "source": members.OWN_ANSWER, "actor": SYSTEM}
            await members.record_consent(tx, self.world.context.keyring, member, self.connection.id, **consent)
        await self.world.workers.drain()

    async def comes_in(self, who: str, body: bytes = b'[{"Name":"InventedPayroll"}]') -> None:
        """An answer about somebody, kept as polling keeps it."""
        arrival = Arrival(body, FETCHED, Channel.POLL, asked={"account": ADDRESSES[who]})
        async with self.world.context.database.begin() as tx:
            await receive.keep(tx, self.world.context.keyring, self.connection, arrival)
        await self.world.workers.drain()

    async def facts(self, who: str = "M-1") -> dict[str, str]:
        """What the link of the member's one incident to the focal breach says of other breaches: code -> words."""
        (incident,) = await self.world.timeline(who)
        async with await self.world.sign_in(Role.MEMBER, who) as browser:
            detail = (await browser.get(f"/v1/incidents/{incident['id']}")).json()
        assert {link["breach_name"] for link in detail["links"]} & {"InventedPayroll", "Invented Payroll"} == set(), (
            "a rival only"
        )
        focal = next(link for link in detail["links"] if link["breach_name"] == "City of Oakland, 2023")
        return {fact["code"]: fact["text"] for fact in focal["facts"] if fact["code"].startswith("competing.")}


@asynccontextmanager
async def opened(world: World, **change: Any) -> AsyncIterator[Listed]:
    service = HibpSandbox(clock.now)
    async with serving(service) as base_url:
        async with world.context.database.begin() as tx:
            made = await connections.create_connection(
                tx,
                world.context.keyring,
                world.union.id,
                connector="hibp",
                title="Listings",
                sender=Sender.PROVIDER,
                settings={**service.settings(base_url), **change},
            )
        listed = Listed(world, service, made.connection)
        for who in ADDRESSES:
            service.enrol(ADDRESSES[who])
            await listed.enroll(who, agrees=who != "M-3")
        await world.workers.drain()
        yield listed
        await world.workers.asker.close()


@pytest.fixture
async def listed(world: World) -> AsyncIterator[Listed]:
    async with opened(world) as made:
        yield made


@pytest.mark.parametrize("by_range", [False, True])
async def test_a_listing_becomes_a_rival_of_the_breach_for_whom_it_lists(world: World, by_range: bool) -> None:
    async with opened(world, range_search=by_range) as listed:
        for who in ("M-1", "M-2"):
            await world.deliver(alert(id=f"a-{who}", member=f"ref-{who}"))
        before = {who: await listed.facts(who) for who in ("M-1", "M-2")}
        assert before["M-1"].keys() == {"competing.contents_unknown_same_defendant"}
        listed.lists("M-1")
        await listed.ask()
        after = await listed.facts("M-1")
        assert "Invented Payroll" in after["competing.same_data"]
        assert "Social Security number" in after["competing.same_data"]
        assert await listed.facts("M-2") == before["M-2"]
        [row] = await listed.rows(MemberEvidence)
        assert (row.member_id, row.basis, row.elements) == (world.union.members["M-1"], "hibp", None)
        copies = [await _opened(listed, event) for event in await listed.rows(Event)]
        assert not any("0" * 34 in str(copy) for copy in copies), "a stranger's hash stays in the sealed receipt"


async def _opened(listed: Listed, event: Event) -> Any:
    async with listed.world.context.database.begin(read_only=True) as tx:
        return await open_event(tx, listed.world.context.keyring, event)


@on_one
async def test_members_are_asked_about_only_when_something_was_added(listed: Listed) -> None:
    def asked() -> list[str]:
        return [seen.path for seen in listed.service.faults.seen if seen.path.startswith("/breachedaccount/")]

    await listed.ask()
    assert sorted(asked()) == [f"/breachedaccount/{ADDRESSES[who].strip()}" for who in ("M-2", "M-1")]
    await listed.ask()
    assert len(asked()) == 2
    listed.lists("M-2")
    await listed.ask()
    assert len(asked()) == 4
    async with listed.world.context.database.begin(read_only=True) as tx:
        rows = (await tx.execute(select(Event.outcome).where(Event.connection_id == listed.connection.id))).scalars()
        assert sorted(rows) == [EventOutcome.BREACH_RECORD] * 2, "one listing and one description; a clean address is no event"


@on_one
async def test_a_page_that_fails_between_a_description_and_its_listing_loses_nothing(listed: Listed) -> None:
    listed.lists("M-1")
    listed.lists("M-2")
    listed.service.misbehave(Fault.BROKEN, times=20, path="/breachedaccount/Blake")
    await listed.ask()
    [row] = await listed.rows(Poll)
    assert row.state == PollState.OK, "the others were asked about"
    assert row.error is not None
    assert row.error.startswith("1 of 2 people could not be asked about")
    listed.service.behave()
    for _ in range(3):
        await listed.ask()
    [row] = await listed.rows(Poll)
    assert (row.state, row.error) == (PollState.OK, None)
    found = {(row.member_id, row.wave) for row in await listed.rows(MemberEvidence)}
    assert found == {(listed.world.union.members[who], "listed") for who in ("M-1", "M-2")}


@on_one
async def test_a_wrong_key_is_never_no_listings(listed: Listed) -> None:
    await listed.ask()
    listed.lists("M-1")
    listed.service.tells_its_pace = False
    await listed.ask()
    [row] = await listed.rows(Poll)
    assert row.state == PollState.OK, "a plan that does not tell its pace"
    assert await listed.rows(MemberEvidence)
    listed.service.misbehave(Fault.REFUSED, times=50, path="/breachedaccount/")
    await listed.ask()
    [row] = await listed.rows(Poll)
    assert row.state == PollState.CREDENTIALS, "nobody was due, and the key was looked at all the same"


async def test_without_consent_nothing_is_revealed_and_with_it_everything_is(listed: Listed) -> None:
    await listed.comes_in("M-3")
    assert not await listed.rows(MemberEvidence)
    assert not [row for row in await listed.rows(Breach) if row.key.startswith("listed-")]
    await listed.answers("M-3", given=True)
    [row] = await listed.rows(MemberEvidence)
    assert row.member_id == listed.world.union.members["M-3"]


async def test_a_refusal_destroys_what_comes_after_it_and_leaves_what_was_theirs(listed: Listed) -> None:
    await listed.comes_in("M-1")
    await listed.answers("M-1", given=False)
    clock.set_to(clock.now() + timedelta(minutes=1))
    await listed.comes_in("M-1", b'[{"Name":"InventedPayroll"},{"Name":"InventedShop"}]')
    first, *later = sorted(await listed.rows(Event), key=lambda event: event.id)
    assert first.wrapped_key is not None, "it was theirs before"
    assert [event.wrapped_key for event in later] == [None, None]
    [row] = await listed.rows(MemberEvidence)
    assert row.member_id == listed.world.union.members["M-1"]


@on_one
async def test_a_legal_hold_keeps_what_was_refused(listed: Listed) -> None:
    async with await listed.world.sign_in(Role.COUNSEL) as counsel:
        assert (await counsel.post("/v1/holds", json={"reason": "r"})).status_code == 201
    await listed.answers("M-3", given=False)
    await listed.comes_in("M-3")
    [event] = await listed.rows(Event)
    assert event.wrapped_key is not None
    assert not await listed.rows(MemberEvidence)


async def test_an_erased_member_leaves_neither_evidence_nor_a_readable_receipt(listed: Listed) -> None:
    listed.lists("M-1")
    await listed.ask()
    async with listed.world.context.database.begin() as tx:
        member_id = listed.world.union.members["M-1"]
        await erasing.erase(tx, listed.world.context.keyring, listed.world.union.id, member_id, SYSTEM)
    await listed.world.workers.drain()
    assert not await listed.rows(MemberEvidence)
    assert member_id not in {row.member_id for row in await listed.rows(ExposureRow)}
    events = [event for event in await listed.rows(Event) if event.reference_index is not None]
    assert events
    assert all(event.wrapped_key is None for event in events)
    receipts = {event.receipt_id for event in events}
    assert all(row.wrapped_key is None for row in await listed.rows(Receipt) if row.id in receipts)


@on_one
async def test_another_description_reaches_everybody_who_is_listed(listed: Listed) -> None:
    await listed.world.deliver(alert())
    listed.lists("M-1")
    await listed.ask()
    assert "competing.same_data" in await listed.facts()
    added = datetime(2023, 6, 2, tzinfo=UTC)
    listed.service.add_breach("InventedPayroll", CLASSES[AlertKind.EXPOSURE_CONTACT], added=added, title="Renamed")
    await listed.ask()
    facts = await listed.facts()
    assert any("Renamed" in text for text in facts.values())
    assert not any("Invented Payroll" in text for text in facts.values())
