"""What the rooms have to say about being ready, for `/readyz`."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select

from app.kit import clock, metrics
from app.kit.crypto import KeysAway, Unreadable
from app.kit.database import Transaction
from app.kit.health import KEYS, OUTBOX, STUCK_AFTER, Check, Obstacle
from app.kit.keyring import Keyring, OrganizationKey, place_of
from app.kit.outbox import Consumer, oldest_waiting
from app.watch import repository

INPUT, DOOR = "input", "door"
INPUT_STUCK_AFTER = timedelta(minutes=15)
"""A receipt that is older and still not handled means that input is stuck. The alarm about it has the same term."""


def _age(since: datetime | None) -> timedelta:
    return max(timedelta(), clock.now() - since) if since is not None else timedelta()


async def input_moves(tx: Transaction) -> Obstacle | None:
    """What came in is handled in time."""
    age = _age(await repository.oldest_stored(tx))
    metrics.OLDEST_UNHANDLED.set(age.total_seconds())
    if age <= INPUT_STUCK_AFTER:
        return None
    return Obstacle(INPUT, "What came in waits to be handled and nobody takes it: is a worker running? It is kept.")


def outbox_moves(consumers: Sequence[Consumer]) -> Check:
    """Every consumer handles its messages in time."""

    async def check(tx: Transaction) -> Obstacle | None:
        waiting = await oldest_waiting(tx, consumers)
        ages = {consumer.name: _age(waiting.get(consumer.name)) for consumer in consumers}
        metrics.only(metrics.OUTBOX_WAITING, ((name, age.total_seconds()) for name, age in ages.items()))
        late = sorted(name for name, age in ages.items() if age > STUCK_AFTER)
        return Obstacle(OUTBOX, f"Messages wait too long for {', '.join(late)}: look at the log.") if late else None

    return check


def checks(consumers: Sequence[Consumer]) -> list[tuple[str, Check]]:
    """Every check of the rooms, with the reason that it may give."""
    return [(INPUT, input_moves), (OUTBOX, outbox_moves(consumers))]


def checks_of_keys(keyring: Keyring) -> list[tuple[str, Check]]:
    """Whether the top key opens what it wraps, and the door's key is the one that the door's keys are wrapped by."""

    async def top_key(tx: Transaction) -> Obstacle | None:
        query = select(OrganizationKey).where(OrganizationKey.wrapped.is_not(None)).order_by(OrganizationKey.created_at.desc())
        row = (await tx.execute(query.limit(1))).scalar_one_or_none()
        if row is None:
            return None
        try:
            await keyring.vault.unwrap(row.top, row.wrapped or b"", place_of(row.organization_id, row.lane, row.version))
        except KeysAway:
            return Obstacle(KEYS, "The top key is away: deliveries are taken in and kept, nothing can be read until it is back.")
        except Unreadable:
            return Obstacle(KEYS, "HARMLINE_KEY_FILE is not the key that this database hangs on: restore the right one.")
        return None

    async def door(tx: Transaction) -> Obstacle | None:
        if keyring.door is None or await keyring.door.is_the_one(tx):
            return None
        return Obstacle(
            DOOR,
            "HARMLINE_DOOR_KEY_FILE is not the key that the door has: carry that one over, or run `harmline keys door` where "
            "the top key is.",
        )

    return [(KEYS, top_key), (DOOR, door)]
