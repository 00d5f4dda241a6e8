"""Whether much more or much less comes in over a connection than usual. Pure.

Learnt from nothing but how many receipts came on each of the last days, so it is simple to say and to check by hand:

- usual: the median of 28 whole days (UTC), of which the last is one on which something came, or yesterday; so a silence is
  never learnt as usual. Nothing is said before there are 14 such days since the first receipt.
- burst: in the last 24 hours ten times the usual or more, more than twice the busiest of those days, and 50 at least.
- fewer: a tenth of the usual or less, fewer than half of the quietest of those days, where the usual is 20 at least. Who never
  sends on Sundays has days without anything, and is judged by the next rule alone.
- silent: something came on 8 of those days at least, and for longer than twice the longest pause between them, and for
  longer than three days, nothing did. A connection with a deadline of its own is judged by that instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

DAYS = 28
LEAST_DAYS = 14
TIMES = 10
LEAST_BURST = 50
LEAST_USUAL = 20
LEAST_ACTIVE = 8
LEAST_PAUSE = timedelta(days=3)

BURST, FEWER, SILENT = "burst", "fewer", "silent"


@dataclass(frozen=True, slots=True)
class Volume:
    """What came over one connection: on each whole day that is learnt from, the oldest first; and in the last 24 hours.

    `quiet_for`: since when nothing came, until now. `may_be_silent`: it has no deadline of its own.
    """

    days: Sequence[int]
    last_day: int
    quiet_for: timedelta
    may_be_silent: bool = True


def longest_pause(days: Sequence[int]) -> int:
    """The most days in a row on which nothing came."""
    longest = run = 0
    for count in days:
        run = 0 if count else run + 1
        longest = max(longest, run)
    return longest


def odd(volume: Volume) -> frozenset[str]:
    """What is not as usual: BURST, FEWER, SILENT."""
    days = volume.days[-DAYS:]
    if len(days) < LEAST_DAYS:
        return frozenset()
    usual, found = median(days), set()
    if volume.last_day >= max(TIMES * usual, LEAST_BURST) and volume.last_day > 2 * max(days):
        found.add(BURST)
    if usual >= LEAST_USUAL and volume.last_day <= usual / TIMES and 2 * volume.last_day < min(days):
        found.add(FEWER)
    active = sum(count > 0 for count in days)
    patience = max(LEAST_PAUSE, 2 * timedelta(days=longest_pause(days)))
    if volume.may_be_silent and active >= LEAST_ACTIVE and volume.quiet_for > patience:
        found.add(SILENT)
    return frozenset(found)
