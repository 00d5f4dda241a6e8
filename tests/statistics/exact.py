"""An independent judge of small releases, written from the definition and not from the implementation.

The implementation reasons about cells and inequalities. This judge reasons about people: a member's history is the set of
(month, kind group) pairs in which they had an incident, and whether they said not_me there; a world is how many members have
each history. It keeps every world that shows exactly what was shown, and asks how far a hidden cell can move between them.
Whole members, solved as integers.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from app.statistics.release import Release

REST = "everything else"
LARGEST = 260
"""The most histories that one world may hold."""


def months_between(first: str, last: str) -> set[str]:
    (year, month), (last_year, last_month) = ([int(part) for part in text.split("-")] for text in (first, last))
    out = set()
    while (year, month) <= (last_year, last_month):
        out.add(f"{year:04d}-{month:02d}")
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return out


def _claims(
    releases: Sequence[Release], families: dict[str, tuple[str, ...]]
) -> list[tuple[str, frozenset[str], str, int | None]]:
    """What is said of whom; a kind that is alone in its family is its family."""

    def named(kind: str) -> str:
        family = kind.split(".")[0]
        return family if len(families.get(family, ())) == 1 else kind

    return [
        (cube.scope.value, frozenset(months_between(cell.first_month, cell.last_month)), named(cell.kind), cell.value)
        for release in releases
        for cube in release.cubes
        for cell in cube.cells
    ]


class PeopleJudge:
    """All worlds that fit what these releases show; with one_place, only those where nobody is counted in two places.

    Histories grow fast with months and kinds, so a release with more than LARGEST of them goes unjudged.
    """

    def __init__(self, releases: Sequence[Release], families: dict[str, tuple[str, ...]], one_place: bool) -> None:
        self.claims = _claims(releases, families)
        self.families = families
        self.population = max(release.population for release in releases)
        lit = sorted({kind for _, _, kind, value in self.claims if value is not None and kind != "all"})
        self.groups = [*(kind for kind in lit if not self._has_lit_kind(kind, lit)), REST]
        self.groups += [f"{kind} otherwise" for kind in lit if self._has_lit_kind(kind, lit)]
        months = sorted(set().union(*(claim[1] for claim in self.claims)))
        self.scopes = scopes = any(scope == "not_me" and value is not None for scope, _, _, value in self.claims)
        self.atoms = list(product(months, self.groups))
        states = 3 if scopes else 2
        self.size = 1 + len(self.atoms) * (states - 1) if one_place else states ** len(self.atoms)
        if self.size > LARGEST:
            self.histories = np.zeros((0, len(self.atoms)))
        elif one_place:
            rows = [np.zeros(len(self.atoms), dtype=int)]
            for at, state in product(range(len(self.atoms)), range(1, states)):
                rows.append(np.zeros(len(self.atoms), dtype=int))
                rows[-1][at] = state
            self.histories = np.array(rows)
        else:
            self.histories = np.array(list(product(range(states), repeat=len(self.atoms))))

    def _has_lit_kind(self, kind: str, lit: Sequence[str]) -> bool:
        return any(other in lit for other in self.families.get(kind, ()) if len(self.families[kind]) > 1)

    def _group_of(self, kind: str) -> set[str]:
        if kind == "all":
            return set(self.groups)
        if kind in self.groups:
            return {kind}
        family = kind.split(".")[0]
        if f"{family} otherwise" in self.groups:
            return {f"{family} otherwise"} | (
                {group for group in self.groups if group.startswith(f"{family}.")} if kind == family else set()
            )
        if family in self.groups:
            return {family}
        return {REST} | ({group for group in self.groups if group.startswith(f"{family}.")} if kind == family else set())

    def _column(self, scope: str, months: frozenset[str], kind: str) -> np.ndarray:
        groups = self._group_of(kind)
        where = [at for at, (month, group) in enumerate(self.atoms) if month in months and group in groups]
        return (self.histories[:, where] >= (2 if scope == "not_me" and self.scopes else 1)).any(axis=1).astype(float)

    def shown(self) -> list[tuple[np.ndarray, int]]:
        return [(self._column(*claim[:3]), claim[3]) for claim in self.claims if claim[3] is not None]

    def narrowest(self) -> float | None:
        """The narrowest range of any hidden cell, or None when there are too many worlds, or none that fits."""
        if self.size > LARGEST:
            return None
        facts = self.shown()
        rules = [LinearConstraint(np.ones(self.size), 0, self.population)]
        rules += [LinearConstraint(column, value, value) for column, value in facts]
        known = {claim[:3] for claim in self.claims if claim[3] is not None}
        widths: dict[bytes, float] = {}
        for scope, months, kind, value in self.claims:
            if value is not None or (scope, months, kind) in known:
                continue
            column = self._column(scope, months, kind)
            alone = (kind == "all" or kind in self.groups) and (self.scopes or scope == "any")
            key = column.tobytes() + bytes([alone])
            if key not in widths:
                most = self._solve(-column, rules)
                least = self._solve(column, rules) if alone else 0.0
                if most is None or least is None:
                    return None
                widths[key] = -most - least
        return min(widths.values(), default=float("inf"))

    def _solve(self, weights: np.ndarray, rules: list[LinearConstraint]) -> float | None:
        answer = milp(
            weights,
            constraints=rules,
            bounds=Bounds(0, self.population),
            integrality=np.ones(self.size),
            options={"node_limit": 500},
        )
        return round(float(answer.fun)) if answer.status == 0 else None
