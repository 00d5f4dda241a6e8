"""How finely each cube is cut: down a fixed ladder of levels, to the first that keeps the rules and is still worth reading.

Loads the auditor and with it SciPy: for workers only.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.statistics.cubes import Bucket, Cell, Cube, KindLevel, Span, TimeLevel, cells_at
from app.statistics.release import ReleasedCell, ReleasedCube, released_cell
from app.statistics.suppression import Offer, Shown, nearly_whole, offer, protect

LADDER: tuple[tuple[TimeLevel, KindLevel], ...] = (
    (TimeLevel.MONTH, KindLevel.KIND),
    (TimeLevel.QUARTER, KindLevel.KIND),
    (TimeLevel.MONTH, KindLevel.FAMILY),
    (TimeLevel.QUARTER, KindLevel.FAMILY),
    (TimeLevel.YEAR, KindLevel.KIND),
    (TimeLevel.YEAR, KindLevel.FAMILY),
    (TimeLevel.ALL, KindLevel.KIND),
    (TimeLevel.ALL, KindLevel.FAMILY),
    (TimeLevel.MONTH, KindLevel.ALL),
    (TimeLevel.QUARTER, KindLevel.ALL),
    (TimeLevel.YEAR, KindLevel.ALL),
    (TimeLevel.ALL, KindLevel.ALL),
)
"""Every pair of levels, in the order they are tried; a cube skips the pairs it does not have."""

USEFUL_SHARE = (1, 2)
"""The utility bar [A: assumed]: of the cells that hold anybody at least this share must be visible, or the cut is too fine."""


@dataclass(frozen=True, slots=True)
class _Place:
    bucket: Bucket
    kind: str
    cell: Cell
    offer: Offer


def cut_cube(cube: Cube, counts: Mapping[Cell, int], window: Span, shown: Shown) -> ReleasedCube:
    """Cut one cube at the finest level that keeps the rules, given what is shown already, and add its cells to `shown`.

    Where no level does, the earlier edition's cube is shown again as it was; without one the cube is left out: no cells.
    """
    levels = list(rungs(cube))
    for time, kind in levels:
        places = [
            _Place(bucket, name, cell, offer(cell, bucket.label, counts.get(cell, 0), shown))
            for bucket, name, cell in cells_at(cube.scope, time, kind, window)
        ]
        released = _attempt(places, counts, shown, last=(time, kind) == levels[-1])
        if released is not None:
            return _cube(cube, time, kind, released)
    before = shown.told.cubes.get(cube.name)
    if before is None:
        return _cube(cube, *levels[-1], ())
    held = tuple(cell.model_copy(update={"held": cell.value is not None}) for cell in before.cells)
    return _cube(cube, before.time_level, before.kind_level, held)


def _cube(cube: Cube, time: TimeLevel, kind: KindLevel, cells: tuple[ReleasedCell, ...]) -> ReleasedCube:
    return ReleasedCube(
        name=cube.name,
        title=cube.title,
        why=cube.why,
        scope=cube.scope,
        time_level=time,
        kind_level=kind,
        cells=cells,
    )


def rungs(cube: Cube) -> Iterator[tuple[TimeLevel, KindLevel]]:
    """The levels of one cube in the order they are tried."""
    return ((time, kind) for time, kind in LADDER if time in cube.times and kind in cube.kinds)


def _attempt(
    places: Sequence[_Place], counts: Mapping[Cell, int], shown: Shown, *, last: bool
) -> tuple[ReleasedCell, ...] | None:
    """The cells as they may be shown at this level, or None when the level is too fine."""
    occupied = {place.cell for place in places if counts.get(place.cell, 0)}
    least = 0 if last else max(1, -(-len(occupied) * USEFUL_SHARE[0] // USEFUL_SHARE[1]))
    standing = {place.cell for place in places if place.offer.stands is not None}
    settled = {place.cell for place in places if place.cell in shown.fresh}
    own = {place.cell: place.offer.value for place in places if place.offer.value is not None and place.cell not in settled}
    for cell in nearly_whole(own, shown.facts(), shown.population):
        del own[cell]
    visible = settled | standing
    if len(visible | own.keys()) < least:
        return None
    hidden = {place.cell for place in places} - visible - own.keys()
    left = protect(own, hidden, standing & own.keys(), shown, least - len(visible - own.keys()))
    if left is None:
        return None
    shown.fresh.update(left)
    shown.hidden.update({place.cell for place in places} - standing - shown.fresh.keys())
    return tuple(_released(place, shown) for place in places)


def _released(place: _Place, shown: Shown) -> ReleasedCell:
    stands = place.offer.stands
    if place.cell not in shown.fresh and stands is not None:
        return released_cell(place.bucket.label, place.kind, *stands, held=True)
    return released_cell(place.bucket.label, place.kind, place.cell, shown.fresh.get(place.cell))
