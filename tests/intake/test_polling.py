"""Polling: pages and cursors in one commit, nothing missed, nothing twice, whatever the provider does (C3 to C12)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import update

from app.connections.models import Poll, PollState
from app.intake import polling, rounds
from app.intake.models import Channel
from app.intake.rounds import Round
from app.kit import clock
from connectors.asking import Page
from connectors.sandboxing import Fault
from tests.intake.counting import books
from tests.intake.polled import Polled, connect, polled_world
from tests.support.paged import PAGE, Paged
from tests.support.world import NOW, World


@pytest.fixture
async def polled(world: World) -> AsyncIterator[Polled]:
    async with polled_world(world) as made:
        yield made


async def test_every_row_becomes_one_alert_and_the_next_poll_brings_only_what_is_new(polled: Polled) -> None:
    polled.provider.add(NOW - timedelta(days=3), count=25)
    assert await polled.ask() == 1
    assert await polled.alerts() == 25
    assert {r.channel for r in await polled.receipts()} == {Channel.POLL}
    assert {r.grade for r in await polled.receipts()} == {"fetched"}
    assert len(await polled.receipts()) == 3
    row = await polled.row()
    assert (row.state, row.failures, row.polls, row.lease_owner) == (PollState.OK, 0, 1, None)
    assert row.poll_due_at == NOW + Paged.poll.every
    assert await polled.ask() == 0, "nothing is due before its time"
    polled.later(hours=1)
    polled.provider.add(clock.now(), count=1)
    assert await polled.ask() == 1
    assert await polled.alerts() == 26
    found = await books(polled.world)
    assert (found["quarantined"], found["unsplittable"], found["unmatched"]) == (0, 0, {})
    assert len(await polled.world.timeline("M-1")) >= 1


@pytest.mark.long
async def test_rows_that_appear_late_with_old_dates_are_found(polled: Polled) -> None:
    """C5: behind the cursor, with equal times, out of order: by the overlap; older ones by the weekly sweep."""
    dice, told = random.Random(5), 0
    for _ in range(12):
        for _ in range(dice.randrange(1, 9)):
            behind = timedelta(seconds=dice.choice([0, 0, 1, 3600, 86_000]))
            polled.provider.add(clock.now() - behind, "ref-nobody", count=dice.choice([1, 1, 3]))
        await polled.ask()
        told = len(polled.provider.rows)
        assert await polled.alerts() == told
        polled.later(hours=1)
    polled.provider.add(NOW - timedelta(days=60), count=2)
    await polled.ask()
    assert await polled.alerts() == told, "too old for the overlap"
    polled.later(days=7)
    await polled.ask()
    assert await polled.alerts() == told + 2
    assert (await books(polled.world))["alerts"] == told + 2


async def test_a_page_that_fails_in_the_middle_keeps_the_ones_before_and_is_asked_again(polled: Polled) -> None:
    """C7: pages 1 to 6 are kept, the cursor is not past them, the rest comes with the next try."""
    for hour in range(10):
        polled.provider.add(NOW - timedelta(days=30, hours=-24 * hour), "ref-nobody", count=PAGE)
    polled.provider.fails_at = 7
    await polled.ask()
    row = await polled.row()
    assert await polled.alerts() == 6 * PAGE
    assert (row.state, row.failures) == (PollState.UNREACHABLE, 1)
    assert row.cursor == sorted(polled.provider.rows)[6 * PAGE - 1][0]
    assert row.waits_until is not None
    assert row.waits_until > NOW
    polled.provider.fails_at = None
    assert await polled.ask() == 0, "nobody asks before the provider has had its rest"
    clock.set_to(row.waits_until)
    await polled.ask()
    assert await polled.alerts() == 10 * PAGE
    assert (await polled.row()).failures == 0


async def test_a_provider_that_turns_in_circles_is_stopped(polled: Polled) -> None:
    """C6: the same page at most three times."""
    polled.provider.add(NOW, count=30)
    polled.provider.looping = True
    await polled.ask()
    assert len(polled.provider.faults.seen) <= rounds.SAME_PAGE
    row = await polled.row()
    assert (row.state, row.failures) == (PollState.UNEXPECTED, 1)
    assert row.error == "the provider gives the same page again and again"
    assert await polled.alerts() == PAGE
    polled.provider.looping = False
    clock.set_to(row.waits_until or NOW)
    await polled.ask()
    assert await polled.alerts() == 30


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (Fault.REFUSED, PollState.CREDENTIALS),
        (Fault.REDIRECT, PollState.UNEXPECTED),
        (Fault.HTML, PollState.UNEXPECTED),
        (Fault.NOT_JSON, PollState.UNEXPECTED),
        (Fault.LIMITED_SECONDS, PollState.UNREACHABLE),
        (Fault.LIMITED_DATE, PollState.UNREACHABLE),
    ],
)
async def test_what_is_no_answer_is_never_no_alerts(polled: Polled, fault: Fault, state: PollState) -> None:
    """C9, C11: a state of its own, a rest as long as was asked for, then everything."""
    polled.provider.add(NOW, count=3)
    polled.provider.misbehave(fault, times=50, seconds=1000)
    await polled.ask()
    row = await polled.row()
    assert (row.state, row.failures, row.last_success_at) == (state, 1, None)
    assert row.error
    assert row.waits_until is not None
    if fault in {Fault.LIMITED_SECONDS, Fault.LIMITED_DATE}:
        assert row.waits_until >= NOW + timedelta(seconds=1000)
    asked = len(polled.provider.faults.seen)
    polled.provider.behave()
    await polled.world.workers.asker.close()  # the next asks from another process: only the database remembers the rest
    clock.set_to(row.waits_until - timedelta(microseconds=1))
    await polled.ask()
    assert len(polled.provider.faults.seen) == asked, "0 requests before the allowed time"
    clock.set_to(row.waits_until)
    await polled.ask()
    assert await polled.alerts() == 3
    assert (await polled.row()).state == PollState.OK


async def test_a_week_without_us_is_caught_up_with(polled: Polled) -> None:
    """C4, C12: what was missed runs once, late, and brings everything."""
    await polled.ask()
    for day in range(7):
        polled.provider.add(NOW + timedelta(days=day), count=30)
    polled.later(days=7, minutes=13)
    assert await polled.ask() == 1
    assert await polled.alerts() == 210
    row = await polled.row()
    assert row.poll_due_at == NOW + timedelta(days=7, hours=1)


async def test_one_bad_provider_holds_up_no_other(polled: Polled) -> None:
    other = await connect(polled.world, "https://provider.invalid", key="key-2", member="M-2")
    polled.provider.add(NOW, count=4)
    await polled.ask()
    assert await polled.alerts() == 4
    async with polled.world.context.database.begin(read_only=True) as tx:
        row = await tx.get_one(Poll, other)
        assert row.state == PollState.UNREACHABLE


@pytest.mark.parametrize("step", ["fetched", "kept", "written"])
async def test_dying_at_any_step_of_a_page_leaves_the_cursor_behind_the_rows(
    polled: Polled, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C3. Dying is a BaseException that nothing on the way may catch; the next holder waits out the lease."""

    class Killed(BaseException):
        pass

    pages = 0

    async def dies(*arguments: object, **named: object) -> object:
        nonlocal pages
        pages += step == {"_keep_page": "fetched", "keep": "kept", "write": "written"}[name]
        if pages == 2:
            raise Killed
        return await real(*arguments, **named)

    where, name = {
        "fetched": (Round, "_keep_page"),
        "kept": (rounds.receive, "keep"),
        "written": (polling.polls, "write"),
    }[step]
    real = getattr(where, name)
    monkeypatch.setattr(where, name, dies)
    for day in range(4):
        polled.provider.add(NOW - timedelta(days=9 - day), count=PAGE)
    with pytest.raises(Killed):
        await polled.ask()
    monkeypatch.undo()
    await polled.world.workers.drain()
    cursor = (await polled.row()).cursor
    kept = await polled.alerts()
    assert kept == len([row for row in polled.provider.rows if cursor is not None and row[0] <= cursor])
    assert await polled.asker().run_due() == 0, "the dead holder's lease still stands"
    polled.later(seconds=polling.LEASE.total_seconds())
    await polled.ask()
    assert await polled.alerts() == 4 * PAGE


async def test_a_holder_who_slept_past_the_lease_commits_nothing(polled: Polled) -> None:
    """C2: its page is answered after somebody else has taken over."""
    polled.provider.add(NOW - timedelta(days=2), count=3)
    await polled.ask()
    polled.later(hours=1)
    polled.provider.add(clock.now(), count=5)
    slow = polled.asker()
    polled.provider.gate = gate = asyncio.Event()
    polled.provider.arrived.clear()
    held = asyncio.create_task(slow.run_due())
    await polled.provider.arrived.wait()
    polled.provider.gate = None
    polled.later(seconds=polling.LEASE.total_seconds() + 1)
    assert await polled.ask() == 1
    before = (await polled.row(), await polled.receipts(), await polled.alerts())
    gate.set()
    await held
    await polled.world.workers.drain()
    after = (await polled.row(), await polled.receipts(), await polled.alerts())
    assert after[2] == before[2] == 8
    assert [(r.id, r.repeats) for r in after[1]] == [(r.id, r.repeats) for r in before[1]]
    assert (after[0].fence, after[0].cursor, after[0].state) == (before[0].fence, before[0].cursor, before[0].state)
    await slow.close()


async def test_a_paused_or_closed_connection_is_not_asked(polled: Polled) -> None:
    for column in ("paused_at", "closed_at"):
        async with polled.world.context.database.begin() as tx:
            await tx.execute(
                update(polling.Connection).where(polling.Connection.id == polled.connection_id).values({column: NOW})
            )
        assert await polled.ask() == 0
        async with polled.world.context.database.begin() as tx:
            await tx.execute(
                update(polling.Connection).where(polling.Connection.id == polled.connection_id).values({column: None})
            )
    assert await polled.ask() == 1


async def test_a_mistake_of_the_connectors_own_is_shown_and_tried_again(polled: Polled, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object) -> AsyncIterator[Page]:
        raise ZeroDivisionError("with a secret in it")
        yield

    monkeypatch.setattr(Paged, "pages", fails)
    await polled.ask()
    row = await polled.row()
    assert (row.state, row.error) == (PollState.FAILED, "connector failed: ZeroDivisionError")
