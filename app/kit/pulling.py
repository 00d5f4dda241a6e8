"""Pulling from the outbox: one consumer's next messages, under a lease with a fence.

A holder that slept past its lease commits nothing. A message that cannot be handled is set aside with a time to try again,
and never holds up the ones behind it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import BigInteger, Executable, Integer, bindparam, delete, or_, select, union_all, update
from structlog.contextvars import bound_contextvars

from app.kit import clock, metrics
from app.kit.crypto import KeysAway
from app.kit.database import Database, Transaction
from app.kit.ids import uuid7
from app.kit.outbox import LAST_ATTEMPT, Consumer, ConsumerState, Failure, Heard, Message, about, beyond, ensure

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=30)
BATCH = 1000
_FREE: Mapping[str, None] = {"lease_owner": None, "lease_until": None}


class Fenced(Exception):
    """Another worker has taken over: what this one did is rolled back."""


@lru_cache(maxsize=64)
def _next_of(topics: frozenset[str]) -> Executable:
    """The next messages of some topics by position. Each topic is read by its own index, however many others lie between."""
    most = bindparam("most", type_=Integer())
    columns: list[Any] = [getattr(Message, name) for name in Heard._fields]
    each = [
        select(*columns)
        .where(*beyond(topic, bindparam("here", type_=BigInteger())))
        .order_by(Message.topic, Message.position)
        .limit(most)
        .subquery()
        for topic in sorted(topics)
    ]
    found = union_all(*(select(one) for one in each)).subquery()
    return select(found).order_by(found.c.position).limit(most)


_FREE_FOR_ME = or_(
    ConsumerState.lease_until.is_(None),
    ConsumerState.lease_until <= bindparam("now", type_=ConsumerState.lease_until.type),
    ConsumerState.lease_owner == bindparam("me", type_=ConsumerState.lease_owner.type),
)
_ANY_AGAIN = select(Failure.message_id).where(
    Failure.consumer == ConsumerState.consumer,
    Failure.next_attempt_at <= bindparam("now", type_=Failure.next_attempt_at.type),
)
_CLAIM = (
    update(ConsumerState)
    .where(ConsumerState.consumer == bindparam("name", type_=ConsumerState.consumer.type), _FREE_FOR_ME)
    .values(
        lease_owner=bindparam("me", type_=ConsumerState.lease_owner.type),
        lease_until=bindparam("until", type_=ConsumerState.lease_until.type),
        fence=ConsumerState.fence + 1,
    )
    .returning(ConsumerState.fence, ConsumerState.position, _ANY_AGAIN.correlate(ConsumerState).exists())
    .execution_options(synchronize_session=False)
)
"""Take a consumer's lease if it is free: its fence, how far it has come, whether anything that failed is to be tried again."""

NOBODYS_FAULT = (Fenced, KeysAway)
"""What says nothing of any message: all wait, and none is counted as failed."""


class Worker:
    """One worker's hold on one consumer. `run` handles one batch; call it until it returns 0.

    The lease is for one batch and ends with its commit: so whichever process is free takes the next, and none waits for one
    that has stopped. What it guards against is a process that is killed or stands still in the middle of a batch.
    """

    def __init__(self, database: Database, consumer: Consumer) -> None:
        """The lease is taken by each `run`."""
        self.consumer = consumer
        self._database = database
        self._owner = uuid7()
        self._fence: int | None = None
        self._position = 0
        self._known = False
        self._limit = BATCH

    async def run(self) -> int:
        """Handle the next messages, and those whose time to be tried again has come; returns how many it handled."""
        again = await self._hold()
        if self._fence is None:
            return 0
        try:
            done = await self._next_batch(last=not again)
            for failure in again:
                await self._retry(failure)
            if again:
                await self._let_go()
        except KeysAway as error:
            log.warning("a key is away, messages wait", consumer=self.consumer.name, reason=str(error))
            await self._let_go()
            return 0
        except Fenced:
            self._limit = max(1, self._limit // 4)  # a batch that takes longer than the lease would be fenced for ever
            metrics.LEASE_LOSSES.labels("outbox").inc()
            log.warning("another worker has taken over", consumer=self.consumer.name)
            return 0
        self._limit = min(BATCH, self._limit * 2)
        return done + len(again)

    async def _hold(self) -> Sequence[Failure]:
        """Take the lease, if it is free: `_fence` is None if it is not. What failed before and is to be tried again now."""
        if not self._known:
            async with self._database.begin() as tx:
                await ensure(tx, self.consumer.name)
            self._known = True
        now = clock.now()
        whose = {"name": self.consumer.name, "me": self._owner}
        taken = await self._database.single(_CLAIM, **whose, now=now, until=now + LEASE)
        if not taken:
            self._fence = None
            return ()
        ((self._fence, self._position, any_again),) = taken
        if not any_again:
            return ()
        async with self._database.begin(read_only=True) as tx:
            return await self._due(tx, now)

    async def _move(self, tx: Transaction, position: int, *, last: bool) -> None:
        """Say how far this consumer has come. `last`: the lease ends with this transaction."""
        await self._set(tx, position=position, **(_FREE if last else {}))

    async def _let_go(self) -> None:
        async with self._database.begin() as tx:
            await self._set(tx, **_FREE)

    async def _still_ours(self, tx: Transaction) -> None:
        await self._set(tx, fence=self._fence)

    async def _set(self, tx: Transaction, **values: int | None) -> None:
        """Write the consumer's row and hold it until the end of the transaction. Raises Fenced when it is another's."""
        ours = (ConsumerState.consumer == self.consumer.name, ConsumerState.fence == self._fence)
        written = update(ConsumerState).where(*ours).values(**values).returning(ConsumerState.fence)
        if (await tx.execute(written)).scalar_one_or_none() is None:
            raise Fenced

    async def _messages(self, tx: Transaction, limit: int) -> Sequence[Heard]:
        query = _next_of(self.consumer.topics)
        return [Heard._make(row) for row in (await tx.execute(query, {"here": self._position, "most": limit})).all()]

    async def _next_batch(self, *, last: bool) -> int:
        """Handle a batch. `last`: the lease ends with it."""
        try:
            done = await self._handle(self._limit, last=last)
        except NOBODYS_FAULT:
            raise
        except Exception as error:  # any handler's failure: find the one message that fails, spare its neighbours
            log.warning("batch failed, going one by one", consumer=self.consumer.name, error=type(error).__name__)
            done = await self._one_by_one()
            if last:
                await self._let_go()
        return done

    async def _handle(self, limit: int, *, last: bool = False) -> int:
        async with self._database.begin() as tx:
            messages = await self._messages(tx, limit)
            if messages:
                with bound_contextvars(consumer=self.consumer.name, **about(messages)):
                    await self.consumer.handle(tx, messages)
                await self._move(tx, messages[-1].position or 0, last=last)
            elif last:
                await self._set(tx, **_FREE)
        self._moved(messages)
        self._tell(messages)
        return len(messages)

    def _moved(self, messages: Sequence[Heard]) -> None:
        """It is committed how far this consumer has come."""
        if messages:
            self._position = messages[-1].position or 0

    def _tell(self, messages: Sequence[Heard]) -> None:
        """Say that these messages are handled, now that they are."""
        metrics.lag(self.consumer.name, (message.created_at for message in messages), clock.now())
        if messages:
            log.info("messages handled", consumer=self.consumer.name, messages=len(messages), **about(messages))

    async def _one_by_one(self) -> int:
        for handled in range(BATCH):
            try:
                if await self._handle(1) == 0:
                    return handled
            except NOBODYS_FAULT:
                raise
            except Exception as error:  # set this one aside, whatever it was
                await self._set_aside(error)
        return BATCH

    async def _set_aside(self, error: Exception) -> None:
        async with self._database.begin() as tx:
            messages = await self._messages(tx, 1)
            for message in messages:
                log.error(
                    "message set aside",
                    consumer=self.consumer.name,
                    message=str(message.id),
                    error=_what(error),
                    **about([message]),
                )
                tx.add(_failure(self.consumer.name, message.id, 1, error))
                await self._move(tx, message.position or 0, last=False)
        self._moved(messages)

    async def _due(self, tx: Transaction, now: datetime) -> Sequence[Failure]:
        due = select(Failure).where(Failure.consumer == self.consumer.name, Failure.next_attempt_at <= now)
        return (await tx.execute(due.limit(BATCH))).scalars().all()

    async def _retry(self, failure: Failure) -> None:
        this = (Failure.consumer == failure.consumer, Failure.message_id == failure.message_id)
        try:
            async with self._database.begin() as tx:
                message = await _again(tx, failure.message_id)
                with bound_contextvars(consumer=self.consumer.name, **about([message])):
                    await self.consumer.handle(tx, [message])
                await tx.execute(delete(Failure).where(*this))
                await self._still_ours(tx)
            self._tell([message])
        except NOBODYS_FAULT:
            raise
        except Exception as error:  # still failing: wait longer, in the end keep it and alarm
            facts = {"message": str(failure.message_id), "attempts": failure.attempts, "error": _what(error)}
            log.error("message failed again", consumer=failure.consumer, **facts)
            again = _failure(failure.consumer, failure.message_id, failure.attempts + 1, error)
            async with self._database.begin() as tx:
                await self._still_ours(tx)
                await tx.merge(again)


async def _again(tx: Transaction, message_id: UUID) -> Heard:
    columns: list[Any] = [getattr(Message, name) for name in Heard._fields]
    return Heard._make((await tx.execute(select(*columns).where(Message.id == message_id))).one())


def _what(error: Exception) -> str:
    return type(error).__name__


def _failure(consumer: str, message_id: UUID, attempts: int, error: Exception) -> Failure:
    wait = timedelta(seconds=2**attempts) if attempts < LAST_ATTEMPT else None
    due = clock.now() + wait if wait else None
    return Failure(consumer=consumer, message_id=message_id, attempts=attempts, next_attempt_at=due, error=_what(error))
