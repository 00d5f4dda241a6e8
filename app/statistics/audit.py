"""The auditor: how closely can each hidden cell be bounded by somebody who has read everything ever shown?

Linear programming over all cells of all editions (security.md G6, G10). The attacker knows what lies in what, that a whole is at
most the sum of its parts and that nothing exceeds the roster; and he may also believe that nobody is counted in two
parts, so that wholes are exactly sums. The audit is against the stronger of the two: he believes it wherever the shown
numbers do not refute it. What holds against him holds against the cautious one, who has fewer equations.

This module loads SciPy and is for workers only.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_array, eye_array, hstack

from app.statistics.cubes import Cell
from app.statistics.lattice import Lattice, build_lattice
from app.statistics.release import THRESHOLD

_TOLERANCE = 1e-6
_IDLE_ROUNDS = 2
_ENOUGH = 8
"""So many narrow nodes are told of at a time: a release that has one is refused, so looking for all of them would be idle."""

Vector = NDArray[np.float64]


class AuditError(RuntimeError):
    """The solver gave no answer; nothing may be released on the strength of such an audit."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What an audit found: hidden cells left in too narrow a range (not always all of them), and the narrowest range in members.

    `narrowest` is a proven least for cells that passed and exact for those that did not; None when nothing is hidden.
    """

    narrow: tuple[Cell, ...]
    narrowest: int | None

    @property
    def passed(self) -> bool:
        """Whether every hidden cell keeps a range of at least the threshold."""
        return not self.narrow


def audit(fresh: Mapping[Cell, int], earlier: Mapping[Cell, int], hidden: Iterable[Cell], population: int) -> Finding:
    """Bound every hidden cell from the fresh numbers, the earlier editions' and the roster.

    The world may have moved since an earlier edition, so its numbers, unlike the fresh ones, give way where they clash.
    Where nothing at all was shown nothing can be learnt, and the audit passes. Raises AuditError if the solver fails.
    """
    wanted = set(hidden) - fresh.keys() - earlier.keys()
    if not wanted:
        return Finding((), None)
    if not fresh and not earlier:
        return Finding((), population)
    lattice = build_lattice([*fresh, *(cell for cell in earlier if cell not in fresh)], wanted)
    polytope = _Polytope(lattice, fresh, earlier, population)
    return _Search(polytope, lattice).run()


class _Polytope:
    """Every set of numbers that fits what was shown and what the attacker believes."""

    def __init__(self, lattice: Lattice, fresh: Mapping[Cell, int], earlier: Mapping[Cell, int], population: int) -> None:
        size = len(lattice.nodes)
        ceiling = max([population, *fresh.values(), *earlier.values()])
        self.bounds = np.array([[0.0, float(ceiling)]] * size)
        for at, cell in enumerate(lattice.nodes):
            if cell in fresh:
                self.bounds[at] = fresh[cell]
        covers = [{row.parent: 1.0, **dict.fromkeys(row.children, -1.0)} for row in lattice.rows]
        nested = [{child: 1.0, parent: -1.0} for child, parent in lattice.inside]
        self.below = _matrix([*covers, *nested], size)
        self.equal = _matrix([], size)
        self.right: Vector = np.zeros(0)
        old = [at for at, cell in enumerate(lattice.nodes) if cell in earlier and cell not in fresh]
        told = [float(earlier[lattice.nodes[at]]) for at in old]
        for place in self._tenable(_matrix([{at: 1.0} for at in old], size), told):
            self.bounds[old[place]] = told[place]
        sums = _matrix(covers, size)
        kept = self._tenable(sums, [0.0] * len(covers))
        self.equal, self.right = sums[kept], np.zeros(len(kept))

    def _tenable(self, rows: csr_array, right: Sequence[float]) -> NDArray[np.intp]:
        """Which of these equations can hold together with the rest; the others are refuted by it."""
        count, size = rows.shape
        if not count:
            return np.zeros(0, dtype=np.intp)
        wanted = np.asarray(right, dtype=np.float64)
        slack = hstack([rows, eye_array(count), -eye_array(count)])
        answer = linprog(
            np.r_[np.zeros(size), np.ones(2 * count)],
            A_ub=hstack([self.below, csr_array((self.below.shape[0], 2 * count))]).tocsr(),
            b_ub=np.zeros(self.below.shape[0]),
            A_eq=csr_array(slack),
            b_eq=wanted,
            bounds=np.r_[self.bounds, np.array([[0.0, np.inf]] * (2 * count))],
            method="highs",
        )
        if answer.status != 0:
            raise AuditError(answer.message)
        off = answer.x[size : size + count] + answer.x[size + count :]
        return np.asarray(np.flatnonzero(off <= _TOLERANCE), dtype=np.intp)

    def extreme(self, weights: Vector) -> Vector:
        """A point of the polytope where the weighted sum is largest. Raises AuditError if the solver finds none."""
        answer = linprog(
            -weights,
            A_ub=self.below,
            b_ub=np.zeros(self.below.shape[0]),
            A_eq=self.equal,
            b_eq=self.right,
            bounds=self.bounds,
            method="highs",
        )
        if answer.status != 0:
            raise AuditError(answer.message)
        return np.asarray(answer.x, dtype=np.float64)


class _Search:
    """Finds, for each hidden cell, two possible worlds that differ in it by the threshold, or proves that there are none.

    One extreme point shows something about many cells at once, so most need no program of their own.
    """

    def __init__(self, polytope: _Polytope, lattice: Lattice) -> None:
        self._polytope = polytope
        self._lattice = lattice
        self._size = len(lattice.nodes)
        self._least: Vector = np.full(self._size, np.inf)
        self._most: Vector = np.full(self._size, -np.inf)

    def run(self) -> Finding:
        """Search until every hidden cell is shown to be safe or narrow."""
        open_ = sorted(self._lattice.targets)
        self._look(-self._spread(open_, 0))
        idle, turn = 0, 1
        while open_ and idle < _IDLE_ROUNDS:
            self._look(self._spread(open_, turn))
            left = [at for at in open_ if self._width(at) < THRESHOLD]
            idle = idle + 1 if len(left) == len(open_) else 0
            open_, turn = left, turn + 1
        found: list[int] = []
        for at in open_:
            for weights in (_unit(at, self._size), -_unit(at, self._size)):
                if self._width(at) < THRESHOLD:
                    self._look(weights)
            if self._width(at) < THRESHOLD:
                found.append(at)
            if len(found) == _ENOUGH:
                break
        targets = self._lattice.targets
        narrow = tuple(sorted(cell for at in found for cell in targets[at]))
        return Finding(narrow, min((self._width(at) for at in found or targets), default=None))

    def _look(self, weights: Vector) -> None:
        point = self._polytope.extreme(weights)
        self._least = np.minimum(self._least, point)
        self._most = np.maximum(self._most, point)

    def _width(self, at: int) -> int:
        """The range seen so far in whole members; of a folded node each part could be nobody, so it starts at zero."""
        least = 0 if at in self._lattice.folded else math.ceil(self._least[at] - _TOLERANCE)
        most: int = math.floor(self._most[at] + _TOLERANCE)
        return most - least

    def _spread(self, wanted: Collection[int], turn: int) -> Vector:
        """Uneven weights, different each turn, so that each turn pushes other cells to their ends."""
        weights = np.zeros(self._size)
        for place, at in enumerate(sorted(wanted)):
            weights[at] = 1 + (turn * 389 + place * 7919) % 997 if turn else 1
        return weights


def _unit(at: int, size: int) -> Vector:
    weights = np.zeros(size)
    weights[at] = 1.0
    return weights


def _matrix(rows: Sequence[Mapping[int, float]], size: int) -> csr_array:
    data = [value for row in rows for value in row.values()]
    columns = [column for row in rows for column in row]
    starts = np.cumsum([0, *(len(row) for row in rows)])
    return csr_array((np.array(data, dtype=np.float64), np.array(columns, dtype=np.int32), starts), (len(rows), size))
