"""Nothing of a member is shown, nor stays to be downloaded, over a connection for which they do not agree at that moment."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from app.connections import service as connections
from app.evidence import workers
from app.kit import clock
from app.kit.outbox import publish
from app.ledger.service import SYSTEM
from app.members import repository as members
from app.members.service import ENROLLMENT_CHANGED, record_consent
from connectors.contract import Sender
from tests.evidence.matters import built, exhibits, told
from tests.evidence.ordered import busy, counsel_of, ordered, ready
from tests.support.world import NOW, World

SOON = NOW + timedelta(days=3)


async def answer(world: World, given: bool, until: datetime | None = None, connection: UUID | None = None) -> None:
    """M-1 says whether they agree."""
    async with world.context.database.begin() as tx:
        member = await members.member(tx, world.union.id, world.union.members["M-1"])
        assert member is not None
        where = (world.context.keyring, member, connection or world.union.connection.connection.id)
        await record_consent(tx, *where, given=given, source="test", actor=SYSTEM, until=until)


async def test_a_packet_of_somebody_who_no_longer_agrees_is_no_more(world: World) -> None:
    await busy(world)
    async with await counsel_of(world) as counsel:
        path = await ready(world, counsel)
        await answer(world, True)
        await world.workers.drain()
        assert (await counsel.get(path)).json()["state"] == "ready", "who still agrees changes nothing"
        await answer(world, False)
        at_once = await counsel.post(f"{path}/download")
        assert (at_once.status_code, "no longer agrees" in at_once.text) == (409, True), "before any worker had its turn"
        await world.workers.drain()
        gone = (await counsel.get(path)).json()
        assert (gone["state"], "no longer agrees" in gone["gone"]) == ("expired", True)
        assert (await counsel.post(f"{path}/download")).status_code == 409


async def test_a_packet_goes_within_the_hour_when_a_consent_runs_out(world: World) -> None:
    await busy(world)
    await answer(world, True, SOON)
    async with await counsel_of(world) as counsel:
        path = await ready(world, counsel)
        await world.workers.builder.sweep()
        assert (await counsel.get(path)).json()["state"] == "ready"
        with clock.stopped(SOON):
            await world.workers.builder.sweep()
        gone = (await counsel.get(path)).json()
        assert (gone["state"], "no longer agrees" in gone["gone"]) == ("expired", True)


async def test_a_connection_of_which_nothing_is_shown_takes_no_packet_back(world: World) -> None:
    await busy(world)
    async with world.context.database.begin() as tx:
        other = await connections.create_connection(
            tx, world.context.keyring, world.union.id, connector="standard", title="Unasked", sender=Sender.PROVIDER
        )
    async with await counsel_of(world) as counsel:
        path = await ready(world, counsel)
        await answer(world, False, connection=other.connection.id)
        async with world.context.database.begin() as tx:
            await publish(tx, ENROLLMENT_CHANGED, world.union.id, member_id=world.union.members["M-1"])
        await world.workers.drain()
        await world.workers.builder.sweep()
        assert (await counsel.get(path)).json()["state"] == "ready"


async def test_who_takes_it_back_between_the_look_and_the_build_is_not_in_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await busy(world)
    real, times = workers.look, []

    async def taken_back_meanwhile(*given: Any) -> Any:
        found = await real(*given)
        times.append(found)
        return found

    async with await counsel_of(world) as counsel:
        path = await ordered(world, counsel)
        monkeypatch.setattr(workers, "look", taken_back_meanwhile)
        start = world.workers.builder._start

        async def start_late(*given: Any) -> Any:
            begun = await start(*given)
            if len(times) == 1:  # the message of it was handled before anybody could know who is in the packet
                await answer(world, False)
            return begun

        monkeypatch.setattr(world.workers.builder, "_start", start_late)
        await world.workers.builder.build()
        done = (await counsel.get(path)).json()
    assert len(times) == 2
    assert (done["state"], done["outline"]["members"]) == ("ready", 1)


async def test_over_an_old_checkpoint_it_counts_who_agrees_now(world: World, tmp_path: Path) -> None:
    await busy(world)
    await answer(world, True, SOON)
    before = await built(world, tmp_path / "before")
    assert len({one["member"] for one in exhibits(tmp_path / "before")}) == 2
    with clock.stopped(SOON):
        await built(world, tmp_path / "after", size=before.size)
    assert {one["member"] for one in exhibits(tmp_path / "after")} == {str(world.union.members["M-2"])}
    assert "not_consented" in {one["why"] for one in told(tmp_path / "after")["withheld"]}
