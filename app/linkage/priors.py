"""What a member's other incidents say about a link: those of the same kind that lie before the theft, or may. Pure.

It is worked out whenever a link is read, from the incidents as they are then. In the stored finding it would have to be
written anew into every link of the member with each incident that is new.

Source: domain research 1.3 (F3).
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import UUID

from app.linkage.chronology import Theft, before, span, theft
from app.linkage.findings import BreachView, Direction, Fact, History, IncidentView, Reference

LOOK_BACK = timedelta(days=730)
"""How far before the theft a member's past must have been looked through: 24 months."""

_AFTER = frozenset({"competing", "claim"})
"""The topics that stand behind it among the facts of a link."""


def with_priors(facts: Iterable[Fact], told: Sequence[Fact]) -> list[Fact]:
    """The facts of a link with those about other incidents in their place; what an earlier version stored of them is left out."""
    own = [fact for fact in facts if fact.topic != "prior"]
    place = next((at for at, fact in enumerate(own) if fact.topic in _AFTER), len(own))
    return [*own[:place], *told, *own[place:]]


def prior_facts(incident: IncidentView, breach: BreachView, history: History) -> list[Fact]:
    """F3: earlier incidents of the same family. None found means something only if the past was looked through."""
    taken = theft(breach.spec)
    whole = (Reference(f"breach:{breach.breach_id}"),)
    if taken is None:
        text = "No source says when the data was taken, so we cannot say what came before it."
        return [Fact(Direction.NOT_ASSESSABLE, "prior.theft_day_not_known", text, whole)]
    earlier, unclear = _priors(incident, taken, history)
    facts: list[Fact] = []
    if earlier:
        text = f"Something of the same kind had already happened to you before the data was taken: {len(earlier)} in all."
        facts.append(Fact(Direction.AGAINST, "prior.same_kind_before", text, _prior_refs(earlier)))
    if unclear:
        text = "Something else of the same kind happened to you, and it may have been before the data was taken."
        facts.append(Fact(Direction.NOT_ASSESSABLE, "prior.date_unclear", text, _prior_refs(unclear)))
    return facts or [_look_back_fact(history, taken, whole)]


def _priors(incident: IncidentView, taken: Theft, history: History) -> tuple[list[UUID], list[UUID]]:
    """The other incidents of the same kind that lie before a theft, and those that may."""
    same = [p for p in history.incidents if p.incident_id != incident.incident_id and p.families & incident.families]
    spans = {p.incident_id: span(p.occurred, p.received_at) for p in same}
    earlier = sorted(i for i, s in spans.items() if before(s, taken))
    unclear = sorted(i for i, s in spans.items() if not before(s, taken) and (s.earliest is None or s.earliest < taken.begin))
    return earlier, unclear


def _prior_refs(ids: Sequence[object]) -> tuple[Reference, ...]:
    return tuple(Reference(f"prior_incident:{i}") for i in ids)


def _look_back_fact(history: History, taken: Theft, whole: tuple[Reference, ...]) -> Fact:
    since = history.looked_back_from
    if since is None:
        text = "We have not looked through the time before the data was taken, so we do not know of earlier incidents."
        return Fact(Direction.NOT_ASSESSABLE, "prior.no_look_back", text, whole)
    if since > taken.begin - LOOK_BACK:
        text = "We have looked through less than two years before the data was taken and found nothing of the same kind."
        return Fact(Direction.NOT_ASSESSABLE, "prior.short_look_back", text, whole)
    text = "In the two years before the data was taken, nothing of the same kind happened to you."
    return Fact(Direction.FOR, "prior.none_in_look_back", text, whole)
