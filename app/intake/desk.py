"""The desk: deliveries that arrive while others are being written down are written down together, with one COMMIT.

Nobody waits who comes alone: what lies here is taken as soon as a hand is free. A delivery that the database refuses does not
take its neighbours with it: each is then tried alone. Somebody who goes away before the answer does not stop the rest.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import DBAPIError

from app.intake.receive import Kept, Ready, keep_all, keep_all_at_once
from app.kit.database import Database
from app.kit.errors import STORE_AWAY
from app.kit.wakeup import CHANNEL, announce

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 256
LARGEST_AT_ONCE = 8 * 1024 * 1024
"""How many deliveries, and how many bytes of them, one COMMIT takes at the most."""

HANDS = {True: 1, False: 2}
"""How many batches are under way at once, by whether it is SQLite: while one is flushed, the next is prepared."""

ANNOUNCED_EVERY = 0.05
"""Seconds between two wake-ups of the workers."""

_AWAY = (*STORE_AWAY, OSError)


class Full(Exception):
    """So much waits already that this one would wait too long."""


@dataclass(slots=True)
class _Waiting:
    ready: Ready
    answer: asyncio.Future[Kept | None]


class Desk:
    """One for each process."""

    def __init__(self, database: Database, most_waiting: int, kept: Callable[[int], None] = lambda number: None) -> None:
        """`most_waiting`: how many deliveries may lie here; `kept` is told after each COMMIT how many were in it."""
        self._database = database
        self._store = database.at_once
        self._most_waiting = most_waiting
        self._kept = kept
        self._lying: deque[_Waiting] = deque()
        self._announced = -ANNOUNCED_EVERY
        self._at_work = 0
        self._hands: set[asyncio.Task[None]] = set()

    async def keep(self, ready: Ready) -> Kept | None:
        """Keep one arrival; returns after the COMMIT. None: its connection has changed, check it again.

        Raises Full, and what the database raises: then it is not known to be kept.
        """
        if len(self._lying) >= self._most_waiting:
            raise Full
        answer: asyncio.Future[Kept | None] = asyncio.get_running_loop().create_future()
        self._lying.append(_Waiting(ready, answer))
        if self._at_work < HANDS[self._database.is_sqlite]:
            self._at_work += 1
            hand = asyncio.create_task(self._work())
            self._hands.add(hand)
            hand.add_done_callback(self._hands.discard)
        return await answer

    async def close(self) -> None:
        """Wait until all that lies here is kept."""
        while self._hands:
            await asyncio.wait(self._hands)

    async def _work(self) -> None:
        try:
            while batch := self._next_batch():
                await self._keep(batch)
        finally:
            self._at_work -= 1  # with no await since the desk was seen empty: who comes now finds a free hand

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._lying and len(batch) < MOST_AT_ONCE and (not batch or size + self._lying[0].ready.size <= LARGEST_AT_ONCE):
            one = self._lying.popleft()
            size += one.ready.size
            batch.append(one)
        return batch

    async def _keep(self, batch: Sequence[_Waiting]) -> None:
        try:
            kept = await self._kept_of([one.ready for one in batch])
        except Exception as error:  # whatever it was: each of them is told, or tried alone
            await self._failed(batch, error)
            return
        self._kept(len(batch))
        for one, result in zip(batch, kept, strict=True):
            if not one.answer.done():
                one.answer.set_result(result)
        if self._store is not None and self._is_time_to_announce():
            await self._store.notify(CHANNEL)  # nobody's answer waits for it

    async def _kept_of(self, ready: Sequence[Ready]) -> list[Kept | None]:
        """Keep a batch; returns after the COMMIT."""
        if self._store is not None:
            return await keep_all_at_once(self._store, ready)
        async with self._database.begin() as tx:
            kept = await keep_all(tx, ready)
            if self._is_time_to_announce():
                await announce(tx)
        return kept

    def _is_time_to_announce(self) -> bool:
        """Not with every batch of a crowd, whose rest the workers find at their next look."""
        now = time.monotonic()
        if now - self._announced < ANNOUNCED_EVERY:
            return False
        self._announced = now
        return True

    async def _failed(self, batch: Sequence[_Waiting], error: Exception) -> None:
        away = isinstance(error, _AWAY) or (isinstance(error, DBAPIError) and error.connection_invalidated)
        if len(batch) > 1 and not away:
            log.warning("batch refused, going one by one", size=len(batch), error=type(error).__name__)
            for one in batch:
                await self._keep([one])
            return
        for one in batch:
            if not one.answer.done():
                one.answer.set_exception(error)
