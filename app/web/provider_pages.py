"""The admin's page of the organization's own sign-in: connect it, hand its link round, switch it off, remove it."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from app.access import provider_client, provider_rows, providers
from app.access import repository as access
from app.access import service as access_service
from app.access.gate import Caller
from app.access.roles import Principal
from app.kit.context import Context, Ctx, Tx
from app.kit.database import Transaction
from app.kit.errors import Problem, not_found
from app.web.forms import Draft, Form, Posted
from app.web.templating import page

router = APIRouter()

_TYPED = ("issuer", "client_id", "domains", "people")
_PLACES = {"accounts": "people"}
_NOBODY_BY_THIS = "One of these is the address of nobody who has a role here. Add the person first, under People and roles."
_SAID = {
    "keep": "It is connected. Try it: open the link below in a private window and sign in.",
    "off": "It is switched off. Whoever came by it is signed out.",
    "on": "It is switched on again.",
    "remove": "It is removed. Whoever came by it is signed out.",
}


async def _show(
    request: Request,
    tx: Transaction,
    context: Context,
    caller: Principal,
    status: int = 200,
    *,
    draft: Draft | None = None,
    **shown: Any,
) -> Response:
    """`shown`: what was said of an act, or what was wrong with it."""
    row = await provider_rows.of_organization(tx, caller.organization_id)
    values: dict[str, Any] = {"said": None, "problem": None} | shown
    if draft is None and row is not None:
        people = await providers.addresses_of(tx, context, row)
        texts = {"domains": "\n".join(row.domains), "people": "\n".join(people)}
        draft = Draft({"issuer": row.issuer, "client_id": row.client_id, **texts})
    return page(
        request,
        "own_sign_in.html",
        status,
        provider=row,
        host=provider_client.host_of(row.issuer) if row is not None else "",
        link=f"{context.settings.origin}/sign-in/with/{row.id}" if row is not None else "",
        redirect_uri=provider_client.redirect_uri(context.settings),
        draft=draft or Draft(),
        **values,
    )


@router.get("/admin/sign-in")
async def own_sign_in(request: Request, caller: Caller, context: Ctx, tx: Tx, said: str = "") -> Response:
    """How the organization's own sign-in stands."""
    return await _show(request, tx, context, caller, said=_SAID.get(said))


@router.get("/admin/sign-in/remove")
async def ask_to_remove(request: Request, caller: Caller, tx: Tx) -> Response:
    """Ask once more before it is removed."""
    row = await provider_rows.of_organization(tx, caller.organization_id)
    if row is None:
        raise not_found()
    return page(request, "own_sign_in_remove.html", host=provider_client.host_of(row.issuer))


@router.post("/admin/sign-in")
async def act(request: Request, form: Form, caller: Caller, context: Ctx) -> Response:
    """Do one thing with it: keep what was typed, switch it off or on, remove it."""
    todo = form.text("todo")
    try:
        await _done(request, form, caller, context, todo)
    except Problem as problem:
        if problem.status == 404:
            raise
        errors = {_place(error.field): error.message for error in problem.errors}
        draft = Draft({name: form.text(name).strip() for name in _TYPED}, errors) if todo == "keep" else None
        async with context.database.begin(read_only=True, acting=request.state.acting) as tx:
            said = problem.detail if not errors else None
            return await _show(request, tx, context, caller, problem.status, draft=draft, problem=said)
    return RedirectResponse(f"/admin/sign-in?said={todo}", 303)


def _place(field: str) -> str:
    name = field.removeprefix("body.")
    return _PLACES.get(name, name)


async def _done(request: Request, form: Posted, caller: Principal, context: Context, todo: str) -> None:
    acting, keyring = request.state.acting, context.keyring
    if todo == "keep":
        async with context.database.begin(read_only=True, acting=acting) as tx:
            wanted = await _wanted(form, tx, caller, context)
        await providers.require_suitable(context.settings, wanted)
        async with context.database.begin(acting=acting) as tx:
            await providers.keep(tx, keyring, caller, wanted)
    elif todo in ("on", "off"):
        async with context.database.begin(acting=acting) as tx:
            await providers.switch(tx, keyring, caller, on=todo == "on")
    elif todo == "remove":
        async with context.database.begin(acting=acting) as tx:
            await providers.remove(tx, keyring, caller)
    else:
        raise Problem(422, "This form cannot be read. Open the page again and retry.")


async def _wanted(form: Posted, tx: Transaction, caller: Principal, context: Context) -> providers.Wanted:
    """What the form asks for. Raises a 422 Problem for an address of nobody who could sign in."""
    domains = [one.removeprefix("@") for one in form.text("domains").lower().split()]
    people: set[UUID] = set()
    for address in form.text("people").split()[: providers.MOST_NAMED + 1]:
        index = await access_service.email_index(tx, context.keyring, address)
        account = await access.account_by_email(tx, caller.organization_id, index)
        if account is None:
            raise providers.refused("accounts", _NOBODY_BY_THIS)
        people.add(account.id)
    secret = form.text("client_secret").strip() or None
    return providers.Wanted(form.text("issuer").strip(), form.text("client_id").strip(), secret, domains, sorted(people))
