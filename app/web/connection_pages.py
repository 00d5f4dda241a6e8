"""The admin's pages of connections: how each is doing, a new one, and all that can be done with one."""

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from app.access.gate import Caller
from app.access.roles import Principal
from app.connections import disputing, managing, repository
from app.connections.models import Connection
from app.connections.schemas import ConnectionChange, NewConnection
from app.connections.service import OWN, Created, create_connection
from app.connections.settings import settings_of
from app.connections.viewing import connection_detail, connector_view, is_signed
from app.intake.handing_in import takes_files
from app.intake.health import health_of
from app.intake.questions import questions_of
from app.intake.readers import leaves_to_people, reads_by_documents
from app.kit.context import Context, Ctx, Tx
from app.kit.database import Transaction
from app.kit.errors import Problem, not_found
from app.members.repository import enrolled_count
from app.notices.service import open_alarms
from app.web import dispute_form
from app.web.connection_words import SAID, STATES, posted_settings, setting_fields, shown_once, with_errors
from app.web.forms import Draft, Form, Posted
from app.web.templating import page
from connectors.contract import Sender
from connectors.registry import registry

router = APIRouter()

OVERLAPS = (("24", "for another day"), ("168", "for another week"), ("0", "no longer: it leaked"))
_TYPED = ("connector", "title", "sender", "fresh_hours", "raw_days")
_NUMBER = re.compile(r"[0-9]{1,6}")
_HELP = {
    "title": "Write a name of at most 120 characters.",
    "sender": "Choose who sends the alerts.",
    "fresh_hours": "Write a number of hours between 1 and 8784, or leave it empty.",
    "raw_days": "Write a number of days between 1 and 3660, or leave it empty.",
}


@router.get("/admin/connections/new")
async def new_connection(request: Request, caller: Caller, connector: str = "") -> Response:
    """Choose a connector; then the form that it asks for."""
    return _new_page(request, connector, Draft())


def _new_page(request: Request, name: str, draft: Draft, status: int = 200, problem: str | None = None) -> Response:
    chosen = registry().get(name)
    if chosen is None:
        # What members report makes its connection itself, at the first report.
        known = [connector_view(connector) for connector in registry().values() if connector.name != OWN]
        return page(request, "connectors.html", status, connectors=known, problem=problem)
    return page(
        request,
        "connection_new.html",
        status,
        connector=connector_view(chosen),
        fields=setting_fields(settings_of(chosen), {}, (), draft),
        senders=tuple(Sender),
        draft=draft,
        problem=problem,
    )


@router.post("/admin/connections")
async def create(request: Request, form: Form, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """Set up a connection. Its address and secret are on the answer, this once."""
    draft = _draft(form)
    name = draft.values["connector"]
    chosen = registry().get(name)
    if chosen is None:
        return _new_page(request, "", draft, 422, "Choose a connector.")
    try:
        new = NewConnection.model_validate({key: draft.values[key] for key in ("connector", "title", "sender")})
    except ValidationError as error:
        return _new_page(request, name, _explained(draft, error), 422)
    try:
        made = await create_connection(
            tx,
            context.keyring,
            caller.organization_id,
            connector=new.connector,
            title=new.title,
            sender=new.sender,
            secret=form.text("secret").strip() or None,
            settings=posted_settings(form, settings_of(chosen), new=True),
            actor=caller.actor,
        )
    except Problem as problem:
        return _new_page(request, name, with_errors(draft, problem.errors), problem.status, problem.detail)
    return _once(request, context, made, "created")


def _once(request: Request, context: Context, made: Created, what: str, overlap: str = "") -> Response:
    """What is shown this once: an address, a secret. `what`: created, secret or address."""
    connector = registry()[made.connection.connector]
    url = made.path and context.settings.origin + made.path
    verifier = connector.webhook.verifier if connector.webhook else None
    return page(
        request,
        "connection_once.html",
        connection=made.connection,
        connector=connector_view(connector),
        shown=shown_once(url, made.secret, verifier),
        what=what,
        overlap=dict(OVERLAPS).get(overlap, ""),
        ends_now=overlap == "0",
    )


@router.get("/admin/connections/{connection_id}")
async def one(request: Request, connection_id: UUID, caller: Caller, context: Ctx, tx: Tx, said: str = "") -> Response:
    """One connection: how it is doing, and all that can be done with it."""
    return await _one_page(request, tx, context, caller, connection_id, said=SAID.get(said))


@router.get("/admin/connections/{connection_id}/remove")
async def remove(request: Request, connection_id: UUID, caller: Caller, tx: Tx) -> Response:
    """Ask once more before a connection is removed."""
    row = await _row(tx, caller, connection_id)
    return page(request, "connection_remove.html", connection=row)


async def _row(tx: Transaction, caller: Principal, connection_id: UUID) -> Connection:
    row = await repository.connection_of(tx, caller.organization_id, connection_id)
    if row is None:
        raise not_found()
    return row


async def _one_page(
    request: Request,
    tx: Transaction,
    context: Context,
    caller: Principal,
    connection_id: UUID,
    *,
    status: int = 200,
    draft: Draft | None = None,
    said: str | None = None,
    problem: str | None = None,
) -> Response:
    row = await _row(tx, caller, connection_id)
    health = next(entry for entry in await health_of(tx, caller.organization_id) if entry.connection_id == row.id)
    detail = await connection_detail(tx, context.keyring, row)
    known, draft = registry().get(row.connector), draft or Draft()
    settings = settings_of(known) if known else []
    return page(
        request,
        "connection.html",
        status,
        connection=detail,
        connector=connector_view(known) if known else None,
        signed=known is not None and is_signed(known),
        takes_files=known is not None and takes_files(known),
        health=health,
        state=STATES[health.state],
        alarms=[alarm for alarm in await open_alarms(tx, caller.organization_id) if alarm.connection_id == row.id],
        fields=setting_fields(settings, detail.settings, detail.secrets_set, draft),
        overlaps=OVERLAPS,
        has_rules=known is not None and reads_by_documents(known),
        forwards=await enrolled_count(tx, caller.organization_id, row.id) if known and leaves_to_people(row.connector) else 0,
        disputes=await disputing.disputes_of(tx, context.keyring, caller.organization_id, row.id),
        draft=draft,
        said=said,
        problem=problem,
        questions=await questions_of(tx, context.keyring, row),
    )


@router.post("/admin/connections/{connection_id}")
async def act(request: Request, connection_id: UUID, form: Form, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """Do one thing with a connection: pause, resume, ask, replace what proves its deliveries, change it, remove it."""
    todo = form.text("todo")
    where = (tx, context.keyring, caller.organization_id, connection_id)
    try:
        if todo in ("secret", "address"):
            return await _replaced(request, form, caller, context, tx, connection_id)
        if todo == "change":
            draft, wanted = await _wanted(form, tx, caller, connection_id)
            if draft.errors:
                return await _one_page(request, tx, context, caller, connection_id, status=422, draft=draft)
            await managing.change(*where, wanted=wanted, version=form.text("version") or None, actor=caller.actor)
        elif todo in ("ask", "sweep"):
            await managing.ask_now(*where, sweep=todo == "sweep", actor=caller.actor)
        elif todo in _OF_DISPUTES:
            await _OF_DISPUTES[todo](form, caller, context, tx, connection_id)
        elif todo in _ACTS:
            await _ACTS[todo](*where, caller.actor)
        else:
            raise Problem(422, "This form cannot be read. Open the page again and retry.")
    except Problem as problem:
        if problem.status == 404:
            raise
        again = with_errors(_TYPED_IN.get(todo, _nothing)(form), problem.errors)
        options: dict[str, Any] = {"status": problem.status, "draft": again, "problem": problem.detail}
        return await _one_page(request, tx, context, caller, connection_id, **options)
    return RedirectResponse(f"/admin/connections/{connection_id}?said={todo}", 303)


async def _dispute(form: Posted, caller: Principal, context: Context, tx: Transaction, connection_id: UUID) -> None:
    new = dispute_form.dispute_of(form)
    where, first, last = (tx, context.keyring, caller.organization_id, connection_id), new.received_from, new.received_until
    await disputing.dispute(*where, received_from=first, received_until=last, reason=new.reason, actor=caller.actor)


async def _withdraw(form: Posted, caller: Principal, context: Context, tx: Transaction, connection_id: UUID) -> None:
    try:
        dispute_id = UUID(form.text("dispute_id"))
    except ValueError:
        raise Problem(422, "This form cannot be read. Open the page again and retry.") from None
    await disputing.withdraw(tx, context.keyring, caller.organization_id, connection_id, dispute_id, caller.actor)


_OF_DISPUTES = {"dispute": _dispute, "withdraw": _withdraw}
_ACTS = {"pause": managing.pause, "resume": managing.resume, "retire": managing.retire_old, "remove": managing.close}


async def _replaced(
    request: Request, form: Posted, caller: Principal, context: Context, tx: Transaction, connection_id: UUID
) -> Response:
    """A new secret or address, shown on the answer. Raises a Problem."""
    overlap = form.text("overlap")
    if overlap not in dict(OVERLAPS):
        raise Problem(422, "Choose how long the old one is good for.")
    where = (tx, context.keyring, caller.organization_id, connection_id)
    options: dict[str, Any] = {"overlap_hours": int(overlap), "actor": caller.actor}
    if form.text("todo") == "address":
        made = await managing.new_address(*where, **options)
    else:
        made = await managing.rotate_secret(*where, secret=form.text("secret").strip() or None, **options)
    return _once(request, context, made, form.text("todo"), overlap)


async def _wanted(form: Posted, tx: Transaction, caller: Principal, connection_id: UUID) -> tuple[Draft, Mapping[str, Any]]:
    """What the form of changes asks for; the draft says what is wrong with it."""
    row, draft = await _row(tx, caller, connection_id), _draft(form)
    known = registry().get(row.connector)
    settings = posted_settings(form, settings_of(known), new=False) if known else {}
    numbers = {name: draft.values[name] for name in ("fresh_hours", "raw_days")}
    typed: dict[str, Any] = {name: int(said) if _NUMBER.fullmatch(said) else said or None for name, said in numbers.items()}
    typed |= {"title": draft.values["title"], "longer_by_contract": form.text("longer_by_contract") == "yes"}
    try:
        body = ConnectionChange.model_validate({**typed, "settings": settings})
    except ValidationError as error:
        return _explained(draft, error), {}
    return draft, {name: getattr(body, name) for name in (*typed, "settings")}


def _draft(form: Posted) -> Draft:
    """What was typed. Of the settings, `setting_fields` shows no secret again."""
    settings = {name: form.text(name) for name in form.names() if name.startswith("setting.")}
    return Draft({name: form.text(name).strip() for name in _TYPED} | settings)


def _nothing(_form: Posted) -> Draft:
    return Draft()


_TYPED_IN = {"change": _draft, "dispute": dispute_form.draft_of}
"""The forms whose fields are shown again as they were typed when an act is refused, by the act."""


def _explained(draft: Draft, error: ValidationError) -> Draft:
    wrong = {str(e["loc"][0]) for e in error.errors(include_input=False, include_url=False)}
    return Draft(draft.values, {name: _HELP[name] for name in wrong})
