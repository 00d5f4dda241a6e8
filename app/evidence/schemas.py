"""API shapes of packets of evidence."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.evidence.exhibits import Variant
from app.evidence.models import State
from app.evidence.ordering import LONGEST_CLAIM
from app.evidence.withheld import Why

MOST_MEMBERS = 1000
"""Members that a claim may be filed for in one packet; a class is a matter of its own."""


class NewPacket(BaseModel):
    """What a packet is to be. `checkpoint`: the size of the one that it is to rest on; none: the newest.

    `member_ids`: the members of the matter that it is about, one, or several for a claim; none: everybody. `claim`: the reference
    under which counsel file for them, such as its number: one line, and it stands on every page.
    """

    model_config = ConfigDict(extra="forbid")

    variant: Variant = Variant.SEALED
    prefix: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{1,11}$")]
    checkpoint: Annotated[int | None, Field(ge=1, le=2**53 - 1)] = None
    member_ids: Annotated[list[UUID], Field(max_length=MOST_MEMBERS)] = []
    claim: Annotated[str | None, Field(min_length=1, max_length=LONGEST_CLAIM)] = None


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

    `members`: whom it is about; none: everybody in the matter. `claim`: the reference of the claim that it is for. `asked_by` is
    null where whoever runs the service built it. `done`: exhibits, `of_all`: of how many. `size`: bytes of its ZIP. `until`:
    until when it can be downloaded. `gone`: why it no longer can be, `error`: why it could not be built, in plain words.
    """

    id: UUID
    state: State
    variant: Variant
    prefix: str
    members: list[UUID]
    claim: str | None
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
