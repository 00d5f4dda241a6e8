"""The provider's times: whole numbers since 1970, in seconds in one place and in milliseconds in another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from connectors.claimed import interval
from connectors.contract import Interval

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS = range(946_684_800, 4_102_444_800)
"""2000 to 2100. In milliseconds the same years are a thousand times as much: no number could be either."""

_A_DAY = 86_400_000


def moment(claim: object) -> datetime:
    """The moment, UTC. The unit is told by size; ValueError for what is no whole number or in neither range."""
    return _EPOCH + timedelta(milliseconds=_milliseconds(claim))


def reported(claims: list[object]) -> Interval | None:
    """From the earliest to the latest of some moments; None without any. ValueError as for `moment`.

    A number that is exactly a midnight in UTC is a date that was made a number: that day, wherever on Earth it was.
    """
    spans = [_span(_milliseconds(claim)) for claim in claims]
    earliest = [span.earliest for span in spans if span.earliest]
    latest = [span.latest for span in spans if span.latest]
    return Interval(earliest=min(earliest), latest=max(latest)) if spans else None


def _span(milliseconds: int) -> Interval:
    at = _EPOCH + timedelta(milliseconds=milliseconds)
    return interval(at.date().isoformat()) if milliseconds % _A_DAY == 0 else Interval.at(at)


def _milliseconds(claim: object) -> int:
    if isinstance(claim, int) and not isinstance(claim, bool):
        if claim in _SECONDS:
            return claim * 1000
        if claim // 1000 in _SECONDS:
            return claim
    raise ValueError("neither seconds nor milliseconds of this century")
