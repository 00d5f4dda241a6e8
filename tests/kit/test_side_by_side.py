"""Work side by side: nobody waits for a neighbour, nothing is asked in circles, nothing goes on behind a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from app.kit.side_by_side import side_by_side


class Shop:
    """Heaps of pieces by name, and what was done of them in which order."""

    def __init__(self, **heaps: int) -> None:
        self.heaps = heaps
        self.done: list[str] = []
        self.asked: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}

    async def due(self) -> dict[str, Callable[[], Awaitable[int]]]:
        return {name: self._piece(name) for name, left in self.heaps.items() if left}

    def _piece(self, name: str) -> Callable[[], Awaitable[int]]:
        async def take() -> int:
            self.asked.append(name)
            if name in self.gates:
                await self.gates[name].wait()
            await asyncio.sleep(0)
            if self.heaps[name] < 0:
                return 0
            self.heaps[name] -= 1
            self.done.append(name)
            return 1

        return take


async def test_it_goes_on_until_nothing_is_due() -> None:
    shop = Shop(a=3, b=2)
    assert await side_by_side(shop.due) == 5
    assert sorted(shop.done) == ["a", "a", "a", "b", "b"]


async def test_whoever_is_slow_holds_up_nobody() -> None:
    shop = Shop(slow=1, quick=4)
    shop.gates["slow"] = asyncio.Event()

    async def due() -> dict[str, Callable[[], Awaitable[int]]]:
        if shop.done.count("quick") == 4:
            shop.gates["slow"].set()
        return await shop.due()

    assert await asyncio.wait_for(side_by_side(due), 5) == 5
    assert shop.done == ["quick"] * 4 + ["slow"]


async def test_who_finds_nothing_is_asked_again_only_when_somebody_has_done_something() -> None:
    shop = Shop(elsewhere=-1, here=2)
    assert await asyncio.wait_for(side_by_side(shop.due), 5) == 2
    assert shop.done == ["here", "here"]
    assert shop.asked.count("elsewhere") <= 3


async def test_what_a_piece_makes_due_is_done_too() -> None:
    shop = Shop(first=1, second=0)

    async def due() -> dict[str, Callable[[], Awaitable[int]]]:
        if shop.done == ["first"]:
            shop.heaps["second"] = 1
        return await shop.due()

    assert await asyncio.wait_for(side_by_side(due), 5) == 2
    assert shop.done == ["first", "second"]


async def test_who_found_nothing_and_is_due_again_is_asked_when_somebody_has_done_something() -> None:
    """Another process had it, and then left something that only waits for its place."""
    shop = Shop(again=-1, placing=1)

    async def due() -> dict[str, Callable[[], Awaitable[int]]]:
        if shop.done == ["placing"]:
            shop.heaps["again"] = 1
        return await shop.due()

    assert await asyncio.wait_for(side_by_side(due), 5) == 2
    assert shop.done == ["placing", "again"]


async def test_a_failure_is_raised_when_all_that_was_begun_has_ended() -> None:
    ended: list[str] = []

    async def fails() -> int:
        raise OSError("the store went away")

    async def takes_its_time() -> int:
        await asyncio.sleep(0.02)
        ended.append("slow")
        return 1

    async def due() -> dict[str, Callable[[], Awaitable[int]]]:
        return {"fails": fails, "slow": takes_its_time}

    with pytest.raises(OSError, match="went away"):
        await side_by_side(due)
    assert ended == ["slow"]


async def test_who_cancels_it_cancels_what_it_has_begun() -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def for_ever() -> int:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.set()
            raise
        return 0

    async def due() -> dict[str, Callable[[], Awaitable[int]]]:
        return {"for ever": for_ever}

    task = asyncio.create_task(side_by_side(due))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stopped.is_set()
