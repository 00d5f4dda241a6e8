"""The gauges about connections say what is so, by connector, and of several connections the worst."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.intake.health import health_of
from app.kit import clock
from app.notices import workers
from connectors.sandboxing import Fault
from tests.intake.polled import polled_world
from tests.support.scraped import monitor
from tests.support.world import NOW, World, alert

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@on_sqlite
async def test_quarantine_and_what_waits_for_a_person(world: World) -> None:
    await world.deliver({"alerts": [alert(), alert(id="a-2"), {**alert(id="a-3"), "amount": 7}]})
    await world.deliver(alert(id="a-4"), world.other)
    await world.deliver(b"junk", world.other)
    await world.workers.drain()
    await workers.watch(world.context)
    with monitor() as one:
        assert one.value("harmline_quarantined_share", connector="standard") == 0.25, "of both organizations' events together"
        assert one.value("harmline_set_aside_receipts", connector="standard") == 1
        assert one.value("harmline_open_alarms", kind="set_aside") == 2
        assert one.value("harmline_open_alarms", kind="silent") == 0


@on_sqlite
async def test_freshness_of_what_is_asked(world: World) -> None:
    async with polled_world(world) as polled:
        await polled.ask()
        async with world.context.database.begin(read_only=True) as tx:
            connector = (await health_of(tx, world.union.id))[1].connector
        clock.set_to(NOW + timedelta(minutes=30))
        await workers.watch(world.context)
        with monitor() as one:
            assert one.value("harmline_poll_age_seconds", connector=connector) == 1800
            assert one.value("harmline_silent_connections", connector=connector) == 0
            polled.provider.misbehave(Fault.REFUSED)
            clock.set_to(NOW + timedelta(hours=3))
            await polled.ask()
            await workers.watch(world.context)
            assert one.value("harmline_poll_age_seconds", connector=connector) == 3 * 3600
            assert one.value("harmline_silent_connections", connector=connector) == 1
            assert one.value("harmline_open_alarms", kind="silent") == 1
            assert one.value("harmline_open_alarms", kind="credentials") == 1


async def test_the_queue_behind_the_door(world: World) -> None:
    for number in range(3):
        await world.deliver(alert(id=f"a-{number}"))
    clock.set_to(NOW + timedelta(seconds=40))
    await world.workers.watcher.measure()
    with monitor() as one:
        assert one.value("harmline_unhandled_receipts") == 3
        assert one.value("harmline_oldest_unhandled_seconds") == 40
        assert one.value("harmline_measured_timestamp_seconds") == clock.now().timestamp()
        await world.workers.drain()
        await world.workers.watcher.measure()
        assert one.value("harmline_unhandled_receipts") == 0
        assert one.value("harmline_oldest_unhandled_seconds") == 0
