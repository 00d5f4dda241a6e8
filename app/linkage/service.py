"""Use cases of links: find them again for a member, and show them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.breaches.catalogue import spec_of
from app.breaches.exposure import Exposure
from app.breaches.models import Breach
from app.breaches.nexus import Nexus, load_matrix
from app.breaches.service import StoredBreach, all_exposures_of, breaches_of
from app.incidents import repository as incidents
from app.kit import canonical, clock
from app.kit.database import Transaction
from app.kit.ids import uuid7, written
from app.kit.keyring import Keyring
from app.kit.outbox import publish_many
from app.ledger.service import Act, Entry, append_many
from app.linkage import repository
from app.linkage.alike import Found, find
from app.linkage.basis import basis, setting
from app.linkage.findings import (
    BreachView,
    CompetingBreach,
    History,
    IncidentView,
    PriorIncident,
    WaveFinding,
)
from app.linkage.models import Link
from app.linkage.priors import prior_facts, with_priors
from app.linkage.repository import PresentLink
from app.linkage.schemas import CounselLinkView, FactView, LinkView, NexusView, WaveView
from app.linkage.sharing import Pattern, join
from app.linkage.stored import from_json
from app.linkage.wording import in_order
from app.members.repository import lock_members

RULES = "links-2"
"""Version of the rules of attribution; it rises when the same facts lead to another finding."""

RULES_CHANGED = "linkage.rules_changed"
"""Topic: some links of `member_id` were found by earlier rules."""
RENEWED_AT_ONCE = 500

Place = tuple[UUID, UUID, UUID]


async def relink(
    tx: Transaction,
    keyring: Keyring,
    organization_id: UUID,
    member_ids: Iterable[UUID],
    only: Mapping[UUID, Collection[UUID]] | None = None,
) -> int:
    """Find the links of these members again; how many links are new. `only`: of these members just these incidents.

    A finding that differs becomes a new row and the old one is stamped; what is the same stays. Links of an incident that
    was merged away are stamped; of an erased member every link is deleted. Safe to repeat. The members are held until the end
    of the transaction: of two that find links of one incident at the same moment the database would refuse one.
    """
    wanted = sorted(set(member_ids))
    people = await lock_members(tx, wanted)
    there = [one for one, row in people.items() if row.organization_id == organization_id and row.erased_at is None]
    for gone in sorted(set(wanted) - set(there)):
        await repository.forget(tx, organization_id, gone)
    if not there:
        return 0
    some = only or {}
    whole = [one for one in there if one not in some]
    named = [(one, incident_id) for one in there for incident_id in some.get(one, ())]
    views = await repository.incidents_of_members(tx, whole) | await repository.incidents_named(tx, named)
    before = await repository.present(tx, organization_id, whole) + await repository.present_of(tx, organization_id, named)
    breaches = await breaches_of(tx, organization_id)
    keys = {breach.breach_id: breach.spec.key for breach in breaches}
    exposures = await all_exposures_of(tx, organization_id, list(views), keys)
    questions = [asked for one, seen in views.items() for asked in _questions(one, seen, exposures[one], breaches)]
    return await _store(tx, keyring, organization_id, before, questions)


async def ask_again(tx: Transaction, after: UUID) -> tuple[UUID, int] | None:
    """Have the worker find again what earlier rules found, of the next members by id: the last of them, and how many.

    None after the last. It is said to the worker and not done here: so many members would be held for too long.
    """
    found = await repository.found_by_others(tx, _rules(load_matrix().version), after, RENEWED_AT_ONCE)
    await publish_many(tx, RULES_CHANGED, [(owner, {"member_id": member_id}) for owner, member_id in found])
    return (found[-1][1], len(found)) if found else None


@dataclass(frozen=True, slots=True)
class _Question:
    """One incident of a member and one breach, with all that bears on whether and how they are linked."""

    member_id: UUID
    incident: IncidentView
    breach: BreachView
    exposures: tuple[Exposure, ...]
    competing: tuple[CompetingBreach, ...]
    setting: str

    @property
    def place(self) -> Place:
        """What is linked: member, incident, breach."""
        return self.member_id, self.incident.incident_id, self.breach.breach_id

    def find(self) -> Found:
        """The answer."""
        return find(self.incident, self.breach, self.exposures, self.competing, self.setting)

    def basis(self) -> bytes:
        """What the answer is based on."""
        return basis(self.incident, self.setting)


def _questions(
    member_id: UUID,
    views: Sequence[IncidentView],
    exposures: Mapping[UUID, tuple[Exposure, ...]],
    breaches: Sequence[StoredBreach],
) -> list[_Question]:
    rules, asked = _rules(load_matrix().version), []
    for breach in breaches:
        if breach.breach_id in exposures and breach.spec.listing is None:
            this, own = BreachView(breach.breach_id, breach.spec), exposures[breach.breach_id]
            others = _competing(breach, breaches, exposures)
            based = setting(rules, this, own, others)
            asked += [_Question(member_id, view, this, own, others, based) for view in views]
    return asked


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
    tx: Transaction, keyring: Keyring, organization_id: UUID, present: Sequence[PresentLink], questions: Sequence[_Question]
) -> int:
    """Answer what is not answered yet, or on another basis, and write what differs from the present links; how many are new."""
    wanted = {asked.place: (asked, asked.basis()) for asked in questions}
    changed = [link for link in present if _place(link) in wanted and wanted[_place(link)][1] != link.based_on]
    said = await repository.findings_of(tx, changed)
    same = [link for link in present if _place(link) in wanted and link.id not in said]
    old = [link for link in present if _place(link) not in wanted]
    entries = [_entry(organization_id, link.member_id, link.id, _place(link), {"change": "withdrawn"}) for link in old]
    rebased, new, shared, now = [], [], {}, clock.now()
    for link in same:
        del wanted[_place(link)]
    before = {_place(link): link for link in changed}
    for place, (asked, based_on) in wanted.items():
        found = asked.find()
        pattern, earlier = found.kind.pattern, before.get(place)
        if earlier is not None and said[earlier.id] == (_rules(found.kind.matrix_version), pattern.sha256, found.own):
            rebased.append((earlier, based_on))
            continue
        if earlier is not None:
            old.append(earlier)
        shared[pattern.sha256] = pattern
        row = _row(organization_id, place, found, based_on, now)
        new.append(row)
        facts = {"change": "found", "time_order": row["time_order"], "rules": row["rules_version"], "sha256": found.digest()}
        entries.append(_entry(organization_id, place[0], row["id"], place, facts))
    await repository.rebase(tx, rebased)
    await repository.supersede(tx, old, now)
    await _keep(tx, organization_id, shared)
    await repository.insert(tx, new)
    await append_many(tx, keyring, entries)
    return len(new)


async def _keep(tx: Transaction, organization_id: UUID, patterns: Mapping[bytes, Pattern]) -> None:
    """Let what findings share be there. The database is asked each time: a restored one need not have what was there before."""
    if not patterns:
        return
    missing = patterns.keys() - await repository.shared_there(tx, organization_id, patterns)
    await repository.keep_shared(tx, organization_id, {one: patterns[one].said() for one in missing})


def _place(link: PresentLink) -> Place:
    return link.member_id, link.incident_id, link.breach_id


def _rules(matrix_version: str) -> str:
    return f"{RULES}/{matrix_version}"


def _row(organization_id: UUID, place: Place, found: Found, based_on: bytes, now: datetime) -> dict[str, Any]:
    member_id, incident_id, breach_id = place
    return {
        "member_id": member_id,
        "id": uuid7(),
        "organization_id": organization_id,
        "incident_id": incident_id,
        "breach_id": breach_id,
        "time_order": found.kind.time_order,
        "excluded_by_time": found.kind.excluded_by_time,
        "shared_sha256": found.kind.pattern.sha256,
        "own": found.own,
        "rules_version": _rules(found.kind.matrix_version),
        "based_on": based_on,
        "found_at": now,
    }


def _entry(organization_id: UUID, member_id: UUID, link_id: UUID, place: Place, facts: dict[str, str]) -> Entry:
    _, incident_id, breach_id = place
    said = facts | {"incident": written(incident_id), "breach": written(breach_id)}
    ids = {"link": link_id, "incident": incident_id, "breach": breach_id}
    return Entry(organization_id, Act.LINK, canonical.dumps_simple(said), ids, member_id=member_id)


async def present_links(
    tx: Transaction, organization_id: UUID, member_id: UUID, incident_ids: Collection[UUID]
) -> list[LinkView]:
    """The present links of some of a member's incidents, as the member reads them, the focal breach first."""
    return [LinkView.model_validate(shown) for _, shown in await _shown_links(tx, organization_id, member_id, incident_ids)]


async def counsel_links(
    tx: Transaction, organization_id: UUID, member_id: UUID, incident_ids: Collection[UUID]
) -> list[CounselLinkView]:
    """The same as `present_links`, as counsel reads them."""
    return [
        CounselLinkView.model_validate(shown | {"excluded_by_time": link.excluded_by_time, "rules_version": link.rules_version})
        for link, shown in await _shown_links(tx, organization_id, member_id, incident_ids)
    ]


async def _shown_links(
    tx: Transaction, organization_id: UUID, member_id: UUID, incident_ids: Collection[UUID]
) -> list[tuple[Link, dict[str, Any]]]:
    """Links with what is shown of them: the finding, and what the member's other incidents say, as they are now."""
    links = await repository.present_with_breach(tx, organization_id, member_id, list(incident_ids))
    if not links:
        return []
    present = (await repository.incidents_of_members(tx, [member_id])).get(member_id, [])
    history = _history(present, await incidents.own_doing(tx, member_id))
    views = {view.incident_id: view for view in present}
    return [(link, _shown(link, _there(said), breach, views.get(link.incident_id), history)) for link, said, breach in links]


def _there(said: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """A link without its words is told of aloud: a page that left it out would claim that there is none."""
    if said is None:
        raise LookupError("the words that a link names are not kept")
    return said


def _history(views: Iterable[IncidentView], own_doing: Collection[UUID]) -> History:
    """The member's incidents, without what they said was their own doing. Nobody has searched their past."""
    told = (view for view in views if view.incident_id not in own_doing)
    return History(
        tuple(PriorIncident(view.incident_id, view.families, view.occurred, view.received_at) for view in told),
        looked_back_from=None,
    )


async def incidents_of_breach(
    tx: Transaction, organization_id: UUID, breach_id: UUID, after: tuple[UUID, UUID] | None, limit: int
) -> list[tuple[UUID, UUID]]:
    """The next (member id, incident id) linked to a breach, for counsel: also those that speak against the breach."""
    return await repository.incidents_of_breach(tx, organization_id, breach_id, after, limit)


def _shown(
    link: Link, said: Mapping[str, Any], breach: Breach, incident: IncidentView | None, history: History
) -> dict[str, Any]:
    finding, spec = from_json(join(said, link.own, link.incident_id)), spec_of(breach.spec)
    told = prior_facts(incident, BreachView(breach.id, spec), history) if incident else []
    titles = {wave.key: wave.title for wave in spec.waves}
    return {
        "id": link.id,
        "incident_id": link.incident_id,
        "breach_id": link.breach_id,
        "breach_name": breach.spec["name"],
        "time_order": finding.time_order,
        "waves": [_wave(wave, titles.get(wave.wave, wave.wave)) for wave in finding.waves],
        "facts": [FactView.model_validate(fact, from_attributes=True) for fact in with_priors(finding.facts, told)],
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
