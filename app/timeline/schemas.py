"""What a member, or counsel of a matter, sees of incidents, and an admin of a file that they hand in."""

import json
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StringConstraints, model_validator

from app.access.schemas import Strict
from app.connections.schemas import NewDocument
from app.damages.schemas import LossView, Totals
from app.incidents.identity import Answer
from app.linkage.schemas import CounselLinkView, LinkView
from connectors.contract import Currency, Interval, LastFour, require_storable
from connectors.verifiers import Grade
from connectors.vocabulary import AlertKind, Bureau


class NewBreakGlass(Strict):
    """A request to see one member's timeline in an emergency: the organization's own number for them, and why."""

    external_id: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00]+$")]
    reason: Annotated[str, StringConstraints(min_length=10, max_length=1000, pattern=r"^[^\x00]+$")]


class BreakGlassView(BaseModel):
    """Such a request: whose timeline (null once they are erased), why, where it stands, and until when it is open."""

    id: UUID
    external_id: str | None
    reason: str
    state: str
    asked_by: UUID
    asked_at: datetime
    approved_by: UUID | None
    until: datetime | None


class DocumentView(BaseModel):
    """A document that the member handed in; its bytes are at `documents/{event_id}` of the incident, as a file to be saved."""

    media_type: str
    size: int


class EventView(BaseModel):
    """One time that a service told us of an alert: the first, the same again (sighting), or with other words (revision).

    `grade_reason`: what was found when it came in, in plain words; null for what came before that was kept.
    `original_sha256` is of the bytes of the whole delivery, in hex; null when they can no longer be shown. `disputed`: the
    organization doubts that it is the service's own word, because somebody else may have sent it in its name.
    """

    event_id: UUID
    outcome: str
    received_at: datetime
    grade: Grade
    grade_text: str
    grade_reason: str | None
    summary: str
    kind: AlertKind
    bureau: Bureau | None
    institution: str | None
    last_four: str | None
    amount: Decimal | None
    currency: str | None
    occurred: Interval | None
    opened: Interval | None
    reported: Interval | None
    original_sha256: str | None
    receipt_id: UUID
    disputed: bool
    details_requested: bool
    completes: UUID | None
    document: DocumentView | None


class AlertView(BaseModel):
    """One notification by one service, with everything it told us about it."""

    alert_id: UUID
    source: str
    events: list[EventView]


class AnswerView(BaseModel):
    """One answer that was given, when, and to how many alerts."""

    answer: Answer
    text: str
    given_at: datetime
    alerts_shown: int


class TimelineEntry(BaseModel):
    """One incident in a list. `claimed` is what the services say of when; `first_received_at` is our own clock.

    `disputed`: all that was told of it is; `disputed_text` then says in plain words what that means, else it is null.
    `details_requested`: a service says only that there is something, and nobody has told more of it yet.
    """

    id: UUID
    kind: AlertKind
    title: str
    institution: str | None
    last_four: str | None
    bureaus: list[Bureau]
    amount: Decimal | None
    currency: str | None
    claimed: Interval | None
    first_received_at: datetime
    alerts: int
    answer: Answer
    answer_text: str
    needs_review: bool
    ask_again: bool
    disputed: bool
    disputed_text: str | None
    details_requested: bool


class IncidentDetail(TimelineEntry):
    """One incident with all that is known of it. `wanting`: the alerts that the member is asked to tell more of."""

    wanting: list[UUID]
    sources: list[AlertView]
    answers: list[AnswerView]
    links: list[LinkView]
    losses: list[LossView]
    totals: list[Totals]


class CounselIncidentDetail(IncidentDetail):
    """The same as counsel reads it."""

    member_id: UUID
    counsel_links: list[CounselLinkView]


class OriginalView(BaseModel):
    """The provider's own item, long numbers masked; null when the term for keeping it is over."""

    event_id: UUID
    received_at: datetime
    masked: Any
    original_sha256: str | None
    disputed: bool


class MatterIncident(BaseModel):
    """One incident of a matter, in counsel's list."""

    member_id: UUID
    incident: TimelineEntry


class FileTrial(BaseModel):
    """What a file would become. `kinds`: how many alerts of each kind; `wrong`: the first 1,000 rows that cannot be read, by
    number and column; `wrong_rows`: all of them; `first`: some alerts, long numbers masked.

    `for_a_person`: rows whose word for what happened has no meaning yet; `handed_on`: mails inside of mails, read by themselves.
    """

    rows: int
    kinds: dict[str, int]
    ignored: int
    handed_on: int
    for_a_person: int
    wrong_rows: int
    wrong: list[str]
    first: list[dict[str, Any]]


class FileKept(BaseModel):
    """A file that is kept whole: its rows, its bytes, and when it was. `already`: it was before, so that nothing was added."""

    rows: int
    size: int
    finished_at: datetime
    already: bool


class ReviewView(BaseModel):
    """One thing that only a person can tell, in the queue: no content. `may_be_shown`: its member agreed that it is read."""

    id: UUID
    connection_id: UUID
    received_at: datetime
    reason: str | None
    may_be_shown: bool


class ReviewDetail(ReviewView):
    """The same, masked, by the names that its connector gives. `supposed`: what its words tell of, perhaps."""

    masked: dict[str, str]
    supposed: AlertKind | None


class ReviewDraft(BaseModel):
    """A document by which the like of one event would be of a kind, to be edited before it is saved."""

    name: str
    text: str


class ReviewDone(BaseModel):
    """What became of an event by a person's word."""

    outcome: str


class NoAlert(StrEnum):
    """What a mail is that is no alert: words of ours, since whatever is typed could name somebody."""

    ADVERTISING = "advertising"
    SUBSCRIPTION = "about the subscription itself"
    SIGN_IN = "about signing in"
    SUMMARY = "a summary that says nothing happened"
    PRIVATE = "a private mail that came here by mistake"
    OTHER = "something else"


def _as_text(value: object) -> object:
    """Money is written as text: a float has lost cents before anybody reads it."""
    if isinstance(value, float | bool):
        raise ValueError("Write the amount as text, such as 120.50.")
    return value


class ReviewAnswer(Strict):
    """What a mail tells of, and what it names; or that it is no alert, and why. `rule`: a document to be written with it."""

    kind: AlertKind | None = None
    not_an_alert: NoAlert | None = None
    institution: (
        Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(require_storable)]
        | None
    ) = None
    last_four: LastFour | None = None
    amount: Annotated[Decimal, BeforeValidator(_as_text), Field(max_digits=14, decimal_places=2, ge=0)] | None = None
    currency: Currency | None = None
    bureau: Bureau | None = None
    rule: NewDocument | None = None

    @model_validator(mode="after")
    def _one_thing(self) -> "ReviewAnswer":
        if (self.kind is None) == (self.not_an_alert is None):
            raise ValueError("Say which kind of alert it is, or why it is none.")
        if (self.amount is None) != (self.currency is None):
            raise ValueError("An amount and its currency stand together.")
        return self

    @property
    def written(self) -> str:
        """As its connector finds it beside the event (decision 0037)."""
        said = self.model_dump(mode="json", exclude_none=True, exclude={"rule", "not_an_alert"})
        return json.dumps({"not_an_alert": True} if self.not_an_alert else said, sort_keys=True)
