"""How fast a provider is asked: evenly spaced turns, and none before the moment that the provider named."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

from connectors.asking import TryLater, UnexpectedAnswer

SLACK = 0.5
"""Seconds added to each minute's turns: a request that is slow on its way must not meet the next one in one window."""

LONGEST_TURN = 90.0
"""Seconds. Who would wait longer for a turn is told to come again, rather than kept."""


class Pace:
    """Turns for one connection; they come in the order in which they were asked for.

    Not a leaky bucket: one that is given another rate forgets what it has just let through, and a provider does not.
    """

    def __init__(self, requests_per_minute: float, *, longest_hold: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`longest_hold`: seconds of a provider's "not before" that are waited for in place. `clock` in seconds, never back."""
        self._clock = clock
        self._longest_hold = longest_hold
        self._order = asyncio.Lock()
        self._last = self._held_until = self._begins = -math.inf
        self.change(requests_per_minute)

    def change(self, requests_per_minute: float) -> None:
        """From now on; counts from the last turn. UnexpectedAnswer when it is no rate at all: providers send it."""
        if not (math.isfinite(requests_per_minute) and requests_per_minute > 0):
            raise UnexpectedAnswer("The provider names a rate at which nothing can be asked")
        self._period = (60 + SLACK) / requests_per_minute

    def hold(self, seconds: float) -> None:
        """Give no turn for so long. A shorter one does not take back a longer one."""
        self._held_until = max(self._held_until, self._clock() + seconds)

    def begin_after(self, seconds: float) -> None:
        """Give no turn for so long, because somebody else has just had one; at most LONGEST_TURN, whatever their clock said."""
        self._begins = max(self._begins, self._clock() + min(seconds, LONGEST_TURN))

    @property
    def period(self) -> float:
        """Seconds between two turns."""
        return self._period

    def rest(self) -> float:
        """Seconds until the next turn may be had; 0: at once."""
        return max(0.0, *self._waits())

    async def turn(self) -> None:
        """Wait for the next turn. TryLater when the provider wants to be left alone for longer than is waited in place."""
        async with self._order:
            while (seconds := self._seconds()) > 0:  # noqa: ASYNC110 - once, unless held or slowed meanwhile
                await asyncio.sleep(seconds)
            self._last = self._clock()

    def _seconds(self) -> float:
        held, paced = self._waits()
        if held > self._longest_hold or paced > LONGEST_TURN:
            raise TryLater("The provider asked for patience", math.ceil(max(held, paced)))
        return max(held, paced)

    def _waits(self) -> tuple[float, float]:
        now = self._clock()
        return self._held_until - now, max(self._last + self._period, self._begins) - now


class Paced:
    """What every outgoing client has: turns, which outlast the client's use by one process."""

    def __init__(self, pace: Pace) -> None:
        """`pace`: who gives the turns."""
        self._pace = pace

    def pace(self, requests_per_minute: float) -> None:
        """Go no faster than this from now on; counts from the last request."""
        self._pace.change(requests_per_minute)

    @property
    def rest(self) -> float:
        """Seconds until the next request may leave; for whoever asks next from another process."""
        return self._pace.rest()

    def follow(self, rest: float | None) -> None:
        """Send nothing for `rest` seconds: another process has just asked. None: nobody knows when; a whole turn's time."""
        self._pace.begin_after(self._pace.period if rest is None else rest)
