"""The admin's page: how connections are doing, people and their roles, and the roster import with a dry run."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response, UploadFile
from fastapi import Form as FormField
from fastapi.responses import RedirectResponse
from pydantic import TypeAdapter, ValidationError

from app.access import provider_client, provider_rows, recovery
from app.access import repository as access
from app.access import service as access_service
from app.access.gate import Caller
from app.access.models import Account
from app.access.roles import Principal, Role
from app.access.schemas import Email
from app.intake.health import health_of
from app.kit.context import Context, Ctx, Tx
from app.kit.database import Transaction
from app.kit.errors import Problem
from app.members.endpoints import csv_text
from app.members.roster import ROSTER_COLUMNS, parsed, read_roster
from app.members.service import find_member, import_roster
from app.notices.service import open_alarms
from app.web.connection_words import STATES
from app.web.forms import Draft, Form, Posted
from app.web.labels import ROLES
from app.web.templating import page
from connectors.registry import registry

router = APIRouter()

GRANTED_HERE = tuple(role for role in Role if access_service.may_grant(Role.ADMIN, role))
_EMAIL: TypeAdapter[str] = TypeAdapter(Email)
_PERSON_FIELDS = ("email", "role")
_HELP = {
    "email": "Write the e-mail address as name@example.org.",
    "role": "Choose a role.",
    "who": "Nobody is known by this. Write a member's number as it stands in the roster, or the address of anybody else.",
}


async def _show(
    request: Request, tx: Transaction, caller: Principal, status: int = 200, draft: Draft | None = None, **shown: Any
) -> Response:
    """The page with what is there now. `shown`: the report of an import, or what was wrong with it."""
    values: Mapping[str, Any] = {"report": None, "problem": None, "begun": None} | shown
    provider = await provider_rows.of_organization(tx, caller.organization_id)
    return page(
        request,
        "admin.html",
        status,
        connections=[(health, STATES[health.state]) for health in await health_of(tx, caller.organization_id)],
        alarms=await open_alarms(tx, caller.organization_id),
        titles={name: connector.title for name, connector in registry().items()},
        grants=await access.grants(tx, caller.organization_id),
        roles=[(role, ROLES[role]) for role in GRANTED_HERE],
        columns=ROSTER_COLUMNS,
        provider=provider,
        host=provider_client.host_of(provider.issuer) if provider is not None else "",
        draft=draft or Draft(),
        **values,
    )


@router.get("/admin")
async def admin(request: Request, caller: Caller, tx: Tx) -> Response:
    """Connections, people and roles, and the import of the roster."""
    return await _show(request, tx, caller)


@router.post("/admin/roster")
async def roster(
    request: Request,
    caller: Caller,
    context: Ctx,
    tx: Tx,
    file: UploadFile | None = None,
    todo: Annotated[str, FormField(max_length=20)] = "check",
) -> Response:
    """Check a roster, or take it in when every row is right. Every bad row is named with what to do."""
    if file is None:
        return await _show(request, tx, caller, 422, problem="Choose a file first.")
    try:
        entries, problems = parsed(await csv_text(file), read_roster)
    except Problem as problem:
        return await _show(request, tx, caller, problem.status, problem=problem.detail)
    report = await import_roster(
        tx, context.keyring, caller.organization_id, entries, problems, actor=caller.actor, dry_run=todo != "import"
    )
    return await _show(request, tx, caller, 422 if report.problems else 200, report=report)


@router.post("/admin/people")
async def people(request: Request, form: Form, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """Give a person a role; they get a one-time link by mail."""
    draft = _draft(form, _PERSON_FIELDS)
    errors = set()
    try:
        _EMAIL.validate_python(draft.values["email"])
    except ValidationError:
        errors.add("email")
    if draft.values["role"] not in GRANTED_HERE:
        errors.add("role")
    if errors:
        return await _show(request, tx, caller, 422, _with_errors(draft, errors))
    await access_service.invite(tx, context, caller, draft.values["email"], Role(draft.values["role"]))
    return RedirectResponse("/admin#people", 303)


@router.post("/admin/recovery")
async def let_back_in(request: Request, form: Form, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """Vouch for somebody who lost every way to sign in, a member by number or anybody else by address."""
    draft = _draft(form, ("who",))
    try:
        begun = await recovery.vouch(tx, context.keyring, caller, await _account(tx, context, caller, draft.values["who"]))
    except Problem as problem:
        said = _HELP["who"] if problem.status == 404 else str(problem.detail)
        return await _show(request, tx, caller, 422, Draft(draft.values, {"who": said}))
    return await _show(request, tx, caller, draft=Draft(), begun=begun)


async def _account(tx: Transaction, context: Context, caller: Principal, who: str) -> Account | None:
    if "@" in who:
        index = await access_service.email_index(tx, context.keyring, who)
        return await access.account_by_email(tx, caller.organization_id, index)
    member = await find_member(tx, context.keyring, caller.organization_id, who) if who else None
    return None if member is None else await access.account_of_member(tx, caller.organization_id, member.id)


def _draft(form: Posted, names: tuple[str, ...]) -> Draft:
    return Draft({name: form.text(name).strip() for name in names})


def _with_errors(draft: Draft, names: set[str]) -> Draft:
    return Draft(draft.values, {name: _HELP[name] for name in names})
