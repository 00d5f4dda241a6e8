from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.statistics.cubes import (
    ALL,
    CUBES,
    FAMILIES,
    Cell,
    IncidentRow,
    KindLevel,
    Scope,
    Span,
    TimeLevel,
    canonical_kind,
    cells_at,
    count_members,
    month_label,
    month_of,
    parse_month,
    time_buckets,
)
from connectors.vocabulary import AlertKind
from tests.statistics.synthetic import FIRST, incident, moment, population

WINDOW = Span(FIRST, FIRST + 23)


def test_a_member_with_five_hundred_incidents_counts_once_in_every_cell() -> None:
    counts = count_members([incident(1, month % 24) for month in range(500)], WINDOW)
    assert set(counts.values()) == {1}


def test_the_month_is_that_of_first_receipt_in_utc() -> None:
    late_in_oakland = datetime(2023, 1, 31, 20, tzinfo=timezone(timedelta(hours=-8)))
    assert month_of(late_in_oakland) == month_of(datetime(2023, 2, 1, tzinfo=UTC))


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        month_of(datetime(2023, 1, 1))  # noqa: DTZ001 - the naive time is the point


def test_a_kind_outside_the_vocabulary_is_refused() -> None:
    row = IncidentRow(UUID(int=1), "new_account.unheard_of", "new_account", moment(0), "unsure")
    with pytest.raises(ValueError, match="vocabulary"):
        count_members([row], WINDOW)


def test_incidents_outside_the_window_do_not_enter() -> None:
    assert count_members([incident(1, 24), incident(2, -1)], WINDOW) == {}


def test_only_incidents_that_the_member_disowned_count_as_not_me() -> None:
    rows = [incident(1, 0, verdict="not_me"), incident(2, 0, verdict="was_me"), incident(3, 0, verdict="unsure")]
    counts = count_members(rows, WINDOW)
    assert counts[Cell(Scope.ANY, ALL, WINDOW)] == 3
    assert counts[Cell(Scope.NOT_ME, ALL, WINDOW)] == 1


@given(st.integers(0, 10_000), st.integers(1, 60))
def test_counts_are_those_of_a_plain_reading_of_the_rows(seed: int, hit: int) -> None:
    rows = population(seed, hit=hit)
    counts = count_members(rows, WINDOW)
    for time, kind, scope in [
        (TimeLevel.MONTH, KindLevel.KIND, Scope.ANY),
        (TimeLevel.QUARTER, KindLevel.FAMILY, Scope.NOT_ME),
        (TimeLevel.YEAR, KindLevel.ALL, Scope.ANY),
    ]:
        for bucket, name, cell in cells_at(scope, time, kind, WINDOW):
            plain = {
                row.member_id
                for row in rows
                if bucket.span.first <= month_of(row.first_received) <= bucket.span.last
                and name in {row.kind, row.family, ALL}
                and (scope is Scope.ANY or row.verdict == "not_me")
            }
            assert counts.get(cell, 0) == len(plain)


@given(st.integers(0, 40), st.integers(0, 40), st.sampled_from(list(TimeLevel)))
def test_time_buckets_tile_the_window_exactly(start: int, length: int, level: TimeLevel) -> None:
    window = Span(FIRST + start, FIRST + start + length)
    spans = [bucket.span for bucket in time_buckets(level, window)]
    months = [month for span in spans for month in range(span.first, span.last + 1)]
    assert months == list(range(window.first, window.last + 1))
    labels = [bucket.label for bucket in time_buckets(level, window)]
    assert len(set(labels)) == len(labels)


def test_labels_are_what_people_write() -> None:
    window = Span(FIRST + 1, FIRST + 12)
    assert [bucket.label for bucket in time_buckets(TimeLevel.QUARTER, window)] == [
        "2023-Q1",
        "2023-Q2",
        "2023-Q3",
        "2023-Q4",
        "2024-Q1",
    ]
    assert [bucket.label for bucket in time_buckets(TimeLevel.YEAR, window)] == ["2023", "2024"]
    assert [parse_month(month_label(month)) for month in range(FIRST, FIRST + 30)] == list(range(FIRST, FIRST + 30))


def test_which_rows_a_table_has_does_not_depend_on_anybody() -> None:
    cells = list(cells_at(Scope.ANY, TimeLevel.MONTH, KindLevel.KIND, WINDOW))
    assert len(cells) == 24 * len(AlertKind)


def test_a_kind_alone_in_its_family_is_the_same_cell_as_its_family() -> None:
    assert canonical_kind("ssn.use") == "ssn"
    assert canonical_kind("takeover.card") == "takeover.card"
    assert all(canonical_kind(family) == family for family in FAMILIES)


def test_every_cube_says_why_it_is_there_and_is_of_at_most_three_dimensions() -> None:
    assert len({cube.name for cube in CUBES}) == len(CUBES)
    assert all(len(cube.why) > 20 and cube.times[-1] is TimeLevel.ALL and cube.kinds[-1] is KindLevel.ALL for cube in CUBES)
