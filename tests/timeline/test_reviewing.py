"""What only a person can tell: who is shown it and how, and what a person's word does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from app.access.roles import Role
from app.intake.models import Event, Receipt
from app.intake.sealing import open_event
from app.kit import clock
from app.ledger.models import LedgerEntry
from app.timeline.masking import mask_letter
from tests.support.world import World
from tests.timeline.mails import Mailed, mail, mailed_world

PLAIN = mail(
    subject="Notice about account 4400123412344321",
    text="Dear Avery,\n\nSSN 123-45-6789, write to avery.invented@example.org.\n"
    "See https://something.service.example/in?token=abcdef#x now.\nInvented Bank, $1,200.00 on 2023-05-20.",
)
LOGIN = {"kind": "new_account.credit_card", "institution": "Invented Bank", "last_four": "4321"}


@pytest.fixture
async def mailed(world: World) -> Mailed:
    return await mailed_world(world)


async def test_the_queue_says_that_there_is_something_and_nothing_of_it(mailed: Mailed) -> None:
    event_id = await mailed.asked(PLAIN)
    answer = await mailed.call(Role.CASEWORKER, "GET", "/v1/queues/reviews")
    (item,) = answer.json()["items"]
    assert item == {
        "id": str(event_id),
        "connection_id": str(mailed.connection_id),
        "received_at": item["received_at"],
        "reason": "no rule knows this sender",
        "may_be_shown": True,
    }
    assert (await mailed.call(Role.CASEWORKER, "GET", "/v1/queues/quarantined")).json()["items"] == []


async def test_it_is_shown_masked_and_the_member_sees_that_it_was(mailed: Mailed) -> None:
    event_id = await mailed.asked(PLAIN)
    shown = (await mailed.call(Role.CASEWORKER, "GET", f"/v1/queues/reviews/{event_id}")).json()
    assert shown["masked"]["Sent from"] == "something.service.example"
    assert shown["masked"]["Subject"] == "Notice about account ••••••••••••4321"
    text = shown["masked"]["Text"]
    assert "6789" in text
    assert "Invented Bank, $1,200.00 on 2023-05-20." in text
    assert "something.service.example/…" in text
    for secret in ("123-45", "avery.invented", "token", "abcdef", "44001234", "alerts.union.example"):
        assert secret not in str(shown)
    visits = (await mailed.call(Role.MEMBER, "GET", "/v1/me/visits", who="M-1")).json()["items"]
    assert [(one["role"], one["what"]) for one in visits] == [("caseworker", "mail")]


@pytest.mark.parametrize("way", ["nobody's", "unknown", "imported", "refused", "erased", "other organization"])
async def test_whose_member_did_not_agree_is_shown_to_nobody_and_all_are_refused_alike(mailed: Mailed, way: str) -> None:
    if way == "nobody's":
        event_id = (await mailed.event(await mailed.bring(PLAIN, "m-nobody@alerts.union.example"))).id
    elif way == "unknown":
        event_id = uuid4()
    elif way == "imported":
        await mailed.imported("pat@union.example")
        event_id = (await mailed.event(await mailed.bring(PLAIN, "pat@union.example"))).id
    else:
        event_id = await mailed.asked(PLAIN)
    if way == "refused":
        await mailed.consent(given=False)
        await mailed.world.workers.drain()
    if way == "erased":
        member = mailed.world.union.members["M-1"]
        assert (await mailed.call(Role.ADMIN, "POST", f"/v1/members/{member}/erasure")).status_code == 204
        await mailed.world.workers.drain()
    tenant = mailed.world.other if way == "other organization" else mailed.world.union
    async with await mailed.world.sign_in(Role.CASEWORKER, tenant=tenant) as browser:
        answers = [
            await browser.get(f"/v1/queues/reviews/{event_id}"),
            await browser.get(f"/v1/queues/reviews/{event_id}/rule?kind=tax.fraud"),
            await browser.post(f"/v1/queues/reviews/{event_id}", json=LOGIN),
        ]
        listed = (await browser.get("/v1/queues/reviews")).json()["items"]
    assert [answer.status_code for answer in answers] == [404] * 3
    assert len({answer.text for answer in answers}) == 1
    assert [item["may_be_shown"] for item in listed] == ([False] if way in ("nobody's", "imported") else [])


async def test_after_a_no_what_was_left_to_a_person_can_never_be_read_unless_a_legal_hold_keeps_it(mailed: Mailed) -> None:
    first, second = await mailed.asked(PLAIN), await mailed.asked(PLAIN, "M-2")
    hold = {"member_id": str(mailed.world.union.members["M-2"]), "reason": "A claim is coming."}
    assert (await mailed.call(Role.COUNSEL, "POST", "/v1/holds", hold)).status_code == 201
    for who in ("M-1", "M-2"):
        await mailed.consent(given=False, who=who)
    await mailed.world.workers.drain()
    async with mailed.world.context.database.begin(read_only=True) as tx:
        keys = {
            event.id: (
                event.wrapped_key is None,
                (await tx.get_one(Receipt, (event.connection_id, event.receipt_id))).wrapped_key,
            )
            for event in (await tx.execute(select(Event).where(Event.id.in_([first, second])))).scalars()
        }
    assert keys[first] == (True, None)
    assert keys[second][0] is False
    assert keys[second][1] is not None


async def test_an_answer_makes_it_an_alert_of_its_member_and_never_better_proven(mailed: Mailed) -> None:
    event_id = await mailed.asked(PLAIN)
    said = {**LOGIN, "amount": "1200.00", "currency": "USD", "bureau": "experian"}
    answer = await mailed.call(Role.CASEWORKER, "POST", f"/v1/queues/reviews/{event_id}", said)
    assert (answer.status_code, answer.json()) == (200, {"outcome": "new"})
    (entry,) = await mailed.world.timeline("M-1")
    told = {name: entry[name] for name in ("kind", "institution", "last_four", "amount", "currency", "bureaus")}
    assert told == {
        "kind": "new_account.credit_card",
        "institution": "Invented Bank",
        "last_four": "4321",
        "amount": "1200.00",
        "currency": "USD",
        "bureaus": ["experian"],
    }
    detail = (await mailed.call(Role.MEMBER, "GET", f"/v1/incidents/{entry['id']}", who="M-1")).json()
    assert detail["sources"][0]["events"][0]["grade"] == "unverifiable"
    assert (await mailed.call(Role.CASEWORKER, "GET", "/v1/queues/reviews")).json()["items"] == []
    again = await mailed.call(Role.CASEWORKER, "POST", f"/v1/queues/reviews/{event_id}", said)
    assert again.status_code == 404


async def test_what_came_before_an_address_ended_is_still_its_members(mailed: Mailed) -> None:
    event_id = await mailed.asked(PLAIN)
    clock.set_to(clock.now() + timedelta(hours=1))
    await mailed.call(Role.MEMBER, "DELETE", "/v1/me/forwarding-address", who="M-1")
    path = f"/v1/queues/reviews/{event_id}"
    assert (await mailed.call(Role.CASEWORKER, "GET", path)).status_code == 200
    assert (await mailed.call(Role.CASEWORKER, "POST", path, LOGIN)).status_code == 200
    assert len(await mailed.world.timeline("M-1")) == 1


async def test_what_is_said_to_be_no_alert_is_none(mailed: Mailed) -> None:
    event_id = await mailed.asked()
    body = {"not_an_alert": "advertising"}
    answer = await mailed.call(Role.CASEWORKER, "POST", f"/v1/queues/reviews/{event_id}", body)
    assert answer.json() == {"outcome": "non_alert"}
    assert await mailed.world.timeline("M-1") == []


async def test_the_answer_stays_beside_the_event_under_its_own_key_and_in_the_ledger(mailed: Mailed) -> None:
    event_id = await mailed.asked()
    await mailed.call(Role.CASEWORKER, "POST", f"/v1/queues/reviews/{event_id}", {"not_an_alert": "advertising"})
    async with mailed.world.context.database.begin(read_only=True) as tx:
        event = (await tx.execute(select(Event).where(Event.id == event_id))).scalar_one()
        copy = await open_event(tx, mailed.world.context.keyring, event)
        entries = (await tx.execute(select(LedgerEntry).where(LedgerEntry.kind == "replay"))).scalars().all()
    assert copy is not None
    assert copy["asked"]["answer"] == '{"not_an_alert": true}'
    assert event.answered_at is not None
    (entry,) = entries
    assert (entry.actor_role, entry.member_id) == ("caseworker", mailed.world.union.members["M-1"])
    assert entry.subjects["event"] == str(event_id)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"kind": "tax.fraud", "not_an_alert": "advertising"},
        {"kind": "never.heard_of"},
        {"not_an_alert": "Avery said so"},
        {"kind": "tax.fraud", "amount": "10.00"},
        {"kind": "tax.fraud", "amount": 10.5, "currency": "USD"},
        {"kind": "tax.fraud", "last_four": "44001234"},
        {"kind": "tax.fraud", "institution": "  "},
        {"kind": "tax.fraud", "note": "x"},
        {"kind": "tax.fraud", "rule": {"name": "strange", "text": "title: [", "after": 0}},
    ],
)
async def test_what_is_no_answer_is_refused_and_nothing_changes(mailed: Mailed, wrong: dict[str, Any]) -> None:
    event_id = await mailed.asked()
    answer = await mailed.call(Role.CASEWORKER, "POST", f"/v1/queues/reviews/{event_id}", wrong)
    assert answer.status_code == 422, answer.text
    async with mailed.world.context.database.begin(read_only=True) as tx:
        event = (await tx.execute(select(Event).where(Event.id == event_id))).scalar_one()
        replays = (await tx.execute(select(func.count()).where(LedgerEntry.kind == "replay"))).scalar_one()
    assert (event.outcome, event.answered_at, replays) == ("quarantined", None, 0)


async def test_an_answer_can_become_a_rule_that_reads_the_next_one(mailed: Mailed) -> None:
    address = await mailed.address()
    raw = [mail(subject=f"New credit card alert for Avery {number}", text="Opened at Invented Bank.") for number in (1, 2)]
    event = await mailed.event(await mailed.bring(raw[0], address))
    path = f"/v1/queues/reviews/{event.id}"
    drafted = (await mailed.call(Role.CASEWORKER, "GET", f"{path}/rule?kind=new_account.credit_card")).json()
    assert drafted["name"] == "something.service.example"
    assert "domain: something.service.example" in drafted["text"]
    assert "Avery" not in drafted["text"]
    body = {"kind": "new_account.credit_card", "rule": {**drafted, "after": 0}}
    answer = await mailed.call(Role.CASEWORKER, "POST", path, body)
    assert (answer.status_code, answer.json()) == (200, {"outcome": "new"}), answer.text
    assert (await mailed.event(await mailed.bring(raw[1], address))).outcome == "new"
    listed = (await mailed.call(Role.ADMIN, "GET", f"/v1/connections/{mailed.connection_id}/documents")).json()["own"]
    assert [(one["name"], one["version"]) for one in listed] == [("something.service.example", 1)]
    assert listed[0]["written_by"] == str(mailed.world.union.accounts[Role.CASEWORKER])
    other = await mailed.asked(mail())
    again = (await mailed.call(Role.CASEWORKER, "GET", f"/v1/queues/reviews/{other}/rule?kind=tax.fraud")).json()
    assert again["name"] == "something.service.example-2"


async def test_a_rule_that_somebody_changed_meanwhile_takes_the_answer_back(mailed: Mailed) -> None:
    event_id = await mailed.asked(mail(subject="Credit card alert for Avery"))
    path = f"/v1/queues/reviews/{event_id}"
    drafted = (await mailed.call(Role.CASEWORKER, "GET", f"{path}/rule?kind=new_account.credit_card")).json()
    written = {**drafted, "after": 0}
    where = f"/v1/connections/{mailed.connection_id}/documents"
    assert (await mailed.call(Role.ADMIN, "POST", where, written)).status_code == 201
    body = {"kind": "new_account.credit_card", "rule": written}
    assert (await mailed.call(Role.CASEWORKER, "POST", path, body)).status_code == 409
    assert (await mailed.call(Role.CASEWORKER, "GET", path)).status_code == 200


async def test_the_same_mail_again_is_answered_by_the_alert_that_is_there(mailed: Mailed) -> None:
    address = await mailed.address()
    raw = mail(id="one")
    first = await mailed.event(await mailed.bring(raw, address))
    await mailed.call(Role.CASEWORKER, "POST", f"/v1/queues/reviews/{first.id}", LOGIN)
    second = await mailed.event(await mailed.bring(b"X-Another: way\r\n" + raw, address))
    assert second.path == "for a person"
    answer = await mailed.call(Role.CASEWORKER, "POST", f"/v1/queues/reviews/{second.id}", LOGIN)
    assert answer.json() == {"outcome": "sighting"}
    assert len(await mailed.world.timeline("M-1")) == 1


def test_of_links_only_the_host_is_left() -> None:
    told = mask_letter("at https://user:pw@in.example:8443/a?b=c, (http://x.example/1) and www.y.example/2#3; not a.b@c.example")
    assert told == "at in.example/… (x.example/…) and www.y.example/… not •••@•••"
