"""One edition of the statistics as it is stored and shown, and what all editions together have told the world.

No SciPy here: the web room reads stored releases through these models and must not load the workers' libraries.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from app.statistics.cubes import Cell, KindLevel, Scope, Span, TimeLevel, canonical_kind, month_label, parse_month

RULES_VERSION = "2026-11-26"
"""Changes whenever a rule, a cube or the ladder changes, so that an edition says under which rules it was made."""

THRESHOLD = 11
"""The smallest number of members a shown cell may hold, the smallest difference that may be seen, the narrowest range that
may be left around a hidden cell. Source: security.md G2 (CMS cell-size rule: 1 to 10 are never shown)."""


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ReleasedCell(_Stored):
    """One cell: members with an incident in these months (both included, as 2023-03), or None where the number is hidden.

    `held` says that the number is an earlier edition's, with the months it then spoke of.
    """

    time: str
    first_month: str
    last_month: str
    kind: str
    value: int | None
    held: bool = False


class ReleasedCube(_Stored):
    """One cube at the levels that the rules allowed, with every cell of those levels, shown or hidden."""

    name: str
    title: str
    why: str
    scope: Scope
    time_level: TimeLevel
    kind_level: KindLevel
    cells: tuple[ReleasedCell, ...]


class AuditSummary(_Stored):
    """What the auditor found: how many hidden cells it bounded from how many shown numbers, and the narrowest range left.

    `narrowest_width` is in members and a proven least: the true range may be wider. None when nothing is hidden.
    """

    passed: bool
    hidden_cells: int
    shown_numbers: int
    earlier_editions: int
    narrowest_width: int | None


class Release(_Stored):
    """One published, audited, immutable edition; `population` is the members on the roster at the time."""

    rules_version: str
    threshold: int
    as_of: datetime
    first_month: str
    last_month: str | None
    population: int
    cubes: tuple[ReleasedCube, ...]
    audit: AuditSummary
    notes: tuple[str, ...]


@dataclass(slots=True)
class Told:
    """Everything that earlier editions said: shown numbers, cells that stayed hidden, what each label
    last showed, and the newest form of each cube."""

    facts: dict[Cell, int] = field(default_factory=dict)
    hidden: set[Cell] = field(default_factory=set)
    last: dict[tuple[Scope, str, str], tuple[Cell, int | None]] = field(default_factory=dict)
    cubes: dict[str, ReleasedCube] = field(default_factory=dict)
    population: int = 0

    def largest(self, population: int) -> int:
        """The largest roster of any edition, this one included: what bounds every number ever shown."""
        return max(self.population, population)


def cell_of(cube: ReleasedCube, cell: ReleasedCell) -> Cell:
    """The cell that a released cell speaks of."""
    return Cell(cube.scope, canonical_kind(cell.kind), Span(parse_month(cell.first_month), parse_month(cell.last_month)))


def released_cell(label: str, kind: str, cell: Cell, value: int | None, *, held: bool = False) -> ReleasedCell:
    """A cell as it is stored, under the labels that people see."""
    first, last = month_label(cell.span.first), month_label(cell.span.last)
    return ReleasedCell(time=label, first_month=first, last_month=last, kind=kind, value=value, held=held)


def told_by(earlier: Sequence[Release]) -> Told:
    """What these editions, oldest first, have told between them; of one cell shown twice the later number counts."""
    told = Told()
    for release in earlier:
        told.population = max(told.population, release.population)
        for cube in release.cubes:
            told.cubes[cube.name] = cube
            for shown in cube.cells:
                cell = cell_of(cube, shown)
                told.last[cube.scope, cell.kind, shown.time] = (cell, shown.value)
                if shown.value is None:
                    told.hidden.add(cell)
                else:
                    told.facts[cell] = shown.value
    told.hidden -= told.facts.keys()
    return told
