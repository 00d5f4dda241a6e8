"""Disputed incidents are not counted while they are; editions stay as they were, and what can be subtracted stays safe."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from uuid import UUID

import pytest

from app.connections import disputing
from app.kit import clock
from app.statistics.build import build_release
from app.statistics.cubes import IncidentRow
from app.statistics.release import Release, ReleasedCell
from tests.statistics.synthetic import crowd, moment
from tests.statistics.test_publish import PEOPLE, publish, stored
from tests.statistics.test_publish import crowd as more_people
from tests.support.world import NOW, World


def total(release: Release) -> ReleasedCell:
    return release.cubes[0].cells[0]


def disputed(rows: list[IncidentRow], first: int) -> list[IncidentRow]:
    """The same with the last rows, from the `first` on, disputed."""
    return [dataclasses.replace(row, disputed=number >= first) for number, row in enumerate(rows)]


def edition(rows: list[IncidentRow], month: int, *earlier: Release) -> Release:
    return build_release(rows, population=714, as_of=moment(month), earlier=earlier)


@pytest.mark.parametrize(("left", "value", "held"), [(40, 40, True), (30, 40, True), (29, 29, False), (11, 11, False)])
def test_fewer_are_told_only_once_eleven_or_more_are_gone(left: int, value: int, held: bool) -> None:
    """So nobody can tell by subtracting two editions whose alerts were disputed."""
    rows = crowd(0, 40, 0)
    first = edition(rows, 1)
    second = edition(disputed(rows, left), 1, first)
    assert (total(first).value, total(second).value, total(second).held) == (40, value, held)
    assert second.audit.passed
    third = edition(rows, 1, first, second)
    assert (total(third).value, third.audit.passed) == (40, True), "counted again after the mark is withdrawn"


@pytest.mark.parametrize("left", [0, 7])
def test_too_few_to_be_shown_are_not_shown(left: int) -> None:
    rows = crowd(0, 40, 0)
    first = edition(rows, 1)
    second = edition(disputed(rows, left), 1, first)
    assert all(cell.value is None or cell.held for cube in second.cubes for cell in cube.cells)
    assert total(second).value is None


def test_the_first_month_does_not_hang_on_what_is_disputed_when_the_first_edition_is_made() -> None:
    rows = [*crowd(0, 40, 14), *crowd(100, 30, 0)]
    first = edition(disputed(rows, 40), 15)
    assert (first.first_month, total(first).value) == ("2023-01", 40)
    assert total(edition(rows, 15, first)).value == 70


@pytest.mark.long
async def test_an_edition_leaves_out_what_is_disputed_and_the_next_counts_it_again(world: World) -> None:
    await more_people(world, size=PEOPLE)  # received at NOW, the others 40 days later
    await more_people(world, start=PEOPLE, size=15)
    await publish(world)
    where = (world.context.keyring, world.union.id, world.union.connection.connection.id)
    async with world.context.database.begin() as tx:
        end = NOW + timedelta(days=1)
        made = await disputing.dispute(tx, *where, received_from=NOW, received_until=end, reason="Taken over.")
    await publish(world)
    async with world.context.database.begin() as tx:
        await disputing.withdraw(tx, *where, made.id)
    before = [row.body for row in await stored(world)]
    await publish(world)
    rows = await stored(world)
    assert [row.body for row in rows[:2]] == before, "what was published stays as it was"
    assert [total(Release.model_validate(row.body)).value for row in rows] == [PEOPLE + 15, 15, PEOPLE + 15]
    assert [Release.model_validate(row.body).audit.passed for row in rows] == [True] * 3
    assert clock.now() > NOW


def test_a_disputed_row_of_somebody_who_is_counted_anyway_changes_nothing() -> None:
    rows = crowd(0, 40, 0)
    twice = [*rows, *(dataclasses.replace(row, disputed=True) for row in rows[:20])]
    assert edition(twice, 1).cubes == edition(rows, 1).cubes
    assert {row.member_id for row in rows[:1]} == {UUID(int=0)}
