"""What a monitor reads: counts, lags and gauges, on a port of their own. Words and numbers only, never anybody's id.

An instrument is set by the room that knows; a gauge that needs the database is set by a tick, so that a scrape costs nothing.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client import start_http_server as _listen

disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
"""The steps of every lag."""

DELIVERIES = Counter(
    "harmline_deliveries",
    "Deliveries at the webhook door by what the sender was answered: kept, repeat, refused, unavailable, failed, unanswered.",
    ["outcome"],
    registry=REGISTRY,
)
REFUSALS = Counter("harmline_refusals", "Refused deliveries by reason.", ["reason"], registry=REGISTRY)
TURNED_AWAY = Counter(
    "harmline_turned_away",
    "Requests of people and programs that were refused: not_proven (a sign-in or a token that was no good), not_signed_in, "
    "not_allowed, asked_anew, too_often; by role.",
    ["why", "role"],
    registry=REGISTRY,
)
COMMIT_SIZE = Histogram(
    "harmline_commit_batch_size",
    "How many deliveries were kept by one COMMIT.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
    registry=REGISTRY,
)
STAGE_LAG = Histogram(
    "harmline_stage_lag_seconds",
    "From one step of an alert's way to the end of the next: kept, handled, and each consumer of the outbox by its name.",
    ["stage"],
    buckets=SECONDS,
    registry=REGISTRY,
)
LEASE_LOSSES = Counter(
    "harmline_lease_losses", "Work rolled back because another process had taken over.", ["lease"], registry=REGISTRY
)
UNHANDLED = Gauge("harmline_unhandled_receipts", "Receipts that wait to be handled.", registry=REGISTRY)
OLDEST_UNHANDLED = Gauge(
    "harmline_oldest_unhandled_seconds", "How long the oldest receipt that is not handled has waited.", registry=REGISTRY
)
QUARANTINED_SHARE = Gauge(
    "harmline_quarantined_share",
    "Which part of the events of the last seven days is in quarantine, 0 to 1, by connector.",
    ["connector"],
    registry=REGISTRY,
)
SET_ASIDE = Gauge(
    "harmline_set_aside_receipts", "Receipts of the last seven days that wait for a person.", ["connector"], registry=REGISTRY
)
POLL_AGE = Gauge(
    "harmline_poll_age_seconds",
    "Since the provider that was left alone the longest last answered well, by connector.",
    ["connector"],
    registry=REGISTRY,
)
OVERDUE = Gauge(
    "harmline_connection_overdue_seconds",
    "How long the oldest thing that should be done on a connection has waited, by connector.",
    ["connector"],
    registry=REGISTRY,
)
SILENT = Gauge(
    "harmline_silent_connections", "Connections that have fallen silent, by connector.", ["connector"], registry=REGISTRY
)
ALARMS = Gauge("harmline_open_alarms", "Alarms that are open, by kind.", ["kind"], registry=REGISTRY)
OUTBOX_WAITING = Gauge(
    "harmline_outbox_waiting_seconds",
    "Age of the oldest message that a consumer has not handled, 0 when there is none.",
    ["consumer"],
    registry=REGISTRY,
)
PARKED = Gauge("harmline_parked_messages", "Messages of the outbox that were given up.", registry=REGISTRY)
NOT_READY = Gauge("harmline_not_ready", "1 while this stands in the way of the service, else 0.", ["reason"], registry=REGISTRY)
DISK_FREE = Gauge(
    "harmline_disk_free_bytes",
    "Free space where this machine writes: SQLite's file, packets, backups.",
    ["of"],
    registry=REGISTRY,
)
CLOCK_OFFSET = Gauge(
    "harmline_clock_offset_seconds",
    "How far this machine's clock is ahead: of the database's clock, and of where it should be since the start.",
    ["against"],
    registry=REGISTRY,
)
ACCOUNTS_AMISS = Gauge(
    "harmline_accounts_difference",
    "Rows over which the accounts do not close, by identity; 0 is right.",
    ["identity"],
    registry=REGISTRY,
)
ACCOUNTS_CHECKED = Counter(
    "harmline_accounts_checked_receipts", "Receipts over which the accounts were checked.", registry=REGISTRY
)
ACCOUNTS_UP_TO = Gauge(
    "harmline_accounts_checked_up_to_timestamp_seconds", "Up to which moment the newest receipts were checked.", registry=REGISTRY
)
ACCOUNTS_WHOLE = Gauge(
    "harmline_accounts_whole_timestamp_seconds", "When the last check of everything there is came to its end.", registry=REGISTRY
)
CANARY_SENT = Counter("harmline_canary_sent", "Canary deliveries by what came of sending them.", ["outcome"], registry=REGISTRY)
CANARY_SEEN = Gauge(
    "harmline_canary_seen_timestamp_seconds",
    "When the newest canary came in that was seen on its member's timeline, with its link.",
    registry=REGISTRY,
)
CANARY_ABSENT = Gauge("harmline_canary_absent", "1 while the canary is overdue, else 0.", registry=REGISTRY)
UNATTESTED = Gauge(
    "harmline_ledger_unattested_seconds",
    "How long the oldest checkpoint of any log has waited for a witness, or an authority past its time, by name.",
    ["by"],
    registry=REGISTRY,
)
MEASURED = Gauge(
    "harmline_measured_timestamp_seconds", "When the gauges that need the database were last set.", registry=REGISTRY
)


def committed(deliveries: int) -> None:
    """One COMMIT kept this many deliveries."""
    COMMIT_SIZE.observe(deliveries)


def lag(stage: str, since: Iterable[datetime], now: datetime) -> None:
    """Some things passed a stage at `now` that had come to it at these moments; all aware."""
    observe = STAGE_LAG.labels(stage).observe
    for moment in since:
        observe(max(0.0, (now - moment).total_seconds()))


def only(gauge: Gauge, values: Iterable[tuple[str, float]]) -> None:
    """Set a gauge with one label to these values and nothing else: what is no longer there is no longer told."""
    gauge.clear()
    for label, value in values:
        gauge.labels(label).set(value)


@contextmanager
def served(host: str, port: int | None) -> Iterator[None]:
    """Answer scrapes while the block lasts; nothing happens without a port. Raises OSError when the port is taken."""
    if port is None:
        yield
        return
    server, thread = _listen(port, host, REGISTRY)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
