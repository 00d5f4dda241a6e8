"""Time order of an incident to a theft and its publications, over intervals. Pure.

Source: design section 5: only an incident wholly before exfiltration began is excluded by time; between theft and a wave's
publication "stolen, not yet published" is a fact against. `received_at` bounds `occurred` from above as a labelled inference.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.breaches.catalogue import BreachSpec, MilestoneKind, Wave
from app.kit.memo import by_identity
from app.linkage.findings import Direction, Fact, Reference, TimeOrder
from app.linkage.wording import day, days
from connectors.contract import Interval


@dataclass(frozen=True, slots=True)
class Span:
    """When something may have happened: claimed, then bounded by its receipt. `earliest` None is open."""

    earliest: datetime | None
    latest: datetime
    claimed: Interval
    received_at: datetime

    @property
    def bounded_by_receipt(self) -> bool:
        """Whether `latest` is our inference and not the provider's claim."""
        return self.claimed.latest is None or self.claimed.latest > self.received_at

    @property
    def clocks_disagree(self) -> bool:
        """Whether the provider claims a time wholly after we had received its word."""
        return self.claimed.earliest is not None and self.claimed.earliest > self.received_at


@dataclass(frozen=True, slots=True)
class Theft:
    """The earliest moment at which data can have been taken, and the milestone that says so."""

    begin: datetime
    milestone: MilestoneKind


def span(occurred: Interval, received_at: datetime) -> Span:
    """The claimed interval, cut at its receipt: nothing is received before it happened."""
    latest = min(occurred.latest or received_at, received_at)
    earliest = min(occurred.earliest, latest) if occurred.earliest else None
    return Span(earliest, latest, occurred, received_at)


@by_identity
def theft(breach: BreachSpec) -> Theft | None:
    """The earliest possible begin of exfiltration; where no source gives one, of the intrusion; else None."""
    for kind in (MilestoneKind.EXFILTRATED, MilestoneKind.INTRUSION):
        interval = breach.interval(kind)
        if interval and interval.earliest:
            return Theft(interval.earliest, kind)
    return None


@by_identity
def published(breach: BreachSpec, wave: Wave) -> Interval | None:
    """When a wave came out, aware UTC; None if no source says."""
    return breach.interval(MilestoneKind.PUBLISHED, wave.key)


def before(when: Span, taken: Theft | None) -> bool:
    """Whether all of `when` lies before the theft can have begun; False when that is not known."""
    return taken is not None and when.latest < taken.begin


def order(when: Span, taken: Theft | None, published: Interval | None) -> TimeOrder:
    """Time order to one publication; anything that only partly lies in one place is unknown."""
    if before(when, taken):
        return TimeOrder.BEFORE_THEFT
    if published and published.latest and when.earliest and when.earliest > published.latest:
        return TimeOrder.AFTER_PUBLICATION
    after_theft = taken is not None and when.earliest is not None and when.earliest >= taken.begin
    if after_theft and _unpublished(when, published):
        return TimeOrder.BETWEEN
    return TimeOrder.UNKNOWN


def overall(orders: Iterable[TimeOrder]) -> TimeOrder:
    """One order for the breach: after any publication counts as after; else unknown if any is, else what all are."""
    found = set(orders)
    for candidate in (TimeOrder.AFTER_PUBLICATION, TimeOrder.UNKNOWN, TimeOrder.BETWEEN, TimeOrder.BEFORE_THEFT):
        if candidate in found:
            return candidate
    return TimeOrder.UNKNOWN


def time_facts(breach: BreachSpec, when: Span, alerts: Iterable[UUID]) -> list[Fact]:
    """Every fact of time: how the incident is dated, where it lies to the theft, where to each publication."""
    told = tuple(Reference(f"alert:{alert}") for alert in sorted(alerts))
    taken = theft(breach)
    facts = _dating_facts(when, told)
    if taken is not None and before(when, taken):
        text = f"This happened before {day(taken.begin, breach.zone)}, the earliest day on which the data can have been taken."
        return [*facts, Fact(Direction.AGAINST, "time.before_theft", text, (_milestone(taken.milestone), *told))]
    facts += _theft_facts(breach, when, taken, told)
    return facts + [_wave_fact(breach, wave, when, taken, told) for wave in breach.waves]


def _unpublished(when: Span, published: Interval | None) -> bool:
    return published is not None and published.earliest is not None and when.latest < published.earliest


def _milestone(kind: MilestoneKind, wave: str | None = None) -> Reference:
    return Reference(f"milestone:{kind.value}" + (f":{wave}" if wave else ""))


def _dating_facts(when: Span, told: tuple[Reference, ...]) -> list[Fact]:
    facts = []
    if when.clocks_disagree:
        text = "The time given for this is later than our receipt of it. One of the two clocks is off."
        facts.append(Fact(Direction.NOT_ASSESSABLE, "time.clocks_disagree", text, told))
    if when.bounded_by_receipt:
        text = "It cannot have happened after we received word of it. That is our conclusion, not the provider's statement."
        facts.append(Fact(Direction.NEUTRAL, "time.latest_inferred_from_receipt", text, told))
    return facts


def _theft_facts(breach: BreachSpec, when: Span, taken: Theft | None, told: tuple[Reference, ...]) -> list[Fact]:
    if taken is None:
        text = "No source says when the data was taken, so we cannot say whether this happened before or after."
        return [Fact(Direction.NOT_ASSESSABLE, "time.theft_day_not_known", text, told)]
    interval = breach.interval(taken.milestone)
    if when.earliest is None or when.earliest < taken.begin:
        text = (
            f"Part of the time in which this may have happened lies before {day(taken.begin, breach.zone)}, the earliest "
            "day on which the data can have been taken."
        )
        return [Fact(Direction.NOT_ASSESSABLE, "time.may_be_before_theft", text, (_milestone(taken.milestone), *told))]
    if interval and interval.latest and when.earliest <= interval.latest:
        text = (
            f"The exact day on which the data was taken is not known; it was {days(interval, breach.zone)}, and this may "
            "have happened in that time."
        )
        return [Fact(Direction.NOT_ASSESSABLE, "time.theft_day_uncertain", text, (_milestone(taken.milestone), *told))]
    return []


def _wave_fact(breach: BreachSpec, wave: Wave, when: Span, taken: Theft | None, told: tuple[Reference, ...]) -> Fact:
    """The one fact about an incident that is not wholly before the theft, and one wave's publication."""
    came_out = published(breach, wave)
    if came_out is None:
        text = f"No source says when {wave.title} came out, or whether it did."
        return Fact(Direction.NOT_ASSESSABLE, "time.publication_not_known", text, told, wave.key)
    rests_on = (_milestone(MilestoneKind.PUBLISHED, wave.key), *told)
    stated = days(came_out, breach.zone)
    match order(when, taken, came_out):
        case TimeOrder.AFTER_PUBLICATION:
            text = f"This happened after {wave.title}, which was {stated}."
            return Fact(Direction.FOR, "time.after_publication", text, rests_on, wave.key)
        case TimeOrder.BETWEEN:
            text = (
                "Stolen, not yet published: when this happened, the data may already have been taken, but it was not out yet. "
                f"It came out in {wave.title}, {stated}."
            )
            return Fact(Direction.AGAINST, "time.stolen_not_yet_published", text, rests_on, wave.key)
        case _ if _unpublished(when, came_out):
            text = f"When this happened, the data was not yet published. It came out in {wave.title}, {stated}."
            return Fact(Direction.AGAINST, "time.not_yet_published", text, rests_on, wave.key)
        case _ if when.earliest is None:
            text = f"Nobody has told us from when on this happened, so it may lie before or after {wave.title}."
            return Fact(Direction.NOT_ASSESSABLE, "time.not_dated", text, rests_on, wave.key)
        case _:
            text = f"This may have happened before or after {wave.title}, which was {stated}."
            return Fact(Direction.NOT_ASSESSABLE, "time.overlaps_publication", text, rests_on, wave.key)
