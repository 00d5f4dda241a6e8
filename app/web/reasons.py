"""Why an incident is linked to a breach and what speaks against it, sorted for reading, each with what it rests on. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from app.breaches.catalogue import BreachSpec, Milestone
from app.breaches.exposure import Exposure, ExposureBasis
from app.breaches.nexus import load_matrix
from app.breaches.service import StoredBreach
from app.breaches.sources import Mark
from app.linkage.findings import Direction
from app.linkage.schemas import FactView, LinkView
from app.linkage.wording import listed
from app.timeline.schemas import AlertView
from app.web.dates import between, plain_day
from app.web.labels import MILESTONES
from connectors.vocabulary import DataElement

HEADINGS: tuple[tuple[Direction, str], ...] = (
    (Direction.FOR, "What speaks for a link"),
    (Direction.AGAINST, "What speaks against it"),
    (Direction.NOT_ASSESSABLE, "What is not known"),
    (Direction.NEUTRAL, "Also on record"),
)
"""The groups in which facts stand, in this order; the last ones speak neither way."""

_OWN = {
    ExposureBasis.OWN_RECORD_SEEN: "your own record",
    ExposureBasis.NOTICE_LETTER: "a notice letter",
    ExposureBasis.HIBP: "a breach listing",
}


@dataclass(frozen=True, slots=True)
class Ground:
    """One thing that a fact rests on: what it is, where it stands on our pages, how well it is known and by which source."""

    text: str
    href: str | None = None
    mark: Mark | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """One fact with its grounds; `part` is the part of the breach that it is about, None for the whole of it."""

    part: str | None
    text: str
    grounds: tuple[Ground, ...]

    @property
    def marks(self) -> tuple[Mark, ...]:
        """How well its grounds are known, each mark once, in the order of the marks."""
        found = {ground.mark for ground in self.grounds}
        return tuple(mark for mark in Mark if mark in found)


@dataclass(frozen=True, slots=True)
class Group:
    """The facts of one direction."""

    direction: Direction
    heading: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Records:
    """What the grounds of one incident's facts are looked up in. `exposures` are the member's, by breach."""

    sources: Sequence[AlertView]
    breaches: Mapping[UUID, StoredBreach]
    exposures: Mapping[UUID, tuple[Exposure, ...]]


def groups_of(link: LinkView, records: Records) -> tuple[Group, ...]:
    """The facts of a link in the order of HEADINGS; the three first groups are there even when they are empty."""
    found = []
    for direction, heading in HEADINGS:
        reasons = tuple(_reason(fact, link, records) for fact in link.facts if fact.direction is direction)
        if reasons or direction is not Direction.NEUTRAL:
            found.append(Group(direction, heading, reasons))
    return tuple(found)


def _reason(fact: FactView, link: LinkView, records: Records) -> Reason:
    grounds = [_ground(reference, link.breach_id, records) for reference in fact.rests_on]
    titles = {wave.wave: wave.title for wave in link.waves}
    return Reason(titles.get(fact.wave) if fact.wave else None, fact.text, tuple(dict.fromkeys(grounds)))


def _ground(reference: str, breach_id: UUID, records: Records) -> Ground:
    kind, _, rest = reference.partition(":")
    stored = records.breaches.get(breach_id)
    match kind:
        case "alert":
            return _alert(rest, records.sources)
        case "prior_incident":
            return Ground("another incident", f"/incidents/{rest}")
        case "milestone" if stored:
            return _milestone(rest, stored.spec)
        case "exposure" if stored:
            wave, _, element = rest.partition(":")
            return _exposure(stored, wave, element, records)
        case "competing_exposure":
            rival, wave, element = rest.split(":")
            other = records.breaches.get(UUID(rival))
            return _exposure(other, wave, element, records, name=True) if other else Ground("another breach")
        case "breach":
            other = records.breaches.get(UUID(rest))
            return Ground(f"the record of the breach {other.spec.name}" if other else "another breach")
        case "claim" if stored:
            return _claim(rest, stored.spec)
        case "derivation":
            return _derivation(rest)
        case "matrix":
            return _matrix(rest)
    return Ground("a record we hold")


def _alert(alert_id: str, sources: Sequence[AlertView]) -> Ground:
    for view in sources:
        if str(view.alert_id) == alert_id and view.events:
            first = view.events[0].received_at.date()
            doubt = ", which is doubtful" if all(event.disputed for event in view.events) else ""
            return Ground(f"what {view.source or 'the service'} told us on {plain_day(first)}{doubt}", f"#alert-{alert_id}")
    return Ground("what a service told us")


def _days(fact: Milestone) -> str:
    if fact.day:
        return f"on {plain_day(fact.day)}"
    if fact.from_ and fact.to:
        return between(fact.from_, fact.to)
    return f"from {plain_day(fact.from_)} on" if fact.from_ else f"until {plain_day(fact.to)}" if fact.to else ""


def _milestone(rest: str, spec: BreachSpec) -> Ground:
    kind, _, wave = rest.partition(":")
    for fact in spec.milestones:
        if (fact.kind.value, fact.wave or "") == (kind, wave):
            return Ground(f"{MILESTONES[fact.kind]}, {_days(fact)}", None, fact.mark, fact.source)
    return Ground("the dates of the breach")


def _exposure(stored: StoredBreach, wave_key: str, element: str, records: Records, *, name: bool = False) -> Ground:
    """One element of one wave; a member's own record of it comes before what is reported of everybody."""
    wave = next((w for w in stored.spec.waves if w.key == wave_key), None)
    what = f"{listed([DataElement(element)])} in {wave.title if wave else 'the breach'}"
    if name:
        what += f" of {stored.spec.name}"
    for own in records.exposures.get(stored.breach_id, ()):
        if (own.wave, own.element) == (wave_key, element) and own.basis in _OWN:
            return Ground(what, None, own.mark, _OWN[own.basis])
    for told in wave.elements if wave else ():
        if told.element == element:
            return Ground(what, None, told.mark, told.source)
    return Ground(what)


def _claim(actor: str, spec: BreachSpec) -> Ground:
    claim = next((c for c in spec.competing_claims if c.actor == actor), None)
    return Ground(f"the claim by {actor}", None, claim.mark, claim.source) if claim else Ground(f"the claim by {actor}")


def _derivation(rule: str) -> Ground:
    step = next((d for d in load_matrix().derivations if d.rule == rule), None)
    return Ground("what such a document shows", None, step.mark if step else None)


def _matrix(rest: str) -> Ground:
    version, _, code = rest.rpartition(":")
    table = load_matrix()
    row = next((r for r in table.rows if r.code == code), None)
    mark = row.mark if row and table.version == version else None
    return Ground(f"our table of what each act needs, version {version}", None, mark)
