"""Leases: one for each batch; whoever stands still in the middle of one commits nothing after another has taken over."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from app.kit import clock
from app.kit.database import Database
from app.kit.outbox import ConsumerState, Message, sequence
from app.kit.pulling import LEASE, Worker
from tests.kit.test_outbox import NOW, consumer, database, drain, failures, noted, on_postgresql, say
from tests.support.scraped import monitor

__all__ = ["database"]


def killed(_: Sequence[Message]) -> None:
    """The process ends in the middle of a batch: nothing more of it runs, its lease stays as it is."""
    raise asyncio.CancelledError


async def test_a_second_worker_waits_for_the_lease_of_one_that_was_killed_and_loses_nothing(database: Database) -> None:
    first, second = Worker(database, consumer(killed)), Worker(database, consumer())
    await say(database, 1, 2)
    await sequence(database)
    with pytest.raises(asyncio.CancelledError):
        await first.run()
    assert await second.run() == 0
    clock.set_to(NOW + LEASE - timedelta(seconds=1))
    assert await second.run() == 0
    clock.set_to(NOW + LEASE)
    await drain(database, second)
    assert await noted(database) == [1, 2]


@pytest.mark.parametrize("fails", [False, True])
async def test_a_lease_ends_with_its_batch_so_that_whoever_is_free_takes_the_next(database: Database, fails: bool) -> None:
    failing = [fails]

    def once(_: Sequence[Message]) -> None:
        if failing.pop():
            failing.append(False)
            raise ValueError("the batch fails once, its messages do not")
        failing.append(False)

    first, second = Worker(database, consumer(once)), Worker(database, consumer())
    for number in range(0, 6, 2):
        await say(database, number)
        await sequence(database)
        assert await first.run() == 1
        async with database.begin(read_only=True) as tx:
            state = await tx.get_one(ConsumerState, "notes")
        assert (state.lease_owner, state.lease_until) == (None, None)
        await say(database, number + 1)
        await sequence(database)
        assert await second.run() == 1
    assert await noted(database) == list(range(6)), "no clock has moved"


async def test_new_messages_go_before_those_that_are_tried_again_and_the_lease_ends_after_both(database: Database) -> None:
    broken, seen = [True], list[int]()

    def refuse_the_first(messages: Sequence[Message]) -> None:
        numbers = [message.payload["number"] for message in messages]
        if broken[0] and 1 in numbers:
            raise ValueError
        seen.extend(numbers)

    worker = Worker(database, consumer(refuse_the_first))
    await say(database, 1)
    await drain(database, worker)
    assert len(await failures(database)) == 1
    broken[0] = False
    clock.set_to(NOW + timedelta(seconds=3))
    await say(database, 2)
    await sequence(database)
    assert await worker.run() == 2
    assert seen == [2, 1]
    assert await failures(database) == []
    await say(database, 3)
    await sequence(database)
    assert await Worker(database, consumer()).run() == 1, "no clock has moved"


async def test_one_that_finds_nothing_to_do_holds_no_lease(database: Database) -> None:
    first, second = Worker(database, consumer()), Worker(database, consumer())
    assert await first.run() == 0
    await say(database, 1)
    await drain(database, second)
    assert await noted(database) == [1]


async def test_a_holder_that_slept_past_its_lease_commits_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    sleeper, other = Worker(database, consumer()), Worker(database, consumer())
    await say(database, 1)
    await sequence(database)
    hold = sleeper._hold

    async def hold_and_sleep() -> bool:
        held = await hold()
        clock.set_to(NOW + 2 * LEASE)
        await drain(database, other)
        return held

    monkeypatch.setattr(sleeper, "_hold", hold_and_sleep)
    await say(database, 2)
    assert await sleeper.run() == 0
    assert await noted(database) == [1, 2]
    monkeypatch.setattr(sleeper, "_hold", hold)
    await say(database, 3)
    await drain(database, sleeper)
    assert await noted(database) == [1, 2, 3], "awake again, it takes its turn like any other"


@on_postgresql
async def test_a_holder_that_slept_inside_its_handler_commits_nothing(database: Database) -> None:
    other = Worker(database, consumer())
    taken: list[bool] = []

    async def sleep(_: Sequence[Message]) -> None:
        if not taken:
            taken.append(True)
            clock.set_to(NOW + 2 * LEASE)
            await drain(database, other)

    await say(database, 1, 2)
    await sequence(database)
    with monitor() as one:
        before = one.value("harmline_lease_losses_total", lease="outbox")
        assert await Worker(database, consumer(sleep)).run() == 0
        assert one.value("harmline_lease_losses_total", lease="outbox") == before + 1
    assert await noted(database) == [1, 2]
    assert await failures(database) == []


@on_postgresql
@pytest.mark.parametrize("fails", [False, True])
async def test_a_holder_that_slept_inside_a_second_attempt_commits_nothing(database: Database, fails: bool) -> None:
    """Also not that it failed once more: the other one has handled it meanwhile."""
    broken = [True]

    def refuse(_: Sequence[Message]) -> None:
        if broken[0]:
            raise ValueError

    other = Worker(database, consumer())

    async def sleep(_: Sequence[Message]) -> None:
        if not broken[0]:
            clock.set_to(clock.now() + 2 * LEASE)
            await drain(database, other)
            if fails:
                raise ValueError

    sleeper = Worker(database, consumer(refuse, sleep))
    await say(database, 1)
    await drain(database, sleeper)
    broken[0] = False
    clock.set_to(NOW + timedelta(seconds=3))
    assert await sleeper.run() == 0
    assert await noted(database) == [1]
    assert await failures(database) == []
