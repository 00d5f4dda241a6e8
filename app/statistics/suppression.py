"""Which cells are hidden: the small, the nearly whole, and those that would give a hidden one away.

Source: security.md G2, G3, G6, G8. Loads the auditor and with it SciPy: for workers only.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from app.statistics.audit import Finding, audit
from app.statistics.cubes import ALL, Cell, Scope
from app.statistics.lattice import Lattice, Row, build_lattice
from app.statistics.release import THRESHOLD, Told

SURFACE = 2 * THRESHOLD - 1
"""A cell hidden in the last edition may have held up to 10; it appears only once it must have moved by the threshold."""

_ROUNDS = 5


class Offer(NamedTuple):
    """What the rules of one cell allow before the cells around it are looked at.

    `value` is a number that could be shown for the first time. `stands` is what an earlier edition showed under the same
    label, which can always be shown again, with the months it spoke of, because it tells nothing new.
    """

    value: int | None
    stands: tuple[Cell, int] | None


@dataclass(slots=True)
class Shown:
    """The edition in the making: numbers shown for the first time, those of earlier editions, and the hidden cells of all.

    `dark` says that the total itself is too small to appear, and with it every new number.
    """

    population: int
    told: Told
    fresh: dict[Cell, int] = field(default_factory=dict)
    hidden: set[Cell] = field(default_factory=set)
    dark: bool = False

    def facts(self) -> dict[Cell, int]:
        """Every number that anybody has been shown; of one shown twice, the newest."""
        return {**self.told.facts, **self.fresh}

    def audit(self, fresh: Mapping[Cell, int], hidden: Collection[Cell]) -> Finding:
        """Audit the edition as it would be with these fresh numbers and hidden cells added."""
        return audit({**self.fresh, **fresh}, self.told.facts, self.all_hidden(hidden), self.told.largest(self.population))

    def all_hidden(self, more: Collection[Cell] = ()) -> set[Cell]:
        """Every cell that this edition or an earlier one hides, and these."""
        return {*self.told.hidden, *self.hidden, *more}


def offer(cell: Cell, label: str, count: int, shown: Shown) -> Offer:
    """Apply the rules of one cell: the threshold, and standing by what earlier editions said until it moved by the threshold."""
    if cell in shown.hidden:
        return Offer(None, None)
    before, value = shown.told.last.get((cell.scope, cell.kind, label), (cell, None))
    if cell in shown.told.facts:
        before, value = cell, shown.told.facts[cell]
    moved = value is None or abs(count - value) >= THRESHOLD
    stands = None if value is None or (moved and count < THRESHOLD) else (before, value)
    was_hidden = value is None and ((cell.scope, cell.kind, label) in shown.told.last or cell in shown.told.hidden)
    enough = count >= (SURFACE if was_hidden else THRESHOLD)
    return Offer(count if moved and enough and not shown.dark else None, stands)


def nearly_whole(own: Mapping[Cell, int], facts: Mapping[Cell, int], population: int) -> set[Cell]:
    """The cells of `own` that differ from something shown around or inside them, or from the whole roster, by less than 11.

    Such a difference is itself a count of members: those in the larger set and not in the smaller. Nobody at all counts as
    less than 11 too: a cell that is all of its whole says the same of everyone in it.
    """
    return {
        cell
        for cell, value in own.items()
        if population - value < THRESHOLD
        or any(abs(value - other) < THRESHOLD for near, other in facts.items() if _nested(cell, near))
    }


def _nested(one: Cell, other: Cell) -> bool:
    return one != other and (_lies_in(one, other) or _lies_in(other, one))


def _lies_in(inner: Cell, outer: Cell) -> bool:
    return (
        outer.span.holds(inner.span)
        and outer.scope in {inner.scope, Scope.ANY}
        and (outer.kind in {inner.kind, ALL} or inner.kind.startswith(f"{outer.kind}."))
    )


def protect(
    own: Mapping[Cell, int], hidden: Collection[Cell], spare: Collection[Cell], shown: Shown, least: int
) -> Mapping[Cell, int] | None:
    """What may be shown of a cube's own cells: those left when, cheapest first, enough have been taken for the audit to pass.

    `hidden` are the cells of the cube that are hidden already; `spare` those of `own` for which an earlier number stands, so
    that they stay visible without their new one. None when fewer than `least` of `own` would be visible.
    """
    left = dict(own)
    for _ in range(_ROUNDS):
        facts = {**shown.facts(), **left}
        lattice = build_lattice(facts, shown.all_hidden(_concealed(own, left, hidden, spare)) - facts.keys())
        for cell in _uncovered(lattice, facts, left):
            del left[cell]
        if len(left.keys() | set(spare)) < least:
            return None
        finding = shown.audit(left, _concealed(own, left, hidden, spare))
        if finding.passed:
            return left
        extra = _companions(lattice, finding.narrow, left)
        if not extra:
            return None
        for cell in extra:
            del left[cell]
    return None


def _concealed(own: Mapping[Cell, int], left: Mapping[Cell, int], hidden: Collection[Cell], spare: Collection[Cell]) -> set[Cell]:
    return {*hidden, *(own.keys() - left.keys() - set(spare))}


def _uncovered(lattice: Lattice, facts: Mapping[Cell, int], own: Mapping[Cell, int]) -> set[Cell]:
    """The own cells to hide so that no subtraction of parts from a whole leaves a single hidden cell, or too few members."""
    values = {at: facts[cell] for at, cell in enumerate(lattice.nodes) if cell in facts}
    mine = {at for at, cell in enumerate(lattice.nodes) if cell in own}
    taken: set[int] = set()
    again = True
    while again:
        again = False
        for row in [row for row in _subtractions(lattice, values) if _is_bare(row, values, lattice)]:
            choice = _cheapest(row, mine - taken, values) if _is_bare(row, values, lattice) else None
            if choice is not None:
                taken.add(choice)
                del values[choice]
                again = True
    return {lattice.nodes[at] for at in taken}


def _subtractions(lattice: Lattice, values: Mapping[int, int]) -> Iterator[Row]:
    """Every row, and every row with its hidden families opened into their kinds: those can be subtracted all the same."""
    kinds = {row.parent: row.children for row in lattice.rows if _is_of_kinds(row, lattice)}
    for row in lattice.rows:
        yield row
        opened = [kinds.get(child, (child,)) if child not in values else (child,) for child in row.children]
        if any(len(parts) > 1 for parts in opened):
            yield Row(row.parent, tuple(child for parts in opened for child in parts))


def _is_of_kinds(row: Row, lattice: Lattice) -> bool:
    return all(lattice.nodes[child].span == lattice.nodes[row.parent].span for child in row.children)


def _is_bare(row: Row, values: Mapping[int, int], lattice: Lattice) -> bool:
    """Whether plain subtraction along this row says too much.

    A remainder far below zero shows that members are counted in several parts, so it bounds nothing; one just below
    zero is treated like a small one, since a few such members would explain it.
    """
    unknown = [at for at in row.children if at not in values]
    if row.parent not in values:
        return not unknown and row.parent in lattice.targets
    if not unknown:
        return False
    remainder = values[row.parent] - sum(values[at] for at in row.children if at in values)
    lone = len(unknown) == 1 and unknown[0] in lattice.targets and unknown[0] not in lattice.folded
    return remainder > -THRESHOLD and (lone or remainder < THRESHOLD)


def _cheapest(row: Row, mine: Collection[int], values: Mapping[int, int]) -> int | None:
    parts = [at for at in row.children if at in mine and at in values]
    if not parts and row.parent in mine and row.parent in values:
        return row.parent
    return min(parts, key=lambda at: (values[at], at), default=None)


def _companions(lattice: Lattice, narrow: Collection[Cell], own: Mapping[Cell, int]) -> set[Cell]:
    """For each cell that the audit found too narrow, the cheapest own cell beside it, or failing that the cheapest of all."""
    wanted = set(narrow)
    nodes = {at for at, cells in lattice.targets.items() if wanted.intersection(cells)}
    nodes |= {at for at, cell in enumerate(lattice.nodes) if cell in wanted}
    chosen: set[Cell] = set()
    for at in sorted(nodes):
        beside = {cell for cell in _beside(lattice, at) if cell in own}
        if beside and not beside & chosen:
            chosen.add(min(beside, key=lambda cell: (own[cell], cell)))
    if not chosen and own:
        chosen.add(min(own, key=lambda cell: (own[cell], cell)))
    return chosen


def _beside(lattice: Lattice, at: int) -> Iterator[Cell]:
    for row in lattice.rows:
        if at == row.parent or at in row.children:
            yield lattice.nodes[row.parent]
            yield from (lattice.nodes[child] for child in row.children)
