"""The form by which an admin marks a stretch of time as disputed: times are typed in UTC, errors come back in plain words."""

from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import ValidationError

from app.connections.schemas import NewDispute
from app.kit.errors import FieldError, Problem
from app.web.forms import Draft, Posted

FIELDS = ("received_from", "received_until", "reason")
_WHEN = "Write the day and the time in UTC, such as 2023-03-30 14:05"
_HELP: Mapping[str, str] = {
    "received_from": f"{_WHEN}.",
    "received_until": f"{_WHEN}, or leave it empty.",
    "reason": "Say why in at most 2,000 ordinary characters.",
}


def draft_of(posted: Posted) -> Draft:
    """What was typed."""
    return Draft({name: posted.text(name).replace("\r\n", "\n").strip() for name in FIELDS})


def dispute_of(posted: Posted) -> NewDispute:
    """The mark that was typed. Raises a 422 Problem that says of each field what it needs."""
    typed = draft_of(posted).values
    try:
        return NewDispute.model_validate(
            {**typed, **{name: _moment(typed[name]) for name in ("received_from", "received_until")}}
        )
    except ValidationError as error:
        wrong = {str(e["loc"][0]) for e in error.errors(include_input=False, include_url=False)}
    errors = [FieldError(field=f"body.{name}", message=_HELP[name]) for name in FIELDS if name in wrong]
    raise Problem(422, "This stretch of time cannot be marked yet. See below what it needs.", errors=errors)


def _moment(text: str) -> datetime | str | None:
    """A time as browsers and people write it, in UTC unless it says otherwise; None for nothing, else the text as it is."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return f"no time: {text}"
    return found if found.tzinfo else found.replace(tzinfo=UTC)
