"""The outbox: an act writes a message in its own transaction; the rooms that care pull with a cursor of their own.

A message gets its position from the one sequencer, after it is visible, so that a cursor never steps over a message whose
transaction was still open. A consumer holds a lease with a fence: a holder that slept past its lease commits nothing.
A message that cannot be handled is set aside with a time to try again, and never holds up the ones behind it.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Exists,
    Index,
    Select,
    String,
    bindparam,
    delete,
    exists,
    func,
    literal,
    literal_column,
    select,
    text,
    tuple_,
    union,
    union_all,
    update,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.kit import clock
from app.kit.database import Base, Database, PortableJson, Transaction, upsert
from app.kit.ids import uuid7, written
from app.kit.rows import insert_rows

log = structlog.get_logger(__name__)

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


class Heard(NamedTuple):
    """A message as its consumers get it, named as in the table."""

    id: UUID
    position: int | None
    topic: str
    organization_id: UUID
    payload: dict[str, Any]
    created_at: datetime


Handler = Callable[[Transaction, Sequence[Heard]], Awaitable[None]]


@dataclass(frozen=True)
class Consumer:
    """Who pulls which topics. `handle` works in the transaction it is given and may be called twice for a message."""

    name: str
    topics: frozenset[str]
    handle: Handler


_MOST_NAMED = 50


def receipts_of(messages: Sequence[Heard]) -> list[str]:
    """The receipts that messages come from, as far as they know, each once."""
    return list(dict.fromkeys(one for message in messages for one in message.payload.get(RECEIPTS, "").split()))


def about(messages: Sequence[Heard]) -> dict[str, list[str]]:
    """The same for the log; empty when they know of none."""
    named = receipts_of(messages)
    return {"receipts": named} if named else {}


def because_of(receipt_ids: Iterable[str]) -> dict[str, str]:
    """What a payload says of the receipts that it comes from, so that the log can be followed to the timeline."""
    named = list(dict.fromkeys(receipt_ids))[:_MOST_NAMED]
    return {RECEIPTS: " ".join(named)} if named else {}


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
    return {name: written(value) if isinstance(value, UUID) else value for name, value in payload.items()}


async def ensure(tx: Transaction, name: str) -> None:
    """Let there be a row for a consumer."""
    await tx.execute(upsert(tx, ConsumerState).values(consumer=name, position=0, fence=0).on_conflict_do_nothing())


async def sequence(database: Database) -> int:
    """Give visible messages their positions, one sequencer at a time; returns how many got one."""
    async with database.begin() as tx:
        row = select(ConsumerState.position).where(ConsumerState.consumer == _SEQUENCER).with_for_update()
        base = (await tx.execute(row)).scalar_one_or_none()
        if base is None:
            await ensure(tx, _SEQUENCER)
            base = (await tx.execute(row)).scalar_one()
        done: int = (await tx.execute(_NUMBER, {"base": base})).rowcount  # type: ignore[attr-defined]
        if done:
            await tx.execute(update(ConsumerState).where(ConsumerState.consumer == _SEQUENCER).values(position=base + done))
        return done


_NUMBER = text(
    "UPDATE outbox SET position = :base + n.rank FROM (SELECT id, row_number() OVER (ORDER BY id) AS rank"
    " FROM outbox WHERE position IS NULL ORDER BY id LIMIT 5000) AS n WHERE n.id = outbox.id"
)
UNPLACED = select(Message.id).where(Message.position.is_(None)).exists()
"""Whether any message has no position yet."""


async def behind(
    database: Database, consumers: Sequence[Consumer], others: Mapping[str, Exists] = MappingProxyType({})
) -> frozenset[str]:
    """The names of those that have something to do: one look that holds up nobody, instead of a turn for each.

    `others`: who else is asked for, and whether they have; as long as the process lives, since the question is made once.
    """
    query = _behind(tuple((consumer.name, consumer.topics) for consumer in consumers), tuple(others.items()))
    return frozenset(row[0] for row in await database.single(query, now=clock.now()))


def beyond(topic: Any, position: Any) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Messages of one topic after a position. As it is put here no index but the topic's own finds them, and from there on.

    With `topic = .. AND position > ..` the planner may take the index of all positions, and read what a week brought to others.
    """
    place = tuple_(Message.topic, Message.position)
    return place > tuple_(topic, position), place <= tuple_(topic, literal(_LAST, BigInteger))


_LAST = 2**63 - 1
_ONE: Any = literal_column("1")
"""As a value of a plan for all values it would be unknown, and taken for a tenth of the table."""


@lru_cache(maxsize=64)
def _behind(consumers: tuple[tuple[str, frozenset[str]], ...], others: tuple[tuple[str, Exists], ...]) -> CompoundSelect[str]:
    """The question of `behind`; it is asked so often that building it anew each time would cost more than the answer."""
    asked = [(name, topic) for name, topics in consumers for topic in sorted(topics)]
    asking = union_all(*(select(literal(name).label("name"), literal(topic).label("topic")) for name, topic in asked)).subquery()
    next_one = select(Message.position).where(*beyond(asking.c.topic, func.coalesce(ConsumerState.position, 0))).limit(_ONE)
    waits = next_one.correlate(asking, ConsumerState).scalar_subquery().is_not(None)
    waiting = select(asking.c.name).outerjoin(ConsumerState, ConsumerState.consumer == asking.c.name).where(waits)
    due = select(Failure.consumer).where(Failure.next_attempt_at <= bindparam("now", type_=Failure.next_attempt_at.type))
    return union(due, waiting, *(select(literal(name)).where(there) for name, there in others))


async def forget_handled(
    database: Database, consumers: Sequence[Consumer], noted: Callable[[Transaction, int], None] | None = None
) -> int:
    """Delete the messages that all who ask for them have handled a week ago or longer, a few thousand a transaction; how many.

    What somebody failed at stays until it is handled. A topic that nobody asks for is as good as handled. `noted` writes down,
    in the same transaction, how many were deleted.
    """
    total = 0
    for topic in await _topics(database):
        asking = [consumer.name for consumer in consumers if topic in consumer.topics]
        while forgotten := await _forget_some(database, topic, asking, noted):
            total += forgotten
    return total


async def _topics(database: Database) -> Sequence[str]:
    async with database.begin(read_only=True) as tx:
        return (await tx.execute(select(Message.topic).distinct().order_by(Message.topic))).scalars().all()


async def _forget_some(
    database: Database, topic: str, asking: Sequence[str], noted: Callable[[Transaction, int], None] | None
) -> int:
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
        if forgotten and noted is not None:
            noted(tx, forgotten)
        return forgotten


def _oldest(topic: str, here: Any) -> Select[datetime]:
    waiting = select(Message.created_at).where(*beyond(topic, func.coalesce(here, 0)))
    return waiting.order_by(Message.topic, Message.position).limit(1)


async def oldest_waiting(tx: Transaction, consumers: Sequence[Consumer]) -> dict[str, datetime]:
    """Since when the oldest message waits that a consumer has not handled, for those that are behind. One cheap look each."""
    found: dict[str, datetime] = {}
    for consumer in consumers:
        here = select(ConsumerState.position).where(ConsumerState.consumer == consumer.name).scalar_subquery()
        for topic in sorted(consumer.topics):
            since = (await tx.execute(_oldest(topic, here))).scalar_one_or_none()
            if since is not None:
                found[consumer.name] = min(since, found.get(consumer.name, since))
    return found


async def wake_parked(tx: Transaction, organization_id: UUID) -> int:
    """Let every message of an organization that was given up be tried again, once; returns how many."""
    own = select(Message.id).where(Message.organization_id == organization_id)
    parked = update(Failure).where(Failure.next_attempt_at.is_(None), Failure.message_id.in_(own))
    woken: int = (await tx.execute(parked.values(next_attempt_at=clock.now()))).rowcount  # type: ignore[attr-defined]
    return woken
