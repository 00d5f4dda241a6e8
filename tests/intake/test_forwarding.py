"""A member's forwarding address: theirs alone, never guessed, replaced and given up; and a mailbox's question about it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from app.access.roles import Role
from app.intake import confirmations, forwarding
from app.intake.confirmations import leads_home, question_in
from app.intake.models import Event, Receipt
from app.kit import clock
from app.ledger.models import LedgerEntry
from app.members.models import Consent, Enrollment
from connectors.verifiers import Grade
from tests.repo.tree import ROOT
from tests.support.world import World
from tests.timeline.mails import ASKED, DOMAIN, Mailed, mail, mailed_world, question

ATTACHED = (ROOT / "connectors" / "mail" / "fixtures" / "handed__attached.eml").read_bytes()
PATH = "/v1/me/forwarding-address"


@pytest.fixture
async def mailed(world: World) -> Mailed:
    return await mailed_world(world)


def test_nobody_can_guess_an_address() -> None:
    made = {forwarding.new_address("a.example") for _ in range(2_000)}
    assert len(made) == 2_000
    assert all(re.fullmatch(r"m-[a-z2-7]{26}@a\.example", one) for one in made)
    for place in range(2, 28):
        assert len({one[place] for one in made}) == 32, "every letter stands in every place"
    assert 32**forwarding.LETTERS == 2**130


async def test_without_a_mail_connection_there_is_nothing_to_make(world: World) -> None:
    async with await world.sign_in(Role.MEMBER, "M-1") as browser:
        nothing = {"set_up": False, "address": None, "made_at": None, "agreed": False, "confirmations": []}
        assert (await browser.get(PATH)).json() == nothing
        assert (await browser.post(PATH)).status_code == 409
        assert (await browser.delete(PATH)).status_code == 404


async def test_a_member_makes_replaces_and_gives_up_an_address_of_their_own(mailed: Mailed) -> None:
    first = await mailed.address()
    assert re.fullmatch(rf"m-[a-z2-7]{{26}}@{re.escape(DOMAIN)}", first)
    shown = (await mailed.call(Role.MEMBER, "GET", PATH, who="M-1")).json()
    assert (shown["set_up"], shown["address"], shown["confirmations"]) == (True, first, [])
    assert (await mailed.call(Role.MEMBER, "GET", PATH, who="M-2")).json()["address"] is None
    second = await mailed.address()
    assert (await mailed.call(Role.MEMBER, "GET", PATH, who="M-1")).json()["address"] == second != first
    assert (await mailed.call(Role.MEMBER, "DELETE", PATH, who="M-1")).status_code == 204
    assert (await mailed.call(Role.MEMBER, "DELETE", PATH, who="M-1")).status_code == 404
    async with mailed.world.context.database.begin(read_only=True) as tx:
        rows = (await tx.execute(select(Enrollment).where(Enrollment.connection_id == mailed.connection_id))).scalars().all()
        consent = (await tx.execute(select(Consent).where(Consent.connection_id == mailed.connection_id))).scalars().first()
        roster = select(func.count()).where(LedgerEntry.kind == "roster", LedgerEntry.actor_role == "member")
        noted = (await tx.execute(roster)).scalar_one()
    assert [row.ended_at is None for row in rows] == [False, False]
    assert all(first.encode() not in (row.reference_sealed or b"") for row in rows)
    assert consent is not None
    assert (consent.given, consent.source, consent.scope) == (True, "member", "alerts, and masked to a caseworker")
    assert noted == 3


async def test_what_comes_to_the_address_is_the_members_and_to_one_given_up_nobodys(mailed: Mailed) -> None:
    address = await mailed.address()
    told = {"sender": "notices@alerts.monitor.example", "subject": "Example Monitor alert: new credit card"}
    text = "What we found: new credit card.\nCompany: Invented Bank\nAccount ending in: 4321\n"
    await mailed.bring(mail(**told, text=text), address)
    (entry,) = await mailed.world.timeline("M-1")
    assert entry["institution"] == "Invented Bank"
    await mailed.call(Role.MEMBER, "DELETE", PATH, who="M-1")
    await mailed.bring(mail(**told, text=text.replace("4321", "8888")), address)
    assert len(await mailed.world.timeline("M-1")) == 1
    unmatched = (await mailed.call(Role.CASEWORKER, "GET", "/v1/queues/unmatched")).json()["items"]
    assert [item["reason"] for item in unmatched] == ["no_enrollment"]


async def test_nobody_makes_addresses_without_end(mailed: Mailed) -> None:
    for _ in range(forwarding.MOST_A_DAY):
        await mailed.address()
    assert (await mailed.call(Role.MEMBER, "POST", PATH, who="M-1")).status_code == 409
    clock.set_to(clock.now() + timedelta(days=1, minutes=1))
    assert (await mailed.call(Role.MEMBER, "POST", PATH, who="M-1")).status_code == 201


async def test_an_admin_sees_whether_and_never_which(mailed: Mailed) -> None:
    address = await mailed.address("M-2")
    answer = await mailed.call(Role.ADMIN, "GET", "/v1/forwarding-addresses")
    (item,) = answer.json()["items"]
    assert item == {"member_id": str(mailed.world.union.members["M-2"]), "made_at": item["made_at"]}
    assert address not in answer.text
    elsewhere = await mailed.world.sign_in(Role.ADMIN, tenant=mailed.world.other)
    async with elsewhere as browser:
        assert (await browser.get("/v1/forwarding-addresses")).json()["items"] == []


async def test_a_mailbox_asks_and_only_the_member_sees_it_as_text(mailed: Mailed) -> None:
    address = await mailed.address()
    event = await mailed.event(await mailed.bring(question(), address))
    assert (event.outcome, event.reason, event.sealed) == ("non_alert", confirmations.REASON, None)
    (asked,) = (await mailed.call(Role.MEMBER, "GET", PATH, who="M-1")).json()["confirmations"]
    assert (asked["checked"], asked["code"], asked["link"]) == (False, "123456789", None)
    assert "mail-settings.google.com" in asked["text"]
    assert (await mailed.call(Role.CASEWORKER, "GET", "/v1/queues/reviews")).json()["items"] == []
    assert (await mailed.call(Role.MEMBER, "GET", PATH, who="M-2")).json()["confirmations"] == []
    own = (await mailed.call(Role.MEMBER, "GET", "/v1/me/visits?own=true", who="M-1")).json()["items"]
    assert [one["what"] for one in own] == ["mail"]
    clock.set_to(clock.now() + confirmations.SHOWN_FOR + timedelta(minutes=1))
    assert (await mailed.call(Role.MEMBER, "GET", PATH, who="M-1")).json()["confirmations"] == []


async def test_a_question_to_an_address_before_is_not_shown_any_more(mailed: Mailed) -> None:
    await mailed.bring(question(), await mailed.address())
    await mailed.address()
    assert (await mailed.call(Role.MEMBER, "GET", PATH, who="M-1")).json()["confirmations"] == []


def test_a_link_is_one_only_where_the_signature_holds_and_it_leads_home() -> None:
    receipt = Receipt(grade=Grade.THIRD_PARTY, received_at=clock.now())
    assert question_in(ASKED, receipt).link == "https://mail-settings.google.com/mail/vf-%5BANGjdJ8-x%5D-abc"
    elsewhere = ASKED.replace("mail-settings.google.com", "mail.google.com.attacker.example")
    assert question_in(elsewhere, receipt).link is None
    assert question_in(ASKED, Receipt(grade=Grade.UNVERIFIABLE, received_at=clock.now())).link is None


@pytest.mark.parametrize(
    ("link", "home"),
    [
        ("https://mail.google.com/mail/vf-x", True),
        ("https://mail-settings.google.com/mail/vf-x", True),
        ("http://mail.google.com/mail/vf-x", False),
        ("https://mail.google.com@attacker.example/x", False),
        ("https://attacker@mail.google.com/x", False),
        ("https://mail.google.com:8443/x", False),
        ("https://mail.google.com.attacker.example/x", False),
        ("https://xmail.google.com/x", False),
        ("https://[mail.google.com/x", False),
        ("javascript:alert(1)", False),
    ],
)
def test_where_a_link_leads(link: str, home: bool) -> None:
    assert leads_home(link) is home


async def test_a_mail_that_says_nothing_goes_with_its_member(mailed: Mailed) -> None:
    receipt_id = await mailed.bring(question(), await mailed.address())
    member = mailed.world.union.members["M-1"]
    assert (await mailed.call(Role.ADMIN, "POST", f"/v1/members/{member}/erasure")).status_code == 204
    await mailed.world.workers.drain()
    async with mailed.world.context.database.begin(read_only=True) as tx:
        receipt = (await tx.execute(select(Receipt).where(Receipt.id == receipt_id))).scalar_one()
    assert receipt.wrapped_key is None


async def test_an_answered_mail_that_is_no_alert_goes_with_its_member(mailed: Mailed) -> None:
    event_id = await mailed.asked()
    await mailed.call(Role.CASEWORKER, "POST", f"/v1/queues/reviews/{event_id}", {"not_an_alert": "advertising"})
    member = mailed.world.union.members["M-1"]
    assert (await mailed.call(Role.ADMIN, "POST", f"/v1/members/{member}/erasure")).status_code == 204
    await mailed.world.workers.drain()
    async with mailed.world.context.database.begin(read_only=True) as tx:
        event = (await tx.execute(select(Event).where(Event.id == event_id))).scalar_one()
    assert (event.wrapped_key, event.sealed) == (None, None)


async def test_what_is_handed_on_is_about_whom_it_was_sent_to(mailed: Mailed) -> None:
    """A mail inside another is handed on with its recipient, and found again under their address."""
    address = await mailed.address()
    await mailed.bring(ATTACHED, address)
    async with mailed.world.context.database.begin(read_only=True) as tx:
        rows = (await tx.execute(select(Receipt).where(Receipt.connection_id == mailed.connection_id))).scalars().all()
    assert len(rows) == 2
    assert len({row.about_index for row in rows}) == 1
