"""The caseworker's pages: an alert that is nobody's finds its member, what was not understood is tried again; no content."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select

from app.access.repository import account_of_member
from app.access.roles import Role
from app.incidents import giving
from app.incidents.models import Unmatched
from app.intake.handling import OTHER_PERSON
from app.intake.models import Event
from app.kit import clock
from app.kit.errors import Problem
from app.ledger.models import LedgerEntry
from app.ledger.service import SYSTEM
from app.members import service as members
from app.members.models import Enrollment
from app.members.roster import EnrollmentEntry, Job, RosterEntry
from app.web.labels import NOT_UNDERSTOOD, not_understood
from connectors.standard.connector import Standard
from tests.repo.tree import ROOT
from tests.support.world import NOW, World, alert
from tests.web.test_office_pages import text_of

CONTENT = "Canary words of the alert"
LOST = alert(id="lost-1", member="ref-lost", summary=CONTENT, institution="Canary Bank")


async def newcomer(world: World, number: str = "M-9", tenant: Any = None) -> UUID:
    """Somebody on the roster who was never enrolled or asked."""
    tenant = tenant or world.union
    async with world.context.database.begin() as tx:
        person = RosterEntry(2, number, "Pat Invented", f"{number.lower()}@example.org", {Job(NOW.date(), None)})
        await members.import_roster(tx, world.context.keyring, tenant.id, [person], ())
        found = await members.find_member(tx, world.context.keyring, tenant.id, number)
        assert found is not None
        account = await account_of_member(tx, tenant.id, found.id)
        assert account is not None
    tenant.members[number], tenant.accounts[number] = found.id, account.id
    return found.id


async def lost(world: World, **change: Any) -> UUID:
    """An alert that is nobody's; its id."""
    assert (await world.deliver(LOST | change)).status_code == 202
    await world.workers.drain()
    async with world.context.database.begin(read_only=True) as tx:
        return (await tx.execute(select(Unmatched.alert_id).order_by(Unmatched.alert_id.desc()).limit(1))).scalar_one()


async def give(world: World, alert_id: UUID, number: str, **fields: str) -> httpx.Response:
    async with await world.sign_in(Role.CASEWORKER) as caseworker:
        answer = await caseworker.post(f"/queues/unmatched/{alert_id}", data={"external_id": number, "sure": "yes"} | fields)
    await world.workers.drain()
    return answer


async def queue(world: World) -> str:
    async with await world.sign_in(Role.CASEWORKER) as caseworker:
        answer = await caseworker.get("/queues")
    assert answer.status_code == 200
    return answer.text


async def titles(world: World, number: str) -> list[str]:
    return [entry["title"] for entry in await world.timeline(number)]


async def agree(world: World, number: str, given: bool) -> None:
    async with await world.sign_in(Role.MEMBER, number) as browser:
        body = {"connection_id": str(world.union.connection.connection.id), "given": given}
        assert (await browser.post("/v1/me/consents", json=body)).status_code == 204
    await world.workers.drain()


async def test_the_member_is_asked_sees_nothing_before_and_everything_after(world: World) -> None:
    await newcomer(world)
    first = await lost(world)
    await lost(world, id="lost-2")
    page = await queue(world)
    assert f"/queues/unmatched/{first}" in page
    assert CONTENT not in page
    done = await give(world, first, "M-9")
    assert (done.status_code, done.headers["location"]) == (303, "/queues?said=given")
    assert "/queues/unmatched/" not in await queue(world), "all that waits under the same reference goes along"
    assert await titles(world, "M-9") == []
    async with await world.sign_in(Role.MEMBER, "M-9") as browser:
        own = (await browser.get("/timeline")).text
        assert [view["waiting"] for view in (await browser.get("/v1/me/consents")).json()] == [True]
    async with await world.sign_in(Role.MEMBER, "M-1") as browser:
        views = (await browser.get("/v1/me/consents")).json()
        assert [view["waiting"] for view in views] == [False], "what waits for somebody else is nobody's business"
    assert CONTENT not in own
    assert "Canary" not in own
    await agree(world, "M-9", given=True)
    assert len(await titles(world, "M-9")) == 1
    assert (await world.deliver(LOST | {"id": "lost-3", "type": "tax.fraud"})).status_code == 202
    assert len(await titles(world, "M-9")) == 2, "what comes later finds its way"


async def test_giving_is_in_the_ledger_without_a_word_of_it(world: World) -> None:
    member_id, alert_id = await newcomer(world), await lost(world)
    await give(world, alert_id, "M-9")
    async with world.context.database.begin(read_only=True) as tx:
        query = select(LedgerEntry).where(LedgerEntry.kind == "roster", LedgerEntry.actor_role == Role.CASEWORKER)
        (entry,) = (await tx.execute(query)).scalars()
    assert (entry.member_id, entry.actor_id) == (member_id, world.union.accounts[Role.CASEWORKER])
    assert entry.subjects == {"alert": str(alert_id), "connection": str(world.union.connection.connection.id)}


@pytest.mark.parametrize("given", [True, False])
async def test_nobody_is_taken_who_has_answered_for_this_service(world: World, given: bool) -> None:
    """A yes would show them at once what may be somebody else's; a no would destroy it. Either way it stays in the queue."""
    await agree(world, "M-2", given=given)
    alert_id = await lost(world)
    refused = await give(world, alert_id, "M-2")
    assert refused.status_code == 409
    assert "has already answered" in refused.text
    assert f"/queues/unmatched/{alert_id}" in await queue(world)
    assert await titles(world, "M-2") == []


async def test_only_a_sure_answer_with_a_number_of_the_roster_is_taken(world: World) -> None:
    await newcomer(world)
    await newcomer(world, "M-8", world.other)
    alert_id = await lost(world)
    wrong: list[tuple[dict[str, str], str]] = [
        ({"number": ""}, "number on the roster."),
        ({"number": "nobody-77"}, "Nobody on the roster has this number."),
        ({"number": "M-8"}, "Nobody on the roster has this number."),
        ({"number": "M-9", "sure": ""}, "Check the number"),
    ]
    for fields, said in wrong:
        answer = await give(world, alert_id, **fields)
        assert answer.status_code == 422, fields
        assert said in answer.text
    assert f"/queues/unmatched/{alert_id}" in await queue(world)
    assert (await give(world, uuid4(), "M-9")).status_code == 404
    async with await world.sign_in(Role.CASEWORKER, tenant=world.other) as stranger:
        fields = {"external_id": "M-8", "sure": "yes"}
        assert (await stranger.post(f"/queues/unmatched/{alert_id}", data=fields)).status_code == 404
    await give(world, alert_id, "M-9")
    assert (await give(world, alert_id, "M-9")).status_code == 404, "given once"


async def test_two_caseworkers_at_once_give_it_to_one_person(world: World) -> None:
    """Two alerts under one reference, given to two people while neither has been committed."""
    await newcomer(world)
    await newcomer(world, "M-8")
    ids, context, own = [await lost(world), await lost(world, id="lost-2")], world.context, world.union.id

    async def second() -> None:
        async with context.database.begin() as tx:
            await giving.give(tx, context.keyring, own, ids[1], "M-8", SYSTEM)

    async with context.database.begin() as tx:
        await giving.give(tx, context.keyring, own, ids[0], "M-9", SYSTEM)
        other = asyncio.create_task(second())
        await asyncio.sleep(0.3)
        assert not other.done(), "it waits for the first"
    with pytest.raises(Problem, match="belongs to somebody already"):
        await other
    async with context.database.begin(read_only=True) as tx:
        given = select(Enrollment.member_id).where(Enrollment.reference_sealed.is_(None))
        assert (await tx.execute(given)).scalars().all() == [world.union.members["M-9"]]


async def test_an_import_completes_what_a_caseworker_began(world: World) -> None:
    """Only the blind index of the reference is known then; to ask a provider, the import must bring the reference itself."""
    member_id = await newcomer(world)
    await give(world, await lost(world), "M-9")
    await agree(world, "M-9", given=True)
    context, own, connection_id = world.context, world.union.id, world.union.connection.connection.id

    async def askable() -> set[str]:
        async with context.database.begin(read_only=True) as tx:
            found = await members.enrolled_who_agreed(tx, context.keyring, own, connection_id)
            return {one.reference for one in found if one.member_id == member_id}

    assert await askable() == set()
    entry = EnrollmentEntry(2, "M-9", "ref-lost", True, None, None)
    for expected in ((0, 1, 0), (0, 0, 1)):
        async with context.database.begin() as tx:
            report = await members.import_enrollments(tx, context.keyring, own, connection_id, [entry], ())
        assert (report.added, report.updated, report.unchanged) == expected
    assert await askable() == {"ref-lost"}


async def test_two_peoples_alert_cannot_be_given_and_says_what_to_do(world: World) -> None:
    context, connection_id = world.context, world.union.connection.connection.id
    entries = [EnrollmentEntry(n, f"M-{n}", "ref-lost", True, None, None) for n in (1, 2)]
    async with context.database.begin() as tx:
        await members.import_enrollments(tx, context.keyring, world.union.id, connection_id, entries, ())
    alert_id = await lost(world)
    async with await world.sign_in(Role.CASEWORKER) as caseworker:
        page = (await caseworker.get(f"/queues/unmatched/{alert_id}")).text
    assert "More than one person was entered" in page
    assert 'name="external_id"' not in page
    await newcomer(world)
    assert (await give(world, alert_id, "M-9")).status_code == 409


async def test_what_was_not_understood_is_tried_again_one_by_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Standard, "normalise", lambda self, event: {}[event.event_type])
        assert (await world.deliver({"alerts": [alert(id="q-1"), alert(id="q-2", opened="2021-01-05")]})).status_code == 202
        assert (await world.deliver(alert(id="q-3"))).status_code == 202
        await world.workers.drain()
        page = await queue(world)
        assert page.count(">Try again</button>") == 3
        first = re.findall(r'action="(/queues/receipts/[^"]+)"', page)[0]
        async with await world.sign_in(Role.CASEWORKER) as caseworker:
            still = await caseworker.post(first)
        assert still.headers["location"] == "/queues?said=still"
    async with await world.sign_in(Role.CASEWORKER) as caseworker:
        done = await caseworker.post(first)
        again = await caseworker.post(first)
    assert (done.status_code, done.headers["location"]) == (303, "/queues?said=understood")
    assert again.status_code == 409
    assert (await queue(world)).count(">Try again</button>") == 1
    assert len(await titles(world, "M-1")) == 2
    async with world.context.database.begin(read_only=True) as tx:
        entries = (await tx.execute(select(LedgerEntry).where(LedgerEntry.kind == "replay"))).scalars().all()
    assert [entry.actor_role for entry in entries] == [Role.CASEWORKER] * 2


async def test_a_late_delivery_is_taken_as_it_is_when_a_person_says_so(world: World) -> None:
    assert (await world.deliver(alert(), at=clock.now() - timedelta(days=2))).status_code == 202
    await world.workers.drain()
    page = await queue(world)
    assert "Take it as it is" in page
    assert await titles(world, "M-1") == []
    path = re.findall(r'action="(/queues/receipts/[^"]+)"', page)[0]
    async with await world.sign_in(Role.CASEWORKER, tenant=world.other) as stranger:
        assert (await stranger.post(path)).status_code == 404
    async with await world.sign_in(Role.CASEWORKER) as caseworker:
        assert (await caseworker.post(path)).headers["location"] == "/queues?said=understood"
    assert len(await titles(world, "M-1")) == 1


async def test_every_row_is_reached_by_the_keyboard(world: World) -> None:
    await lost(world)
    await world.deliver(alert(id="q-1", type="never.heard.of"))
    await world.deliver(b"no JSON")
    await world.workers.drain()
    page = await queue(world)
    rows = re.findall(r'<ol class="queue">(.*?)</ol>', page, re.DOTALL)
    assert len(rows) == 3
    for row in rows:
        assert re.search(r"<a href=|<button", row)
        assert "aria-label=" in row
    read = text_of(page)
    assert "Nobody’s alerts (1)" in read
    assert "A kind of message that Harmline does not know yet: see type" in read


def test_every_reason_of_ours_has_words_for_a_caseworker() -> None:
    """What the source gives as a reason is what the labels know; a mistake of ours is told to whoever runs the service."""
    source = (ROOT / "app" / "intake" / "understanding.py").read_text()
    given = set(re.findall(r'_quarantined\("([^"]+)"', source))
    assert given | {OTHER_PERSON} == set(NOT_UNDERSTOOD)
    for reason in (None, "connector failed: KeyError"):
        assert "Tell whoever runs the service" in not_understood(reason)


async def test_a_no_to_what_a_caseworker_gave_sends_it_back_to_the_queue(world: World) -> None:
    """It may be somebody else's: a mistake of ours must not destroy their alert."""
    await newcomer(world)
    alert_id = await lost(world)
    assert (await give(world, alert_id, "M-9")).status_code < 400
    await agree(world, "M-9", given=False)
    async with world.context.database.begin(read_only=True) as tx:
        row = (await tx.execute(select(Unmatched).where(Unmatched.alert_id == alert_id))).scalar_one()
        assert (row.reason, row.member_id, row.closed_at) == ("no_enrollment", None, None)
        event = (await tx.execute(select(Event).where(Event.alert_id == alert_id))).scalar_one()
        assert event.wrapped_key is not None
    assert await titles(world, "M-9") == []
    await newcomer(world, "M-8")
    assert (await give(world, alert_id, "M-8")).status_code < 400
    await agree(world, "M-8", given=True)
    assert len(await titles(world, "M-8")) == 1


async def test_what_a_caseworker_gave_and_nobody_answered_goes_back_after_ninety_days(world: World) -> None:
    await newcomer(world)
    alert_id = await lost(world)
    await give(world, alert_id, "M-9")
    clock.set_to(NOW + timedelta(days=91))
    await world.workers.sweep()
    assert (await give(world, alert_id, "M-9")).status_code < 400
    await agree(world, "M-9", given=True)
    assert len(await titles(world, "M-9")) == 1
