"""The caseworker's page of one mail that only a person can tell: read it, masked, and say what it is."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from app.access.gate import Caller
from app.access.roles import Principal
from app.connections.repository import connection_of
from app.kit.context import Context, Ctx, Tx
from app.kit.database import Transaction
from app.kit.errors import Problem
from app.timeline import reviewing
from app.timeline.schemas import NoAlert, ReviewAnswer
from app.web.forms import Draft, Form, Posted, plain_amount
from app.web.templating import page
from connectors.vocabulary import Bureau

router = APIRouter()

FIELDS = ("kind", "not_an_alert", "institution", "last_four", "amount", "currency", "bureau")
RULE = ("rule_name", "rule_text")
_HELP = {
    "kind": "Choose what it tells of.",
    "not_an_alert": "Choose what it is.",
    "institution": "Write the name of the company in at most 200 letters, or leave it empty.",
    "last_four": "Write the last two to four digits only, or leave it empty.",
    "amount": "Write an amount such as 120.50, or leave it empty.",
    "currency": "Write the currency as three capital letters, such as USD.",
    "bureau": "Choose a bureau, or leave it.",
    "rule": "A rule has a name of small letters and a text.",
}


@router.get("/queues/reviews/{event_id}")
async def show(request: Request, event_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """One mail, masked, and the form that asks what it is."""
    return await _page(request, tx, context, caller, event_id, Draft())


async def _page(
    request: Request,
    tx: Transaction,
    context: Context,
    caller: Principal,
    event_id: UUID,
    draft: Draft,
    status: int = 200,
    problem: str | None = None,
) -> Response:
    review = await reviewing.show(tx, context, caller, event_id)
    connection = await connection_of(tx, caller.organization_id, review.connection_id)
    return page(
        request,
        "review.html",
        status,
        review=review,
        title=connection.title if connection else "",
        bureaus=tuple(Bureau),
        reasons=tuple(NoAlert),
        draft=draft,
        problem=problem,
    )


@router.post("/queues/reviews/{event_id}")
async def answer(request: Request, event_id: UUID, form: Form, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """Take the answer, or show the rule that could be made of it first."""
    draft = Draft({name: form.text(name).replace("\r\n", "\n").strip() for name in (*FIELDS, *RULE)})
    todo = form.text("todo")
    try:
        said = ReviewAnswer.model_validate(_said(form, todo))
        if todo == "draft" and said.kind is not None:
            made = await reviewing.draft(tx, context, caller, event_id, said.kind)
            shown = Draft({**draft.values, "rule_name": made.name, "rule_text": made.text})
            return await _page(request, tx, context, caller, event_id, shown)
        await reviewing.answer(tx, context, caller, event_id, said)
    except ValidationError as error:
        return await _page(request, tx, context, caller, event_id, _explained(draft, error, todo), 422)
    except Problem as problem:
        if problem.status not in (409, 422):
            raise
        wrong = {"rule": problem.errors[0].message} if problem.errors else {}
        told = None if wrong else problem.detail
        return await _page(request, tx, context, caller, event_id, Draft(draft.values, wrong), problem.status, told)
    return RedirectResponse("/queues?said=answered#reviews", 303)


def _said(form: Posted, todo: str) -> dict[str, Any]:
    """The answer as the API takes it."""
    if todo == "none":
        return {"not_an_alert": form.text("not_an_alert")}
    typed = {name: form.text(name).strip() for name in FIELDS if name != "not_an_alert"}
    typed["amount"] = plain_amount(typed["amount"])
    said: dict[str, Any] = {name: text for name, text in typed.items() if text}
    if "amount" not in said:
        said.pop("currency", None)
    if todo == "rule":
        name, text = (form.text(one).replace("\r\n", "\n").strip() for one in RULE)
        said["rule"] = {"name": name, "text": text + "\n", "after": 0}
    return said


def _explained(draft: Draft, error: ValidationError, todo: str) -> Draft:
    places = {str(one["loc"][0]) if one["loc"] else "" for one in error.errors(include_input=False, include_url=False)}
    whole = "not_an_alert" if todo == "none" else "kind"
    wrong = {place or whole for place in places}
    return Draft(draft.values, {name: _HELP.get(name, _HELP["kind"]) for name in wrong})
