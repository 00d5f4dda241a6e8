"""What goes into a link and what comes out: plain values, no tables.

Source: design section 5 "Links, exactly"; domain research 1.3 (missing is not neutral: it is printed as not assessable).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType
from uuid import UUID

from app.breaches.catalogue import BreachSpec
from app.breaches.exposure import Exposure, ExposureStatus
from app.breaches.nexus import Nexus
from connectors.contract import Interval
from connectors.vocabulary import AlertKind

Reference = NewType("Reference", str)
"""What a fact rests on: `alert:<id>`, `milestone:<kind>[:<wave>]`, `exposure:<wave>:<element>`, `derivation:<rule>`,
`prior_incident:<id>`, `breach:<id>`, `competing_exposure:<breach>:<wave>:<element>`,
`claim:<actor>`, `matrix:<version>:<row>`."""


class TimeOrder(StrEnum):
    """Where the whole time in which an incident may have happened lies to the theft and one publication."""

    BEFORE_THEFT = "before_theft"
    BETWEEN = "between_theft_and_publication"
    AFTER_PUBLICATION = "after_publication"
    UNKNOWN = "unknown"


class Direction(StrEnum):
    """Which way a fact speaks."""

    FOR = "for"
    AGAINST = "against"
    NEUTRAL = "neutral"
    NOT_ASSESSABLE = "not_assessable"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that speaks for or against a link. `code` is `topic.detail`; `text` is plain words for the member.

    `wave` is the wave it is about, None for the whole breach.
    """

    direction: Direction
    code: str
    text: str
    rests_on: tuple[Reference, ...]
    wave: str | None = None

    @property
    def topic(self) -> str:
        """time, elements, exposure, prior, competing or claim."""
        return self.code.partition(".")[0]


@dataclass(frozen=True, slots=True)
class AlertView:
    """One alert of an incident, as far as a link needs it. `product` is what an inquiry was for."""

    alert_id: UUID
    kind: AlertKind
    product: AlertKind | None = None


@dataclass(frozen=True, slots=True)
class IncidentView:
    """One incident: `occurred` is what the providers claim, open where they do not; `received_at` is our earliest receipt.

    Raises ValueError without alerts: an incident is one or more of them.
    """

    incident_id: UUID
    alerts: tuple[AlertView, ...]
    occurred: Interval
    received_at: datetime

    def __post_init__(self) -> None:
        if not self.alerts:
            raise ValueError("an incident has at least one alert")

    @property
    def families(self) -> frozenset[str]:
        """The kind families of its alerts."""
        return frozenset(alert.kind.family for alert in self.alerts)


@dataclass(frozen=True, slots=True)
class BreachView:
    """One stored breach with its facts."""

    breach_id: UUID
    spec: BreachSpec


@dataclass(frozen=True, slots=True)
class PriorIncident:
    """An incident of the same member (an incident is no prior of itself), not one that the member said was their own doing."""

    incident_id: UUID
    families: frozenset[str]
    occurred: Interval
    received_at: datetime


@dataclass(frozen=True, slots=True)
class History:
    """The member's incidents, and since when their past was really looked through (None: it was not)."""

    incidents: Sequence[PriorIncident] = ()
    looked_back_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class CompetingBreach:
    """Another breach that concerns this member, with its exposures; none of them means its contents are not known."""

    breach: BreachView
    exposures: tuple[Exposure, ...]


@dataclass(frozen=True, slots=True)
class WaveFinding:
    """Incident × breach × wave. `nexus` is the least favourable assessable one among the incident's acts."""

    wave: str
    time_order: TimeOrder
    nexus: Nexus
    exposure_status: ExposureStatus


@dataclass(frozen=True, slots=True)
class LinkFinding:
    """One incident against one breach. `facts` stand in a fixed order: time, elements, exposure, prior, competing, claim.

    `excluded_by_time` is for statistics and counsel; members read the facts only. `matrix_version` names the table used.
    """

    incident_id: UUID
    breach_id: UUID
    time_order: TimeOrder
    excluded_by_time: bool
    waves: tuple[WaveFinding, ...]
    facts: tuple[Fact, ...]
    matrix_version: str
