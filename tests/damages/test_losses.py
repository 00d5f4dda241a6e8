"""Losses: exact amounts, totals that follow from the entries, the member's own words sealed, nobody else's to read."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import func, select

from app.breaches import workers as breach_workers
from app.breaches.service import load_catalogue, open_matter
from app.damages import service
from app.damages.endpoints import router
from app.damages.heads import HEADS, OFFERED, Head
from app.damages.models import Loss, Reimbursement
from app.damages.schemas import LossView, NewLoss, Payer, ReimbursementView
from app.incidents import workers as incident_workers
from app.incidents.identity import Answer
from app.kit import clock
from app.kit.errors import Problem
from app.kit.ids import uuid7
from app.ledger.service import Act
from app.members.models import Member
from connectors.vocabulary import AlertKind as K
from tests.support.rooms import WHOLE_TIME, Rooms, at, rooms

TODAY = datetime(2024, 3, 1, 9, tzinfo=UTC)
ENTRY: dict[str, Any] = {
    "head": "fraud_loss",
    "amount": "120.50",
    "incurred_on": "2023-04-02",
    "note": "Card opened in my name.\nI called them twice.",
    "reimbursements": [
        {"payer": "bank", "amount": "100.25", "paid_on": "2023-05-01"},
        {"payer": "other", "amount": "0.25"},
    ],
}


@pytest.fixture
async def org(database_url: str) -> AsyncIterator[Rooms]:
    with clock.stopped(TODAY):
        async with rooms(database_url) as opened:
            yield opened


async def hit(org: Rooms) -> tuple[UUID, UUID, UUID]:
    """A member with one incident: their id, the alert's, the incident's."""
    member_id = await org.member(WHOLE_TIME)
    alert_id = await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 4, 1), institution="A")
    return member_id, alert_id, await org.incident_of(member_id, alert_id)


async def enter(org: Rooms, member_id: UUID, incident_id: UUID, **changes: Any) -> LossView:
    caller = await org.principal(member_id)
    async with org.database.begin() as tx:
        return await service.enter_loss(tx, org.keyring, caller, incident_id, NewLoss.model_validate(ENTRY | changes))


async def losses(org: Rooms, member_id: UUID, *incidents: UUID) -> list[LossView]:
    async with org.database.begin(read_only=True) as tx:
        return await service.losses_of(tx, org.keyring, org.organization_id, member_id, incidents)


async def test_a_loss_is_entered_and_read_over_http_with_exact_sums(org: Rooms) -> None:
    member_id, alert_id, incident_id = await hit(org)
    await org.answer(member_id, alert_id, Answer.NOT_ME)
    path = f"/v1/incidents/{incident_id}/losses"
    async with org.client(router, await org.principal(member_id)) as client:
        made = await client.post(path, json=ENTRY)
        await client.post(path, json={"head": "oop", "amount": "0.10", "incurred_on": "2024-03-01"})
        await client.post(path, json=ENTRY | {"currency": "EUR", "reimbursements": []})
        listed = await client.get(path)
    assert (made.status_code, listed.status_code) == (201, 200)
    entry = made.json()
    assert (entry["amount"], entry["reimbursed"], entry["net"]) == ("120.50", "100.50", "20.00")
    assert (entry["label"], entry["note"], entry["counts"], entry["hint"]) == ("Money taken", ENTRY["note"], True, None)
    body = listed.json()
    assert [item["amount"] for item in body["items"]] == ["120.50", "0.10", "120.50"]
    assert [(t["currency"], t["gross"], t["reimbursed"], t["net"]) for t in body["totals"]] == [
        ("EUR", "120.50", "0.00", "120.50"),
        ("USD", "120.60", "100.50", "20.10"),
    ]
    assert (body["counts"], body["hint"]) == (True, None)
    assert len(await org.ledger(Act.LOSS)) == 3
    [view] = await org.ledger(Act.VIEW)
    assert (view.member_id, view.actor_role) == (member_id, "member")


@pytest.mark.parametrize("answer", [None, Answer.WAS_ME, Answer.UNSURE])
async def test_without_not_me_a_loss_is_kept_and_the_answer_says_that_it_does_not_count(
    org: Rooms, answer: Answer | None
) -> None:
    member_id, alert_id, incident_id = await hit(org)
    if answer is not None:
        await org.answer(member_id, alert_id, answer)
    async with org.client(router, await org.principal(member_id)) as client:
        made = (await client.post(f"/v1/incidents/{incident_id}/losses", json=ENTRY)).json()
        assert made["counts"] is False
        assert "not me" in made["hint"]
        await org.answer(member_id, alert_id, Answer.NOT_ME)
        listed = (await client.get(f"/v1/incidents/{incident_id}/losses")).json()
    assert (listed["items"][0]["id"], listed["items"][0]["counts"], listed["hint"]) == (made["id"], True, None)


BROKEN = [
    {"amount": value}
    for value in ("0", "0.00", "-1", "1.234", "01", "1e3", "1,000", "1000000000000", "NaN", "", " 1", "1\n", "１", 1, 1.5, None)
]
BROKEN += [{"currency": value} for value in ("usd", "US", "USDX", "US1", "USD\n", "ÄÖÜ", 840, None)]
BROKEN += [{"incurred_on": value} for value in ("2023-4-2", "2023-02-30", "20230402", "2023-04-02T00:00:00", 1, None, "")]
BROKEN += [{"note": value} for value in ("", "a\x00b", "a\x1bb", "a\x7fb", "a\x85b", "x" * 2001, 7, ["x"], "a\ud800")]
BROKEN += [{"head": value} for value in ("pii_value", "statutory", "FRAUD_LOSS", "", None)]
BROKEN += [{"reimbursements": value} for value in (None, {}, [1], [{"payer": "bank"}], [{"payer": "me", "amount": "1"}])]
BROKEN += [
    {"reimbursements": [{"payer": "bank", "amount": "1", "more": 1}]},
    {"reimbursements": [{"payer": "bank", "amount": "0.10"}] * 51},
    {"member_id": "x"},
]


@pytest.mark.parametrize("change", BROKEN, ids=lambda change: ascii(change)[:60])
def test_a_field_that_is_not_right_is_refused(change: dict[str, Any]) -> None:
    NewLoss.model_validate(ENTRY)
    with pytest.raises(ValidationError):
        NewLoss.model_validate(ENTRY | change)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"incurred_on": "2024-03-02"}, "body.incurred_on"),
        ({"reimbursements": [{"payer": "bank", "amount": "1", "paid_on": "2024-03-02"}]}, "body.reimbursements.0.paid_on"),
        ({"amount": "100.49"}, "body.reimbursements"),
    ],
)
async def test_what_cannot_be_is_refused_by_name_and_nothing_is_kept(org: Rooms, change: Any, field: str) -> None:
    member_id, _, incident_id = await hit(org)
    async with org.client(router, await org.principal(member_id)) as client:
        answer = await client.post(f"/v1/incidents/{incident_id}/losses", json=ENTRY | change)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert await losses(org, member_id, incident_id) == []
    assert await org.ledger(Act.LOSS) == []


async def test_today_and_everything_paid_back_are_fine(org: Rooms) -> None:
    member_id, _, incident_id = await hit(org)
    entry = await enter(org, member_id, incident_id, incurred_on="2024-03-01", amount="100.50")
    assert entry.net == Decimal("0.00")


async def test_the_note_is_readable_nowhere_but_under_the_members_key(org: Rooms) -> None:
    member_id, _, incident_id = await hit(org)
    entry = await enter(org, member_id, incident_id)
    async with org.database.begin(read_only=True) as tx:
        row = await tx.get_one(Loss, (member_id, entry.id))
    assert row.note_sealed is not None
    assert b"my name" not in row.note_sealed
    [entered] = await org.ledger(Act.LOSS)
    assert "my name" not in json.dumps(entered.subjects)
    [read] = await losses(org, member_id, incident_id)
    assert read.note == ENTRY["note"]


async def test_a_loss_follows_its_incident_when_that_is_merged_into_another(org: Rooms) -> None:
    member_id, first, survivor = await hit(org)
    second = await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 6, 20), institution="A")
    gone = await org.incident_of(member_id, second)
    assert gone != survivor
    before = await enter(org, member_id, gone, amount="200.00")
    await org.alert(member_id, K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 5, 10), institution="A")
    assert await org.incident_of(member_id, second) == await org.incident_of(member_id, first) == survivor
    after = await enter(org, member_id, gone, amount="300.00")
    assert after.incident_id == survivor
    for asked in ((survivor,), (gone,), (gone, survivor)):
        found = await losses(org, member_id, *asked)
        assert [(loss.id, loss.incident_id) for loss in found] == [(before.id, survivor), (after.id, survivor)]
    async with org.client(router, await org.principal(member_id)) as client:
        listed = (await client.get(f"/v1/incidents/{gone}/losses")).json()
    assert (listed["incident_id"], listed["totals"][0]["gross"]) == (str(survivor), "500.00")


async def test_nobody_else_enters_or_reads_a_loss(org: Rooms) -> None:
    member_id, _, incident_id = await hit(org)
    await enter(org, member_id, incident_id)
    other = await org.another_organization()
    stranger, _, strange_incident = await hit(other)
    path = f"/v1/incidents/{incident_id}/losses"
    for principal in (await org.principal((await hit(org))[0]), await other.principal(stranger)):
        async with org.client(router, principal) as client:
            assert (await client.get(path)).status_code == 404
            assert (await client.post(path, json=ENTRY)).status_code == 404
    assert len(await losses(org, member_id, incident_id, strange_incident)) == 1
    assert await losses(other, member_id, incident_id) == []
    assert await losses(org, stranger, strange_incident) == []
    assert len(await org.ledger(Act.VIEW)) == len(await other.ledger(Act.VIEW)) == 0


async def test_counsel_reads_with_a_matter_only_and_never_enters(org: Rooms) -> None:
    member_id, _, incident_id = await hit(org)
    await enter(org, member_id, incident_id)
    assigned, idle = await org.counsel(), await org.counsel()
    async with org.database.begin() as tx:
        await load_catalogue(tx, org.keyring, org.organization_id, "oakland")
        await open_matter(tx, org.keyring, org.organization_id, "oakland-2023", "T", assigned.account_id)
    await org.run(breach_workers.consumer(org.context))
    path = f"/v1/incidents/{incident_id}/losses"
    async with org.client(router, idle) as client:
        assert (await client.get(path)).status_code == 404
    async with org.client(router, assigned) as client:
        answer = await client.get(path)
        assert (await client.post(path, json=ENTRY)).status_code == 403
    assert (answer.status_code, len(answer.json()["items"])) == (200, 1)
    [view] = await org.ledger(Act.VIEW)
    assert (view.member_id, view.actor_role, view.actor_id) == (member_id, "counsel", assigned.account_id)


async def test_an_unknown_incident_is_not_found(org: Rooms) -> None:
    member_id, _, _ = await hit(org)
    with pytest.raises(Problem) as refused:
        await enter(org, member_id, uuid7())
    assert refused.value.status == 404


async def test_an_incident_has_only_so_many_entries(org: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MOST_ENTRIES", 1)
    member_id, _, incident_id = await hit(org)
    await enter(org, member_id, incident_id)
    with pytest.raises(Problem) as refused:
        await enter(org, member_id, incident_id)
    assert refused.value.status == 409


async def test_erasure_deletes_the_members_losses_and_no_other(org: Rooms) -> None:
    member_id, _, incident_id = await hit(org)
    neighbour, _, own_incident = await hit(org)
    for who, what in ((member_id, incident_id), (neighbour, own_incident)):
        await enter(org, who, what)
    caller = await org.principal(member_id)
    await org.erase(member_id)
    assert await losses(org, member_id, incident_id) == []
    with pytest.raises(Problem):
        async with org.database.begin() as tx:
            await service.enter_loss(tx, org.keyring, caller, incident_id, NewLoss.model_validate(ENTRY))
    for _ in range(2):
        await org.run(incident_workers.eraser(org.context))
    async with org.database.begin(read_only=True) as tx:
        assert (await tx.execute(select(Loss.member_id))).scalars().all() == [neighbour]
        assert set((await tx.execute(select(Reimbursement.member_id))).scalars()) == {neighbour}
        assert (await tx.get_one(Member, neighbour)).wrapped_key is not None
        assert (await tx.execute(select(func.count()).select_from(Reimbursement))).scalar_one() == 2


cents = st.integers(1, 10**14 - 1).map(lambda n: Decimal(n) / 100)


@st.composite
def entries(draw: st.DrawFn) -> LossView:
    amount = draw(cents)
    left, back = amount, []
    for part in draw(st.lists(cents, max_size=3)):
        if part <= left:
            left -= part
            back.append(ReimbursementView(payer=draw(st.sampled_from(Payer)), amount=part, paid_on=None))
    return LossView(
        id=uuid7(),
        incident_id=uuid7(),
        head=Head.OOP,
        label="",
        amount=amount,
        currency=draw(st.sampled_from(["USD", "EUR", "CHF"])),
        incurred_on=date(2023, 1, 1),
        note=None,
        reimbursements=back,
        reimbursed=amount - left,
        net=left,
        counts=True,
        entered_at=TODAY,
    )


@given(st.lists(entries(), max_size=30), st.randoms())
def test_totals_are_exactly_the_sums_of_the_entries_whatever_their_order(found: list[LossView], random: Any) -> None:
    lines = service.totals(found)
    assert [line.currency for line in lines] == sorted({loss.currency for loss in found})
    for line in lines:
        own = [loss for loss in found if loss.currency == line.currency]
        assert line.gross * 100 == sum(int(loss.amount * 100) for loss in own)
        assert line.reimbursed * 100 == sum(int(r.amount * 100) for loss in own for r in loss.reimbursements)
        assert line.net == line.gross - line.reimbursed == sum(loss.net for loss in own)
        assert line.net >= 0
        assert line.entries == len(own)
    random.shuffle(found)
    assert service.totals(found) == lines


@given(cents)
def test_every_amount_of_up_to_fourteen_digits_is_taken_as_it_is_written(amount: Decimal) -> None:
    assert Decimal(NewLoss.model_validate(ENTRY | {"amount": f"{amount:.2f}"}).amount) == amount


async def test_the_largest_amount_comes_back_as_it_went_in(org: Rooms) -> None:
    member_id, _, incident_id = await hit(org)
    await enter(org, member_id, incident_id, amount="999999999999.99", reimbursements=[])
    [found] = await losses(org, member_id, incident_id)
    assert found.net == Decimal("999999999999.99")


def test_every_head_has_its_words_and_what_courts_turned_down_is_not_offered() -> None:
    assert set(HEADS) == set(Head)
    assert Head.PII_VALUE not in OFFERED
    assert {Head.FRAUD_LOSS, Head.OOP, Head.TIME, Head.SAFETY} <= set(OFFERED)
    shown = NewLoss.model_json_schema()["properties"]["head"]
    assert shown["enum"] == [head.value for head in OFFERED]
