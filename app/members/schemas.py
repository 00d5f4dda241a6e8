"""API shapes of members."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints


class Strict(BaseModel):
    """A request body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class ImportReport(BaseModel):
    """What an import did, or would do. With any problem it did nothing; each names line, column and what to do."""

    dry_run: bool
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    problems: list[dict[str, Any]] = Field(default_factory=list)


class MemberView(BaseModel):
    """One person of the roster, as an admin sees them: no alert, no incident."""

    id: UUID
    external_id: str | None
    name: str | None
    email: str | None
    erased_at: datetime | None


class ConsentAnswer(Strict):
    """A member's answer to keeping what one monitoring service sends.

    `reviewed`: yes to this, too, that a caseworker reads, masked, what only a person can tell; where there is such a thing.
    """

    connection_id: UUID
    given: Annotated[bool, Field(strict=True)]
    reviewed: Annotated[bool, Field(strict=True)] = False


class NewHold(Strict):
    """A hold to place: on one member, or on everybody when `member_id` is left out."""

    member_id: UUID | None = None
    reason: Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"^[^\x00]+$")]


class HoldView(BaseModel):
    """One hold that is on, with counsel's reason."""

    id: UUID
    member_id: UUID | None
    reason: str
    placed_by: UUID
    placed_at: datetime
