"""The admin's page on which files are handed in: looked at first, and, for files with columns, said what those mean."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from app.access.gate import Caller
from app.access.roles import Principal
from app.connections import documents
from app.connections.models import Connection
from app.intake import handing_in
from app.kit.context import Context, Ctx, Tx
from app.kit.database import Transaction
from app.kit.errors import FieldError, Problem
from app.timeline import importing
from app.timeline.importing import Sent
from app.web import column_form, file_words
from app.web.column_form import Meant, Seen
from app.web.forms import Draft, Form
from app.web.templating import page
from connectors.contract import Connector, Malformed
from connectors.file.columns import DOCUMENT
from connectors.file.connector import File
from connectors.file.glimpse import glimpse

router = APIRouter()

LOOK, ADD, COLUMNS, WORDS, SAVE = "look", "add", "columns", "words", "save"
UNREADABLE = "This form cannot be read. Open the page again and retry."


@dataclass(frozen=True, slots=True)
class Target:
    """The connection that files are for, as it reads, and every version of what its columns mean; newest first."""

    connection: Connection
    reader: Connector
    versions: list[documents.Written]

    @property
    def file(self) -> File | None:
        """The reader of files with columns; None for one of mails."""
        return self.reader if isinstance(self.reader, File) else None

    @property
    def version(self) -> int:
        """The newest version of what the columns mean; 0: nobody has said it yet."""
        return self.versions[0].version if self.versions else 0

    @property
    def is_said(self) -> bool:
        """Whether somebody has said what the columns mean."""
        return bool(self.versions) and self.versions[0].text is not None


async def _target(tx: Transaction, caller: Principal, connection_id: UUID) -> Target:
    """Raises a 404, or a 409 Problem for a connection that takes no files."""
    connection, reader = await handing_in.open_target(tx, caller.organization_id, connection_id)
    written = await documents.versions(tx, caller.organization_id, connection_id, DOCUMENT)
    return Target(connection, reader, written if isinstance(reader, File) else [])


async def read_what_was_sent(request: Request) -> Sent | Problem:
    """The file of the form, or what is wrong with it: that is said on the page, once it is known that there is one."""
    try:
        return await importing.read_file(request)
    except Problem as problem:
        return problem


WhatWasSent = Annotated[Sent | Problem, Depends(read_what_was_sent)]


def _acting(request: Request, context: Context) -> Context:
    return replace(context, database=context.database.acting_as(request.state.acting))


async def _show(
    request: Request, context: Context, caller: Principal, connection_id: UUID, status: int = 200, **shown: Any
) -> Response:
    """The page. `shown`: what a file would become, what became of it, or what was wrong with it."""
    async with context.database.begin(read_only=True) as tx:
        target = await _target(tx, caller, connection_id)
        latest = await handing_in.latest(tx, caller.organization_id, connection_id)
    values: Mapping[str, Any] = {
        "trial": None,
        "wrong": [],
        "first": [],
        "kept": None,
        "problem": None,
        "sha256": "",
        "to": "",
    } | shown
    columns = target.file.columns if target.file else None
    return page(
        request,
        "files.html",
        status,
        connection=target.connection,
        target=target,
        told=column_form.told(columns) if columns else [],
        columns=columns,
        latest=latest,
        draft=values.get("draft") or Draft(),
        unit="row" if columns else "mail",
        said=file_words.SAID.get(request.query_params.get("said", "")),
        **{name: value for name, value in values.items() if name != "draft"},
    )


@router.get("/admin/connections/{connection_id}/files")
async def files(request: Request, connection_id: UUID, caller: Caller, context: Ctx) -> Response:
    """Choose a file; what its columns mean; the files that came last and how far each has come."""
    return await _show(request, _acting(request, context), caller, connection_id)


@router.post("/admin/connections/{connection_id}/files")
async def sent_file(request: Request, connection_id: UUID, sent: WhatWasSent, caller: Caller, context: Ctx) -> Response:
    """Look at a file, hand it in, or say what its columns mean. It is not kept from one to the other."""
    acting = _acting(request, context)
    try:
        if isinstance(sent, Problem):
            raise sent
        act = _ACTS.get(sent.form.fields.get("todo", ""))
        if act is None:
            raise Problem(422, UNREADABLE)
        return await act(request, acting, caller, connection_id, sent)
    except Problem as problem:
        if problem.status == 404:
            raise
        wrong = {error.field.removeprefix("body."): error.message for error in problem.errors}
        to = "" if isinstance(sent, Problem) else sent.form.fields.get(importing.TO, "")
        shown: dict[str, Any] = {"draft": Draft(errors=wrong), "problem": None if wrong else problem.detail, "to": to}
        return await _show(request, acting, caller, connection_id, problem.status, **shown)


async def _look(request: Request, context: Context, caller: Principal, connection_id: UUID, sent: Sent) -> Response:
    async with context.database.begin(read_only=True) as tx:
        target = await _target(tx, caller, connection_id)
    trial = await importing.try_out(target.reader, sent)
    return await _show(
        request,
        context,
        caller,
        connection_id,
        trial=trial,
        wrong=file_words.wrong_rows(trial.wrong, target.file.columns if target.file else None),
        first=file_words.first_alerts(trial.first),
        sha256=sent.known.sha256,
        to=sent.told.get(importing.TO, ""),
    )


async def _add(request: Request, context: Context, caller: Principal, connection_id: UUID, sent: Sent) -> Response:
    looked_at = sent.form.fields.get("sha256", "")
    if looked_at and looked_at != sent.known.sha256:
        message = "This is another file than the one that you looked at. Choose that one, or look at this one first."
        raise Problem(409, message, errors=[FieldError(field="body.file", message=message)])
    async with context.database.begin() as tx:
        kept = await importing.keep(tx, context.keyring, caller, connection_id, sent)
    return await _show(request, context, caller, connection_id, kept=kept)


async def _columns(request: Request, context: Context, caller: Principal, connection_id: UUID, sent: Sent) -> Response:
    async with context.database.begin(read_only=True) as tx:
        target = await _target(tx, caller, connection_id)
    reader = _with_columns(target)
    try:
        found = await asyncio.to_thread(glimpse, sent.file, reader.columns.delimiter)
    except Malformed as error:
        message = f"This file cannot be read here. {error}.".replace("..", ".")
        raise Problem(422, message, errors=[FieldError(field="body.file", message=message)]) from None
    draft = column_form.first_draft(found.columns, reader.columns if target.is_said else None)
    return _columns_page(request, target, column_form.seen(found, target.version), draft)


_ACTS = {LOOK: _look, ADD: _add, COLUMNS: _columns}


def _with_columns(target: Target) -> File:
    """Raises a 409 Problem for a connection whose files have no columns."""
    if target.file is None:
        raise Problem(409, "The files of this connection have no columns.")
    return target.file


def _columns_page(
    request: Request,
    target: Target,
    found: Seen,
    draft: Draft,
    words: list[Meant] | None = None,
    *,
    status: int = 200,
    problem: str | None = None,
) -> Response:
    """The first step, which column is what, or with `words` the second, what they mean."""
    return page(
        request,
        "file_columns.html",
        status,
        connection=target.connection,
        found=found,
        draft=draft,
        words=words,
        meanings=column_form.SAID,
        ways=column_form.WRITTEN,
        problem=problem,
    )


@router.post("/admin/connections/{connection_id}/columns")
async def say_columns(request: Request, connection_id: UUID, form: Form, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """Take what the columns mean; then what the words mean in the one that says what happened; then keep both."""
    target = await _target(tx, caller, connection_id)
    present = _with_columns(target).columns if target.is_said else None
    found, draft, step = column_form.seen_in(form), column_form.draft_of(form), form.text("todo")
    if step not in (WORDS, SAVE):
        raise Problem(422, UNREADABLE)
    words = column_form.meant_in(form) if step == SAVE else None
    columns, errors = column_form.columns_of(draft, words or [], found, present)
    if columns is None:
        again = words if words and any(name.startswith(column_form.MEANT) for name in errors) else None
        return _columns_page(request, target, found, Draft(draft.values, errors), again, status=422)
    if step == WORDS and draft.values["kind"]:
        return _columns_page(request, target, found, draft, column_form.meanings(draft, found, present))
    where = (tx, context.keyring, caller.organization_id, connection_id)
    try:
        await documents.write(*where, name=DOCUMENT, text=column_form.as_text(columns), actor=caller.actor, after=found.after)
    except Problem as problem:
        return _columns_page(request, target, found, draft, words, status=problem.status, problem=problem.detail)
    return RedirectResponse(f"/admin/connections/{connection_id}/files?said={COLUMNS}", 303)
