"""What data a kind of fraud needs, and how much of it was exposed. Pure, but for reading its own table.

Source: domain research 1.4. A row has minimal sufficient sets S; with E* the exposed elements closed under derivation,
the nexus is max over S of |S ∩ E*| / |S|. Where every S lacks a KEY element the answer is `not_enabled`, whatever the
fraction (Antman v. Uber).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import cache, lru_cache
from importlib import resources
from itertools import product as combinations
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.breaches.sources import Mark
from connectors.vocabulary import AlertKind, DataElement

ElementSet = frozenset[DataElement]


class NexusStatus(StrEnum):
    """Whether the exposed elements were enough for the kind of fraud."""

    ENABLED = "enabled"
    PARTLY = "partly"
    NOT_ENABLED = "not_enabled"
    NOT_ASSESSABLE = "not_assessable"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Citation(_Strict):
    """One source of the table and what it says."""

    mark: Mark
    source: str
    says: str


class Derivation(_Strict):
    """Who holds `source` holds `gives` too."""

    rule: str
    source: DataElement
    gives: tuple[DataElement, ...] = Field(min_length=1)
    says: str
    mark: Mark


class NexusRow(_Strict):
    """One kind of fraud. `needs` lists alternatives; an item that is a list means one of its elements."""

    code: str
    title: str
    aliases: tuple[str, ...] = ()
    needs: tuple[tuple[DataElement | tuple[DataElement, ...], ...], ...] = Field(min_length=1)
    keys: frozenset[DataElement] = frozenset()
    raises: tuple[DataElement, ...] = ()
    weak_on: str | None = None
    caution: str | None = None
    caution_unless: frozenset[DataElement] = frozenset()
    note: str | None = None
    mark: Mark

    @property
    def sets(self) -> tuple[ElementSet, ...]:
        """The minimal sufficient sets, every "or" expanded, in the order of the table."""
        expanded = (
            frozenset(choice)
            for alternative in self.needs
            for choice in combinations(*((i,) if isinstance(i, DataElement) else i for i in alternative))
        )
        return tuple(dict.fromkeys(expanded))

    def lacks_key(self, needed: ElementSet, held: ElementSet) -> bool:
        """Whether a KEY element of the set `needed` is not among `held`."""
        return bool((needed & self.keys) - held)


class Matrix(_Strict):
    """The whole table, one version of it. Every kind of alert has a row, goes by product, or says why it has none."""

    version: str
    title: str
    citations: tuple[Citation, ...]
    derivations: tuple[Derivation, ...]
    rows: tuple[NexusRow, ...]
    kinds: dict[AlertKind, str]
    by_product: frozenset[AlertKind]
    not_assessable: dict[AlertKind, str]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        codes = [row.code for row in self.rows]
        if len(set(codes)) != len(codes):
            raise ValueError("a row code stands twice")
        if unknown := set(self.kinds.values()) - set(codes):
            raise ValueError(f"kinds point at rows that do not exist: {sorted(unknown)}")
        places = [*self.kinds, *self.by_product, *self.not_assessable]
        if sorted(places) != sorted(AlertKind):
            raise ValueError("every kind must stand exactly once in kinds, by_product or not_assessable")
        return self

    def row_for(self, kind: AlertKind, product: AlertKind | None) -> tuple[NexusRow | None, str | None]:
        """The row of a kind, or None and the reason in plain words. An inquiry takes the row of its product."""
        subject = kind
        if kind in self.by_product:
            if product is None:
                return None, "What was applied for is not known, so what it needed is not known."
            if product in self.by_product:
                return None, "The product named is itself an inquiry, so what it needed is not known."
            subject = product
        if subject in self.kinds:
            code = self.kinds[subject]
            return next(row for row in self.rows if row.code == code), None
        return None, self.not_assessable[subject]


@dataclass(frozen=True, slots=True)
class DerivationStep:
    """One rule applied: `source` was held, so `gives` (the elements that were new at that step) are held too."""

    rule: str
    source: DataElement
    gives: tuple[DataElement, ...]
    says: str


@dataclass(frozen=True, slots=True)
class Closure:
    """Exposed elements with everything that follows from them, and the steps in the order they were taken."""

    elements: ElementSet
    steps: tuple[DerivationStep, ...]


@dataclass(frozen=True, slots=True)
class Nexus:
    """The answer for one act. `fraction` is |best_set ∩ E*| / |best_set|; all sets are empty when not assessable.

    `present` and `missing` divide `best_set`; `derived_steps` are the steps that `present` rests on; `raised_by` are
    exposed elements that make the use easier; `caution` is plain words where the row has some; `reason` is set only
    when not assessable.
    """

    status: NexusStatus
    version: str
    fraction: Fraction | None = None
    needed: tuple[ElementSet, ...] = ()
    best_set: ElementSet = frozenset()
    present: ElementSet = frozenset()
    missing: ElementSet = frozenset()
    derived_steps: tuple[DerivationStep, ...] = ()
    raised_by: ElementSet = frozenset()
    caution: str | None = None
    row: NexusRow | None = None
    reason: str | None = None


@cache
def load_matrix() -> Matrix:
    """The table shipped with this package. Raises pydantic.ValidationError if it is not whole."""
    text = resources.files("app.breaches").joinpath("data/nexus.yaml").read_text(encoding="utf-8")
    return Matrix.model_validate(yaml.safe_load(text))


def close(elements: Iterable[DataElement], matrix: Matrix | None = None) -> Closure:
    """Close exposed elements under derivation, recording only steps that add something. Idempotent and monotone."""
    rules = (matrix or load_matrix()).derivations
    held = set(elements)
    steps: list[DerivationStep] = []
    grown = True
    while grown:
        grown = False
        for rule in rules:
            new = tuple(e for e in rule.gives if e not in held)
            if rule.source in held and new:
                held.update(new)
                steps.append(DerivationStep(rule.rule, rule.source, new, rule.says))
                grown = True
    return Closure(frozenset(held), tuple(steps))


def _steps_behind(present: ElementSet, exposed: ElementSet, closure: Closure) -> tuple[DerivationStep, ...]:
    """The steps that the present but not directly exposed elements rest on, through every link of the chain."""
    wanted = set(present - exposed)
    used: list[DerivationStep] = []
    for step in reversed(closure.steps):
        if wanted.intersection(step.gives):
            used.append(step)
            if step.source not in exposed:
                wanted.add(step.source)
    return tuple(reversed(used))


def assess(kind: AlertKind, product: AlertKind | None, exposed: Iterable[DataElement], matrix: Matrix | None = None) -> Nexus:
    """How far `exposed` (one wave's elements for one member, not yet closed) is enough for an act of `kind`.

    `matrix` stands for counsel's override of the shipped table. The best set is the one most covered; among equals one
    with its KEY elements, then the first of the table.
    """
    direct = frozenset(exposed)
    if matrix is None or matrix is load_matrix():
        return _by_the_shipped(kind, product, direct)
    return _assess(kind, product, direct, matrix)


@lru_cache(maxsize=4096)
def _by_the_shipped(kind: AlertKind, product: AlertKind | None, direct: ElementSet) -> Nexus:
    """The same few acts and elements come again and again."""
    return _assess(kind, product, direct, load_matrix())


def _assess(kind: AlertKind, product: AlertKind | None, direct: ElementSet, table: Matrix) -> Nexus:
    row, reason = table.row_for(kind, product)
    if row is None:
        return Nexus(status=NexusStatus.NOT_ASSESSABLE, version=table.version, reason=reason)
    closure = close(direct, table)
    held = closure.elements
    best = max(row.sets, key=lambda s: (Fraction(len(s & held), len(s)), not row.lacks_key(s, held)))
    fraction = Fraction(len(best & held), len(best))
    if fraction == 1:
        status = NexusStatus.ENABLED
    elif fraction == 0 or all(row.lacks_key(s, held) for s in row.sets):
        status = NexusStatus.NOT_ENABLED
    else:
        status = NexusStatus.PARTLY
    return Nexus(
        status=status,
        version=table.version,
        fraction=fraction,
        needed=row.sets,
        best_set=best,
        present=best & held,
        missing=best - held,
        derived_steps=_steps_behind(best & held, direct, closure),
        raised_by=frozenset(row.raises) & held,
        caution=None if row.caution_unless & held else row.caution,
        row=row,
    )
