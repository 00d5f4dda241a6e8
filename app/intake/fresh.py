"""Alerts that came with the batch that is just being handled, as the room above gets them within the same transaction.

So an alert whose member is known needs no message about itself, and nothing of it is read and opened again.
"""

from collections.abc import Awaitable, Callable, Sequence, Set
from typing import NamedTuple
from uuid import UUID

from app.intake.models import EventOutcome
from app.intake.parts import Part
from app.intake.repository import KnownAlert
from app.kit.database import Transaction
from connectors.contract import Alert


class Fresh(NamedTuple):
    """An alert that nobody knew before, and the parts of this batch that speak of it, in order of arrival."""

    alert: KnownAlert
    parts: Sequence[Part]


Bring = Callable[[Transaction, Sequence[Fresh]], Awaitable[Set[UUID]]]
"""Brings alerts to the timelines they belong to; which ones, by id. The others are told of by messages."""


async def nothing_brought(tx: Transaction, new: Sequence[Fresh]) -> Set[UUID]:
    """Leaves every alert to the messages."""
    return frozenset()


def fresh(parts: Sequence[Part]) -> list[Fresh]:
    """The alerts that came with these parts. What a person was asked about before is left to the messages."""
    found: dict[UUID, list[Part]] = {}
    for part in parts:
        if part.alert_id is None or part.known is not None:
            continue
        if part.outcome is EventOutcome.NEW:
            found[part.alert_id] = [part]
        elif part.alert_id in found:
            found[part.alert_id].append(part)
    return [Fresh(_known(alert_id, said[0]), said) for alert_id, said in found.items()]


def _known(alert_id: UUID, part: Part) -> KnownAlert:
    receipt = part.receipt
    about = part.reference_index or b""
    return KnownAlert(receipt.connection_id, alert_id, receipt.organization_id, about, receipt.grade, receipt.received_at)


def alert_of(part: Part) -> Alert:
    """What a part of a fresh alert says. Raises for one that is no alert."""
    if part.understood.alert is None:
        raise ValueError("no alert")
    return part.understood.alert
