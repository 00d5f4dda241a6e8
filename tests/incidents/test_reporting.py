"""A member reports something themselves: it goes the way of everything that comes in, and is shown as their own word."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest
from sqlalchemy import func, select

from app.access.roles import Role
from app.connections.managing import close
from app.connections.models import Connection
from app.connections.service import OWN, create_connection
from app.incidents import reporting
from app.incidents.models import MemberEvent
from app.intake.models import Channel, Receipt
from app.intake.sealing import open_body
from app.kit.errors import Problem
from app.ledger.models import LedgerEntry
from app.ledger.service import SYSTEM, Act
from app.members import erasing
from app.members.models import Consent, Enrollment
from connectors.contract import Sender
from tests.incidents.reports import FOUND, PDF, event_of, hinted, report, reported
from tests.intake.counting import books
from tests.support.rows import contents, counts, grown
from tests.support.world import World, alert

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


async def test_what_a_member_found_out_is_an_incident_of_theirs_and_their_own_word(world: World) -> None:
    found = await reported(world, FOUND)
    event = event_of(found)
    assert (found["kind"], found["institution"], found["last_four"], found["answer"]) == (
        "new_account.bank",
        "Invented Savings",
        "77",
        "unanswered",
    )
    assert (found["amount"], found["currency"], found["details_requested"], found["wanting"]) == ("120.50", "USD", False, [])
    assert found["claimed"] == {"earliest": "2023-02-28T10:00:00Z", "latest": "2023-04-03T11:59:59.999999Z"}
    assert event["summary"] == "A letter about an account that I never opened.\nIt came on a Sunday."
    assert (event["grade"], event["grade_text"]) == ("member", "You entered it yourself.")
    assert event["grade_reason"] == "a member who was signed in entered it; nobody else vouches for it"
    assert event["document"] is None
    assert [source["source"] for source in found["sources"]] == ["What members report themselves"]
    async with world.context.database.begin() as tx:
        row = (await tx.execute(select(Receipt))).scalar_one()
        assert (row.channel, row.grade, row.verification["scheme"]) == (Channel.ENTERED, "member", "entered")
        assert row.about_index is not None
        assert b"never opened" in (await open_body(tx, world.context.keyring, row) or b"")
    plain = str(await contents(world.context.database))
    assert [word for word in ("never opened", "Sunday", "Invented Savings") if word in plain] == []
    assert (await books(world))["receipts"] == 1


async def test_a_document_is_kept_byte_for_byte(world: World) -> None:
    found = await reported(world, {"kind": "tax.fraud"}, PDF)
    event = event_of(found)
    assert event["document"] == {"media_type": "application/pdf", "size": len(PDF)}
    assert event["original_sha256"] == hashlib.sha256(PDF).hexdigest()
    assert event["summary"] == "Reported with a document."
    async with world.context.database.begin() as tx:
        row = (await tx.execute(select(Receipt))).scalar_one()
        assert await open_body(tx, world.context.keyring, row) == PDF


async def test_the_same_report_twice_is_one_and_anything_else_is_another(world: World) -> None:
    first, again = await report(world, FOUND, PDF), await report(world, FOUND, PDF)
    assert (first.json()["repeat"], again.json()["repeat"]) == (False, True)
    assert first.json()["receipt_id"] == again.json()["receipt_id"]
    for fields, document in ((FOUND, None), ({**FOUND, "note": "Else."}, PDF), (FOUND, PDF + b" ")):
        answer = await report(world, fields, document)
        assert (answer.status_code, answer.json()["repeat"]) == (202, False)
    other = await report(world, FOUND, PDF, who="M-2")
    assert other.json()["repeat"] is False
    await world.workers.drain()
    found = await books(world)
    assert (found["receipts"], found["repeats"], found["alerts"], found["unmatched"]) == (5, 1, 5, {})
    (one,) = await world.timeline("M-2")
    assert one["alerts"] == 1


async def test_the_first_report_makes_the_connection_the_enrollment_and_the_consent_once(world: World) -> None:
    before = await counts(world.context.database)
    await reported(world, FOUND)
    first = grown(before, await counts(world.context.database))
    assert (first["connection"], first["enrollment"], first["consent"], first["receipt"]) == (1, 1, 1, 1)
    between = await counts(world.context.database)
    await reported(world, {"kind": "tax.fraud"})
    second = grown(between, await counts(world.context.database))
    assert {"connection", "enrollment", "consent"} & set(second) == set()
    await reported(world, {"kind": "tax.fraud"}, who="M-2")
    async with world.context.database.begin() as tx:
        made = (await tx.execute(select(Connection).where(Connection.connector == OWN))).scalar_one()
        enrolled = (await tx.execute(select(Enrollment).where(Enrollment.connection_id == made.id))).scalars().all()
        agreed = (await tx.execute(select(Consent).where(Consent.connection_id == made.id))).scalars().all()
        acts = (await tx.execute(select(LedgerEntry.kind, LedgerEntry.actor_role).order_by(LedgerEntry.id))).all()
    assert {row.member_id for row in enrolled} == {world.union.members[who] for who in ("M-1", "M-2")}
    assert {(row.given, row.source) for row in agreed} == {(True, "member")}
    assert made.organization_id == world.union.id
    told = [kind for kind, role in acts if role == "member" and kind in (Act.CONNECTION, Act.CONSENT)]
    assert told == [Act.CONNECTION, Act.CONSENT, Act.CONSENT]


async def test_two_first_reports_at_the_same_moment_make_one_connection(world: World) -> None:
    answers = await asyncio.gather(*(report(world, FOUND, who=who) for who in ("M-1", "M-2", "M-3")))
    assert [answer.status_code for answer in answers] == [202] * 3
    async with world.context.database.begin() as tx:
        assert (await tx.execute(select(func.count()).where(Connection.connector == OWN))).scalar_one() == 1
    await world.workers.drain()
    assert (await books(world))["alerts"] == 3


async def test_an_organization_has_one_and_a_new_one_once_it_was_closed(world: World) -> None:
    await reported(world, FOUND)
    options: dict[str, Any] = {"connector": OWN, "title": "Another", "sender": Sender.ORGANIZATION}
    async with world.context.database.begin() as tx:
        with pytest.raises(Problem) as refused:
            await create_connection(tx, world.context.keyring, world.union.id, **options)
    assert (refused.value.status, refused.value.errors[0].field) == (422, "body.connector")
    async with world.context.database.begin() as tx:
        made = (await tx.execute(select(Connection).where(Connection.connector == OWN))).scalar_one()
        await close(tx, world.context.keyring, world.union.id, made.id)
    await reported(world, {"kind": "tax.fraud"})
    async with world.context.database.begin() as tx:
        made_anew = (
            await tx.execute(select(Connection).where(Connection.connector == OWN, Connection.id != made.id))
        ).scalar_one()
        assert made_anew.closed_at is None
    assert len(await world.timeline()) == 2


async def test_whoever_sets_it_up_as_their_own_makes_a_members_word_no_word_of_theirs(world: World) -> None:
    async with world.context.database.begin() as tx:
        await create_connection(
            tx, world.context.keyring, world.union.id, connector=OWN, title="Ours", sender=Sender.ORGANIZATION
        )
    found = await reported(world, FOUND)
    assert event_of(found)["grade"] == "member"


async def test_who_took_their_consent_back_gives_it_by_the_next_report(world: World) -> None:
    await reported(world, FOUND)
    async with await world.sign_in(Role.MEMBER) as browser:
        own = next(one for one in (await browser.get("/v1/me/consents")).json() if one["title"].startswith("What members"))
        answer = await browser.post("/v1/me/consents", json={"connection_id": own["connection_id"], "given": False})
        assert answer.status_code == 204
    await reported(world, {"kind": "tax.fraud"})
    assert {entry["kind"] for entry in await world.timeline()} == {"new_account.bank", "tax.fraud"}


@pytest.mark.parametrize(
    ("fields", "document", "wrong"),
    [
        ({}, None, {"kind"}),
        ({"kind": "never.heard.of"}, None, {"kind"}),
        ({**FOUND, "last_four": "12345", "amount": "1,5"}, None, {"last_four", "amount"}),
        ({**FOUND, "happened_from": "03/01/2023"}, None, {"happened_from"}),
        ({**FOUND, "found_on": "2023-06-02"}, None, {"found_on"}),
        ({**FOUND, "happened_from": "2023-05-01"}, None, {"happened_from"}),
        ({**FOUND, "currency": "usd"}, None, {"currency"}),
        ({"kind": "tax.fraud", "currency": "EUR"}, None, {"amount"}),
        ({"kind": "tax.fraud", "currency": "EUR", "last_four": "x"}, b"GIF89a\x00", {"amount", "last_four", "document"}),
        ({"kind": "tax.fraud", "x" * 200: "y"}, None, {"x" * 60}),
        ({**FOUND, "note": "x" * 2001}, None, {"note"}),
        ({**FOUND, "completes": "0190a3c5-7d1e-7c3a-9b52-5d6f1f0c9a02"}, None, {"completes"}),
        ({**FOUND, "completes": "x"}, None, {"completes"}),
        ({**FOUND, "member": "0190a3c5-7d1e-7c3a-9b52-5d6f1f0c9a02"}, None, {"member"}),
        (FOUND, b"MZ\x90\x00 a program", {"document"}),
        (FOUND, b"", {"document"}),
        ({"kind": "x"}, b"MZ\x00", {"kind", "document"}),
    ],
)
async def test_what_is_not_right_is_named_and_nothing_is_kept(
    world: World, fields: dict[str, str], document: bytes | None, wrong: set[str]
) -> None:
    before = await counts(world.context.database)
    answer = await report(world, fields, document)
    assert answer.status_code == 422, answer.text
    assert set(grown(before, await counts(world.context.database))) == {"session", "ledger_entry"}, "of signing in alone"
    assert {error["field"] for error in answer.json()["errors"]} == {f"body.{name}" for name in wrong}
    assert [value for value in fields.values() if len(value) > 8 and value in answer.text] == []


@on_sqlite
async def test_a_form_that_is_none_or_too_much_is_refused(world: World) -> None:
    async with await world.sign_in(Role.MEMBER) as browser:
        for send, status in (
            ({"json": FOUND}, 415),
            ({"data": FOUND}, 415),
            ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 422),
            ({"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 422),
            ({"data": FOUND, "files": [("document", ("a", PDF)), ("document", ("b", PDF))]}, 422),
            ({"data": FOUND, "files": {"other": ("a", PDF)}}, 422),
            ({"data": {**FOUND, **{f"f{n}": "x" for n in range(50)}}, "files": {"document": ("a", PDF)}}, 422),
            ({"data": FOUND, "files": {"document": ("a", b"%PDF-" + bytes(20 * 1024 * 1024))}}, 413),
            ({"data": FOUND, "files": {"document": ("a", b"%PDF-" + bytes(22 * 1024 * 1024))}}, 413),
        ):
            answer = await browser.post("/v1/reports", **send)
            assert answer.status_code == status, (list(send), answer.text)
    assert (await books(world))["deliveries"] == 0


async def test_the_largest_document_is_taken(world: World) -> None:
    largest = b"%PDF-1.4\n" + bytes(20 * 1024 * 1024 - 9)
    found = await reported(world, {"kind": "tax.fraud"}, largest)
    assert event_of(found)["document"]["size"] == len(largest)


async def test_nobody_reports_without_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "MOST_A_DAY", 2)
    for kind in ("tax.fraud", "ssn.use"):
        await reported(world, {"kind": kind})
    assert (await report(world, FOUND)).status_code == 409
    assert (await report(world, FOUND, who="M-2")).status_code == 202


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.MEMBER])
@on_sqlite
async def test_nobody_but_a_member_reports(world: World, role: Role) -> None:
    async with await world.sign_in(role) as browser:
        answer = await browser.post("/v1/reports", data=FOUND, files={"document": ("", b"")})
    assert answer.status_code == 403


async def test_what_a_member_read_after_logging_in_completes_the_hint(world: World) -> None:
    hint = await hinted(world)
    (wanted,) = hint["wanting"]
    (entry,) = await world.timeline()
    assert (entry["details_requested"], entry["kind"]) == (True, "inquiry.hard")
    done = await reported(world, {**FOUND, "completes": wanted}, PDF)
    assert done["id"] == hint["id"]
    assert (done["details_requested"], done["wanting"], done["alerts"]) == (False, [], 2)
    assert (done["kind"], done["title"]) == ("new_account.bank", "A bank account was opened in your name")
    assert event_of(done)["completes"] == wanted
    (entry,) = await world.timeline()
    assert entry["details_requested"] is False


async def test_another_members_hint_cannot_be_completed(world: World) -> None:
    (wanted,) = (await hinted(world, "M-2"))["wanting"]
    assert (await report(world, {**FOUND, "completes": wanted})).status_code == 422
    assert (await report(world, {**FOUND, "completes": wanted}, who="M-1", tenant=world.other)).status_code == 422
    (entry,) = await world.timeline("M-2")
    assert entry["details_requested"] is True


async def test_a_document_can_be_put_to_any_alert_of_ones_own(world: World) -> None:
    await world.deliver(alert())
    (before,) = await world.timeline()
    async with await world.sign_in(Role.MEMBER) as browser:
        detail = (await browser.get(f"/v1/incidents/{before['id']}")).json()
    done = await reported(world, {"kind": "tax.fraud", "completes": detail["sources"][0]["alert_id"]}, PDF)
    assert (done["id"], done["alerts"], done["needs_review"]) == (before["id"], 2, False)


async def test_erasure_takes_a_report_along_wherever_it_is(world: World) -> None:
    await reported(world, FOUND, PDF)
    assert (await report(world, {"kind": "tax.fraud"}, PDF)).status_code == 202
    async with world.context.database.begin() as tx:
        await erasing.erase(tx, world.context.keyring, world.union.id, world.union.members["M-1"], SYSTEM)
    await world.workers.drain()
    async with world.context.database.begin() as tx:
        rows = (await tx.execute(select(Receipt))).scalars().all()
        assert [await open_body(tx, world.context.keyring, row) for row in rows] == [None, None]
        assert (await tx.execute(select(func.count()).select_from(MemberEvent))).scalar_one() == 0
