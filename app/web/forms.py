"""What people type into forms: read within bounds, checked by the same models as the API, told back in plain words."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import Depends, Request
from pydantic import ValidationError

from app.damages.schemas import NewLoss
from app.incidents.schemas import NewVerdict
from app.kit.errors import FieldError, Problem
from app.members.schemas import ConsentAnswer

LARGEST_FORM = 128 * 1024
MOST_FIELDS = 600
FORM_TYPE = "application/x-www-form-urlencoded"
_THOUSANDS = re.compile(r"[1-9][0-9]{0,2}(,[0-9]{3})+(\.[0-9]{1,2})?")

LOSS_FIELDS = ("head", "amount", "incurred_on", "note", "payer", "back_amount", "back_on")
"""The fields of the loss form; the last three are one sum that was paid back."""

_AMOUNT_HELP = "Write an amount above zero with at most two places, such as 120.50."
_DAY_HELP = "Write the day as year-month-day, such as 2023-03-30."
_LOSS_HELP = {
    "head": "Choose what sort of loss it was.",
    "amount": _AMOUNT_HELP,
    "incurred_on": _DAY_HELP,
    "note": "Write at most 2,000 ordinary characters, or leave it empty.",
    "payer": "Choose who paid it back.",
    "back_amount": _AMOUNT_HELP,
    "back_on": _DAY_HELP,
}
_LOSS_PLACES = {
    "reimbursements": "back_amount",
    "reimbursements.0": "back_amount",
    "reimbursements.0.payer": "payer",
    "reimbursements.0.amount": "back_amount",
    "reimbursements.0.paid_on": "back_on",
}


class Posted:
    """The fields of a posted form."""

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        """`fields`: every value of every name, in order."""
        self._fields = fields

    def text(self, name: str) -> str:
        """One field, empty when it was not sent."""
        return next(iter(self._fields.get(name, ())), "")

    def names(self) -> list[str]:
        """The names of all fields that were sent."""
        return list(self._fields)

    def all(self, name: str) -> list[str]:
        """Every value of one name."""
        return list(self._fields.get(name, ()))


@dataclass(frozen=True)
class Draft:
    """A form as it is shown: what was typed, and what to do about the fields that are not right."""

    values: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)


async def _body(request: Request, media_type: str) -> bytes:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != media_type:
        raise Problem(415, "This page takes what its own form sends. Open the page again and retry.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_FORM:
            raise Problem(413, "That is more than this form takes. Write less and retry.")
    return bytes(body)


async def read_json(request: Request) -> dict[str, Any]:
    """What a script of ours sent: a JSON object. Raises a 413, 415 or 422 Problem."""
    body = await _body(request, "application/json")
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        sent = None
    if not isinstance(sent, dict):
        raise Problem(422, "This cannot be read. Open the page again and retry.")
    return sent


async def read_form(request: Request) -> Posted:
    """The posted fields. Raises a 413, 415 or 422 Problem."""
    body = await _body(request, FORM_TYPE)
    try:
        pairs = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError:
        raise Problem(422, "This form cannot be read. Open the page again and retry.") from None
    return Posted(pairs)


Form = Annotated[Posted, Depends(read_form)]
SentJson = Annotated[dict[str, Any], Depends(read_json)]


def plain_amount(text: str) -> str:
    """An amount as people write it, "$1,200.50", as the API wants it, "1200.50"; anything else as it is, without blanks."""
    bare = text.strip().removeprefix("$").strip()
    return bare.replace(",", "") if _THOUSANDS.fullmatch(bare) else bare


def loss_of(posted: Posted) -> tuple[NewLoss | None, Draft]:
    """The loss that was typed, or None with what to mend; the draft keeps what was typed."""
    values = {name: posted.text(name) for name in LOSS_FIELDS}
    said: dict[str, Any] = {
        "head": values["head"],
        "amount": plain_amount(values["amount"]),
        "incurred_on": values["incurred_on"].strip(),
        "note": values["note"].replace("\r\n", "\n").strip() or None,
    }
    if values["back_amount"].strip() or values["payer"] or values["back_on"].strip():
        said["reimbursements"] = [
            {
                "payer": values["payer"],
                "amount": plain_amount(values["back_amount"]),
                "paid_on": values["back_on"].strip() or None,
            }
        ]
    try:
        return NewLoss.model_validate(said), Draft(values)
    except ValidationError as error:
        places = [_loss_place(".".join(map(str, e["loc"]))) for e in error.errors(include_input=False, include_url=False)]
    return None, Draft(values, {place: _LOSS_HELP[place] for place in places})


def _loss_place(path: str) -> str:
    return _LOSS_PLACES.get(path, path.partition(".")[0])


def refused_loss(draft: Draft, errors: Sequence[FieldError]) -> Draft:
    """The same draft with what the service said of its fields."""
    return Draft(draft.values, {_loss_place(e.field.removeprefix("body.")): e.message for e in errors})


def verdict_of(posted: Posted) -> NewVerdict:
    """The answer with the alerts that were shown. Raises a 422 Problem for what no page of ours sends."""
    try:
        return NewVerdict.model_validate({"answer": posted.text("answer"), "shown": posted.all("shown")})
    except ValidationError:
        raise Problem(422, "Choose one of the three answers. Open the page again and retry.") from None


def consent_of(posted: Posted) -> ConsentAnswer:
    """The member's yes or no to one connection. Raises a 422 Problem for what no page of ours sends."""
    said = posted.text("given")
    given = {"yes": True, "no": False, "reviewed": True}.get(said)
    try:
        return ConsentAnswer.model_validate(
            {"connection_id": posted.text("connection_id"), "given": given, "reviewed": said == "reviewed"}
        )
    except ValidationError:
        raise Problem(422, "Choose yes or no. Open the page again and retry.") from None
