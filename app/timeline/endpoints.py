"""Routes of the timeline: the member's own, and what counsel sees of a matter."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from app.access.gate import Caller, MemberCaller
from app.intake import handing_in
from app.kit import errors
from app.kit.context import Ctx, Tx
from app.kit.pagination import Cursor, Limit, Page
from app.timeline import break_glass, importing, reviewing, service
from app.timeline.schemas import (
    BreakGlassView,
    CounselIncidentDetail,
    FileKept,
    FileTrial,
    IncidentDetail,
    MatterIncident,
    NewBreakGlass,
    OriginalView,
    ReviewAnswer,
    ReviewDetail,
    ReviewDone,
    ReviewDraft,
    ReviewView,
    TimelineEntry,
)
from app.timeline.visits import VisitView, visits_page
from connectors.own.documents import ENDINGS
from connectors.vocabulary import AlertKind

router = APIRouter(prefix="/v1", tags=["timeline"])

A_FILE = {"schema": {"type": "string", "format": "binary"}}
TO_BE_SAVED = "sandbox; default-src 'none'; frame-ancestors 'none'"
"""What a document may do if a browser shows it after all: nothing."""


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


@router.get(
    "/incidents/{incident_id}/documents/{event_id}",
    response_class=Response,
    responses={200: {"content": dict.fromkeys(ENDINGS, A_FILE), "description": "The document, byte for byte."}},
)
async def document(incident_id: UUID, event_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """A document that was handed in with a report, as a file to be saved; nothing shows or runs it here."""
    found = await service.document(tx, context, caller, incident_id, event_id)
    headers = {"Content-Disposition": f'attachment; filename="{found.name}"', "Content-Security-Policy": TO_BE_SAVED}
    return Response(found.body, media_type=found.media_type, headers=headers)


@router.get("/matters/{matter_id}/incidents")
async def matter_incidents(
    matter_id: UUID, caller: Caller, context: Ctx, tx: Tx, cursor: Cursor = None, limit: Limit = 50
) -> Page[MatterIncident]:
    """The incidents of one of your matters, also those that speak against the breach."""
    return await service.matter_incidents(tx, context, caller, matter_id, cursor, limit)


@router.get("/break-glass")
async def break_glass_requests(caller: Caller, context: Ctx, tx: Tx) -> list[BreakGlassView]:
    """Requests of the last 30 days to see a member's timeline: your own, or everybody's if you may approve them."""
    return await break_glass.listed(tx, context.keyring, caller)


@router.post("/break-glass", status_code=201)
async def ask_to_break_glass(body: NewBreakGlass, caller: Caller, context: Ctx, tx: Tx) -> BreakGlassView:
    """Ask to see one member's timeline in an emergency. An admin must approve it; the member is told."""
    row = await break_glass.ask(tx, context.keyring, caller, body.external_id, body.reason)
    return await break_glass.view(tx, context.keyring, caller, row)


@router.post("/break-glass/{request_id}/approval")
async def approve_break_glass(request_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> BreakGlassView:
    """Approve somebody else's request: it is open for an hour from now, and the member is told."""
    row = await break_glass.approve(tx, context.keyring, caller, request_id)
    return await break_glass.view(tx, context.keyring, caller, row)


@router.post("/break-glass/{request_id}/end", status_code=204)
async def end_break_glass(request_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> None:
    """End a request before its hour is over."""
    await break_glass.end(tx, context.keyring, caller, request_id)


@router.get("/break-glass/{request_id}/timeline")
async def break_glass_timeline(
    request_id: UUID, caller: Caller, context: Ctx, tx: Tx, cursor: Cursor = None, limit: Limit = 50
) -> Page[TimelineEntry]:
    """The member's timeline, for whoever asked and only while the hour lasts. Each look is shown to the member."""
    return await break_glass.timeline_page(tx, context, caller, request_id, cursor, limit)


SentFile = Annotated[importing.Sent, Depends(importing.read_file)]
_OF_FILES = errors.described({413: "The file is larger than this takes; `harmline files add` takes any size."})


@router.post(
    "/connections/{connection_id}/files",
    tags=["connections"],
    openapi_extra={"requestBody": importing.FORM},
    responses=_OF_FILES,
)
async def hand_in_file(
    connection_id: UUID, request: Request, sent: SentFile, caller: Caller, context: Ctx, dry_run: bool = False
) -> FileTrial | FileKept:
    """Hand in a file of alerts or mails, whole; with `dry_run`, say what it would become and keep nothing.

    Rows that cannot be read are kept too, and wait for a person. The same file again adds nothing.
    """
    database = context.database.acting_as(request.state.acting)
    if not dry_run:
        async with database.begin() as tx:
            return await importing.keep(tx, context.keyring, caller, connection_id, sent)
    async with database.begin(read_only=True) as tx:
        _, reader = await handing_in.open_target(tx, caller.organization_id, connection_id)
    return await importing.try_out(reader, sent)


@router.get("/queues/reviews")
async def reviews(caller: Caller, tx: Tx, cursor: Cursor = None, limit: Limit = 50) -> Page[ReviewView]:
    """What only a person can tell, oldest first: mostly mails that no rule fits. No content."""
    return await reviewing.reviews_page(tx, caller, cursor, limit)


@router.get("/queues/reviews/{event_id}")
async def review(event_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> ReviewDetail:
    """One of these, masked. Only of a member who agreed to it, and they see that you looked."""
    return await reviewing.show(tx, context, caller, event_id)


@router.post("/queues/reviews/{event_id}")
async def answer_review(event_id: UUID, body: ReviewAnswer, caller: Caller, context: Ctx, tx: Tx) -> ReviewDone:
    """Say what it is. It changes what the alert is said to be, never how well it is proven."""
    return await reviewing.answer(tx, context, caller, event_id, body)


@router.get("/queues/reviews/{event_id}/rule")
async def draft_rule(event_id: UUID, kind: AlertKind, caller: Caller, context: Ctx, tx: Tx) -> ReviewDraft:
    """A rule by which the like of it would be of this kind, to be edited and sent along with the answer."""
    return await reviewing.draft(tx, context, caller, event_id, kind)
