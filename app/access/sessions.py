"""Sessions: opened by whoever shows who they are, how far each lets in, made anew when more is shown, ended everywhere."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.access import credentials, provider_rows, repository
from app.access.models import Account, Session
from app.access.roles import PASSKEYS_NEEDED, Principal, Role, Standing
from app.kit import clock
from app.kit.context import Context
from app.kit.crypto import token_hash
from app.kit.database import Transaction
from app.kit.ids import uuid7
from app.kit.keyring import Keyring
from app.ledger.service import Act, Actor, append

FRESH_FOR = timedelta(minutes=5)
"""How long somebody who showed who they are may do what asks for it. Source: security.md E11."""


@dataclass(frozen=True)
class Opened:
    """A session just opened: the cookie's value, which is stored nowhere, and what it lets do."""

    cookie: str
    session_id: UUID
    account_id: UUID
    role: Role
    standing: Standing


def is_fresh(caller: Principal) -> bool:
    """Whether somebody has just shown that it is them. A program is not asked: what asks has no scope, but for handing in."""
    if caller.scopes is not None:
        return True
    return caller.proven_at is not None and clock.now() - caller.proven_at <= FRESH_FOR


async def standing_of(tx: Transaction, account_id: UUID, role: Role) -> Standing:
    """How far somebody gets who has shown one way to sign in: all the way when the account has as many as the role asks for."""
    ways = await credentials.count_ways(tx, account_id)
    return Standing.FULL if ways >= PASSKEYS_NEEDED.get(role, 1) else Standing.SETUP


Came = tuple[UUID | None, datetime | None]
"""By which provider of the organization's a session came, if by one, and when its person last showed who they are."""


async def open_session(
    tx: Transaction,
    keyring: Keyring,
    account: Account,
    role: Role,
    how: str,
    standing: Standing = Standing.FULL,
    came: Came | None = None,
) -> Opened:
    """Open a session for somebody who has shown who they are: now, unless `came` says when. `how`: by what, for the ledger."""
    now = None if standing is Standing.MAILBOX else clock.now()
    return await _open(tx, keyring, account, role, how, standing, came or (None, now))


async def change_role(tx: Transaction, keyring: Keyring, caller: Principal, account: Account, role: Role) -> Opened:
    """Open a session in another of the caller's roles. It shows nothing anew: what asks for that asks again."""
    standing = await standing_of(tx, account.id, role)
    came = await provider_rows.provider_of_session(tx, caller.session_id), caller.proven_at
    return await _open(tx, keyring, account, role, "change of role", standing, came)


async def _open(
    tx: Transaction, keyring: Keyring, account: Account, role: Role, how: str, standing: Standing, came: Came
) -> Opened:
    cookie, now = secrets.token_urlsafe(32), clock.now()
    row = Session(
        id=uuid7(),
        account_id=account.id,
        role=role,
        standing=standing,
        token_hash=token_hash(cookie),
        created_at=now,
        last_seen_at=now,
        provider_id=came[0],
        proven_at=came[1],
    )
    tx.add(row)
    await append(
        tx,
        keyring,
        account.organization_id,
        Act.SIGN_IN,
        facts={"role": role, "by": how, "standing": standing},
        actor=Actor(account.id, role),
        member_id=account.member_id,
        account=account.id,
    )
    return Opened(cookie, row.id, account.id, role, standing)


async def by_link(tx: Transaction, context: Context, token: str) -> Opened | None:
    """Spend a one-time link; None when it is no longer good.

    It lets somebody without any way to sign in make one; so it does when a recovery has waited for its day. Whoever has a way
    is let no further than to ask for a recovery: mail alone signs nobody in (security.md E1, E9).
    """
    link = await repository.spend_link(tx, token, clock.now())
    account = await tx.get_one(Account, link.account_id) if link else None
    if link is None or account is None or account.disabled_at is not None:
        return None
    role = Role(link.role)
    if await repository.live_grant(tx, account.id, role) is None:
        return None
    standing = Standing.FULL if context.settings.unsafe_links else await _by_mail(tx, account.id)
    return await open_session(tx, context.keyring, account, role, "link", standing)


async def _by_mail(tx: Transaction, account_id: UUID) -> Standing:
    now = clock.now()
    if not await credentials.count_ways(tx, account_id):
        return Standing.SETUP
    recovery = await credentials.open_recovery(tx, account_id, now)
    return Standing.SETUP if recovery is not None and recovery.ready_at <= now else Standing.MAILBOX


async def renew(tx: Transaction, caller: Principal, standing: Standing | None = None) -> str:
    """A new cookie for a session of somebody who has just shown that it is them; the old one is dead. Source: security.md E4."""
    cookie = secrets.token_urlsafe(32)
    if caller.session_id is not None:
        await repository.renew_session(tx, caller.session_id, token_hash(cookie), clock.now(), standing or caller.standing)
    return cookie


async def sign_out_everywhere(tx: Transaction, keyring: Keyring, caller: Principal) -> None:
    """End every session of the caller's account, and every link that would open one. Programs' tokens stay."""
    ended = await repository.end_sessions(tx, caller.account_id, clock.now())
    await append(
        tx,
        keyring,
        caller.organization_id,
        Act.SIGN_IN,
        facts={"ended": "every session", "sessions": ended},
        actor=caller.actor,
        member_id=caller.member_id,
        account=caller.account_id,
    )
