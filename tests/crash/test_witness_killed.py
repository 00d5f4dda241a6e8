"""Who gets checkpoints cosigned is killed by SIGKILL at any step: the next one gets the cosignature, of the same checkpoint."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.kit import clock
from app.ledger.attesting import TURN
from app.ledger.models import Cosignature
from app.ledger.notes import Note, parse_checkpoint, parse_key, parse_note, parse_signature, verify
from tests.crash.killed import AFTER_COMMIT, BEFORE_COMMIT, CHECKPOINT_SENT, COMMIT_SENT, Launcher, launcher
from tests.crash.test_asking_killed import KILLED
from tests.crash.test_rotation_killed import Rotating
from tests.ledger.attested import attesting, grow, kept, trust
from tests.ledger.small_witness import small_witness
from tests.support.world import World

pytestmark = pytest.mark.slow

DEATHS = {BEFORE_COMMIT, COMMIT_SENT, AFTER_COMMIT, CHECKPOINT_SENT} | {
    f"{when} INSERT INTO ledger_cosignature" for when in ("before", "after")
}


@pytest.fixture(scope="module")
def forks() -> Iterator[Launcher]:
    with launcher() as started:
        yield started


async def test_whoever_has_checkpoints_cosigned_may_die_at_any_step(world: World, forks: Launcher, tmp_path: Path) -> None:
    """The witness may know a checkpoint of which we do not know that it does: it is asked again, and says so."""
    met, forgotten = set[str](), set[str]()
    async with small_witness() as witness:
        rig = Rotating(world, forks, tmp_path, witness.url, world.union.connection.connection.id)
        while not rig.codes[0]:
            newest = await grow(world)
            await trust(world, witness)
            died_at = await rig.rotate(rig.codes[KILLED] + 1, work="cosign")
            clock.set_to(clock.now() + TURN)
            met.update(died_at)
            ours = newest.size in [row.size for row in await kept(world, Cosignature)]
            if not ours and newest.size in [size for size, _ in witness.known.values()]:
                forgotten.update(died_at)
            at_work = attesting(world, {}, {"witness": witness}, organizations=frozenset({world.union.id}))
            assert await at_work.cosign() == (not ours), died_at
            row = (await kept(world, Cosignature))[-1]
            assert row.size == newest.size
            signed = Note(parse_note(newest.note).text, (parse_signature(row.line),))
            assert verify(signed, [parse_key(witness.key)]), died_at
    assert met >= DEATHS
    assert CHECKPOINT_SENT in forgotten
    shown = defaultdict(set)
    for body in witness.asked:
        text = parse_note(body.partition(b"\n\n")[2]).text
        shown[parse_checkpoint(text).size].add(text)
    assert [size for size, texts in shown.items() if len(texts) > 1] == []
    assert rig.codes[KILLED] >= len(DEATHS)
