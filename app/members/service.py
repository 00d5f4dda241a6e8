"""Use cases of members: organizations, roster and enrollment imports, consent, holds, erasure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from app.access import service as access
from app.access.repository import account_of_member
from app.access.roles import Principal, Role
from app.kit import clock
from app.kit.database import Transaction
from app.kit.errors import FieldError, Problem, not_found
from app.kit.ids import uuid7
from app.kit.keyring import Keyring, Lane
from app.kit.outbox import publish
from app.kit.scoped import scoped_index
from app.ledger.deletions import Gone, note_deletion
from app.ledger.service import SYSTEM, Act, Actor, append
from app.members import repository
from app.members.keys import Profile, open_json, open_key, open_profile, seal_json, seal_profile
from app.members.models import Consent, Enrollment, LegalHold, Member, Organization
from app.members.roster import EnrollmentEntry, RosterEntry, RowProblem
from app.members.schemas import ImportReport

ENROLLMENT_CHANGED = "members.enrollment_changed"
EMPLOYMENT_CHANGED = "members.employment_changed"
MEMBER_ERASED = "members.erased"
CONSENT_MISSING = "members.consent_missing"
"""Topic: something that came over `connection_id` waits until the member `member_id` says whether it may be kept."""
REFERENCE_FORGOTTEN = "members.reference_forgotten"
"""Topic: nobody is behind `reference_index` (hex) of `connection_id` any more: what was kept under it goes."""
EXTERNAL = "member.external_id"
"""The field of the index of the organization's own numbers."""

REFERENCE = "enrollment.reference"
"""The field of the index of providers' own ids for people, within one connection."""

SCOPE = "alerts"
REVIEWED = "alerts, and masked to a caseworker"
"""What a member agrees to who lets mails be forwarded: decision 0041."""

OWN_ANSWER = "member"
"""The source of a consent that the member gave in person: no file speaks over it."""


async def create_organization(tx: Transaction, keyring: Keyring, name: str, organization_id: UUID | None = None) -> Organization:
    """A new tenant with keys of its own. `organization_id`: for the one whose id is known beforehand, the canary's."""
    row = Organization(id=organization_id or uuid7(), name=name, created_at=clock.now())
    tx.add(row)
    await tx.flush()
    await keyring.create_organization(tx, row.id)
    await append(tx, keyring, row.id, Act.KEY, facts={"change": "organization keys created"})
    return row


async def reference_index(tx: Transaction, keyring: Keyring, organization_id: UUID, connection_id: UUID, reference: str) -> bytes:
    """The blind index of a provider's own id for a person, on one connection."""
    return await scoped_index(tx, keyring, organization_id, connection_id, REFERENCE, connection_id.bytes + reference.encode())


async def import_roster(
    tx: Transaction,
    keyring: Keyring,
    organization_id: UUID,
    entries: Sequence[RosterEntry],
    problems: Sequence[RowProblem],
    *,
    actor: Actor = SYSTEM,
    dry_run: bool = False,
) -> ImportReport:
    """Add and update people by external id; who is not in the file stays. A dry run, or any problem, changes nothing."""
    report = ImportReport(dry_run=dry_run, problems=[p.__dict__ for p in problems])
    # Held, so that there is no newer version of the index before this has ended: somebody could be added twice.
    keys = await keyring.for_writing(tx, organization_id)
    for entry in entries if not problems else ():
        indexes = keys.indexes(EXTERNAL, entry.external_id.encode())
        member = await repository.by_external(tx, organization_id, indexes)
        change = "added" if member is None else await _difference(tx, keyring, member, entry)
        setattr(report, change, getattr(report, change) + 1)
        if not dry_run and change != "unchanged":
            await _write_entry(tx, keyring, organization_id, member, indexes[-1], entry)
    if not dry_run and (report.added or report.updated):
        facts = {"added": report.added, "updated": report.updated}
        await append(tx, keyring, organization_id, Act.ROSTER, facts=facts, actor=actor)
    return report


def _jobs(entry: RosterEntry) -> list[tuple[object, object]]:
    return sorted(((job.started_on, job.ended_on) for job in entry.jobs), key=str)


async def _difference(tx: Transaction, keyring: Keyring, member: Member, entry: RosterEntry) -> str:
    profile = await open_profile(tx, keyring, member)
    jobs = sorted(((j.started_on, j.ended_on) for j in await repository.employment(tx, member.id)), key=str)
    same = (profile.name, profile.email) == (entry.name, entry.email) and jobs == _jobs(entry)
    return "unchanged" if same else "updated"


async def _write_entry(
    tx: Transaction, keyring: Keyring, organization_id: UUID, member: Member | None, index: bytes, entry: RosterEntry
) -> None:
    now = clock.now()
    profile = Profile(external_id=entry.external_id, name=entry.name, email=entry.email)
    if member is None:
        member = Member(id=uuid7(), organization_id=organization_id, external_index=index, created_at=now, updated_at=now)
        key, member.wrapped_key = await keyring.wrap_new(tx, organization_id, "member", member.id)
        member.sealed = seal_profile(key, member.id, profile)
        tx.add(member)
        await tx.flush()
        account = await access.create_account(tx, keyring, organization_id, entry.email, member.id)
        await access.grant_role(tx, keyring, account, Role.MEMBER)
    else:
        key = await keyring.unwrap(tx, organization_id, member.wrapped_key or b"", "member", member.id)
        member.sealed, member.updated_at = seal_profile(key, member.id, profile), now
        found = await account_of_member(tx, organization_id, member.id)
        if found is not None:
            await access.set_email(tx, keyring, found, entry.email)
    await repository.replace_employment(tx, member.id, [(j.started_on, j.ended_on) for j in entry.jobs])
    await publish(tx, EMPLOYMENT_CHANGED, organization_id, member_id=member.id)


async def import_enrollments(
    tx: Transaction,
    keyring: Keyring,
    organization_id: UUID,
    connection_id: UUID,
    entries: Sequence[EnrollmentEntry],
    problems: Sequence[RowProblem],
    *,
    actor: Actor = SYSTEM,
    dry_run: bool = False,
) -> ImportReport:
    """Tie members to a provider's own ids on one connection, with their consent. Any problem changes nothing."""
    report = ImportReport(dry_run=dry_run, problems=[p.__dict__ for p in problems])
    found: list[tuple[EnrollmentEntry, Member]] = []
    for entry in entries if not problems else ():
        member = await find_member(tx, keyring, organization_id, entry.external_id)
        if member is None:
            message = "is not on the roster: import the roster first, or correct it"
            report.problems.append(RowProblem(entry.line, "external_id", message).__dict__)
        else:
            found.append((entry, member))
    for entry, member in found if not report.problems else ():
        change = await _enroll(tx, keyring, member, connection_id, entry, actor, dry_run=dry_run)
        setattr(report, change, getattr(report, change) + 1)
    return report


async def _enroll(
    tx: Transaction,
    keyring: Keyring,
    member: Member,
    connection_id: UUID,
    entry: EnrollmentEntry,
    actor: Actor,
    *,
    dry_run: bool,
) -> str:
    index = await reference_index(tx, keyring, member.organization_id, connection_id, entry.reference)
    known = await repository.enrollments_of_member(tx, member.id)
    same = [row for row in known if (row.connection_id, row.reference_index) == (connection_id, index)]
    enrolled = any(row.reference_sealed is not None for row in same)
    last = await repository.last_consent(tx, member.id, connection_id)
    start, end = _moment(entry.consent_from), _moment(entry.consent_until, end=True)
    answered = (last is None and not entry.consent) or (
        last is not None and (last.source == OWN_ANSWER or (last.given, last.expires_at) == (entry.consent, end))
    )
    if enrolled and answered:
        return "unchanged"
    if not dry_run:
        if not enrolled:
            row = same[0] if same else new_enrollment(member, connection_id, index)
            key = await open_key(tx, keyring, member)
            row.reference_sealed = seal_json(key, entry.reference, *reference_at(member.id, row.id))
            tx.add(row)
            await publish(tx, ENROLLMENT_CHANGED, member.organization_id, member_id=member.id)
        if not answered:
            await record_consent(
                tx, keyring, member, connection_id, given=entry.consent, source="import", actor=actor, since=start, until=end
            )
    return "updated" if same else "added"


def new_enrollment(member: Member, connection_id: UUID, index: bytes) -> Enrollment:
    """A member tied to a connection under a blind index, as of now; not added yet."""
    return Enrollment(
        member_id=member.id,
        id=uuid7(),
        organization_id=member.organization_id,
        connection_id=connection_id,
        reference_index=index,
        created_at=clock.now(),
    )


async def enroll_by_index(
    tx: Transaction, keyring: Keyring, organization_id: UUID, connection_id: UUID, index: bytes, external_id: str
) -> Member:
    """Tie a reference, of which only the blind index is known, to the member with the organization's own number.

    Consent is not touched: the member is asked, and sees nothing before they agree. So nobody is taken who has answered for
    this connection already: a yes would show them what may be somebody else's, a no would destroy it. Raises a 409 Problem,
    or a 422 Problem for a number that nobody has.
    """
    await repository.lock_organization(tx, organization_id)
    found = await find_member(tx, keyring, organization_id, external_id)
    member = await repository.member(tx, organization_id, found.id, lock=True) if found else None
    if member is None or member.wrapped_key is None:
        message = "Nobody on the roster has this number."
        raise Problem(422, message, errors=[FieldError(field="body.external_id", message=message)])
    if await repository.enrollments_of(tx, organization_id, connection_id, index):
        raise Problem(409, "This number at the service belongs to somebody already. Open the queue again.")
    if await consents_to(tx, member.id, connection_id, clock.now()) is not None:
        raise Problem(409, "This person has already answered for this service. An admin can import their number there.")
    tx.add(new_enrollment(member, connection_id, index))
    await tx.flush()
    await publish(tx, ENROLLMENT_CHANGED, organization_id, member_id=member.id)
    return member


def reference_at(member_id: UUID, enrollment_id: UUID) -> tuple[object, ...]:
    """Where a sealed reference is bound to."""
    return ("enrollment", "reference_sealed", member_id, enrollment_id)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """One person whom a provider may be asked about: enrolled on a connection, and agreed to it for now."""

    member_id: UUID
    reference: str = field(repr=False)
    reference_index: bytes


async def who_agreed(
    tx: Transaction, organization_id: UUID, connection_id: UUID, indexes: Collection[bytes] | None = None
) -> list[tuple[Enrollment, Member]]:
    """Who is enrolled on a connection and agreed to it for now, by age of enrollment; under `indexes` only, when given."""
    rows = await repository.enrolled_on(tx, organization_id, connection_id, indexes)
    answers = await repository.last_consents(tx, connection_id, {member.id for _, member in rows})
    return [(enrollment, member) for enrollment, member in rows if agrees(answers.get(member.id), clock.now())]


async def still_agreed(tx: Transaction, organization_id: UUID, connection_id: UUID, index: bytes) -> bool:
    """Whether somebody behind a reference agrees now. They are held for this transaction: a no or an erasure comes before it,
    and is seen here, or behind it, and finds what was written."""
    for _, member in await repository.enrolled_on(tx, organization_id, connection_id, {index}):
        await repository.member(tx, organization_id, member.id, lock=True)
    return bool(await who_agreed(tx, organization_id, connection_id, {index}))


def agrees(last: Consent | None, now: datetime) -> bool | None:
    """What a last answer says for now; None: never asked, or run out."""
    if last is None or (last.given and last.expires_at is not None and last.expires_at <= now):
        return None
    return last.given


async def enrolled_who_agreed(tx: Transaction, keyring: Keyring, organization_id: UUID, connection_id: UUID) -> list[Enrolled]:
    """Whom a provider may be asked about now, with its own reference for them.

    Left out is whose reference only the blind index is known of: a caseworker named them, or they were enrolled long ago. An
    import completes it.
    """
    found = []
    for enrollment, member in await who_agreed(tx, organization_id, connection_id):
        if enrollment.reference_sealed is not None and member.wrapped_key is not None:
            key = await open_key(tx, keyring, member)
            reference = open_json(key, enrollment.reference_sealed, *reference_at(member.id, enrollment.id))
            found.append(Enrolled(member.id, reference, enrollment.reference_index))
    return found


def _moment(day: date | None, *, end: bool = False) -> datetime | None:
    """A day as a moment, UTC: its beginning, or the beginning of the next day. The calendar's last day, as an end, is none."""
    if day is None or (end and day == date.max):
        return None
    return datetime.combine(day, time.min, UTC) + timedelta(days=1 if end else 0)


async def record_consent(
    tx: Transaction,
    keyring: Keyring,
    member: Member,
    connection_id: UUID,
    *,
    given: bool,
    source: str,
    actor: Actor,
    scope: str = SCOPE,
    since: datetime | None = None,
    until: datetime | None = None,
) -> None:
    """Write a member's answer; what waited for it is looked at again."""
    last = None if given else await repository.last_consent(tx, member.id, connection_id)
    if last is not None and last.given:
        ids = {"member": member.id, "connection": connection_id}
        note_deletion(tx, member.organization_id, Gone.CONSENT, 1, "taken back", ids, actor)
    tx.add(
        Consent(
            member_id=member.id,
            organization_id=member.organization_id,
            connection_id=connection_id,
            given=given,
            scope=scope,
            decided_at=since or clock.now(),
            expires_at=until,
            source=source,
        )
    )
    facts = {"given": given, "scope": scope, "until": until.isoformat() if until else None}
    await append(
        tx,
        keyring,
        member.organization_id,
        Act.CONSENT,
        facts=facts,
        actor=actor,
        member_id=member.id,
        connection=connection_id,
    )
    await publish(tx, ENROLLMENT_CHANGED, member.organization_id, member_id=member.id)


async def consents_to(tx: Transaction, member_id: UUID, connection_id: UUID, now: datetime) -> bool | None:
    """Whether a member agreed, for now, to keeping what comes over a connection; None when never asked or run out."""
    return agrees(await repository.last_consent(tx, member_id, connection_id), now)


async def all_consents_to(
    tx: Transaction, wanted: Collection[tuple[UUID, UUID]], now: datetime
) -> dict[tuple[UUID, UUID], bool | None]:
    """`consents_to` for many at once, by `(member, connection)`."""
    last = await repository.last_consents_of(tx, wanted)
    return {one: agrees(last.get(one), now) for one in wanted}


async def place_hold(tx: Transaction, keyring: Keyring, caller: Principal, member_id: UUID | None, reason: str) -> LegalHold:
    """Counsel's order to keep everything of one member, or of all. Raises a 404 Problem."""
    if member_id is not None and await repository.member(tx, caller.organization_id, member_id) is None:
        raise not_found()
    hold_id = uuid7()
    sealed = await keyring.seal(tx, caller.organization_id, Lane.COUNSEL, reason, "legal_hold", hold_id)
    hold = LegalHold(
        id=hold_id,
        organization_id=caller.organization_id,
        member_id=member_id,
        reason_sealed=sealed,
        placed_by=caller.account_id,
        placed_at=clock.now(),
    )
    tx.add(hold)
    await append(
        tx, keyring, caller.organization_id, Act.HOLD, facts={"change": "placed"}, actor=caller.actor, member_id=member_id
    )
    return hold


async def release_hold(tx: Transaction, keyring: Keyring, caller: Principal, hold_id: UUID) -> None:
    """End a hold. Raises a 404 Problem."""
    hold = next((h for h in await repository.holds(tx, caller.organization_id) if h.id == hold_id), None)
    if hold is None:
        raise not_found()
    hold.released_at = clock.now()
    await append(
        tx,
        keyring,
        caller.organization_id,
        Act.HOLD,
        facts={"change": "released"},
        actor=caller.actor,
        member_id=hold.member_id,
    )


async def find_member(tx: Transaction, keyring: Keyring, organization_id: UUID, external_id: str) -> Member | None:
    """The member behind the organization's own number."""
    keys, before = await keyring.opened(tx, organization_id), None
    while keys is not before:
        found = await repository.by_external(tx, organization_id, keys.indexes(EXTERNAL, external_id.encode()))
        if found is not None:
            return found
        # Perhaps under a version that this process has not heard of: versions are there before anything is under them.
        before, keys = keys, await keyring.refreshed(tx, organization_id)
    return None
