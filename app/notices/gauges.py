"""Sets the gauges about connections from what was measured of them. By connector: no connection or organization is named."""

from collections import defaultdict
from collections.abc import Sequence

from app.intake.health import ConnectionHealth, HealthState
from app.kit import metrics


def tell(healths: Sequence[ConnectionHealth]) -> None:
    """Set every gauge about connections; of several connections of one connector the worst counts, or the sum."""
    by_connector: defaultdict[str, list[ConnectionHealth]] = defaultdict(list)
    for health in healths:
        if health.state not in (HealthState.CLOSED, HealthState.PAUSED):
            by_connector[health.connector].append(health)
    told = sorted(by_connector.items())
    metrics.only(metrics.QUARANTINED_SHARE, ((name, _share(ours)) for name, ours in told))
    metrics.only(metrics.SET_ASIDE, ((name, sum(one.set_aside for one in ours)) for name, ours in told))
    metrics.only(metrics.OVERDUE, ((name, max(one.overdue.total_seconds() for one in ours)) for name, ours in told))
    metrics.only(metrics.SILENT, ((name, sum(one.silent for one in ours)) for name, ours in told))
    polled = [(name, [one for one in ours if one.next_due_at is not None]) for name, ours in told]
    metrics.only(metrics.POLL_AGE, ((name, max(map(_age, ours))) for name, ours in polled if ours))


def _share(healths: Sequence[ConnectionHealth]) -> float:
    events = sum(one.events for one in healths)
    return sum(one.quarantined for one in healths) / events if events else 0.0


def _age(health: ConnectionHealth) -> float:
    """Seconds since a provider last answered well; one that never did is as old as the first question that it owes."""
    since = health.last_success_at or health.at - health.overdue
    return max(0.0, (health.at - since).total_seconds())
