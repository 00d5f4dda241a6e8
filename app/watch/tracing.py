"""The whole story of one receipt: from its first byte to the links, with times. Ids, words and times; nothing of anybody."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select

from app.connections import repository as connections
from app.incidents.models import Incident, IncidentAlert, MemberAlert, Unmatched
from app.intake import repository as intake_rows
from app.intake import service as intake
from app.intake.models import Event, LookUp
from app.kit.context import Context
from app.kit.database import Transaction
from app.ledger.models import LedgerEntry
from app.linkage.models import Link
from app.watch.repository import moved

BEFORE = timedelta(minutes=1)
"""An entry can be a little older than the receipt that it names: two machines' clocks are not the same."""

_SUBJECTS = ("receipt", "event", "alert", "incident", "link")
_MOST_ENTRIES = 1000


def first_byte_at(receipt_id: UUID) -> datetime:
    """When a receipt's id was made (UUIDv7, to the millisecond): at its first byte, or when a page had been fetched."""
    return datetime.fromtimestamp((receipt_id.int >> 80) / 1000, UTC)


async def story(tx: Transaction, context: Context, receipt_id: UUID) -> dict[str, Any] | None:
    """Received, proven, repeated, disputed, cut up, understood, matched, grouped, linked, looked up, entered.

    None: no such receipt.
    """
    told = await intake.trace(tx, context, receipt_id)
    found = await intake_rows.receipt(tx, receipt_id)
    if told is None or found is None:
        return None
    receipt, connection = found
    events = await intake_rows.events_of(tx, connection.id, receipt_id)
    alerts = {event.alert_id for event in events if event.alert_id is not None}
    matches = await _matches(tx, connection.id, alerts)
    members = {row["member"] for row in matches if row.get("member")}
    incidents = await _incidents(tx, members, alerts)
    links = await _links(tx, {row["member"] for row in incidents}, {row["incident"] for row in incidents})
    named = {receipt_id, *(event.id for event in events), *alerts}
    named |= {row["incident"] for row in incidents} | {row["link"] for row in links}
    return {
        "first_byte_at": first_byte_at(receipt_id).isoformat(),
        **told,
        "answers_event": receipt.answers_event,
        "disputed": await _disputes(tx, connection.id, receipt.received_at),
        "matches": matches,
        "incidents": incidents,
        "links": links,
        "look_ups": await _look_ups(tx, connection.id, receipt_id, events),
        "ledger": await _entries(tx, receipt.organization_id, receipt_id, named),
    }


async def _disputes(tx: Transaction, connection_id: UUID, received_at: datetime) -> list[dict[str, Any]]:
    """The marks by which somebody else may have sent it in the provider's name; none: it is not disputed."""
    return [
        {"dispute": row.id, "from": row.received_from, "until": row.received_until, "marked_at": row.created_at}
        for row in await connections.disputes_over(tx, connection_id, received_at)
    ]


async def _matches(tx: Transaction, connection_id: UUID, alert_ids: Collection[UUID]) -> list[dict[str, Any]]:
    """Whose each alert is, or why it is nobody's."""
    matched = select(MemberAlert).where(MemberAlert.connection_id == connection_id, MemberAlert.alert_id.in_(alert_ids))
    waiting = select(Unmatched).where(
        Unmatched.connection_id == connection_id, Unmatched.alert_id.in_(alert_ids), Unmatched.closed_at.is_(None)
    )
    return [
        {"alert": row.alert_id, "member": row.member_id, "enrollment": row.enrollment_id, "at": row.matched_at}
        for row in (await tx.execute(matched.order_by(MemberAlert.alert_id))).scalars()
    ] + [
        {"alert": row.alert_id, "waits": row.reason, "since": row.since}
        for row in (await tx.execute(waiting.order_by(Unmatched.alert_id))).scalars()
    ]


async def _incidents(tx: Transaction, member_ids: Collection[UUID], alert_ids: Collection[UUID]) -> list[dict[str, Any]]:
    same = (IncidentAlert.member_id == Incident.member_id) & (IncidentAlert.incident_id == Incident.id)
    query = select(Incident, IncidentAlert.alert_id).join(IncidentAlert, same)
    query = query.where(IncidentAlert.member_id.in_(member_ids), IncidentAlert.alert_id.in_(alert_ids))
    found: dict[UUID, dict[str, Any]] = {}
    for row, alert_id in (await tx.execute(query.order_by(Incident.id, IncidentAlert.alert_id))).all():
        told = {"incident": row.id, "member": row.member_id, "alerts": [], "updated_at": row.updated_at}
        found.setdefault(row.id, told)["alerts"].append(alert_id)
    return list(found.values())


async def _links(tx: Transaction, member_ids: Collection[UUID], incident_ids: Collection[UUID]) -> list[dict[str, Any]]:
    query = select(Link).where(Link.member_id.in_(member_ids), Link.incident_id.in_(incident_ids)).order_by(Link.id)
    return [
        {"link": row.id, "incident": row.incident_id, "breach": row.breach_id, "at": row.found_at, "until": row.superseded_at}
        for row in (await tx.execute(query)).scalars()
    ]


async def _look_ups(tx: Transaction, connection_id: UUID, receipt_id: UUID, events: Sequence[Event]) -> list[dict[str, Any]]:
    """What this receipt gave to look up, and what it is the answer to."""
    ours = or_(LookUp.event_id.in_([event.id for event in events]), LookUp.receipt_id == receipt_id)
    query = select(LookUp).where(LookUp.connection_id == connection_id, ours).order_by(LookUp.event_id)
    return [
        {"event": row.event_id, "state": row.state, "attempts": row.attempts, "asked_at": row.asked_at, "answer": row.receipt_id}
        for row in (await tx.execute(query)).scalars()
    ]


async def _entries(tx: Transaction, organization_id: UUID, receipt_id: UUID, named: Collection[UUID]) -> list[dict[str, Any]]:
    """The ledger's entries about the receipt and whatever came of it. Reads the ledger from the receipt on: for one look."""
    ids = [str(one) for one in named]
    about = or_(*(LedgerEntry.subjects[subject].as_string().in_(ids) for subject in _SUBJECTS))
    query = select(LedgerEntry).where(
        LedgerEntry.organization_id == organization_id, LedgerEntry.id >= moved(receipt_id, -BEFORE), about
    )
    return [
        {"entry": row.id, "act": row.kind, "at": row.at, "subjects": row.subjects}
        for row in (await tx.execute(query.order_by(LedgerEntry.id).limit(_MOST_ENTRIES))).scalars()
    ]
