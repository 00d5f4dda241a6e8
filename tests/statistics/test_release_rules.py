"""What one edition shows and hides, on cases small enough to work out by hand."""

import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime

import pytest

from app.statistics.build import ReleaseError, build_release
from app.statistics.cubes import CUBES, IncidentRow, KindLevel, TimeLevel
from app.statistics.ladder import LADDER, rungs
from app.statistics.release import Release, ReleasedCube
from connectors.vocabulary import AlertKind
from tests.statistics.synthetic import crowd, incident, moment, population

CARD, AUTO, TAX, SSN = (
    AlertKind.NEW_ACCOUNT_CREDIT_CARD,
    AlertKind.NEW_ACCOUNT_AUTO,
    AlertKind.TAX_FRAUD,
    AlertKind.SSN_USE,
)


def release(rows: list[IncidentRow], roster: int = 714, months: int = 3, **more: object) -> Release:
    as_of: datetime = moment(months)
    return build_release(rows, population=roster, as_of=as_of, since=moment(0), **more)


def cube(edition: Release, name: str) -> ReleasedCube:
    return next(found for found in edition.cubes if found.name == name)


def values(edition: Release, name: str) -> Mapping[tuple[str, str], int | None]:
    return {(cell.time, cell.kind): cell.value for cell in cube(edition, name).cells}


@pytest.mark.parametrize(("hit", "shown"), [(10, None), (11, 11), (1, None), (0, None), (703, 703), (704, None), (714, None)])
def test_the_total_is_shown_from_eleven_and_up_to_all_but_eleven(hit: int, shown: int | None) -> None:
    assert values(release(crowd(0, hit, 0)), "total") == {("all", "all"): shown}


def test_a_roster_of_ten_or_fewer_learns_nothing() -> None:
    edition = release(crowd(0, 10, 0), roster=10)
    assert {cell.value for found in edition.cubes for cell in found.cells} == {None}


def test_a_cell_of_zero_is_hidden_like_any_small_one() -> None:
    rows = [*crowd(0, 30, 0), *crowd(100, 40, 1), *crowd(200, 50, 2), *crowd(300, 5, 3)]
    months = values(release(rows, months=5), "by_time")
    assert months["2023-04", "all"] is None
    assert months["2023-05", "all"] is None
    assert months["2023-03", "all"] == 50


def test_one_hidden_month_takes_the_cheapest_other_with_it() -> None:
    wide = release([*crowd(0, 30, 0), *crowd(100, 20, 1), *crowd(200, 5, 2), *crowd(300, 50, 3)], months=4)
    shown = values(wide, "by_time")
    assert shown["2023-03", "all"] is None
    assert shown["2023-02", "all"] is None
    assert (shown["2023-01", "all"], shown["2023-04", "all"]) == (30, 50)


def test_all_minus_all_but_one_gives_nothing_away() -> None:
    """The subtraction that CDC WONDER's rule is known to lose to (security.md G9)."""
    edition = release([*crowd(0, 100, 0, CARD), *crowd(200, 60, 0, TAX), *crowd(300, 4, 0, SSN)], months=1)
    families = values(edition, "by_kind")
    shown = [value for (_, kind), value in families.items() if value is not None and kind != "all"]
    total = values(edition, "total")["all", "all"]
    assert total == 164
    assert all(abs(total - value) >= 11 for value in shown)
    assert total - sum(shown) >= 11


def test_a_part_that_is_nearly_its_whole_is_hidden() -> None:
    edition = release([*crowd(0, 95, 0, CARD), *crowd(95, 5, 0, TAX)], months=1)
    assert values(edition, "total") == {("all", "all"): 100}
    assert 95 not in values(edition, "by_kind").values()


def test_a_part_that_is_all_of_its_whole_is_hidden() -> None:
    edition = release(crowd(0, 100, 1, CARD), months=3)
    assert cube(edition, "by_time").time_level is not TimeLevel.MONTH
    assert cube(edition, "by_kind").kind_level is KindLevel.ALL


def test_a_cell_so_large_that_the_rest_of_the_roster_is_small_is_hidden() -> None:
    edition = release([*crowd(0, 45, 0), *crowd(0, 20, 1), *crowd(20, 20, 2)], roster=50)
    assert all(cell.value is None or cell.value <= 39 for found in edition.cubes for cell in found.cells)


def test_a_month_that_has_not_ended_does_not_enter() -> None:
    rows = [*crowd(0, 30, 0), *crowd(100, 30, 1)]
    edition = build_release(rows, population=714, as_of=moment(1, 28), since=moment(0))
    assert edition.last_month == "2023-01"
    assert values(edition, "total") == {("all", "all"): 30}


def test_before_the_first_month_has_ended_there_is_nothing_to_show() -> None:
    edition = build_release(crowd(0, 30, 0), population=714, as_of=moment(0, 28), since=moment(0))
    assert edition.cubes == ()
    assert edition.last_month is None


def test_the_finest_level_that_keeps_the_rules_is_taken() -> None:
    even = [row for month in range(6) for row in crowd(month * 100, 40, month)]
    assert cube(release(even, months=6), "by_time").time_level is TimeLevel.MONTH
    sparse = [row for month in range(6) for row in crowd(month * 100, 6, month)]
    assert cube(release(sparse, months=6), "by_time").time_level is TimeLevel.QUARTER


def test_the_ladder_never_steps_to_a_finer_level_and_ends_in_the_total() -> None:
    times, kinds = list(TimeLevel), list(KindLevel)
    for place, (time, kind) in enumerate(LADDER):
        finer = [pair for pair in LADDER[place + 1 :] if times.index(pair[0]) <= times.index(time)]
        assert all(kinds.index(pair[1]) > kinds.index(kind) for pair in finer)
    assert all(list(rungs(found))[-1] == (TimeLevel.ALL, KindLevel.ALL) for found in CUBES)


def test_a_scenario_of_the_usual_size_shows_at_least_eight_cells_and_the_total() -> None:
    for seed in range(8):
        edition = release(population(seed, hit=150), months=24)
        visible = {
            (found.scope, cell.time, cell.kind) for found in edition.cubes for cell in found.cells if cell.value is not None
        }
        assert len(visible) >= 8
        assert values(edition, "total") == {("all", "all"): 150}


def test_the_release_is_json_and_comes_back_the_same() -> None:
    edition = release(population(1, hit=150), months=24)
    assert Release.model_validate(json.loads(edition.model_dump_json())) == edition


def test_the_same_rows_in_any_order_make_the_same_release() -> None:
    rows = population(3, hit=120)
    assert release(rows, months=24) == release(rows[::-1], months=24)


def test_more_members_hit_than_on_the_roster_is_an_error() -> None:
    with pytest.raises(ReleaseError, match="roster"):
        release(crowd(0, 30, 0), roster=29)


def test_a_member_with_five_hundred_incidents_does_not_lift_a_cell_over_the_threshold() -> None:
    rows = [*crowd(0, 10, 0), *(incident(3, 0, kind) for kind in AlertKind for _ in range(10))]
    assert values(release(rows), "total") == {("all", "all"): None}


def test_reading_stored_releases_does_not_load_the_workers_libraries() -> None:
    code = "import sys, app.statistics.release, app.statistics.cubes; sys.exit('scipy' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
