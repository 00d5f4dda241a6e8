"""Whatever somebody with the owner's rights does to a log is found, against an old checkpoint or a witness's copy."""

from __future__ import annotations

import pytest

from app.kit.database import Database
from app.ledger.verifying import verify
from tests.ledger.tampering import KINDS, Grown, missed, rigged
from tests.support.world import World

SIZES = (3, 120, 40, 1, 100, 12)
FEW = (3, 20, 1, 30, 6)


async def require_all_found(owner: Database, grown: Grown, seeds: range) -> int:
    """Each kind with each seed; how many that were."""
    told = [await missed(owner, grown, kind, seed) for kind in KINDS for seed in seeds]
    assert [one for one in told if one is not None] == []
    return len(told)


async def test_every_tampering_is_found_and_what_was_undone_is_whole(world: World) -> None:
    async with rigged(world, SIZES) as (owner, grown):
        each = 10 if owner.is_sqlite else 4
        assert await require_all_found(owner, grown, range(each)) == 7 * each
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
        assert await require_all_found(owner, grown, range(500 * half, 500 * half + 500)) == 3500
