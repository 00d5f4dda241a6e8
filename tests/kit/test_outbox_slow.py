"""Batches that take longer than the lease: two workers must not throw away each other's work for ever."""

from __future__ import annotations

from collections.abc import Sequence

from app.kit import clock
from app.kit.database import Database, Transaction
from app.kit.outbox import Consumer, Message, sequence
from app.kit.pulling import LEASE, Worker
from tests.kit.test_outbox import DONE, NOW, note, noted, on_postgresql, say


@on_postgresql
async def test_a_batch_that_takes_longer_than_the_lease_is_made_smaller_until_it_fits(database_url: str) -> None:
    """The one that waits takes over as soon as the lease is over, and is too slow too."""
    database = Database(database_url)
    async with database.engine.begin() as connection:
        await connection.run_sync(DONE.metadata.create_all)
    workers: list[Worker] = []

    def slow(other: int) -> Consumer:
        async def handle(tx: Transaction, messages: Sequence[Message]) -> None:
            await note(tx, messages)
            clock.set_to(clock.now() + len(messages) * LEASE / 10)
            await workers[other]._hold()

        return Consumer("notes", frozenset({"topic"}), handle)

    workers += [Worker(database, slow(1)), Worker(database, slow(0))]
    with clock.stopped(NOW):
        await say(database, *range(60))
        await sequence(database)
        for _ in range(60):
            for worker in workers:
                await worker.run()
        assert await noted(database) == list(range(60))
    await database.close()
