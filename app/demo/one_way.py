"""What only one way tells of: a forwarded mail, Method, a row of a file. Drawn after everything else, by a chance of its own.

So what else is drawn stays as it is, and whoever takes one of these ways away loses these things and no other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random

from app.demo import reactions
from app.demo.drawing import AFTER, FOCAL_KINDS, Draw
from app.demo.population import Person
from app.demo.truth import Cause, Consent, Heard, Phase, TrueIncident
from connectors.vocabulary import AlertKind

K = AlertKind
EXPORTED = datetime(2024, 1, 16, 15, tzinfo=UTC)
"""When the union hands in what a service that is given up had written down."""

HINTED_TO_THE_STAR = date(2024, 5, 28)

BY_MAIL, AT_METHOD, IN_THE_FILE = 3, 8, 2
"""How many things only they tell of."""

METHODS_KINDS = {
    K.NEW_ACCOUNT_CREDIT_CARD: 4,
    K.NEW_ACCOUNT_PERSONAL_LOAN: 3,
    K.NEW_ACCOUNT_AUTO: 2,
    K.CONSEQUENCE_COLLECTION: 3,
    K.INQUIRY_HARD: 3,
}
LOOKED_UP_LATER = timedelta(days=60)
"""So late what Method hints at was looked up for certain, and its member can answer."""


def told_by_one_way(
    draw: Draw, people: Sequence[Person], star: Person, seed: int, found: Sequence[TrueIncident], consents: dict[str, Consent]
) -> tuple[TrueIncident, ...]:
    """Things of members who agreed and to whom something else happened, too; the star among them. `found`: all the others."""
    mine = draw.apart(Random(f"{seed}:one way"))
    hit = {incident.member for incident in found if incident.member not in consents}
    others = [person for person in people if person.external_id in hit - {star.external_id}]
    drawn = [*_by_mail(mine, others), *_hints(mine, others, star), *_at_method(mine, others), *_in_the_file(mine, others)]
    return tuple(incident for incident in drawn if incident is not None)


def _one(draw: Draw, person: Person, kind: AlertKind, heard: Heard) -> TrueIncident | None:
    incident = draw.incident(person, kind, Cause.FOCAL, Phase.LATER, AFTER.day(draw.rng))
    return replace(incident, heard=heard, dated=False) if incident is not None else None


def _by_mail(draw: Draw, others: Sequence[Person]) -> Iterator[TrueIncident | None]:
    for person in draw.rng.sample(others, BY_MAIL):
        incident = _one(draw, person, draw.chosen(FOCAL_KINDS), Heard.MAIL)
        yield reactions.react(draw.rng, incident, None) if incident is not None else None


def _hints(draw: Draw, others: Sequence[Person], star: Person) -> Iterator[TrueIncident | None]:
    """Two members log in and say what they found; one does not, and neither does the star."""
    looks = draw.rng.sample(others, 3)
    for person, kind in zip(looks, (K.NEW_ACCOUNT_CREDIT_CARD, K.TAKEOVER_BANK, K.INQUIRY_HARD), strict=True):
        incident = _one(draw, person, kind, Heard.HINT)
        if incident is not None and person is not looks[-1]:
            looked = incident.noticed + timedelta(days=draw.rng.randint(1, 9), hours=3)
            answered = reactions.react(draw.rng, incident, None)
            said = tuple(replace(one, at=max(one.at, looked + timedelta(hours=1))) for one in answered.said[-1:])
            yield replace(answered, looked=looked, said=said)
        else:
            yield incident
    mine = draw.incident(star, K.FILE_CHANGE_ADDRESS, Cause.FOCAL, Phase.LATER, HINTED_TO_THE_STAR)
    yield replace(mine, heard=Heard.HINT, dated=False) if mine is not None else None


def _at_method(draw: Draw, others: Sequence[Person]) -> Iterator[TrueIncident | None]:
    """Of six members, two of them twice."""
    people = draw.rng.sample(others, AT_METHOD - 2)
    for person in (*people, *people[:2]):
        incident = _one(draw, person, draw.chosen(METHODS_KINDS), Heard.METHOD)
        if incident is None:
            continue
        answered = reactions.react(draw.rng, incident, None)
        said = tuple(replace(one, at=one.at + LOOKED_UP_LATER) for one in answered.said)
        costs = tuple(replace(one, at=one.at + LOOKED_UP_LATER) for one in answered.costs)
        yield replace(answered, said=said, costs=costs)


def _in_the_file(draw: Draw, others: Sequence[Person]) -> Iterator[TrueIncident | None]:
    for person in draw.rng.sample(others, IN_THE_FILE):
        incident = _one(draw, person, K.NEW_ACCOUNT_CREDIT_CARD, Heard.EXPORT)
        if incident is not None:
            yield reactions.react(draw.rng, replace(incident, dated=True, noticed=EXPORTED), None)
