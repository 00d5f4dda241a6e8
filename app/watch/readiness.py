"""What the rooms have to say about being ready, for `/readyz`."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from app.kit import clock, metrics
from app.kit.database import Transaction
from app.kit.health import OUTBOX, STUCK_AFTER, Check, Obstacle
from app.kit.outbox import Consumer, oldest_waiting
from app.watch import repository

INPUT = "input"
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
