"""Where the marks of a chart stand. Pure: released cells in, positions out; the template only draws.

Across, everything is in percent of the chart's width, so that text keeps its size on a phone; down, in pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.statistics.cubes import ALL, CUBES, KindLevel, TimeLevel
from app.statistics.release import ReleasedCell, ReleasedCube
from app.web.dates import plain_month
from app.web.labels import bucket_label

PLOT_TOP = 26.0
PLOT_HEIGHT = 190.0
LEFT, RIGHT = 8.0, 99.5
HIDDEN_HEIGHT = 34.0
HIDDEN_WIDTH = 8.0
ROW_HEIGHT = 46
MOST_ROWS = 20
SHADES = 5
_FILLED = 0.7
_LABELLED = 16


class Shape(StrEnum):
    """How a cube is best shown: one number, columns over time, rows by kind, or a grid of both."""

    NUMBER = "number"
    COLUMNS = "columns"
    ROWS = "rows"
    GRID = "grid"


@dataclass(frozen=True, slots=True)
class Column:
    """One column; x and width in percent, y and height in pixels. `value` None: hidden."""

    label: str
    short: str
    group: str
    value: int | None
    x: float
    middle: float
    width: float
    y: float
    height: float
    minor: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """One line of the scale: its number and its height in pixels from the top."""

    value: int
    y: float


@dataclass(frozen=True, slots=True)
class Columns:
    """A chart over time."""

    columns: tuple[Column, ...]
    ticks: tuple[Tick, ...]
    bottom: float
    values_shown: bool

    @property
    def any_hidden(self) -> bool:
        """Whether a number is hidden, so that the hatching must be explained."""
        return any(column.value is None for column in self.columns)


@dataclass(frozen=True, slots=True)
class Bar:
    """One row; `width` in percent of the whole. `value` None: hidden."""

    label: str
    value: int | None
    width: float
    y: int


@dataclass(frozen=True, slots=True)
class Bars:
    """A chart by kind; `height` in pixels."""

    bars: tuple[Bar, ...]
    height: int

    @property
    def any_hidden(self) -> bool:
        """Whether a number is hidden."""
        return any(bar.value is None for bar in self.bars)


@dataclass(frozen=True, slots=True)
class GridCell:
    """One cell of a grid; `shade` 0 to 4, the darker the more members. `value` None: hidden."""

    value: int | None
    shade: int
    held: str | None


@dataclass(frozen=True, slots=True)
class Grid:
    """Kinds down, times across. Kinds that are hidden at all times are named in `unseen` alone."""

    times: tuple[str, ...]
    rows: tuple[tuple[str, tuple[GridCell, ...]], ...]
    unseen: tuple[str, ...]


def shape_of(cube: ReleasedCube) -> Shape:
    """How to show a cube, by the levels at which it was released."""
    over_time, by_kind = cube.time_level is not TimeLevel.ALL, cube.kind_level is not KindLevel.ALL
    if over_time and by_kind:
        return Shape.GRID
    if over_time:
        return Shape.COLUMNS
    return Shape.ROWS if by_kind else Shape.NUMBER


_TIMES = {
    TimeLevel.MONTH: "month by month",
    TimeLevel.QUARTER: "by quarter of a year",
    TimeLevel.YEAR: "year by year",
    TimeLevel.ALL: "all months together",
}
_KINDS = {KindLevel.KIND: "each kind by itself", KindLevel.FAMILY: "kinds in families", KindLevel.ALL: "all kinds together"}


def cut_text(cube: ReleasedCube) -> str | None:
    """How coarsely a cube is shown and why, for a cube that could be finer; None for one at its finest."""
    reviewed = next((known for known in CUBES if known.name == cube.name), None)
    if reviewed is None or (cube.time_level, cube.kind_level) == (reviewed.times[0], reviewed.kinds[0]):
        return None
    said = [_TIMES[cube.time_level]] if len(reviewed.times) > 1 else []
    said += [_KINDS[cube.kind_level]] if len(reviewed.kinds) > 1 else []
    return f"Shown {', '.join(said)}: any finer could give somebody away, or would leave little to see."


def time_label(label: str) -> str:
    """A time bucket in words: "March 2023", "January to March 2023", "2023", "all months"."""
    if label == ALL:
        return "all months"
    year, _, part = label.partition("-")
    if part.startswith("Q"):
        first = int(part[1:]) * 3 - 2
        return f"{_month_name(first)} to {_month_name(first + 2)} {year}"
    return plain_month(label) if part else year


def held_text(cell: ReleasedCell) -> str | None:
    """The months that a number from an earlier edition speaks of; None for a number of this edition."""
    if not cell.held:
        return None
    return f"from an earlier edition, {plain_month(cell.first_month)} to {plain_month(cell.last_month)}"


def _month_name(month: int) -> str:
    return plain_month(f"2000-{month:02d}").split(" ")[0]


def _short(label: str) -> tuple[str, str, bool]:
    """The short label under a column, the year below it, and whether a phone leaves the short one out."""
    year, _, part = label.partition("-")
    if part.startswith("Q"):
        return part, year, False
    return (_month_name(int(part))[:3], year, int(part) % 3 != 1) if part else (year, "", False)


def scale(largest: int) -> tuple[int, ...]:
    """Round numbers from nought to at least `largest`, four to six of them."""
    needed = max(largest, 4)
    power = 10 ** max(0, len(str(needed)) - 2)
    step = next(power * m for m in (1, 2, 5, 10, 20, 50) if power * m * 5 >= needed)
    return tuple(range(0, -(-needed // step) * step + 1, step))


def columns_of(cells: Sequence[ReleasedCell]) -> Columns:
    """The chart of one series over time."""
    marks = scale(max((cell.value or 0 for cell in cells), default=0))
    bottom, slot = PLOT_TOP + PLOT_HEIGHT, (RIGHT - LEFT) / max(len(cells), 1)
    columns, years = [], set()
    for place, cell in enumerate(cells):
        height = HIDDEN_HEIGHT if cell.value is None else PLOT_HEIGHT * cell.value / marks[-1]
        short, year, minor = _short(cell.time)
        start = LEFT + slot * place
        columns.append(
            Column(
                label=time_label(cell.time),
                short=short,
                group=year if year not in years else "",
                value=cell.value,
                x=round(start + slot * (1 - _FILLED) / 2, 3),
                middle=round(start + slot / 2, 3),
                width=round(slot * _FILLED, 3),
                y=round(bottom - height, 2),
                height=round(height, 2),
                minor=minor,
            )
        )
        years.add(year)
    ticks = tuple(Tick(value, round(bottom - PLOT_HEIGHT * value / marks[-1], 2)) for value in marks)
    return Columns(tuple(columns), ticks, bottom, len(cells) <= _LABELLED)


def bars_of(cells: Sequence[ReleasedCell]) -> Bars:
    """The chart of one number for each kind, the largest first; many hidden kinds share one row at the end."""
    seen = sorted((c for c in cells if c.value is not None), key=lambda c: (-(c.value or 0), c.kind))
    hidden = [c for c in cells if c.value is None]
    largest = max((c.value or 0 for c in seen), default=0) or 1
    rows = [(bucket_label(c.kind), c.value, round(86 * (c.value or 0) / largest, 2)) for c in seen]
    if len(cells) > MOST_ROWS and len(hidden) > 1:
        rows.append((f"{len(hidden)} other kinds, each hidden", None, HIDDEN_WIDTH))
    else:
        rows += [(bucket_label(c.kind), None, HIDDEN_WIDTH) for c in hidden]
    bars = tuple(Bar(label, value, width, place * ROW_HEIGHT) for place, (label, value, width) in enumerate(rows))
    return Bars(bars, len(bars) * ROW_HEIGHT)


def grid_of(cells: Sequence[ReleasedCell]) -> Grid:
    """The table of kinds and times, shaded by number."""
    times = tuple(dict.fromkeys(cell.time for cell in cells))
    kinds = tuple(dict.fromkeys(cell.kind for cell in cells))
    held = {(cell.kind, cell.time): cell for cell in cells}
    largest = max((cell.value or 0 for cell in cells), default=0) or 1
    rows, unseen = [], []
    for kind in kinds:
        line = [held[kind, time] for time in times if (kind, time) in held]
        if all(cell.value is None for cell in line):
            unseen.append(bucket_label(kind))
        else:
            shown = tuple(GridCell(c.value, min(SHADES - 1, (c.value or 0) * SHADES // largest), held_text(c)) for c in line)
            rows.append((bucket_label(kind), shown))
    return Grid(tuple(map(time_label, times)), tuple(rows), tuple(unseen))
