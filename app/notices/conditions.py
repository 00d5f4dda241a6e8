"""What stands in the way, as rules over measured health. Pure."""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from app.intake.health import ConnectionHealth, HealthState
from app.intake.looking_up import LONGEST_WAIT
from app.notices.models import AlarmKind

MOST_FAILURES = 3
LONGEST_REST = timedelta(minutes=30)
"""A provider that fails, and will not be asked again within this time, is told of at its first failure."""

LONGEST_UNHANDLED = timedelta(minutes=15)
DRIFT_SHARE = 0.05
DRIFT_LEAST = 5
MOST_REFUSED = 5
NOTICE_BEFORE = timedelta(days=30)
"""So long before something is destroyed that is nobody's, somebody is told."""

Condition = tuple[UUID | None, AlarmKind]
"""A connection, or None for the whole organization, and what is wrong with it."""


def _failing(health: ConnectionHealth) -> bool:
    if health.failures == 0 or health.state is HealthState.CREDENTIALS:
        return False
    rests = health.waits_until is not None and health.waits_until - health.at > LONGEST_REST
    return rests or health.failures >= MOST_FAILURES or health.state is HealthState.NOT_ALLOWED


def _drifting(health: ConnectionHealth) -> bool:
    """Whether the provider seems to speak another way than its connector knows."""
    too_many = health.quarantined >= DRIFT_LEAST and health.quarantined > DRIFT_SHARE * health.events
    return health.unknown_types > 0 or too_many


def _all_refused(health: ConnectionHealth) -> bool:
    """Whether today's deliveries were refused, every one: a changed secret looks like this, and so does a forger.

    What we asked for ourselves proves nothing about the secret that deliveries are signed with.
    """
    return health.refused_today >= MOST_REFUSED and not health.pushed_today


def conditions_of(health: ConnectionHealth) -> frozenset[AlarmKind]:
    """Everything that stands in the way of one connection. A closed one has nothing left to lose, a paused one is not asked."""
    if health.state is HealthState.CLOSED:
        return frozenset()
    asked = health.state is not HealthState.PAUSED
    found = {
        AlarmKind.SILENT: health.silent,
        AlarmKind.CREDENTIALS: health.state is HealthState.CREDENTIALS,
        AlarmKind.FAILING: asked and _failing(health),
        AlarmKind.DRIFT: _drifting(health),
        AlarmKind.SET_ASIDE: health.set_aside > 0 or health.quarantined > 0,
        AlarmKind.UNHANDLED: health.oldest_unhandled_at is not None
        and health.at - health.oldest_unhandled_at >= LONGEST_UNHANDLED,
        AlarmKind.MADE_UP: asked and health.made_up,
        AlarmKind.PARTLY: asked and (health.people_failing_long > 0 or health.look_ups_failing > 0),
        AlarmKind.EXPIRING: health.nobodys_since is not None and health.at - health.nobodys_since >= LONGEST_WAIT - NOTICE_BEFORE,
        AlarmKind.NOT_FOUND: health.look_ups_not_found > 0,
        AlarmKind.REFUSED: _all_refused(health),
    }
    return frozenset(kind for kind, so in found.items() if so)


def conditions(healths: Iterable[ConnectionHealth], *, parked: int, stuck_letters: int) -> frozenset[Condition]:
    """Everything that stands in the way of an organization. `parked`: messages given up; `stuck_letters`: mail not taken."""
    found: set[Condition] = {(health.connection_id, kind) for health in healths for kind in conditions_of(health)}
    if parked:
        found.add((None, AlarmKind.PARKED))
    if stuck_letters:
        found.add((None, AlarmKind.MAIL))
    return frozenset(found)
