"""What several editions tell between them (security.md G8, G10)."""

import dataclasses
import random

import pytest

from app.statistics.build import ReleaseError, build_release
from app.statistics.cubes import FAMILIES, IncidentRow
from app.statistics.release import Release, ReleasedCell, told_by
from connectors.vocabulary import AlertKind
from tests.statistics.exact import PeopleJudge
from tests.statistics.synthetic import crowd, incident, moment, population


def editions(rows: list[IncidentRow], months: range, roster: int = 714) -> list[Release]:
    made: list[Release] = []
    for month in months:
        known = [row for row in rows if row.first_received < moment(month)]
        made.append(build_release(known, population=roster, as_of=moment(month), since=moment(0), earlier=made))
    return made


def total(edition: Release) -> ReleasedCell:
    return edition.cubes[0].cells[0]


@pytest.mark.parametrize(("joining", "value", "held"), [(1, 40, True), (10, 40, True), (11, 51, False), (0, 40, True)])
def test_a_number_changes_only_once_it_has_moved_by_eleven(joining: int, value: int, held: bool) -> None:
    _, second = editions([*crowd(0, 40, 0), *crowd(100, joining, 1)], range(1, 3))
    assert (total(second).value, total(second).held) == (value, held)
    assert total(second).last_month == ("2023-01" if held else "2023-02")


def test_one_member_more_or_less_in_the_same_month_changes_nothing() -> None:
    rows = population(5, hit=90, months=6)
    first = build_release(rows, population=714, as_of=moment(6), since=moment(0))
    for gone in range(90):
        less = [row for row in rows if row.member_id.int != gone]
        second = build_release(less, population=714, as_of=moment(6), since=moment(0), earlier=[first])
        shown = {(cube.name, cell.time, cell.kind): cell.value for cube in first.cubes for cell in cube.cells}
        for cube in second.cubes:
            for cell in cube.cells:
                assert shown.get((cube.name, cell.time, cell.kind), cell.value) == cell.value


def test_a_hidden_total_appears_only_once_it_must_have_moved_by_eleven() -> None:
    rows = [*crowd(0, 8, 0), *crowd(100, 8, 1), *crowd(200, 8, 2)]
    assert [total(edition).value for edition in editions(rows, range(1, 4))] == [None, None, 24]


def test_a_number_that_fell_below_the_threshold_is_not_shown_anew() -> None:
    first = build_release(crowd(0, 40, 0), population=714, as_of=moment(1), since=moment(0))
    second = build_release(crowd(0, 7, 0), population=714, as_of=moment(2), since=moment(0), earlier=[first])
    assert total(second).value is None


@pytest.mark.long
def test_a_total_once_shown_stays_shown_while_members_are_added() -> None:
    shown = [total(edition).value for edition in editions(population(0, hit=150), range(1, 25))]
    first = next(place for place, value in enumerate(shown) if value is not None)
    assert None not in shown[first:]
    moves = [abs(new - old) for old, new in zip(shown[first:], shown[first + 1 :], strict=False)]
    assert all(move == 0 or move >= 11 for move in moves)


@pytest.mark.long
def test_an_edition_can_be_made_every_month_though_answers_change_and_members_leave() -> None:
    dice = random.Random(4)
    rows = population(4, hit=150)
    made: list[Release] = []
    for month in range(1, 25):
        rows = [
            dataclasses.replace(row, verdict=dice.choice(["not_me", "was_me"])) if dice.random() < 0.05 else row
            for row in rows
            if dice.random() > 0.003
        ]
        known = [row for row in rows if row.first_received < moment(month)]
        made.append(build_release(known, population=714, as_of=moment(month), since=moment(0), earlier=made))
        assert made[-1].audit.passed
        assert made[-1].audit.narrowest_width is None or made[-1].audit.narrowest_width >= 11


@pytest.mark.long
def test_people_behind_three_editions_cannot_be_told_from_each_other() -> None:
    judged = 0
    for seed in range(12):
        dice = random.Random(seed)
        rows = [
            incident(member, dice.choices(range(3), [3, 1, 2])[0], dice.choice([AlertKind.TAX_FRAUD, AlertKind.SSN_USE]))
            for member in range(dice.choice([40, 90]))
            for _ in range(dice.choice([1, 1, 2]))
        ]
        made = editions(rows, range(1, 4), roster=300)
        for one_place in (False, True):
            judge = PeopleJudge(made, FAMILIES, one_place)
            width = judge.narrowest()
            judged += width is not None
            assert width is None or width > 10
    assert judged >= 8


def test_what_was_told_is_read_back_from_the_editions() -> None:
    first, second = editions([*crowd(0, 40, 0), *crowd(100, 20, 1)], range(1, 3))
    told = told_by([first, second])
    assert {40, 60} <= set(told.facts.values())
    assert not told.hidden & told.facts.keys()
    assert told.cubes["total"] == second.cubes[0]


def test_what_an_edition_before_the_last_has_told_still_counts() -> None:
    (first,) = editions(crowd(0, 40, 0), range(1, 2))
    empty = first.model_copy(update={"cubes": (), "as_of": moment(2)})
    third = build_release(crowd(0, 45, 0), population=714, as_of=moment(3), since=moment(0), earlier=[first, empty])
    assert (total(third).value, total(third).held) == (40, True)


def test_an_edition_older_than_the_last_is_refused() -> None:
    made = editions(crowd(0, 40, 0), range(1, 3))
    with pytest.raises(ReleaseError, match="older"):
        build_release([], population=714, as_of=moment(1), earlier=made)


def test_the_first_month_is_settled_once() -> None:
    made = editions(crowd(0, 40, 0), range(1, 2))
    with pytest.raises(ReleaseError, match="settled"):
        build_release([], population=714, as_of=moment(2), since=moment(1), earlier=made)
