"""Whoever puts the roster's numbers under a new index key is killed at every step: all are found, and the next one ends it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.index_rotation import LOOKED_UP
from app.kit import indexes
from app.kit.keyring import Keyring
from app.kit.vault import KeyFile
from app.members.service import find_member, import_roster
from tests.crash.killed import AFTER_COMMIT, BEFORE_COMMIT, COMMIT_SENT, Launcher, launcher
from tests.crash.test_asking_killed import KILLED
from tests.crash.test_rotation_killed import Rotating
from tests.keys.test_index_rotation import stored
from tests.support.world import ROSTER, World

EVERYTHING = {BEFORE_COMMIT, COMMIT_SENT, AFTER_COMMIT} | {
    f"{when} {what}"
    for when in ("before", "after")
    for what in ("UPDATE organization_key", "UPDATE member", "INSERT INTO ledger_entry")
}


@pytest.fixture(scope="module")
def forks() -> Iterator[Launcher]:
    with launcher() as started:
        yield started


async def require_everybody(world: World, keyring: Keyring) -> None:
    """All are found, and an import of the same roster adds nobody."""
    async with world.context.database.begin() as tx:
        for number, member_id in world.union.members.items():
            found = await find_member(tx, keyring, world.union.id, number)
            assert found is not None
            assert found.id == member_id
        report = await import_roster(tx, keyring, world.union.id, ROSTER, ())
    assert (report.added, report.updated, report.unchanged) == (0, 0, len(ROSTER))


async def test_whoever_replaces_an_index_key_may_die_at_any_step(world: World, forks: Launcher, tmp_path: Path) -> None:
    rig = Rotating(world, forks, tmp_path, "", world.union.connection.connection.id)
    knows_of_nothing = Keyring(KeyFile(tmp_path / "top.key"))
    await require_everybody(world, knows_of_nothing)
    await rig.rotate(work="indexes")
    steps = await rig.rotate(work="indexes")
    assert set(steps) >= EVERYTHING
    met: set[str] = set()
    for die_at in range(1, len(steps) + 1):
        met.update(await rig.rotate(die_at, work="indexes"))
        await require_everybody(world, Keyring(KeyFile(tmp_path / "top.key")))
        await require_everybody(world, knows_of_nothing)
        await rig.rotate(work="indexes")
        assert len({indexes.version_of(one) for one in (await stored(world)).values()}) == 1
        await require_everybody(world, knows_of_nothing)
    assert met >= EVERYTHING
    assert rig.codes[KILLED] == len(steps)
    assert len(LOOKED_UP) == 1
