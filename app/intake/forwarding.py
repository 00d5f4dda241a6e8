"""The address that a member lets alert mails be forwarded to: made, replaced and given up by the member alone.

It is an enrollment on the organization's `mail` connection, and consent with it (decision 0041). Nobody can guess it, and
nobody else is shown it: whoever knows it could send in the name of anybody, as to every mailbox.
"""

import base64
import re
import secrets
from datetime import timedelta
from uuid import UUID

from app.access.roles import Principal
from app.connections import repository as connections
from app.connections.models import Connection
from app.connections.settings import open_settings
from app.intake.confirmations import confirmations_of
from app.intake.schemas import Forwarding, ForwardingAddress
from app.kit import clock
from app.kit.context import Context
from app.kit.database import Transaction
from app.kit.errors import Problem, not_found
from app.kit.pagination import Page, decode_id_cursor, encode_cursor
from app.ledger.service import Act, append
from app.members import repository as members
from app.members.enrolling import enroll_as, reference_of
from app.members.models import Enrollment, Member
from app.members.service import OWN_ANSWER, REVIEWED, consents_to, record_consent
from connectors.registry import registry

MAIL = "mail"
"""The connector whose connection reads every mail (decision 0037)."""

LETTERS = 26
"""Of 32 each: 130 bits, more than anybody can try."""

MOST_A_DAY = 10
NOT_SET_UP = "Your organization has not set up e-mail here yet. Ask it to."
_OURS = re.compile(rf"m-[a-z2-7]{{{LETTERS}}}@[^@\s]+")


def new_address(domain: str) -> str:
    """An address that nobody has had before, and nobody can guess."""
    label = base64.b32encode(secrets.token_bytes(20)).decode().lower()[:LETTERS]
    return f"m-{label}@{domain}"


async def mail_connection(tx: Transaction, context: Context, organization_id: UUID) -> tuple[Connection, str] | None:
    """The organization's open mail connection, and the domain of the addresses on it; None where mails are not taken."""
    row = await connections.open_one(tx, organization_id, MAIL)
    if row is None or MAIL not in registry():
        return None
    try:
        settings = await open_settings(tx, context.keyring, row, registry()[MAIL])
    except Problem:
        return None
    return row, str(getattr(settings, "domain", ""))


async def address_of(tx: Transaction, context: Context, caller: Principal) -> ForwardingAddress:
    """The calling member's address, and what mailboxes have asked of it in the last days."""
    member, place = await _member(tx, caller), await mail_connection(tx, context, caller.organization_id)
    held = await _present(tx, context, member, place[0].id) if place is not None else None
    if place is None or held is None:
        return ForwardingAddress(set_up=place is not None, address=None, made_at=None, agreed=False, confirmations=[])
    row, address = held
    agreed = await consents_to(tx, member.id, place[0].id, clock.now()) is True
    asked = await confirmations_of(tx, context, caller, place[0], row.reference_index) if agreed else []
    return ForwardingAddress(set_up=True, address=address, made_at=row.created_at, agreed=agreed, confirmations=asked)


async def make(tx: Transaction, context: Context, caller: Principal) -> ForwardingAddress:
    """A new address for the calling member, who agrees by asking for it; the one before it ends. Raises a 409 Problem."""
    member, place = await _member(tx, caller, lock=True), await mail_connection(tx, context, caller.organization_id)
    if place is None:
        raise Problem(409, NOT_SET_UP)
    connection, domain = place
    since = clock.now() - timedelta(days=1)
    ever = await members.enrollments_ever(tx, member.id, connection.id)
    if sum(row.created_at > since for row in ever) >= MOST_A_DAY:
        raise Problem(409, f"You have made {MOST_A_DAY} addresses since yesterday. Go on tomorrow.")
    before = await _end(tx, context, member, connection.id)
    address = new_address(domain)
    row = await enroll_as(tx, context.keyring, member, connection.id, address)
    where = (tx, context.keyring, member, connection.id)
    await record_consent(*where, given=True, source=OWN_ANSWER, scope=REVIEWED, actor=caller.actor)
    await _note(tx, context, caller, member, "replaced" if before else "made", connection.id)
    return ForwardingAddress(set_up=True, address=address, made_at=row.created_at, agreed=True, confirmations=[])


async def give_up(tx: Transaction, context: Context, caller: Principal) -> None:
    """End the calling member's address: what still comes to it is nobody's, sealed. Raises a 404 Problem without one."""
    member, place = await _member(tx, caller, lock=True), await mail_connection(tx, context, caller.organization_id)
    if place is None or not await _end(tx, context, member, place[0].id):
        raise not_found()
    await _note(tx, context, caller, member, "given up", place[0].id)


async def forwarding_page(
    tx: Transaction, context: Context, caller: Principal, cursor: str | None, limit: int
) -> Page[Forwarding]:
    """Who lets mails be forwarded, for an admin: that they do, and nothing of where to."""
    place = await mail_connection(tx, context, caller.organization_id)
    if place is None:
        return Page(items=[])
    rows = await members.enrolled_after(tx, caller.organization_id, place[0].id, decode_id_cursor(cursor), limit + 1)
    items = [Forwarding(member_id=row.member_id, made_at=row.created_at) for row in rows[:limit]]
    return Page(items=items, next=encode_cursor(rows[limit - 1].id.hex) if len(rows) > limit else None)


async def _member(tx: Transaction, caller: Principal, *, lock: bool = False) -> Member:
    member = await members.member(tx, caller.organization_id, caller.member_id or UUID(int=0), lock=lock)
    if member is None or member.wrapped_key is None:
        raise not_found()
    return member


async def _present(tx: Transaction, context: Context, member: Member, connection_id: UUID) -> tuple[Enrollment, str] | None:
    """The member's address that is in use; an address of theirs that an admin imported is none of these."""
    for row in await members.enrollments_of_member(tx, member.id):
        if row.connection_id == connection_id and row.reference_sealed is not None:
            reference = await reference_of(tx, context.keyring, member, row)
            if _OURS.fullmatch(reference):
                return row, reference
    return None


async def _end(tx: Transaction, context: Context, member: Member, connection_id: UUID) -> bool:
    held = await _present(tx, context, member, connection_id)
    if held is not None:
        held[0].ended_at = clock.now()
        await tx.flush()
    return held is not None


async def _note(tx: Transaction, context: Context, caller: Principal, member: Member, change: str, connection_id: UUID) -> None:
    facts = {"change": f"forwarding address {change}"}
    where = (tx, context.keyring, caller.organization_id, Act.ROSTER)
    await append(*where, facts=facts, actor=caller.actor, member_id=member.id, connection=connection_id)
