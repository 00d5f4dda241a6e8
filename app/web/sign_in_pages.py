"""Signing in by a one-time link, and out again. Opening a link shows a button; only pressing it spends the link."""

import math
import time
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import TypeAdapter, ValidationError

from app.access import repository, service
from app.access.gate import Caller, MaybeCaller, cookie_name
from app.access.schemas import Email
from app.kit import clock
from app.kit.buckets import source_of
from app.kit.config import Settings
from app.kit.context import Ctx, Tx
from app.kit.errors import Problem
from app.web.forms import Draft, Form
from app.web.labels import HOMES
from app.web.templating import page

router = APIRouter()

Token = Annotated[str, Path(min_length=1, max_length=200)]

_EMAIL: TypeAdapter[str] = TypeAdapter(Email)
_EMAIL_HELP = "Write your e-mail address as name@example.org."


@router.get("/")
async def home(caller: Caller) -> Response:
    """To the first page of your role."""
    return RedirectResponse(HOMES[caller.role], 303)


@router.get("/sign-in")
async def ask_for_link(request: Request, caller: MaybeCaller) -> Response:
    """Ask for a one-time link."""
    if caller is not None:
        return RedirectResponse(HOMES[caller.role], 303)
    return page(request, "sign_in.html", draft=Draft(), sent=False)


@router.post("/sign-in")
async def send_link(request: Request, form: Form, context: Ctx, tx: Tx) -> Response:
    """Send a link, if anybody has this address. The answer is the same for every address."""
    wait = request.app.state.sign_ins.take(source_of(request.client.host if request.client else None), time.monotonic())
    if wait:
        detail = "Too many links were asked for from here. Wait a few seconds, then try again. A link works for 15 minutes, once."
        raise Problem(429, detail, headers={"Retry-After": str(math.ceil(wait))})
    typed = form.text("email").strip()
    try:
        email = _EMAIL.validate_python(typed)
    except ValidationError:
        return page(request, "sign_in.html", 422, draft=Draft({"email": typed}, {"email": _EMAIL_HELP}), sent=False)
    await service.request_link(tx, context.keyring, email)
    return page(request, "sign_in.html", draft=Draft(), sent=True)


@router.get("/sign-in/{token}")
async def show_button(request: Request, token: Token) -> Response:
    """The same button for every link: a mail program that opens links in advance spends nothing and learns nothing."""
    return page(request, "sign_in_link.html", token=token, spent=False)


@router.post("/sign-in/{token}")
async def spend_link(request: Request, token: Token, caller: MaybeCaller, context: Ctx, tx: Tx) -> Response:
    """Spend the link; a new session takes the place of the one this browser had."""
    opened = await service.spend_link(tx, context.keyring, token)
    if opened is None:
        return page(request, "sign_in_link.html", 410, token=token, spent=True)
    if caller is not None and caller.session_id is not None:
        await repository.end_session(tx, caller.session_id, clock.now())
    cookie, role = opened
    answer = RedirectResponse(HOMES[role], 303)
    settings = context.settings
    answer.set_cookie(cookie_name(settings), cookie, httponly=True, samesite="lax", secure=settings.https, path="/")
    return answer


@router.post("/sign-out")
async def sign_out(caller: Caller, context: Ctx, tx: Tx) -> Response:
    """End the session, and have the browser forget what it has of this site."""
    if caller.session_id is not None:
        await repository.end_session(tx, caller.session_id, clock.now())
    return _signed_out(context.settings)


@router.post("/sign-out/everywhere")
async def sign_out_everywhere(caller: Caller, context: Ctx, tx: Tx) -> Response:
    """End every session of the account, wherever it is open."""
    await service.sign_out_everywhere(tx, context.keyring, caller)
    return _signed_out(context.settings)


def _signed_out(settings: Settings) -> Response:
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(cookie_name(settings), path="/", httponly=True, samesite="lax", secure=settings.https)
    answer.headers["Clear-Site-Data"] = '"cache", "cookies", "storage"'
    return answer
