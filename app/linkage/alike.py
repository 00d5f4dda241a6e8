"""What an incident comes to, worked out once for all incidents alike: same acts, same setting, same place in time. Pure.

`attribution.attribute` says what a finding is. It looks at no moment but to compare it with the moments of breaches, and at no
id of an alert but to name it. So one incident stands for all that compare alike, and the findings differ in ids only.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from app.breaches.catalogue import BreachSpec
from app.breaches.exposure import Exposure
from app.kit.memo import Remembered, by_identity
from app.linkage.attribution import Act, attribute
from app.linkage.chronology import Span, published, span, theft
from app.linkage.findings import AlertView, BreachView, CompetingBreach, IncidentView
from app.linkage.sharing import Json, Pattern, split
from app.linkage.stored import to_json

Place = tuple[tuple[int, int] | None, tuple[int, int], bool, bool]
_EVERY = None


@dataclass(frozen=True, slots=True)
class Kind:
    """What is found of all incidents alike. `lists`: whose alerts its lists name, by the place of the act; None: all of them.

    `facts`: those that are each link's own (`sharing.split`).
    """

    pattern: Pattern
    lists: tuple[int | None, ...]
    facts: list[Json]
    time_order: str
    excluded_by_time: bool
    matrix_version: str


@dataclass(frozen=True, slots=True)
class Found:
    """A finding as it is stored. `alerts`: the lists of ids that are its own."""

    kind: Kind
    incident_id: UUID
    alerts: list[list[str]]

    @property
    def own(self) -> Json:
        """What is its own (`sharing.split`)."""
        return {"alerts": self.alerts, "facts": self.kind.facts} if self.kind.facts else {"alerts": self.alerts}

    def digest(self) -> str:
        """SHA-256 of the whole finding (`stored.digest`), in hex."""
        return self.kind.pattern.digest(self.alerts, self.incident_id)


_KINDS: Remembered[Kind] = Remembered(1024)
_MARKS: Remembered[tuple[datetime, ...]] = Remembered(4096)


def find(
    incident: IncidentView,
    breach: BreachView,
    exposures: Sequence[Exposure],
    competing: Sequence[CompetingBreach],
    setting: str,
) -> Found:
    """What `attribute` finds, split as it is stored. `setting`: `basis.setting` of all the others."""
    told: dict[Act, list[str]] = {}
    for alert in sorted(incident.alerts, key=lambda alert: (alert.kind, alert.product or "", alert.alert_id)):
        told.setdefault((alert.kind, alert.product), []).append(str(alert.alert_id))
    acts, when = tuple(told), span(incident.occurred, incident.received_at)
    marks = _MARKS.get(setting, lambda: _marks(breach, competing))
    kind = _KINDS.get((setting, acts, place(when, marks)), lambda: _kind(incident, acts, breach, exposures, competing))
    every = sorted(one for alerts in told.values() for one in alerts)
    lists = [every if at is _EVERY else told[acts[at]] for at in kind.lists]
    return Found(kind, incident.incident_id, lists)


def place(when: Span, marks: Sequence[datetime]) -> Place:
    """Where a stretch of time lies among ordered moments: of each end, how many lie before it and how many not after."""
    return (
        (bisect_left(marks, when.earliest), bisect_right(marks, when.earliest)) if when.earliest else None,
        (bisect_left(marks, when.latest), bisect_right(marks, when.latest)),
        when.bounded_by_receipt,
        when.clocks_disagree,
    )


def _marks(breach: BreachView, competing: Sequence[CompetingBreach]) -> tuple[datetime, ...]:
    """The moments that an incident is compared with, in order."""
    rivals = (theft(other.breach.spec) for other in competing)
    return tuple(sorted({*_own_marks(breach.spec), *(taken.begin for taken in rivals if taken)}))


@by_identity
def _own_marks(spec: BreachSpec) -> tuple[datetime, ...]:
    taken = theft(spec)
    stretches = [published(spec, wave) for wave in spec.waves]
    if taken is not None:
        stretches.append(spec.interval(taken.milestone))
    return tuple(end for one in stretches if one is not None for end in (one.earliest, one.latest) if end is not None)


def _kind(
    incident: IncidentView,
    acts: Sequence[Act],
    breach: BreachView,
    exposures: Sequence[Exposure],
    competing: Sequence[CompetingBreach],
) -> Kind:
    """By an incident that stands for all alike: one alert for each act."""
    alerts = tuple(AlertView(UUID(int=at), kind, product) for at, (kind, product) in enumerate(acts))
    found = attribute(replace(incident, alerts=alerts), breach, exposures, competing)
    shared, own = split(to_json(found))
    every = [str(alert.alert_id) for alert in alerts]
    lists = tuple(_EVERY if named == every else every.index(named[0]) for named in own["alerts"])
    facts = own.get("facts", [])
    return Kind(
        Pattern.of(shared, len(lists), facts), lists, facts, found.time_order.value, found.excluded_by_time, found.matrix_version
    )
