"""Every log is verified from first to last once a day, and what is wrong is an alarm until it is mended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update

from app.kit import clock
from app.kit.database import Transaction
from app.ledger import full_look, models
from app.ledger.full_look import AGAIN_AFTER
from app.ledger.models import LedgerEntry
from app.ledger.verifying import Report
from app.notices import service, workers
from app.notices.models import AlarmKind
from app.watch import logs
from app.watch.logs import UNVERIFIED_AFTER
from tests.ledger.test_sequencing import as_owner, noted
from tests.support.world import World


async def alarms(world: World) -> set[str]:
    await workers.watch(world.context, await world.workers.watcher.signs())
    async with world.context.database.begin(read_only=True) as tx:
        return {str(one.kind) for one in await service.open_alarms(tx, world.union.id)} & {AlarmKind.LEDGER}


async def test_what_somebody_changed_long_after_it_was_read_back_is_an_alarm_within_a_day(world: World) -> None:
    (entry,) = await noted(world, 1)
    await world.workers.log()
    assert await world.workers.verify_logs() >= 2
    assert await world.workers.verify_logs() == 0, "not again on the same day"
    assert await alarms(world) == set()

    mine = LedgerEntry.id == entry
    async with world.context.database.begin(read_only=True) as tx:
        role = (await tx.execute(select(LedgerEntry.actor_role).where(mine))).scalar_one()
    await as_owner(world, update(LedgerEntry).where(mine).values(actor_role="admin"))
    assert await world.workers.log() == 0, "who reads new leaves only does not see it"
    clock.set_to(clock.now() + AGAIN_AFTER + timedelta(minutes=1))
    assert await world.workers.verify_logs() >= 2
    assert await alarms(world) == {AlarmKind.LEDGER}
    async with world.context.database.begin(read_only=True) as tx:
        (said,) = await logs.told(tx, world.union.id)
        assert (await tx.get_one(models.Head, world.other.id)).found_wrong == 0
    assert f"harmline ledger verify --organization {world.union.id}" in said

    await as_owner(world, update(LedgerEntry).where(mine).values(actor_role=role))
    clock.set_to(clock.now() + AGAIN_AFTER + timedelta(minutes=1))
    await world.workers.verify_logs()
    assert await alarms(world) == set()


async def test_that_nobody_verifies_is_an_alarm(world: World) -> None:
    async def told() -> list[str]:
        async with world.context.database.begin(read_only=True) as tx:
            return await logs.told(tx, world.union.id)

    await noted(world, 1)
    await world.workers.log()
    assert await told() == []
    clock.set_to(clock.now() + UNVERIFIED_AFTER + timedelta(minutes=1))
    assert await alarms(world) == {AlarmKind.LEDGER}, "it never was"
    await world.workers.verify_logs()
    assert await told() == []
    clock.set_to(clock.now() + UNVERIFIED_AFTER + timedelta(minutes=1))
    (said,) = await told()
    assert "was not verified as a whole for 3 days" in said
    ahead = update(models.Head).where(models.Head.organization_id == world.union.id)
    await as_owner(world, ahead.values(verified_at=clock.now() + timedelta(days=36_500)))
    assert await told() == [said], "who dates it ahead, and has nobody verify, has no peace"


async def test_a_head_that_was_taken_away_or_dated_ahead_puts_nothing_off(world: World) -> None:
    (entry,) = await noted(world, 1)
    await world.workers.log()
    await world.workers.verify_logs()
    mine = models.Head.organization_id == world.union.id
    await as_owner(world, update(LedgerEntry).where(LedgerEntry.id == entry).values(actor_role="admin"))
    await as_owner(world, update(models.Head).where(mine).values(verified_at=clock.now() + timedelta(days=36500)))
    assert await world.workers.verify_logs() == 1
    assert await alarms(world) == {AlarmKind.LEDGER}
    await as_owner(world, delete(models.Head).where(mine))
    assert await world.workers.verify_logs() == 1
    assert await alarms(world) == {AlarmKind.LEDGER}


async def test_a_log_that_cannot_be_verified_holds_up_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await noted(world, 1)
    await noted(world, 1, world.other.id)
    await world.workers.log()
    real, first = full_look.verify, min(world.union.id, world.other.id)

    async def fails(tx: Transaction, organization_id: UUID, **more: Any) -> Report:
        if organization_id == first:
            raise OSError("the disk says no")
        return await real(tx, organization_id, **more)

    monkeypatch.setattr(full_look, "verify", fails)
    with pytest.raises(OSError, match="the disk says no"):
        await world.workers.verify_logs()
    async with world.context.database.begin(read_only=True) as tx:
        looked = {one.organization_id: one.verified_at for one in (await tx.execute(select(models.Head))).scalars()}
    assert looked.pop(first) is None
    assert None not in looked.values()
    monkeypatch.undo()
    assert await world.workers.verify_logs() == 1, "the turn is free again"
