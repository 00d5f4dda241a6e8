"""Breaches that are known because a listing service names them: who is listed in which, and what each is said to have held.

What the service says is stored as its word: a listing proves no element, and a breach that it lists exposed only those whom it
lists. Descriptions and listings come in any order and repeatedly; what is stored in the end is the same. A listed breach that is
the same as one of the catalogue is not merged with it: nothing in a listing says so.
"""

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import rfc8785

from app.breaches import repository
from app.breaches.catalogue import BreachSpec, MilestoneKind, spec_of
from app.breaches.exposure import ExposureBasis
from app.breaches.service import recompute, tell, write_breach, write_evidence
from app.breaches.sources import Mark
from app.kit.database import Transaction
from app.kit.keyring import Keyring
from connectors.contract import BreachRecord, Interval
from connectors.registry import registry
from connectors.vocabulary import DataElement

WAVE = "listed"
WAVE_TITLE = "the listed publication"
LONGEST_KEY = 60
LONGEST_NAME = 120
YEARS = range(1990, 2100)
"""A date outside is not a breach's: it is left out, so that no later reckoning leaves the calendar."""

Place = tuple[UUID, str, frozenset[str] | None]
"""A listing as it is stored: whose, the key of the breach, with which data (None: not said)."""

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Description:
    """What a service said that a breach was, and when it came in (aware)."""

    connector: str
    record: BreachRecord
    said: datetime


@dataclass(frozen=True, slots=True)
class MemberListing:
    """A service's word that one member is in a breach. `elements` None: it does not say with which data."""

    member_id: UUID
    connector: str
    breach_name: str
    elements: frozenset[DataElement] | None = None

    @property
    def place(self) -> Place:
        """Where it is stored: two listings of one place are the same."""
        elements = None if self.elements is None else frozenset(element.value for element in self.elements)
        return self.member_id, breach_key(self.connector, self.breach_name), elements


def breach_key(connector: str, breach_name: str) -> str:
    """The key of a listed breach: readable, at most 60 letters, and another one for every name, also for "A.B" and "a-b"."""
    digest = hashlib.sha256(f"{connector}\0{breach_name}".encode()).hexdigest()[:10]
    words = re.sub(r"[^a-z0-9]+", "-", f"listed-{connector}-{breach_name}".lower()).strip("-")
    return f"{words[: LONGEST_KEY - len(digest) - 1].rstrip('-')}-{digest}"


def listed_spec(connector: str, breach_name: str, told: Description | None = None) -> BreachSpec:
    """A listed breach as data: what the service said of it, or nothing but its name while it has said nothing.

    The marks say that the service lists it so, which was read; not that it is so.
    """
    known = registry().get(connector)
    service = known.title if known else connector
    record = told.record if told else None
    name = _shown(record.title if record and record.title else breach_name)
    key = breach_key(connector, breach_name)
    sourced = {"mark": Mark.VERIFIED, "source": f"Listed by {service}"}
    held = {**sourced, "note": "The breach is listed with such data, not each person in it."}
    elements = sorted((record.elements if record else None) or ())
    wave = {"key": WAVE, "title": WAVE_TITLE, "elements": [{"element": element, **held} for element in elements]}
    return BreachSpec.model_validate(
        {
            "key": key,
            "name": name,
            "defendant": {"key": key, "name": name},
            "time_zone": "UTC",
            "milestones": _milestones(record, sourced) if record else [],
            "waves": [wave],
            "listing": {"connector": connector, "name": breach_name, "said": told.said if told else None},
        }
    )


def _milestones(record: BreachRecord, sourced: dict[str, Any]) -> list[dict[str, Any]]:
    """The day of the breach bounds the theft from below; what the service holds was out by then."""
    breached = {"kind": MilestoneKind.INTRUSION, **sourced, "note": "As listed; such days are not always exact."}
    out = {"kind": MilestoneKind.PUBLISHED, "wave": WAVE, **sourced, "note": "The service had it by then."}
    dated = ((breached, record.breached), (out, record.published))
    return [{**milestone, **days} for milestone, said in dated if (days := _days(said))]


def _days(said: Interval | None) -> dict[str, date]:
    """The days, UTC, on which an interval begins and ends: never narrower than it."""
    ends = {"from": said.earliest, "to": said.latest} if said else {}
    return {end: moment.date() for end, moment in ends.items() if moment is not None and moment.year in YEARS}


def _shown(name: str) -> str:
    """A stranger's name for a breach, on one line: no control characters, nothing that turns the direction of writing."""
    plain = "".join(letter if letter.isprintable() else " " for letter in name)
    return " ".join(plain.split())[:LONGEST_NAME].rstrip() or "a breach without a name"


def supersedes(new: BreachSpec, old: BreachSpec | None) -> bool:
    """Whether `new` is to be stored in place of `old`: the later word counts, and any word counts more than none.

    Of two at one moment the one that comes later in canonical form counts, so that the order of handling does not.
    """
    if old is None:
        return True
    return _rank(new) > _rank(old)


def _rank(spec: BreachSpec) -> tuple[datetime, bytes]:
    said = spec.listing.said if spec.listing else None
    return said or _NEVER, rfc8785.dumps(spec.model_dump(mode="json", by_alias=True))


async def take(
    tx: Transaction,
    keyring: Keyring,
    organization_id: UUID,
    descriptions: Sequence[Description],
    listings: Collection[MemberListing],
) -> None:
    """Store what services said: the breaches, who is listed in them, and what follows for the exposures of each."""
    specs = [listed_spec(told.connector, told.record.breach_name, told) for told in descriptions]
    changed = [spec.key for spec in specs if await _store(tx, keyring, organization_id, spec)]
    for connector, breach_name in sorted({(listing.connector, listing.breach_name) for listing in listings}):
        await _store(tx, keyring, organization_id, listed_spec(connector, breach_name))
    touched = set(await repository.members_in_evidence(tx, organization_id, changed))
    # Held in the order of their ids before anything is written about one of them, as everywhere.
    held = await repository.lock_members(tx, organization_id, sorted(touched | {listing.member_id for listing in listings}))
    present = {member.id for member in held if member.erased_at is None}
    touched |= await _write(tx, keyring, organization_id, [listing for listing in listings if listing.member_id in present])
    await recompute(tx, organization_id, touched)
    # Also where no exposure changed: a breach's name and dates stand in the facts of links.
    await tell(tx, organization_id, sorted(touched & present))


async def _write(tx: Transaction, keyring: Keyring, organization_id: UUID, listings: Collection[MemberListing]) -> set[UUID]:
    """Write down the listings that are new; whose they are."""
    known = await _known(tx, organization_id, {listing.member_id for listing in listings})
    new = {listing.place: listing.member_id for listing in listings if listing.place not in known}
    ids = {row.key: row.id for row in await repository.breaches(tx, organization_id)}
    for member_id, key, elements in sorted(new, key=lambda place: (place[0], place[1], sorted(place[2] or ()))):
        named = None if elements is None else sorted(elements)
        await write_evidence(tx, keyring, organization_id, member_id, ids[key], WAVE, ExposureBasis.HIBP, named)
    return set(new.values())


async def recorded_at(tx: Transaction, organization_id: UUID, listing: MemberListing) -> datetime | None:
    """When a listing was stored for the first time; None if it is not."""
    return (await _known(tx, organization_id, {listing.member_id})).get(listing.place)


async def _known(tx: Transaction, organization_id: UUID, member_ids: Collection[UUID]) -> dict[Place, datetime]:
    """The listings that are stored of these members, and since when."""
    keys = {row.id: row.key for row in await repository.breaches(tx, organization_id)}
    return {
        (row.member_id, keys[row.breach_id], None if row.elements is None else frozenset(row.elements)): row.recorded_at
        for row in await repository.evidence(tx, organization_id, sorted(member_ids))
        if row.basis == ExposureBasis.HIBP
    }


async def _store(tx: Transaction, keyring: Keyring, organization_id: UUID, spec: BreachSpec) -> bool:
    row = await repository.breach_by_key(tx, organization_id, spec.key)
    if not supersedes(spec, spec_of(row.spec) if row else None):
        return False
    await write_breach(tx, keyring, organization_id, spec, focal=False)
    return True
