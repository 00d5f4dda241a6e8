"""What the statistics count: the fixed cubes, their cells, and how many distinct members each cell holds.

Source: design.md (release), security.md G1 and G7. Nothing here knows about hiding; no SciPy, so the web room may import it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from connectors.vocabulary import AlertKind

ALL = "all"
"""The bucket that holds everything along one axis, and its label."""

NOT_ME = "not_me"
"""The verdict that makes an incident count as harm."""


class Scope(StrEnum):
    """Which incidents a cell counts: any of them, or only those whose member answered not_me."""

    ANY = "any"
    NOT_ME = "not_me"


class TimeLevel(StrEnum):
    """How finely time is cut, finest first."""

    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    ALL = "all"


class KindLevel(StrEnum):
    """How finely the kinds of incident are cut, finest first."""

    KIND = "kind"
    FAMILY = "family"
    ALL = "all"


class Span(NamedTuple):
    """Whole months, both ends included, each counted as year * 12 + month - 1."""

    first: int
    last: int

    def holds(self, other: "Span") -> bool:
        """Whether every month of the other span is in this one."""
        return self.first <= other.first and other.last <= self.last


class Cell(NamedTuple):
    """One number the world could be told: members with an incident of this scope and kind, first received in these months."""

    scope: Scope
    kind: str
    span: Span


class Bucket(NamedTuple):
    """A stretch of the time axis under the name that people see; the last one may still be growing."""

    label: str
    span: Span


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """One incident as the statistics see it: whose, what, when our first receipt of it came (aware UTC), and the verdict.

    `disputed`: nothing is left of it without what somebody else may have sent in a provider's name; it is not counted.
    """

    member_id: UUID
    kind: str
    family: str
    first_received: datetime
    verdict: str
    disputed: bool = False


@dataclass(frozen=True, slots=True)
class Cube:
    """One reviewed question, and how coarse its answer may become before it is given up."""

    name: str
    title: str
    why: str
    scope: Scope
    times: tuple[TimeLevel, ...]
    kinds: tuple[KindLevel, ...]


CUBES: tuple[Cube, ...] = (
    Cube(
        "total",
        "Members with any incident",
        "How many of us were hit at all: the number every other one is read against.",
        Scope.ANY,
        (TimeLevel.ALL,),
        (KindLevel.ALL,),
    ),
    Cube(
        "by_time",
        "Members with any incident, over time",
        "Shows when incidents came, which is what the dates of a breach are compared with.",
        Scope.ANY,
        tuple(TimeLevel),
        (KindLevel.ALL,),
    ),
    Cube(
        "by_kind",
        "Members with any incident, by kind",
        "Shows which harms are common, so that help and advice go where they are needed.",
        Scope.ANY,
        (TimeLevel.ALL,),
        tuple(KindLevel),
    ),
    Cube(
        "by_time_and_kind",
        "Members with any incident, by kind over time",
        "Shows whether one sort of harm rose when others did not.",
        Scope.ANY,
        tuple(TimeLevel),
        tuple(KindLevel),
    ),
    Cube(
        "not_me_by_time_and_kind",
        "Members who said an incident was not theirs, by kind over time",
        "Only these incidents count as harm; the other numbers also hold those not yet answered.",
        Scope.NOT_ME,
        tuple(TimeLevel),
        tuple(KindLevel),
    ),
)
"""The reviewed list, coarse questions first: what an earlier cube shows is fixed before a later one is cut."""


def _families() -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for kind in AlertKind:
        found[kind.family].append(kind.value)
    return {family: tuple(kinds) for family, kinds in found.items()}


FAMILIES: Mapping[str, tuple[str, ...]] = _families()
"""Every family and its kinds, from the vocabulary: fixed, so that which rows a table has says nothing about anybody."""


def canonical_kind(kind: str) -> str:
    """The one name of a kind bucket: a family with a single kind and that kind are the same set of people."""
    family = kind.partition(".")[0]
    return family if len(FAMILIES.get(family, ())) == 1 else kind


def kind_buckets(level: KindLevel) -> tuple[str, ...]:
    """The kind axis at one level, in the order of the vocabulary."""
    if level is KindLevel.ALL:
        return (ALL,)
    if level is KindLevel.FAMILY:
        return tuple(FAMILIES)
    return tuple(kind for kinds in FAMILIES.values() for kind in kinds)


def month_of(moment: datetime) -> int:
    """The UTC month of an aware moment, as Span counts them. Raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone has no month")
    utc = moment.astimezone(UTC)
    return utc.year * 12 + utc.month - 1


def month_label(month: int) -> str:
    """A month as people and ISO 8601 write it, such as 2023-03."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"


def parse_month(label: str) -> int:
    """The inverse of month_label. Raises ValueError for anything else."""
    year, _, month = label.partition("-")
    if not 1 <= int(month) <= 12:
        raise ValueError("a month lies between 01 and 12")
    return int(year) * 12 + int(month) - 1


def time_buckets(level: TimeLevel, window: Span) -> tuple[Bucket, ...]:
    """The time axis at one level over the window; buckets at its ends are cut to it."""
    if level is TimeLevel.ALL:
        return (Bucket(ALL, window),)
    length = {TimeLevel.MONTH: 1, TimeLevel.QUARTER: 3, TimeLevel.YEAR: 12}[level]
    starts = range(window.first - window.first % length, window.last + 1, length)
    return tuple(
        Bucket(_time_label(level, start), Span(max(start, window.first), min(start + length - 1, window.last)))
        for start in starts
    )


def _time_label(level: TimeLevel, start: int) -> str:
    if level is TimeLevel.MONTH:
        return month_label(start)
    return f"{start // 12:04d}" if level is TimeLevel.YEAR else f"{start // 12:04d}-Q{start % 12 // 3 + 1}"


def cells_at(scope: Scope, time: TimeLevel, kind: KindLevel, window: Span) -> Iterator[tuple[Bucket, str, Cell]]:
    """Every cell of a cube cut at these levels: its time bucket, its kind bucket, and the cell they name."""
    for bucket in time_buckets(time, window):
        for name in kind_buckets(kind):
            yield bucket, name, Cell(scope, canonical_kind(name), bucket.span)


def count_members(rows: Iterable[IncidentRow], window: Span) -> Mapping[Cell, int]:
    """Distinct members of every cell of every level; a cell that is not there holds nobody.

    Incidents outside the window, and disputed ones, do not enter. Raises ValueError for a naive time or a kind that is not in
    the vocabulary.
    """
    numbers: dict[UUID, int] = {}
    sets: dict[tuple[Scope, str], dict[Span, set[int]]] = defaultdict(lambda: defaultdict(set))
    for row in rows:
        if row.kind not in FAMILIES.get(row.family, ()):
            raise ValueError("an incident has a kind that is not in the vocabulary")
        month = month_of(row.first_received)
        if row.disputed or not window.first <= month <= window.last:
            continue
        member = numbers.setdefault(row.member_id, len(numbers))
        sets[Scope.ANY, row.kind][Span(month, month)].add(member)
        if row.verdict == NOT_ME:
            sets[Scope.NOT_ME, row.kind][Span(month, month)].add(member)
    return {
        Cell(scope, kind, span): len(members)
        for (scope, kind), spans in _over_kinds(sets).items()
        for span, members in _over_time(spans, window).items()
    }


def _over_kinds(
    sets: Mapping[tuple[Scope, str], Mapping[Span, set[int]]],
) -> Mapping[tuple[Scope, str], Mapping[Span, set[int]]]:
    joined: dict[tuple[Scope, str], dict[Span, set[int]]] = defaultdict(lambda: defaultdict(set))
    for (scope, kind), months in sets.items():
        for name in {canonical_kind(kind), kind.partition(".")[0], ALL}:
            for month, members in months.items():
                joined[scope, name][month] |= members
    return joined


def _over_time(months: Mapping[Span, set[int]], window: Span) -> Mapping[Span, set[int]]:
    joined: dict[Span, set[int]] = {}
    for level in TimeLevel:
        for bucket in time_buckets(level, window):
            parts = [members for month, members in months.items() if bucket.span.holds(month)]
            if parts:
                joined[bucket.span] = set().union(*parts)
    return joined
