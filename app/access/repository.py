"""All SQL of access: accounts, roles, links, sessions, tokens."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import InstrumentedAttribute

from app.access.models import Account, ApiToken, HeldDomain, RoleGrant, Session, SignInLink
from app.access.roles import Principal, Role, Standing
from app.kit.crypto import token_hash
from app.kit.database import Transaction
from app.kit.rows import among


def _live(role: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    return (RoleGrant.account_id == Account.id) & (RoleGrant.role == role) & RoleGrant.revoked_at.is_(None)


def _principal(account: Account, row: Session | ApiToken) -> Principal:
    return Principal(
        organization_id=account.organization_id,
        account_id=account.id,
        role=Role(row.role),
        member_id=account.member_id if row.role == Role.MEMBER else None,
        session_id=row.id if isinstance(row, Session) else None,
        scopes=frozenset(map(str, row.scopes)) if isinstance(row, ApiToken) else None,
        standing=Standing(row.standing) if isinstance(row, Session) else Standing.FULL,
        proven_at=row.proven_at if isinstance(row, Session) else None,
    )


async def find_session(tx: Transaction, token: str) -> tuple[Session, Principal] | None:
    """The open session of a cookie, with an account that is not disabled and still has the role."""
    query = (
        select(Session, Account)
        .join(Account, Account.id == Session.account_id)
        .join(RoleGrant, _live(Session.role))
        .where(Session.token_hash == token_hash(token), Session.ended_at.is_(None), Account.disabled_at.is_(None))
    )
    row = (await tx.execute(query.limit(1))).first()
    return None if row is None else (row[0], _principal(row[1], row[0]))


async def find_token(tx: Transaction, token: str, now: datetime) -> tuple[ApiToken, Principal] | None:
    """The valid token of a program, with an account that is not disabled and still has the role."""
    query = (
        select(ApiToken, Account)
        .join(Account, Account.id == ApiToken.account_id)
        .join(RoleGrant, _live(ApiToken.role))
        .where(
            ApiToken.token_hash == token_hash(token),
            ApiToken.revoked_at.is_(None),
            ApiToken.expires_at > now,
            Account.disabled_at.is_(None),
        )
    )
    row = (await tx.execute(query.limit(1))).first()
    return None if row is None else (row[0], _principal(row[1], row[0]))


async def links_made_since(tx: Transaction, account_id: UUID, role: str, since: datetime) -> int:
    """How many links of an account in one role were made since then and are not spent."""
    query = select(func.count()).select_from(SignInLink)
    query = query.where(SignInLink.account_id == account_id, SignInLink.role == role, SignInLink.spent_at.is_(None))
    return (await tx.execute(query.where(SignInLink.created_at > since))).scalar_one()


async def session_seen(tx: Transaction, session_id: UUID, now: datetime) -> None:
    """Push a session's idle limit on."""
    await tx.execute(update(Session).where(Session.id == session_id).values(last_seen_at=now))


async def token_used(tx: Transaction, token_id: UUID, now: datetime) -> None:
    """Note when a token was last used."""
    await tx.execute(update(ApiToken).where(ApiToken.id == token_id).values(last_used_at=now))


async def renew_session(tx: Transaction, session_id: UUID, new_hash: bytes, now: datetime, standing: Standing) -> None:
    """Give a session another secret: its person has just shown that it is them."""
    values = {"token_hash": new_hash, "proven_at": now, "standing": standing}
    await tx.execute(update(Session).where(Session.id == session_id, Session.ended_at.is_(None)).values(**values))


async def is_open(tx: Transaction, session_id: UUID) -> bool:
    """Whether a session has not ended."""
    query = select(Session.id).where(Session.id == session_id, Session.ended_at.is_(None))
    return (await tx.execute(query)).first() is not None


async def end_session(tx: Transaction, session_id: UUID, now: datetime) -> None:
    """Close one session."""
    await tx.execute(update(Session).where(Session.id == session_id).values(ended_at=now))


async def end_sessions(
    tx: Transaction, account_id: UUID, now: datetime, *, role: Role | None = None, but: UUID | None = None
) -> int:
    """Close every session of an account, in one role or in all, and spend the links that wait for it; how many were open.

    `but`: the session that stays.
    """
    unspent = update(SignInLink).where(SignInLink.account_id == account_id, SignInLink.spent_at.is_(None))
    still_open = update(Session).where(Session.account_id == account_id, Session.ended_at.is_(None))
    if role is not None:
        unspent, still_open = unspent.where(SignInLink.role == role), still_open.where(Session.role == role)
    if but is not None:
        still_open = still_open.where(Session.id != but)
    await tx.execute(unspent.values(spent_at=now))
    ended: int = (await tx.execute(still_open.values(ended_at=now))).rowcount  # type: ignore[attr-defined]
    return ended


async def end_access(tx: Transaction, account_id: UUID, role: Role, now: datetime) -> None:
    """Close every session and token of an account in one role, and spend its open links."""
    await end_sessions(tx, account_id, now, role=role)
    tokens = update(ApiToken).where(ApiToken.account_id == account_id, ApiToken.role == role, ApiToken.revoked_at.is_(None))
    await tx.execute(tokens.values(revoked_at=now))


async def spend_link(tx: Transaction, token: str, now: datetime) -> SignInLink | None:
    """Spend a one-time link, once whoever else tries at the same time; None when it is spent, old or unknown."""
    spend = (
        update(SignInLink)
        .where(SignInLink.token_hash == token_hash(token), SignInLink.spent_at.is_(None), SignInLink.expires_at > now)
        .values(spent_at=now)
        .returning(SignInLink)
    )
    return (await tx.execute(spend)).scalar_one_or_none()


async def accounts_by_email(tx: Transaction, email_index: bytes) -> Sequence[tuple[Account, str]]:
    """Every account and live role behind one address, over all organizations."""
    query = (
        select(Account, RoleGrant.role)
        .join(RoleGrant, (RoleGrant.account_id == Account.id) & RoleGrant.revoked_at.is_(None))
        .where(Account.email_index == email_index, Account.disabled_at.is_(None))
        .order_by(Account.id, RoleGrant.role)
    )
    return [(row[0], row[1]) for row in (await tx.execute(query)).all()]


async def account_of(tx: Transaction, organization_id: UUID, account_id: UUID) -> Account | None:
    """One account of one organization."""
    query = select(Account).where(Account.organization_id == organization_id, Account.id == account_id)
    return (await tx.execute(query)).scalar_one_or_none()


async def account_by_email(tx: Transaction, organization_id: UUID, email_index: bytes) -> Account | None:
    """The account without a member behind an address in one organization."""
    query = select(Account).where(
        Account.organization_id == organization_id, Account.email_index == email_index, Account.member_id.is_(None)
    )
    return (await tx.execute(query.order_by(Account.id).limit(1))).scalar_one_or_none()


async def account_of_member(tx: Transaction, organization_id: UUID, member_id: UUID) -> Account | None:
    """The account of one member."""
    query = select(Account).where(Account.organization_id == organization_id, Account.member_id == member_id)
    return (await tx.execute(query)).scalar_one_or_none()


async def accounts_of_members(tx: Transaction, whose: Collection[tuple[UUID, UUID]]) -> dict[UUID, UUID]:
    """The accounts of members, `(organization, member)`: account ids by member. Who has none is left out."""
    query = select(Account.organization_id, Account.member_id, Account.id).where(
        among(tx, Account.organization_id, {one[0] for one in whose}), among(tx, Account.member_id, {one[1] for one in whose})
    )
    found = (await tx.execute(query)).all()
    return {row[1]: row[2] for row in found if row[1] is not None and (row[0], row[1]) in whose}


async def live_grant(tx: Transaction, account_id: UUID, role: Role) -> RoleGrant | None:
    """The grant by which an account has a role now."""
    query = select(RoleGrant).where(RoleGrant.account_id == account_id, RoleGrant.role == role, RoleGrant.revoked_at.is_(None))
    return (await tx.execute(query.limit(1))).scalar_one_or_none()


async def live_roles(tx: Transaction, account_id: UUID) -> frozenset[str]:
    """The roles that an account has now."""
    query = select(RoleGrant.role).where(RoleGrant.account_id == account_id, RoleGrant.revoked_at.is_(None))
    return frozenset((await tx.execute(query)).scalars())


async def holders(tx: Transaction, organization_id: UUID, role: Role) -> frozenset[UUID]:
    """The accounts of an organization that have a role now, held for this transaction: two cannot both be the last but one."""
    query = (
        select(RoleGrant.account_id)
        .where(RoleGrant.organization_id == organization_id, RoleGrant.role == role, RoleGrant.revoked_at.is_(None))
        .order_by(RoleGrant.id)
        .with_for_update()
    )
    return frozenset((await tx.execute(query)).scalars())


async def revoke_grants(tx: Transaction, account_id: UUID, role: Role, now: datetime) -> None:
    """Take a role back, by however many grants an account has it."""
    live = (RoleGrant.account_id == account_id, RoleGrant.role == role, RoleGrant.revoked_at.is_(None))
    await tx.execute(update(RoleGrant).where(*live).values(revoked_at=now))


async def grants(tx: Transaction, organization_id: UUID) -> Sequence[RoleGrant]:
    """Every live role of an organization's people, members left out."""
    query = (
        select(RoleGrant)
        .where(
            RoleGrant.organization_id == organization_id,
            RoleGrant.revoked_at.is_(None),
            RoleGrant.role != Role.MEMBER,
        )
        .order_by(RoleGrant.id)
    )
    return (await tx.execute(query)).scalars().all()


async def tokens_of(tx: Transaction, account_id: UUID) -> Sequence[ApiToken]:
    """An account's tokens, newest first."""
    query = select(ApiToken).where(ApiToken.account_id == account_id).order_by(ApiToken.id.desc())
    return (await tx.execute(query)).scalars().all()


async def is_held(tx: Transaction, organization_id: UUID, domain: str) -> bool:
    """Whether nothing is sent to this domain or a domain above it."""
    labels = domain.lower().strip(".").split(".")
    candidates = [".".join(labels[i:]) for i in range(len(labels))]
    query = select(HeldDomain.domain).where(HeldDomain.organization_id == organization_id, HeldDomain.domain.in_(candidates))
    return (await tx.execute(query.limit(1))).first() is not None
