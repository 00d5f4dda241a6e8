"""Who builds a packet is killed by SIGKILL at any step: the next one goes on, and it is the same in the end, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from app.evidence.models import Packet
from app.evidence.workers import LEASE, NEXT_TRY
from app.kit import clock
from app.ledger.service import Sight
from tests.crash.killed import AFTER_COMMIT, AFTER_PLACE, BEFORE_COMMIT, BEFORE_PLACE, COMMIT_SENT, Launcher, launcher
from tests.crash.test_asking_killed import KILLED
from tests.crash.test_rotation_killed import Rotating
from tests.evidence.matters import built
from tests.evidence.ordered import busy, counsel_of, exports, ordered, unpacked
from tests.evidence.test_packets import proven
from tests.support.world import NOW, World

pytestmark = pytest.mark.slow

DEATHS = {BEFORE_COMMIT, COMMIT_SENT, AFTER_COMMIT, BEFORE_PLACE, AFTER_PLACE}


@pytest.fixture(scope="module")
def forks() -> Iterator[Launcher]:
    with launcher() as started:
        yield started


async def forget_the_dead(world: World) -> None:
    """Let the next one go on with it, who would give it up after a few."""
    async with world.context.database.begin() as tx:
        await tx.execute(update(Packet).values(cut_short=0))


async def test_a_packet_whose_builders_are_killed_is_the_packet(world: World, forks: Launcher, tmp_path: Path) -> None:
    await busy(world)
    async with await counsel_of(world) as counsel:
        path = await ordered(world, counsel)
    folder = str(world.context.settings.packet_folder)
    rig = Rotating(world, forks, tmp_path, folder, world.union.connection.connection.id)
    met: set[str] = set()
    while not rig.codes[0]:
        met.update(await rig.rotate(rig.codes[KILLED] + 1, work="packets"))
        await forget_the_dead(world)
        clock.set_to(clock.now() + LEASE + NEXT_TRY)
    assert met >= DEATHS
    assert rig.codes[KILLED] >= 40
    clock.set_to(NOW + timedelta(minutes=1))
    async with await counsel_of(world) as counsel:
        told = (await counsel.get(path)).json()
        assert (told["state"], told["done"]) == ("ready", told["of_all"])
        packet = unpacked((await counsel.post(f"{path}/download")).content, tmp_path / "out")
    assert proven(packet)["number"] == told["number"]
    again = await built(world, tmp_path / "again", size=told["outline"]["checkpoint"])
    assert again.number == told["number"]
    seen = [row.member_id for row, sight in await exports(world) if sight is Sight.PACKET and row.actor_id is not None]
    assert sorted(seen) == sorted(world.union.members[one] for one in ("M-1", "M-2")), "once for each, however often it was begun"
