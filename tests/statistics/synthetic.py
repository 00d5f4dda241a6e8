"""Invented populations for the tests of the statistics."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest

from app.statistics.cubes import IncidentRow
from connectors.vocabulary import AlertKind

FIRST = 2023 * 12


def moment(month: int, day: int = 3) -> datetime:
    """A day of the month that many months after January 2023."""
    return datetime((FIRST + month) // 12, (FIRST + month) % 12 + 1, day, tzinfo=UTC)


def incident(
    member: int, month: int, kind: AlertKind = AlertKind.NEW_ACCOUNT_CREDIT_CARD, verdict: str = "unsure"
) -> IncidentRow:
    return IncidentRow(UUID(int=member), kind.value, kind.family, moment(month), verdict)


def crowd(start: int, size: int, month: int, kind: AlertKind = AlertKind.NEW_ACCOUNT_CREDIT_CARD) -> list[IncidentRow]:
    """So many members, numbered from `start`, each with one incident."""
    return [incident(member, month, kind) for member in range(start, start + size)]


def population(
    seed: int,
    *,
    hit: int,
    months: int = 24,
    kinds: Sequence[AlertKind] = tuple(AlertKind),
    extra: float = 1.5,
    skew: float = 1.2,
    heaviest: int = 1,
) -> list[IncidentRow]:
    """Incidents of `hit` members, most in the first months and of the first kinds; the first member has `heaviest` of them."""
    dice = random.Random(seed)
    order = dice.sample(list(kinds), len(kinds))
    weights = [1 / (place + 1) ** skew for place in range(len(order))]
    rows = []
    for member in range(hit):
        for _ in range((heaviest if member == 0 else 1) + int(dice.expovariate(1 / extra) if extra else 0)):
            early = min(int(dice.expovariate(1 / 8)), months - 1)
            month = early if dice.random() < 0.6 else dice.randrange(months)
            verdict = dice.choices(["not_me", "unanswered", "was_me"], [6, 3, 1])[0]
            rows.append(incident(member, month, dice.choices(order, weights)[0], verdict))
    return rows


def few_and_more(few: int, more: int) -> pytest.MarkDecorator:
    """So many seeds in the quick run, and so many in the whole one."""
    return pytest.mark.parametrize(
        "seeds", [pytest.param(few, marks=pytest.mark.sample), pytest.param(more, marks=pytest.mark.slow)]
    )
