"""Draws the truth from a seed: a fixed set of stories that must be there, and around them chance."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from random import Random

from app.breaches.exposure import ExposureBasis
from app.demo import reactions
from app.demo.drawing import AFTER, FOCAL_KINDS, Draw, Window, moment
from app.demo.one_way import told_by_one_way
from app.demo.population import Person
from app.demo.star import star_incidents
from app.demo.truth import (
    EARLIER_BREACH,
    FOCAL_BREACH,
    KNOWN,
    Agreement,
    Cause,
    Consent,
    Letter,
    Phase,
    TrueIncident,
    Truth,
)
from connectors.vocabulary import AlertKind, DataElement

K = AlertKind
OTHER_KINDS = {
    K.TAKEOVER_CARD: 40,
    K.NEW_ACCOUNT_CREDIT_CARD: 20,
    K.INQUIRY_HARD: 14,
    K.TAKEOVER_PHONE: 14,
    K.CONSEQUENCE_COLLECTION: 12,
}
OWN_KINDS = {K.NEW_ACCOUNT_CREDIT_CARD: 45, K.INQUIRY_HARD: 35, K.NEW_ACCOUNT_AUTO: 20}
LAST_HAPPENED = date(2024, 6, 8)
BEFORE = Window(date(2022, 7, 6), date(2023, 1, 20))
BETWEEN = Window(date(2023, 2, 12), date(2023, 2, 26))
WAVE_TWO_EARLY = Window(date(2023, 3, 8), date(2023, 3, 27))
SECOND_SEASON = Window(date(2024, 4, 2), LAST_HAPPENED)
SEEN_AFTER_ONE = Window(date(2023, 3, 6), date(2023, 3, 24))
SEEN_AFTER_TWO = Window(date(2023, 4, 9), date(2023, 4, 26))
TAX_SEASON = Window(date(2023, 3, 12), date(2023, 4, 20))


def draw_truth(seed: int, people: Sequence[Person]) -> Truth:
    """The whole truth for a roster; always the same for a seed and a roster."""
    draw = Draw(seed, people)
    inside = [person for person in people if person.reported]
    outside = [person for person in people if not person.reported]
    draw.rng.shuffle(inside)
    draw.rng.shuffle(outside)
    star, quiet = inside.pop(), [inside.pop() for _ in range(4)]
    late = [inside.pop() for _ in range(draw.share(28))]
    consents = _consents(draw, quiet)
    found = [draw.number(incident) for incident in star_incidents(draw.rng, star.external_id)]
    found += _focal(draw, inside, outside)
    found += _others(draw, [*inside, *outside])
    found += _late(draw, late)
    found += _of_the_quiet(draw, quiet)
    incidents = sorted(
        (i if i.member == star.external_id else reactions.react(draw.rng, i, consents.get(i.member)) for i in found),
        key=_in_order,
    )
    letters = (*_letters(draw, incidents, outside), _record_of(star))
    incidents += told_by_one_way(draw, people, star, seed, incidents, consents)
    return Truth(tuple(sorted(incidents, key=_in_order)), letters, consents, star.external_id)


def _in_order(incident: TrueIncident) -> tuple[datetime, str]:
    return incident.noticed, incident.key


def _consents(draw: Draw, quiet: Sequence[Person]) -> dict[str, Consent]:
    never_early, never_late, late, refuses = (person.external_id for person in quiet)
    return {
        never_early: Consent(Agreement.NEVER),
        never_late: Consent(Agreement.NEVER),
        late: Consent(Agreement.LATE, moment(draw.rng, date(2023, 5, 25))),
        refuses: Consent(Agreement.REFUSED, moment(draw.rng, date(2023, 5, 20))),
    }


def _of_the_quiet(draw: Draw, quiet: Sequence[Person]) -> Iterator[TrueIncident]:
    """Something for each of those whose consent is missing: long ago, just now, and twice in between."""
    days = (date(2022, 9, 12), date(2024, 5, 20), date(2023, 4, 18), date(2023, 4, 24))
    for person, day in zip(quiet, days, strict=True):
        phase, cause = (Phase.LATER, Cause.FOCAL) if day.year > 2022 else (Phase.BEFORE_THEFT, Cause.BACKGROUND)
        found = draw.incident(person, K.NEW_ACCOUNT_CREDIT_CARD, cause, phase, day)
        if found is not None:
            yield found


def _several(draw: Draw, people: Sequence[Person]) -> Iterator[tuple[Person, range]]:
    for person in people:
        yield person, range(draw.rng.choices((1, 2, 3, 4), (60, 26, 10, 4))[0])


def _focal(draw: Draw, inside: Sequence[Person], outside: Sequence[Person]) -> list[TrueIncident]:
    """Because of the breach: before the publications, between them, and long after; a few whom no report counts in."""
    rng = draw.rng
    hit = rng.sample(list(inside), draw.share(155)) + rng.sample(list(outside), min(len(outside), draw.share(8)))
    payroll, clinic = hit[: draw.share(9)], hit[draw.share(9) : draw.share(9) + draw.share(6)]
    stories: list[tuple[Person, AlertKind, Phase, date]] = [
        *((person, K.PAYROLL_DIVERSION, Phase.WAVE_TWO_EARLY, WAVE_TWO_EARLY.day(rng)) for person in payroll),
        *((person, K.MEDICAL_SERVICES, Phase.WAVE_TWO_EARLY, WAVE_TWO_EARLY.day(rng)) for person in clinic),
        *((person, draw.chosen(FOCAL_KINDS), Phase.BETWEEN, BETWEEN.day(rng)) for person in rng.sample(hit, draw.share(14))),
        *((person, draw.chosen(FOCAL_KINDS), Phase.LATER, _fading(rng)) for person, often in _several(draw, hit) for _ in often),
        *((person, K.TAX_FRAUD, Phase.LATER, TAX_SEASON.day(rng)) for person in rng.sample(hit, draw.share(30))),
        *((person, K.EXPOSURE_SSN, Phase.LATER, SEEN_AFTER_ONE.day(rng)) for person in rng.sample(hit, draw.share(60))),
        *((person, K.EXPOSURE_GOVERNMENT_ID, Phase.LATER, SEEN_AFTER_TWO.day(rng)) for person in rng.sample(hit, draw.share(45))),
    ]
    found = [draw.incident(person, kind, Cause.FOCAL, phase, day) for person, kind, phase, day in stories]
    return [incident for incident in found if incident is not None]


def _fading(rng: Random) -> date:
    """A day after the first publication: many soon, fewer later."""
    return min(AFTER.first + timedelta(days=int(rng.expovariate(1 / 95))), AFTER.last)


def _others(draw: Draw, people: Sequence[Person]) -> list[TrueIncident]:
    """Because of the earlier breach, of none, and the members' own doings."""
    rng = draw.rng
    found: list[TrueIncident | None] = []
    for person in rng.sample(list(people), draw.share(34)):
        window, phase = (BEFORE, Phase.BEFORE_THEFT) if rng.random() < 0.6 else (AFTER, Phase.LATER)
        found.append(draw.incident(person, draw.chosen(FOCAL_KINDS), Cause.EARLIER, phase, window.day(rng)))
    for person in rng.sample(list(people), draw.share(50)):
        window, phase = (BEFORE, Phase.BEFORE_THEFT) if rng.random() < 0.4 else (AFTER, Phase.LATER)
        found.append(draw.incident(person, draw.chosen(OTHER_KINDS), Cause.BACKGROUND, phase, window.day(rng)))
    for person in rng.sample(list(people), draw.share(60)):
        window, phase = (BEFORE, Phase.BEFORE_THEFT) if rng.random() < 0.3 else (AFTER, Phase.LATER)
        found.append(draw.incident(person, draw.chosen(OWN_KINDS), Cause.OWN, phase, window.day(rng)))
    return [incident for incident in found if incident is not None]


def _late(draw: Draw, people: Sequence[Person]) -> list[TrueIncident]:
    """People hit for the first time more than a year after: benefits and cards in the second spring."""
    kinds = {K.GOVERNMENT_BENEFITS: 50, K.NEW_ACCOUNT_CREDIT_CARD: 50}
    days = [(person, SECOND_SEASON.day(draw.rng)) for person in people]
    found = [draw.incident(person, draw.chosen(kinds), Cause.FOCAL, Phase.LATER, day) for person, day in days]
    return [incident for incident in found if incident is not None]


def _letters(draw: Draw, incidents: Sequence[TrueIncident], outside: Sequence[Person]) -> Iterator[Letter]:
    """Letters about both breaches; one to somebody whom the press does not count in."""
    earlier = sorted({i.member for i in incidents if i.cause is Cause.EARLIER})
    known = frozenset({DataElement.NAME, DataElement.SSN, DataElement.ADDR})
    for member in earlier[::2]:
        yield Letter(KNOWN + timedelta(days=2), member, EARLIER_BREACH, "wave-1", ExposureBasis.NOTICE_LETTER, known)
    focal = sorted({i.member for i in incidents if i.cause is Cause.FOCAL})
    for member in draw.rng.sample(focal, max(1, len(focal) // 6)):
        at = moment(draw.rng, date(2023, 4, 14))
        yield Letter(at, member, FOCAL_BREACH, "wave-1", ExposureBasis.NOTICE_LETTER, None)
    hired_late = outside[0]
    at = moment(draw.rng, date(2023, 6, 2))
    yield Letter(at, hired_late.external_id, FOCAL_BREACH, "wave-1", ExposureBasis.NOTICE_LETTER, known)


def _record_of(star: Person) -> Letter:
    seen = frozenset({DataElement.SSN, DataElement.ADDR, DataElement.DL_IMAGE, DataElement.BANKACCT})
    at = datetime(2023, 5, 8, 15, tzinfo=UTC)
    return Letter(at, star.external_id, FOCAL_BREACH, "wave-1", ExposureBasis.OWN_RECORD_SEEN, seen)
