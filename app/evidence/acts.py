"""Which acts of the log bear on which exhibit. The log is read once from its beginning, in pages."""

import asyncio
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.evidence import repository
from app.evidence.wording import ACTS, moment
from app.kit.database import Transaction
from app.ledger.models import LedgerEntry
from app.ledger.service import Act

PAGE = 2_000
_NAMES = ("receipt", "alert", "event", "incident")
"""The subjects by which an act is part of an exhibit's custody."""


@dataclass
class Erased:
    """Members who were erased after an incident of theirs had been linked to the breach, and whose their alerts were."""

    linked: set[UUID] = field(default_factory=set)
    alerts: dict[UUID, UUID] = field(default_factory=dict)

    def in_scope(self) -> dict[UUID, UUID]:
        """The alerts of those who were linked to the breach: their member, by alert."""
        return {alert: member for alert, member in self.alerts.items() if member in self.linked}


def _ids(entry: LedgerEntry) -> Iterator[UUID]:
    return (UUID(entry.subjects[name]) for name in _NAMES if name in entry.subjects)


async def find_erased(tx: Transaction, organization_id: UUID, size: int, members: Collection[UUID], breach_id: UUID) -> Erased:
    """What the first `size` acts of a log still say of erased members and a breach."""
    found, after = Erased(), -1
    if not members:
        return found
    while page := await repository.acts_after(tx, organization_id, after, size, PAGE):
        for _, entry in page:
            member = entry.member_id
            if member is None or member not in members:
                continue
            if entry.kind == Act.LINK and entry.subjects.get("breach") == str(breach_id):
                found.linked.add(member)
            elif entry.kind == Act.MATCH and "alert" in entry.subjects:
                found.alerts[UUID(entry.subjects["alert"])] = member
        after = page[-1][0]
        await asyncio.sleep(0)  # on SQLite nothing else of this process has its turn meanwhile
    return found


@dataclass
class Custody:
    """The places in the log of the acts that bear on some exhibits: by whatever they name; and where each receipt came in.

    `others`: acts that name one of them and are about somebody else, such as a match that was made anew.
    """

    acts: dict[UUID, list[int]] = field(default_factory=dict)
    came: dict[UUID, int] = field(default_factory=dict)
    others: list[UUID] = field(default_factory=list)

    def of(self, ids: Collection[UUID]) -> list[int]:
        """The places of all acts that name one of these, rising."""
        return sorted({place for one in ids for place in self.acts.get(one, ())})


async def find_custody(
    tx: Transaction, organization_id: UUID, size: int, wanted: Collection[UUID], people: Collection[UUID]
) -> Custody:
    """The acts among the first `size` of a log that name one of these receipts, alerts, events or incidents.

    `people`: who may be in the packet. An act about anybody else tells something of them.
    """
    found, after = Custody(), -1
    while page := await repository.acts_after(tx, organization_id, after, size, PAGE):
        for place, entry in page:
            named = [one for one in _ids(entry) if one in wanted] if entry.kind in ACTS else []
            if named and entry.member_id is not None and entry.member_id not in people:
                found.others.append(entry.id)
                continue
            for one in named:
                found.acts.setdefault(one, []).append(place)
                if entry.kind == Act.RECEIPT:
                    found.came[one] = place
        after = page[-1][0]
        await asyncio.sleep(0)  # on SQLite nothing else of this process has its turn meanwhile
    return found


def custody_line(position: int, entry: LedgerEntry) -> dict[str, Any]:
    """One act as an exhibit's custody tells it."""
    return {
        "entry": str(entry.id),
        "index": position,
        "act": str(entry.kind),
        "at": moment(entry.at),
        "by": entry.actor_role,
        "what": ACTS[entry.kind],
    }
