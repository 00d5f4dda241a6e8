"""What only a person can tell: a caseworker reads a mail, masked, that no rule understands, and says what it is.

Only of a member who agreed to it in so many words (decision 0041), and each look stands on the member's page of visits.
"""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain, count
from typing import Any
from uuid import UUID

from app.access.roles import Principal
from app.connections import documents
from app.connections.models import Connection
from app.intake import for_people, handling
from app.intake import repository as intake
from app.intake.models import Event, EventOutcome, ReceiptState
from app.intake.parts import ANSWER
from app.intake.readers import readers_of
from app.intake.sealing import open_event, seal_again
from app.intake.understanding import as_raw
from app.kit import clock
from app.kit.context import Context
from app.kit.database import Transaction
from app.kit.errors import Problem, not_found
from app.kit.pagination import Page, decode_id_cursor, encode_cursor
from app.ledger.service import Act, Sight, append
from app.members import repository as members
from app.members.enrolling import Addressed, agreed_behind
from app.members.service import REVIEWED
from app.timeline.masking import mask_letter
from app.timeline.schemas import ReviewAnswer, ReviewDetail, ReviewDone, ReviewDraft, ReviewView
from connectors.contract import Connector, Malformed, RawEvent
from connectors.drafting import Drafting
from connectors.vocabulary import AlertKind

GONE = "Somebody has answered this meanwhile, or it was understood by itself. Open the queue again."


@dataclass(frozen=True, slots=True)
class _Asked:
    """One event that is left to a person, opened: whose it is, what is kept of it, who reads it."""

    event: Event
    connection: Connection
    member_id: UUID
    copy: dict[str, Any]
    raw: RawEvent
    connector: Connector


async def reviews_page(tx: Transaction, caller: Principal, cursor: str | None, limit: int) -> Page[ReviewView]:
    """One page of what is left to a person, oldest first. No content, and nobody is named."""
    rows = await for_people.left_after(tx, caller.organization_id, decode_id_cursor(cursor), limit + 1)
    whose = await _whose(tx, rows[:limit])
    items = [
        ReviewView(
            id=row.id,
            connection_id=row.connection_id,
            received_at=row.received_at,
            reason=row.reason,
            may_be_shown=row.id in whose,
        )
        for row in rows[:limit]
    ]
    return Page(items=items, next=encode_cursor(rows[limit - 1].id.hex) if len(rows) > limit else None)


async def _whose(tx: Transaction, events: Collection[Event]) -> dict[UUID, UUID]:
    """By event, the one member behind it who agreed that such things are read."""
    named = {
        event.id: Addressed(event.connection_id, event.reference_index, event.received_at)
        for event in events
        if event.reference_index is not None
    }
    return await agreed_behind(tx, named, REVIEWED)


async def _found(tx: Transaction, context: Context, caller: Principal, event: Event | None) -> _Asked:
    """The event, opened, if it may be shown to a caseworker. Raises one and the same 404 Problem for all others."""
    member_id = (await _whose(tx, [event])).get(event.id) if event is not None else None
    if event is None or member_id is None:
        raise not_found()
    member = await members.member(tx, caller.organization_id, member_id)
    copy = await open_event(tx, context.keyring, event)
    raw = as_raw(copy) if copy is not None else None
    received = await intake.receipt(tx, event.receipt_id)
    if member is None or member.wrapped_key is None or copy is None or raw is None or received is None:
        raise not_found()
    connection = received[1]
    reader = (await readers_of(tx, [connection]))[connection.id]
    return _Asked(event, connection, member_id, copy, raw, reader.connector)


async def _seen(tx: Transaction, context: Context, caller: Principal, asked: _Asked) -> None:
    await append(
        tx,
        context.keyring,
        caller.organization_id,
        Act.VIEW,
        facts={"what": Sight.MAIL},
        actor=caller.actor,
        member_id=asked.member_id,
        event=asked.event.id,
        connection=asked.connection.id,
    )


async def show(tx: Transaction, context: Context, caller: Principal, event_id: UUID) -> ReviewDetail:
    """What a person must see to say what it is, masked; the look is written down first. Raises a 404 Problem."""
    asked = await _found(tx, context, caller, await for_people.left(tx, caller.organization_id, event_id))
    await _seen(tx, context, caller, asked)
    try:
        shown = asked.connector.shown(asked.raw)
        supposed = asked.connector.supposed(asked.raw) if isinstance(asked.connector, Drafting) else None
    except Malformed:
        shown, supposed = {}, None
    return ReviewDetail(
        id=asked.event.id,
        connection_id=asked.connection.id,
        received_at=asked.event.received_at,
        reason=asked.event.reason,
        may_be_shown=True,
        masked={name: mask_letter(text) for name, text in shown.items()},
        supposed=supposed,
    )


async def draft(tx: Transaction, context: Context, caller: Principal, event_id: UUID, kind: AlertKind) -> ReviewDraft:
    """A document by which the like of it would be of this kind, to be edited. Raises a 404, or a 409 Problem: none can be."""
    asked = await _found(tx, context, caller, await for_people.left(tx, caller.organization_id, event_id))
    await _seen(tx, context, caller, asked)
    try:
        made = asked.connector.drafted(asked.raw, kind) if isinstance(asked.connector, Drafting) else None
    except Malformed:
        made = None
    if made is None:
        raise Problem(409, "No rule can be made of this one. An admin can write one.")
    written = await documents.versions(tx, caller.organization_id, asked.connection.id)
    taken = {one.name for one in written} | set(documents.shipped(asked.connection.connector))
    names = chain([made[0]], (f"{made[0]}-{number}" for number in count(2)))
    return ReviewDraft(name=next(name for name in names if name not in taken), text=made[1])


async def answer(tx: Transaction, context: Context, caller: Principal, event_id: UUID, said: ReviewAnswer) -> ReviewDone:
    """Take a caseworker's word of what it is, and understand it by that. Raises a 404, 409 or 422 Problem: nothing changes."""
    seen = await for_people.left(tx, caller.organization_id, event_id)
    received = await intake.receipt(tx, seen.receipt_id, lock=True) if seen is not None else None
    if received is None:
        raise not_found()
    async with tx.begin_nested():
        event = await for_people.left(tx, caller.organization_id, event_id, lock=True)
        if event is None:
            raise Problem(409, GONE)
        asked = await _found(tx, context, caller, event)
        if said.rule is not None:
            where, rule = (tx, context.keyring, caller.organization_id, asked.connection.id), said.rule
            await documents.write(*where, name=rule.name, text=rule.text, actor=caller.actor, after=rule.after)
        beside = {**(asked.copy.get("asked") or {}), ANSWER: said.written}
        await seal_again(tx, context.keyring, event, {**asked.copy, "asked": beside})
        event.answered_at = clock.now()
        await tx.flush()
        await handling.handle(tx, context.keyring, *received)
        _require_understood(event, received[0].state)
        await _note(tx, context, caller, asked, said)
        return ReviewDone(outcome=event.outcome)


def _require_understood(event: Event, state: str) -> None:
    if state != ReceiptState.HANDLED:
        raise Problem(422, "It could not be dealt with. Nothing has changed; tell whoever runs the service.")
    if event.outcome == EventOutcome.QUARANTINED:
        raise Problem(422, f"With this answer it is still not understood: {event.reason}. Nothing has changed.")


async def _note(tx: Transaction, context: Context, caller: Principal, asked: _Asked, said: ReviewAnswer) -> None:
    rule = said.rule.name if said.rule else None
    await append(
        tx,
        context.keyring,
        caller.organization_id,
        Act.REPLAY,
        facts={"answered": said.kind or "no alert", "why": said.not_an_alert, "rule": rule},
        actor=caller.actor,
        member_id=asked.member_id,
        event=asked.event.id,
        receipt=asked.event.receipt_id,
    )
    await tx.flush()
