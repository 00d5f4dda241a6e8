"""For how long what a connection brings is kept as it came: by the connector's term, or by one that an admin has set for it.

The sweep executes it (`app/intake/retention.py`). Hash, outcome and what was understood stay.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from app.connections import repository
from app.connections.models import Connection
from app.connections.service import OWN, refused
from app.kit.database import Transaction
from app.ledger.deletions import Gone, note_deletion
from app.ledger.service import SYSTEM, Actor
from connectors.contract import Connector
from connectors.registry import registry

LONGEST_RAW_DAYS = 10 * 366


@dataclass(frozen=True)
class RawTerm:
    """After how long raw data goes. `reason`: whose term it is, as the row of a deletion says it."""

    after: timedelta
    reason: str


def term_of(raw_days: int | None, connector: Connector | None) -> RawTerm | None:
    """The term of a connection: its own, else its connector's; None: its raw data goes with its members only."""
    if raw_days is not None:
        return RawTerm(timedelta(days=raw_days), f"{raw_days} days, set for this connection")
    if connector is not None and connector.retention is not None:
        return RawTerm(connector.retention.raw, "the term declared for its connector")
    return None


async def term_in_force(tx: Transaction, connection_id: UUID) -> RawTerm | None:
    """The term of a connection as it is now, whoever's it is; a closed one has its term, too: what it brought is still there."""
    row = await repository.connection(tx, connection_id)
    return term_of(row.raw_days, registry().get(row.connector)) if row is not None else None


async def with_raw_terms(tx: Transaction) -> Sequence[UUID]:
    """The connections of all organizations that have a term."""
    return await repository.with_raw_terms(tx, [one.name for one in registry().values() if one.retention is not None])


def check_term(connector: Connector, days: int | None, *, longer_by_contract: bool) -> None:
    """Raises a 422 Problem for a term that is longer than the connector's without anybody having said that it may be.

    Where deliveries name strangers nobody can say so: that term is our promise to those. What members report themselves has
    no provider, and no term.
    """
    usual = connector.retention
    if days is not None and connector.name == OWN:
        raise refused("raw_days", "What members report themselves is theirs, and is kept as long as they are.")
    if usual is None or days is None or timedelta(days=days) <= usual.raw:
        return
    if connector.names_strangers:
        raise refused("raw_days", f"Here it is {usual.raw.days} days at most: deliveries name people whom nobody here knows.")
    if not longer_by_contract:
        most = f"For this provider it is {usual.raw.days} days at most, unless your own contract with it allows more."
        raise refused("raw_days", f"{most} Say so, or give fewer.")


def set_term(tx: Transaction, row: Connection, days: int | None, actor: Actor = SYSTEM) -> None:
    """Set a connection's own term, in days; None: its connector's again.

    The row about it is one of those that outlive an old backup: what was erased by the term must not be back for good.
    """
    row.raw_days = days
    note_deletion(tx, row.organization_id, Gone.TERM, days or 0, "raw data, from now on", {"connection": row.id}, actor)


async def set_term_again(tx: Transaction, connection_id: UUID, days: int) -> None:
    """Set a term that a restored backup may not know, from the `count` of its row; the sweep then does the rest."""
    row = await repository.connection(tx, connection_id)
    if row is not None:
        row.raw_days = days or None
