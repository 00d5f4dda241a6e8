"""API shapes of breaches and matters."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel


class MatterView(BaseModel):
    """One matter that you are assigned to: its title, and the breach it is about."""

    id: UUID
    title: str
    breach_id: UUID
    breach_key: str
    breach_name: str
    opened_at: datetime


class CatalogueReport(BaseModel):
    """What loading a catalogue did to the breaches, and for how many members it changed an exposure."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    members_changed: int = 0


class BreachSummary(BaseModel):
    """One stored breach: how many waves, and how many members have an exposure of each status (one may have several)."""

    id: UUID
    key: str
    name: str
    focal: bool
    waves: int
    members: dict[str, int]
