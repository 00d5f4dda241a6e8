"""Signing in by the organization's own provider: its link, going there, coming back; showing anew that it is you; linking it."""

from typing import Annotated
from uuid import UUID

import structlog
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from app.access import by_provider, provider_client, provider_rows, ways_in
from app.access.by_provider import CameBack, Purpose
from app.access.gate import Caller, MaybeCaller, cookie_name
from app.access.id_tokens import NotGood, Said
from app.access.models import IdentityProvider
from app.access.policy import POLICY
from app.access.provider_client import Away, Unsuitable
from app.access.roles import Principal, Standing
from app.access.walls import acting_for
from app.kit.config import Settings
from app.kit.context import Context, Ctx, Tx
from app.kit.errors import Problem, not_found, problem_response
from app.web.errors import error_page
from app.web.sign_in_pages import enter, home_of, refuse_too_many, set_session
from app.web.templating import page
from app.web.ways_in_pages import inside

log = structlog.get_logger(__name__)
router = APIRouter()

_OWN_STEP = frozenset({"same-origin", "none"})
_OVER = "This sign-in was begun too long ago, in another browser, or was used already. Begin again, and stay in this browser."
_AWAY = "Your organization's sign-in does not answer as it should. Try again in a few minutes, or sign in with a passkey."
_NOT_FINISHED = "You did not finish at your organization's sign-in, so nothing was done. Begin again when you like."

Given = Annotated[str, Query(max_length=4096)]


def provider_cookie(settings: Settings) -> str:
    """The cookie that a browser takes along to the provider and back."""
    return f"{cookie_name(settings)}-provider"


def _by_own_step(request: Request) -> bool:
    """Whether the person came from a page of ours, or typed the address: no other site sends anybody to their provider."""
    return request.headers.get("sec-fetch-site", "same-origin") in _OWN_STEP


@router.get("/sign-in/with/{provider_id}")
async def show(request: Request, provider_id: UUID, caller: MaybeCaller, tx: Tx) -> Response:
    """The link that an organization hands round: says where the button leads."""
    if caller is not None:
        return RedirectResponse(home_of(caller.role, caller.standing), 303)
    row = await provider_rows.in_use(tx, provider_id)
    if row is None:
        raise not_found()
    return page(request, "sign_in_with.html", provider=row, host=provider_client.host_of(row.issuer))


@router.get("/sign-in/with/{provider_id}/go")
async def go(request: Request, provider_id: UUID, context: Ctx) -> Response:
    """Off to the provider."""
    if not _by_own_step(request):
        return RedirectResponse(f"/sign-in/with/{provider_id}", 303)
    refuse_too_many(request)
    async with context.database.begin(read_only=True, acting=request.state.acting) as tx:
        row = await provider_rows.in_use(tx, provider_id)
    if row is None:
        raise not_found()
    return await _off(request, context, row, by_provider.going(Purpose.SIGN_IN, row.id, None, "/"))


async def _linked_or_offered(request: Request, context: Context, caller: Principal, purpose: Purpose) -> IdentityProvider | None:
    """The provider to which somebody who is signed in may go for this; None when there is none. Raises a 409 Problem."""
    async with context.database.begin(read_only=True, acting=request.state.acting) as tx:
        own = await by_provider.standing_with(tx, context.keyring, caller)
        if own is None or not (own.offered if purpose is Purpose.LINK else own.linked):
            return None
        if purpose is Purpose.LINK:
            await by_provider.require_signed_in_otherwise(tx, caller)
        return await provider_rows.in_use(tx, own.provider_id)


@router.get("/confirm/provider")
async def confirm(request: Request, caller: Caller, context: Ctx, then: Given = "/") -> Response:
    """Off to the provider, to show there once more that it is you."""
    then = inside(then)
    row = await _linked_or_offered(request, context, caller, Purpose.CONFIRM)
    if row is None or not _by_own_step(request):
        return RedirectResponse("/confirm", 303)
    return await _off(request, context, row, by_provider.going(Purpose.CONFIRM, row.id, caller.session_id, then))


@router.get("/ways-in/provider")
async def link(request: Request, caller: Caller, context: Ctx) -> Response:
    """Off to the provider, so that it lets you in from now on."""
    row = await _linked_or_offered(request, context, caller, Purpose.LINK)
    if row is None or not _by_own_step(request):
        return RedirectResponse("/ways-in", 303)
    return await _off(request, context, row, by_provider.going(Purpose.LINK, row.id, caller.session_id, "/ways-in"))


async def _off(request: Request, context: Context, row: IdentityProvider, going: by_provider.Going) -> Response:
    settings = context.settings
    try:
        found = await provider_client.described(settings, row.issuer)
    except (Away, Unsuitable) as error:
        log.warning("the organization's own sign-in is away", provider=str(row.id), why=str(error))
        raise Problem(503, _AWAY) from None
    async with context.database.begin(read_only=True, acting=request.state.acting) as tx:
        state = await by_provider.state_of(tx, context.keyring, going)
    client = provider_client.Client(row.client_id, "", provider_client.redirect_uri(settings))
    fresh = going.purpose is not Purpose.SIGN_IN
    to = provider_client.question(found, client, state, going.nonce, going.verifier, fresh=fresh)
    answer = RedirectResponse(to, 303)
    # Lax: the browser brings it when the provider sends it back.
    answer.set_cookie(
        provider_cookie(settings),
        going.cookie(),
        max_age=int(by_provider.GOOD_FOR.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=settings.https,
        path="/",
    )
    return answer


@router.get("/sign-in/provider/callback")
async def callback(
    request: Request,
    caller: MaybeCaller,
    context: Ctx,
    state: Given = "",
    code: Given = "",
    iss: Annotated[str | None, Query(max_length=4096)] = None,
    error: Given = "",
) -> Response:
    """Back from a provider, whichever it was."""
    try:
        back, said = await _heard(request, context, caller, state, "" if error else code, iss)
        answer = await _BY_PURPOSE[back.going.purpose](request, context, caller, back, said)
    except Problem as problem:
        answer = error_page(request, problem_response(problem))
    settings = context.settings
    answer.delete_cookie(provider_cookie(settings), path="/", httponly=True, samesite="lax", secure=settings.https)
    return answer


async def _heard(
    request: Request, context: Context, caller: Principal | None, state: str, code: str, iss: str | None
) -> tuple[CameBack, Said]:
    """Who came back, and what the provider says of them. Raises a Problem."""
    cookie = request.cookies.get(provider_cookie(context.settings), "")
    async with context.database.begin(acting=request.state.acting) as tx:
        back = await by_provider.came_back(tx, context, cookie, state, caller)
    if back is None:
        raise Problem(410, _OVER)
    if not code:
        raise Problem(403, _NOT_FINISHED)
    try:
        return back, await by_provider.said_of(context, back, code, iss)
    except NotGood as why:
        log.warning("what a provider says is not to be believed", provider=str(back.going.provider_id), why=str(why))
        raise Problem(403, by_provider.NOT_GOOD) from None
    except (Away, Unsuitable) as why:
        log.warning("the organization's own sign-in is away", provider=str(back.going.provider_id), why=str(why))
        raise Problem(503, _AWAY) from None


async def _signed_in(request: Request, context: Context, caller: Principal | None, back: CameBack, said: Said) -> Response:
    async with context.database.begin(read_only=True, acting=request.state.acting) as tx:
        acting = await by_provider.meant(tx, context, back, said)
    assert acting.account_id is not None  # noqa: S101 - `meant` names one
    async with context.database.begin(acting=acting) as tx:
        opened = await by_provider.sign_in(tx, context, back, said, acting.account_id)
        several = len(await ways_in.roles_of(tx, opened.account_id)) > 1 and opened.standing is Standing.FULL
    to = "/ways-in#roles" if several else home_of(opened.role, opened.standing)
    async with context.database.begin(acting=request.state.acting) as tx:
        return await enter(tx, RedirectResponse(to, 303), context.settings, caller, opened.cookie)


async def _confirmed(request: Request, context: Context, caller: Principal | None, back: CameBack, said: Said) -> Response:
    if caller is None:
        raise Problem(410, _OVER)
    async with context.database.begin(acting=acting_for(POLICY["GET", "/confirm/provider"], caller)) as tx:
        cookie = await by_provider.confirm(tx, context, back, said, caller)
    return set_session(RedirectResponse(inside(back.going.then), 303), context.settings, cookie)


async def _linked(request: Request, context: Context, caller: Principal | None, back: CameBack, said: Said) -> Response:
    if caller is None:
        raise Problem(410, _OVER)
    async with context.database.begin(acting=acting_for(POLICY["GET", "/ways-in/provider"], caller)) as tx:
        await by_provider.link_own(tx, context, back, said, caller)
    return RedirectResponse("/ways-in", 303)


_BY_PURPOSE = {Purpose.SIGN_IN: _signed_in, Purpose.CONFIRM: _confirmed, Purpose.LINK: _linked}
