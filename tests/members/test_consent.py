"""Consent: without it what came stays sealed and is read by no role; with it, it is on the timeline; refused, it is gone."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from app.access.policy import POLICY
from app.access.repository import account_of_member
from app.access.roles import Role
from app.incidents import matching
from app.incidents.models import Unmatched
from app.intake.models import Event, Receipt
from app.intake.sealing import open_body, open_event
from app.kit import clock
from app.kit.outbox import Message
from app.ledger.models import LedgerEntry
from app.members import service as members
from app.members.roster import EnrollmentEntry, Job, RosterEntry
from app.operations import accounts
from tests.support.rows import contents
from tests.support.world import NOW, World, alert

SECRET = "Canary words of the alert"
NEW = alert(id="c-1", member="ref-M-9", summary=SECRET, institution="Canary Bank")


async def enroll(world: World, answer: bool = False, until: Any = None, number: str = "M-9") -> UUID:
    """M-9 on the roster and enrolled; `answer` is what the organization's file says of their consent."""
    async with world.context.database.begin() as tx:
        keyring, own = world.context.keyring, world.union.id
        person = RosterEntry(2, number, "Pat Invented", f"{number.lower()}@example.org", {Job(NOW.date(), None)})
        await members.import_roster(tx, keyring, own, [person], ())
        entry = EnrollmentEntry(2, number, f"ref-{number}", answer, None, until)
        report = await members.import_enrollments(tx, keyring, own, world.union.connection.connection.id, [entry], ())
        assert report.problems == []
        found = await members.find_member(tx, keyring, own, number)
        assert found is not None
        account = await account_of_member(tx, own, found.id)
        assert account is not None
    world.union.members[number], world.union.accounts[number] = found.id, account.id
    return found.id


async def answer(world: World, given: bool, number: str = "M-9") -> None:
    async with await world.sign_in(Role.MEMBER, number) as browser:
        body = {"connection_id": str(world.union.connection.connection.id), "given": given}
        done = await browser.post("/v1/me/consents", json=body)
        assert done.status_code == 204, done.text
    await world.workers.drain()


async def waiting(world: World) -> Unmatched:
    async with world.context.database.begin(read_only=True) as tx:
        return (await tx.execute(select(Unmatched))).scalar_one()


async def readable(world: World) -> list[str]:
    """Everything in receipts and events that opens with the keys that the service holds."""
    opened: list[str] = []
    async with world.context.database.begin() as tx:
        for receipt in (await tx.execute(select(Receipt))).scalars():
            opened.append(str(await open_body(tx, world.context.keyring, receipt)))
        for event in (await tx.execute(select(Event))).scalars():
            opened.append(str(await open_event(tx, world.context.keyring, event)))
    return [text for text in opened if text != "None"]


async def seen_by_anybody(world: World) -> str:
    """What every role but the member reads of everything that can be listed."""
    seen = ""
    for role in Role:
        async with await world.sign_in(role) as browser:
            for method, path in POLICY:
                if method == "GET" and "{" not in path:
                    seen += (await browser.get(path)).text
    return seen


@pytest.mark.long
async def test_without_an_answer_it_stays_sealed_and_no_role_can_read_it(world: World) -> None:
    await enroll(world)
    assert (await world.deliver(NEW)).status_code == 202
    assert await world.timeline("M-9") == []
    row = await waiting(world)
    assert (row.reason, row.member_id, row.closed_at) == ("no_consent", world.union.members["M-9"], None)
    assert not [table for table, rows in (await contents(world.context.database)).items() if "Canary" in str(rows)]
    assert "Canary" not in await seen_by_anybody(world)
    async with await world.sign_in(Role.MEMBER, "M-9") as browser:
        (asked,) = (await browser.get("/v1/me/consents")).json()
        assert (asked["waiting"], asked["given"], asked["title"]) == (True, None, "Union Monitor")
        assert "Canary" not in (await browser.get("/v1/me/consents")).text
        assert (await browser.get("/v1/me/timeline")).json()["items"] == []


async def test_a_later_yes_brings_what_waited_to_the_timeline(world: World) -> None:
    await enroll(world)
    await world.deliver(NEW)
    await world.deliver(alert(id="c-1", member="ref-M-9", summary="Corrected words"))
    assert await world.timeline("M-9") == []
    clock.set_to(NOW + timedelta(days=60))
    await answer(world, given=True)
    (incident,) = await world.timeline("M-9")
    assert (incident["institution"], incident["alerts"]) == ("Invented Bank", 1)
    assert (await waiting(world)).closed_at == NOW + timedelta(days=60)
    await world.deliver(alert(id="c-2", member="ref-M-9", institution="Third Bank"))
    assert len(await world.timeline("M-9")) == 2


async def test_a_no_destroys_what_waited_and_keeps_hash_and_reason(world: World) -> None:
    await enroll(world)
    await world.deliver(NEW)
    await world.workers.drain()
    assert any(SECRET in text for text in await readable(world))
    await answer(world, given=False)
    row = await waiting(world)
    assert (row.reason, row.closed_at) == ("refused", NOW)
    assert await readable(world) == []
    async with world.context.database.begin(read_only=True) as tx:
        receipt = (await tx.execute(select(Receipt))).scalar_one()
        event = (await tx.execute(select(Event))).scalar_one()
        kinds = (await tx.execute(select(LedgerEntry.kind).where(LedgerEntry.member_id == row.member_id))).scalars().all()
    assert len(receipt.body_hash) == 32
    assert (receipt.verification["outcome"], event.outcome, event.wrapped_key) == ("authentic", "new", None)
    assert kinds.count("erasure") == 1
    assert await world.timeline("M-9") == []
    await world.deliver(alert(id="c-1", member="ref-M-9", summary="Said again"))
    await world.deliver(alert(id="c-2", member="ref-M-9"))
    assert await world.timeline("M-9") == []
    assert await readable(world) == []
    assert (await accounts(world.context, world.union.id))["unmatched"] == {"refused": 2}


async def test_after_ninety_days_without_an_answer_it_is_gone_and_not_a_day_earlier(world: World) -> None:
    await enroll(world)
    await world.deliver(NEW)
    await world.workers.drain()
    clock.set_to(NOW + timedelta(days=90) - timedelta(microseconds=1))
    await world.workers.sweep()
    assert await readable(world)
    clock.set_to(NOW + timedelta(days=90))
    await world.workers.sweep()
    assert (await waiting(world)).reason == "expired"
    assert await readable(world) == []
    before = await contents(world.context.database)
    await world.workers.sweep()
    assert await contents(world.context.database) == before


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
async def test_two_sweeps_at_once_give_up_each_thing_once(world: World) -> None:
    await enroll(world)
    await world.deliver(NEW)
    await world.workers.drain()
    clock.set_to(NOW + timedelta(days=91))
    database, keyring = world.context.database, world.context.keyring
    async with asyncio.timeout(10), database.begin() as one, database.begin() as other:
        assert await matching.expire(one, keyring) == 1
        assert await matching.expire(other, keyring) == 0


async def test_what_comes_again_after_it_expired_waits_anew_and_a_yes_still_frees_it(world: World) -> None:
    await enroll(world)
    await world.deliver(NEW)
    await world.workers.drain()
    clock.set_to(NOW + timedelta(days=91))
    await world.workers.sweep()
    await world.deliver(alert(id="c-1", member="ref-M-9", summary="Told once more"))
    await world.workers.drain()
    row = await waiting(world)
    assert (row.reason, row.closed_at, row.since) == ("no_consent", None, NOW + timedelta(days=91))
    clock.set_to(NOW + timedelta(days=100))
    await world.workers.sweep()
    await answer(world, given=True)
    (incident,) = await world.timeline("M-9")
    assert incident["alerts"] == 1


async def test_consent_that_has_run_out_keeps_new_things_sealed_until_it_is_given_again(world: World) -> None:
    await enroll(world, True, until=(NOW + timedelta(days=10)).date())
    await world.deliver(NEW)
    assert len(await world.timeline("M-9")) == 1
    clock.set_to(NOW + timedelta(days=12))
    await world.deliver(alert(id="c-1", member="ref-M-9", summary="Revised Canary"))
    await world.deliver(alert(id="c-2", member="ref-M-9", institution="Late Bank"))
    (incident,) = await world.timeline("M-9")
    async with await world.sign_in(Role.MEMBER, "M-9") as browser:
        detail = await browser.get(f"/v1/incidents/{incident['id']}")
        assert "Revised Canary" not in detail.text
        assert SECRET in detail.text, "what was agreed to at the time stays"
    await answer(world, given=True)
    assert {entry["institution"] for entry in await world.timeline("M-9")} == {"Invented Bank", "Late Bank"}
    assert (await accounts(world.context, world.union.id))["unmatched"] == {}


async def test_a_consent_taken_back_destroys_what_comes_after_it_and_nothing_before(world: World) -> None:
    await enroll(world)
    await answer(world, given=True)
    await world.deliver(NEW)
    assert len(await world.timeline("M-9")) == 1
    await answer(world, given=False)
    await world.deliver(alert(id="c-1", member="ref-M-9", summary="Later words"))
    (incident,) = await world.timeline("M-9")
    assert not any("Later words" in text for text in await readable(world))
    assert any(SECRET in text for text in await readable(world))
    async with await world.sign_in(Role.MEMBER, "M-9") as browser:
        detail = (await browser.get(f"/v1/incidents/{incident['id']}")).json()
    assert [event["summary"] for event in detail["sources"][0]["events"]] == [SECRET]
    assert detail["sources"][0]["events"][0]["original_sha256"]
    assert (await accounts(world.context, world.union.id))["unmatched"] == {}


@pytest.mark.parametrize("own", [True, False])
async def test_no_file_speaks_over_the_members_own_answer(world: World, own: bool) -> None:
    await enroll(world)
    await answer(world, given=own)
    await enroll(world, answer=not own)
    await world.deliver(NEW)
    assert len(await world.timeline("M-9")) == own
    assert len(await readable(world)) == (2 if own else 0)


async def test_a_legal_hold_keeps_what_was_refused_or_has_waited_too_long_until_it_is_released(world: World) -> None:
    await enroll(world)
    await enroll(world, number="M-8")
    await world.deliver({"alerts": [NEW]})
    await world.deliver(alert(id="c-8", member="ref-M-8", summary="Canary of another"))
    await world.workers.drain()
    async with await world.sign_in(Role.COUNSEL) as counsel:
        hold = (await counsel.post("/v1/holds", json={"reason": "litigation"})).json()["id"]
        await answer(world, given=False)
        clock.set_to(NOW + timedelta(days=200))
        await world.workers.sweep()
        assert len(await readable(world)) == 4
    async with await world.sign_in(Role.COUNSEL) as counsel:
        assert (await counsel.delete(f"/v1/holds/{hold}")).status_code == 204
    await world.workers.sweep()
    assert await readable(world) == []
    async with world.context.database.begin(read_only=True) as tx:
        assert set((await tx.execute(select(Unmatched.reason))).scalars()) == {"refused", "expired"}


async def test_a_held_person_does_not_keep_others_from_being_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.incidents.matching.PAGE", 2)
    held = await enroll(world)
    await enroll(world, number="M-8")
    for number in range(5):
        await world.deliver(alert(id=f"held-{number}", member="ref-M-9"))
    await world.deliver(alert(id="free", member="ref-M-8"))
    await world.workers.drain()
    async with await world.sign_in(Role.COUNSEL) as counsel:
        assert (await counsel.post("/v1/holds", json={"reason": "x", "member_id": str(held)})).status_code == 201
    clock.set_to(NOW + timedelta(days=91))
    await world.workers.sweep()
    assert (await accounts(world.context, world.union.id))["unmatched"] == {"no_consent": 5, "expired": 1}


async def test_every_message_may_be_seen_twice(world: World) -> None:
    """Handlers are idempotent: sent all over again, the same messages change nothing more than they did."""
    await enroll(world)
    await world.deliver(NEW)
    await world.deliver(alert(id="a-1"))
    await answer(world, given=False)
    await world.workers.drain()
    before = await contents(world.context.database, without=frozenset({"outbox", "outbox_consumer"}))
    async with world.context.database.begin() as tx:
        for old in (await tx.execute(select(Message).order_by(Message.position))).scalars().all():
            tx.add(Message(topic=old.topic, organization_id=old.organization_id, payload=old.payload, created_at=NOW))
    await world.workers.drain()
    assert await contents(world.context.database, without=frozenset({"outbox", "outbox_consumer"})) == before
