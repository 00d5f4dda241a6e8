"""Letters: what is to be told outside the house, by mail or to a webhook. Nothing is sent inside a transaction.

An act posts a letter in its own transaction; the row holds a kind and ids, never an address or a text. A postman takes a few
under a lease, opens what they need, commits, sends, and writes down how it went. A letter of a kind that is sent at most once
is never sent again when an attempt ended without anybody knowing how; one of the other kinds is.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Index, String, UniqueConstraint, func, or_, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from app.kit import clock
from app.kit.database import Base, Database, PortableJson, Transaction, upsert
from app.kit.ids import uuid7
from app.kit.rows import among, insert_rows

log = structlog.get_logger(__name__)

AT_ONCE = 8
LONGEST_SENDING = timedelta(seconds=60)
LEASE = timedelta(minutes=5)
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(hours=1)
STUCK_AFTER = 5
STUCK_FOR = timedelta(minutes=10)
"""After so many attempts, or so long after it was due, a letter that still waits is a sign that none go out."""


class LetterState(StrEnum):
    """How far a letter has come. DROPPED: there is nobody to tell. UNSURE: begun, and nobody knows whether it arrived.

    GIVEN_UP: refused for good, or not sent for as long as its kind is good for.
    """

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    DROPPED = "dropped"
    UNSURE = "unsure"
    GIVEN_UP = "given_up"


class Letter(Base):
    """One letter: `kind` to `recipient` (an account; nil for a webhook) about one thing, once.

    `due_at`: when it is to be sent; while it is being sent, the end of the lease; None when it has ended. `attempts` is the
    fence: who sent the nth time may write down only how the nth time went.
    """

    __tablename__ = "letter"
    __table_args__ = (
        UniqueConstraint("kind", "recipient", "about"),
        Index("ix_letter_due", "due_at", sqlite_where=text("due_at IS NOT NULL"), postgresql_where=text("due_at IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    organization_id: Mapped[UUID] = mapped_column(index=True)
    kind: Mapped[str] = mapped_column(String(40))
    recipient: Mapped[UUID]
    about: Mapped[str] = mapped_column(String(80))
    payload: Mapped[dict[str, Any]] = mapped_column(PortableJson)
    state: Mapped[str] = mapped_column(String(20))
    due_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str | None] = mapped_column(String(80))
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class NotSent(Exception):
    """It surely did not arrive: it may be sent again."""


class Refused(NotSent):
    """It surely did not arrive, and never will."""


@dataclass(frozen=True)
class Dropped:
    """There is nothing to send, and why."""

    reason: str


Send = Callable[[], Awaitable[None]]
"""Sends one letter. Raises NotSent; after any other error nobody knows whether it arrived."""


@dataclass(frozen=True)
class Kind:
    """One kind of letter. `write` opens the address and says what to send, in a short transaction; NotSent: not now.

    `good_for`: how long after it was posted it is still worth sending. `ready`: whether there is anything to send it by; until
    there is, such letters wait.
    """

    name: str
    write: Callable[[Transaction, Letter], Awaitable[Send | Dropped]]
    good_for: timedelta
    at_most_once: bool = False
    ready: bool = True


async def post(
    tx: Transaction,
    kind: str,
    organization_id: UUID,
    recipient: UUID,
    about: str,
    payload: Mapping[str, UUID | str],
    *,
    after: timedelta = timedelta(),
) -> UUID | None:
    """Post a letter in the act's own transaction; None when this was posted before. Payload values are ids and words."""
    now = clock.now()
    values = {
        "id": uuid7(),
        "organization_id": organization_id,
        "kind": kind,
        "recipient": recipient,
        "about": about,
        "payload": {name: str(value) for name, value in payload.items()},
        "state": LetterState.WAITING,
        "due_at": now + after,
        "attempts": 0,
        "created_at": now,
    }
    posted = upsert(tx, Letter).values(**values).on_conflict_do_nothing(index_elements=["kind", "recipient", "about"])
    return (await tx.execute(posted.returning(Letter.id))).scalar_one_or_none()


async def on_their_way(tx: Transaction, kind: str, recipient: UUID) -> Sequence[Letter]:
    """The letters of one kind to somebody that have not ended."""
    query = select(Letter).where(Letter.kind == kind, Letter.recipient == recipient, Letter.due_at.is_not(None))
    return (await tx.execute(query.order_by(Letter.id))).scalars().all()


async def hurry(tx: Transaction, letter_ids: Collection[UUID]) -> None:
    """Let letters that wait for their next attempt be tried now; one that is being sent at this moment is left alone."""
    waiting = update(Letter).where(Letter.id.in_(letter_ids), Letter.state == LetterState.WAITING)
    await tx.execute(waiting.values(due_at=clock.now()))


async def post_all(tx: Transaction, kind: str, posted: Sequence[tuple[UUID, UUID, str]]) -> dict[str, UUID]:
    """`post` for many letters of a kind without a payload, `(organization, recipient, about)`, due now: their ids by `about`.

    What was posted before is left out.
    """
    now = clock.now()
    rows = [
        {
            "id": uuid7(),
            "organization_id": organization_id,
            "kind": kind,
            "recipient": recipient,
            "about": about,
            "payload": {},
            "state": LetterState.WAITING,
            "due_at": now,
            "attempts": 0,
            "created_at": now,
        }
        for organization_id, recipient, about in posted
    ]
    await insert_rows(tx, Letter, rows, unless_there=True)
    there = select(Letter.id, Letter.about).where(among(tx, Letter.id, [row["id"] for row in rows]))
    return {row[1]: row[0] for row in (await tx.execute(there)).all()} if rows else {}


async def stuck(tx: Transaction, organization_id: UUID) -> int:
    """How many of an organization's letters wait after many attempts, or have long been due and nobody takes them."""
    overdue = or_(Letter.attempts >= STUCK_AFTER, Letter.due_at <= clock.now() - STUCK_FOR)
    waiting = (Letter.due_at.is_not(None), overdue, Letter.organization_id == organization_id)
    return (await tx.execute(select(func.count()).select_from(Letter).where(*waiting))).scalar_one()


def back_off(attempts: int) -> timedelta:
    """How long a letter rests after its nth attempt."""
    doubled: timedelta = FIRST_WAIT * 2 ** min(attempts - 1, 20)
    return min(LONGEST_WAIT, doubled)


class Postman:
    """Sends what is due. Any number of them, in any process, may work at once."""

    def __init__(self, database: Database, kinds: Sequence[Kind]) -> None:
        """`kinds`: what this process knows how to write and can send; letters of others are left alone."""
        self._database = database
        self._kinds = {kind.name: kind for kind in kinds if kind.ready}

    async def run(self) -> int:
        """Send a few of the letters that are due, at once; how many were looked at. Call it until it returns 0."""
        async with self._database.begin(read_only=True) as tx:
            if (await tx.execute(select(Letter.id).where(*self._due()).limit(1))).first() is None:
                return 0
        async with self._database.begin() as tx:
            query = select(Letter).where(*self._due()).order_by(Letter.due_at, Letter.id).limit(AT_ONCE)
            letters = (await tx.execute(query.with_for_update(skip_locked=True))).scalars().all()
            written = [(letter, await self._begin(tx, letter)) for letter in letters]
        await asyncio.gather(*(self._send(letter, send) for letter, send in written if send is not None))
        return len(letters)

    def _due(self) -> tuple[Any, ...]:
        return (Letter.due_at <= clock.now(), Letter.kind.in_(self._kinds))

    async def _begin(self, tx: Transaction, letter: Letter) -> Send | None:
        """Begin an attempt, so that it is on record before anything leaves; None where nothing is to be sent now."""
        kind, now = self._kinds[letter.kind], clock.now()
        if letter.state == LetterState.SENDING and kind.at_most_once:
            await _end(tx, letter, letter.attempts, LetterState.UNSURE, "the process ended while it was sent")
            return None
        if now - letter.created_at > kind.good_for:
            await _end(tx, letter, letter.attempts, LetterState.GIVEN_UP, letter.reason or "too old")
            return None
        begun = {"state": LetterState.SENDING, "attempts": letter.attempts + 1, "due_at": now + LEASE}
        await _write(tx, letter, letter.attempts, **begun)
        try:
            async with tx.begin_nested():
                written = await kind.write(tx, letter)
        except Exception as error:  # one letter that cannot be written must not hold up the others
            await _later(tx, letter, error)
            return None
        if isinstance(written, Dropped):
            await _end(tx, letter, letter.attempts + 1, LetterState.DROPPED, written.reason)
            return None
        return written

    async def _send(self, letter: Letter, send: Send) -> None:
        failure: Exception | None = None
        try:
            async with asyncio.timeout(LONGEST_SENDING.total_seconds()):
                await send()
        except Exception as error:  # whatever a mail server or a webhook does decides about this one letter only
            failure = error
        unsure = failure is not None and not isinstance(failure, NotSent)
        async with self._database.begin() as tx:
            if failure is None:
                await _end(tx, letter, letter.attempts + 1, LetterState.SENT, None)
            elif isinstance(failure, Refused):
                await _end(tx, letter, letter.attempts + 1, LetterState.GIVEN_UP, "the address is refused")
            elif unsure and self._kinds[letter.kind].at_most_once:
                await _end(tx, letter, letter.attempts + 1, LetterState.UNSURE, type(failure).__name__)
            else:
                await _later(tx, letter, failure)


async def _write(tx: Transaction, letter: Letter, attempt: int, **values: Any) -> None:
    """Write a letter's row, unless somebody else has begun another attempt meanwhile."""
    ours = (Letter.id == letter.id, Letter.attempts == attempt, Letter.due_at.is_not(None))
    await tx.execute(update(Letter).where(*ours).values(**values).execution_options(synchronize_session=False))


async def _end(tx: Transaction, letter: Letter, attempt: int, state: LetterState, reason: str | None) -> None:
    if state in (LetterState.UNSURE, LetterState.GIVEN_UP):
        log.warning("letter not sent", letter=str(letter.id), kind=letter.kind, state=state, reason=reason)
    await _write(tx, letter, attempt, state=state, due_at=None, reason=reason, ended_at=clock.now())


async def _later(tx: Transaction, letter: Letter, error: Exception) -> None:
    attempts, what = letter.attempts + 1, type(error).__name__
    log.warning("letter waits", letter=str(letter.id), kind=letter.kind, attempts=attempts, error=what)
    due = clock.now() + back_off(attempts)
    await _write(tx, letter, attempts, state=LetterState.WAITING, due_at=due, reason=what)
