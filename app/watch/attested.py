"""Who is behind with attesting the ledger's checkpoints, and for how long."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.kit.config import Settings
from app.kit.database import Transaction
from app.ledger import attestations

UNWITNESSED, UNSTAMPED = "unwitnessed", "unstamped"
LATE_AFTER = {UNWITNESSED: timedelta(minutes=10), UNSTAMPED: timedelta(days=1)}
"""From when on it is an alarm: a witness is asked every few seconds, an authority once a day."""


@dataclass(frozen=True, slots=True)
class Behind:
    """One witness or authority that has not attested what it should have. `word`: one of `notices.models.AlarmKind`."""

    organization_id: UUID
    by: str
    word: str
    waits: timedelta


async def behind(tx: Transaction, settings: Settings, now: datetime) -> list[Behind]:
    """Everybody who is behind with any log, nobody's (0) too."""
    found: list[Behind] = []
    if settings.ledger_witnesses or settings.timestamp_authorities:
        for organization_id in await attestations.logs(tx):
            found += await _witnesses(tx, settings, organization_id, now)
            found += await _authorities(tx, settings, organization_id, now)
    return found


async def _witnesses(tx: Transaction, settings: Settings, organization_id: UUID, now: datetime) -> list[Behind]:
    follow = [one.signs_as for one in settings.ledger_witnesses.values() if one.follows(organization_id)]
    sizes = await attestations.cosigned_sizes(tx, organization_id, follow)
    since = {name: await attestations.waiting_since(tx, organization_id, size) for name, size in sizes.items()}
    return [Behind(organization_id, name, UNWITNESSED, now - at) for name, at in since.items() if at is not None]


async def _authorities(tx: Transaction, settings: Settings, organization_id: UUID, now: datetime) -> list[Behind]:
    found, every = list[Behind](), timedelta(hours=settings.timestamp_every)
    stamps = await attestations.last_stamps(tx, organization_id, settings.timestamp_authorities)
    for name in settings.timestamp_authorities:
        size, at = stamps.get(name, (0, None))
        since = await attestations.waiting_since(tx, organization_id, size)
        if since is not None:
            due = since if at is None else max(since, at + every)
            found.append(Behind(organization_id, name, UNSTAMPED, now - due))
    return found


def late(found: Iterable[Behind]) -> dict[UUID, frozenset[str]]:
    """What is an alarm, by organization."""
    words: dict[UUID, frozenset[str]] = {}
    for one in found:
        if one.waits >= LATE_AFTER[one.word]:
            words[one.organization_id] = words.get(one.organization_id, frozenset()) | {one.word}
    return words


def longest(found: Iterable[Behind]) -> dict[str, float]:
    """How long the oldest checkpoint that is not attested has waited, over all logs: seconds by who is to do it."""
    seconds: dict[str, float] = {}
    for one in found:
        seconds[one.by] = max(seconds.get(one.by, 0.0), one.waits.total_seconds())
    return seconds
