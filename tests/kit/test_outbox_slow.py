"""What makes the outbox slow: batches that take longer than the lease, and a crowd of messages that are somebody else's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy import text, update
from sqlalchemy.dialects.postgresql import asyncpg

from app.kit import clock, outbox, pulling
from app.kit.database import _PLANNED_ONCE, Database, Transaction
from app.kit.outbox import Consumer, ConsumerState, Message, sequence
from app.kit.pulling import LEASE, Worker
from tests.kit.test_outbox import DONE, NOW, SOMEBODY, note, noted, on_postgresql, say


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


CROWD = 20_000
_FILL = f"""
INSERT INTO outbox (id, position, topic, organization_id, payload, created_at)
SELECT gen_random_uuid(), n, 'crowd', '{SOMEBODY}', '{{}}', now() FROM generate_series(1, {CROWD}) AS n
"""


AS_EVER = {"plan_cache_mode": "force_custom_plan"}


async def pages_of(database: Database, statement: Any, values: Mapping[str, Any], planned: Mapping[str, str]) -> tuple[int, str]:
    """How many pages a statement reads, as it is planned with these settings; and the plan."""
    compiled = statement.compile(dialect=asyncpg.dialect())
    every = [{**compiled.params, **values}[name] for name in compiled.positiontup]
    told = ", ".join(f"'{value}'" for value in every)
    async with database.engine.connect() as owner:
        for name, value in planned.items():
            await owner.exec_driver_sql(f"SET {name} = {value}")
        await owner.exec_driver_sql(f"PREPARE asked AS {compiled}")
        found = (await owner.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE asked({told})")).scalar_one()
        await owner.exec_driver_sql("DEALLOCATE asked")
    plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"], json.dumps(plan, indent=1)


@pytest.mark.parametrize("looked_at", ["a new table", "as it is"])
@on_postgresql
async def test_who_asks_for_something_rare_or_new_reads_nothing_else(database_url: str, looked_at: str) -> None:
    """A consumer's position stays where its last message was, and a week of others' may lie behind it."""
    database = Database(database_url)
    rare = Consumer("idle", frozenset({"rare", "seldom"}), note)
    async with database.engine.begin() as owner:
        await owner.execute(text(_FILL))
    if looked_at == "as it is":
        async with database.engine.begin() as owner:
            await owner.execute(text("ANALYZE outbox"))
    busy = Consumer("busy", frozenset({"crowd"}), note)
    async with database.begin() as tx:
        for one in (rare, busy):
            await outbox.ensure(tx, one.name)
        await tx.execute(update(ConsumerState).where(ConsumerState.consumer == busy.name).values(position=CROWD))
    looks = outbox._behind(tuple((one.name, one.topics) for one in (rare, busy)), ())
    asked: list[tuple[Any, dict[str, Any], Mapping[str, str]]] = [
        (looks, {"now": NOW}, _PLANNED_ONCE),
        (pulling._next_of(rare.topics), {"here": 0, "most": 10}, AS_EVER),
        (pulling._next_of(busy.topics), {"here": CROWD - 5, "most": 10}, AS_EVER),
        (outbox._oldest("rare", 0), {}, AS_EVER),
        (outbox._oldest("crowd", CROWD), {}, AS_EVER),
    ]
    for statement, values, planned in asked:
        pages, plan = await pages_of(database, statement, values, planned)
        assert pages < 40, plan
    await database.close()
