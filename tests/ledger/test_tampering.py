"""Whatever somebody with the owner's rights does to a log is found, against an old checkpoint or a witness's copy."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from app.kit.acting import ITSELF
from app.kit.database import Database
from app.ledger.findings import Kind
from app.ledger.verifying import verify
from tests.ledger.tampering import KINDS, Grown, grow, take_triggers_away, tampered
from tests.support.world import World

SIZES = (3, 120, 40, 1, 100, 12)
FEW = (3, 20, 1, 30, 6)
NAMED = {
    "delete tail": {Kind.REMOVED, Kind.ROLLED_BACK},
    "rewrite": {Kind.REWRITTEN, Kind.ROLLED_BACK},
    "rollback": {Kind.ROLLED_BACK},
}
"""By what name some kinds must be called, among others."""


@asynccontextmanager
async def rigged(world: World, sizes: Sequence[int] = SIZES) -> AsyncIterator[tuple[Database, Grown]]:
    """The database as its owner has it, and a log in it."""
    await world.workers.drain()
    grown = await grow(world.context.database, world.context.keyring, world.union.id, sizes)
    owner = Database(world.owner_url, ITSELF)
    async with owner.begin() as tx:
        await take_triggers_away(await tx.connection())
    yield owner, grown
    await owner.close()


async def require_all_found(owner: Database, grown: Grown, each: int, start: int = 0) -> Counter[str]:
    found: Counter[str] = Counter()
    for kind in KINDS:
        for seed in range(start, start + each):
            did, report = await tampered(owner, grown, kind, seed)
            assert not report.is_whole, (kind, seed, did)
            kinds = {one.kind for one in report.findings}
            assert kinds & NAMED.get(kind, kinds), (kind, seed, did, report.findings)
            found[kind] += 1
    return found


async def test_every_tampering_is_found_and_what_was_undone_is_whole(world: World) -> None:
    async with rigged(world) as (owner, grown):
        each = 10 if owner.is_sqlite else 4
        assert set((await require_all_found(owner, grown, each)).values()) == {each}
        async with owner.begin(read_only=True) as tx:
            report = await verify(tx, grown.organization_id, [grown.old, grown.witnessed], [grown.witness])
        assert report.findings == []
        assert (report.leaves > grown.copied, report.copies) == (True, 2)
        async with owner.begin(read_only=True) as tx:
            assert (await verify(tx, world.other.id)).is_whole


@pytest.mark.slow
@pytest.mark.parametrize("half", [1, 2])
@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_seven_thousand_tamperings_are_found(world: World, half: int) -> None:
    async with rigged(world, FEW) as (owner, grown):
        assert (await require_all_found(owner, grown, 500, 500 * half)).total() == 3500
