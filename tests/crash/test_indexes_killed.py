"""Whoever puts indexes under a new key is killed at every step: all is found and known as before, and the next one ends it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from app.connections.models import Poll, PollState
from app.index_rotation import LOOKED_UP
from app.kit import clock, indexes
from app.kit.buckets import Buckets
from app.kit.keyring import Keyring
from app.kit.outbox import publish
from app.kit.vault import KeyFile
from app.members.service import REFERENCE_FORGOTTEN, find_member, import_roster
from tests.access.entering import PASSWORD, code_of, first_password, type_in
from tests.access.fake_provider import connect, serving
from tests.crash.killed import AFTER_COMMIT, BEFORE_COMMIT, COMMIT_SENT, Launcher, launcher
from tests.crash.test_asking_killed import KILLED
from tests.crash.test_rotation_killed import Rotating
from tests.keys import test_connection_indexes as moving
from tests.keys.test_index_rotation import stored
from tests.support.world import ROSTER, World, alert

EVERYTHING = {BEFORE_COMMIT, COMMIT_SENT, AFTER_COMMIT} | {
    f"{when} {what}"
    for when in ("before", "after")
    for what in ("UPDATE organization_key", "UPDATE member", "INSERT INTO ledger_entry")
}


EVERYTHING_MOVED = {BEFORE_COMMIT, COMMIT_SENT, AFTER_COMMIT} | {
    f"{when} {what}"
    for when in ("before", "after")
    for what in (
        *("UPDATE receipt", "UPDATE event", "UPDATE alert", "UPDATE unmatched", "UPDATE enrollment", "UPDATE outbox"),
        *("UPDATE poll", "UPDATE connection", "UPDATE organization_key", "INSERT INTO door_key", "INSERT INTO ledger_entry"),
    )
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


@pytest.mark.long
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


@dataclass
class Known:
    """What was delivered to the union so far: an alert of M-1's, also in other bytes, and one that is nobody's yet."""

    world: World
    receipts: dict[bytes, str] = field(default_factory=dict)

    async def deliver(self, body: bytes) -> None:
        """Deliver something for the first time, or again, and have it handled."""
        receipt, repeat = await moving.received(self.world, body)
        assert repeat == (body in self.receipts)
        assert self.receipts.setdefault(body, receipt) == receipt
        await self.world.workers.drain()

    async def require(self, *, sighting: int) -> None:
        """Every repeat is one, the same alert in new bytes is the same alert, and the indexes are all of one version."""
        for body in list(self.receipts):
            await self.deliver(body)
        await self.deliver(json.dumps(alert(), indent=sighting).encode())
        assert await moving.count(self.world, moving.AlertRow) == 2
        assert await moving.matched(self.world) == {"M-1": 1}
        assert await moving.enrolled(self.world, "M-1", "ref-M-1") == (0, 1)
        (version,) = (await moving.stored_versions(self.world))[self.world.union.id]
        found = await moving.stored(self.world, self.world.union.id)
        assert {indexes.version_of(one) for values in found.values() for one in values} == {version}


@pytest.mark.long
async def test_whoever_moves_a_connections_indexes_may_die_at_any_step(world: World, forks: Launcher, tmp_path: Path) -> None:
    rig, known = Rotating(world, forks, tmp_path, "", world.union.connection.connection.id), Known(world)
    await known.deliver(json.dumps(alert()).encode())
    await known.deliver(json.dumps(alert(id="a-2", member="ref-nobody")).encode())
    async with world.context.database.begin() as tx:
        told = {"connection_id": rig.connection_id, "reference_index": bytes(32).hex()}
        await publish(tx, REFERENCE_FORGOTTEN, world.union.id, **told)
        tx.add(Poll(connection_id=rig.connection_id, organization_id=world.union.id, state=PollState.NEVER))
    await rig.rotate(work="connections")
    steps = await rig.rotate(work="connections")
    assert set(steps) >= EVERYTHING_MOVED
    met: set[str] = set()
    for die_at in range(1, len(steps) + 1):
        met.update(await rig.rotate(die_at, work="connections"))
        await known.require(sighting=die_at)
        await rig.rotate(work="connections")
        known.receipts = dict(list(known.receipts.items())[:3])  # the others were met once; all would take longer and longer
        await known.require(sighting=1)
    assert met >= EVERYTHING_MOVED
    assert rig.codes[KILLED] == len(steps)
    assert await moving.enrolled(world, "M-2", "ref-nobody") == (1, 0)
    assert await moving.matched(world) == {"M-1": 1, "M-2": 1}


EVERYTHING_SIGNED_IN_BY = {BEFORE_COMMIT, COMMIT_SENT, AFTER_COMMIT} | {
    f"{when} {what}"
    for when in ("before", "after")
    for what in (
        *("UPDATE account", "UPDATE guesses", "UPDATE outbox", "UPDATE provider_link", "UPDATE organization_key"),
        "INSERT INTO ledger_entry",
    )
}


@pytest.mark.long
async def test_whoever_moves_what_people_sign_in_by_may_die_at_any_step(world: World, forks: Launcher, tmp_path: Path) -> None:
    rig = Rotating(world, forks, tmp_path, "", world.union.connection.connection.id)
    secret, codes = await first_password(world), 0
    world.app.state.sign_ins = Buckets(0, 1)  # more tries than anybody is given
    async with serving() as provider:
        own = await connect(world, provider)
        async with world.browser() as browser:
            assert (await own.sign_in(browser)).status_code == 303
            assert (await type_in(browser, "nobody@example.org", "wrong", "000000")).status_code == 401
            assert (await browser.post("/sign-in", data={"email": "nobody@example.org"})).status_code == 200
        await rig.rotate(work="sign in")
        steps = await rig.rotate(work="sign in")
        assert set(steps) >= EVERYTHING_SIGNED_IN_BY
        met: set[str] = set()
        for die_at in range(1, len(steps) + 1):
            met.update(await rig.rotate(die_at, work="sign in"))
            clock.set_to(clock.now() + timedelta(minutes=5))  # a code is good once
            codes += 1
            async with world.browser() as browser:
                entered = await type_in(browser, "avery@example.org", PASSWORD, code_of(secret))
                assert entered.status_code == 303
            async with world.browser() as browser:
                assert (await own.sign_in(browser)).status_code == 303
                assert (await own.sign_in(browser, "subject-2")).status_code == 403
        assert met >= EVERYTHING_SIGNED_IN_BY
        assert rig.codes[KILLED] == len(steps) == codes
