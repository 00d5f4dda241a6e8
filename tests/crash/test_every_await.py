"""Whatever step fails, and however: nothing is half done, and to do it again brings it to its end, once (A6).

The n-th call of the database or of a provider fails before or after it was done, or the n-th await is cancelled; n goes from 1
until nothing fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from app.incidents.models import MemberAlert, MemberEvent
from app.intake.models import AlertRow, Event, LookUpState, Receipt, ReceiptState
from app.intake.workers import handle_waiting
from app.kit import clock
from app.ledger.models import LedgerEntry
from app.ledger.service import Act
from connectors.asking import PollPlan
from tests.crash.failing import Steps, Way, cancelled_at, failing_database, failing_line
from tests.intake.counting import books
from tests.intake.looked_up import looked_up_world
from tests.intake.polled import polled_world
from tests.support.paged import PAGE, Paged
from tests.support.world import World, alert

MOST_STEPS = 400
FAILED: tuple[type[BaseException], ...] = (OperationalError, OSError, asyncio.CancelledError)
pytestmark = pytest.mark.slow
OF_THE_LINE = frozenset({Way.UNSENT, Way.UNHEARD})
every_way = pytest.mark.parametrize("way", list(Way))
without_provider = pytest.mark.parametrize("way", [way for way in Way if way not in OF_THE_LINE])


async def until_nothing_fails(
    world: World,
    way: Way,
    act: Callable[[int], Coroutine[Any, Any, object]],
    after: Callable[[int, bool], Awaitable[None]],
    before: Callable[[int], Awaitable[None]] | None = None,
) -> int:
    """For n = 1, 2, ...: `before`, then `act` with its n-th step failing, then `after`; how many steps there were."""
    for n in range(1, MOST_STEPS):
        if before is not None:
            await before(n)
        steps = Steps(n)
        with suppress(*FAILED):
            if way is Way.CANCELLED:
                await cancelled_at(act(n), steps)
            else:
                with failing(world, steps, way):
                    await act(n)
        await nothing_is_half_done(world)
        await after(n, steps.happened)
        await nothing_is_half_done(world)
        if not steps.happened:
            return n - 1
    raise AssertionError("it never comes to its end")


def failing(world: World, steps: Steps, way: Way) -> AbstractContextManager[None]:
    if way in OF_THE_LINE:
        return failing_line(steps, way)
    return failing_database(world.context.database.engine, steps, way)


async def nothing_is_half_done(world: World) -> None:
    """Each receipt has its one entry in the ledger; what is handled has its events and its entry; the accounts close."""
    await books(world)
    async with world.context.database.begin(read_only=True) as tx:
        kept = {str(row.id): row.state for row in (await tx.execute(select(Receipt))).scalars()}
        told = {act: [] for act in (Act.RECEIPT, Act.NORMALISATION)}
        for entry in (await tx.execute(select(LedgerEntry).where(LedgerEntry.kind.in_(told)))).scalars():
            told[Act(entry.kind)].append(entry.subjects["receipt"])
        cut = set(map(str, (await tx.execute(select(Event.receipt_id))).scalars()))
    handled = sorted(name for name, state in kept.items() if state == ReceiptState.HANDLED)
    assert sorted(told[Act.RECEIPT]) == sorted(kept)
    assert sorted(told[Act.NORMALISATION]) == handled
    assert cut == set(handled)


async def take_in(world: World) -> None:
    """Understand all that was received. What follows from it is other tests' business, and would be n times n here."""
    while await handle_waiting(world.context.database, world.context.keyring):
        pass


async def alerts(world: World) -> int:
    async with world.context.database.begin(read_only=True) as tx:
        return (await tx.execute(select(func.count()).select_from(AlertRow))).scalar_one()


@without_provider
async def test_receive(world: World, way: Way) -> None:
    """A failure is a 503 or a broken line; the same delivery again is kept once, and only what was kept was acknowledged."""

    def body(n: int) -> dict[str, Any]:
        return alert(id=f"a-{n}", institution=f"Bank {n}")

    statuses: dict[int, int] = {}

    async def deliver(n: int) -> None:
        answer = await world.deliver(body(n))
        statuses[n] = answer.status_code
        assert answer.status_code == 202 or answer.headers["retry-after"]
        if way is not Way.CANCELLED:
            await world.app.state.intake.desk.close()  # whatever is still under way fails too, also after an early answer

    async def again(n: int, failed: bool) -> None:
        kept = await world.deliver(body(n))
        assert kept.status_code == 202
        if statuses.get(n) == 202:
            assert kept.json()["repeat"] is True, "an acknowledged delivery is there"
        if failed and way is not Way.CANCELLED:
            assert statuses[n] == 503, "what failed is never acknowledged"

    steps = await until_nothing_fails(world, way, deliver, again)
    # A batch is one statement, which on PostgreSQL is a transaction of its own; whoever waits for it waits once, for the desk.
    assert steps >= (2 if world.context.database.is_sqlite and way is not Way.CANCELLED else 1)
    await world.workers.drain()
    assert await alerts(world) == steps + 1


@without_provider
async def test_normalise(world: World, way: Way) -> None:
    """Two receipts wait, one tells of two alerts: all of a batch, or none of it, to the timeline; and then all of it, once."""
    context = world.context

    async def receive(n: int) -> None:
        await world.deliver({"alerts": [alert(id=f"a-{n}"), alert(id=f"b-{n}")]})
        await world.deliver(alert(id=f"a-{n}", summary="Corrected."))

    async def handle(_: int) -> None:
        await handle_waiting(context.database, context.keyring, world.workers._bring)

    async def again(n: int, _: bool) -> None:
        await take_in(world)
        found = await books(world)
        assert (found["waiting"], found["new"], found["revisions"], found["unsplittable"]) == (0, 2 * n, n, 0)

    steps = await until_nothing_fails(world, way, handle, again, receive)
    assert steps >= 3
    await world.workers.drain()
    async with world.context.database.begin(read_only=True) as tx:
        told = (await tx.execute(select(func.count()).select_from(MemberEvent))).scalar_one()
        matched = (await tx.execute(select(func.count()).select_from(MemberAlert))).scalar_one()
    assert (matched, told) == (2 * (steps + 1), 3 * (steps + 1)), "each alert came to its member, once"


@every_way
async def test_poll(world: World, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pages a turn: the cursor is never ahead of the rows, and the next turn brings what is missing."""
    hour = timedelta(hours=1)
    plan = PollPlan(every=hour, requests_per_minute=60_000, overlap=timedelta(0), sweep_every=timedelta(days=3650))
    monkeypatch.setattr(Paged, "poll", plan)
    async with polled_world(world) as polled:

        async def tell(_: int) -> None:
            polled.provider.add(polled.later(hours=3), "ref-nobody", count=PAGE)
            polled.provider.add(polled.later(seconds=1), "ref-nobody", count=2)

        async def ask(_: int) -> None:
            turn = await polled.world.workers.asker._claim()
            if turn is not None:
                await polled.world.workers.asker._take(turn)

        async def again(_: int, __: bool) -> None:
            await take_in(world)
            cursor = (await polled.row()).cursor or ""
            assert await polled.alerts() >= sum(at < cursor for at, *_ in polled.provider.rows)
            polled.later(hours=2)
            await world.workers.asker.run_due()
            await take_in(world)
            assert await polled.alerts() == len(polled.provider.rows)

        assert await until_nothing_fails(world, way, ask, again, tell) >= (2 if way in OF_THE_LINE else 3)
        assert await world.workers.ask() == 0, "and what follows from it comes to its end"


@every_way
async def test_follow_up(world: World, way: Way) -> None:
    """A notice is looked up, once, whatever step of it fails; nothing that it speaks of is lost."""
    async with looked_up_world(world) as looked:
        await looked.enroll()

        async def tell(_: int) -> None:
            clock.set_to(clock.now() + timedelta(hours=2))
            looked.happens()
            assert (await looked.notices(looked.provider.waiting[-1:])).status_code == 202  # all of them would be n times n
            await take_in(world)

        async def ask(_: int) -> None:
            turn = await world.workers.asker._claim()
            if turn is not None:
                await world.workers.asker._take(turn)

        async def again(n: int, _: bool) -> None:
            clock.set_to(clock.now() + timedelta(hours=2))
            await world.workers.asker.run_due()
            await take_in(world)
            assert await looked.states() == [LookUpState.DONE] * n
            assert await alerts(world) == n

        assert await until_nothing_fails(world, way, ask, again, tell) >= (2 if way in OF_THE_LINE else 3)
        assert await world.workers.ask() == 0, "and what follows from it comes to its end"
