"""Walks over the books, a step at a time: at the head of what comes in, and in the background over everything there is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from app.connections import repository as connection_rows
from app.intake.first_byte import Acknowledged, Told
from app.kit import metrics
from app.kit.database import Transaction
from app.watch import repository
from app.watch.accounts import Amiss, Identity, broken, untrue

STEP = 400
"""Rows that one step looks at: some milliseconds, also where the statements run on the event loop (SQLite)."""

SETTLED = timedelta(minutes=2)
"""Younger rows are left for the next time: their transaction may still be open."""

LOOKS_BACK = timedelta(hours=1)
MOST_NAMED = 1000
_NIL = UUID(int=0)

Lane = tuple[str, UUID]
"""The receipts of a connection, or the ledger of an organization."""


@dataclass
class Walk:
    """How far one walk has come on each lane. A walk that is to go over everything begins again when `over` says so."""

    start: UUID
    places: dict[Lane, UUID] = field(default_factory=dict)
    done: set[Lane] = field(default_factory=set)

    @property
    def over(self) -> bool:
        """Whether every lane was walked to its end."""
        return self.done >= self.places.keys()

    def open(self, lanes: Sequence[Lane]) -> None:
        """Make new lanes known."""
        for lane in lanes:
            self.places.setdefault(lane, self.start)

    def next(self) -> Lane | None:
        """A lane that has not come to its end; None when all have."""
        return next((lane for lane in self.places if lane not in self.done), None)

    def again(self, start: UUID | None = None) -> None:
        """Look at every lane again: from `start`, or from where it was left."""
        self.done.clear()
        if start is not None:
            self.places = dict.fromkeys(self.places, start)


async def lanes(tx: Transaction) -> list[Lane]:
    """Everything that is walked over."""
    receipts: list[Lane] = [("receipts", one) for one in await repository.connections(tx)]
    return receipts + [("ledger", one) for one in await repository.organizations(tx)]


async def step(tx: Transaction, walk: Walk, lane: Lane, before: UUID) -> list[Amiss]:
    """Go one step on a lane; what is amiss there."""
    kind, whose = lane
    if kind == "receipts":
        ids = await repository.receipts_after(tx, whose, walk.places[lane], before, STEP)
        found, last, count = await of_receipts(tx, whose, ids), ids[-1] if ids else None, len(ids)
        metrics.ACCOUNTS_CHECKED.inc(count)
    else:
        entries = await repository.entries_after(tx, whose, walk.places[lane], before, STEP)
        pairs = [(connection, receipt) for _, connection, receipt in entries if connection is not None and receipt is not None]
        found, last, count = await _gone(tx, whose, pairs), entries[-1][0] if entries else None, len(entries)
    if last is not None:
        walk.places[lane] = last
    if count < STEP:
        walk.done.add(lane)
    return found


async def of_receipts(tx: Transaction, connection_id: UUID, receipt_ids: Sequence[UUID]) -> list[Amiss]:
    """What is amiss with receipts that are there."""
    return [
        Amiss(identity, one.organization_id, connection_id, one.id)
        for one in await repository.held(tx, connection_id, receipt_ids)
        for identity in sorted(broken(one))
    ]


async def _gone(tx: Transaction, organization_id: UUID, pairs: Sequence[tuple[UUID, UUID]]) -> list[Amiss]:
    """Receipts that the ledger knows and that are not there."""
    by_connection: dict[UUID, set[UUID]] = {}
    for connection_id, receipt_id in pairs:
        by_connection.setdefault(connection_id, set()).add(receipt_id)
    found: list[Amiss] = []
    for connection_id, ids in by_connection.items():
        missing = sorted(ids - (await repository.present(tx, connection_id, ids)).keys())
        found += [Amiss(Identity.RECEIPTS, organization_id, connection_id, receipt_id) for receipt_id in missing]
    return found


async def of_answers(tx: Transaction, told: Sequence[Told], unreadable: int) -> list[Amiss]:
    """What senders were told is kept, and is not. An answer that names no receipt is told of under the nil id."""
    by_connection: dict[UUID, list[Told]] = {}
    for one in told:
        by_connection.setdefault(one.connection_id, []).append(one)
    found = [Amiss(Identity.ACKNOWLEDGED, None, _NIL, _NIL)] if unreadable else []
    for connection_id, ours in by_connection.items():
        there = await repository.present(tx, connection_id, {one.receipt_id for one in ours})
        connection = await connection_rows.connection(tx, connection_id) if (wrong := untrue(ours, there)) else None
        for one in wrong:
            whose = connection.organization_id if connection else None
            found.append(Amiss(Identity.ACKNOWLEDGED, whose, connection_id, one.receipt_id))
    return found


@dataclass
class Book:
    """What was found amiss by this process and is still so, and how far the walks have come."""

    acknowledged: Acknowledged
    began: datetime
    amiss: set[Amiss] = field(default_factory=set)
    recent: Walk = field(init=False)
    whole: Walk = field(default_factory=lambda: Walk(_NIL))
    whole_began: datetime = field(init=False)
    clean_since: datetime | None = None
    """When the last walk over everything began that found nothing amiss; None: none has come to its end."""

    def __post_init__(self) -> None:
        self.recent = Walk(repository.first_id_of(self.began - LOOKS_BACK))
        self.whole_began = self.began

    def note(self, found: Sequence[Amiss]) -> list[Amiss]:
        """Write down what is amiss; what is new of it. Of very much only a part is kept by name, and that is enough."""
        new = [one for one in dict.fromkeys(found) if one not in self.amiss][: max(0, MOST_NAMED - len(self.amiss))]
        self.amiss.update(new)
        return new

    def tell(self) -> None:
        """Set the gauges."""
        counts = dict.fromkeys(Identity, 0)
        for one in self.amiss:
            counts[one.identity] += 1
        for identity, count in counts.items():
            metrics.ACCOUNTS_AMISS.labels(identity.value).set(count)

    def is_amiss(self, organization_id: UUID, *, since: datetime | None) -> bool:
        """Whether an organization's accounts do not close. `since`: it is known to be so from an earlier process, too.

        Then it stays so until a walk over everything, begun after that, has found nothing.
        """
        if any(one.organization_id in (organization_id, None) for one in self.amiss):
            return True
        return since is not None and (self.clean_since is None or self.clean_since <= since)
