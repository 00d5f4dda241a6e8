"""Which incident keeps its id when alerts regroup, and what becomes of the verdicts. Pure.

Source: design section 5 "Incidents, exactly": the id of the incident with the earliest-committed alert survives, others redirect;
a verdict binds to the alerts that were shown; conflicting verdicts after a merge mean unsure, ask again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.incidents.correlation import Component


class Answer(StrEnum):
    """The member's answer to "Was this you?". Nothing counts as damage until not_me."""

    NOT_ME = "not_me"
    WAS_ME = "was_me"
    UNSURE = "unsure"
    UNANSWERED = "unanswered"


class Carried(NamedTuple):
    """One component and the incident id it goes on under; None asks the caller for a new id."""

    component: Component
    incident_id: UUID | None


@dataclass(frozen=True, slots=True)
class Regrouping:
    """What becomes of the ids: one entry per component, in their order; old id -> surviving id; ids left without alerts."""

    carried: tuple[Carried, ...]
    redirects: Mapping[UUID, UUID]
    emptied: frozenset[UUID]


def carry_ids(previous: Mapping[UUID, frozenset[UUID]], components: Sequence[Component]) -> Regrouping:
    """Give every component the id of the incident that holds its earliest-committed alert, among those at home in it.

    `previous` maps incident id to its alerts. An incident is at home where its own earliest-committed alert now is, so that an id
    survives at most once even if an incident is split. Every id is carried, redirected or emptied, exactly one of the three.
    """
    place = {alert_id: (order, alert_id) for c in components for order, alert_id in c.alerts}
    first = {
        incident: min(place[alert] for alert in alerts if alert in place)
        for incident, alerts in previous.items()
        if any(alert in place for alert in alerts)
    }
    carried: list[Carried] = []
    redirects: dict[UUID, UUID] = {}
    for component in components:
        home = component.alert_ids
        at_home = sorted((first[i], i) for i in first if first[i][1] in home)
        survivor = at_home[0][1] if at_home else None
        carried.append(Carried(component, survivor))
        if survivor is not None:
            redirects.update({incident: survivor for _, incident in at_home[1:]})
    return Regrouping(tuple(carried), redirects, frozenset(previous) - frozenset(first))


@dataclass(frozen=True, slots=True)
class GivenVerdict:
    """One answer as it was given: to which alerts, and in which order among the member's answers."""

    answer: Answer
    shown: frozenset[UUID]
    given_order: int


@dataclass(frozen=True, slots=True)
class IncidentVerdict:
    """The verdict of an incident as it now is. `needs_review`: it was given to other alerts than are here now.

    `ask_again`: the answers do not agree, and the member is asked afresh.
    """

    answer: Answer
    needs_review: bool
    ask_again: bool


def merge_verdicts(verdicts: Iterable[GivenVerdict], alerts: frozenset[UUID]) -> IncidentVerdict:
    """The verdict over `alerts`, from every answer ever given to any of them.

    A later answer replaces earlier ones to the same alerts or fewer of them. Of what then stands, equal answers keep, different
    ones become unsure. An alert that nobody was shown leaves the answer as it is, to be reviewed. Order of arrival is no matter.
    """
    given = [v for v in verdicts if v.shown & alerts and v.answer is not Answer.UNANSWERED]
    standing = [
        v for v in given if not any(w.given_order > v.given_order and w.shown & alerts >= v.shown & alerts for w in given)
    ]
    answers = {v.answer for v in standing}
    if not answers:
        return IncidentVerdict(Answer.UNANSWERED, needs_review=False, ask_again=False)
    if len(answers) > 1:
        return IncidentVerdict(Answer.UNSURE, needs_review=True, ask_again=True)
    shown = frozenset[UUID]().union(*(v.shown for v in standing))
    return IncidentVerdict(answers.pop(), needs_review=shown != alerts, ask_again=False)
