"""When a provider says that something happened, as an interval: never narrower than what was said."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

from connectors.contract import Interval

DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
DATE_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"
OTHER_SPELLINGS = (
    r"(?P<month>[0-9]{2})/(?P<day>[0-9]{2})/(?P<year>[0-9]{4})",
    r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})",
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})Z",
)
"""MM/DD/YYYY, YYYYMMDD and YYYY-MM-DDZ. No text fits two of them, nor one of them and `interval`."""

EASTERNMOST = timezone(timedelta(hours=14))
WESTERNMOST = timezone(timedelta(hours=-12))


def interval(claim: str | dict[str, Any]) -> Interval:
    """A date-time, a plain date, or {"earliest", "latest"} of those (one may be left out). ValueError when it is none.

    A plain date does not say whose day: it begins where the day begins first on Earth (UTC+14) and ends where it ends
    last (UTC-12). A date-time needs its offset (RFC 3339).
    """
    if isinstance(claim, str):
        return Interval(earliest=_bound(claim, first=True), latest=_bound(claim, first=False))
    earliest, latest = claim.get("earliest"), claim.get("latest")
    if not claim.keys() <= {"earliest", "latest"} or (earliest is None and latest is None):
        raise ValueError("not an interval")
    return Interval(
        earliest=None if earliest is None else _bound(earliest, first=True),
        latest=None if latest is None else _bound(latest, first=False),
    )


def bureau_interval(claim: str) -> Interval:
    """A day as American credit bureaus spell it: MM/DD/YYYY, YYYYMMDD, YYYY-MM-DDZ; or what `interval` reads. ValueError.

    Each is that day anywhere on Earth, also the one with a Z: a creditor who reports a date reports no time zone, and the Z of
    an XML date is what a program in UTC appends. The day in UTC lies within.
    """
    for spelling in OTHER_SPELLINGS:
        if found := re.fullmatch(spelling, claim):
            return interval("{year}-{month}-{day}".format_map(found.groupdict()))
    return interval(claim)


def _bound(claim: object, *, first: bool) -> datetime:
    """The first or the last moment that one text allows, UTC."""
    if not isinstance(claim, str):
        raise ValueError("not a time")
    try:
        if re.fullmatch(DATE_TIME, claim):
            return datetime.fromisoformat(claim).astimezone(UTC)
        if re.fullmatch(DATE, claim):
            day = date.fromisoformat(claim)
            at, zone = (time.min, EASTERNMOST) if first else (time.max, WESTERNMOST)
            return datetime.combine(day, at, zone).astimezone(UTC)
    except OverflowError:
        raise ValueError("outside the calendar") from None
    raise ValueError("not a time with its offset, and not a date")
