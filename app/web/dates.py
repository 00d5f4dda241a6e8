"""Dates in plain words, as exact as the claim and no more. Pure.

A plain date that a service gave is kept as the time from its begin in UTC+14 to its end in UTC-12 (connectors/claimed.py);
here such an end is shown as the date it was.
"""

from datetime import UTC, date, datetime, time, timedelta, timezone

from connectors.contract import Interval

NOT_SAID = "the service does not say when"
_EASTERNMOST, _WESTERNMOST = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))


def plain_day(day: date) -> str:
    """A date: "4 March 2023"."""
    return f"{day.day} {day:%B %Y}"


def plain_moment(moment: datetime) -> str:
    """A moment with its zone: "4 March 2023, 14:05 UTC"."""
    utc = moment.astimezone(UTC)
    return f"{plain_day(utc.date())}, {utc:%H:%M} UTC"


def _first_day(moment: datetime) -> date | None:
    """The day that begins at this moment in the easternmost zone, None when none does."""
    return _day_if(moment, _EASTERNMOST, time.min)


def _last_day(moment: datetime) -> date | None:
    """The day that ends at this moment in the westernmost zone, None when none does."""
    return _day_if(moment, _WESTERNMOST, time.max)


def _day_if(moment: datetime, zone: timezone, at: time) -> date | None:
    try:
        there = moment.astimezone(zone)
    except OverflowError:
        return None
    return there.date() if there.time() == at else None


def between(first: date, last: date) -> str:
    """Two days, both included: "between 1 and 7 March 2023"; one day: "on 1 March 2023"."""
    if first == last:
        return f"on {plain_day(first)}"
    if first.year != last.year:
        return f"between {plain_day(first)} and {plain_day(last)}"
    if first.month != last.month:
        return f"between {first.day} {first:%B} and {plain_day(last)}"
    return f"between {first.day} and {plain_day(last)}"


def plain_interval(interval: Interval | None) -> str:
    """When something is said to have happened, without a full stop; an open end is said to be open."""
    first, last = (interval.earliest, interval.latest) if interval else (None, None)
    if first is None:
        return _before(last) if last else NOT_SAID
    if last is None:
        day = _first_day(first)
        return f"{plain_day(day) if day else plain_moment(first)} or later"
    days = _first_day(first), _last_day(last)
    if days[0] and days[1]:
        return between(days[0], days[1])
    return _between_moments(first.astimezone(UTC), last.astimezone(UTC))


def _before(last: datetime) -> str:
    day = _last_day(last)
    return f"before {plain_day(day + timedelta(days=1)) if day else plain_moment(last)}"


def _between_moments(first: datetime, last: datetime) -> str:
    if first == last:
        return f"on {plain_moment(first)}"
    if first.date() != last.date():
        return between(first.date(), last.date())
    return f"between {first:%H:%M} and {last:%H:%M} UTC on {plain_day(last.date())}"


def plain_month(label: str) -> str:
    """A month as the statistics write it, "2023-03", in words: "March 2023"."""
    return f"{date.fromisoformat(label + '-01'):%B %Y}"
