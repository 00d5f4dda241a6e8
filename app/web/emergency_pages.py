"""In an emergency: ask to see one member's timeline, approve what another asked for, and look, for an hour."""

from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from app.access.gate import Caller
from app.access.roles import Principal, Role
from app.kit.context import Context, Ctx, Tx
from app.kit.database import Transaction
from app.kit.errors import Problem
from app.kit.pagination import Cursor
from app.timeline import break_glass
from app.timeline.schemas import NewBreakGlass
from app.web.forms import Draft, Form
from app.web.templating import page

router = APIRouter()

PAGE = 50
_HELP = {
    "external_id": "Nobody has this number. Write it as it stands in the roster.",
    "reason": "Write in at least ten letters why it cannot wait. The one who approves it, and the ledger, keep it.",
}


async def _show(
    request: Request, tx: Transaction, context: Context, caller: Principal, status: int = 200, draft: Draft | None = None
) -> Response:
    requests = await break_glass.listed(tx, context.keyring, caller)
    asks = caller.role is Role.CASEWORKER
    return page(request, "emergency.html", status, requests=requests, asks=asks, draft=draft or Draft())


@router.get("/emergency")
async def emergency(request: Request, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """What was asked for in the last 30 days, and the form that asks."""
    return await _show(request, tx, context, caller)


@router.post("/emergency")
async def ask(request: Request, form: Form, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """Ask to see one member's timeline."""
    values = {name: form.text(name).strip() for name in ("external_id", "reason")}
    try:
        wanted = NewBreakGlass.model_validate(values)
        await break_glass.ask(tx, context.keyring, caller, wanted.external_id, wanted.reason)
    except ValidationError as error:
        wrong = {str(one["loc"][0]): _HELP[str(one["loc"][0])] for one in error.errors(include_input=False, include_url=False)}
        return await _show(request, tx, context, caller, 422, Draft(values, wrong))
    except Problem:
        return await _show(request, tx, context, caller, 422, Draft(values, {"external_id": _HELP["external_id"]}))
    return RedirectResponse("/emergency", 303)


@router.post("/emergency/{request_id}/approval")
async def approve(request_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """Approve what somebody else asked for."""
    await break_glass.approve(tx, context.keyring, caller, request_id)
    return RedirectResponse("/emergency", 303)


@router.post("/emergency/{request_id}/end")
async def end(request_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """End it before its time."""
    await break_glass.end(tx, context.keyring, caller, request_id)
    return RedirectResponse("/emergency", 303)


@router.get("/emergency/{request_id}")
async def look(request: Request, request_id: UUID, caller: Caller, context: Ctx, tx: Tx, cursor: Cursor = None) -> Response:
    """The member's timeline, while the hour lasts."""
    shown = await break_glass.timeline_page(tx, context, caller, request_id, cursor, PAGE)
    return page(request, "emergency_timeline.html", items=shown.items, older=shown.next, request_id=request_id)
