"""Whoever replaces keys is killed by SIGKILL at any step: all stays readable, deliveries go on, and the next one ends it (I3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app import rotation
from app.kit import clock
from app.kit.keyring import Keyring
from app.kit.vault import KeyFile, read_key_file
from tests.crash.killed import AFTER_COMMIT, AFTER_FILE, BEFORE_COMMIT, BEFORE_FILE, COMMIT_SENT, Launcher, Order, launcher
from tests.crash.test_asking_killed import KILLED, Rig
from tests.keys.hanging import Hanging, hanging
from tests.keys.test_rotation import fill, with_key_file
from tests.support.world import World, alert

EVERYTHING = {BEFORE_COMMIT, COMMIT_SENT, AFTER_COMMIT, BEFORE_FILE, AFTER_FILE} | {
    f"{when} {what}"
    for when in ("before", "after")
    for what in (
        *("INSERT INTO organization_key", "UPDATE receipt", "UPDATE member", "DELETE FROM organization_key"),
        *("INSERT INTO door_key", "UPDATE connection_secret", "DELETE FROM door_key"),
    )
}
SELDOM = 11
"""Killed at every so-manieth step: at each takes minutes, and is what `./run campaign rotation_steps` does, seed after seed.

`./run campaign rotation` kills at any moment, fifty times.
"""


def deaths(seed: int, steps: int) -> range:
    """At which steps of so many somebody dies. Seeds 0 to `SELDOM` - 1 have each step once."""
    return range(1 + seed % SELDOM, steps + 1, SELDOM)


@pytest.fixture(scope="module")
def forks() -> Iterator[Launcher]:
    with launcher() as started:
        yield started


@dataclass
class Rotating(Rig):
    """Rotators to be killed, over the world's database and a key file that its own processes read too."""

    codes: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        with_key_file(self.world, self.folder)

    async def rotate(self, die_at: int = 0, work: str = "rotate") -> list[str]:
        """Replace every key (`work`: or what else), and die at a step (or be done before that); the steps that were seen."""
        steps = self.folder / "steps"
        steps.unlink(missing_ok=True)
        where = (self.world.context.database.url, str(self.folder / "top.key"), self.base_url, str(self.world.union.id))
        code = await self.forks.ask(Order(*where, clock.now().isoformat(), str(steps), die_at, work))
        self.codes[code] += 1
        assert code in ((0, KILLED) if die_at else (0,))
        await self._buried()
        return steps.read_text().splitlines() if steps.exists() else []

    async def read(self) -> Hanging:
        """Everything, as a process that was just started reads it from the key file as it is now."""
        return await hanging(self.world.context, self.world.union.id, Keyring(KeyFile(self.folder / "top.key")))


async def all_steps(world: World, rig: Rotating) -> list[str]:
    """Fill the world and let one replace all keys; the steps that took."""
    await fill(world)
    before = await rig.read()
    steps = await rig.rotate()
    assert set(steps) >= EVERYTHING
    assert await rig.read() == before
    return steps


async def require_whole(world: World) -> None:
    """One version of each key, one top key, and a timeline."""
    async with world.context.database.begin(read_only=True) as tx:
        status = (await rotation.status(tx))[str(world.union.id)]
    assert [(len(lane["versions"]), lane["left"]) for lane in status.values()] == [(1, {}), (1, {})]
    assert len(await world.timeline()) >= 1


@pytest.mark.long
async def test_whoever_replaces_keys_may_die_at_any_step(world: World, forks: Launcher, tmp_path: Path) -> None:
    rig = Rotating(world, forks, tmp_path, "", world.union.connection.connection.id)
    steps = await all_steps(world, rig)
    before = await rig.read()
    for n, die_at in enumerate(deaths(0, len(steps))):
        rig.died_at.update(await rig.rotate(die_at))
        found = await rig.read()
        assert {place: found[place] for place in before} == before
        sent = await world.deliver(alert(id=f"n-{n}"))
        assert (sent.status_code, sent.json()["repeat"]) == (202, False)
        before = await rig.read()
        assert len(before) > len(found)
        await world.workers.drain()
        before |= await rig.read()
    assert rig.codes[KILLED] >= 5
    await rig.rotate()
    assert await rig.read() == before
    assert len(read_key_file(tmp_path / "top.key")) == 1
    await require_whole(world)
    met = Counter(die_at for seed in range(SELDOM) for die_at in deaths(seed, len(steps)))
    assert met == Counter(range(1, len(steps) + 1)), "the campaign's seeds leave out no step, and none comes twice"
    assert {steps[die_at - 1] for die_at in met} >= EVERYTHING
