"""The admin's pages of the rules by which a connection reads: those that come with the house, one's own, and trying one out."""

from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from app.access.gate import Caller
from app.access.roles import Principal
from app.connections import documents, repository
from app.connections.documents import Written
from app.connections.models import Connection
from app.connections.schemas import NewDocument
from app.intake.previewing import preview
from app.intake.schemas import Preview
from app.kit.context import Ctx, Tx
from app.kit.database import Transaction
from app.kit.errors import Problem, not_found
from app.timeline.wording import KINDS
from app.web.forms import Draft, Form
from app.web.templating import page
from connectors.registry import registry
from connectors.vocabulary import AlertKind

router = APIRouter()

SAID = {
    "save": "Saved. What comes from now on is read by it; what came stays as it was understood.",
    "withdraw": "Withdrawn. Nothing is read by it any more; its versions stay here.",
}
"""What the page says after an act."""
_FIELDS = ("name", "text", "after")
_HELP = {
    "name": "Write a name of small letters, digits, dots and dashes, at most 60.",
    "text": "Write the rule here; at most 100,000 letters.",
    "after": "This form cannot be read. Open the page again and retry.",
}


@router.get("/admin/connections/{connection_id}/rules")
async def rules(request: Request, connection_id: UUID, caller: Caller, tx: Tx, said: str = "") -> Response:
    """The rules of one connection: its own with their versions, and those that come with the house."""
    row = await _row(tx, caller, connection_id)
    own: dict[str, list[Written]] = {}
    for one in await documents.versions(tx, caller.organization_id, connection_id):
        own.setdefault(one.name, []).append(one)
    replaced = {name for name, versions in own.items() if versions[0].text is not None}
    shipped = documents.shipped(row.connector)
    said_now = SAID.get(said)
    return page(request, "rules.html", connection=row, own=own, shipped=shipped, replaced=replaced, said=said_now)


@router.get("/admin/connections/{connection_id}/rules/edit")
async def edit(request: Request, connection_id: UUID, caller: Caller, tx: Tx, name: str = "") -> Response:
    """The editor, with the newest text of that name: one's own, else the one that comes with the house, else none."""
    row = await _row(tx, caller, connection_id)
    versions = await documents.versions(tx, caller.organization_id, connection_id, name) if name else []
    text = versions[0].text if versions and versions[0].text is not None else documents.shipped(row.connector).get(name, "")
    after = str(versions[0].version if versions else 0)
    return _editor(request, row, Draft({"name": name, "text": text, "after": after}))


def _editor(
    request: Request,
    connection: Connection,
    draft: Draft,
    status: int = 200,
    problem: str | None = None,
    tried: Preview | None = None,
) -> Response:
    return page(
        request,
        "rule_edit.html",
        status,
        connection=connection,
        draft=draft,
        problem=problem,
        tried=tried,
        as_words=as_words,
    )


def as_words(label: str) -> str:
    """What something would become, as a person reads it."""
    return KINDS[AlertKind(label)] if label in KINDS else label[:1].upper() + label[1:]


@router.post("/admin/connections/{connection_id}/rules")
async def save(request: Request, connection_id: UUID, form: Form, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """Write the next version of a rule, or withdraw it."""
    row = await _row(tx, caller, connection_id)
    where = (tx, context.keyring, caller.organization_id, connection_id)
    draft, todo = _typed(form), form.text("todo")
    if todo == "withdraw":
        await documents.write(*where, name=draft.values["name"], text=None, actor=caller.actor)
        return RedirectResponse(f"/admin/connections/{connection_id}/rules?said=withdraw", 303)
    try:
        new = _new(draft)
        await documents.write(*where, name=new.name, text=new.text, actor=caller.actor, after=new.after)
    except (ValidationError, Problem) as error:
        return _again(request, row, draft, error)
    return RedirectResponse(f"/admin/connections/{connection_id}/rules?said=save", 303)


@router.post("/admin/connections/{connection_id}/rules/preview")
async def try_out(request: Request, connection_id: UUID, form: Form, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """What would become of what came already. Nothing is changed."""
    row, draft = await _row(tx, caller, connection_id), _typed(form)
    try:
        new = _new(draft)
        where = (tx, context.keyring, caller.organization_id, connection_id)
        tried = await preview(*where, name=new.name, text=new.text, actor=caller.actor)
    except (ValidationError, Problem) as error:
        return _again(request, row, draft, error)
    return _editor(request, row, draft, tried=tried)


async def _row(tx: Transaction, caller: Principal, connection_id: UUID) -> Connection:
    row = await repository.connection_of(tx, caller.organization_id, connection_id)
    if row is None or row.connector not in registry():
        raise not_found()
    return row


def _typed(form: Form) -> Draft:
    return Draft({name: form.text(name).replace("\r\n", "\n").strip() for name in _FIELDS})


def _new(draft: Draft) -> NewDocument:
    after = draft.values["after"]
    said = {"name": draft.values["name"], "text": draft.values["text"] + "\n" if draft.values["text"] else ""}
    return NewDocument.model_validate({**said, "after": int(after) if after.isascii() and after.isdigit() else None})


def _again(request: Request, row: Connection, draft: Draft, error: ValidationError | Problem) -> Response:
    """The editor once more, with what is wrong beside its field. Raises the Problem that no field can mend."""
    if isinstance(error, ValidationError):
        wrong = {str(one["loc"][0]): _HELP[str(one["loc"][0])] for one in error.errors(include_input=False, include_url=False)}
        return _editor(request, row, Draft(draft.values, wrong), 422)
    if error.status not in (409, 422):
        raise error
    wrong = {one.field.removeprefix("body."): one.message for one in error.errors}
    return _editor(request, row, Draft(draft.values, wrong), error.status, None if wrong else error.detail)
