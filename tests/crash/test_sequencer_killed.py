"""The sequencer killed by SIGKILL at any step: no gap, no fork, every entry one place in the end, and a witness goes on (H)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from app.kit import clock
from app.kit.pulling import LEASE
from app.ledger import models, reading
from app.ledger.reading_back import read_back
from app.ledger.sequencing import integrate
from app.ledger.verifying import verify
from app.ledger.witness import Witness
from app.ledger.witnessing import COSIGNED, offer_of
from app.members.service import create_organization
from tests.crash.killed import AFTER_COMMIT, BEFORE_COMMIT, COMMIT_SENT, LOG_HOST, SIGNED, Launcher, launcher
from tests.crash.test_asking_killed import KILLED
from tests.crash.test_rotation_killed import Rotating
from tests.ledger.test_sequencing import noted, require_whole
from tests.support.world import World

WIDTH = 256
"""Leaves of a tile: the last of them finishes a stored subtree."""


def around(*statements: str) -> set[str]:
    return {f"{when} {what}" for when in ("before", "after") for what in statements}


FIRST_OF_ALL = around("INSERT INTO ledger_head", "INSERT INTO ledger_signer")
EACH_TIME = {BEFORE_COMMIT, COMMIT_SENT, AFTER_COMMIT, SIGNED} | around(
    "UPDATE ledger_head", "INSERT INTO ledger_leaf", "INSERT INTO ledger_checkpoint", "DELETE FROM ledger_pending"
)
A_TILE = around("INSERT INTO ledger_subtree")


pytestmark = pytest.mark.slow
NIL = UUID(int=0)


@pytest.fixture(scope="module")
def forks() -> Iterator[Launcher]:
    with launcher() as started:
        yield started


@dataclass
class Sequencing(Rotating):
    """Sequencers to be killed, and all that anybody ever saw of the log."""

    organization_id: UUID = NIL
    seen: dict[int, bytes] = field(default_factory=dict)
    met: set[str] = field(default_factory=set)

    async def run(self, die_at: int = 0) -> list[str]:
        """One sequencer, when the lease of the one before is over; the steps that it took, or at which it died."""
        clock.set_to(clock.now() + LEASE + timedelta(seconds=1))
        steps = await self.rotate(die_at, work="log")
        self.met.update(steps)
        await self.require_as_before_or_after()
        return steps

    async def require_as_before_or_after(self) -> None:
        """Nothing is half there: the log is whole, and every checkpoint that was ever there still is."""
        async with self.world.context.database.begin(read_only=True) as tx:
            report = await verify(tx, self.organization_id)
            own = models.Checkpoint.organization_id == self.organization_id
            query = select(models.Checkpoint.size, models.Checkpoint.note).where(own)
            notes = dict(map(tuple, (await tx.execute(query)).all()))
        assert report.findings == []
        assert notes.items() >= self.seen.items()
        self.seen = notes

    async def require_all_placed(self) -> int:
        """The next one ends what was left: each entry has one place, and the witness finds a log that has only grown."""
        clock.set_to(clock.now() + LEASE + timedelta(seconds=1))
        own = self.world.context
        await integrate(own.database, own.keyring, LOG_HOST)
        await read_back(own.database)
        await self.require_as_before_or_after()
        async with own.database.begin(read_only=True) as tx:
            witness = Witness(self.folder / "witness", await reading.log_keys(tx, self.organization_id), "w.example")
            newest = await reading.checkpoint_at(tx, self.organization_id)
            head = await tx.get_one(models.Head, self.organization_id)
            known = witness.known(origin_in(newest.note))
            proof = await reading.consistency(tx, self.organization_id, known.size if known else 0, newest.size)
            waiting = select(models.Pending).where(models.Pending.organization_id == self.organization_id)
            assert (await tx.execute(waiting)).first() is None
        verdict, cosignature, _ = witness.consider(offer_of(known.size if known else 0, proof, newest.note))
        assert verdict.outcome in COSIGNED
        assert cosignature is not None
        assert head.read_back == head.size == newest.size
        return head.size

    async def fill_a_tile_but_one(self) -> None:
        """Two entries wait, and the first of them is the last of a tile."""
        size = await self.require_all_placed()
        await noted(self.world, -(size + 1) % WIDTH, self.organization_id)
        await self.require_all_placed()
        await noted(self.world, 2, self.organization_id)


def origin_in(note: bytes) -> str:
    return note.decode().partition("\n")[0]


async def test_a_sequencer_killed_at_any_step_leaves_no_gap_and_no_fork(world: World, forks: Launcher, tmp_path: Path) -> None:
    async with world.context.database.begin() as tx:
        own = (await create_organization(tx, world.context.keyring, "Third")).id
    rig = Sequencing(world, forks, tmp_path, "", world.union.connection.connection.id, organization_id=own)

    await noted(world, 3, own)
    die_at = 0
    while not rig.codes[0]:  # a log that nobody has signed yet, and nobody ends what the dead have left
        die_at += 1
        await rig.run(die_at)
    assert rig.met >= FIRST_OF_ALL
    size = await rig.require_all_placed()

    await noted(world, 2, own)
    steps = await rig.run()
    rig.met.clear()
    for number in range(1, len(steps) + 1):
        await noted(world, 2, own)
        await rig.run(number)
        assert await rig.require_all_placed() == size + 2 * (number + 1)
    assert rig.met == set(steps) >= EACH_TIME

    await rig.fill_a_tile_but_one()
    await rig.fill_a_tile_but_one()  # in the second tile the first is looked at, too
    steps = await rig.run()
    for step in sorted(A_TILE):
        await rig.fill_a_tile_but_one()
        assert await rig.run(steps.index(step) + 1) == [step]
    assert await rig.require_all_placed() > WIDTH
    await require_whole(world.context.database, own)
    assert rig.codes[KILLED] >= len(steps) + len(FIRST_OF_ALL) + len(A_TILE)
