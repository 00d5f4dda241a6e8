"""One draw from a seed: acts of members at places, so that no two acts against one member could be taken for one."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import count
from random import Random

from app.demo.institutions import WHERE, Institution
from app.demo.population import Person
from app.demo.truth import Cause, Phase, TrueIncident
from connectors.vocabulary import AlertKind

K = AlertKind
FOCAL_KINDS = {
    K.NEW_ACCOUNT_CREDIT_CARD: 32,
    K.INQUIRY_HARD: 16,
    K.TAKEOVER_BANK: 12,
    K.NEW_ACCOUNT_BANK: 9,
    K.FILE_CHANGE_ADDRESS: 8,
    K.GOVERNMENT_BENEFITS: 7,
    K.NEW_ACCOUNT_TELECOM_MOBILE: 6,
    K.NEW_ACCOUNT_PERSONAL_LOAN: 6,
    K.NEW_ACCOUNT_AUTO: 4,
}
PRODUCTS = (K.NEW_ACCOUNT_CREDIT_CARD, K.NEW_ACCOUNT_PERSONAL_LOAN, K.NEW_ACCOUNT_AUTO)
TO_HAND = {K.INQUIRY_HARD, K.FILE_CHANGE_ADDRESS, K.PAYROLL_DIVERSION}
"""Kinds that come without an amount."""


@dataclass(frozen=True, slots=True)
class Window:
    """Days, both included."""

    first: date
    last: date

    def day(self, rng: Random) -> date:
        """One of them."""
        return self.first + timedelta(days=rng.randint(0, (self.last - self.first).days))


AFTER = Window(date(2023, 3, 10), date(2023, 12, 20))
"""After the first publication."""


class Draw:
    """The state of one draw: its chance, the numbers given out, and what each member already has where."""

    def __init__(self, seed: int, people: Sequence[Person]) -> None:
        """`people`: the roster."""
        self.rng = Random(f"{seed}:truth")
        self.people = people
        self.size = len(people)
        self._keys = count(1)
        self._taken: set[tuple[str, str, str]] = set()

    def apart(self, rng: Random) -> "Draw":
        """The same draw going on by another chance: numbers and places that are taken stay so."""
        other = copy(self)
        other.rng = rng
        return other

    def share(self, per_thousand: int) -> int:
        """So many of every thousand members, and two at least."""
        return max(2, round(self.size * per_thousand / 1000))

    def chosen(self, kinds: dict[AlertKind, int]) -> AlertKind:
        """One kind by weight."""
        return self.rng.choices(list(kinds), list(kinds.values()))[0]

    def where(self, member: str, kind: AlertKind) -> Institution | None:
        """A place where this member has nothing of this family yet: the same place twice could be taken for one act."""
        places = [p for p in WHERE.get(kind, ()) if (member, kind.family, p.name) not in self._taken]
        if not places:
            return None
        place = self.rng.choice(places)
        self._taken.add((member, kind.family, place.name))
        return place

    def incident(self, person: Person, kind: AlertKind, cause: Cause, phase: Phase, day: date) -> TrueIncident | None:
        """One act with its details; None where the member has this kind everywhere already."""
        place = self.where(person.external_id, kind)
        if place is None and kind in WHERE:
            return None
        noticed = moment(self.rng, day + timedelta(days=self.rng.randint(1, 18)))
        return TrueIncident(
            key=f"T-{next(self._keys):04d}",
            member=person.external_id,
            kind=kind,
            cause=cause,
            phase=phase,
            happened_on=day,
            noticed=noticed,
            product=self.rng.choice(PRODUCTS) if kind is K.INQUIRY_HARD else None,
            institution=place,
            last_four=f"{self.rng.randint(0, 9999):04d}" if place and kind not in TO_HAND else None,
            amount=None if place is None or kind in TO_HAND else Decimal(self.rng.randint(4000, 900000)) / 100,
            dated=phase is not Phase.LATER or self.rng.random() < 0.85,
        )

    def number(self, incident: TrueIncident) -> TrueIncident:
        """The same with the next key; its place counts as taken."""
        if incident.institution is not None:
            self._taken.add((incident.member, incident.kind.family, incident.institution.name))
        return replace(incident, key=f"T-{next(self._keys):04d}")


def moment(rng: Random, day: date) -> datetime:
    """A moment of the working day."""
    return datetime.combine(day, time(8), UTC) + timedelta(seconds=rng.randint(0, 12 * 3600))
