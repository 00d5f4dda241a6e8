"""What a breach exposed of one member, per wave and element, and how that is known. Pure.

Source: design section 5 "Links, exactly"; domain research 1.3 F0. Own record seen or a notice letter outranks any
reported population; standing outside a reported population is `unproven`, never more than that.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from app.breaches.catalogue import BreachSpec, ExposedElement, Population, Wave
from app.breaches.sources import Mark
from connectors.vocabulary import DataElement


class ExposureBasis(StrEnum):
    """How an exposure is known, the strongest first."""

    OWN_RECORD_SEEN = "own_record_seen"
    NOTICE_LETTER = "notice_letter"
    HIBP = "hibp"
    REPORTED_POPULATION = "reported_population"
    OUTSIDE_REPORTED_POPULATION = "outside_reported_population"
    EMPLOYMENT_UNKNOWN = "employment_unknown"
    NO_POPULATION_REPORTED = "no_population_reported"


class ExposureStatus(StrEnum):
    """How far an exposure is proven, the strongest first. There is no "ruled out"."""

    PROVEN = "proven"
    PROBABLE = "probable"
    UNPROVEN = "unproven"


_STATUS = tuple(ExposureStatus)
_BASIS = tuple(ExposureBasis)
_OWN_BASES = frozenset({ExposureBasis.OWN_RECORD_SEEN, ExposureBasis.NOTICE_LETTER, ExposureBasis.HIBP})


@dataclass(frozen=True, slots=True)
class EmploymentInterval:
    """One time of work for the defendant, days inclusive; `end` None means still there."""

    start: date
    end: date | None = None

    def __post_init__(self) -> None:
        if self.end is not None and self.end < self.start:
            raise ValueError("employment ends before it starts")


@dataclass(frozen=True, slots=True)
class OwnEvidence:
    """Something that names this very member in one wave. `elements` None: it names no elements.

    `basis` is own_record_seen, notice_letter or hibp; `reference` says which document or record.
    Raises ValueError for another basis.
    """

    basis: ExposureBasis
    wave: str
    elements: frozenset[DataElement] | None
    reference: str

    def __post_init__(self) -> None:
        if self.basis not in _OWN_BASES:
            raise ValueError(f"{self.basis} is not evidence about one member")


@dataclass(frozen=True, slots=True)
class Exposure:
    """One element of one wave for one member, as well as it is known.

    `mark` is the mark of the wave's element; V where own evidence names the element.
    """

    breach: str
    wave: str
    element: DataElement
    basis: ExposureBasis
    status: ExposureStatus
    mark: Mark
    reference: str | None = None


def weakest(statuses: Iterable[ExposureStatus]) -> ExposureStatus:
    """The least proven of some statuses; unproven for none."""
    return max(statuses, key=_STATUS.index, default=ExposureStatus.UNPROVEN)


def derive_exposures(
    employment: Sequence[EmploymentInterval], breach: BreachSpec, own_evidence: Sequence[OwnEvidence] = ()
) -> tuple[Exposure, ...]:
    """Every wave × element of `breach` for a member, in the order of the waves; of a listed breach only what names this member.

    Elements that only own evidence names come after the reported ones of their wave.
    Raises ValueError if evidence names a wave that the breach does not have.
    """
    if unknown := {e.wave for e in own_evidence} - {w.key for w in breach.waves}:
        raise ValueError(f"evidence names an unknown wave: {sorted(unknown)}")
    basis, status = _population(employment, breach.population)
    found: list[Exposure] = []
    for wave in breach.waves:
        evidence = [e for e in own_evidence if e.wave == wave.key]
        for listed in wave.elements:
            candidates = [*_from_evidence(breach.key, listed, evidence)]
            if breach.listing is None:
                candidates.append(Exposure(breach.key, wave.key, listed.element, basis, status, listed.mark))
            found.extend(sorted(candidates, key=_strength)[:1])
        found.extend(_only_in_evidence(breach.key, wave, evidence))
    return tuple(found)


def _population(employment: Sequence[EmploymentInterval], population: Population | None) -> tuple[ExposureBasis, ExposureStatus]:
    """Where the member stands to the reported population; one shared day is inside."""
    if population is None:
        return ExposureBasis.NO_POPULATION_REPORTED, ExposureStatus.UNPROVEN
    if not employment:
        return ExposureBasis.EMPLOYMENT_UNKNOWN, ExposureStatus.UNPROVEN
    inside = any(
        job.start <= population.employed_to and (job.end is None or job.end >= population.employed_from) for job in employment
    )
    if inside:
        return ExposureBasis.REPORTED_POPULATION, ExposureStatus.PROBABLE
    return ExposureBasis.OUTSIDE_REPORTED_POPULATION, ExposureStatus.UNPROVEN


def _grade(evidence: OwnEvidence, mark: Mark) -> ExposureStatus:
    """A listing proves no element; a letter that names none does not prove one that only we assume to be there."""
    if evidence.basis is ExposureBasis.HIBP or (evidence.elements is None and mark is Mark.ASSUMPTION):
        return ExposureStatus.PROBABLE
    return ExposureStatus.PROVEN


def _from_evidence(breach: str, listed: ExposedElement, evidence: Iterable[OwnEvidence]) -> Iterable[Exposure]:
    for item in evidence:
        if item.elements is None or listed.element in item.elements:
            mark = listed.mark if item.elements is None else Mark.VERIFIED
            status = _grade(item, mark)
            yield Exposure(breach, item.wave, listed.element, item.basis, status, mark, item.reference)


def _only_in_evidence(breach: str, wave: Wave, evidence: Sequence[OwnEvidence]) -> Iterable[Exposure]:
    """Elements that the reports do not list: a member's own record is better evidence than any report."""
    reported = {listed.element for listed in wave.elements}
    named = {e for item in evidence for e in item.elements or ()} - reported
    for element in sorted(named):
        grades = (
            Exposure(breach, wave.key, element, i.basis, _grade(i, Mark.VERIFIED), Mark.VERIFIED, i.reference)
            for i in evidence
            if i.elements and element in i.elements
        )
        yield min(grades, key=_strength)


def _strength(exposure: Exposure) -> tuple[int, int, str]:
    return _STATUS.index(exposure.status), _BASIS.index(exposure.basis), exposure.reference or ""
