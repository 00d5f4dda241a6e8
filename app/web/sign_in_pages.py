"""Signing in: by passkey, by password and code, or for the first time by a link that is spent by its button; and out again."""

import math
import time
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import TypeAdapter, ValidationError

from app.access import passkeys, repository, service, sessions, ways_in
from app.access.gate import Caller, MaybeCaller, cookie_name
from app.access.passkeys import Purpose
from app.access.roles import Principal, Role, Standing
from app.access.schemas import Email
from app.access.sessions import Opened
from app.kit import clock
from app.kit.buckets import source_of
from app.kit.config import Settings
from app.kit.context import Ctx, Tx
from app.kit.database import Transaction
from app.kit.errors import Problem
from app.web.forms import Draft, Form, SentJson
from app.web.labels import HOMES
from app.web.templating import page, scripted_page

router = APIRouter()

Token = Annotated[str, Path(min_length=1, max_length=200)]

NO_PASSKEY = "This did not work. Try again, and choose the passkey that you made for Harmline."
WRONG = "These do not belong together. Look at the address and the password, and take a code that your app shows now."

_EMAIL: TypeAdapter[str] = TypeAdapter(Email)
_EMAIL_HELP = "Write your e-mail address as name@example.org."
_A_YEAR = 365 * 24 * 60 * 60
_GO_ON = {Standing.SETUP: "/welcome", Standing.MAILBOX: "/recovery"}


def browser_cookie(settings: Settings) -> str:
    """The cookie by which a browser is known in which somebody signed in before."""
    return f"{cookie_name(settings)}-browser"


def home_of(role: Role, standing: Standing) -> str:
    """Where somebody goes on after signing in."""
    return _GO_ON.get(standing, HOMES[role])


@router.get("/")
async def home(caller: Caller) -> Response:
    """To the first page of your role."""
    return RedirectResponse(HOMES[caller.role], 303)


@router.get("/sign-in")
async def ask(request: Request, caller: MaybeCaller) -> Response:
    """The ways to sign in."""
    if caller is not None:
        return RedirectResponse(home_of(caller.role, caller.standing), 303)
    return _ask(request)


def _ask(request: Request, status: int = 200, draft: Draft | None = None) -> Response:
    return scripted_page(request, "sign_in.html", status, draft=draft or Draft(), sent=False)


def refuse_too_many(request: Request) -> None:
    """Raises a 429 Problem for an address from which too many try to sign in."""
    wait = request.app.state.sign_ins.take(source_of(request.client.host if request.client else None), time.monotonic())
    if wait:
        detail = "There were too many tries from here. Wait a few seconds, then try again. A link that came works for 15 minutes."
        raise Problem(429, detail, headers={"Retry-After": str(math.ceil(wait))})


@router.post("/sign-in")
async def send_link(request: Request, form: Form, context: Ctx, tx: Tx) -> Response:
    """Send a link, if anybody has this address. The answer is the same for every address."""
    refuse_too_many(request)
    typed = form.text("email").strip()
    try:
        email = _EMAIL.validate_python(typed)
    except ValidationError:
        return _ask(request, 422, Draft({"email": typed}, {"email": _EMAIL_HELP}))
    await service.request_link(tx, context.keyring, email)
    return page(request, "sign_in.html", draft=Draft(), sent=True)


@router.post("/sign-in/passkey/options")
async def passkey_options(request: Request, context: Ctx, tx: Tx) -> Any:
    """What the browser needs to sign with a passkey: the same for everybody."""
    refuse_too_many(request)
    return await passkeys.to_sign(tx, context.settings, context.keyring, Purpose.SIGN_IN, None)


@router.post("/sign-in/passkey")
async def by_passkey(answer: SentJson, caller: MaybeCaller, context: Ctx, tx: Tx) -> Response:
    """Sign in with what the browser signed."""
    opened = await ways_in.by_passkey(tx, context, answer)
    if opened is None:
        raise Problem(401, NO_PASSKEY)
    several = len(await ways_in.roles_of(tx, opened.account_id)) > 1 and opened.standing is Standing.FULL
    to = "/ways-in#roles" if several else home_of(opened.role, opened.standing)
    return await enter(tx, JSONResponse({"to": to}), context.settings, caller, opened.cookie)


@router.post("/sign-in/password")
async def by_password(request: Request, form: Form, caller: MaybeCaller, context: Ctx) -> Response:
    """Sign in with address, password and code. Whatever is wrong, the answer is the same, and takes as long."""
    refuse_too_many(request)
    email = form.text("member-email").strip()[:320]
    known = request.cookies.get(browser_cookie(context.settings), "")
    async with context.database.begin(acting=request.state.acting) as tx:
        attempt = await ways_in.begin_attempt(tx, context, email, known)
    found = await ways_in.compare(attempt, form.text("password"), form.text("code"))
    if found is not None:
        async with context.database.begin(acting=request.state.acting) as tx:
            opened = await ways_in.finish_attempt(tx, context, attempt, found)
            if opened is not None:
                answer = RedirectResponse(home_of(opened[0].role, opened[0].standing), 303)
                remember(answer, context.settings, opened[1])
                return await enter(tx, answer, context.settings, caller, opened[0].cookie)
    return _ask(request, 401, Draft({"member-email": email}, {"password": WRONG}))


@router.post("/sign-in/role")
async def another_role(form: Form, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """Go on in another of your roles; this session ends, a new one begins."""
    wanted = next((role for role in await ways_in.roles_of(tx, caller.account_id) if role == form.text("role")), None)
    if wanted is None:
        raise Problem(422, "Choose one of your roles.")
    account = await repository.account_of(tx, caller.organization_id, caller.account_id)
    assert account is not None  # noqa: S101 - whoever has a session has an account
    opened = await sessions.change_role(tx, context.keyring, caller, account, wanted)
    answer = RedirectResponse(home_of(wanted, opened.standing), 303)
    return await enter(tx, answer, context.settings, caller, opened.cookie)


@router.get("/sign-in/{token}")
async def show_button(request: Request, token: Token) -> Response:
    """The same button for every link: a mail program that opens links in advance spends nothing and learns nothing."""
    return page(request, "sign_in_link.html", token=token, spent=False)


@router.post("/sign-in/{token}")
async def spend_link(request: Request, token: Token, caller: MaybeCaller, context: Ctx, tx: Tx) -> Response:
    """Spend the link; a new session takes the place of the one this browser had."""
    opened = await sessions.by_link(tx, context, token)
    if opened is None:
        return page(request, "sign_in_link.html", 410, token=token, spent=True)
    answer = RedirectResponse(home_of(opened.role, opened.standing), 303)
    _remember_mailbox(tx, answer, context.settings, opened)
    return await enter(tx, answer, context.settings, caller, opened.cookie)


def _remember_mailbox(tx: Transaction, answer: Response, settings: Settings, opened: Opened) -> None:
    """Whoever reads a member's mail in a browser is no stranger there: strangers' guesses at the password do not hold them up."""
    if opened.role is Role.MEMBER:
        remember(answer, settings, ways_in.know_browser(tx, opened.account_id))


async def enter(tx: Transaction, answer: Response, settings: Settings, before: Principal | None, cookie: str) -> Response:
    """Put a new session into the browser, in place of the one that it had."""
    if before is not None and before.session_id is not None:
        await repository.end_session(tx, before.session_id, clock.now())
    return set_session(answer, settings, cookie)


def set_session(answer: Response, settings: Settings, cookie: str) -> Response:
    """Put a session's cookie into an answer."""
    answer.set_cookie(cookie_name(settings), cookie, httponly=True, samesite="lax", secure=settings.https, path="/")
    return answer


def remember(answer: Response, settings: Settings, token: str) -> None:
    """Know this browser from now on."""
    options: dict[str, Any] = {"httponly": True, "samesite": "strict", "secure": settings.https, "path": "/"}
    answer.set_cookie(browser_cookie(settings), token, max_age=_A_YEAR, **options)


@router.post("/sign-out")
async def sign_out(caller: Caller, context: Ctx, tx: Tx) -> Response:
    """End the session, and have the browser forget what it has of this site."""
    if caller.session_id is not None:
        await repository.end_session(tx, caller.session_id, clock.now())
    return _signed_out(context.settings)


@router.post("/sign-out/everywhere")
async def sign_out_everywhere(caller: Caller, context: Ctx, tx: Tx) -> Response:
    """End every session of the account, wherever it is open."""
    await sessions.sign_out_everywhere(tx, context.keyring, caller)
    return _signed_out(context.settings)


def _signed_out(settings: Settings) -> Response:
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(cookie_name(settings), path="/", httponly=True, samesite="lax", secure=settings.https)
    answer.headers["Clear-Site-Data"] = '"cache", "storage"'
    return answer
