"""Pages of the office: released statistics, the caseworker's queues, the auditor's ledger."""

from typing import Any

from fastapi import APIRouter, Request, Response

from app.access.gate import Caller
from app.connections.repository import connections_of
from app.evidence.endpoints import entries
from app.incidents import repository as incidents
from app.intake import repository as intake
from app.kit.context import Ctx, Tx
from app.kit.pagination import Cursor, decode_id_cursor, encode_cursor
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


@router.get("/queues")
async def queues(
    request: Request,
    caller: Caller,
    tx: Tx,
    unmatched: Cursor = None,
    quarantined: Cursor = None,
    set_aside: Cursor = None,
) -> Response:
    """What waits for a person: alerts that are nobody's, events and deliveries that could not be understood. No content."""
    organization_id = caller.organization_id
    nobodys = await incidents.unmatched_after(tx, organization_id, decode_id_cursor(unmatched), PAGE + 1)
    events = await intake.quarantined_after(tx, organization_id, decode_id_cursor(quarantined), PAGE + 1)
    deliveries = await intake.set_aside_after(tx, organization_id, decode_id_cursor(set_aside), PAGE + 1)
    return page(
        request,
        "queues.html",
        titles={row.id: row.title for row in await connections_of(tx, organization_id)},
        unmatched=nobodys[:PAGE],
        quarantined=events[:PAGE],
        set_aside=deliveries[:PAGE],
        more={
            "unmatched": encode_cursor(nobodys[PAGE - 1].alert_id.hex) if len(nobodys) > PAGE else None,
            "quarantined": encode_cursor(events[PAGE - 1].id.hex) if len(events) > PAGE else None,
            "set_aside": encode_cursor(deliveries[PAGE - 1].id.hex) if len(deliveries) > PAGE else None,
        },
    )


@router.get("/ledger")
async def ledger(request: Request, caller: Caller, tx: Tx, cursor: Cursor = None) -> Response:
    """The ledger, oldest first: what was done, when and in which role."""
    found = await entries(tx, caller.organization_id, cursor, PAGE)
    return page(request, "ledger.html", entries=found.items, following=found.next, first=cursor is None)
