"""What members say and pay: drawn for each true incident after it is known when the first word of it came."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from random import Random

from app.damages.heads import Head
from app.damages.schemas import Payer
from app.demo.truth import END, Back, Cause, Consent, Cost, Said, TrueIncident
from app.incidents.identity import Answer

_LAST_ACT = END - timedelta(days=2)
_HEADS = ((Head.OOP, 8, 90), (Head.TIME, 25, 250), (Head.MONITORING, 15, 180), (Head.WAGES, 80, 600))


def react(rng: Random, incident: TrueIncident, consent: Consent | None) -> TrueIncident:
    """The incident with its member's answers and losses; one that waits for a consent as it is."""
    if consent is not None:
        return incident
    said = tuple(s for s in _answers(rng, incident) if s.at < _LAST_ACT)
    answered = replace(incident, said=said)
    return replace(answered, costs=tuple(c for c in _costs(rng, answered) if c.at < _LAST_ACT))


def _answers(rng: Random, incident: TrueIncident) -> Iterator[Said]:
    chance = rng.random()
    at = incident.noticed + timedelta(days=rng.randint(1, 16), hours=rng.randint(1, 9))
    seen_only = incident.kind.family == "exposure"
    if incident.cause is Cause.OWN:
        if chance < 0.9:
            yield Said(at, Answer.WAS_ME)
    elif chance < (0.15 if seen_only else 0.66):
        yield Said(at, Answer.NOT_ME)
    elif chance < (0.2 if seen_only else 0.78):
        yield Said(at, Answer.UNSURE)
        if rng.random() < 0.4:
            yield Said(at + timedelta(days=rng.randint(3, 30)), Answer.NOT_ME)


def _costs(rng: Random, incident: TrueIncident) -> Iterator[Cost]:
    """Mostly of what was not them; now and then of something not answered yet, which is kept and does not count."""
    wanted = {Answer.NOT_ME: 0.5, Answer.UNANSWERED: 0.05}.get(incident.answer, 0.0)
    if incident.kind.family == "exposure" or rng.random() >= wanted:
        return
    begin = incident.said[-1].at if incident.said else incident.noticed + timedelta(days=3)
    if incident.amount is not None and rng.random() < 0.6:
        lost = (incident.amount * rng.randint(10, 100) / 100).quantize(Decimal("0.01"))
        back = (lost * rng.choice((0, 50, 90, 100)) / 100).quantize(Decimal("0.01"))
        paid = (Back(rng.choice((Payer.BANK, Payer.ISSUER)), back),) if back else ()
        yield Cost(begin + timedelta(days=rng.randint(2, 40)), Head.FRAUD_LOSS, lost, incident.happened_on, paid)
    for head, least, most in rng.sample(_HEADS, rng.randint(1, 2)):
        amount = Decimal(rng.randint(least * 100, most * 100)) / 100
        at = begin + timedelta(days=rng.randint(1, 45))
        yield Cost(at, head, amount, (at - timedelta(days=1)).date())
