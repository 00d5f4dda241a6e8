"""Ten times the usual, a tenth of it and silence are noticed; ninety ordinary days are not."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select

from app.intake.models import Receipt
from app.kit import clock
from app.notices import service, workers
from app.watch.repository import first_id_of
from app.watch.volume import BURST, DAYS, FEWER, LEAST_DAYS, SILENT, Volume, longest_pause, odd
from tests.support.world import NOW, World, alert

MINUTE = timedelta(minutes=1)
STEADY = [40] * DAYS


def poisson(dice: Random, mean: float) -> int:
    total, count = dice.expovariate(1), 0
    while total < mean:
        total, count = total + dice.expovariate(1), count + 1
    return count


@pytest.mark.parametrize(
    ("volume", "said"),
    [
        (Volume(STEADY, 40, MINUTE), set()),
        (Volume(STEADY, 400, MINUTE), {BURST}),
        (Volume(STEADY, 399, MINUTE), set()),
        (Volume(STEADY, 4, MINUTE), {FEWER}),
        (Volume(STEADY, 5, MINUTE), set()),
        (Volume(STEADY, 0, timedelta(days=1)), {FEWER}),
        (Volume(STEADY, 0, timedelta(days=3, seconds=1)), {FEWER, SILENT}),
        (Volume([*STEADY[:-1], 300], 600, MINUTE), set()),
        (Volume([*STEADY[:-1], 300], 601, MINUTE), {BURST}),
        (Volume([40, 40, 40, 40, 40, 0, 0] * 4, 0, timedelta(days=3)), set()),
        (Volume([40, 40, 40, 40, 40, 0, 0] * 4, 0, timedelta(days=4, seconds=1)), {SILENT}),
        (Volume([1, 0, 0] * 9, 49, MINUTE), set()),
        (Volume([1, 0, 0] * 9, 50, MINUTE), {BURST}),
        (Volume([1, 0, 0, 0, 0, 0, 0] * 4, 0, timedelta(days=60)), set()),
        (Volume(STEADY[:LEAST_DAYS], 400, MINUTE), {BURST}),
        (Volume(STEADY[: LEAST_DAYS - 1], 400, MINUTE), set()),
        (Volume(STEADY, 0, timedelta(days=9), may_be_silent=False), {FEWER}),
    ],
)
def test_the_rule_at_its_edges(volume: Volume, said: set[str]) -> None:
    assert odd(volume) == said


@pytest.mark.parametrize("week", [(40,) * 7, (60, 55, 50, 50, 45, 20, 15), (30, 30, 30, 30, 30, 0, 0), (3, 3, 3, 3, 3, 1, 1)])
def test_ninety_ordinary_days_are_at_most_one_false_alarm_a_month(week: tuple[int, ...]) -> None:
    dice, days, alarms = Random(7), list[int](), 0
    for day in range(DAYS + 90):
        days.append(poisson(dice, week[day % 7]))
        quiet = timedelta(days=longest_pause(days[-3:]) if not days[-1] else 0)
        alarms += bool(odd(Volume(days[:-1], days[-1], quiet))) if day >= DAYS else 0
    assert alarms <= 3


@given(st.lists(st.integers(0, 500), max_size=60), st.integers(0, 5000))
def test_more_is_never_fewer_and_fewer_is_never_more(days: list[int], today: int) -> None:
    said, more = odd(Volume(days, today, MINUTE)), odd(Volume(days, today + 1, MINUTE))
    assert not {BURST, FEWER} <= said
    assert (BURST not in said) or (BURST in more)
    assert (FEWER not in more) or (FEWER in said)


async def history(world: World, days: int, each: int) -> None:
    """Copies of one real receipt, so many on each of the days before now."""
    await world.deliver(alert())
    await world.workers.drain()
    connection = world.union.connection.connection.id
    async with world.context.database.begin() as tx:
        row = dict((await tx.execute(select(Receipt.__table__).where(Receipt.connection_id == connection))).mappings().one())
        for day in range(1, days + 1):
            for number in range(each):
                at = NOW - timedelta(days=day) + timedelta(minutes=number)
                made = UUID(int=first_id_of(at).int | number + 1)
                copied = {"id": made, "body_hash": made.bytes, "received_at": at, "last_received_at": at}
                await tx.execute(insert(Receipt).values({**row, **copied}))


async def alarms(world: World) -> set[tuple[UUID | None, str]]:
    await world.workers.watcher.count()
    await workers.watch(world.context, await world.workers.watcher.signs())
    async with world.context.database.begin(read_only=True) as tx:
        return {(one.connection_id, str(one.kind)) for one in await service.open_alarms(tx, world.union.id)}


@pytest.mark.long
async def test_a_sender_that_sends_ten_times_as_much_and_one_that_stops(world: World) -> None:
    await history(world, 30, 6)
    connection = world.union.connection.connection.id
    assert await alarms(world) == set()
    for number in range(70):
        await world.deliver(alert(id=f"b-{number}"))
    await world.workers.drain()
    assert await alarms(world) == {(connection, "burst")}
    for days in (3, 10, 40, 400):
        clock.set_to(NOW + timedelta(days=days, hours=1))
        assert (connection, "silent") in await alarms(world), "a silence never becomes the usual"
