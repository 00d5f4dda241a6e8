"""The desk: deliveries that arrive while others are being written down are written down together, with one COMMIT.

Nobody waits who comes alone: what lies here is taken as soon as a hand is free. A delivery that the database refuses does not
take its neighbours with it: each is then tried alone. Somebody who goes away before the answer does not stop the rest.

A batch is sealed one right after the other, when it is taken: what sealing needs of the processor's memory is at hand then.
Sealed when it came, each between two other requests, a delivery took twice as long.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError

from app.intake.receive import Kept, Ready, keep_all, keep_all_at_once
from app.kit.database import Database
from app.kit.errors import STORE_AWAY
from app.kit.logging import RECEIPT
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


_ENDS = (asyncio.CancelledError, KeyboardInterrupt, SystemExit)


class Full(Exception):
    """So much waits already that this one would wait too long."""


class BrokenOff(ConnectionError):
    """Whoever kept it broke off: it is not known to be kept, and is to be sent again."""


@dataclass(slots=True)
class _Waiting:
    receipt_id: UUID | None
    size: int
    seal: Callable[[], Ready] = field(repr=False)
    answer: asyncio.Future[Kept | None]


_Sealed = tuple[Ready, asyncio.Future[Kept | None]]


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

    async def keep(self, size: int, seal: Callable[[], Ready]) -> Kept | None:
        """Keep one arrival; returns after the COMMIT. None: its connection has changed, check it again.

        `size`: bytes of its body; `seal`: makes it ready, when its turn has come.
        Raises Full, and what `seal` raises: then it is not kept. After BrokenOff, and what the database raises, nobody knows.
        """
        if len(self._lying) >= self._most_waiting:
            raise Full
        answer: asyncio.Future[Kept | None] = asyncio.get_running_loop().create_future()
        self._lying.append(_Waiting(RECEIPT.get(), size, seal, answer))
        if self._at_work < HANDS[self._database.is_sqlite]:
            self._at_work += 1
            hand = asyncio.create_task(self._work(), context=Context())  # it is about no one receipt
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
                try:
                    if sealed := _sealed(batch):
                        await self._keep(sealed)
                except BaseException as error:  # also what no code of ours raises: nobody may wait for ever
                    self._break_off(batch, error)
                    if isinstance(error, _ENDS):
                        raise
        finally:
            self._at_work -= 1  # with no await since the desk was seen empty: who comes now finds a free hand

    def _break_off(self, batch: Sequence[_Waiting], error: BaseException) -> None:
        receipts = [str(one.receipt_id) for one in batch if one.receipt_id is not None]
        log.error("a batch was broken off", size=len(batch), receipts=receipts, error=type(error).__name__)
        for one in batch:
            _fail(one.answer, BrokenOff())
        while isinstance(error, _ENDS) and self._lying:
            _fail(self._lying.popleft().answer, BrokenOff())

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._lying and len(batch) < MOST_AT_ONCE and (not batch or size + self._lying[0].size <= LARGEST_AT_ONCE):
            one = self._lying.popleft()
            size += one.size
            batch.append(one)
        return batch

    async def _keep(self, batch: Sequence[_Sealed]) -> None:
        try:
            kept = await self._kept_of([ready for ready, _ in batch])
        except Exception as error:  # whatever it was: each of them is told, or tried alone
            await self._failed(batch, error)
            return
        self._kept(len(batch))
        for (_, answer), result in zip(batch, kept, strict=True):
            if not answer.done():
                answer.set_result(result)
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

    async def _failed(self, batch: Sequence[_Sealed], error: Exception) -> None:
        away = isinstance(error, _AWAY) or (isinstance(error, DBAPIError) and error.connection_invalidated)
        if len(batch) > 1 and not away:
            receipts = [str(ready.receipt_id) for ready, _ in batch]
            log.warning("batch refused, going one by one", size=len(batch), receipts=receipts, error=type(error).__name__)
            for one in batch:
                await self._keep([one])
            return
        for _, answer in batch:
            _fail(answer, error)


def _sealed(batch: Sequence[_Waiting]) -> list[_Sealed]:
    """Those that can be sealed; whoever waits for one that cannot is told."""
    sealed: list[_Sealed] = []
    for one in batch:
        try:
            sealed.append((one.seal(), one.answer))
        except Exception as error:  # whatever it was, it is told to whom it belongs
            _fail(one.answer, error)
    return sealed


def _fail(answer: asyncio.Future[Kept | None], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
