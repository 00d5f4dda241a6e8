"""Use cases of notices: tell a member of something new, ask for consent, open and close alarms."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.access.repository import account_of_member, accounts_of_members
from app.intake.health import ConnectionHealth, health_of
from app.kit import clock, letters
from app.kit.context import Context
from app.kit.database import Transaction
from app.members.service import consents_to
from app.notices import repository
from app.notices.conditions import Condition, conditions
from app.notices.models import AlarmKind
from app.notices.wording import SAID, WHOLE_SERVICE, Change
from app.watch import logs
from app.watch.workers import Signs

NEWS = "notices.news"
LATE_NEWS = "notices.late_news"
CONSENT = "notices.consent"
ALARM_MAIL = "notices.alarm_mail"
ALARM_HOOK = "notices.alarm_hook"
QUIET = Signs()
"""Nothing is known beside the database."""

Place = tuple[UUID, UUID]
"""An incident: its member and its id."""

NOBODY = UUID(int=0)
"""The recipient of what is not a mail."""

LATE_AFTER = timedelta(days=30)
GATHERED_FOR = timedelta(hours=1)
ASK_AGAIN_AFTER = timedelta(days=7)
OVER_AFTER = timedelta(minutes=10)
"""How long something must not have been so before its alarm closes: what comes and goes is one alarm, not many."""


async def tell_members(tx: Transaction, member_ids: Collection[UUID], only: Mapping[UUID, Collection[UUID]] | None = None) -> int:
    """Post a letter for each incident that its member was not told of; how many incidents that were. `only`: of these members
    just these incidents.

    What came in more than 30 days ago is told of by one letter for all that comes up within the hour: a replay of old
    deliveries tells everybody, and floods nobody.
    """
    now = clock.now()
    some = only or {}
    named = [(one, incident_id) for one in member_ids for incident_id in some.get(one, ())]
    untold = await repository.untold_incidents(tx, [one for one in member_ids if one not in some], named)
    accounts = await accounts_of_members(tx, {(one.organization_id, one.member_id) for one in untold})
    fresh, by = [], dict[Place, UUID | None]()
    for one in untold:
        account_id = accounts.get(one.member_id)
        if account_id is not None and one.first_received_at > now - LATE_AFTER:
            fresh.append((one, account_id))
        else:
            by[one.member_id, one.id] = None if account_id is None else await _late_letter_of(tx, one, account_id)
    posted = await letters.post_all(tx, NEWS, [(one.organization_id, account_id, str(one.id)) for one, account_id in fresh])
    by |= {(one.member_id, one.id): posted[str(one.id)] for one, _ in fresh if str(one.id) in posted}
    taken = await repository.take_notices(tx, [one for one in untold if (one.member_id, one.id) in by], by, now)
    if any(letter_id is not None for place, letter_id in by.items() if place not in taken):
        raise RuntimeError("a letter without its notice")  # both are written in one transaction, or neither is
    return len(taken)


async def _late_letter_of(tx: Transaction, incident: repository.Untold, account_id: UUID) -> UUID:
    if (waiting := await repository.waiting_letter(tx, LATE_NEWS, account_id)) is not None:
        return waiting
    about, ids = str(incident.id), (incident.organization_id, account_id)
    posted = await letters.post(tx, LATE_NEWS, *ids, about, {}, after=GATHERED_FOR)
    if posted is None:
        raise RuntimeError("a letter without its notice")  # both are written in one transaction, or neither is
    return posted


async def ask_for_consent(tx: Transaction, organization_id: UUID, member_id: UUID, connection_id: UUID) -> bool:
    """Ask a member by mail whether what comes over a connection may be kept, once a week at most; whether it was asked."""
    now = clock.now()
    account = await account_of_member(tx, organization_id, member_id)
    if account is None or await consents_to(tx, member_id, connection_id, now) is not None:
        return False
    if not await repository.take_request(tx, organization_id, member_id, connection_id, now, ASK_AGAIN_AFTER):
        return False
    ids = {"member_id": member_id, "connection_id": connection_id}
    about = f"{connection_id} {now:%Y-%m-%dT%H:%M:%S}"
    return await letters.post(tx, CONSENT, organization_id, account.id, about, ids) is not None


async def observed(
    tx: Transaction, organization_id: UUID, signs: Signs = QUIET, seen: list[ConnectionHealth] | None = None
) -> frozenset[Condition]:
    """Everything that stands in the way of an organization now. `seen` is given what was measured on the way."""
    healths = await health_of(tx, organization_id)
    if seen is not None:
        seen += healths
    parked = await repository.parked(tx, organization_id)
    found = conditions(healths, parked=parked, stuck_letters=await letters.stuck(tx, organization_id))
    everywhere = {(None, AlarmKind(word)) for word in signs.everywhere}
    amiss = signs.amiss(organization_id, since=await repository.last_seen(tx, organization_id, AlarmKind.ACCOUNTS))
    odd = {(connection_id, AlarmKind(word)) for connection_id, word in signs.odd.get(organization_id, ())}
    unattested = {(None, AlarmKind(word)) for word in signs.unattested.get(organization_id, ())}
    wrong = {AlarmKind.ACCOUNTS: amiss, AlarmKind.LEDGER: await logs.is_amiss(tx, organization_id)}
    return found | everywhere | odd | unattested | {(None, kind) for kind, so in wrong.items() if so}


async def settle(tx: Transaction, context: Context, organization_id: UUID, found: frozenset[Condition]) -> int:
    """Open, keep and close alarms, and post a letter for each change; how many changed. Two at once change each once."""
    now, changed = clock.now(), 0
    rows = {repository.condition_of(row): row for row, _ in await repository.open_rows(tx, organization_id)}
    for condition in sorted(found - rows.keys(), key=str):
        alarm_id = await repository.open_alarm(tx, organization_id, condition, now)
        if alarm_id is not None:
            await _tell(tx, context, organization_id, alarm_id, Change.OPENED)
            changed += 1
    await repository.seen(tx, {row.id for condition, row in rows.items() if condition in found}, now)
    for condition, row in rows.items():
        if condition not in found and await repository.close_alarm(tx, row.id, now - OVER_AFTER, now):
            await _tell(tx, context, organization_id, row.id, Change.CLOSED)
            changed += 1
    return changed


async def _tell(tx: Transaction, context: Context, organization_id: UUID, alarm_id: UUID, change: Change) -> None:
    about = f"{alarm_id} {change}"
    ids: dict[str, UUID | str] = {"alarm_id": alarm_id, "change": change}
    for account_id in await repository.admins(tx, organization_id):
        await letters.post(tx, ALARM_MAIL, organization_id, account_id, about, ids)
    if context.settings.alarm_webhook_url is not None:
        await letters.post(tx, ALARM_HOOK, organization_id, NOBODY, about, ids)


@dataclass(frozen=True, slots=True)
class OpenAlarm:
    """One alarm that is open, in words for a page. `connection_id` None: the whole service."""

    kind: AlarmKind
    connection_id: UUID | None
    title: str
    what: str
    to_do: str
    opened_at: datetime
    last_seen_at: datetime


async def open_alarms(tx: Transaction, organization_id: UUID) -> list[OpenAlarm]:
    """What stands in the way of an organization, newest first."""
    return [
        OpenAlarm(
            kind=AlarmKind(row.kind),
            connection_id=row.connection_id,
            title=title or WHOLE_SERVICE,
            what=SAID[AlarmKind(row.kind)].what,
            to_do=SAID[AlarmKind(row.kind)].to_do,
            opened_at=row.opened_at,
            last_seen_at=row.last_seen_at,
        )
        for row, title in await repository.open_rows(tx, organization_id)
    ]
