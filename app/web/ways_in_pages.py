"""How somebody signs in: making the first way, adding and removing others, the code for the worst case, showing it is you."""

import re
from typing import Any
from uuid import UUID

import segno
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from markupsafe import Markup

from app.access import by_provider, credentials, mailing, passkeys, passwords, recovery, sessions, ways_in
from app.access.gate import Caller
from app.access.passkeys import Purpose
from app.access.roles import PASSKEYS_NEEDED, Principal, Role, Standing
from app.kit import clock
from app.kit.context import Context, Ctx, Tx
from app.kit.database import Transaction
from app.kit.errors import Problem
from app.web.forms import Draft, Form, SentJson
from app.web.labels import HOMES, PASSKEY_KINDS
from app.web.sign_in_pages import NO_PASSKEY, set_session
from app.web.templating import page, scripted_page

router = APIRouter()

_WRONG_CODE = "This is not the code that your app shows now. Wait for the next one, and type its six digits."


async def _name(tx: Transaction, context: Context, caller: Principal) -> str:
    """How a person finds what was made for this account: their address, if there is one."""
    address = await mailing.address_of(tx, context, caller.account_id, caller.role)
    return address if isinstance(address, str) else "Harmline"


async def _welcome(
    request: Request, tx: Transaction, caller: Principal, status: int = 200, draft: Draft | None = None
) -> Response:
    known, own = await credentials.passkeys_of(tx, caller.account_id), await _own_sign_in(request, tx, caller)
    beside = own is not None and own.linked is not None and not known
    return scripted_page(
        request,
        "welcome.html",
        status,
        draft=draft or Draft(),
        beside=beside,
        more=PASSKEYS_NEEDED.get(caller.role, 1) > 1,
        another=bool(known) and await sessions.standing_of(tx, caller.account_id, caller.role) is Standing.SETUP,
        may_have_password=caller.member_id is not None,
        shortest=passwords.SHORTEST,
    )


async def _own_sign_in(request: Request, tx: Transaction, caller: Principal) -> by_provider.OwnSignIn | None:
    context: Context = request.app.state.context
    return await by_provider.standing_with(tx, context.keyring, caller)


@router.get("/welcome")
async def welcome(request: Request, caller: Caller, tx: Tx) -> Response:
    """Make the first way to sign in."""
    if caller.standing is Standing.FULL:
        return RedirectResponse("/ways-in", 303)
    return await _welcome(request, tx, caller)


@router.get("/ways-in")
async def ways(request: Request, caller: Caller, tx: Tx) -> Response:
    """Every way to sign in that you have."""
    return await _ways(request, tx, caller)


async def _ways(
    request: Request, tx: Transaction, caller: Principal, status: int = 200, draft: Draft | None = None, code: str | None = None
) -> Response:
    password = await credentials.password_of(tx, caller.account_id)
    paper = await credentials.recovery_code_of(tx, caller.account_id)
    return scripted_page(
        request,
        "ways_in.html",
        status,
        draft=draft or Draft(),
        keys=await credentials.passkeys_of(tx, caller.account_id),
        password=password if password is not None and password.confirmed_at is not None else None,
        paper=paper if paper is not None and paper.spent_at is None else None,
        begun=await credentials.open_recovery(tx, caller.account_id, clock.now()),
        roles=[role for role in await ways_in.roles_of(tx, caller.account_id) if role != caller.role],
        may_have_password=caller.member_id is not None,
        shortest=passwords.SHORTEST,
        home=HOMES[caller.role],
        own=await _own_sign_in(request, tx, caller),
        code=code,
    )


@router.post("/ways-in/passkeys/options")
async def new_passkey_options(caller: Caller, context: Ctx, tx: Tx) -> Any:
    """What the browser needs to make a passkey for you."""
    assert caller.session_id is not None  # noqa: S101 - programs are refused by the policy
    known, name = await credentials.passkeys_of(tx, caller.account_id), await _name(tx, context, caller)
    return await passkeys.to_enrol(tx, context.settings, context.keyring, caller.session_id, caller.account_id, name, known)


@router.post("/ways-in/passkeys")
async def new_passkey(sent: SentJson, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """Keep the passkey that the browser made."""
    kind = sent.pop("label", "")
    label = kind if isinstance(kind, str) and kind in PASSKEY_KINDS else "other"
    standing = await ways_in.add_passkey(tx, context, caller, sent, label)
    if standing is None:
        raise Problem(422, "No passkey was made. Try again; if it stays so, use another device or browser.")
    to = "/welcome" if standing is Standing.SETUP else "/ways-in"
    return set_session(JSONResponse({"to": to}), context.settings, await sessions.renew(tx, caller, standing))


@router.post("/ways-in/password")
async def new_password(request: Request, form: Form, caller: Caller, context: Ctx) -> Response:
    """Choose a password; then a code app is set up."""
    typed = form.text("password")
    async with context.database.begin(read_only=True, acting=request.state.acting) as tx:
        name = await _name(tx, context, caller)
    wrong = await passwords.why_not_apart(typed, [name, *re.split(r"\W+", name)])
    if wrong is None and typed != form.text("again"):
        wrong = "The two do not match. Type the same password twice."
    if wrong is not None:
        async with context.database.begin(read_only=True, acting=request.state.acting) as tx:
            show = _ways if caller.standing is Standing.FULL else _welcome
            return await show(request, tx, caller, 422, draft=Draft(errors={"password": wrong}))
    stored = await passwords.hashed(typed)
    async with context.database.begin(acting=request.state.acting) as tx:
        await ways_in.offer_password(tx, context.keyring, caller, stored)
    return RedirectResponse("/ways-in/password/code", 303)


async def _code_app(
    request: Request, tx: Transaction, context: Context, caller: Principal, status: int, draft: Draft
) -> Response:
    secret = await ways_in.offered_secret(tx, context.keyring, caller)
    if secret is None:
        return RedirectResponse("/ways-in", 303)
    address = passwords.code_address(secret, await _name(tx, context, caller))
    picture = segno.make(address, error="m").svg_inline(
        scale=5, border=4, omitsize=True, dark="#000", light="#fff", svgclass="qr", lineclass=None
    )
    return page(request, "code_app.html", status, draft=draft, secret=secret, address=address, picture=Markup(picture))  # noqa: S704 - drawn by us from letters and digits


@router.get("/ways-in/password/code")
async def code_app(request: Request, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """The picture that a code app reads."""
    return await _code_app(request, tx, context, caller, 200, Draft())


@router.post("/ways-in/password/code")
async def first_code(request: Request, form: Form, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """The first code of the app: from now on password and code sign in."""
    standing = await ways_in.keep_password(tx, context, caller, form.text("code"))
    if standing is None:
        return await _code_app(request, tx, context, caller, 422, Draft(errors={"code": _WRONG_CODE}))
    cookie = await sessions.renew(tx, caller, standing)
    return set_session(RedirectResponse("/ways-in", 303), context.settings, cookie)


@router.post("/ways-in/remove")
async def remove(form: Form, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """Remove a passkey, the password, or the link to the organization's own sign-in."""
    which: UUID | str = form.text("which")
    try:
        which = which if which in (ways_in.PASSWORD, ways_in.PROVIDER) else UUID(str(which))
    except ValueError:
        raise Problem(422, "Choose what to remove. Open the page again and retry.") from None
    await ways_in.remove(tx, context.keyring, caller, which)
    return RedirectResponse("/ways-in", 303)


@router.post("/ways-in/recovery-code")
async def new_recovery_code(request: Request, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """Show a new recovery code, this once."""
    code = await recovery.new_code(tx, context.keyring, caller)
    await tx.flush()
    return await _ways(request, tx, caller, code=code)


@router.post("/ways-in/stop")
async def stop_recovery(caller: Caller, context: Ctx, tx: Tx) -> Response:
    """Stop a new beginning that you did not ask for."""
    await recovery.stop(tx, context.keyring, caller)
    return RedirectResponse("/ways-in", 303)


@router.get("/recovery")
async def lost(request: Request, caller: Caller, tx: Tx) -> Response:
    """For somebody who reads the mail of an account that has other ways to sign in."""
    return await _lost(request, tx, caller)


async def _lost(request: Request, tx: Transaction, caller: Principal, status: int = 200, draft: Draft | None = None) -> Response:
    begun = await credentials.open_recovery(tx, caller.account_id, clock.now())
    return page(request, "recovery.html", status, draft=draft or Draft(), begun=begun, member=caller.role is Role.MEMBER)


@router.post("/recovery")
async def begin_recovery(request: Request, form: Form, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """Begin anew with the code on paper; nothing happens for a day."""
    begun = await recovery.begin_with_code(tx, context.keyring, caller, form.text("code")[:200])
    if begun is None:
        wrong = "This is not your code, or it was used before. Look at it again: it has six groups of five."
        return await _lost(request, tx, caller, 422, Draft(errors={"code": wrong}))
    return RedirectResponse("/recovery", 303)


def inside(path: str) -> str:
    """A path of this site, and of no other."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/"


@router.get("/confirm")
async def confirm(request: Request, caller: Caller, tx: Tx, then: str = "/") -> Response:
    """Show once more that it is you."""
    return await confirm_page(request, tx, caller, then=inside(then))


async def confirm_page(
    request: Request,
    tx: Transaction,
    caller: Principal,
    *,
    status: int = 200,
    then: str = "/",
    again: list[tuple[str, str]] | None = None,
    draft: Draft | None = None,
    file: bool = False,
) -> Response:
    """The page that asks for a passkey or password, and then goes on.

    `again`: the fields of the form to be sent once more; `file`: there was a file with it, which has to be chosen again.
    """
    password = await credentials.password_of(tx, caller.account_id)
    own = await _own_sign_in(request, tx, caller)
    return scripted_page(
        request,
        "confirm.html",
        status,
        draft=draft or Draft(),
        then=then,
        again=again,
        file=file,
        own=own if own is not None and own.linked is not None else None,
        back=then if again is None else f"/{then.split('/')[1]}",
        by_password=password is not None and password.confirmed_at is not None,
    )


@router.post("/confirm/passkey/options")
async def confirm_options(caller: Caller, context: Ctx, tx: Tx) -> Any:
    """What the browser needs to sign once more."""
    return await passkeys.to_sign(tx, context.settings, context.keyring, Purpose.CONFIRM, caller.session_id)


@router.post("/confirm/passkey")
async def confirm_by_passkey(answer: SentJson, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """Show by a passkey that it is you."""
    cookie = await ways_in.confirm_by_passkey(tx, context, caller, answer)
    if cookie is None:
        raise Problem(401, NO_PASSKEY)
    return set_session(JSONResponse({"to": None}), context.settings, cookie)


@router.post("/confirm/password")
async def confirm_by_password(request: Request, form: Form, caller: Caller, context: Ctx) -> Response:
    """Show by password and code that it is you."""
    async with context.database.begin(acting=request.state.acting) as tx:
        attempt = await ways_in.confirm_attempt(tx, context, caller)
    found = await ways_in.compare(attempt, form.text("password"), form.text("code"))
    then = inside(form.text("then"))
    async with context.database.begin(acting=request.state.acting) as tx:
        cookie = await ways_in.confirm_by_password(tx, context.keyring, caller, attempt, found) if found is not None else None
        if cookie is None:
            wrong = "These do not belong together. Look at the password, and take a code that your app shows now."
            return await confirm_page(request, tx, caller, status=401, then=then, draft=Draft(errors={"password": wrong}))
    return set_session(RedirectResponse(then, 303), context.settings, cookie)
