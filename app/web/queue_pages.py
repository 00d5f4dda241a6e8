"""The caseworker's queues: whose is it, and what could not be understood. Where and why, never what."""

from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from app.access.gate import Caller
from app.access.roles import Principal
from app.connections.repository import connection_of, connections_of
from app.incidents import giving
from app.incidents.models import UnmatchedReason
from app.incidents.schemas import Whose
from app.intake import look_ups, looking_up
from app.intake import repository as intake
from app.intake.service import try_again
from app.kit.context import Ctx, Tx
from app.kit.database import Transaction
from app.kit.errors import Problem, not_found
from app.kit.pagination import Cursor, decode_id_cursor, encode_cursor
from app.timeline import reviewing
from app.web.forms import Draft, Form
from app.web.templating import page

router = APIRouter()

PAGE = 50
SAID = {
    "given": "Noted. The member is asked whether they agree; until then nobody reads it.",
    "understood": "Understood now. It goes its way.",
    "asked": "The provider is asked again. If it still does not know it, it comes back here in time.",
    "left": "Left as it is. It is kept, and asked for when the provider tells of it again.",
    "answered": "Noted. It is read as you said; its member sees it as an alert if it is one.",
    "still": "It still cannot be understood. It stays here, and nothing of it is lost.",
}
"""What the page says after an act."""
_SURE = "yes"


@router.get("/queues")
async def queues(
    request: Request,
    caller: Caller,
    tx: Tx,
    unmatched: Cursor = None,
    quarantined: Cursor = None,
    reviews: Cursor = None,
    set_aside: Cursor = None,
    not_found: Cursor = None,
    said: str = "",
) -> Response:
    """What waits for a person: what is nobody's, what only a person can tell, what could not be understood. No content."""
    organization_id = caller.organization_id
    nobodys = await giving.nobodys_after(tx, organization_id, decode_id_cursor(unmatched), PAGE + 1)
    events = await intake.quarantined_after(tx, organization_id, decode_id_cursor(quarantined), PAGE + 1)
    asked = await reviewing.reviews_page(tx, caller, reviews, PAGE)
    deliveries = await intake.set_aside_after(tx, organization_id, decode_id_cursor(set_aside), PAGE + 1)
    lost = await look_ups.not_found_after(tx, organization_id, decode_id_cursor(not_found), PAGE + 1)
    return page(
        request,
        "queues.html",
        titles={row.id: row.title for row in await connections_of(tx, organization_id)},
        unmatched=nobodys[:PAGE],
        quarantined=events[:PAGE],
        reviews=asked.items,
        set_aside=deliveries[:PAGE],
        not_found=lost[:PAGE],
        keeps=looking_up.LONGEST_WAIT,
        more={
            "unmatched": encode_cursor(nobodys[PAGE - 1].alert_id.hex) if len(nobodys) > PAGE else None,
            "quarantined": encode_cursor(events[PAGE - 1].id.hex) if len(events) > PAGE else None,
            "reviews": asked.next,
            "set_aside": encode_cursor(deliveries[PAGE - 1].id.hex) if len(deliveries) > PAGE else None,
            "not_found": encode_cursor(lost[PAGE - 1][0].event_id.hex) if len(lost) > PAGE else None,
        },
        said=SAID.get(said),
    )


@router.get("/queues/unmatched/{alert_id}")
async def whose(request: Request, alert_id: UUID, caller: Caller, tx: Tx) -> Response:
    """Ask whose one alert is, and say what follows."""
    return await _whose_page(request, tx, caller, alert_id, Draft())


async def _whose_page(
    request: Request,
    tx: Transaction,
    caller: Principal,
    alert_id: UUID,
    draft: Draft,
    status: int = 200,
    problem: str | None = None,
) -> Response:
    row = await giving.nobodys(tx, caller.organization_id, alert_id)
    if row is None:
        raise not_found()
    connection = await connection_of(tx, caller.organization_id, row.connection_id)
    return page(
        request,
        "whose.html",
        status,
        row=row,
        title=connection.title if connection else "",
        keeps=looking_up.LONGEST_WAIT,
        open_to_all=row.reason == UnmatchedReason.NO_ENROLLMENT,
        draft=draft,
        problem=problem,
    )


@router.post("/queues/unmatched/{alert_id}")
async def give(request: Request, alert_id: UUID, form: Form, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """Take the answer, once it was checked."""
    number = form.text("external_id").strip()
    draft = Draft({"external_id": number})
    try:
        body = Whose.model_validate({"external_id": number})
    except ValidationError:
        wrong = Draft(draft.values, {"external_id": "Write the person's number on the roster."})
        return await _whose_page(request, tx, caller, alert_id, wrong, 422)
    if form.text("sure") != _SURE:
        wrong = Draft(draft.values, {"sure": "Check the number, then tick this."})
        return await _whose_page(request, tx, caller, alert_id, wrong, 422)
    try:
        await giving.give(tx, context.keyring, caller.organization_id, alert_id, body.external_id, caller.actor)
    except Problem as problem:
        wrong = Draft(draft.values, {"external_id": problem.detail or ""} if problem.errors else {})
        told = None if problem.errors else problem.detail
        return await _whose_page(request, tx, caller, alert_id, wrong, problem.status, told)
    return RedirectResponse("/queues?said=given", 303)


@router.post("/queues/receipts/{receipt_id}")
async def retry(receipt_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """Try once more to understand a delivery."""
    left = await try_again(tx, context.keyring, caller.organization_id, receipt_id, caller.actor)
    return RedirectResponse(f"/queues?said={'still' if left else 'understood'}", 303)


@router.post("/queues/not-found/{event_id}")
async def settle(event_id: UUID, form: Form, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """Let the provider be asked once more for what it did not know, or leave it."""
    leaves = form.text("todo") == "leave"
    act = looking_up.leave if leaves else looking_up.ask_again
    await act(tx, context.keyring, caller.organization_id, event_id, caller.actor)
    return RedirectResponse(f"/queues?said={'left' if leaves else 'asked'}", 303)
