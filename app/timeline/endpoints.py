"""Routes of the timeline: the member's own, and what counsel sees of a matter."""

from uuid import UUID

from fastapi import APIRouter

from app.access.gate import Caller, MemberCaller
from app.kit.context import Ctx, Tx
from app.kit.pagination import Cursor, Limit, Page
from app.timeline import service
from app.timeline.schemas import CounselIncidentDetail, IncidentDetail, MatterIncident, OriginalView, TimelineEntry
from app.timeline.visits import VisitView, visits_page

router = APIRouter(prefix="/v1", tags=["timeline"])


@router.get("/me/timeline")
async def timeline(caller: MemberCaller, context: Ctx, tx: Tx, cursor: Cursor = None, limit: Limit = 50) -> Page[TimelineEntry]:
    """What happened to you, the newest first."""
    return await service.timeline_page(tx, context, caller, cursor, limit)


@router.get("/me/visits")
async def visits(
    caller: MemberCaller, context: Ctx, tx: Tx, own: bool = False, cursor: Cursor = None, limit: Limit = 50
) -> Page[VisitView]:
    """Who looked at what is yours, when and in which role, the newest first. `own=true`: your own visits too."""
    return await visits_page(tx, context, caller, cursor, limit, own=own)


@router.get("/incidents/{incident_id}")
async def incident(incident_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> CounselIncidentDetail | IncidentDetail:
    """One incident with every alert, your answers, why it is linked to a breach and what speaks against it, and losses."""
    return await service.incident_detail(tx, context, caller, incident_id)


@router.get("/incidents/{incident_id}/originals/{event_id}")
async def original(incident_id: UUID, event_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> OriginalView:
    """What the service really sent, with long numbers masked, and the SHA-256 of the whole delivery."""
    return await service.original(tx, context, caller, incident_id, event_id)


@router.get("/matters/{matter_id}/incidents")
async def matter_incidents(
    matter_id: UUID, caller: Caller, context: Ctx, tx: Tx, cursor: Cursor = None, limit: Limit = 50
) -> Page[MatterIncident]:
    """The incidents of one of your matters, also those that speak against the breach."""
    return await service.matter_incidents(tx, context, caller, matter_id, cursor, limit)
