"""Checks the links against what the truth knows of time and exposure: who is excluded by time, what else held the same data."""

from collections.abc import Iterator, Mapping, Sequence

from app.breaches.exposure import ExposureStatus
from app.breaches.nexus import NexusStatus
from app.demo.enrollment import Service
from app.demo.play import Script
from app.demo.programme import OTHER_BREACHES, Telling
from app.demo.reading import Found, holding
from app.demo.truth import EARLIER_BREACH, FOCAL_BREACH, Phase, TrueIncident
from app.linkage.findings import Direction
from app.linkage.schemas import CounselLinkView, WaveView
from connectors.vocabulary import AlertKind

FIRST, SECOND = "wave-1", "wave-2"
UNPUBLISHED = "time.stolen_not_yet_published"
OUTSIDE = "exposure.outside_reported_population"
NEEDS_AN_SSN = frozenset(
    {AlertKind.NEW_ACCOUNT_CREDIT_CARD, AlertKind.NEW_ACCOUNT_PERSONAL_LOAN, AlertKind.NEW_ACCOUNT_AUTO, AlertKind.TAX_FRAUD}
)
"""What is not done without a Social Security number."""

NAMES = {FOCAL_BREACH: "City of Oakland, 2023", EARLIER_BREACH: "City of Oakland, 2021 to 2022"}

Shelf = Sequence[tuple[Found, Sequence[CounselLinkView]]]


def check_links(script: Script, shelves: Mapping[str, Shelf]) -> Iterator[str]:
    """One line for each link that says something else than the truth allows."""
    reported = {person.external_id: person.reported for person in script.people}
    own_word = {letter.member for letter in script.truth.letters if letter.breach == FOCAL_BREACH}
    earlier = {letter.member for letter in script.truth.letters if letter.breach == EARLIER_BREACH}
    listed = _listed(script)
    for incident in script.truth.readable():
        shelf = shelves.get(incident.member, ())
        found = holding([one for one, _ in shelf], script.told.incidents[incident.key])
        links = next((links for one, links in shelf if one is found), ())
        by_breach = {link.breach_name: link for link in links}
        focal, other = by_breach.get(NAMES[FOCAL_BREACH]), by_breach.get(NAMES[EARLIER_BREACH])
        if focal is None:
            yield f"{incident.key} is not linked to the breach."
            continue
        yield from (f"{incident.key}, {problem}." for problem in _time(incident, focal))
        yield from (f"{incident.key}, {problem}." for problem in _listings(incident, focal, listed.get(incident.member, set())))
        if incident.member not in own_word:
            yield from (f"{incident.key}, {problem}." for problem in _exposure(focal, reported[incident.member]))
        if (other is not None) != (incident.member in earlier):
            yield f"{incident.key} should {'' if incident.member in earlier else 'not '}be linked to the earlier breach."
        if other is not None and other.excluded_by_time:
            yield f"{incident.key} is excluded from the earlier breach by time, and came after it."


def _time(incident: TrueIncident, link: CounselLinkView) -> Iterator[str]:
    """Excluded is exactly what lies wholly before the theft; before a publication the fact against stands."""
    before = incident.phase is Phase.BEFORE_THEFT
    if link.excluded_by_time != before:
        yield f"{incident.phase.value}, is {'' if link.excluded_by_time else 'not '}excluded by time"
    wave = {Phase.BETWEEN: FIRST, Phase.WAVE_TWO_EARLY: SECOND}.get(incident.phase)
    if wave and not _says_against(link, UNPUBLISHED, wave):
        yield f"{incident.phase.value}, lacks the fact that {wave} was stolen and not yet published"
    if incident.kind is AlertKind.PAYROLL_DIVERSION:
        first, second = _wave(link, FIRST), _wave(link, SECOND)
        if first.nexus.status is NexusStatus.ENABLED or second.nexus.status is not NexusStatus.ENABLED:
            yield "should need data that only the second publication holds"


def _exposure(link: CounselLinkView, reported: bool) -> Iterator[str]:
    """Who stands outside the reported population reads a fact; the exposure is unproven and nothing is excluded by it."""
    statuses = {wave.exposure_status for wave in link.waves}
    wanted = ExposureStatus.PROBABLE if reported else ExposureStatus.UNPROVEN
    if statuses != {wanted}:
        yield f"exposure should be {wanted.value} and is {', '.join(sorted(statuses))}"
    if reported == any(fact.code == OUTSIDE for fact in link.facts):
        yield f"should {'not ' if reported else ''}say that the employment lies outside the reported time"


def _listed(script: Script) -> Mapping[str, set[str]]:
    """In which other breaches each member is listed, by title."""
    whose = {one.reference: one.external_id for one in script.book.enrolled[Service.LISTINGS]}
    told: dict[str, set[str]] = {}
    for doing in script.programme:
        if isinstance(doing, Telling) and doing.service is Service.LISTINGS:
            told.setdefault(whose[doing.happening.reference], set()).add(doing.happening.institution or "")
    return told


def _listings(incident: TrueIncident, link: CounselLinkView, titles: set[str]) -> Iterator[str]:
    """Another breach is named to those whom it lists and nobody else, and speaks against the link where it held what was needed.

    Both are older than everything that happens here.
    """
    for breach in OTHER_BREACHES:
        facts = [fact for fact in link.facts if breach.title in fact.text]
        if bool(facts) != (breach.title in titles):
            yield f"should {'' if breach.title in titles else 'not '}say that {breach.title} is another breach"
        against = any(fact.direction is Direction.AGAINST for fact in facts)
        if facts and incident.kind in NEEDS_AN_SSN and against != (breach.held is AlertKind.EXPOSURE_SSN):
            yield f"{breach.title} should {'not ' if against else ''}speak against the link"


def _says_against(link: CounselLinkView, code: str, wave: str) -> bool:
    return any((fact.code, fact.wave, fact.direction) == (code, wave, Direction.AGAINST) for fact in link.facts)


def _wave(link: CounselLinkView, key: str) -> WaveView:
    return next(wave for wave in link.waves if wave.wave == key)
