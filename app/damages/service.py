"""Use cases of losses: enter one, read them with their sums, forget an erased member's."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from app.access.roles import Principal, Role
from app.breaches.service import counsel_may_see
from app.damages import repository
from app.damages.heads import HEADS, Head
from app.damages.models import Loss, Reimbursement
from app.damages.schemas import EnteredLoss, LossList, LossView, NewLoss, Payer, ReimbursementView, Totals
from app.incidents import repository as incidents
from app.incidents.identity import Answer
from app.incidents.models import Incident
from app.kit import clock, crypto
from app.kit.database import Transaction
from app.kit.errors import FieldError, Problem, not_found
from app.kit.ids import uuid7
from app.kit.keyring import Keyring
from app.ledger.service import Act, Sight, append
from app.members import repository as members
from app.members.keys import open_json, open_key, seal_json
from app.members.models import Member

MOST_ENTRIES = 500
HINT = 'This is kept, but it counts only once you have answered "not me" for this incident.'


def totals(losses: Iterable[LossView]) -> list[Totals]:
    """The sums of some entries, one line per currency in alphabetical order; nothing is converted."""
    by_currency: defaultdict[str, list[LossView]] = defaultdict(list)
    for loss in losses:
        by_currency[loss.currency].append(loss)
    lines = []
    for currency, entries in sorted(by_currency.items()):
        gross = sum((loss.amount for loss in entries), Decimal("0.00"))
        back = sum((r.amount for loss in entries for r in loss.reimbursements), Decimal("0.00"))
        lines.append(Totals(currency=currency, gross=gross, reimbursed=back, net=gross - back, entries=len(entries)))
    return lines


def counts(incident: Incident) -> bool:
    """Whether losses over an incident count: only what the member says was not them does."""
    return incident.answer == Answer.NOT_ME


async def enter_loss(tx: Transaction, keyring: Keyring, caller: Principal, incident_id: UUID, new: NewLoss) -> EnteredLoss:
    """Write one loss of the calling member; of an incident that was merged away, under the one it was merged into.

    Raises a 404 Problem for an incident that is not the caller's, 422 for a day in the future or more paid back than the
    amount, 409 when the incident has as many entries as it may have.
    """
    incident, member = await _own_incident(tx, caller, incident_id)
    _refuse_impossible(new, clock.now().date())
    if await repository.count(tx, caller.organization_id, member.id, incident.id) >= MOST_ENTRIES:
        raise Problem(409, f"This incident has {MOST_ENTRIES} entries, which is as many as it may have.")
    key = await open_key(tx, keyring, member)
    loss = _row(caller, incident, new, key)
    tx.add(loss)
    await tx.flush()
    back = [_reimbursement(loss, place, r.payer, r.amount, r.paid_on) for place, r in enumerate(new.reimbursements)]
    tx.add_all(back)
    await append(
        tx,
        keyring,
        caller.organization_id,
        Act.LOSS,
        facts=_facts(new, key),
        actor=caller.actor,
        member_id=member.id,
        incident=incident.id,
        loss=loss.id,
    )
    view = _view(loss, back, incident, key)
    return EnteredLoss(**view.model_dump(), hint=None if view.counts else HINT)


async def _own_incident(tx: Transaction, caller: Principal, incident_id: UUID) -> tuple[Incident, Member]:
    if caller.member_id is None:
        raise not_found()
    member = await members.member(tx, caller.organization_id, caller.member_id, lock=True)
    incident = await incidents.find_incident(tx, caller.organization_id, incident_id, caller.member_id)
    if member is None or member.erased_at is not None or incident is None:
        raise not_found()
    return incident, member


def _refuse_impossible(new: NewLoss, today: date) -> None:
    """Raises a 422 Problem that names every field which cannot be."""
    message = "This day lies in the future."
    wrong = [FieldError(field="body.incurred_on", message=message)] if new.incurred_on > today else []
    for place, back in enumerate(new.reimbursements):
        if back.paid_on is not None and back.paid_on > today:
            wrong.append(FieldError(field=f"body.reimbursements.{place}.paid_on", message=message))
    if sum((Decimal(back.amount) for back in new.reimbursements), Decimal(0)) > Decimal(new.amount):
        message = "More was paid back than the amount itself. Check both."
        wrong.append(FieldError(field="body.reimbursements", message=message))
    if wrong:
        raise Problem(422, "Some fields are not right. Each is named below with what it needs.", errors=wrong)


def _row(caller: Principal, incident: Incident, new: NewLoss, key: bytes) -> Loss:
    loss_id = uuid7()
    place = _place(incident.member_id, loss_id)
    return Loss(
        member_id=incident.member_id,
        id=loss_id,
        organization_id=caller.organization_id,
        incident_id=incident.id,
        head=new.head.value,
        amount=Decimal(new.amount),
        currency=new.currency,
        incurred_on=new.incurred_on,
        note_sealed=None if new.note is None else seal_json(key, new.note, *place),
        entered_by=caller.account_id,
        entered_at=clock.now(),
    )


def _place(member_id: UUID, loss_id: UUID) -> tuple[object, ...]:
    return ("loss", "note_sealed", member_id, loss_id)


def _reimbursement(loss: Loss, position: int, payer: Payer, amount: str, paid_on: date | None) -> Reimbursement:
    return Reimbursement(
        member_id=loss.member_id,
        loss_id=loss.id,
        position=position,
        payer=payer.value,
        amount=Decimal(amount),
        paid_on=paid_on,
    )


def _facts(new: NewLoss, key: bytes) -> dict[str, Any]:
    """What the ledger binds. The note by a hash that goes with the member's key, so that erasure takes it along."""
    note = None if new.note is None else crypto.keyed_hash(crypto.derive(key, "loss:note"), new.note.encode()).hex()
    return {
        "head": new.head.value,
        "amount": new.amount,
        "currency": new.currency,
        "incurred_on": new.incurred_on.isoformat(),
        "note": note,
        "reimbursements": [
            {"payer": r.payer.value, "amount": r.amount, "paid_on": r.paid_on.isoformat() if r.paid_on else None}
            for r in new.reimbursements
        ],
    }


def _view(loss: Loss, back: Sequence[Reimbursement], incident: Incident, key: bytes) -> LossView:
    paid = sum((r.amount for r in back), Decimal("0.00"))
    sealed = loss.note_sealed
    return LossView(
        id=loss.id,
        incident_id=incident.id,
        head=Head(loss.head),
        label=HEADS[Head(loss.head)].label,
        amount=_cents(loss.amount),
        currency=loss.currency,
        incurred_on=loss.incurred_on,
        note=None if sealed is None else open_json(key, sealed, *_place(loss.member_id, loss.id)),
        reimbursements=[ReimbursementView(payer=Payer(r.payer), amount=_cents(r.amount), paid_on=r.paid_on) for r in back],
        reimbursed=_cents(paid),
        net=_cents(loss.amount - paid),
        counts=counts(incident),
        entered_at=loss.entered_at,
    )


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"))


async def losses_of(
    tx: Transaction, keyring: Keyring, organization_id: UUID, member_id: UUID, incident_ids: Collection[UUID]
) -> list[LossView]:
    """The losses of some of a member's incidents, in the order they were entered, with the member's notes opened.

    Includes those entered under an incident that has since been merged into one of these. None of an erased member.
    """
    member = await members.member(tx, organization_id, member_id)
    if member is None or member.erased_at is not None:
        return []
    rows = {row.id: row for row in await incidents.incidents_of_member(tx, member_id)}
    asked = {_survivor(rows, incident_id).id for incident_id in incident_ids if incident_id in rows}
    under = [row.id for row in rows.values() if _survivor(rows, row.id).id in asked]
    losses = await repository.losses(tx, organization_id, member_id, under)
    back = await repository.reimbursements(tx, organization_id, member_id, [loss.id for loss in losses])
    key = await open_key(tx, keyring, member)
    return [_view(loss, back.get(loss.id, ()), _survivor(rows, loss.incident_id), key) for loss in losses]


def _survivor(rows: dict[UUID, Incident], incident_id: UUID) -> Incident:
    """The incident that one was merged into, or itself; a redirect always leads to an earlier incident."""
    row = rows[incident_id]
    seen = {row.id}
    while row.redirect_to is not None and row.redirect_to in rows and row.redirect_to not in seen:
        row = rows[row.redirect_to]
        seen.add(row.id)
    return row


async def read_losses(tx: Transaction, keyring: Keyring, caller: Principal, incident_id: UUID) -> LossList:
    """The losses of one incident with their sums, for the member themselves or counsel with a matter; the look is in the ledger.

    Raises a 404 Problem for everybody else.
    """
    own = caller.member_id if caller.role is Role.MEMBER else None
    incident = await incidents.find_incident(tx, caller.organization_id, incident_id, own)
    if incident is None or (own is None and not await counsel_may_see(tx, caller, incident.member_id)):
        raise not_found()
    items = await losses_of(tx, keyring, caller.organization_id, incident.member_id, [incident.id])
    await append(
        tx,
        keyring,
        caller.organization_id,
        Act.VIEW,
        facts={"what": Sight.LOSSES},
        actor=caller.actor,
        member_id=incident.member_id,
        incident=incident.id,
    )
    counted = counts(incident)
    return LossList(incident_id=incident.id, items=items, totals=totals(items), counts=counted, hint=None if counted else HINT)
