"""All SQL of asking: who may ask which connection next, and how far it has come. A lease with a fence decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, case, delete, func, or_, select, update

from app.connections.models import Connection, Poll, PollSubject
from app.kit.database import Transaction, upsert

RETRIES = 3
"""So often a question about one person that failed is asked again soon; after that, with everybody's in the next round."""


class Fenced(Exception):
    """Somebody else asks now: what this holder did is rolled back."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to ask one connection until `until`, as long as nobody has a later `fence`.

    `inherited`: whoever had it before let it run out, and so did not say when its last question left.
    """

    connection_id: UUID
    owner: UUID
    fence: int
    until: datetime
    inherited: bool = False


def _may_be_asked(now: datetime) -> Select[UUID]:
    """The connections that are due, rested, and asked by nobody."""
    rested = or_(Poll.waits_until.is_(None), Poll.waits_until <= now)
    is_due = or_(Poll.poll_due_at <= now, Poll.look_ups_due_at <= now)
    return _live().where(_free(now), rested, is_due)


def _live() -> Select[UUID]:
    """The connections that are neither paused nor closed."""
    live = and_(Connection.id == Poll.connection_id, Connection.closed_at.is_(None), Connection.paused_at.is_(None))
    return select(Poll.connection_id).join(Connection, live)


def _free(now: datetime) -> ColumnElement[bool]:
    return or_(Poll.lease_until.is_(None), Poll.lease_until <= now)


async def anything_due(tx: Transaction, now: datetime) -> bool:
    """Whether `claim` would find something: a look that holds up nobody."""
    return (await tx.execute(_may_be_asked(now).limit(1))).first() is not None


async def claim(tx: Transaction, owner: UUID, now: datetime, until: datetime, only: UUID | None = None) -> Turn | None:
    """Take a due connection that nobody asks, of these the one that was asked the longest ago; `only`: this one, due or not.

    None: nothing. So whoever always has something due, and more of it than one turn takes, leaves the others their turns.
    """
    query = _may_be_asked(now) if only is None else _live().where(Poll.connection_id == only, _free(now))
    earliest = case((Poll.poll_due_at <= now, Poll.poll_due_at), else_=Poll.look_ups_due_at)
    one = query.add_columns(Poll.lease_owner).order_by(Poll.last_attempt_at.asc().nulls_first(), earliest, Poll.connection_id)
    found = (await tx.execute(one.limit(1).with_for_update(skip_locked=True, of=Poll))).first()
    if found is None:
        return None
    taken = update(Poll).where(Poll.connection_id == found[0]).returning(Poll.fence)
    taken = taken.values(lease_owner=owner, lease_until=until, fence=Poll.fence + 1)
    fence = (await tx.execute(taken.execution_options(synchronize_session=False))).scalar_one()
    return Turn(found[0], owner, fence, until, inherited=found[1] is not None)


async def end_turn(tx: Transaction, connection_id: UUID) -> None:
    """Let whoever asks just now ask no further: the next turn asks only about those who agree then."""
    ended = update(Poll).where(Poll.connection_id == connection_id, Poll.lease_owner.is_not(None))
    ended = ended.values(fence=Poll.fence + 1, lease_owner=None, lease_until=None)
    await tx.execute(ended.execution_options(synchronize_session=False))


async def is_held(tx: Transaction, turn: Turn) -> bool:
    """Whether the turn is still ours."""
    ours = (Poll.connection_id == turn.connection_id, Poll.fence == turn.fence, Poll.lease_owner == turn.owner)
    return (await tx.execute(select(Poll.connection_id).where(*ours))).first() is not None


async def write(tx: Transaction, turn: Turn, **values: Any) -> None:
    """Write the connection's row and hold it to the end of the transaction. Raises Fenced when it is somebody else's."""
    ours = (Poll.connection_id == turn.connection_id, Poll.fence == turn.fence, Poll.lease_owner == turn.owner)
    written = update(Poll).where(*ours).values(fence=turn.fence, **values).returning(Poll.connection_id)
    if (await tx.execute(written.execution_options(synchronize_session=False))).first() is None:
        raise Fenced


async def poll_of(tx: Transaction, connection_id: UUID) -> Poll | None:
    """How far one connection has been asked; None for one that is only sent to."""
    return await tx.get(Poll, connection_id, populate_existing=True)


async def polls_of(tx: Transaction, organization_id: UUID) -> Mapping[UUID, Poll]:
    """How far each connection of an organization has been asked."""
    query = select(Poll).where(Poll.organization_id == organization_id)
    return {row.connection_id: row for row in (await tx.execute(query)).scalars()}


async def look_ups_due(tx: Transaction, connection_id: UUID, at: datetime) -> None:
    """Let somebody look things up, at `at` or earlier."""
    sooner = or_(Poll.look_ups_due_at.is_(None), Poll.look_ups_due_at > at)
    due = update(Poll).where(Poll.connection_id == connection_id, sooner).values(look_ups_due_at=at)
    await tx.execute(due.execution_options(synchronize_session=False))


async def ask_now(tx: Transaction, connection_id: UUID, now: datetime, *, sweep: bool = False) -> None:
    """Let a connection be asked at once, whatever it waits for; `sweep`: from the beginning."""
    begun = {"round_kind": None, "round_due_at": None}
    values = {"poll_due_at": now, "waits_until": None, **begun, **({"sweep_due_at": now} if sweep else {})}
    await tx.execute(update(Poll).where(Poll.connection_id == connection_id).values(**values))


async def subjects(tx: Transaction, connection_id: UUID) -> dict[bytes, PollSubject]:
    """How far each reference has been asked about, by its blind index."""
    query = select(PollSubject).where(PollSubject.connection_id == connection_id)
    return {row.reference_index: row for row in (await tx.execute(query)).scalars()}


async def move_subject(tx: Transaction, connection_id: UUID, reference_index: bytes, cursor: str | None, now: datetime) -> None:
    """Note that somebody was asked about, and how far; a cursor of None leaves the one before."""
    values = {"connection_id": connection_id, "reference_index": reference_index, "cursor": cursor, "asked_at": now}
    new = upsert(tx, PollSubject).values(**values)
    kept = {"asked_at": now, **({"cursor": cursor} if cursor is not None else {})}
    await tx.execute(new.on_conflict_do_update(index_elements=["connection_id", "reference_index"], set_=kept))


async def end_subject(tx: Transaction, connection_id: UUID, reference_index: bytes, number: int) -> None:
    """Note that all was answered about somebody in a round."""
    here = (PollSubject.connection_id == connection_id, PollSubject.reference_index == reference_index)
    await tx.execute(update(PollSubject).where(*here).values(round=number, failures=0))


async def mend_subjects(tx: Transaction, connection_id: UUID, reference_indexes: Sequence[bytes]) -> None:
    """Note of some people that nothing about them fails any more."""
    here = (PollSubject.connection_id == connection_id, PollSubject.reference_index.in_(reference_indexes))
    await tx.execute(update(PollSubject).where(*here).values(failures=0))


async def miss_subject(
    tx: Transaction,
    connection_id: UUID,
    reference_index: bytes,
    number: int,
    now: datetime,
    *,
    lasting: bool,
    anew: bool,
) -> None:
    """Note that the question about somebody failed in a round.

    `lasting`: to ask again soon will not mend it. `anew`: in a sweep; what it did not bring is asked for from the beginning.
    """
    least = RETRIES + 1 if lasting else 1
    values = {"connection_id": connection_id, "reference_index": reference_index, "asked_at": now, "round": number}
    more = case((PollSubject.failures >= least, PollSubject.failures + 1), else_=least)
    kept = {"asked_at": now, "round": number, "failures": more, **({"cursor": None} if anew else {})}
    new = upsert(tx, PollSubject).values(**values, failures=least)
    await tx.execute(new.on_conflict_do_update(index_elements=["connection_id", "reference_index"], set_=kept))


async def failing(tx: Transaction, connection_id: UUID, number: int) -> dict[bytes, int]:
    """Whose questions failed in a round, and how often in a row by now."""
    query = select(PollSubject.reference_index, PollSubject.failures).where(
        PollSubject.connection_id == connection_id, PollSubject.round == number, PollSubject.failures > 0
    )
    return {row[0]: row[1] for row in (await tx.execute(query)).all()}


async def failing_of(tx: Transaction, organization_id: UUID) -> dict[UUID, tuple[int, int]]:
    """By connection: of how many people the last answer is missing, and of how many it will be for long."""
    lately = (Poll.connection_id == PollSubject.connection_id) & (PollSubject.round >= Poll.round - 1)
    lasting = func.sum(case((PollSubject.failures > RETRIES, 1), else_=0))
    query = select(PollSubject.connection_id, func.count(), lasting).join(Poll, lately)
    query = query.where(Poll.organization_id == organization_id, PollSubject.failures > 0)
    return {row[0]: (row[1], int(row[2])) for row in (await tx.execute(query.group_by(PollSubject.connection_id))).all()}


async def forget_subjects(tx: Transaction, connection_id: UUID, reference_indexes: Sequence[bytes]) -> None:
    """Forget how far some people were asked about."""
    gone = delete(PollSubject).where(PollSubject.connection_id == connection_id)
    await tx.execute(gone.where(PollSubject.reference_index.in_(reference_indexes)))
