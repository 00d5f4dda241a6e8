"""The only reader of the wall clock. Everything else asks here, so that a scenario can play two years in a minute."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta


class _Hand:
    stopped_at: datetime | None = None


def now() -> datetime:
    """The present moment, aware, UTC."""
    return _Hand.stopped_at or datetime.now(UTC)


def milliseconds() -> int:
    """`now` in whole milliseconds since 1970."""
    stopped = _Hand.stopped_at
    return time.time_ns() // 1_000_000 if stopped is None else int(stopped.timestamp() * 1000)


def is_stopped() -> bool:
    """Whether a scenario holds the clock: what it says then is no machine's time."""
    return _Hand.stopped_at is not None


def _wall() -> float:
    """What this machine's clock says, in seconds since 1970."""
    return time.time()


def _steady() -> float:
    """Seconds on a clock that nobody can set; it goes on while the machine sleeps, where the system has such a one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def machine() -> datetime:
    """What this machine's clock says, whatever a scenario has stopped."""
    return datetime.fromtimestamp(_wall(), UTC)


class Reckoning:
    """Where this machine's clock should be by now, counted from one moment on a clock that nobody can set."""

    def __init__(self) -> None:
        """From now on."""
        self._wall, self._steady = _wall(), _steady()

    def jump(self) -> timedelta:
        """How far the clock has been set forward since then; negative: back."""
        return timedelta(seconds=(_wall() - self._wall) - (_steady() - self._steady))


SINCE_START = Reckoning()
"""Counts from when this process began."""


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
