"""API shapes of intake. Field paths and reasons, never a value of anybody's alert."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from app.intake.health import HealthState


class Accepted(BaseModel):
    """A delivery that is kept: the receipt that holds its bytes, and whether they were there already."""

    receipt: UUID
    repeat: bool


class QuarantinedView(BaseModel):
    """One event that could not be understood: where it came from, which field, why."""

    id: UUID
    connection_id: UUID
    receipt_id: UUID
    position: int
    reason: str | None
    path: str | None
    normaliser: str
    received_at: datetime


class SetAside(BaseModel):
    """One delivery that waits for a person."""

    id: UUID
    connection_id: UUID
    state: str
    reason: str | None
    received_at: datetime
    repeats: int


class HealthView(BaseModel):
    """How one connection is doing. `deadline`: when it is called silent unless something comes; empty: never.

    The counts are of what needs a person, in the last seven days. How much came in for whom is nobody's business here.
    """

    model_config = ConfigDict(from_attributes=True)

    connection_id: UUID
    title: str
    connector: str
    state: HealthState
    last_success_at: datetime | None
    next_due_at: datetime | None
    waits_until: datetime | None
    failures: int
    error: str | None
    deadline: datetime | None
    quarantined: int
    unknown_types: int
    set_aside: int
    refused_today: int
    look_ups_waiting: int
    look_ups_unknown: int
    look_ups_not_found: int
    look_ups_nobodys: int
    look_ups_failing: int
    people_failing: int
    made_up: bool


class NotFoundView(BaseModel):
    """One notice that proves itself, and of which the provider knows nothing. `id`: by which it is asked for again."""

    id: UUID
    connection_id: UUID
    received_at: datetime
    attempts: int


class Retried(BaseModel):
    """What became of a delivery that was tried again: how many of its parts still wait for a person; 0: all is understood."""

    still_aside: int


class Accounts(BaseModel):
    """The accounts of intake. They close: deliveries = receipts + repeats + refused, and every event has one outcome.

    `look_ups`: what notices spoke of, each thing once, by how far it has come.
    """

    deliveries: int
    receipts: int
    repeats: int
    refused: dict[str, int]
    waiting: int
    stale: int
    unsplittable: int
    events: int
    new: int
    sightings: int
    revisions: int
    non_alerts: int
    breach_records: int
    handed_on: int
    quarantined: int
    alerts: int
    unmatched: dict[str, int] = {}
    look_ups: dict[str, int] = {}


class Change(BaseModel):
    """One event that a document would have told otherwise: as what it is read now, and as what it would be."""

    event_id: UUID
    received_at: datetime
    before: str
    after: str


class Preview(BaseModel):
    """What would become of the newest events: how many were read, as what now and then, which would change. No content."""

    read: int
    before: dict[str, int]
    after: dict[str, int]
    changes: list[Change]


class ForwardingConfirmation(BaseModel):
    """A mailbox's question whether mails may be forwarded here, which came to the member's address.

    `checked`: the mailbox service's own signature is on it. `link`: only then, and only into that service.
    """

    received_at: datetime
    checked: bool
    code: str | None
    link: str | None
    text: str


class ForwardingAddress(BaseModel):
    """Where a member lets alert mails be forwarded to. `set_up`: its organization takes mails; `address` null: none yet.

    `agreed`: what comes is kept now, as the member last said.
    """

    set_up: bool
    address: str | None
    made_at: datetime | None
    agreed: bool
    confirmations: list[ForwardingConfirmation]


class Forwarding(BaseModel):
    """That a member has a forwarding address, and since when; never which."""

    member_id: UUID
    made_at: datetime
