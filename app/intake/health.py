"""How each connection is doing: when it last worked, what is due, what went wrong, and whether it has fallen silent."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from app.connections import polls
from app.connections import repository as connections
from app.connections.models import Connection, Poll, PollState
from app.intake import looking_up, measures
from app.kit import clock
from app.kit.database import Transaction
from connectors.contract import Connector
from connectors.registry import registry

LOOKS_BACK = timedelta(days=7)
NOT_FOUND_AFTER = len(looking_up.AGAIN_AFTER) + 2
"""Empty answers about a notice that proves itself, after which a person is told: about seven hours."""

UNKNOWN_TYPE = "unknown event type"
"""The reason that `intake.understanding` gives for an event type that its connector does not declare."""


class HealthState(StrEnum):
    """One word for a connection. Closed and paused come first, then a failure, then silence, then what is only missing in part.

    NEVER: nothing came in yet.
    """

    CLOSED = "closed"
    PAUSED = "paused"
    CREDENTIALS = "credentials"
    UNREACHABLE = "unreachable"
    UNEXPECTED = "unexpected"
    NOT_ALLOWED = "not_allowed"
    FAILED = "failed"
    SILENT = "silent"
    PARTLY = "partly"
    NEVER = "never"
    OK = "ok"


@dataclass(frozen=True, slots=True)
class ConnectionHealth:
    """One connection at the moment `at`. Counts of events and of what was set aside are those of the last seven days.

    `last_success_at`: the last good answer of a provider that is asked, else `last_receipt_at`, the last authentic delivery.
    `pushed_today`: it was sent something authentic since midnight, UTC; what we fetched ourselves does not count.
    `overdue`: how long the oldest thing that should be done by now has waited. `deadline`: when it falls silent; None: never.
    `error`: for people, without address or secret. `people_failing`: about how many the last question had no answer, and
    about how many it will not have one soon.
    """

    connection_id: UUID
    title: str
    connector: str
    state: HealthState
    at: datetime
    last_success_at: datetime | None
    last_receipt_at: datetime | None
    next_due_at: datetime | None
    waits_until: datetime | None
    overdue: timedelta
    failures: int
    error: str | None
    events: int
    quarantined: int
    unknown_types: int
    set_aside: int
    unhandled: int
    oldest_unhandled_at: datetime | None
    refused_today: int
    pushed_today: bool
    look_ups_waiting: int
    look_ups_unknown: int
    look_ups_not_found: int
    look_ups_nobodys: int
    nobodys_since: datetime | None
    look_ups_failing: int
    people_failing: int
    people_failing_long: int
    made_up: bool
    fresh_within: timedelta | None
    deadline: datetime | None

    @property
    def silent(self) -> bool:
        """Whether nothing good has come for longer than it may take."""
        return self.deadline is not None and self.at >= self.deadline

    @property
    def quarantined_share(self) -> float | None:
        """Which part of the events is in quarantine, 0 to 1; None without events."""
        return self.quarantined / self.events if self.events else None


@dataclass(frozen=True, slots=True)
class _Times:
    """When one connection last worked, and until when it has to work again."""

    success: datetime | None
    receipt: datetime | None
    fresh: timedelta | None
    deadline: datetime | None


def fresh_within(connection: Connection, connector: Connector | None) -> timedelta | None:
    """How long a connection may bring nothing: its own setting, else its connector's poll or webhook plan, else for ever."""
    if connection.fresh_hours is not None:
        return timedelta(hours=connection.fresh_hours)
    if connector is None:
        return None
    if connector.poll is not None:
        return connector.poll.freshness
    return connector.webhook.fresh_within if connector.webhook is not None else None


def _times(connection: Connection, connector: Connector | None, poll: Poll | None, receipt: datetime | None) -> _Times:
    polled = connector is not None and connector.poll is not None
    success = poll.last_success_at if polled and poll is not None else receipt
    if connection.closed_at is not None or connection.paused_at is not None:
        return _Times(success, receipt, None, None)
    fresh = fresh_within(connection, connector)
    return _Times(success, receipt, fresh, (success or connection.created_at) + fresh if fresh else None)


def state_of(connection: Connection, poll: Poll | None, *, silent: bool, worked: bool, partly: bool) -> HealthState:
    """The one word for a connection. `worked`: it ever brought anything. `partly`: some of what was asked had no answer."""
    if connection.closed_at is not None:
        return HealthState.CLOSED
    if connection.paused_at is not None:
        return HealthState.PAUSED
    if poll is not None and poll.state not in (PollState.OK, PollState.NEVER):
        return HealthState(poll.state)
    if silent:
        return HealthState.SILENT
    if partly:
        return HealthState.PARTLY
    return HealthState.OK if worked else HealthState.NEVER


def _next_due(connection: Connection, poll: Poll | None) -> datetime | None:
    """When the provider is asked next, the breaker considered."""
    if poll is None or connection.closed_at is not None or connection.paused_at is not None:
        return None
    due = min((moment for moment in (poll.poll_due_at, poll.look_ups_due_at) if moment is not None), default=None)
    return max(due, poll.waits_until) if due is not None and poll.waits_until is not None else due


def _overdue(connection: Connection, poll: Poll | None, oldest: datetime | None, now: datetime) -> timedelta:
    asked = poll is not None and connection.closed_at is None and connection.paused_at is None
    due = [poll.poll_due_at, poll.look_ups_due_at] if poll is not None and asked else []
    since = min((moment for moment in (*due, oldest) if moment is not None), default=now)
    return max(timedelta(), now - since)


def _made_up(poll: Poll | None, now: datetime) -> bool:
    """Whether look-ups of unproven notices rest because too many came back empty, as the poller decides it."""
    if poll is None or poll.misses_since is None or poll.misses_since <= now - looking_up.MISSES_WITHIN:
        return False
    return poll.misses >= looking_up.MOST_MISSES


@dataclass(frozen=True, slots=True)
class _Signs:
    """What was measured of all connections of an organization, each by connection."""

    at: datetime
    polls: Mapping[UUID, Poll]
    received: Mapping[UUID, datetime]
    unhandled: Mapping[UUID, tuple[int, datetime]]
    set_aside: Mapping[UUID, int]
    events: Mapping[UUID, int]
    quarantined: Mapping[UUID, Mapping[str, int]]
    refused: Mapping[UUID, int]
    pushed: Set[UUID]
    look_ups: Mapping[UUID, measures.LookUps]
    failing: Mapping[UUID, tuple[int, int]]


async def health_of(tx: Transaction, organization_id: UUID) -> list[ConnectionHealth]:
    """Every connection of an organization, oldest first; closed ones too. A fixed number of queries, all of them reads."""
    rows = await connections.connections_of(tx, organization_id)
    now, ids = clock.now(), [row.id for row in rows]
    signs = _Signs(
        at=now,
        polls=await polls.polls_of(tx, organization_id),
        received=await measures.last_received(tx, ids),
        unhandled=await measures.unhandled(tx, ids),
        set_aside=await measures.set_aside(tx, organization_id, now - LOOKS_BACK),
        events=await measures.events(tx, ids, now - LOOKS_BACK),
        quarantined=await measures.quarantined(tx, organization_id, now - LOOKS_BACK),
        refused=await measures.refused(tx, ids, now.date()),
        pushed=await measures.pushed(tx, ids, now.replace(hour=0, minute=0, second=0, microsecond=0)),
        failing=await polls.failing_of(tx, organization_id),
        look_ups=await measures.look_ups(tx, organization_id, NOT_FOUND_AFTER),
    )
    return [_health(row, signs) for row in rows]


def _health(row: Connection, signs: _Signs) -> ConnectionHealth:
    poll, now = signs.polls.get(row.id), signs.at
    times = _times(row, registry().get(row.connector), poll, signs.received.get(row.id))
    silent = times.deadline is not None and now >= times.deadline
    reasons, looked = signs.quarantined.get(row.id, {}), signs.look_ups.get(row.id, measures.LookUps())
    failing, long = signs.failing.get(row.id, (0, 0))
    unhandled, oldest = signs.unhandled.get(row.id, (0, None))
    return ConnectionHealth(
        connection_id=row.id,
        title=row.title,
        connector=row.connector,
        state=state_of(row, poll, silent=silent, worked=times.success is not None, partly=bool(failing or looked.failing)),
        at=now,
        last_success_at=times.success,
        last_receipt_at=times.receipt,
        next_due_at=_next_due(row, poll),
        waits_until=poll.waits_until if poll else None,
        overdue=_overdue(row, poll, oldest, now),
        failures=poll.failures if poll else 0,
        error=poll.error if poll else None,
        events=signs.events.get(row.id, 0),
        quarantined=sum(reasons.values()),
        unknown_types=reasons.get(UNKNOWN_TYPE, 0),
        set_aside=signs.set_aside.get(row.id, 0),
        unhandled=unhandled,
        oldest_unhandled_at=oldest,
        refused_today=signs.refused.get(row.id, 0),
        pushed_today=row.id in signs.pushed,
        look_ups_waiting=looked.waiting,
        look_ups_unknown=looked.unknown,
        look_ups_not_found=looked.not_found,
        look_ups_nobodys=looked.nobodys,
        nobodys_since=looked.nobodys_since,
        look_ups_failing=looked.failing,
        people_failing=failing,
        people_failing_long=long,
        made_up=_made_up(poll, now),
        fresh_within=times.fresh,
        deadline=times.deadline,
    )
