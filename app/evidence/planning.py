"""What a packet will hold: which exhibits, with which numbers; what is withheld. Everything is decided here, once.

In scope is every alert about a member whose data is in the matter's breach (or about those of them who were named) that had its
place in the log by the packet's checkpoint. Each is an exhibit, or is listed as withheld with the reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from uuid import UUID

from app.breaches.catalogue import BreachSpec, spec_of
from app.evidence import bates, repository
from app.evidence.acts import Custody, find_custody, find_erased
from app.evidence.exhibits import Company, Planned
from app.evidence.ordering import Order, require_members, require_order
from app.evidence.repository import Told
from app.evidence.withheld import UNREAD, Why, Withheld
from app.incidents.models import UnmatchedReason
from app.incidents.repository import alerts_held
from app.intake.models import EventOutcome
from app.kit import clock
from app.kit.database import Transaction
from app.kit.errors import Problem
from app.ledger.models import Checkpoint
from app.ledger.reading import NotThere, checkpoint_at
from app.members import repository as members
from app.members.service import all_consents_to


@dataclass
class Chapter:
    """One member's part of a packet. `erased`: nothing of them can be read any more."""

    member_id: UUID
    erased: bool
    exhibits: list[Planned]
    timeline: str = ""
    sheet: str = ""

    @property
    def connections(self) -> set[UUID]:
        """Over which what is shown of them came: to keeping and showing that they must agree."""
        return {one.told.connection_id for one in self.exhibits}


@dataclass
class Plan:
    """A whole packet before a byte of it is written. `extra`: by which other ids the acts on an alert name it.

    `since`: how many acts after the checkpoint have changed a member's pages, by member.
    """

    order: Order
    organization_id: UUID
    organization: str
    breach_id: UUID
    breach: BreachSpec
    size: int
    at: datetime
    chapters: list[Chapter] = field(default_factory=list)
    withheld: list[Withheld] = field(default_factory=list)
    custody: Custody = field(default_factory=Custody)
    extra: dict[UUID, list[UUID]] = field(default_factory=dict)
    references: frozenset[tuple[UUID, bytes]] = frozenset()
    since: dict[UUID, int] = field(default_factory=dict)

    @property
    def company(self) -> Company:
        """Who is in it."""
        told = (one.told for chapter in self.chapters if not chapter.erased for one in chapter.exhibits)
        return Company(self.order.variant, frozenset(one.alert_id for one in told), self.references)

    def ids_of(self, one: Planned) -> set[UUID]:
        """By what the acts of an exhibit's custody name it."""
        return {*one.ids, *(more for known in one.ids for more in self.extra.get(known, ()))}

    def named(self, one: Planned) -> dict[str, list[str]]:
        """By what else an act can name an exhibit: the incidents that its alert was put into, and what carried its deliveries."""
        receipts = {one.told.receipt_id, *(told.receipt_id for told in one.again)}
        carriers = {carrier for receipt in receipts for carrier in self.extra.get(receipt, ())}
        incidents = set(self.extra.get(one.told.alert_id, ()))
        return {"incidents": sorted(map(str, incidents)), "carriers": sorted(map(str, carriers))}


Drafts = dict[UUID, list[tuple[Told, list[Told]]]]


@dataclass(frozen=True, slots=True)
class Found:
    """What a packet is to hold, before it has numbers. `told`: what becomes an exhibit; `erased`: who of them was erased."""

    made: Plan
    told: list[Told]
    erased: set[UUID]

    def drafts(self) -> Drafts:
        """By member, in order: what is an exhibit of its own, each with the times that it was told again."""
        by_member = groupby(self.told, key=attrgetter("member_id"))
        return dict(sorted((member, _exhibits(list(theirs))) for member, theirs in by_member))


async def plan(tx: Transaction, order: Order) -> Plan:
    """Decide what a packet holds, and give the numbers. Raises a 404, 409 or 422 Problem."""
    return await number(tx, await look(tx, order))


async def look(tx: Transaction, order: Order) -> Found:
    """Decide what a packet is to hold; nothing is written. Raises a 404, 409 or 422 Problem."""
    bates.require_prefix(order.prefix)
    require_order(order)
    found = await repository.matter_with_breach(tx, order.matter_id)
    organization = await members.organization(tx, found[0].organization_id) if found else None
    if found is None or organization is None:
        raise Problem(404, "There is no matter with this id. To see them: harmline matters list")
    checkpoint = await _checkpoint(tx, organization.id, order.size)
    breach = found[1]
    made = Plan(
        order,
        organization.id,
        organization.name,
        breach.id,
        spec_of(breach.spec),
        checkpoint.size,
        checkpoint.at,
    )
    told, erased = await _in_scope(tx, made)
    told = await _agreed(tx, made, told, erased)
    await _look_up(tx, made, told)
    agreed = {(one.member_id, one.connection_id) for one in told if one.member_id not in erased}
    made.references = await repository.references_of(tx, agreed)
    return Found(made, [one for one in told if one.receipt_id in made.custody.came], erased)


async def _checkpoint(tx: Transaction, organization_id: UUID, size: int | None) -> Checkpoint:
    try:
        return await checkpoint_at(tx, organization_id, size)
    except NotThere:
        message = "The log has no checkpoint yet: the service makes one within seconds of an act."
        raise Problem(409, message if size is None else "The log has no checkpoint of this size.") from None


async def _in_scope(tx: Transaction, made: Plan) -> tuple[list[Told], set[UUID]]:
    """All that was told of the members in scope, and who of them was erased; what cannot be read at all is withheld."""
    people = await repository.members_of_breach(tx, made.organization_id, made.breach_id)
    gone = await repository.erased_members(tx, made.organization_id)
    lost = await find_erased(tx, made.organization_id, made.size, gone, made.breach_id)
    chosen = made.order.chosen
    if chosen:
        require_members(chosen, people, lost.linked)
        people = [one for one in people if one in chosen]
        lost.linked &= set(chosen)
    for one in await repository.unread_of(tx, people, made.at):
        reason = UnmatchedReason(one.reason) if one.reason else None
        made.withheld.append(Withheld(f"alert {one.alert_id}", UNREAD[reason]))
    left = await repository.told_of_erased(tx, made.organization_id, lost.in_scope())
    known = {one.alert_id for one in left}
    made.withheld += [Withheld(f"alert {one}", Why.ERASED) for one in sorted(set(lost.in_scope()) - known)]
    return [*await repository.told_to(tx, people), *left], lost.linked


async def _agreed(tx: Transaction, made: Plan, told: Sequence[Told], erased: set[UUID]) -> list[Told]:
    """Those whose member agrees to it now; the others' alerts are withheld."""
    asked = {(one.member_id, one.connection_id) for one in told if one.member_id not in erased}
    answers = await all_consents_to(tx, asked, clock.now())
    shown, held = [], set()
    for one in told:
        if one.member_id in erased or answers.get((one.member_id, one.connection_id)):
            shown.append(one)
        else:
            held.add(one.alert_id)
    made.withheld += [Withheld(f"alert {one}", Why.NOT_CONSENTED) for one in sorted(held)]
    return shown


async def _look_up(tx: Transaction, made: Plan, told: Sequence[Told]) -> None:
    """Find the acts of the log that name what was told, or the incident that it is in, or the delivery that it came out of."""
    people = {one.member_id for one in told}
    for by_incident in (await alerts_held(tx, people)).values():
        for incident, alerts in by_incident.items():
            for alert in alerts:
                made.extra.setdefault(alert, []).append(incident)
    for receipt, carrier in (await repository.handed_on_by(tx, {one.receipt_id for one in told})).items():
        made.extra.setdefault(receipt, []).append(carrier)
    wanted = {one for row in told for one in (row.receipt_id, row.alert_id, row.event_id)}
    wanted |= {more for known in wanted for more in made.extra.get(known, ())}
    made.custody = await find_custody(tx, made.organization_id, made.size, wanted, people)
    made.withheld += [Withheld(f"act {one}", Why.OTHER_PEOPLE) for one in made.custody.others]


async def number(tx: Transaction, found: Found) -> Plan:
    """Make chapters and exhibits, and give each its number."""
    made, erased, drafts = found.made, found.erased, found.drafts()
    made.since = await repository.acts_since(tx, made.organization_id, made.size, sorted(drafts.keys() - erased))
    names: list[str] = []
    for member in drafts:
        names += [f"event:{first.event_id}" for first, _ in drafts[member]]
        names += [] if member in erased else [_timeline(made, member), _sheet(made, member)]
    where = (made.organization_id, made.order.matter_id, made.order.prefix)
    numbers = await bates.give(tx, *where, names)
    for member in drafts:
        made.chapters.append(_chapter(made, member, drafts[member], numbers, erased))
    return made


def _timeline(made: Plan, member: UUID) -> str:
    return f"timeline:{member}:{_edition(made, member)}"


def _sheet(made: Plan, member: UUID) -> str:
    return f"sheet:{member}:{_edition(made, member)}"


def _edition(made: Plan, member: UUID) -> str:
    """What tells a member's pages from others of theirs: what was answered or entered since the checkpoint changes them, too."""
    since = f":{made.since[member]}" if member in made.since else ""
    return f"{made.size}:{made.order.variant.value}{made.order.scope}{since}"


def _exhibits(told: Sequence[Told]) -> list[tuple[Told, list[Told]]]:
    """What of a member's events is an exhibit of its own, in order of arrival, each with the times that it was told again."""
    made: list[tuple[Told, list[Told]]] = []
    last: dict[UUID, list[Told]] = {}
    for one in told:
        if one.alert_id in last and one.outcome != EventOutcome.REVISION:
            last[one.alert_id].append(one)
            continue
        last[one.alert_id] = []
        made.append((one, last[one.alert_id]))
    return made


def _chapter(
    made: Plan, member: UUID, drafts: Sequence[tuple[Told, list[Told]]], numbers: Mapping[str, str], erased: set[UUID]
) -> Chapter:
    exhibits = [Planned(numbers[f"event:{first.event_id}"], first, tuple(again)) for first, again in drafts]
    if member in erased:
        return Chapter(member, erased=True, exhibits=exhibits)
    timeline, sheet = numbers[_timeline(made, member)], numbers[_sheet(made, member)]
    return Chapter(member, erased=False, exhibits=exhibits, timeline=timeline, sheet=sheet)
