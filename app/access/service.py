"""Use cases of access: accounts and roles, one-time links, programs' tokens."""

import secrets
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from app.access import provider_rows, repository
from app.access.models import Account, ApiToken, HeldDomain, RoleGrant, SignInLink
from app.access.policy import scopes_of
from app.access.roles import Principal, Role
from app.kit import clock, letters
from app.kit.context import Context
from app.kit.crypto import token_hash
from app.kit.database import Transaction
from app.kit.errors import FieldError, Problem, not_found
from app.kit.ids import uuid7
from app.kit.keyring import Keyring, Lane
from app.kit.outbox import publish
from app.ledger.service import SYSTEM, Act, Actor, append

LINK_LIFETIME = timedelta(minutes=15)
TOKEN_PREFIX = "hl_"  # noqa: S105 - a prefix by which scanners know a leaked token, not a token
SIGN_IN_REQUESTED = "access.sign_in_requested"
ROLE_LETTER = "access.role"
MATTER_LETTER = "access.matter"
EMAIL = "account.email"
"""The field of the index of sign-in addresses, over all organizations."""


def normal_email(email: str) -> str:
    """The address as it is compared: no blanks around it, lower case."""
    return email.strip().lower()


async def email_index(tx: Transaction, keyring: Keyring, email: str) -> bytes:
    """The blind index of an address, over all organizations, in the version that counts in this transaction."""
    return await keyring.system_index(tx, EMAIL, normal_email(email))


async def as_it_counts(tx: Transaction, keyring: Keyring, index: bytes) -> bytes:
    """An address's index that was written down some time ago, or another key of guesses, in the version that counts now."""
    return (await keyring.unchanging_of_all(tx)).raised(EMAIL, index)[-1]


async def create_account(
    tx: Transaction, keyring: Keyring, organization_id: UUID, email: str | None, member_id: UUID | None = None
) -> Account:
    """Make an account; the address is sealed and indexed, never stored in plain."""
    account = Account(id=uuid7(), organization_id=organization_id, member_id=member_id, created_at=clock.now())
    await set_email(tx, keyring, account, email)  # before it is written: whoever may add an account may not change one
    tx.add(account)
    await tx.flush()
    return account


async def set_email(tx: Transaction, keyring: Keyring, account: Account, email: str | None) -> None:
    """Give an account another address, or none."""
    if email is None:
        account.email_index = account.email_sealed = None
    else:
        where = ("account", "email_sealed", account.id)
        account.email_index = await email_index(tx, keyring, email)
        account.email_sealed = await keyring.seal(tx, account.organization_id, Lane.FACTUAL, email.strip(), *where)
    await tx.flush()


async def grant_role(tx: Transaction, keyring: Keyring, account: Account, role: Role, granted_by: Actor = SYSTEM) -> None:
    """Give an account a role, in the ledger; nothing happens when it has it already."""
    if await repository.live_grant(tx, account.id, role) is not None:
        return
    grant = RoleGrant(
        organization_id=account.organization_id,
        account_id=account.id,
        role=role,
        granted_by=granted_by.id,
        granted_at=clock.now(),
    )
    tx.add(grant)
    if role is Role.COUNSEL:  # by the provider that an admin has chosen nobody comes into counsel's lane unasked
        await provider_rows.end_sessions_of(tx, account.id, clock.now())
    facts = {"role": role, "change": "granted"}
    await append(tx, keyring, account.organization_id, Act.ROLE, facts=facts, actor=granted_by, account=account.id)


def may_grant(granter: Role, role: Role) -> bool:
    """Counsel is granted only by counsel, and counsel grants nothing else; members come from the roster."""
    if role is Role.MEMBER:
        return False
    return (granter is Role.COUNSEL) == (role is Role.COUNSEL)


async def invite(tx: Transaction, context: Context, caller: Principal, email: str, role: Role) -> Account:
    """Give the person behind an address a role and send a one-time link. Raises a 403 Problem."""
    if not may_grant(caller.role, role):
        raise Problem(403, "Counsel is granted by counsel, other roles by an admin, members by the roster.")
    index = await email_index(tx, context.keyring, email)
    account = await repository.account_by_email(tx, caller.organization_id, index)
    if account is None:
        account = await create_account(tx, context.keyring, caller.organization_id, email)
    await grant_role(tx, context.keyring, account, role, caller.actor)
    await _tell_others(tx, caller, account.id, f"given {uuid7()}")
    await publish(tx, SIGN_IN_REQUESTED, caller.organization_id, email_index=index.hex())
    return account


async def first_counsel(tx: Transaction, keyring: Keyring, organization_id: UUID, email: str) -> str:
    """The set-up token of an organization's first counsel: a one-time link's token. Raises a 409 Problem later."""
    if await repository.holders(tx, organization_id, Role.COUNSEL):
        raise Problem(409, "This organization has counsel already: ask counsel to add others.")
    account = await create_account(tx, keyring, organization_id, email)
    await grant_role(tx, keyring, account, Role.COUNSEL)
    return await create_link(tx, account.id, Role.COUNSEL, timedelta(days=7))


async def revoke_role(tx: Transaction, keyring: Keyring, caller: Principal, account_id: UUID, role: Role) -> None:
    """Take a role back: every session, link and token of it ends at once. Raises a 403 or 404 Problem."""
    if not may_grant(caller.role, role):
        raise Problem(403, "Counsel is taken back by counsel, other roles by an admin.")
    account = await repository.account_of(tx, caller.organization_id, account_id)
    holders = await repository.holders(tx, caller.organization_id, role)
    if account is None or account.id not in holders:
        raise not_found()
    if len(holders) == 1 and role in (Role.ADMIN, Role.COUNSEL):
        raise Problem(409, "This is the last one. Add another before you take this one back.")
    await repository.revoke_grants(tx, account.id, role, clock.now())
    await repository.end_access(tx, account.id, role, clock.now())
    facts = {"role": role, "change": "revoked"}
    await append(tx, keyring, account.organization_id, Act.ROLE, facts=facts, actor=caller.actor, account=account.id)
    await _tell_others(tx, caller, account.id, f"taken {uuid7()}")


async def _tell_others(tx: Transaction, caller: Principal, whose: UUID, about: str) -> None:
    """Tell everybody who may give the same roles that somebody did: nobody is let in behind the others' backs."""
    for account_id in await repository.holders(tx, caller.organization_id, caller.role) - {caller.account_id, whose}:
        await letters.post(tx, ROLE_LETTER, caller.organization_id, account_id, about, {"role": caller.role})


async def create_link(tx: Transaction, account_id: UUID, role: Role, lifetime: timedelta = LINK_LIFETIME) -> str:
    """A one-time sign-in token for an account in one role; only its hash is stored."""
    token = secrets.token_urlsafe(32)
    now = clock.now()
    tx.add(SignInLink(account_id=account_id, role=role, token_hash=token_hash(token), created_at=now, expires_at=now + lifetime))
    await tx.flush()
    return token


async def request_link(tx: Transaction, keyring: Keyring, email: str) -> None:
    """Ask for a link by mail. The same work whether anybody has this address or not."""
    index = await email_index(tx, keyring, email)
    await publish(tx, SIGN_IN_REQUESTED, UUID(int=0), email_index=index.hex())


async def create_token(
    tx: Transaction, keyring: Keyring, caller: Principal, label: str, scopes: Iterable[str], days: int
) -> tuple[str, ApiToken]:
    """A program's token in the caller's own role; the secret is shown once.

    Raises a 403 Problem for a scope that is not the role's, and for a program: with a token that makes tokens, a stolen one
    would never end.
    """
    if caller.scopes is not None:
        raise Problem(403, "A program cannot make tokens. Sign in yourself to make one.")
    wanted, allowed = frozenset(scopes), scopes_of(caller.role)
    if not wanted or not wanted <= allowed:
        message = "Your role has these scopes: " + ", ".join(sorted(allowed))
        raise Problem(403, message, errors=[FieldError(field="body.scopes", message=message)])
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    now = clock.now()
    row = ApiToken(
        account_id=caller.account_id,
        role=caller.role,
        label=label,
        scopes=sorted(wanted),
        token_hash=token_hash(token),
        created_at=now,
        expires_at=now + timedelta(days=days),
    )
    tx.add(row)
    await tx.flush()
    facts = {"change": "token created", "scopes": sorted(wanted)}
    await append(tx, keyring, caller.organization_id, Act.KEY, facts=facts, actor=caller.actor, token=row.id)
    return token, row


async def revoke_token(tx: Transaction, keyring: Keyring, caller: Principal, token_id: UUID) -> None:
    """End one of the caller's own tokens. Raises a 404 Problem."""
    row = next((t for t in await repository.tokens_of(tx, caller.account_id) if t.id == token_id), None)
    if row is None:
        raise not_found()
    row.revoked_at = row.revoked_at or clock.now()
    facts = {"change": "token revoked"}
    await append(tx, keyring, caller.organization_id, Act.KEY, facts=facts, actor=caller.actor, token=row.id)


async def hold_domain(tx: Transaction, organization_id: UUID, domain: str, reason: str) -> None:
    """Send nothing to this domain any more."""
    await tx.merge(HeldDomain(organization_id=organization_id, domain=domain.lower(), reason=reason))
    await tx.flush()
