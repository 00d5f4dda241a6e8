"""What the accounts must say in the end, worked out from the plan and the truth alone, without the house's own code."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
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
class Counted:
    """What came in, of one service or of several, and what became of it. `look_ups`: what was to be looked up, by state."""

    deliveries: int = 0
    receipts: int = 0
    repeats: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    stale: int = 0
    unsplittable: int = 0
    look_ups: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: "Counted") -> "Counted":
        """Both together."""
        return Counted(**{part.name: getattr(self, part.name) + getattr(other, part.name) for part in fields(self)})

    def keep(self, *, repeat: bool) -> None:
        """Count one body that is taken."""
        self.deliveries += 1
        self.receipts += not repeat
        self.repeats += repeat

    def accounts(self, unmatched: dict[str, int] | None = None) -> Accounts:
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
            breach_records=self.events["breach_record"],
            handed_on=self.events["handed_on"],
            quarantined=self.events["quarantined"],
            alerts=self.events["new"],
            unmatched=unmatched or {},
            look_ups=dict(+self.look_ups),
            **{column: self.events[outcome] for column, outcome in names.items()},
        )


@dataclass
class Told:
    """What one organization must have in the end. `incidents`: the alerts of each true incident; `first`: when the first came.

    `set_aside`: how many alerts wait for a newer edition of a connector at first.
    """

    services: dict[Service, Counted] = field(default_factory=lambda: defaultdict(Counted))
    astray: int = 0
    incidents: dict[str, set[AlertKey]] = field(default_factory=lambda: defaultdict(set))
    first: dict[str, datetime] = field(default_factory=dict)
    unmatched: dict[str, int] = field(default_factory=dict)
    set_aside: int = 0

    def hear(self, incident: str, at: datetime) -> None:
        """Somebody tells of a true incident."""
        self.first[incident] = min(at, self.first.get(incident, at))

    @property
    def total(self) -> Counted:
        """Of all services together."""
        return sum(self.services.values(), Counted())

    def accounts(self) -> Accounts:
        """The accounts of the whole organization."""
        return self.total.accounts(self.unmatched)


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
        counted = self.told.services[delivery.service]
        if delivery.way in REFUSED:
            counted.deliveries += 1
            counted.refused[REFUSED[delivery.way]] += 1
            return
        body = (delivery.service, delivery.body)
        counted.keep(repeat=body in self._bodies)
        if body in self._bodies:
            if delivery.way is Way.SIGNED and body in self._waiting:
                counted.stale -= 1
                self._understand(delivery, self._waiting.pop(body).at)
            return
        self._bodies.add(body)
        if delivery.way is Way.STALE:
            counted.stale += 1
            self._waiting[body] = delivery
        else:
            self._understand(delivery, delivery.at)

    def _understand(self, delivery: Delivery, received: datetime) -> None:
        counted = self.told.services[delivery.service]
        counted.unsplittable += not delivery.splittable
        for item in delivery.items:
            counted.events[self._outcome(delivery.service, item)] += 1
            if item.incident is not None and item.meaning is Meaning.ALERT:
                self.told.incidents[item.incident].add((delivery.service, item.alert))
                self.told.hear(item.incident, received)

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
    """What the union must have in the end of what is sent, or with `elsewhere` the other organization."""
    reader = _Reader()
    for delivery in deliveries:
        if (delivery.service is Service.ELSEWHERE) == elsewhere:
            reader.read(delivery)
    told = reader.told
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
