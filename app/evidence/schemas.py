"""API shapes of packets of evidence."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.evidence.exhibits import Variant
from app.evidence.models import State
from app.evidence.withheld import Why


class NewPacket(BaseModel):
    """What a packet is to be. `checkpoint`: the size of the one that it is to rest on; none: the newest.

    `member_id`: the one member of the matter that it is about; none: everybody.
    """

    model_config = ConfigDict(extra="forbid")

    variant: Variant = Variant.SEALED
    prefix: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{1,11}$")]
    checkpoint: Annotated[int | None, Field(ge=1, le=2**63 - 1)] = None
    member_id: UUID | None = None


class HeldBackView(BaseModel):
    """How many things are held back for one reason. `text`: the reason in plain words."""

    why: Why
    count: int
    text: str


class OutlineView(BaseModel):
    """What a packet holds, or will hold, in counts. `checkpoint`, `at`: what it rests on; `erased`: how many of `members` were.

    `originals`: exhibits with their bytes as they came, null before it is built.
    """

    checkpoint: int
    at: datetime
    members: int
    erased: int
    exhibits: int
    originals: int | None
    withheld: list[HeldBackView]


class TakenView(BaseModel):
    """Somebody downloaded a packet, or began to. `by` is an account's id."""

    by: UUID
    at: datetime


class PacketView(BaseModel):
    """One packet of a matter: who asked for it and ordered it, how far it is, its number when it is whole, and who took it along.

    `members`: whom it is about; none: everybody in the matter. `asked_by` is null where whoever runs the service built it.
    `done`: exhibits, `of_all`: of how many. `size`: bytes of its ZIP. `until`: until when it can be downloaded. `gone`: why
    it no longer can be, `error`: why it could not be built, in plain words.
    """

    id: UUID
    state: State
    variant: Variant
    prefix: str
    members: list[UUID]
    asked_by: UUID | None
    asked_at: datetime
    ordered_by: UUID | None
    ordered_at: datetime | None
    outline: OutlineView | None
    done: int
    of_all: int
    number: str | None
    size: int | None
    ready_at: datetime | None
    until: datetime | None
    gone_at: datetime | None
    gone: str | None
    error: str | None
    taken: list[TakenView]
