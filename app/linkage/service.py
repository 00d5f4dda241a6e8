"""Use cases of links: find them again for a member, and show them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any
from uuid import UUID

from app.breaches.catalogue import spec_of
from app.breaches.exposure import Exposure
from app.breaches.models import Breach
from app.breaches.nexus import Nexus, load_matrix
from app.breaches.service import StoredBreach, all_exposures_of, breaches_of
from app.incidents import repository as incidents
from app.incidents.identity import Answer
from app.incidents.repository import EventFacts, IncidentRow
from app.kit import clock
from app.kit.database import Transaction
from app.kit.ids import uuid7
from app.kit.keyring import Keyring
from app.ledger.service import Act, Entry, append_many
from app.linkage import repository
from app.linkage.attribution import attribute, bearing
from app.linkage.basis import basis
from app.linkage.findings import (
    AlertView,
    BreachView,
    CompetingBreach,
    History,
    IncidentView,
    LinkFinding,
    PriorIncident,
    WaveFinding,
)
from app.linkage.models import Link
from app.linkage.repository import PresentLink
from app.linkage.schemas import CounselLinkView, FactView, LinkView, NexusView, WaveView
from app.linkage.stored import digest, from_json, to_json
from app.linkage.wording import in_order
from app.members.repository import lock_members
from connectors.contract import Interval
from connectors.vocabulary import AlertKind

RULES = "links-1"
"""Version of the rules of attribution; it rises when the same facts lead to another finding."""

Place = tuple[UUID, UUID, UUID]


async def relink(tx: Transaction, keyring: Keyring, organization_id: UUID, member_ids: Iterable[UUID]) -> int:
    """Find the links of these members again; how many links are new.

    A finding that differs becomes a new row and the old one is stamped; what is the same stays. Links of an incident that
    was merged away are stamped; of an erased member every link is deleted. Safe to repeat.
    """
    wanted = sorted(set(member_ids))
    people = await lock_members(tx, wanted)
    present = [one for one, row in people.items() if row.organization_id == organization_id and row.erased_at is None]
    for gone in sorted(set(wanted) - set(present)):
        await repository.forget(tx, organization_id, gone)
    if not present:
        return 0
    breaches = await breaches_of(tx, organization_id)
    events = await incidents.facts_of_members(tx, present)
    held = await incidents.alerts_held(tx, present)
    rows = await incidents.incidents_of_members(tx, present)
    keys = {breach.breach_id: breach.spec.key for breach in breaches}
    exposures = await all_exposures_of(tx, organization_id, present, keys)
    questions = [
        asked
        for one in present
        for asked in _questions(one, _views(rows.get(one, ()), held.get(one, {}), events.get(one, ())), exposures[one], breaches)
    ]
    return await _store(tx, keyring, organization_id, present, questions)


@dataclass(frozen=True, slots=True)
class _Question:
    """One incident of a member and one breach, with all that bears on whether and how they are linked."""

    member_id: UUID
    incident: IncidentView
    breach: BreachView
    exposures: tuple[Exposure, ...]
    history: History
    competing: tuple[CompetingBreach, ...]

    @property
    def place(self) -> Place:
        """What is linked: member, incident, breach."""
        return self.member_id, self.incident.incident_id, self.breach.breach_id

    def find(self) -> LinkFinding:
        """The answer."""
        return attribute(self.incident, self.breach, self.exposures, self.history, self.competing)

    def basis(self) -> bytes:
        """What the answer is based on."""
        rules = f"{RULES}/{load_matrix().version}"
        return basis(rules, self.incident, self.breach, self.exposures, self.history, self.competing)


def _questions(
    member_id: UUID,
    views: Sequence[tuple[IncidentRow, IncidentView]],
    exposures: Mapping[UUID, tuple[Exposure, ...]],
    breaches: Sequence[StoredBreach],
) -> list[_Question]:
    linked = [breach for breach in breaches if breach.breach_id in exposures and breach.spec.listing is None]
    competing = {breach.breach_id: _competing(breach, breaches, exposures) for breach in linked}
    asked_of = {breach.breach_id: BreachView(breach.breach_id, breach.spec) for breach in linked}
    whole = _history(views)
    histories = {breach_id: bearing(whole, view) for breach_id, view in asked_of.items()}
    return [
        _Question(member_id, view, asked_of[this], exposures[this], histories[this], competing[this])
        for (_, view), this in product(views, asked_of)
    ]


def _views(
    rows: Iterable[IncidentRow], held: Mapping[UUID, frozenset[UUID]], events: Iterable[EventFacts]
) -> list[tuple[IncidentRow, IncidentView]]:
    """A member's present incidents as a link needs them; of an alert with several versions the last one received counts."""
    latest = {
        event.alert_id: AlertView(event.alert_id, AlertKind(event.kind), AlertKind(event.product) if event.product else None)
        for event in events
    }
    views = []
    for row in rows:
        alerts = tuple(latest[alert_id] for alert_id in sorted(held.get(row.id, ())) if alert_id in latest)
        if alerts and row.redirect_to is None:
            claimed = Interval(earliest=row.occurred_earliest, latest=row.occurred_latest)
            views.append((row, IncidentView(row.id, alerts, claimed, row.first_received_at)))
    return views


def _history(views: Sequence[tuple[IncidentRow, IncidentView]]) -> History:
    """The member's incidents, without what they said was their own doing. Nobody has searched their past."""
    told = tuple(
        PriorIncident(view.incident_id, view.families, view.occurred, view.received_at)
        for incident, view in views
        if incident.answer != Answer.WAS_ME
    )
    return History(told, looked_back_from=None)


def _competing(
    breach: StoredBreach, breaches: Sequence[StoredBreach], exposures: Mapping[UUID, tuple[Exposure, ...]]
) -> tuple[CompetingBreach, ...]:
    """The other breaches that exposed this member, and those of the same defendant whatever is known of their contents."""
    return tuple(
        CompetingBreach(BreachView(other.breach_id, other.spec), exposures.get(other.breach_id, ()))
        for other in breaches
        if other.breach_id != breach.breach_id
        and (other.breach_id in exposures or other.spec.defendant.key == breach.spec.defendant.key)
    )


async def _store(
    tx: Transaction, keyring: Keyring, organization_id: UUID, member_ids: Collection[UUID], questions: Sequence[_Question]
) -> int:
    """Answer what is not answered yet, or on another basis, and write what differs; how many links are new."""
    wanted = {asked.place: (asked, asked.basis()) for asked in questions}
    present = await repository.present(tx, organization_id, member_ids)
    changed = [link for link in present if _place(link) in wanted and wanted[_place(link)][1] != link.based_on]
    said = await repository.findings_of(tx, changed)
    same = [link for link in present if _place(link) in wanted and link.id not in said]
    old = [link for link in present if _place(link) not in wanted]
    entries = [_entry(organization_id, link.member_id, link.id, _place(link), {"change": "withdrawn"}) for link in old]
    rebased, new = [], []
    for link in same:
        del wanted[_place(link)]
    before = {_place(link): link for link in changed}
    for place, (asked, based_on) in wanted.items():
        found = asked.find()
        data = to_json(found)
        earlier = before.get(place)
        if earlier is not None and said[earlier.id] == (_rules(found), data):
            rebased.append((earlier, based_on))
            continue
        if earlier is not None:
            old.append(earlier)
        row = _row(organization_id, place[0], found, data, based_on)
        new.append(row)
        facts = {"change": "found", "time_order": row["time_order"], "rules": row["rules_version"], "sha256": digest(data)}
        entries.append(_entry(organization_id, place[0], row["id"], place, facts))
    await repository.rebase(tx, rebased)
    await repository.supersede(tx, old, clock.now())
    await repository.insert(tx, new)
    await append_many(tx, keyring, entries)
    return len(new)


def _place(link: PresentLink) -> Place:
    return link.member_id, link.incident_id, link.breach_id


def _rules(found: LinkFinding) -> str:
    return f"{RULES}/{found.matrix_version}"


def _row(organization_id: UUID, member_id: UUID, found: LinkFinding, data: dict[str, Any], based_on: bytes) -> dict[str, Any]:
    return {
        "member_id": member_id,
        "id": uuid7(),
        "organization_id": organization_id,
        "incident_id": found.incident_id,
        "breach_id": found.breach_id,
        "time_order": found.time_order.value,
        "excluded_by_time": found.excluded_by_time,
        "finding": data,
        "rules_version": _rules(found),
        "based_on": based_on,
        "found_at": clock.now(),
    }


def _entry(organization_id: UUID, member_id: UUID, link_id: UUID, place: Place, facts: dict[str, Any]) -> Entry:
    _, incident_id, breach_id = place
    said = facts | {"incident": str(incident_id), "breach": str(breach_id)}
    ids = {"link": link_id, "incident": incident_id, "breach": breach_id}
    return Entry(organization_id, Act.LINK, said, ids, member_id=member_id)


async def present_links(
    tx: Transaction, organization_id: UUID, member_id: UUID, incident_ids: Collection[UUID]
) -> list[LinkView]:
    """The present links of some of a member's incidents, as the member reads them, the focal breach first."""
    rows = await repository.present_with_breach(tx, organization_id, member_id, list(incident_ids))
    return [LinkView.model_validate(_shown(link, breach)) for link, breach in rows]


async def counsel_links(
    tx: Transaction, organization_id: UUID, member_id: UUID, incident_ids: Collection[UUID]
) -> list[CounselLinkView]:
    """The same as `present_links`, as counsel reads them."""
    rows = await repository.present_with_breach(tx, organization_id, member_id, list(incident_ids))
    return [
        CounselLinkView.model_validate(
            _shown(link, breach) | {"excluded_by_time": link.excluded_by_time, "rules_version": link.rules_version}
        )
        for link, breach in rows
    ]


async def incidents_of_breach(
    tx: Transaction, organization_id: UUID, breach_id: UUID, after: tuple[UUID, UUID] | None, limit: int
) -> list[tuple[UUID, UUID]]:
    """The next (member id, incident id) linked to a breach, for counsel: also those that speak against the breach."""
    return await repository.incidents_of_breach(tx, organization_id, breach_id, after, limit)


def _shown(link: Link, breach: Breach) -> dict[str, Any]:
    finding = from_json(link.finding)
    titles = {wave.key: wave.title for wave in spec_of(breach.spec).waves}
    return {
        "id": link.id,
        "incident_id": link.incident_id,
        "breach_id": link.breach_id,
        "breach_name": breach.spec["name"],
        "time_order": finding.time_order,
        "waves": [_wave(wave, titles.get(wave.wave, wave.wave)) for wave in finding.waves],
        "facts": [FactView.model_validate(fact, from_attributes=True) for fact in finding.facts],
        "found_at": link.found_at,
    }


def _wave(wave: WaveFinding, title: str) -> WaveView:
    return WaveView(
        wave=wave.wave,
        title=title,
        time_order=wave.time_order,
        exposure_status=wave.exposure_status,
        nexus=_nexus(wave.nexus),
    )


def _nexus(nexus: Nexus) -> NexusView:
    return NexusView(
        status=nexus.status,
        act=nexus.row.title if nexus.row else None,
        needed=list(in_order(nexus.best_set)),
        present=list(in_order(nexus.present)),
        missing=list(in_order(nexus.missing)),
        derived=[step.says for step in nexus.derived_steps],
        reason=nexus.reason,
    )
