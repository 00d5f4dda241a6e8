"""Makes the alerts of a truth: several services tell of one act, late, twice, corrected, out of order, one or many in a body."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any

from app.demo.enrollment import SENDING, Book, Service
from app.demo.plan import Delivery, Item, batch, ping, single
from app.demo.troubles import troubled
from app.demo.truth import BEGIN, CURRENCY, END, Heard, Phase, TrueIncident, Truth
from app.timeline.wording import KINDS
from connectors.vocabulary import AlertKind, Bureau

_LAST_SENT = END - timedelta(days=3)
_BUREAUS = (Bureau.EQUIFAX, Bureau.EXPERIAN, Bureau.TRANSUNION)
_MOST_IN_A_BODY = 6
STORM = 24
"""How often the most stubborn sender repeats one body."""


@dataclass(frozen=True, slots=True)
class _Notice:
    at: datetime
    service: Service
    item: Item


class _Teller:
    def __init__(self, seed: int, truth: Truth, book: Book) -> None:
        self.rng = Random(f"{seed}:alerts")
        self.truth = truth
        self.references = {s: {e.external_id: e.reference for e in book.enrolled[s]} for s in SENDING}
        self.numbers = count(1001)

    def chance(self, of: float) -> bool:
        return self.rng.random() < of

    def tell(self, incident: TrueIncident) -> Iterator[_Notice]:
        """Everything that the services say of one act, the first of it when it is noticed."""
        quiet = incident.member in self.truth.consents
        often = 1 if incident.institution is None or quiet else self._often(incident)
        bureaus = self.rng.sample(_BUREAUS, often)
        for place, bureau in enumerate(bureaus):
            service = self._service(incident, place)
            item = Item(self._body(incident, service, bureau, place), incident=incident.key)
            at = incident.noticed if place == 0 else min(incident.noticed + self._delay(), _LAST_SENT)
            if quiet:
                yield _Notice(at, service, item)
            else:
                yield from self._with_echoes(at, service, item)

    def _often(self, incident: TrueIncident) -> int:
        if incident.member == self.truth.star:
            return 3 if incident.amount and incident.amount > 4000 and incident.said[-1].answer == "not_me" else 2
        return self.rng.choices((1, 2, 3), (56, 31, 13))[0]

    def _delay(self) -> timedelta:
        days = self.rng.randint(0, 5) if self.chance(0.7) else self.rng.randint(10, 60)
        return timedelta(days=days, seconds=self.rng.randint(60, 30000))

    def _service(self, incident: TrueIncident, place: int) -> Service:
        if place > 0 and incident.member in self.references[Service.IDENTITY] and (place == 1 or self.chance(0.5)):
            return Service.IDENTITY
        by_themselves = incident.member in self.references[Service.DESK] and self.chance(0.2)
        first_of_all = incident.member == self.truth.star and incident.phase is Phase.BEFORE_THEFT
        if place == 0 and (by_themselves or first_of_all):
            return Service.DESK
        return Service.WATCH

    def _body(self, incident: TrueIncident, service: Service, bureau: Bureau, place: int) -> dict[str, Any]:
        where = incident.institution.spellings[place % len(incident.institution.spellings)] if incident.institution else None
        vague = place > 0 and incident.kind is AlertKind.NEW_ACCOUNT_CREDIT_CARD and self.chance(0.15)
        body: dict[str, Any] = {
            "id": f"{service.value}-{next(self.numbers)}",
            "type": (AlertKind.NEW_ACCOUNT_UNKNOWN if vague else incident.kind).value,
            "member": self.references[service][incident.member],
            "summary": KINDS[incident.kind] + (f": {where}." if where else "."),
            "bureau": bureau.value if incident.institution else None,
            "institution": where,
            "last_four": incident.last_four,
            "product": incident.product.value if incident.product else None,
            "amount": str(incident.amount) if incident.amount else None,
            "currency": CURRENCY if incident.amount else None,
            "reported": incident.noticed.date().isoformat(),
        }
        if incident.dated:
            claim = "opened" if incident.kind.family == "new_account" else "occurred"
            body[claim] = self._claim(incident)
        return {name: value for name, value in body.items() if value is not None}

    def _claim(self, incident: TrueIncident) -> str | dict[str, str]:
        day = incident.happened_on
        if incident.phase is Phase.LATER and self.chance(0.2):
            return {"earliest": (day - timedelta(days=4)).isoformat(), "latest": day.isoformat()}
        return day.isoformat()

    def _with_echoes(self, at: datetime, service: Service, item: Item) -> Iterator[_Notice]:
        """The notice itself, perhaps a correction (which may overtake it), perhaps the same again in another body."""
        later = min(at + timedelta(days=self.rng.randint(2, 40), seconds=self.rng.randint(0, 9000)), _LAST_SENT)
        if self.chance(0.12):
            corrected = replace(item, body={**item.body, "summary": f"Corrected. {item.body['summary']}"})
            pair = (corrected, item) if self.chance(0.25) else (item, corrected)
            yield from (_Notice(moment, service, said) for moment, said in zip((at, later), pair, strict=True))
            return
        yield _Notice(at, service, item)
        if self.chance(0.1):
            yield _Notice(later, service, item)


def plan_deliveries(seed: int, truth: Truth, book: Book) -> tuple[Delivery, ...]:
    """Everything that is ever sent, in the order in which it is; always the same for a seed and a truth."""
    teller = _Teller(seed, truth, book)
    notices = [notice for incident in truth.heard(Heard.SERVICES) for notice in teller.tell(incident)]
    deliveries = [*_packed(teller, notices), *_pings(teller), *_to_neighbours(truth, book, notices)]
    deliveries = troubled(teller.rng, truth, book, deliveries)
    deliveries += list(_repeats(teller, deliveries))
    return tuple(sorted(deliveries, key=lambda d: (d.at, d.service, d.body)))


def _packed(teller: _Teller, notices: Sequence[_Notice]) -> Iterator[Delivery]:
    """Notices of one service and day go out one by one or many in a body; what was said before needs a body of its own."""
    days: defaultdict[tuple[Service, object], list[_Notice]] = defaultdict(list)
    for notice in sorted(notices, key=lambda n: (n.at, n.item.alert)):
        days[notice.service, notice.at.date()].append(notice)
    said: set[str] = set()
    for (service, _), told in days.items():
        together = len(told) > 1 and teller.chance(0.65)
        for start in range(0, len(told), _MOST_IN_A_BODY if together else 1):
            part = told[start : start + (_MOST_IN_A_BODY if together else 1)]
            items = [notice.item for notice in part]
            if len(items) == 1 and items[0].content not in said:
                yield single(part[0].at, service, items[0])
            else:
                yield batch(part[-1].at, service, [*items, ping(f"{service.value}-{next(teller.numbers)}")])
            said.update(item.content for item in items)


def _pings(teller: _Teller) -> Iterator[Delivery]:
    for week in range(0, (END - BEGIN).days // 7, 4):
        at = BEGIN + timedelta(weeks=week, days=1, hours=6, seconds=teller.rng.randint(0, 600))
        yield single(at, Service.WATCH, ping(f"weekly-{week}"))


def _to_neighbours(truth: Truth, book: Book, notices: Sequence[_Notice]) -> Iterator[Delivery]:
    """The very same words, ids and references to another organization, about its own people."""
    theirs = {e.external_id for e in book.enrolled[Service.ELSEWHERE]}
    told: set[str] = set()
    members = {incident.key: incident.member for incident in truth.incidents}
    for notice in sorted(notices, key=lambda n: (n.at, n.item.alert)):
        member = members[notice.item.incident or ""]
        if notice.service is Service.WATCH and member in theirs and member not in told:
            told.add(member)
            yield single(notice.at + timedelta(seconds=30), Service.ELSEWHERE, notice.item)


def _repeats(teller: _Teller, deliveries: Sequence[Delivery]) -> Iterator[Delivery]:
    """The same bytes again: at once, or weeks later; one body over and over."""
    kept = [d for d in deliveries if d.way == "signed" and d.service is not Service.ELSEWHERE and d.at < _LAST_SENT]
    for delivery in teller.rng.sample(kept, max(3, len(kept) // 9)):
        wait = timedelta(seconds=teller.rng.randint(2, 90)) if teller.chance(0.6) else timedelta(days=teller.rng.randint(1, 25))
        yield replace(delivery, at=min(delivery.at + wait, END - timedelta(days=2)))
    stubborn = teller.rng.choice(kept)
    yield from (replace(stubborn, at=stubborn.at + timedelta(seconds=20 + turn)) for turn in range(STORM))
