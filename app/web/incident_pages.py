"""Pages of incidents: the member's timeline, one incident with the member's forms on it, the original, counsel's matters."""

from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from app.access.gate import Caller, MemberCaller
from app.access.roles import Principal, Role
from app.access.sessions import is_fresh
from app.breaches.service import breaches_of, exposures_of, matters_of
from app.damages.heads import HEADS, OFFERED
from app.damages.service import HINT, enter_loss
from app.incidents.endpoints import answer_consent, answer_incident, consents_of
from app.incidents.identity import Answer
from app.kit import clock
from app.kit.context import Context, Ctx, Tx
from app.kit.database import Transaction
from app.kit.errors import Problem, not_found
from app.kit.pagination import Cursor
from app.timeline import service
from app.timeline.schemas import CounselIncidentDetail
from app.timeline.visits import visits_page
from app.timeline.wording import DETAILS
from app.web.forms import Draft, Form, consent_of, loss_of, refused_loss, verdict_of
from app.web.reasons import Records, groups_of
from app.web.templating import page

router = APIRouter()

PAGE = 30


@router.get("/timeline")
async def timeline(
    request: Request, caller: MemberCaller, context: Ctx, tx: Tx, cursor: Cursor = None, reported: bool = False
) -> Response:
    """What happened to you, the newest first, and what we need your yes or no for. `reported`: that was done a moment ago."""
    entries = await service.timeline_page(tx, context, caller, cursor, PAGE)
    consents, first = await consents_of(tx, caller), cursor is None
    return page(
        request, "timeline.html", entries=entries.items, older=entries.next, consents=consents, first=first, reported=reported
    )


@router.get("/visits")
async def visits(
    request: Request, caller: MemberCaller, context: Ctx, tx: Tx, own: bool = False, cursor: Cursor = None
) -> Response:
    """Who looked at what is yours, the newest first."""
    found = await visits_page(tx, context, caller, cursor, PAGE, own=own)
    return page(request, "visits.html", visits=found.items, older=found.next, own=own, first=cursor is None)


@router.post("/consents")
async def consent(form: Form, caller: MemberCaller, context: Ctx, tx: Tx) -> Response:
    """Take a yes or no."""
    await answer_consent(tx, context, caller, consent_of(form))
    return RedirectResponse("/timeline", 303)


async def _show(
    request: Request,
    tx: Transaction,
    context: Context,
    caller: Principal,
    incident_id: UUID,
    *,
    status: int = 200,
    draft: Draft | None = None,
    notice: str | None = None,
) -> Response:
    """One incident. `draft`: a loss that could not be entered yet; `notice`: why an answer could not be taken."""
    detail = await service.incident_detail(tx, context, caller, incident_id)
    member_id = detail.member_id if isinstance(detail, CounselIncidentDetail) else caller.member_id
    if member_id is None:
        raise not_found()
    stored = {breach.breach_id: breach for breach in await breaches_of(tx, caller.organization_id)}
    records = Records(detail.sources, stored, await exposures_of(tx, caller.organization_id, member_id))
    return page(
        request,
        "incident.html",
        status,
        incident=detail,
        links=[(link, groups_of(link, records), stored[link.breach_id].focal) for link in detail.links],
        counsel={link.id: link for link in getattr(detail, "counsel_links", ())},
        own=caller.role is Role.MEMBER,
        stale=caller.role is Role.COUNSEL and not is_fresh(caller),
        draft=draft or Draft(),
        notice=notice,
        heads=[(head, HEADS[head]) for head in OFFERED],
        answers=(Answer.NOT_ME, Answer.WAS_ME, Answer.UNSURE),
        today=clock.now().date(),
        hint=HINT,
        asked=DETAILS,
        more=Draft({"completes": str(detail.wanting[0])} if detail.wanting else {}),
    )


@router.get("/incidents/{incident_id}")
async def incident(request: Request, incident_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """One incident with everything that is known of it."""
    return await _show(request, tx, context, caller, incident_id)


@router.post("/incidents/{incident_id}/verdict")
async def verdict(request: Request, incident_id: UUID, form: Form, caller: MemberCaller, context: Ctx, tx: Tx) -> Response:
    """Take the answer to "Was this you?"; when the incident has changed meanwhile, show it again and say so."""
    try:
        final_id = await answer_incident(tx, context, caller, incident_id, verdict_of(form))
    except Problem as problem:
        if problem.status != 409:
            raise
        return await _show(request, tx, context, caller, incident_id, status=409, notice=problem.detail)
    return RedirectResponse(f"/incidents/{final_id}#was-this-you", 303)


@router.post("/incidents/{incident_id}/losses")
async def loss(request: Request, incident_id: UUID, form: Form, caller: MemberCaller, context: Ctx, tx: Tx) -> Response:
    """Take a loss; what is not right is said beside its field, and nothing typed is lost."""
    new, draft = loss_of(form)
    if new is not None:
        try:
            entered = await enter_loss(tx, context.keyring, caller, incident_id, new)
        except Problem as problem:
            if problem.status != 422:
                raise
            draft = refused_loss(draft, problem.errors)
        else:
            return RedirectResponse(f"/incidents/{entered.incident_id}#losses", 303)
    return await _show(request, tx, context, caller, incident_id, status=422, draft=draft)


@router.get("/incidents/{incident_id}/originals/{event_id}")
async def original(request: Request, incident_id: UUID, event_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """What the service really sent, long numbers masked."""
    view = await service.original(tx, context, caller, incident_id, event_id)
    return page(request, "original.html", original=view, incident_id=incident_id)


@router.get("/matters")
async def matters(request: Request, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """The matters that you are assigned to."""
    return page(request, "matters.html", matters=await matters_of(tx, context.keyring, caller))


@router.get("/matters/{matter_id}")
async def matter(request: Request, matter_id: UUID, caller: Caller, context: Ctx, tx: Tx, cursor: Cursor = None) -> Response:
    """The incidents of one of your matters, also those that speak against the breach."""
    found = await service.matter_incidents(tx, context, caller, matter_id, cursor, PAGE)
    mine = next(m for m in await matters_of(tx, context.keyring, caller) if m.id == matter_id)
    return page(request, "matter.html", matter=mine, items=found.items, following=found.next, first=cursor is None)
