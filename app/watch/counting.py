"""Counts what comes over each connection that is sent to. Whole days are counted once and remembered; a count has its bound."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select

from app.connections.models import Connection
from app.intake import measures
from app.intake.health import fresh_within
from app.intake.models import Receipt
from app.kit import clock
from app.kit.database import Transaction
from app.watch.canary import ORGANIZATION
from app.watch.repository import first_id_of
from app.watch.volume import DAYS, Volume, odd
from connectors.registry import registry

MOST = 200_000
"""A day is not counted further: so much on an ordinary day needs another monitor than this one."""

_DAY = timedelta(days=1)
Odd = Mapping[UUID, frozenset[tuple[UUID, str]]]
"""By organization: connections with what is odd about them."""


class Days:
    """Remembers the counts of whole days, for as long as they matter."""

    def __init__(self) -> None:
        """Nothing is counted yet."""
        self._counts: dict[tuple[UUID, datetime], int] = {}

    async def of(self, tx: Transaction, connection_id: UUID, first: datetime, until: datetime) -> list[int]:
        """The counts of the whole days before the midnight `until`, from the one of `first` on, the oldest first."""
        day, counts = max(_midnight(first), until - DAYS * _DAY), []
        while day < until:
            key = (connection_id, day)
            if key not in self._counts:
                self._counts[key] = await _count(tx, connection_id, day, day + _DAY)
            counts.append(self._counts[key])
            day += _DAY
        for key in [key for key in self._counts if key[0] == connection_id and key[1] < until - DAYS * _DAY]:
            del self._counts[key]
        return counts


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


async def _count(tx: Transaction, connection_id: UUID, since: datetime, until: datetime | None = None) -> int:
    some = select(Receipt.id).where(Receipt.connection_id == connection_id, Receipt.id >= first_id_of(since))
    if until is not None:
        some = some.where(Receipt.id < first_id_of(until))
    return (await tx.execute(select(func.count()).select_from(some.limit(MOST).subquery()))).scalar_one()


async def _first(tx: Transaction, connection_id: UUID) -> datetime | None:
    query = select(Receipt.received_at).where(Receipt.connection_id == connection_id).order_by(Receipt.id).limit(1)
    return (await tx.execute(query)).scalar_one_or_none()


async def all_odd(tx: Transaction, days: Days) -> Odd:
    """What is not as usual, of every connection that is sent to, open and not paused."""
    now = clock.now()
    query = select(Connection).where(
        Connection.closed_at.is_(None), Connection.paused_at.is_(None), Connection.organization_id != ORGANIZATION
    )
    rows = [row for row in (await tx.execute(query.order_by(Connection.id))).scalars() if _is_sent_to(row)]
    last = await measures.last_received(tx, [row.id for row in rows])
    found: dict[UUID, frozenset[tuple[UUID, str]]] = {}
    for row in rows:
        first = await _first(tx, row.id)
        if first is None:
            continue
        deadline, newest = fresh_within(row, registry().get(row.connector)), last.get(row.id, first)
        # What is usual is learnt from the time before a silence, however long that lasts.
        whole = await days.of(tx, row.id, first, min(_midnight(now), _midnight(newest) + _DAY))
        today = await _count(tx, row.id, now - _DAY)
        signs = odd(Volume(whole, today, now - newest, may_be_silent=deadline is None))
        ours = {(row.id, word) for word in signs}
        found[row.organization_id] = found.get(row.organization_id, frozenset()) | ours
    return found


def _is_sent_to(connection: Connection) -> bool:
    connector = registry().get(connection.connector)
    return connector is not None and connector.webhook is not None and connector.poll is None
