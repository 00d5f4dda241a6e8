"""Breaches that ship as data: typed milestones, waves, population, rival claims; each fact with its mark and source.

Source: domain research 0.1. A breach date is an interval; a local day is that whole day in the breach's time zone.
"""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Self
from zoneinfo import ZoneInfo

import yaml
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator

from app.breaches.sources import Mark
from connectors.contract import Interval
from connectors.vocabulary import DataElement

_TICK = timedelta(microseconds=1)


class MilestoneKind(StrEnum):
    """What a breach date is the date of."""

    INTRUSION = "intrusion"
    DISCOVERED = "discovered"
    EXFILTRATED = "exfiltrated"
    PUBLISHED = "published"
    NOTIFIED = "notified"


class PopulationBasis(StrEnum):
    """Who says which people were hit."""

    PRESS = "press"
    DEFENDANT = "defendant"
    COURT = "court"


class _Sourced(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    mark: Mark
    source: str = Field(min_length=1)
    note: str | None = None


class _Days(_Sourced):
    """A fact with local days: `day` one day, or `from`/`to`, both inclusive and either one open."""

    day: date | None = None
    from_: date | None = Field(default=None, alias="from")
    to: date | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.day is None) == (self.from_ is None and self.to is None):
            raise ValueError("give either day, or from and/or to")
        if self.from_ and self.to and self.from_ > self.to:
            raise ValueError("from is after to")
        return self

    def interval(self, zone: ZoneInfo) -> Interval:
        """These days as an aware UTC interval: from the first midnight to the last microsecond, local time."""
        return _between(self.day or self.from_, self.day or self.to, zone)


@lru_cache(maxsize=2048)
def _between(first: date | None, last: date | None, zone: ZoneInfo) -> Interval:
    return Interval(
        earliest=_midnight(first, zone) if first else None,
        latest=_midnight(last + timedelta(days=1), zone) - _TICK if last else None,
    )


class Milestone(_Days):
    """One typed date of a breach; `wave` is set exactly for a publication."""

    kind: MilestoneKind
    wave: str | None = None

    @model_validator(mode="after")
    def _published_has_a_wave(self) -> Self:
        if (self.kind is MilestoneKind.PUBLISHED) != (self.wave is not None):
            raise ValueError("a publication names its wave, and nothing else does")
        return self


class ExposedElement(_Sourced):
    """One data element that a wave is said to hold."""

    element: DataElement


class Wave(BaseModel):
    """One publication, or one body of data, with the elements it exposed; none listed means not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(pattern=r"^[a-z0-9-]+$")
    title: str
    volume_gb: int | None = Field(default=None, gt=0)
    elements: tuple[ExposedElement, ...]
    notes: tuple[str, ...] = ()


class Population(_Sourced):
    """Who is reported to have been hit: people employed on any day from `employed_from` to `employed_to`, inclusive."""

    description: str
    employed_from: date
    employed_to: date
    basis: PopulationBasis


class Actor(_Sourced):
    """Who took the data, as reported."""

    name: str


class CompetingClaim(_Days):
    """Somebody else's claim to have hit the same defendant; `says` is plain words for members."""

    actor: str
    says: str
    denied_by_defendant: bool


class Filing(_Sourced):
    """A claim already made over the breach."""

    day: date
    says: str


class EmailDomain(_Sourced):
    """A mail domain of the defendant, to which no invitation is sent."""

    domain: str = Field(pattern=r"^[a-z0-9.-]+\.[a-z]+$")


class Defendant(BaseModel):
    """Who held the data. Breaches with the same `key` are the same defendant's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    name: str


class Listing(BaseModel):
    """That a breach is known from a listing service alone: `name` is the service's own key, `said` when it described the breach.

    It exposed only whom the service lists. `said` None: it has named people, and not yet said what was in it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    connector: str
    name: str
    said: AwareDatetime | None = None


class BreachSpec(BaseModel):
    """One breach as data. Refuses unknown fields, publications of unknown waves, and an element twice in a wave."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(pattern=r"^[a-z0-9-]+$")
    name: str
    defendant: Defendant
    time_zone: str
    defendant_email_domains: tuple[EmailDomain, ...] = ()
    actor: Actor | None = None
    milestones: tuple[Milestone, ...]
    waves: tuple[Wave, ...] = Field(min_length=1)
    population: Population | None = None
    competing_claims: tuple[CompetingClaim, ...] = ()
    filings: tuple[Filing, ...] = ()
    listing: Listing | None = None

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        ZoneInfo(value)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        keys = [wave.key for wave in self.waves]
        named = [(m.kind, m.wave) for m in self.milestones]
        if len(set(keys)) != len(keys) or len(set(named)) != len(named):
            raise ValueError("a wave or a milestone stands twice")
        if unknown := {m.wave for m in self.milestones if m.wave} - set(keys):
            raise ValueError(f"a publication names a wave that is not listed: {sorted(unknown)}")
        for wave in self.waves:
            if len({e.element for e in wave.elements}) != len(wave.elements):
                raise ValueError(f"an element stands twice in {wave.key}")
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which this breach's days are counted."""
        return ZoneInfo(self.time_zone)

    def interval(self, kind: MilestoneKind, wave: str | None = None) -> Interval | None:
        """The interval of a milestone, aware UTC; None if no source gives one."""
        for milestone in self.milestones:
            if milestone.kind is kind and milestone.wave == wave:
                return milestone.interval(self.zone)
        return None


class _Catalogue(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    breaches: tuple[BreachSpec, ...] = Field(min_length=1)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def parse_breaches(text: str) -> tuple[BreachSpec, ...]:
    """Read a catalogue from YAML text. Raises pydantic.ValidationError on anything unknown, missing or inconsistent."""
    return _Catalogue.model_validate(yaml.safe_load(text)).breaches


@cache
def load_breaches(name: str) -> tuple[BreachSpec, ...]:
    """The breaches shipped under `name` ("oakland"), the focal one first. FileNotFoundError if there are none."""
    return parse_breaches(resources.files("app.breaches").joinpath(f"data/{name}.yaml").read_text(encoding="utf-8"))


def spec_of(stored: Mapping[str, Any]) -> BreachSpec:
    """A breach as it is stored; each distinct content is read once, and a spec never changes."""
    return _read(json.dumps(stored, sort_keys=True))


@lru_cache(maxsize=2048)
def _read(text: str) -> BreachSpec:
    return BreachSpec.model_validate_json(text)
