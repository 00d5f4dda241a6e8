"""API shapes of connections and connectors. A secret is shown once, when it is made, and never again."""

import re
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StrictBool,
    StringConstraints,
    WithJsonSchema,
)

from app.connections.documents import LONGEST_NAME, LONGEST_TEXT
from app.connections.managing import LONGEST_OVERLAP_HOURS, OVERLAP_HOURS
from app.connections.raw_terms import LONGEST_RAW_DAYS
from connectors.contract import Sender
from connectors.registry import registry

Word = Annotated[str, StringConstraints(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]+$")]


Connector = Annotated[Word, WithJsonSchema({"type": "string", "enum": sorted(registry())})]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000, pattern=r"^[^\x00]+$")]
FreshHours = Annotated[
    int, Field(strict=True, ge=1, le=366 * 24, description="Hours without anything after which it is called silent.")
]
RawDays = Annotated[
    int,
    Field(
        strict=True,
        ge=1,
        le=LONGEST_RAW_DAYS,
        description="Days for which what it brings is kept as it came; null: as its connector says.",
    ),
]
Overlap = Annotated[
    int,
    Field(strict=True, ge=0, le=LONGEST_OVERLAP_HOURS, description="Hours for which the one before is still taken; 0: no more."),
]
DocumentName = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME, pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
DocumentText = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_TEXT, pattern=r"^[^\x00]+$")]
Settings = Annotated[
    dict[str, Any], Field(description="The connector's own settings by name, secrets in plain; see /v1/connectors.")
]


class Strict(BaseModel):
    """A request body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class NewConnection(Strict):
    """A connection to set up. `sender` says who stands behind the deliveries; that decides how well they are proven."""

    connector: Connector
    title: Word
    sender: Sender
    secret: SecretStr | None = None
    settings: Settings = Field(default_factory=dict)


class ConnectionChange(Strict):
    """What is to be other; what is left out stays. `version`: what you looked at; a 409 when it has changed since.

    Secrets among the settings stay too, unless `base_url` is another: then they must be given again. What `raw_days` has erased
    does not come back. More days than the connector says need `longer_by_contract`: that your own contract allows them.
    """

    title: Word | None = None
    fresh_hours: FreshHours | None = None
    raw_days: RawDays | None = None
    longer_by_contract: StrictBool = False
    settings: Settings = Field(default_factory=dict)
    version: str | None = None


class NewSecret(Strict):
    """A secret to put in the place of the present one; without `secret`, one is made."""

    secret: SecretStr | None = None
    overlap_hours: Overlap = OVERLAP_HOURS


class NewAddress(Strict):
    """A webhook address to put in the place of the present one."""

    overlap_hours: Overlap = OVERLAP_HOURS


class Question(Strict):
    """To ask a provider now; `sweep`: for everything it has, instead of what is new."""

    sweep: StrictBool = False


def _rfc_3339(value: Any) -> Any:
    """A moment as the description says it is written; pydantic alone also takes numbers and other spellings."""
    if isinstance(value, str) and not _RFC_3339.fullmatch(value):
        raise ValueError("Write this as a date and a time with its time zone, such as 2023-03-04T14:05:00Z.")
    if not isinstance(value, str | datetime):
        raise ValueError("Write this as a text, such as 2023-03-04T14:05:00Z.")
    return value


_RFC_3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
Moment = Annotated[AwareDatetime, BeforeValidator(_rfc_3339)]


class NewDispute(Strict):
    """A stretch of time to mark as disputed, by when we received things: its beginning is in it, its end is not.

    Without an end it goes on until further notice. The reason is kept sealed, for the organization's admins;
    name no member in it, since no erasure of theirs takes it along.
    """

    received_from: Moment
    received_until: Moment | None = None
    reason: Reason


class DisputeView(BaseModel):
    """One stretch of time in which somebody else may have spoken in the provider's name; withdrawn: it was settled."""

    id: UUID
    received_from: datetime
    received_until: datetime | None
    reason: str
    created_at: datetime
    withdrawn_at: datetime | None


class NewDocument(Strict):
    """A document by which a connection reads. `after`: the version that you looked at, 0: none; 409 if there is a newer."""

    name: DocumentName
    text: DocumentText
    after: Annotated[int, Field(strict=True, ge=0)] | None = None


class DocumentVersion(BaseModel):
    """One version of a document: the newest is the one that is read by. `text` null: from this version on it is withdrawn."""

    name: str
    version: int
    text: str | None
    written_by: UUID | None
    written_at: datetime


class ShippedDocument(BaseModel):
    """A document that comes with the house, and is read by until one of the same name is written."""

    name: str
    text: str


class Documents(BaseModel):
    """All that a connection reads by: every version of its own documents, newest first, and what comes with the house."""

    own: list[DocumentVersion]
    shipped: list[ShippedDocument]


class ConnectionView(BaseModel):
    """One connection, without its secrets."""

    id: UUID
    connector: str
    title: str
    sender: Sender
    created_at: datetime
    paused_at: datetime | None
    closed_at: datetime | None
    fresh_hours: int | None
    raw_days: int | None


class SecretView(BaseModel):
    """One secret that deliveries may prove themselves with: since when, and until when if it was replaced."""

    created_at: datetime
    valid_until: datetime | None


class ConnectionDetail(ConnectionView):
    """One connection with its settings; of the secrets among them only the names of those that are set.

    `fits`: whether the connector that is installed takes these settings.
    """

    version: str
    webhook: bool
    secrets: list[SecretView]
    previous_address_until: datetime | None
    settings: dict[str, Any]
    secrets_set: list[str]
    fits: bool


class CreatedConnection(ConnectionView):
    """A connection just set up. The address and the secret are shown this once; empty where the provider needs none."""

    webhook_url: str
    secret: str


class MadeSecret(BaseModel):
    """A new secret, shown this once, and until when those before it are taken."""

    secret: str
    others_until: datetime


class MadeAddress(BaseModel):
    """A new webhook address, shown this once, and until when the one before it is taken."""

    webhook_url: str
    other_until: datetime


class SettingView(BaseModel):
    """One setting of a connector."""

    name: str
    description: str
    secret: bool
    required: bool
    default: Any = None
    choices: list[str] | None = None


class ConnectorView(BaseModel):
    """One connector: how alerts come in by it, and what it must be told.

    `raw_days`: after how many days what it brought is erased as it came; null: with its member only.
    """

    name: str
    title: str
    webhook: bool
    signed: bool
    secret_is: str | None = Field(
        description="What of the sender's own proves its deliveries; null where a secret can be made here."
    )
    polls_every_minutes: int | None
    looks_up: bool
    raw_days: int | None
    settings: list[SettingView]
