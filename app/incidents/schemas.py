"""API shapes of incidents: the verdict, the queue of what is nobody's, the member's consents."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from app.incidents.identity import Answer
from app.kit.uploads import FORM_WITH_FILE
from connectors.own.documents import ENDINGS
from connectors.own.report import Report

GIVEN = (Answer.NOT_ME, Answer.WAS_ME, Answer.UNSURE)
"""What a member can answer; not having answered is no answer."""


def _given(answer: Answer) -> Answer:
    if answer not in GIVEN:
        raise ValueError("answer one of: " + ", ".join(GIVEN))
    return answer


GivenAnswer = Annotated[
    Answer, AfterValidator(_given), WithJsonSchema({"type": "string", "enum": [answer.value for answer in GIVEN]})
]


class NewVerdict(BaseModel):
    """The member's answer, and the alerts that they were shown when they gave it."""

    model_config = ConfigDict(extra="forbid")

    answer: GivenAnswer
    shown: Annotated[list[UUID], Field(min_length=1, max_length=500)]


class VerdictView(BaseModel):
    """The verdict of an incident as it now stands."""

    incident_id: UUID
    answer: Answer
    needs_review: bool
    ask_again: bool


class UnmatchedView(BaseModel):
    """One alert that is nobody's: where it came from and why it waits. What it says stays sealed.

    `notice`: not the alert itself but a notice of one, not looked up before its person is known and agrees; `alert_id` is then
    the notice's id. It is destroyed 90 days after `since` unless somebody says whose it is.
    """

    alert_id: UUID
    connection_id: UUID
    reason: str
    since: datetime
    notice: bool = False


class ConsentView(BaseModel):
    """One monitoring service that wants to tell you something, and what you answered. No content.

    `reviewed`: whether a caseworker may read, masked, what only a person can tell; null where nothing is left to people.
    """

    connection_id: UUID
    title: str
    waiting: bool
    given: bool | None
    reviewed: bool | None
    decided_at: datetime | None


class Whose(BaseModel):
    """The organization's own number of the member whose an alert is."""

    model_config = ConfigDict(extra="forbid")

    external_id: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]


class ReportTaken(BaseModel):
    """That a report is kept; it is on the timeline once it is read. `repeat`: the very same report was there already."""

    receipt_id: UUID
    repeat: bool


def _report_form() -> dict[str, Any]:
    """A report as a form: every field is text or left out, and `document` is a file."""
    whole = Report.model_json_schema()
    fields: dict[str, Any] = {}
    for name, about in whole["properties"].items():
        said = next((one for one in about.get("anyOf", ()) if one.get("type") != "null"), about)
        fields[name] = whole["$defs"]["AlertKind"] if "$ref" in said else said
    about = f"At most 20 MiB. One of: {', '.join(ENDINGS)}; told by its bytes."
    fields["document"] = {"type": "string", "format": "binary", "description": about}
    schema = {"type": "object", "properties": fields, "required": whole["required"], "additionalProperties": False}
    return {"required": True, "content": {FORM_WITH_FILE: {"schema": schema}}}


REPORT_FORM = _report_form()
"""What POST /v1/reports takes, as OpenAPI describes it."""
