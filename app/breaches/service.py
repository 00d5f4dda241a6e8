"""Use cases of breaches: load a catalogue, record what names a member, keep exposures right, open matters."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

import rfc8785

from app.access.repository import account_of, live_grant
from app.access.roles import Principal, Role
from app.access.service import MATTER_LETTER, hold_domain
from app.breaches import repository
from app.breaches.catalogue import BreachSpec, load_breaches, spec_of
from app.breaches.exposure import (
    EmploymentInterval,
    Exposure,
    ExposureBasis,
    ExposureStatus,
    OwnEvidence,
    derive_exposures,
)
from app.breaches.models import Breach, ExposureRow, Matter, MatterCounsel, MemberEvidence
from app.breaches.schemas import BreachSummary, CatalogueReport, MatterView
from app.breaches.sources import Mark
from app.kit import clock, letters
from app.kit.database import Transaction
from app.kit.errors import Problem, not_found
from app.kit.ids import uuid7
from app.kit.keyring import Keyring, Lane
from app.kit.outbox import publish
from app.ledger.service import SYSTEM, Act, Actor, append
from app.members import repository as members
from connectors.vocabulary import DataElement

EXPOSURE_CHANGED = "breaches.exposure_changed"
"""Topic: what is known to have been exposed of the member `member_id` is not what it was."""

_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class StoredBreach:
    """One breach of an organization: its id, its whole description, and whether the organization claims over it."""

    breach_id: UUID
    spec: BreachSpec
    focal: bool


async def load_catalogue(
    tx: Transaction, keyring: Keyring, organization_id: UUID, name: str, actor: Actor = SYSTEM
) -> CatalogueReport:
    """Write the breaches shipped under `name` ("oakland"), the first one focal, and recompute every member's exposures.

    Nothing is sent to the defendant's mail domains from then on. Loading the same again changes nothing. Raises
    FileNotFoundError for an unknown name, a 409 Problem when evidence names a wave that the new description has not.
    """
    report = CatalogueReport()
    for place, spec in enumerate(load_breaches(name)):
        change = await write_breach(tx, keyring, organization_id, spec, focal=place == 0, actor=actor)
        setattr(report, change, getattr(report, change) + 1)
        for mail in spec.defendant_email_domains:
            await hold_domain(tx, organization_id, mail.domain, "The defendant of a breach reads mail here.")
    everybody = await members.member_ids(tx, organization_id)
    changed = await recompute(tx, organization_id, everybody)
    report.members_changed = len(changed)
    await tell(tx, organization_id, everybody if report.added or report.updated else changed)
    return report


async def write_breach(
    tx: Transaction, keyring: Keyring, organization_id: UUID, spec: BreachSpec, *, focal: bool, actor: Actor = SYSTEM
) -> str:
    """Make a stored breach what `spec` says: "added", "updated" or "unchanged". No exposure is recomputed here.

    Raises a 409 Problem when evidence names a wave that `spec` has not.
    """
    data = spec.model_dump(mode="json", by_alias=True)
    row = await repository.breach_by_key(tx, organization_id, spec.key)
    if row is not None and (row.spec, row.focal) == (data, focal):
        return "unchanged"
    now, change = clock.now(), "added" if row is None else "updated"
    if row is None:
        row = Breach(id=uuid7(), organization_id=organization_id, key=spec.key, created_at=now)
        tx.add(row)
    elif await repository.waves_in_evidence(tx, organization_id, row.id) - {wave.key for wave in spec.waves}:
        raise Problem(409, "Somebody's record names a part of this breach that the new description leaves out. Keep that part.")
    row.spec, row.focal, row.updated_at = data, focal, now
    await tx.flush()
    facts = {"change": change, "key": spec.key, "focal": focal, "sha256": hashlib.sha256(rfc8785.dumps(data)).hexdigest()}
    await append(tx, keyring, organization_id, Act.BREACH, facts=facts, actor=actor, breach=row.id)
    return change


async def breaches_of(tx: Transaction, organization_id: UUID) -> list[StoredBreach]:
    """Every breach of an organization, the focal ones first."""
    rows = await repository.breaches(tx, organization_id)
    return [StoredBreach(row.id, spec_of(row.spec), row.focal) for row in rows]


async def breach_summary(tx: Transaction, organization_id: UUID) -> list[BreachSummary]:
    """Every breach with how many members it exposed, by status. For the operator; these counts are not for release."""
    counts = await repository.exposed_members(tx, organization_id)
    return [
        BreachSummary(
            id=stored.breach_id,
            key=stored.spec.key,
            name=stored.spec.name,
            focal=stored.focal,
            waves=len(stored.spec.waves),
            members={status.value: counts.get((stored.breach_id, status.value), 0) for status in ExposureStatus},
        )
        for stored in await breaches_of(tx, organization_id)
    ]


async def record_evidence(
    tx: Transaction,
    keyring: Keyring,
    organization_id: UUID,
    member_id: UUID,
    breach_key: str,
    wave: str,
    basis: ExposureBasis,
    elements: Iterable[DataElement] | None = None,
    actor: Actor = SYSTEM,
) -> UUID:
    """Write down that a member's own record was seen, a letter came, or a listing names them; the row's id.

    `elements` None: it names no elements. The same thing twice is one row. Raises a 404 Problem for an unknown member,
    breach or wave, ValueError for a basis that is not about one member.
    """
    named = None if elements is None else frozenset(elements)
    OwnEvidence(basis, wave, named, "")
    breach = await repository.breach_by_key(tx, organization_id, breach_key)
    known = breach is not None and wave in {w.key for w in spec_of(breach.spec).waves}
    member = next(iter(await repository.lock_members(tx, organization_id, [member_id])), None)
    if breach is None or not known or member is None or member.erased_at is not None:
        raise not_found()
    listed = None if named is None else sorted(element.value for element in named)
    for old in await repository.evidence(tx, organization_id, [member_id]):
        if (old.breach_id, old.wave, old.basis, old.elements) == (breach.id, wave, basis.value, listed):
            return old.id
    evidence_id = await write_evidence(tx, keyring, organization_id, member_id, breach.id, wave, basis, listed, actor)
    await recompute(tx, organization_id, [member_id])
    await tell(tx, organization_id, [member_id])
    return evidence_id


async def write_evidence(
    tx: Transaction,
    keyring: Keyring,
    organization_id: UUID,
    member_id: UUID,
    breach_id: UUID,
    wave: str,
    basis: ExposureBasis,
    elements: Sequence[str] | None,
    actor: Actor = SYSTEM,
) -> UUID:
    """One row of evidence with its ledger entry, for a caller who holds the member, knows that it is new, and recomputes."""
    row = MemberEvidence(
        member_id=member_id,
        id=uuid7(),
        breach_id=breach_id,
        wave=wave,
        basis=basis.value,
        elements=None if elements is None else list(elements),
        recorded_at=clock.now(),
    )
    tx.add(row)
    await tx.flush()
    facts = {"change": "evidence", "evidence": str(row.id), "basis": basis.value, "wave": wave, "elements": row.elements}
    await append(tx, keyring, organization_id, Act.BREACH, facts=facts, actor=actor, member_id=member_id, breach=breach_id)
    return row.id


async def recompute(tx: Transaction, organization_id: UUID, member_ids: Iterable[UUID]) -> list[UUID]:
    """Make these members' exposure rows what they must be now, touching only those that differ; whose did.

    Of an erased member evidence and exposures are deleted. Safe to repeat.
    """
    breaches = await breaches_of(tx, organization_id)
    wanted = sorted(set(member_ids))
    changed: list[UUID] = []
    for start in range(0, len(wanted), _AT_ONCE):
        rows = await repository.lock_members(tx, organization_id, wanted[start : start + _AT_ONCE])
        present = [row.id for row in rows if row.erased_at is None]
        await repository.forget(tx, organization_id, [row.id for row in rows if row.erased_at is not None])
        changed += await _recompute(tx, organization_id, present, breaches)
    return changed


async def recompute_and_tell(tx: Transaction, organization_id: UUID, member_ids: Iterable[UUID]) -> None:
    """`recompute`, and publish EXPOSURE_CHANGED for whoever it changed."""
    await tell(tx, organization_id, await recompute(tx, organization_id, member_ids))


async def tell(tx: Transaction, organization_id: UUID, member_ids: Iterable[UUID]) -> None:
    """Publish EXPOSURE_CHANGED for these members."""
    for member_id in member_ids:
        await publish(tx, EXPOSURE_CHANGED, organization_id, member_id=member_id)


async def _recompute(
    tx: Transaction, organization_id: UUID, member_ids: Sequence[UUID], breaches: Sequence[StoredBreach]
) -> list[UUID]:
    jobs: defaultdict[UUID, list[EmploymentInterval]] = defaultdict(list)
    for job in await repository.employment(tx, organization_id, member_ids):
        jobs[job.member_id].append(EmploymentInterval(job.started_on, job.ended_on))
    evidence: defaultdict[tuple[UUID, UUID], list[OwnEvidence]] = defaultdict(list)
    for item in await repository.evidence(tx, organization_id, member_ids):
        evidence[item.member_id, item.breach_id].append(_own_evidence(item))
    stored: defaultdict[UUID, dict[tuple[UUID, str, str], ExposureRow]] = defaultdict(dict)
    for row in await repository.exposures(tx, organization_id, member_ids):
        stored[row.member_id][row.breach_id, row.wave, row.element] = row
    changed = []
    for member_id in member_ids:
        wanted = {
            (breach.breach_id, found.wave, found.element.value): found
            for breach in breaches
            for found in derive_exposures(jobs[member_id], breach.spec, evidence[member_id, breach.breach_id])
        }
        if await _make_so(tx, member_id, stored[member_id], wanted):
            changed.append(member_id)
    await tx.flush()
    return changed


def _own_evidence(row: MemberEvidence) -> OwnEvidence:
    elements = None if row.elements is None else frozenset(DataElement(element) for element in row.elements)
    return OwnEvidence(ExposureBasis(row.basis), row.wave, elements, f"evidence:{row.id}")


async def _make_so(
    tx: Transaction,
    member_id: UUID,
    stored: Mapping[tuple[UUID, str, str], ExposureRow],
    wanted: Mapping[tuple[UUID, str, str], Exposure],
) -> bool:
    changed = False
    for place, row in stored.items():
        if place not in wanted:
            await tx.delete(row)
            changed = True
    for (breach_id, wave, element), found in wanted.items():
        old = stored.get((breach_id, wave, element))
        said = (found.basis.value, found.status.value, found.mark.value, found.reference)
        if old is not None and (old.basis, old.status, old.mark, old.reference) == said:
            continue
        row = old or ExposureRow(member_id=member_id, breach_id=breach_id, wave=wave, element=element)
        row.basis, row.status, row.mark, row.reference = said
        tx.add(row)
        changed = True
    return changed


async def exposures_of(tx: Transaction, organization_id: UUID, member_id: UUID) -> dict[UUID, tuple[Exposure, ...]]:
    """What each breach exposed of one member, by breach id; breaches with nothing known are left out.

    Empty where something names this member and nothing says what data it was.
    """
    keys = {row.id: row.key for row in await repository.breaches(tx, organization_id)}
    return (await all_exposures_of(tx, organization_id, [member_id], keys))[member_id]


async def all_exposures_of(
    tx: Transaction, organization_id: UUID, member_ids: Sequence[UUID], keys: Mapping[UUID, str]
) -> dict[UUID, dict[UUID, tuple[Exposure, ...]]]:
    """`exposures_of` for many members, by member. `keys`: the breaches' own names, by id."""
    found: dict[UUID, dict[UUID, tuple[Exposure, ...]]] = {member_id: {} for member_id in member_ids}
    for member_id, breach_id in await repository.named_in(tx, organization_id, member_ids):
        found[member_id][breach_id] = ()
    for member_id, breach_id, said in await repository.exposures_told(tx, organization_id, member_ids):
        found[member_id][breach_id] = _exposures(keys[breach_id], said)
    return found


@lru_cache(maxsize=4096)
def _exposures(breach: str, said: str) -> tuple[Exposure, ...]:
    """Exposures as they are stored, by wave and element."""
    return tuple(
        Exposure(breach, wave, DataElement(element), ExposureBasis(basis), ExposureStatus(status), Mark(mark), reference)
        for wave, element, basis, status, mark, reference in sorted(json.loads(said), key=lambda row: row[:2])
    )


async def open_matter(
    tx: Transaction,
    keyring: Keyring,
    organization_id: UUID,
    breach_key: str,
    title: str,
    counsel_account_id: UUID,
    actor: Actor = SYSTEM,
) -> Matter:
    """Open a case over a breach and assign its first counsel; the title is sealed in counsel's lane.

    Raises a 404 Problem for an unknown breach, or an account that is not counsel here.
    """
    breach = await repository.breach_by_key(tx, organization_id, breach_key)
    if breach is None:
        raise not_found()
    matter_id = uuid7()
    sealed = await keyring.seal(tx, organization_id, Lane.COUNSEL, title, "matter", "title_sealed", matter_id)
    matter = Matter(
        id=matter_id, organization_id=organization_id, breach_id=breach.id, title_sealed=sealed, opened_at=clock.now()
    )
    tx.add(matter)
    await tx.flush()
    await assign_counsel(tx, keyring, organization_id, matter_id, counsel_account_id, actor)
    return matter


async def assign_counsel(
    tx: Transaction, keyring: Keyring, organization_id: UUID, matter_id: UUID, account_id: UUID, actor: Actor = SYSTEM
) -> None:
    """Let one counsel work on a matter; nothing happens when they do already.

    Raises a 404 Problem for an unknown matter, or an account that is not counsel here.
    """
    matter = await repository.matter(tx, organization_id, matter_id)
    account = await account_of(tx, organization_id, account_id)
    if matter is None or account is None or await live_grant(tx, account.id, Role.COUNSEL) is None:
        raise not_found()
    if await tx.get(MatterCounsel, (matter_id, account_id)) is not None:
        return
    tx.add(MatterCounsel(matter_id=matter_id, account_id=account_id, assigned_at=clock.now()))
    facts = {"change": "assigned to a matter", "breach": str(matter.breach_id)}
    await append(tx, keyring, organization_id, Act.ROLE, facts=facts, actor=actor, account=account_id, matter=matter_id)


async def tell_counsel(tx: Transaction, organization_id: UUID, matter_id: UUID, account_id: UUID) -> None:
    """Write to all counsel of a matter, the one who was just assigned too; once for each assignment."""
    for one in await repository.counsel_of(tx, matter_id):
        await letters.post(tx, MATTER_LETTER, organization_id, one, f"{matter_id} {account_id}", {"role": Role.COUNSEL})


async def matters_of(tx: Transaction, keyring: Keyring, principal: Principal) -> list[MatterView]:
    """The matters that this counsel is assigned to, oldest first; none for any other role."""
    views = []
    for matter, breach in await _assigned(tx, principal):
        place = ("matter", "title_sealed", matter.id)
        title = await keyring.unseal(tx, principal.organization_id, Lane.COUNSEL, matter.title_sealed, *place)
        views.append(
            MatterView(
                id=matter.id,
                title=title,
                breach_id=breach.id,
                breach_key=breach.key,
                breach_name=breach.spec["name"],
                opened_at=matter.opened_at,
            )
        )
    return views


async def _assigned(tx: Transaction, principal: Principal) -> Sequence[tuple[Matter, Breach]]:
    if principal.role is not Role.COUNSEL:
        return ()
    return await repository.matters_of(tx, principal.organization_id, principal.account_id)


async def require_matter(tx: Transaction, principal: Principal, matter_id: UUID) -> Matter:
    """One matter that this counsel is assigned to. Raises a 404 Problem for every other."""
    for matter, _ in await _assigned(tx, principal):
        if matter.id == matter_id:
            return matter
    raise not_found()


async def counsel_may_see(tx: Transaction, principal: Principal, member_id: UUID) -> bool:
    """Whether a matter of this counsel is over a breach that has an exposure of this member."""
    if principal.role is not Role.COUNSEL:
        return False
    return await repository.in_a_matter(tx, principal.organization_id, principal.account_id, member_id)
