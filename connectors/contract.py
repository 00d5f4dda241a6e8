"""What a connector may say. Imports nothing from app/: no database, no clock, no settings.

A connector is a declaration and two pure functions (`split`, `normalise`); one that asks its provider adds `pages` or
`follow_up`, over a client that it is handed. Everything with consequences is the core's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, BinaryIO, ClassVar, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_serializer,
    model_validator,
)

from connectors.asking import NOTHING_ASKED, Asked, Http, Page, PollPlan, Retention, Subject
from connectors.verifiers import Grade, NotSigned, Outcome, Verification, Verifier
from connectors.vocabulary import AlertKind, Bureau, DataElement

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)

NO_MEMBER = ""


def storable(text: str) -> bool:
    """Whether every database can keep this text: no NUL, no half of a surrogate pair."""
    return "\x00" not in text and (text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text))


def require_storable(text: str) -> str:
    """The text itself, or ValueError: for models' `AfterValidator`."""
    if not storable(text):
        raise ValueError("holds a character that cannot be stored")
    return text


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("outside the calendar") from None


Text = Annotated[str, StringConstraints(min_length=1, max_length=2000), AfterValidator(require_storable)]
Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
LastFour = Annotated[str, StringConstraints(pattern=r"^[0-9]{2,4}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class Malformed(Exception):
    """The payload is not what the provider documents. Carries a field path, never a value."""


class Interval(BaseModel):
    """A claimed time: not before `earliest`, not after `latest`; None is open. Aware, UTC after validation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    earliest: Moment | None = None
    latest: Moment | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Interval:
        if self.earliest and self.latest and self.earliest > self.latest:
            raise ValueError("earliest is after latest")
        return self

    @classmethod
    def at(cls, moment: datetime) -> Interval:
        """One known instant."""
        return cls(earliest=moment.astimezone(UTC), latest=moment.astimezone(UTC))


@dataclass(frozen=True, slots=True)
class RawEvent:
    """One provider event, cut out of a body that is already stored. `event_type` is the provider's own word.

    `asked`: what the body was asked with, where it was fetched.
    """

    event_type: str
    external_id: str
    body: Mapping[str, Any]
    asked: Asked = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BrokenEvent:
    """One item of a body that could not be cut out; `path` names the field, never its value."""

    path: str
    body: Any = None


class Alert(BaseModel):
    """One event understood. `identity` names what makes this alert the same alert; the core makes the key.

    `details_requested`: it says only that there is something ("log in to see"), so its member is asked for the rest.
    `completes`: the id of one of our own alerts of the same member, where a person says that both tell of the same act.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: AlertKind
    member_ref: Text
    identity: tuple[Text, ...] = Field(min_length=1)
    summary: Text
    bureau: Bureau | None = None
    institution: Text | None = None
    last_four: LastFour | None = None
    product: AlertKind | None = None
    amount: Annotated[Decimal, Field(max_digits=14, decimal_places=2, ge=0)] | None = None
    currency: Currency | None = None
    occurred: Interval | None = None
    opened: Interval | None = None
    reported: Interval | None = None
    details_requested: Literal[True] | None = None
    completes: Text | None = None

    @model_validator(mode="after")
    def _money_has_a_currency(self) -> Alert:
        if (self.amount is None) != (self.currency is None):
            raise ValueError("amount and currency stand together")
        return self


class BreachRecord(BaseModel):
    """A provider's word about a breach: that a member's data was in it, or, without a member, what the breach was.

    An exposure, not a fraud. `breach_name` is the provider's stable key; `elements` None: it does not say which.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    member_ref: Text | None = None
    identity: tuple[Text, ...] = Field(min_length=1)
    breach_name: Text
    title: Text | None = None
    elements: frozenset[DataElement] | None = None
    breached: Interval | None = None
    published: Interval | None = None

    @field_serializer("elements")
    def _in_order(self, elements: frozenset[DataElement] | None) -> list[DataElement] | None:
        """A set has no order of its own: the same record is to be written the same way every time."""
        return None if elements is None else sorted(elements)


@dataclass(frozen=True, slots=True)
class NotAnAlert:
    """A known event that says nothing happened to anybody; `reason` is a word for the accounts."""

    reason: str


@dataclass(frozen=True, slots=True)
class GoAndLook:
    """A notice that names an alert without telling it. The core asks the provider, once for each identity, by `follow_up`.

    Nobody is asked about before they are enrolled and have agreed. `asked` is what `follow_up` gets, and what `split` gets
    beside the answer: ids and words only.
    """

    member_ref: str
    identity: tuple[str, ...]
    asked: Asked


@dataclass(frozen=True, slots=True)
class HandOn:
    """Something inside a delivery that is a message of its own: it becomes a receipt of the organization's connection of `to`.

    `body`: its exact bytes; `asked`: what of the delivery belongs to it (to whom it was sent), as beside a fetched body.
    A mail that came in by a service is handed on to `mail`, and so is a mail that is attached to another.
    """

    to: str
    body: bytes = field(repr=False)
    asked: Asked = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ForAPerson:
    """It may be an alert, and only a person can tell: it waits in the queue. `reason`: why, in plain words that quote nothing.

    `member_ref`: about whom it is, where that is known. What the person says comes back as `asked["answer"]`.
    """

    reason: str
    member_ref: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file that is handed in: its exact bytes, what stands beside them, the byte behind it, and how many rows."""

    body: bytes = field(repr=False)
    asked: Asked = field(repr=False)
    end: int
    rows: int


Normalised = Alert | BreachRecord | NotAnAlert | GoAndLook | HandOn | ForAPerson


class Notice(StrEnum):
    """What an event type can be besides a kind of alert.

    GO_AND_LOOK: a notice that something is there to be looked up. HAND_ON: it holds a message of its own.
    AS_IT_SAYS: only what it says tells what it is, so that it may become anything.
    """

    GO_AND_LOOK = "go_and_look"
    HAND_ON = "hand_on"
    AS_IT_SAYS = "as_it_says"


Meaning = AlertKind | Notice | None
"""What an event type stands for; None: known, and on purpose not an alert."""


class Sender(StrEnum):
    """Who stands behind a connection's deliveries; with the verifier it decides the grade."""

    PROVIDER = "provider"
    ORGANIZATION = "organization"


def grade_of(verification: Verification, sender: Sender) -> Grade:
    """What a delivery proves: what its signature proves, unless the organization itself sends it; a member's word is theirs."""
    theirs = verification.grade is Grade.MEMBER
    return Grade.ORGANIZATION if sender is Sender.ORGANIZATION and not theirs else verification.grade


class ConnectorConfig(BaseModel):
    """Base of a connector's typed settings: unknown names are refused, secrets are SecretStr.

    Every setting has a description, which the forms and pages show. A setting named `base_url` is where the provider is
    asked; its secrets are bound to it: with another address they must be given again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class WebhookPlan:
    """How deliveries come in by push: what proves them, what they may be.

    `sources` names the setting that lists the addresses deliveries come from (networks; an empty list takes any).
    `fresh_within`: for a provider that sends by the calendar and is not asked: without a delivery for this long the connection
    is silent, and that is an alarm. None: it sends when something happens, which may be never.
    """

    verifier: Verifier | NotSigned
    media_types: frozenset[str] = frozenset({"application/json"})
    largest_body: int = 1024 * 1024
    sources: str | None = None
    fresh_within: timedelta | None = None


class Connector(ABC):
    """Base of every connector. `events` is the provider's whole vocabulary, each with what it stands for.

    `hands_on_to`: the connector whose connection takes what this one hands on. `by_hand`: people hand in what it takes,
    besides or instead of deliveries and polls. `one_shape` says that all types of one dialect (what stands before the dot in
    their names, if one does) look alike, so that one fixture a family stands for them in the suite. `names_strangers`: its
    deliveries name people whom nobody watches for us: of whoever is not enrolled nothing is kept, but that there was somebody.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    config: ClassVar[type[ConnectorConfig]] = ConnectorConfig
    events: ClassVar[Mapping[str, Meaning]]
    webhook: ClassVar[WebhookPlan | None] = None
    poll: ClassVar[PollPlan | None] = None
    looks_up: ClassVar[bool] = False
    retention: ClassVar[Retention | None] = None
    one_shape: ClassVar[bool] = False
    hands_on_to: ClassVar[str | None] = None
    by_hand: ClassVar[bool] = False
    names_strangers: ClassVar[bool] = False

    @abstractmethod
    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        """Cut a stored body into events. Raises Malformed only when nothing at all can be cut out."""

    @abstractmethod
    def normalise(self, event: RawEvent) -> Normalised:
        """Say what one event means. Pure; raises Malformed with a field path."""

    def reading_by(self, documents: Mapping[str, str]) -> Connector:
        """This connector as it reads for one connection: by the documents that its admin wrote for it, by name.

        Rules about senders, the meaning of a file's columns: whatever is neither code nor a setting. What this refuses is not
        kept. Raises ValueError with a message for whoever wrote them.
        """
        if documents:
            raise ValueError(f"{self.title} is not read by documents of its own")
        return self

    def pieces(self, file: BinaryIO, told: Asked, *, start: int = 0, rows: int = 0) -> Iterator[Piece]:
        """A file that is handed in, piece by piece, in memory that does not grow with it; for a connector that is `by_hand`.

        `told`: what stands beside every piece. `start` and `rows`: where an earlier hand stopped, the `end` of a piece and the
        rows up to there. Raises Malformed for a file that is none of this connector's.
        """
        raise TypeError(f"{self.name} takes no files")

    def names_to_ask(self, body: bytes) -> Sequence[str]:
        """Names in the DNS whose TXT records belong beside a body that is handed on to this connector, for they prove it.

        The core asks for them once, and keeps them in `asked["keys"]`, as a JSON object of name -> record. Pure; never raises.
        """
        return ()

    def proof_of(self, body: bytes, asked: Asked) -> Verification:
        """What a body that is handed on proves by itself. Pure; never raises."""
        return Verification(
            Outcome.AUTHENTIC, "handed on", None, "nothing in it proves where it is from", None, Grade.UNVERIFIABLE
        )

    def shown(self, event: RawEvent) -> Mapping[str, str]:
        """What a person must see of an event that is left to them, by name; the core masks numbers in it. Raises Malformed."""
        return {}

    def pages(self, http: Any, config: Any, cursor: str | None, subjects: Sequence[Subject]) -> AsyncIterator[Page]:
        """Ask for what is new, page by page, for a connector with a `poll` plan. `cursor` None: from the beginning.

        `http`: what the plan `speaks`, an `asking.Http` or an `asking.Mailbox`; with the latter, `base_url` is `imaps://…`.
        Raises ProviderError; the pages before it are kept. Where the question about one subject fails, hand it on as a
        `Page.error` and go on, if `asking.may_be_one_questions` says so.
        """
        raise TypeError(f"{self.name} is not polled")

    async def follow_up(self, http: Http, config: Any, asked: Asked) -> Page | None:
        """Fetch what a GoAndLook spoke of, for a connector that `looks_up`; None: the provider does not know it.

        The core keeps the page with the `asked` it was given. Raises ProviderError.
        """
        raise TypeError(f"{self.name} looks nothing up")


def pick(body: object, path: str, kind: type[T]) -> T:
    """body["a"]["b"] for "a.b"; a missing key or another type is Malformed with the path. A bool is not an int."""
    here = body
    for part in path.split("."):
        if not isinstance(here, Mapping) or part not in here:
            raise Malformed(path)
        here = here[part]
    if not isinstance(here, kind) or (isinstance(here, bool) and kind is not bool):
        raise Malformed(path)
    return here


def validated(model: type[Model], body: Mapping[str, Any]) -> Model:
    """The body as this model, or Malformed with the paths of its wrong fields. Never a value, also not a field's name
    that the model does not know: that is written "*".
    """
    try:
        return model.model_validate(dict(body))
    except ValidationError as error:
        paths = {_path(problem) for problem in error.errors(include_input=False, include_url=False)}
    # Raised out here, so that the validation error and the values in it are not chained to it.
    raise Malformed(", ".join(sorted(paths)))


def _path(problem: Any) -> str:
    known = problem["loc"][:-1] if problem["type"] == "extra_forbidden" else problem["loc"]
    parts = [*map(str, known), *("*" for _ in range(len(problem["loc"]) - len(known)))]
    return ".".join(parts) or "$"


def when(body: Mapping[str, Any], path: str) -> datetime | None:
    """The provider's claim of when; None if it makes none. A time without an offset is Malformed."""
    head, _, last = path.rpartition(".")
    parent = pick(body, head, Mapping) if head else body  # type: ignore[type-abstract]
    if parent.get(last) is None:
        return None
    try:
        parsed = datetime.fromisoformat(pick(body, path, str))
    except ValueError:
        raise Malformed(path) from None
    if parsed.tzinfo is None:
        raise Malformed(path)
    return parsed
