"""Keys from before there were versions come through the migration, and do not go back once they were replaced."""

from __future__ import annotations

import pytest

from tests.keys.hanging import hanging
from tests.keys.test_rotation import fill, replace_all, versions
from tests.migrations.test_migrations import revise
from tests.support.world import World

YOUNGER = {"identity_provider.secret_sealed", "ledger_signer.seed_sealed", "packet.wrapped_key", "packet.claim_sealed"}
"""What goes with its table on the way back."""


@pytest.mark.long
async def test_keys_from_before_there_were_versions_come_through_the_migration(world: World) -> None:
    await fill(world)
    known = await hanging(world.context, world.union.id)
    before = {place: value for place, value in known.items() if place[0] not in YOUNGER}
    await revise(world, "0013")
    await revise(world, "head")
    assert await hanging(world.context, world.union.id) == before
    assert {number for _, number, there in await versions(world) if there} == {1}
    await replace_all(world)
    assert await hanging(world.context, world.union.id) == before
    with pytest.raises(RuntimeError, match="without them nothing can be read"):
        await revise(world, "0013")
    assert await hanging(world.context, world.union.id) == before
