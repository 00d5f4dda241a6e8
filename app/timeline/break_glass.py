"""Break-glass: in an emergency one person asks, another approves, and the first sees one member's timeline for one hour.

The member is told by mail, and every look stands on their page of visits. Nobody approves their own request; a request that
nobody approved within a day is over. Source: security.md F9.
"""

from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from app.access import repository as access
from app.access.mailing import BREAK_GLASS_LETTER, post_notice
from app.access.roles import Principal, Role
from app.incidents import repository as incidents
from app.kit import clock
from app.kit.context import Context
from app.kit.database import Transaction
from app.kit.errors import Problem, not_found
from app.kit.ids import uuid7
from app.kit.keyring import Keyring
from app.kit.pagination import Page
from app.ledger.service import Act, Sight, append
from app.members import repository as members
from app.members.keys import open_json, open_key, open_profile, seal_json
from app.members.service import find_member
from app.timeline import repository
from app.timeline.models import BreakGlass
from app.timeline.schemas import BreakGlassView, TimelineEntry
from app.timeline.service import before, shown_page

WAITS_FOR = timedelta(days=1)
OPEN_FOR = timedelta(hours=1)
LISTED_FOR = timedelta(days=30)


class State(StrEnum):
    """Where a request stands."""

    WAITING = "waiting"
    OPEN = "open"
    OVER = "over"


def state_of(row: BreakGlass) -> State:
    """Where a request stands now."""
    now = clock.now()
    if row.ended_at is not None:
        return State.OVER
    if row.approved_at is None:
        return State.WAITING if now - row.asked_at < WAITS_FOR else State.OVER
    return State.OPEN if now - row.approved_at < OPEN_FOR else State.OVER


async def ask(tx: Transaction, keyring: Keyring, caller: Principal, external_id: str, reason: str) -> BreakGlass:
    """Ask to see the timeline of the member with this number of the organization. Raises a 404 Problem."""
    member = await find_member(tx, keyring, caller.organization_id, external_id)
    if member is None or member.wrapped_key is None:
        raise not_found()
    request_id, key = uuid7(), await open_key(tx, keyring, member)
    row = BreakGlass(
        id=request_id,
        organization_id=caller.organization_id,
        member_id=member.id,
        reason_sealed=seal_json(key, reason, *_reason_at(request_id)),
        asked_by=caller.account_id,
        asked_at=clock.now(),
    )
    tx.add(row)
    await tx.flush()
    await _note(tx, keyring, caller, row, "asked")
    return row


async def approve(tx: Transaction, keyring: Keyring, caller: Principal, request_id: UUID) -> BreakGlass:
    """Let whoever asked see the timeline for an hour from now; the member is told. Raises a 404 or 409 Problem."""
    row = await _found(tx, caller, request_id)
    if row.asked_by == caller.account_id:
        raise Problem(409, "Somebody else must approve what you asked for.")
    if state_of(row) is not State.WAITING or not await repository.approve(tx, row.id, caller.account_id, clock.now()):
        raise Problem(409, "This was approved already, or it is over. Ask for a new one if it is needed.")
    await tx.refresh(row)
    await _note(tx, keyring, caller, row, "approved")
    account = await access.account_of_member(tx, caller.organization_id, row.member_id)
    if account is not None:
        await post_notice(tx, BREAK_GLASS_LETTER, caller.organization_id, account.id, Role.MEMBER, str(row.id))
    return row


async def end(tx: Transaction, keyring: Keyring, caller: Principal, request_id: UUID) -> None:
    """End a request before its time: whoever asked, or anybody who may approve. Raises a 404 Problem."""
    row = await _found(tx, caller, request_id)
    if await repository.end(tx, row.id, clock.now()):
        await _note(tx, keyring, caller, row, "ended")


async def listed(tx: Transaction, keyring: Keyring, caller: Principal) -> list[BreakGlassView]:
    """The requests of the last 30 days: one's own, or for whoever approves, everybody's. Each says whose timeline, and why."""
    own = caller.account_id if caller.role is Role.CASEWORKER else None
    rows = await repository.requests_since(tx, caller.organization_id, clock.now() - LISTED_FOR, own)
    return [await view(tx, keyring, caller, row) for row in rows]


async def timeline_page(
    tx: Transaction, context: Context, caller: Principal, request_id: UUID, cursor: str | None, limit: int
) -> Page[TimelineEntry]:
    """One page of the member's incidents, for whoever asked and only while the hour lasts. Raises a 403 or 404 Problem."""
    row = await _found(tx, caller, request_id)
    if row.asked_by != caller.account_id:
        raise not_found()
    if state_of(row) is not State.OPEN:
        raise Problem(403, "This is not open: somebody else must approve it first, and then it lasts an hour.")
    rows = await incidents.timeline(tx, caller.organization_id, row.member_id, before(cursor), limit + 1)
    return await shown_page(tx, context, caller, row.member_id, rows, limit)


async def view(tx: Transaction, keyring: Keyring, caller: Principal, row: BreakGlass) -> BreakGlassView:
    """A request as people who handle it see it. Of an erased member neither number nor reason can be read any more."""
    member = await members.member(tx, caller.organization_id, row.member_id)
    number, reason = None, ""
    if member is not None and member.wrapped_key is not None and member.sealed is not None:
        number = (await open_profile(tx, keyring, member)).external_id
        reason = open_json(await open_key(tx, keyring, member), row.reason_sealed, *_reason_at(row.id))
        facts = {"what": Sight.ROSTER}
        where, whose = caller.organization_id, row.member_id
        await append(tx, keyring, where, Act.VIEW, facts=facts, actor=caller.actor, member_id=whose, request=row.id)
    return BreakGlassView(
        id=row.id,
        external_id=number,
        reason=reason,
        state=state_of(row),
        asked_by=row.asked_by,
        asked_at=row.asked_at,
        approved_by=row.approved_by,
        until=row.approved_at + OPEN_FOR if row.approved_at else None,
    )


async def _found(tx: Transaction, caller: Principal, request_id: UUID) -> BreakGlass:
    """The request, if it is the caller's to handle. Raises a 404 Problem."""
    row = await repository.request_of(tx, caller.organization_id, request_id)
    if row is None or (caller.role is Role.CASEWORKER and row.asked_by != caller.account_id):
        raise not_found()
    return row


async def _note(tx: Transaction, keyring: Keyring, caller: Principal, row: BreakGlass, change: str) -> None:
    facts = {"change": f"break-glass {change}"}
    where, whose = caller.organization_id, row.member_id
    await append(tx, keyring, where, Act.ROLE, facts=facts, actor=caller.actor, member_id=whose, request=row.id)


def _reason_at(request_id: UUID) -> tuple[object, ...]:
    return ("break_glass", "reason_sealed", request_id)
