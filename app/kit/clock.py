"""The only reader of the wall clock. Everything else asks here, so that a scenario can play two years in a minute."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime


class _Hand:
    stopped_at: datetime | None = None


def now() -> datetime:
    """The present moment, aware, UTC."""
    return _Hand.stopped_at or datetime.now(UTC)


def set_to(moment: datetime) -> None:
    """Stop the clock at `moment` (aware) for the whole process, until the next `set_to` or the end of `stopped`."""
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone")
    _Hand.stopped_at = moment.astimezone(UTC)


@contextmanager
def stopped(moment: datetime) -> Iterator[None]:
    """Stop the clock at `moment` inside the block; `set_to` moves it on; the wall clock is back after the block."""
    before = _Hand.stopped_at
    set_to(moment)
    try:
        yield
    finally:
        _Hand.stopped_at = before
