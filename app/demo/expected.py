"""What the accounts must say in the end, worked out from the plan and the truth alone, without the house's own code."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.demo.enrollment import Service
from app.demo.plan import REFUSED, Delivery, Item, Meaning, Way
from app.demo.truth import END, Agreement, Truth
from app.intake.schemas import Accounts

LONGEST_WAIT = timedelta(days=90)
STRAYS = {"no_enrollment": 3, "several_members": 1}
"""The alerts about nobody, and about two people, that `troubles` sends."""

AlertKey = tuple[Service, str]


@dataclass
class Told:
    """What one organization must have in the end. `incidents`: the alerts of each true incident; `first`: when the first came."""

    deliveries: int = 0
    receipts: int = 0
    repeats: int = 0
    astray: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    stale: int = 0
    unsplittable: int = 0
    incidents: dict[str, set[AlertKey]] = field(default_factory=lambda: defaultdict(set))
    first: dict[str, datetime] = field(default_factory=dict)
    unmatched: dict[str, int] = field(default_factory=dict)

    def accounts(self) -> Accounts:
        """The same in the shape of the house's own accounts."""
        names = {"new": "new", "sightings": "sighting", "revisions": "revision", "non_alerts": "non_alert"}
        return Accounts(
            deliveries=self.deliveries,
            receipts=self.receipts,
            repeats=self.repeats,
            refused=dict(self.refused),
            waiting=0,
            stale=self.stale,
            unsplittable=self.unsplittable,
            events=sum(self.events.values()),
            breach_records=0,
            quarantined=self.events["quarantined"],
            alerts=self.events["new"],
            unmatched=self.unmatched,
            **{column: self.events[outcome] for column, outcome in names.items()},
        )


class _Reader:
    """Reads deliveries in the order in which they come, as somebody who knows what each of them is."""

    def __init__(self) -> None:
        self.told = Told()
        self._bodies: set[tuple[Service, bytes]] = set()
        self._waiting: dict[tuple[Service, bytes], Delivery] = {}
        self._versions: defaultdict[AlertKey, set[str]] = defaultdict(set)

    def read(self, delivery: Delivery) -> None:
        """Count one delivery, and what is in it if it is new."""
        if delivery.way is Way.NO_ADDRESS:
            self.told.astray += 1
            return
        self.told.deliveries += 1
        if delivery.way in REFUSED:
            self.told.refused[REFUSED[delivery.way]] += 1
            return
        body = (delivery.service, delivery.body)
        if body in self._bodies:
            self.told.repeats += 1
            if delivery.way is Way.SIGNED and body in self._waiting:
                self._understand(delivery, self._waiting.pop(body).at)
            return
        self._bodies.add(body)
        self.told.receipts += 1
        if delivery.way is Way.STALE:
            self._waiting[body] = delivery
        else:
            self._understand(delivery, delivery.at)

    def done(self) -> Told:
        self.told.stale = len(self._waiting)
        return self.told

    def _understand(self, delivery: Delivery, received: datetime) -> None:
        self.told.unsplittable += not delivery.splittable
        for item in delivery.items:
            self.told.events[self._outcome(delivery.service, item)] += 1
            if item.incident is not None and item.meaning is Meaning.ALERT:
                self.told.incidents[item.incident].add((delivery.service, item.alert))
                self.told.first[item.incident] = min(received, self.told.first.get(item.incident, received))

    def _outcome(self, service: Service, item: Item) -> str:
        if item.meaning is Meaning.NOTHING:
            return "non_alert"
        if item.meaning is Meaning.UNREADABLE:
            return "quarantined"
        versions = self._versions[service, item.alert]
        outcome = "new" if not versions else "sighting" if item.content in versions else "revision"
        versions.add(item.content)
        return outcome


def expect(deliveries: Iterable[Delivery], truth: Truth, *, elsewhere: bool = False) -> Told:
    """What the union must have in the end, or with `elsewhere` the other organization."""
    reader = _Reader()
    for delivery in deliveries:
        if (delivery.service is Service.ELSEWHERE) == elsewhere:
            reader.read(delivery)
    told = reader.done()
    told.unmatched = {} if elsewhere else dict(_unmatched(told, truth))
    return told


def _unmatched(told: Told, truth: Truth) -> Counter[str]:
    """The alerts that are nobody's, by reason: strays, and those of members whose consent is missing."""
    reasons = Counter(STRAYS)
    for incident in truth.incidents:
        agreement = truth.consent_of(incident.member).agreement
        alerts = len(told.incidents[incident.key])
        if agreement is Agreement.REFUSED:
            reasons["refused"] += alerts
        elif agreement is Agreement.NEVER:
            reasons["expired" if END - told.first[incident.key] > LONGEST_WAIT else "no_consent"] += alerts
    return reasons
