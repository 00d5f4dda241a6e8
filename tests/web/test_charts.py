"""Charts stand where the numbers say, and what is hidden never looks like nought."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.statistics.cubes import FAMILIES, KindLevel, Scope, Span, TimeLevel, cells_at, kind_buckets
from app.statistics.release import ReleasedCell, ReleasedCube, released_cell
from app.timeline.wording import KINDS
from app.web import charts, labels

WINDOW = Span(2023 * 12 + 1, 2024 * 12 + 3)


def cells(time: TimeLevel, kind: KindLevel, *values: int | None) -> list[ReleasedCell]:
    found = [(bucket.label, name, cell) for bucket, name, cell in cells_at(Scope.ANY, time, kind, WINDOW)]
    given_values = [*values, *[None] * (len(found) - len(values))]
    return [released_cell(label, name, cell, value) for (label, name, cell), value in zip(found, given_values, strict=False)]


def cube(time: TimeLevel, kind: KindLevel, *values: int | None) -> ReleasedCube:
    shown = tuple(cells(time, kind, *values))
    return ReleasedCube(name="c", title="t", why="w", scope=Scope.ANY, time_level=time, kind_level=kind, cells=shown)


def test_the_shape_follows_the_levels() -> None:
    assert charts.shape_of(cube(TimeLevel.ALL, KindLevel.ALL)) is charts.Shape.NUMBER
    assert charts.shape_of(cube(TimeLevel.QUARTER, KindLevel.ALL)) is charts.Shape.COLUMNS
    assert charts.shape_of(cube(TimeLevel.ALL, KindLevel.FAMILY)) is charts.Shape.ROWS
    assert charts.shape_of(cube(TimeLevel.YEAR, KindLevel.KIND)) is charts.Shape.GRID


@given(st.lists(st.none() | st.integers(11, 5000), min_size=1, max_size=15))
def test_columns_stay_inside_and_are_as_high_as_their_numbers(values: list[int | None]) -> None:
    chart = charts.columns_of(cells(TimeLevel.MONTH, KindLevel.ALL, *values))
    top = max((tick.value for tick in chart.ticks), default=0)
    right = charts.LEFT
    for column in chart.columns:
        assert column.x >= right
        right = column.x + column.width
        assert abs(column.y + column.height - chart.bottom) < 0.02
        if column.value is None:
            assert column.height == charts.HIDDEN_HEIGHT
        else:
            assert column.value <= top
            assert abs(column.height - charts.PLOT_HEIGHT * column.value / top) < 0.02
    assert right <= 100


@given(st.integers(0, 10**6))
def test_the_scale_is_round_and_reaches_the_largest(largest: int) -> None:
    marks = charts.scale(largest)
    assert marks[0] == 0
    assert marks[-1] >= largest
    assert 3 <= len(marks) <= 6
    assert len({b - a for a, b in pairwise(marks)}) == 1


def test_hidden_bars_have_no_number_and_are_not_nought() -> None:
    chart = charts.bars_of(cells(TimeLevel.ALL, KindLevel.FAMILY, 40, None, 12))
    assert [bar.value for bar in chart.bars[:2]] == [40, 12]
    assert chart.any_hidden
    assert all(bar.width > 0 for bar in chart.bars)


def test_many_hidden_kinds_share_one_row_that_says_how_many() -> None:
    chart = charts.bars_of(cells(TimeLevel.ALL, KindLevel.KIND, 40, 12))
    assert len(chart.bars) == 3
    assert chart.bars[-1].label == f"{len(kind_buckets(KindLevel.KIND)) - 2} other kinds, each hidden"


def test_a_grid_names_the_kinds_that_are_hidden_throughout() -> None:
    shown = cells(TimeLevel.YEAR, KindLevel.FAMILY)
    first = shown[0].model_copy(update={"value": 30, "held": True})
    grid = charts.grid_of([first, *shown[1:]])
    assert grid.times == ("2023", "2024")
    assert [label for label, _ in grid.rows] == ["New accounts"]
    assert grid.rows[0][1][0].held == "from an earlier edition, February 2023 to December 2023"
    assert [cell.value for cell in grid.rows[0][1]] == [30, None]
    assert len(grid.unseen) == len(FAMILIES) - 1


def test_every_bucket_has_words_of_its_own() -> None:
    assert set(labels.FAMILIES) == set(FAMILIES)
    words = [labels.bucket_label(kind) for kind in KINDS]
    assert len(set(words)) == len(words)
    assert not any("." in word or "_" in word for word in words)
    assert [charts.time_label(label) for label in ("2023-03", "2023-Q4", "2023", "all")] == [
        "March 2023",
        "October to December 2023",
        "2023",
        "all months",
    ]
