"""Whether the accounts close, receipt by receipt. Pure.

Four books are held against one another: what senders were told, the receipts, the ledger, the events. Each identity of
design section 2 is a sum over receipts, so it closes when it closes for every one; and a row that does not can be named.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from app.intake.first_byte import Told
from app.intake.models import EventOutcome, ReceiptState
from app.watch.repository import Held

_OUTCOMES = frozenset(outcome.value for outcome in EventOutcome)
_STATES = frozenset(state.value for state in ReceiptState)


class Identity(StrEnum):
    """What must be equal. ACKNOWLEDGED: told to a sender = kept. RECEIPTS: in the ledger = kept. LEDGER: kept = in the ledger.

    EVENTS: cut out = new + sighting + revision + known non-alert + breach record + quarantined. ALERTS: alerts = new events.
    """

    ACKNOWLEDGED = "acknowledged"
    RECEIPTS = "receipts"
    LEDGER = "ledger"
    EVENTS = "events"
    ALERTS = "alerts"


@dataclass(frozen=True, slots=True)
class Amiss:
    """One receipt over which the accounts do not close. `organization_id` None: there is no such connection."""

    identity: Identity
    organization_id: UUID | None
    connection_id: UUID
    receipt_id: UUID


def broken(receipt: Held) -> set[Identity]:
    """The identities that do not close over one receipt that is there."""
    found = set()
    if not receipt.in_ledger:
        found.add(Identity.LEDGER)
    cut = sum(receipt.outcomes.values())
    in_a_row = receipt.highest is None or cut == receipt.highest + 1
    if not in_a_row or not receipt.outcomes.keys() <= _OUTCOMES or receipt.state not in _STATES:
        found.add(Identity.EVENTS)
    if receipt.odd_alerts:
        found.add(Identity.ALERTS)
    return found


def untrue(told: Iterable[Told], present: Mapping[UUID, int]) -> set[Told]:
    """What senders of one connection were told, and is not so. `present`: receipts that are there, with their repeats."""
    told = list(told)
    again = Counter(one.receipt_id for one in told if one.repeat)
    return {one for one in told if one.receipt_id not in present or present[one.receipt_id] < again[one.receipt_id]}
