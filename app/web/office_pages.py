"""Pages of the office: released statistics, the auditor's ledger."""

from typing import Any

from fastapi import APIRouter, Request, Response

from app.access.gate import Caller
from app.evidence.endpoints import entries
from app.evidence.log import state
from app.kit.context import Ctx, Tx
from app.kit.pagination import Cursor
from app.ledger.service import Act, append
from app.statistics.release import Release, ReleasedCube
from app.statistics.service import latest_release
from app.web.charts import Shape, bars_of, columns_of, cut_text, grid_of, held_text, shape_of, time_label
from app.web.templating import page

router = APIRouter()

PAGE = 50
_DRAWN = {Shape.COLUMNS: columns_of, Shape.ROWS: bars_of, Shape.GRID: grid_of}


@router.get("/statistics")
async def statistics(request: Request, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """The newest release: how many members were hit, by what and when, without giving anybody away."""
    release = await latest_release(tx, caller.organization_id)
    if release is None:
        return page(request, "statistics.html", release=None)
    facts = {"what": "statistics", "as_of": release.as_of.isoformat()}
    await append(tx, context.keyring, caller.organization_id, Act.VIEW, facts=facts, actor=caller.actor)
    total = next((cube for cube in release.cubes if cube.name == "total"), None)
    return page(
        request,
        "statistics.html",
        release=release,
        total=total.cells[0] if total and total.cells else None,
        drawn=_drawn(release),
        cut_text=cut_text,
        time_label=time_label,
        held_text=held_text,
    )


def _drawn(release: Release) -> list[tuple[ReleasedCube, Shape, Any]]:
    """Each cube with its chart, None for one that was cut to the very cells of an earlier one; single numbers left out."""
    drawn: list[tuple[ReleasedCube, Shape, Any]] = []
    for cube in release.cubes:
        shape = shape_of(cube)
        if shape is not Shape.NUMBER:
            repeated = any((cube.scope, cube.cells) == (before.scope, before.cells) for before, _, _ in drawn)
            drawn.append((cube, shape, None if repeated else _DRAWN[shape](cube.cells)))
    return drawn


@router.get("/ledger")
async def ledger(request: Request, caller: Caller, tx: Tx, cursor: Cursor = None) -> Response:
    """The ledger, oldest first: what was done, when and in which role."""
    found = await entries(tx, caller.organization_id, cursor, PAGE)
    newest = await state(tx, caller.organization_id) if cursor is None else None
    return page(request, "ledger.html", entries=found.items, following=found.next, first=cursor is None, state=newest)
