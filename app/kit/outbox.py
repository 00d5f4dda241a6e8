"""The outbox: an act writes a message in its own transaction; the rooms that care pull with a cursor of their own.

A message gets its position from the one sequencer, after it is visible, so that a cursor never steps over a message whose
transaction was still open. A consumer holds a lease with a fence: a holder that slept past its lease commits nothing.
A message that cannot be handled is set aside with a time to try again, and never holds up the ones behind it.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import (
    BigInteger,
    Executable,
    Index,
    Integer,
    String,
    bindparam,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    text,
    union,
    union_all,
    update,
)
from sqlalchemy.orm import Mapped, aliased, mapped_column
from structlog.contextvars import bound_contextvars

from app.kit import clock, metrics
from app.kit.database import Base, Database, PortableJson, Transaction, upsert
from app.kit.ids import uuid7
from app.kit.rows import insert_rows

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=30)
BATCH = 500
LAST_ATTEMPT = 8
KEPT_FOR = timedelta(days=7)
"""How long a message stays after everybody who asks for it has handled it."""

FORGOTTEN_AT_ONCE = 5000
_SEQUENCER = "sequencer"
RECEIPTS = "receipt_ids"
"""In a payload: the receipts that a message comes from, with blanks between them."""


class Message(Base):
    """One thing that happened; `payload` holds ids and nothing else. `position` is null until it is sequenced."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_topic_position", "topic", "position"),
        Index("ix_outbox_waiting", "id", sqlite_where=text("position IS NULL"), postgresql_where=text("position IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    position: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    topic: Mapped[str] = mapped_column(String(64))
    organization_id: Mapped[UUID]
    payload: Mapped[dict[str, Any]] = mapped_column(PortableJson)
    created_at: Mapped[datetime]


class ConsumerState(Base):
    """How far one consumer has come, and who may move it: `fence` rises with every change of hands."""

    __tablename__ = "outbox_consumer"

    consumer: Mapped[str] = mapped_column(String(64), primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger, default=0)
    lease_owner: Mapped[UUID | None]
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(BigInteger, default=0)


class Failure(Base):
    """One message that one consumer could not handle yet. After the last attempt it stays, and is alarmed."""

    __tablename__ = "outbox_failure"
    __table_args__ = (
        Index(
            "ix_outbox_failure_due",
            "next_attempt_at",
            sqlite_where=text("next_attempt_at IS NOT NULL"),
            postgresql_where=text("next_attempt_at IS NOT NULL"),
        ),
        Index("ix_outbox_failure_message", "message_id"),
    )

    consumer: Mapped[str] = mapped_column(String(64), primary_key=True)
    message_id: Mapped[UUID] = mapped_column(primary_key=True)
    attempts: Mapped[int]
    next_attempt_at: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(String(200))


Handler = Callable[[Transaction, Sequence[Message]], Awaitable[None]]


@dataclass(frozen=True)
class Consumer:
    """Who pulls which topics. `handle` works in the transaction it is given and may be called twice for a message."""

    name: str
    topics: frozenset[str]
    handle: Handler


class Fenced(Exception):
    """Another worker has taken over: what this one did is rolled back."""


_cause: ContextVar[str] = ContextVar("cause", default="")
_MOST_NAMED = 50


def receipts_of(messages: Sequence[Message]) -> list[str]:
    """The receipts that messages come from, as far as they know, each once."""
    return list(dict.fromkeys(one for message in messages for one in message.payload.get(RECEIPTS, "").split()))


def about(messages: Sequence[Message]) -> dict[str, list[str]]:
    """The same for the log; empty when they know of none."""
    named = receipts_of(messages)
    return {"receipts": named} if named else {}


@contextmanager
def because_of(receipt_ids: Iterable[str]) -> Iterator[None]:
    """What is published inside says that it comes from these receipts, so that the log can be followed to the timeline."""
    token = _cause.set(" ".join(list(dict.fromkeys(receipt_ids))[:_MOST_NAMED]))
    try:
        yield
    finally:
        _cause.reset(token)


async def publish(tx: Transaction, topic: str, organization_id: UUID, **payload: UUID | str | int) -> None:
    """Write a message in the act's own transaction. Payload values are ids and words, never personal data."""
    tx.add(Message(topic=topic, organization_id=organization_id, payload=_plain(payload), created_at=clock.now()))


async def publish_many(tx: Transaction, topic: str, said: Sequence[tuple[UUID, Mapping[str, UUID | str | int]]]) -> None:
    """Write the messages of a batch of acts, `(organization, payload)`, in their order, by one statement."""
    now = clock.now()
    rows = [
        {
            "id": uuid7(),
            "position": None,
            "topic": topic,
            "organization_id": organization_id,
            "payload": _plain(payload),
            "created_at": now,
        }
        for organization_id, payload in said
    ]
    await insert_rows(tx, Message, rows)


def _plain(payload: Mapping[str, UUID | str | int]) -> dict[str, str | int]:
    plain = {name: str(value) if isinstance(value, UUID) else value for name, value in payload.items()}
    if cause := _cause.get():
        plain.setdefault(RECEIPTS, cause)
    return plain


async def _ensure(tx: Transaction, name: str) -> None:
    await tx.execute(upsert(tx, ConsumerState).values(consumer=name, position=0, fence=0).on_conflict_do_nothing())


async def sequence(database: Database) -> int:
    """Give visible messages their positions, one sequencer at a time; returns how many got one."""
    async with database.begin() as tx:
        if not await anything_new(tx):
            return 0
        row = select(ConsumerState.position).where(ConsumerState.consumer == _SEQUENCER).with_for_update()
        base = (await tx.execute(row)).scalar_one_or_none()
        if base is None:
            await _ensure(tx, _SEQUENCER)
            base = (await tx.execute(row)).scalar_one()
        done: int = (await tx.execute(_NUMBER, {"base": base})).rowcount  # type: ignore[attr-defined]
        await tx.execute(update(ConsumerState).where(ConsumerState.consumer == _SEQUENCER).values(position=base + done))
        return done


_NUMBER = text(
    "UPDATE outbox SET position = :base + n.rank FROM (SELECT id, row_number() OVER (ORDER BY id) AS rank"
    " FROM outbox WHERE position IS NULL ORDER BY id LIMIT 5000) AS n WHERE n.id = outbox.id"
)
_NEW = text("SELECT 1 FROM outbox WHERE position IS NULL LIMIT 1")


async def anything_new(tx: Transaction) -> bool:
    """Whether any message has no position yet."""
    return (await tx.execute(_NEW)).first() is not None


async def behind(database: Database, consumers: Sequence[Consumer]) -> frozenset[str]:
    """The names of those that have something to do: one look that holds up nobody, instead of a turn for each."""
    async with database.begin(read_only=True) as tx:
        return await who_is_behind(tx, consumers)


async def who_is_behind(tx: Transaction, consumers: Sequence[Consumer]) -> frozenset[str]:
    """`behind`, in a transaction that is open already."""
    query = _behind(tuple((consumer.name, consumer.topics) for consumer in consumers))
    return frozenset((await tx.execute(query, {"now": clock.now()})).scalars())


@lru_cache(maxsize=64)
def _behind(consumers: tuple[tuple[str, frozenset[str]], ...]) -> Executable:
    """The question of `behind`; it is asked so often that building it anew each time would cost more than the answer."""
    waiting = [
        select(literal(name)).where(
            exists().where(
                Message.topic.in_(topics),
                Message.position
                > func.coalesce(select(ConsumerState.position).where(ConsumerState.consumer == name).scalar_subquery(), 0),
            )
        )
        for name, topics in consumers
    ]
    due = select(Failure.consumer).where(Failure.next_attempt_at <= bindparam("now", type_=Failure.next_attempt_at.type))
    return union(due, *waiting)


async def forget_handled(database: Database, consumers: Sequence[Consumer]) -> int:
    """Delete the messages that all who ask for them have handled a week ago or longer, a few thousand a transaction; how many.

    What somebody failed at stays until it is handled. A topic that nobody asks for is as good as handled.
    """
    total = 0
    for topic in await _topics(database):
        asking = [consumer.name for consumer in consumers if topic in consumer.topics]
        while forgotten := await _forget_some(database, topic, asking):
            total += forgotten
    return total


async def _topics(database: Database) -> Sequence[str]:
    async with database.begin(read_only=True) as tx:
        return (await tx.execute(select(Message.topic).distinct().order_by(Message.topic))).scalars().all()


async def _forget_some(database: Database, topic: str, asking: Sequence[str]) -> int:
    async with database.begin() as tx:
        where = ConsumerState.consumer.in_(asking or [_SEQUENCER])
        positions = (await tx.execute(select(ConsumerState.position).where(where))).scalars().all()
        if len(positions) < max(len(asking), 1):
            return 0
        failed = exists().where(Failure.message_id == Message.id)
        handled = (
            select(Message.id)
            .where(Message.topic == topic, Message.position <= min(positions), ~failed)
            .where(Message.created_at < clock.now() - KEPT_FOR)
            .order_by(Message.position)
            .limit(FORGOTTEN_AT_ONCE)
        )
        gone = delete(Message).where(Message.id.in_(handled)).execution_options(synchronize_session=False)
        forgotten: int = (await tx.execute(gone)).rowcount  # type: ignore[attr-defined]
        return forgotten


@lru_cache(maxsize=64)
def _next_of(topics: frozenset[str]) -> Executable:
    """The next messages of some topics by position. Each topic is read by its own index, however many others lie between."""
    most = bindparam("most", type_=Integer())
    each = [
        select(Message)
        .where(Message.topic == topic, Message.position > bindparam("here", type_=BigInteger()))
        .order_by(Message.position)
        .limit(most)
        .subquery()
        for topic in sorted(topics)
    ]
    found = aliased(Message, union_all(*(select(one) for one in each)).subquery())
    return select(found).order_by(found.position).limit(most)


async def oldest_waiting(tx: Transaction, consumers: Sequence[Consumer]) -> dict[str, datetime]:
    """Since when the oldest message waits that a consumer has not handled, for those that are behind. One cheap look each."""
    found: dict[str, datetime] = {}
    for consumer in consumers:
        here = select(ConsumerState.position).where(ConsumerState.consumer == consumer.name).scalar_subquery()
        for topic in sorted(consumer.topics):
            waiting = select(Message.created_at).where(Message.topic == topic, Message.position > func.coalesce(here, 0))
            since = (await tx.execute(waiting.order_by(Message.position).limit(1))).scalar_one_or_none()
            if since is not None:
                found[consumer.name] = min(since, found.get(consumer.name, since))
    return found


class Worker:
    """One worker's hold on one consumer. `run` handles one batch; call it until it returns 0."""

    def __init__(self, database: Database, consumer: Consumer) -> None:
        """The lease is taken at the first `run`."""
        self.consumer = consumer
        self._database = database
        self._owner = uuid7()
        self._fence: int | None = None
        self._lease_until: datetime | None = None
        self._known = False
        self._limit = BATCH

    async def run(self) -> int:
        """Handle the next messages, and those whose time to be tried again has come; returns how many it handled."""
        if not await self._hold():
            return 0
        try:
            done = await self._next_batch() + await self._retry_due()
        except Fenced:
            self._limit = max(1, self._limit // 4)  # a batch that takes longer than the lease would be fenced for ever
            metrics.LEASE_LOSSES.labels("outbox").inc()
            log.warning("another worker has taken over", consumer=self.consumer.name)
            self._lease_until = None
            return 0
        self._limit = min(BATCH, self._limit * 2)
        return done

    async def _hold(self) -> bool:
        now = clock.now()
        if self._lease_until is not None and now < self._lease_until - LEASE / 2:
            return True
        async with self._database.begin() as tx:
            if not self._known:
                await _ensure(tx, self.consumer.name)
            free = or_(
                ConsumerState.lease_until.is_(None),
                ConsumerState.lease_until <= now,
                ConsumerState.lease_owner == self._owner,
            )
            claim = (
                update(ConsumerState)
                .where(ConsumerState.consumer == self.consumer.name, free)
                .values(lease_owner=self._owner, lease_until=now + LEASE, fence=ConsumerState.fence + 1)
                .returning(ConsumerState.fence)
            )
            self._fence = (await tx.execute(claim)).scalar_one_or_none()
        self._known = True
        self._lease_until = now + LEASE if self._fence is not None else None
        return self._fence is not None

    async def _move(self, tx: Transaction, position: int) -> None:
        await self._set(tx, position=position)

    async def _still_ours(self, tx: Transaction) -> None:
        await self._set(tx, fence=self._fence)

    async def _set(self, tx: Transaction, **values: int | None) -> None:
        """Write the consumer's row and hold it until the end of the transaction. Raises Fenced when it is another's."""
        ours = (ConsumerState.consumer == self.consumer.name, ConsumerState.fence == self._fence)
        written = update(ConsumerState).where(*ours).values(**values).returning(ConsumerState.fence)
        if (await tx.execute(written)).scalar_one_or_none() is None:
            raise Fenced

    async def _messages(self, tx: Transaction, limit: int) -> Sequence[Message]:
        here = (await tx.execute(select(ConsumerState.position).where(ConsumerState.consumer == self.consumer.name))).scalar_one()
        query = _next_of(self.consumer.topics)
        return (await tx.execute(query, {"here": here, "most": limit})).scalars().all()

    async def _next_batch(self) -> int:
        try:
            return await self._handle(self._limit)
        except Fenced:
            raise
        except Exception as error:  # any handler's failure: find the one message that fails, spare its neighbours
            log.warning("batch failed, going one by one", consumer=self.consumer.name, error=type(error).__name__)
        return await self._one_by_one()

    async def _handle(self, limit: int) -> int:
        async with self._database.begin() as tx:
            messages = await self._messages(tx, limit)
            if messages:
                with bound_contextvars(consumer=self.consumer.name, **about(messages)):
                    await self.consumer.handle(tx, messages)
                await self._move(tx, messages[-1].position or 0)
        self._tell(messages)
        return len(messages)

    def _tell(self, messages: Sequence[Message]) -> None:
        """Say that these messages are handled, now that they are."""
        now = clock.now()
        for message in messages:
            metrics.lag(self.consumer.name, message.created_at, now)
        if messages:
            log.info("messages handled", consumer=self.consumer.name, messages=len(messages), **about(messages))

    async def _one_by_one(self) -> int:
        for handled in range(BATCH):
            try:
                if await self._handle(1) == 0:
                    return handled
            except Fenced:
                raise
            except Exception as error:  # set this one aside, whatever it was
                await self._set_aside(error)
        return BATCH

    async def _set_aside(self, error: Exception) -> None:
        async with self._database.begin() as tx:
            for message in await self._messages(tx, 1):
                log.error("message set aside", consumer=self.consumer.name, message=str(message.id), error=_what(error))
                tx.add(_failure(self.consumer.name, message.id, 1, error))
                await self._move(tx, message.position or 0)

    async def _retry_due(self) -> int:
        async with self._database.begin(read_only=True) as tx:
            due = select(Failure).where(Failure.consumer == self.consumer.name, Failure.next_attempt_at <= clock.now())
            failures = (await tx.execute(due.limit(BATCH))).scalars().all()
        for failure in failures:
            await self._retry(failure)
        return len(failures)

    async def _retry(self, failure: Failure) -> None:
        this = (Failure.consumer == failure.consumer, Failure.message_id == failure.message_id)
        try:
            async with self._database.begin() as tx:
                message = await tx.get_one(Message, failure.message_id)
                with bound_contextvars(consumer=self.consumer.name, **about([message])):
                    await self.consumer.handle(tx, [message])
                await tx.execute(delete(Failure).where(*this))
                await self._still_ours(tx)
            self._tell([message])
        except Fenced:
            raise
        except Exception as error:  # still failing: wait longer, in the end keep it and alarm
            log.error("message failed again", consumer=failure.consumer, attempts=failure.attempts, error=_what(error))
            again = _failure(failure.consumer, failure.message_id, failure.attempts + 1, error)
            async with self._database.begin() as tx:
                await self._still_ours(tx)
                await tx.merge(again)


async def wake_parked(tx: Transaction, organization_id: UUID) -> int:
    """Let every message of an organization that was given up be tried again, once; returns how many."""
    own = select(Message.id).where(Message.organization_id == organization_id)
    parked = update(Failure).where(Failure.next_attempt_at.is_(None), Failure.message_id.in_(own))
    woken: int = (await tx.execute(parked.values(next_attempt_at=clock.now()))).rowcount  # type: ignore[attr-defined]
    return woken


def _what(error: Exception) -> str:
    return type(error).__name__


def _failure(consumer: str, message_id: UUID, attempts: int, error: Exception) -> Failure:
    wait = timedelta(seconds=2**attempts) if attempts < LAST_ATTEMPT else None
    due = clock.now() + wait if wait else None
    return Failure(consumer=consumer, message_id=message_id, attempts=attempts, next_attempt_at=due, error=_what(error))
