"""All SQL of organizations' own sign-in: providers, and whom they mean."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select, update

from app.access.models import Account, IdentityProvider, ProviderLink, RoleGrant, Session
from app.access.roles import Role
from app.kit.database import Transaction, upsert


async def of_organization(tx: Transaction, organization_id: UUID, *, lock: bool = False) -> IdentityProvider | None:
    """The provider of an organization that was not removed. `lock`: held for this transaction, with whoever signs in by it."""
    query = select(IdentityProvider).where(
        IdentityProvider.organization_id == organization_id, IdentityProvider.removed_at.is_(None)
    )
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return (await tx.execute(query)).scalar_one_or_none()


async def in_use(tx: Transaction, provider_id: UUID, *, hold: bool = False) -> IdentityProvider | None:
    """A provider by which people may sign in now. `hold`: nobody ends it before this transaction has."""
    query = select(IdentityProvider).where(
        IdentityProvider.id == provider_id,
        IdentityProvider.removed_at.is_(None),
        IdentityProvider.switched_off_at.is_(None),
    )
    if hold:
        query = query.with_for_update(read=True).execution_options(populate_existing=True)
    return (await tx.execute(query)).scalar_one_or_none()


async def sealed_secret(tx: Transaction, provider_id: UUID) -> bytes | None:
    """A provider's secret, as it is stored."""
    query = select(IdentityProvider.secret_sealed).where(IdentityProvider.id == provider_id)
    return (await tx.execute(query)).scalar_one()


async def set_secret(tx: Transaction, provider_id: UUID, sealed: bytes | None) -> None:
    """Replace a provider's secret; None: destroy it."""
    await tx.execute(update(IdentityProvider).where(IdentityProvider.id == provider_id).values(secret_sealed=sealed))


async def link_of(tx: Transaction, account_id: UUID, provider_id: UUID) -> ProviderLink | None:
    """How an account stands with a provider, also when the link was removed."""
    return await tx.get(ProviderLink, (account_id, provider_id), populate_existing=True)


async def account_meant(tx: Transaction, provider_id: UUID, subject_index: bytes) -> UUID | None:
    """The account that a subject is linked to."""
    query = select(ProviderLink.account_id).where(
        ProviderLink.provider_id == provider_id,
        ProviderLink.subject_index == subject_index,
        ProviderLink.removed_at.is_(None),
    )
    return (await tx.execute(query)).scalar_one_or_none()


async def add_link(tx: Transaction, row: dict[str, object]) -> bool:
    """Write a link; False when the account, or the subject, has one with this provider already."""
    new = upsert(tx, ProviderLink).values(**row).on_conflict_do_nothing().returning(ProviderLink.account_id)
    return (await tx.execute(new)).first() is not None


async def delete_link(tx: Transaction, account_id: UUID, provider_id: UUID) -> None:
    """Delete what is left of a link that its person removed, before they make it anew."""
    where = (ProviderLink.account_id == account_id, ProviderLink.provider_id == provider_id)
    await tx.execute(delete(ProviderLink).where(*where, ProviderLink.removed_at.is_not(None)))


async def remove_link(tx: Transaction, account_id: UUID, now: datetime) -> bool:
    """End an account's link and forget the subject; False when it has none."""
    ended = update(ProviderLink).where(ProviderLink.account_id == account_id, ProviderLink.removed_at.is_(None))
    return bool((await tx.execute(ended.values(removed_at=now, subject_index=None))).rowcount)  # type: ignore[attr-defined]


async def forget_links(tx: Transaction, provider_id: UUID) -> None:
    """Delete every link to a provider that is no more."""
    await tx.execute(delete(ProviderLink).where(ProviderLink.provider_id == provider_id))


async def end_sessions_by(tx: Transaction, provider_id: UUID, now: datetime) -> int:
    """Close every session that came by a provider; how many were open."""
    still_open = update(Session).where(Session.provider_id == provider_id, Session.ended_at.is_(None))
    return int((await tx.execute(still_open.values(ended_at=now))).rowcount)  # type: ignore[attr-defined]


async def end_sessions_of(tx: Transaction, account_id: UUID, now: datetime) -> None:
    """Close every session of an account that came by a provider."""
    still_open = update(Session).where(
        Session.account_id == account_id, Session.provider_id.is_not(None), Session.ended_at.is_(None)
    )
    await tx.execute(still_open.values(ended_at=now))


async def provider_of_session(tx: Transaction, session_id: UUID | None) -> UUID | None:
    """The provider by which a session came."""
    return (await tx.execute(select(Session.provider_id).where(Session.id == session_id))).scalar_one_or_none()


async def office_accounts(tx: Transaction, organization_id: UUID, account_ids: Sequence[UUID]) -> frozenset[UUID]:
    """Those of these accounts that are the organization's own people, and no members."""
    query = select(Account.id).where(
        Account.organization_id == organization_id,
        Account.id.in_(account_ids),
        Account.member_id.is_(None),
        Account.disabled_at.is_(None),
    )
    return frozenset((await tx.execute(query)).scalars())


async def to_be_told(tx: Transaction, organization_id: UUID) -> Sequence[tuple[UUID, Role]]:
    """Who hears when it changes how people sign in: admins and counsel, each account once for each of these roles."""
    query = select(RoleGrant.account_id, RoleGrant.role).where(
        RoleGrant.organization_id == organization_id,
        RoleGrant.revoked_at.is_(None),
        RoleGrant.role.in_((Role.ADMIN, Role.COUNSEL)),
    )
    return [(row[0], Role(row[1])) for row in (await tx.execute(query.distinct())).all()]
