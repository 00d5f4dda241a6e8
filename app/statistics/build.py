"""Make one edition of the statistics: rows, roster and earlier editions in, a release out.

Pure, but it loads the auditor and with it SciPy: for workers only.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from app.statistics.cubes import ALL, CUBES, Cell, IncidentRow, Scope, Span, count_members, month_label, month_of, parse_month
from app.statistics.ladder import cut_cube
from app.statistics.release import RULES_VERSION, THRESHOLD, AuditSummary, Release, ReleasedCube, told_by
from app.statistics.suppression import Shown, offer

NOTES: tuple[str, ...] = (
    "Every number counts members, not incidents or alerts: a member with many incidents counts once in a cell.",
    "One member may be counted in several cells, so cells do not add up to totals.",
    "A month is the month in which we first received word of an incident, in UTC. Only months that have ended are counted.",
    "An incident is not counted while all that was told of it is disputed, because somebody else may have sent it in the name "
    "of a service.",
    "A cell without a number is hidden. It may hold nobody, few members, or many whose number would give another away.",
    "A number marked as held is from an earlier edition and covers the months named with it; it changes once it has moved "
    "by 11 or more.",
)
"""What a reader must know to read a release rightly; stored with each."""


class ReleaseError(ValueError):
    """The inputs do not fit together, or no edition can be made from them that gives nobody away."""


def build_release(
    rows: Iterable[IncidentRow],
    *,
    population: int,
    as_of: datetime,
    since: datetime | None = None,
    earlier: Sequence[Release] = (),
) -> Release:
    """Make the next edition from the months that had ended at `as_of` (aware).

    Disputed rows are not counted, but the first month is settled with them: they may count again one day.
    `population` is the members on the roster. `since` names the first month ever counted; it is settled by the first edition
    and defaults to the January before the first incident. `earlier` holds every edition made before, oldest first: what
    was told once stays told, so leaving one out breaks the audit. Raises ReleaseError.
    """
    incidents = list(rows)
    last = month_of(as_of) - 1
    first = _first_month(incidents, since, earlier, last)
    if earlier and earlier[-1].as_of > as_of:
        raise ReleaseError("an edition cannot be older than the one before it")
    told = told_by(earlier)
    shown = Shown(population, told)
    window = Span(first, last)
    cubes: tuple[ReleasedCube, ...] = ()
    if first <= last:
        counts = count_members(incidents, window)
        if max(counts.values(), default=0) > population:
            raise ReleaseError("more members have incidents than the roster holds")
        shown.dark = _is_too_small(window, counts, shown)
        cubes = tuple(cut_cube(cube, counts, window, shown) for cube in CUBES)
    return Release(
        rules_version=RULES_VERSION,
        threshold=THRESHOLD,
        as_of=as_of,
        first_month=month_label(first),
        last_month=month_label(last) if first <= last else None,
        population=population,
        cubes=cubes,
        audit=_summary(shown, len(earlier)),
        notes=NOTES,
    )


def _is_too_small(window: Span, counts: Mapping[Cell, int], shown: Shown) -> bool:
    total = Cell(Scope.ANY, ALL, window)
    allowed = offer(total, ALL, counts.get(total, 0), shown)
    return allowed.value is None and allowed.stands is None


def _first_month(rows: Sequence[IncidentRow], since: datetime | None, earlier: Sequence[Release], last: int) -> int:
    if earlier:
        settled = parse_month(earlier[0].first_month)
        if since is not None and month_of(since) != settled:
            raise ReleaseError("the first month was settled by the first edition")
        return settled
    if since is not None:
        return month_of(since)
    months = [month_of(row.first_received) for row in rows]
    return min([*months, last]) // 12 * 12


def _summary(shown: Shown, editions: int) -> AuditSummary:
    finding = shown.audit({}, ())
    if not finding.passed:
        raise ReleaseError("the audit found hidden cells that could be worked out; nothing was released")
    return AuditSummary(
        passed=True,
        hidden_cells=len((shown.hidden | shown.told.hidden) - shown.facts().keys()),
        shown_numbers=len(shown.facts()),
        earlier_editions=editions,
        narrowest_width=finding.narrowest,
    )
