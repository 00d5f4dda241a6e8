"""Who is whom at which service: the references that the invented services use for the members, and their consent."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random
from string import ascii_lowercase
from uuid import UUID

from app.demo.population import Person, draw_people
from app.demo.truth import Agreement, Heard, Truth
from connectors.contract import Sender


class Service(StrEnum):
    """One source of alerts, or one way by which they come in. The last one sends to another organization."""

    WATCH = "watch"
    IDENTITY = "identity"
    DESK = "desk"
    BUREAUS = "bureaus"
    NIGHTLY = "nightly"
    LISTINGS = "listings"
    METHOD = "method"
    CARRIER = "carrier"
    MAIL = "mail"
    OWN = "own"
    EXPORT = "export"
    ELSEWHERE = "elsewhere"

    @property
    def named(self) -> str:
        """What people call it."""
        return _TITLES[self]

    @property
    def connector(self) -> str:
        """The connector that speaks its format."""
        return _CONNECTORS.get(self, "standard")

    @property
    def stands_behind(self) -> Sender:
        """Who vouches for what it sends."""
        return Sender.ORGANIZATION if self in (Service.DESK, Service.EXPORT) else Sender.PROVIDER


_TITLES = {
    Service.WATCH: "Credit Watch (invented)",
    Service.IDENTITY: "Identity Lookout (invented)",
    Service.DESK: "Reports to our own desk",
    Service.BUREAUS: "Three Bureaus (invented)",
    Service.NIGHTLY: "Nightly Notices (invented)",
    Service.LISTINGS: "Breach Listings (invented)",
    Service.METHOD: "Debt Lookout (invented)",
    Service.CARRIER: "What brings the mail",
    Service.MAIL: "Mail that members forward",
    Service.OWN: "What members report",
    Service.EXPORT: "A file of old notices",
    Service.ELSEWHERE: "Credit Watch (invented)",
}
_CONNECTORS = {
    Service.BUREAUS: "array",
    Service.NIGHTLY: "crs",
    Service.LISTINGS: "hibp",
    Service.METHOD: "method",
    Service.CARRIER: "mailgun",
    Service.MAIL: "mail",
    Service.OWN: "own",
    Service.EXPORT: "file",
}

SENDING = (Service.WATCH, Service.IDENTITY, Service.DESK, Service.ELSEWHERE)
"""Those that send everything themselves, in our own schema."""

ASKED = (Service.BUREAUS, Service.NIGHTLY, Service.LISTINGS, Service.METHOD)
"""Those that are asked, after a notice that says no more than "go and look" or on our own initiative."""

BY_HAND = (Service.CARRIER, Service.MAIL, Service.OWN, Service.EXPORT)
"""Ways in by which people bring what no service sends: members who forward their mail or log in for us, the union with a file."""

AT_BUREAUS, AT_NIGHTLY, AT_LISTINGS, AT_MAIL, AT_EXPORT = 6, 25, 10, 8, 6
"""How many members they know. Each question is a real request, and all of it has to fit into a minute."""

MAIL_DOMAIN = "alerts.union.example"
"""Where the members' forwarding addresses are."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """One member's reference at one service, and whether they agreed when it was set up."""

    external_id: str
    reference: str
    consent: bool = True


@dataclass(frozen=True, slots=True)
class Book:
    """Every enrollment by service. `shared` is a reference that two members hold, on Credit Watch: a mistake of the service."""

    enrolled: dict[Service, tuple[Enrolled, ...]]
    shared: tuple[Enrolled, Enrolled]
    neighbours: tuple[Person, ...]

    def reference(self, service: Service, external_id: str) -> str | None:
        """A member's reference at a service; None for whom it does not know."""
        return next((e.reference for e in self.enrolled[service] if e.external_id == external_id), None)


NEIGHBOURS = 12


def draw_enrollments(seed: int, people: Sequence[Person], truth: Truth) -> Book:
    """References for everybody at Credit Watch, for some elsewhere; another organization's people bear the same references."""
    rng = Random(f"{seed}:references")
    numbers = iter(rng.sample(range(16**6), 3 * len(people) + 1))

    def reference(service: Service) -> str:
        return f"{service.value}-{next(numbers):06x}"

    watch = tuple(
        Enrolled(p.external_id, reference(Service.WATCH), truth.consent_of(p.external_id).agreement is Agreement.GIVEN)
        for p in people
    )
    agreed = [p for p in people if p.external_id not in truth.consents]
    hit = {incident.member for incident in truth.incidents}
    some = [p for p in agreed if p.external_id in hit]
    identity = tuple(Enrolled(p.external_id, reference(Service.IDENTITY)) for p in some if _one_of(p, truth, 3))
    desk = tuple(Enrolled(p.external_id, reference(Service.DESK)) for p in some if _one_of(p, truth, 7))
    unhit = [p.external_id for p in agreed if p.external_id not in hit]
    twice = reference(Service.WATCH)
    shared = (Enrolled(unhit[0], twice), Enrolled(unhit[1], twice))
    neighbours = _neighbours(seed, people, truth)
    known = {e.external_id: e.reference for e in watch}
    elsewhere = tuple(Enrolled(p.external_id, known[p.external_id]) for p in neighbours)
    enrolled = {
        Service.WATCH: watch,
        Service.IDENTITY: identity,
        Service.DESK: desk,
        **_at_the_asked(seed, some, truth),
        **_by_one_way(seed, some, truth),
        Service.CARRIER: (),
        Service.OWN: (),
        Service.ELSEWHERE: elsewhere,
    }
    return Book(enrolled, shared, neighbours)


def _at_the_asked(seed: int, some: Sequence[Person], truth: Truth) -> dict[Service, tuple[Enrolled, ...]]:
    """Who is known where: those with most to tell at two services at once, so that one act is told of by both.

    The star is not at Nightly Notices, which names no digits: nobody could tell the star's two cards apart there.
    """
    rng = Random(f"{seed}:asked")
    often = Counter(i.member for i in truth.heard(Heard.SERVICES) if i.institution is not None)
    known = {person.external_id: person for person in some}
    by_much = sorted(known.keys() - {truth.star}, key=lambda number: (-often[number], number))
    busiest = by_much[: AT_BUREAUS - 1]
    others = by_much[AT_BUREAUS - 1 :]
    nightly = [*busiest, *rng.sample(others, min(len(others), AT_NIGHTLY - len(busiest)))]
    listed = [truth.star, *rng.sample(by_much, min(len(by_much), AT_LISTINGS - 1))]
    return {
        Service.BUREAUS: tuple(Enrolled(number, str(UUID(int=rng.getrandbits(128)))) for number in (truth.star, *busiest)),
        Service.NIGHTLY: tuple(Enrolled(number, f"user-{rng.getrandbits(48):012x}") for number in nightly),
        Service.LISTINGS: tuple(Enrolled(number, known[number].email) for number in listed),
    }


def _by_one_way(seed: int, some: Sequence[Person], truth: Truth) -> dict[Service, tuple[Enrolled, ...]]:
    """Those of whom something is known by one way alone, and some more; members report without being on any list."""
    rng = Random(f"{seed}:one way")
    by_mail = _filled(rng, some, truth, AT_MAIL, Heard.MAIL, Heard.HINT)
    in_the_file = _filled(rng, some, truth, AT_EXPORT, Heard.EXPORT)
    at_method = list(dict.fromkeys(i.member for i in truth.heard(Heard.METHOD)))
    return {
        Service.MAIL: tuple(Enrolled(number, _forwarding_address(rng)) for number in by_mail),
        Service.EXPORT: tuple(Enrolled(number, f"Card {rng.randint(100000, 999999)}") for number in in_the_file),
        Service.METHOD: tuple(Enrolled(number, f"ent_{rng.getrandbits(48):012x}") for number in at_method),
    }


def _forwarding_address(rng: Random) -> str:
    """As the house makes them, but known beforehand."""
    return f"m-{''.join(rng.choices(ascii_lowercase + '234567', k=26))}@{MAIL_DOMAIN}"


def _filled(rng: Random, some: Sequence[Person], truth: Truth, size: int, *heard: Heard) -> list[str]:
    first = list(dict.fromkeys(i.member for i in truth.heard(*heard)))
    rest = [person.external_id for person in some if person.external_id not in first and person.external_id != truth.star]
    return first + rng.sample(rest, min(len(rest), max(0, size - len(first))))


def _one_of(person: Person, truth: Truth, every: int) -> bool:
    return person.external_id == truth.star or int(person.external_id[2:]) % every == 0


def _neighbours(seed: int, people: Sequence[Person], truth: Truth) -> tuple[Person, ...]:
    """The other organization's people: other names under numbers that some of ours have too."""
    ours = list(dict.fromkeys(i.member for i in truth.incidents if i.member not in truth.consents))[:NEIGHBOURS]
    known = {person.name for person in people}
    drawn = [person for person in draw_people(seed + 1, len(people)) if person.name not in known][: len(ours)]
    return tuple(
        replace(person, external_id=number, email=f"neighbour-{number.lower()}@example.org")
        for person, number in zip(drawn, ours, strict=True)
    )


def enrollment_csv(enrolled: Iterable[Enrolled]) -> str:
    """An enrollment list as a service would export it."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("external_id", "reference", "consent"))
    for entry in enrolled:
        writer.writerow((entry.external_id, entry.reference, "yes" if entry.consent else "no"))
    return out.getvalue()
