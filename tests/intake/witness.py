"""A second witness of who committed: a table beside the service's own, in which every write under a lease says its fence.

Whoever writes does so in the transaction of the write itself, while it holds the connection's row: so the order of the rows is
the order of the commits. It does not rely on the condition by which the service keeps stale holders out. Holds no tests.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, func, insert, select

from app.connections import polls
from app.kit.database import Database, Transaction
from tests.support.world import World

WITNESS = Table(
    "witness",
    MetaData(),
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("connection_id", String(36)),
    Column("fence", BigInteger),
)


async def call_witness(world: World) -> None:
    """Make the table."""
    owner = Database(world.owner_url)
    async with owner.engine.begin() as connection:
        await connection.run_sync(WITNESS.metadata.create_all)
    await owner.close()


def testify() -> None:
    """Let every claim and every write under a lease of this process be witnessed."""
    claim, write = polls.claim, polls.write

    async def _claim(tx: Transaction, *arguments: Any, **named: Any) -> Any:
        turn = await claim(tx, *arguments, **named)
        if turn is not None:
            await _say(tx, turn)
        return turn

    async def _write(tx: Transaction, turn: polls.Turn, **values: Any) -> None:
        await write(tx, turn, **values)
        await _say(tx, turn)

    polls.claim, polls.write = _claim, _write


async def _say(tx: Transaction, turn: polls.Turn) -> None:
    await tx.execute(insert(WITNESS).values(connection_id=str(turn.connection_id), fence=turn.fence))


async def stale_commits(database: Database) -> int:
    """How many commits under a lease came after somebody with a higher fence had committed on the same connection."""
    highest = func.max(WITNESS.c.fence).over(partition_by=WITNESS.c.connection_id, order_by=WITNESS.c.number)
    ranked = select(WITNESS.c.fence, highest.label("highest")).subquery()
    async with database.begin(read_only=True) as tx:
        return (await tx.execute(select(func.count()).where(ranked.c.fence < ranked.c.highest))).scalar_one()
