"""API shapes of links. A member reads facts and the order of time; what statistics and counsel use beside stands apart."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from app.breaches.exposure import ExposureStatus
from app.breaches.nexus import NexusStatus
from app.linkage.findings import Direction, TimeOrder
from connectors.vocabulary import DataElement


class FactView(BaseModel):
    """One thing that speaks for or against a link, in plain words, and what it rests on."""

    direction: Direction
    code: str
    text: str
    rests_on: list[str]
    wave: str | None = None


class NexusView(BaseModel):
    """What data such an act usually needs, and what of it this part of the breach is known to hold."""

    status: NexusStatus
    act: str | None = Field(description="The act in plain words; null when it cannot be assessed.")
    needed: list[DataElement]
    present: list[DataElement]
    missing: list[DataElement]
    derived: list[str] = Field(description="How data that is not listed by itself follows from data that is.")
    reason: str | None = Field(description="Why it cannot be assessed, in plain words.")


class WaveView(BaseModel):
    """One part of a breach: where the incident lies in time, what data it needed, how your exposure is known."""

    wave: str
    title: str
    time_order: TimeOrder
    exposure_status: ExposureStatus
    nexus: NexusView


class LinkView(BaseModel):
    """One incident and one breach, with every fact on both sides."""

    id: UUID
    incident_id: UUID
    breach_id: UUID
    breach_name: str
    time_order: TimeOrder
    waves: list[WaveView]
    facts: list[FactView]
    found_at: datetime


class CounselLinkView(LinkView):
    """The same for counsel, with the outcome of the time rule and the version of the rules."""

    excluded_by_time: bool
    rules_version: str
