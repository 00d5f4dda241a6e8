"""All SQL of the ways to sign in: passkeys, passwords, known browsers, guesses, recovery."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import case, delete, func, select, update

from app.access.models import (
    Account,
    Guesses,
    IdentityProvider,
    KnownBrowser,
    Passkey,
    Password,
    ProviderLink,
    Recovery,
    RecoveryCode,
    SpentChallenge,
)
from app.kit.crypto import token_hash
from app.kit.database import Transaction, upsert


async def spend_challenge(tx: Transaction, challenge_hash: bytes, expires_at: datetime) -> bool:
    """Write down that a challenge was answered; False when it was already, whoever else tries at the same time."""
    new = upsert(tx, SpentChallenge).values(challenge_hash=challenge_hash, expires_at=expires_at)
    new = new.on_conflict_do_nothing().returning(SpentChallenge.challenge_hash)
    return (await tx.execute(new)).first() is not None


async def live_passkey(tx: Transaction, credential_id: bytes) -> Passkey | None:
    """The passkey with this id, unless it was removed."""
    query = select(Passkey).where(Passkey.credential_id == credential_id, Passkey.removed_at.is_(None))
    return (await tx.execute(query.with_for_update())).scalar_one_or_none()


async def add_passkey(tx: Transaction, key: dict[str, object]) -> bool:
    """Write a new passkey; False when there is, or was, one with this id already."""
    new = upsert(tx, Passkey).values(**key).on_conflict_do_nothing(index_elements=["credential_id"]).returning(Passkey.id)
    return (await tx.execute(new)).first() is not None


async def passkeys_of(tx: Transaction, account_id: UUID) -> Sequence[Passkey]:
    """An account's passkeys that were not removed, oldest first."""
    query = select(Passkey).where(Passkey.account_id == account_id, Passkey.removed_at.is_(None)).order_by(Passkey.id)
    return (await tx.execute(query)).scalars().all()


async def password_of(tx: Transaction, account_id: UUID) -> Password | None:
    """An account's password, confirmed or not."""
    return await tx.get(Password, account_id)


async def count_ways(tx: Transaction, account_id: UUID) -> int:
    """How many ways to sign in an account has: passkeys, a password, the organization's own sign-in while it is on."""
    keys = select(func.count()).where(Passkey.account_id == account_id, Passkey.removed_at.is_(None)).scalar_subquery()
    passwords = select(func.count()).where(Password.account_id == account_id, Password.confirmed_at.is_not(None))
    links = (
        select(func.count())
        .select_from(ProviderLink)
        .join(IdentityProvider, IdentityProvider.id == ProviderLink.provider_id)
        .where(
            ProviderLink.account_id == account_id,
            ProviderLink.removed_at.is_(None),
            IdentityProvider.removed_at.is_(None),
            IdentityProvider.switched_off_at.is_(None),
        )
    )
    return int((await tx.execute(select(keys + passwords.scalar_subquery() + links.scalar_subquery()))).scalar_one())


async def lock_account(tx: Transaction, account_id: UUID) -> None:
    """Change the ways into an account one after another: two browsers cannot each take away the last but one."""
    await tx.execute(select(Account.id).where(Account.id == account_id).with_for_update())


async def remove_passkey(tx: Transaction, account_id: UUID, passkey_id: UUID, now: datetime) -> bool:
    """End one passkey; False when the account has none with this id."""
    ended = update(Passkey).where(Passkey.account_id == account_id, Passkey.id == passkey_id, Passkey.removed_at.is_(None))
    return bool((await tx.execute(ended.values(removed_at=now))).rowcount)  # type: ignore[attr-defined]


async def remove_password(tx: Transaction, account_id: UUID) -> bool:
    """Delete an account's password and the secret of its code app; False when it has none."""
    gone = delete(Password).where(Password.account_id == account_id)
    return bool((await tx.execute(gone)).rowcount)  # type: ignore[attr-defined]


async def remove_others(tx: Transaction, account_id: UUID, keep: UUID | None, now: datetime) -> None:
    """End every passkey but one, every known browser, the link to the organization's own sign-in, and the recovery code."""
    keys = update(Passkey).where(Passkey.account_id == account_id, Passkey.removed_at.is_(None))
    if keep is not None:
        keys = keys.where(Passkey.id != keep)
    await tx.execute(keys.values(removed_at=now))
    for table in (KnownBrowser, ProviderLink, RecoveryCode):
        await tx.execute(delete(table).where(table.account_id == account_id))


async def forget_ways_in(tx: Transaction, account_id: UUID) -> None:
    """Delete every way into an account that nobody signs in to any more: what people call their passkeys names them, too."""
    for table in (Passkey, Password, ProviderLink, KnownBrowser, RecoveryCode):
        await tx.execute(delete(table).where(table.account_id == account_id))


async def use_step(tx: Transaction, account_id: UUID, step: int) -> bool:
    """Note that the code of these 30 seconds was used; False when it, or a later one, was used before."""
    used = update(Password).where(Password.account_id == account_id, Password.last_step < step).values(last_step=step)
    return bool((await tx.execute(used)).rowcount)  # type: ignore[attr-defined]


async def passwords_at(tx: Transaction, email_index: bytes) -> Sequence[tuple[Account, Password]]:
    """The accounts at an address that sign in with a password, over all organizations."""
    query = (
        select(Account, Password)
        .join(Password, Password.account_id == Account.id)
        .where(Account.email_index == email_index, Account.disabled_at.is_(None), Password.confirmed_at.is_not(None))
        .order_by(Account.id)
    )
    return [(row[0], row[1]) for row in (await tx.execute(query)).all()]


async def known_browser(tx: Transaction, token: str) -> UUID | None:
    """The account that somebody signed in to in this browser before."""
    query = select(KnownBrowser.account_id).where(KnownBrowser.token_hash == token_hash(token))
    return (await tx.execute(query)).scalar_one_or_none()


async def count_guess(tx: Transaction, key: bytes, now: datetime, window: timedelta) -> int:
    """One more guess by this key; how many it makes within the window that began with the first of them."""
    over = Guesses.since <= now - window
    more = upsert(tx, Guesses).values(key=key, count=1, since=now)
    more = more.on_conflict_do_update(
        index_elements=["key"],
        set_={"count": case((over, 1), else_=Guesses.count + 1), "since": case((over, now), else_=Guesses.since)},
    ).returning(Guesses.count)
    return int((await tx.execute(more)).scalar_one())


async def forget_guesses(tx: Transaction, key: bytes) -> None:
    """Who guessed has shown who they are."""
    await tx.execute(delete(Guesses).where(Guesses.key == key))


async def recovery_code_of(tx: Transaction, account_id: UUID) -> RecoveryCode | None:
    """An account's recovery code, spent or not."""
    return await tx.get(RecoveryCode, account_id)


async def spend_recovery_code(tx: Transaction, account_id: UUID, code: str, now: datetime) -> bool:
    """Spend the code, once whoever else tries at the same time; False when it is another one, or spent."""
    spent = update(RecoveryCode).where(
        RecoveryCode.account_id == account_id, RecoveryCode.code_hash == token_hash(code), RecoveryCode.spent_at.is_(None)
    )
    return bool((await tx.execute(spent.values(spent_at=now))).rowcount)  # type: ignore[attr-defined]


async def open_recovery(tx: Transaction, account_id: UUID, now: datetime) -> Recovery | None:
    """The recovery of an account that was begun and is not over: it waits, or it is ready."""
    query = select(Recovery).where(
        Recovery.account_id == account_id,
        Recovery.stopped_at.is_(None),
        Recovery.spent_at.is_(None),
        Recovery.ends_at > now,
    )
    return (await tx.execute(query.order_by(Recovery.id).limit(1))).scalar_one_or_none()


async def forget_old(tx: Transaction, now: datetime, window: timedelta) -> int:
    """Delete challenges that are too old anyway and guesses that count no more; how many."""
    challenges = delete(SpentChallenge).where(SpentChallenge.expires_at <= now)
    guesses = delete(Guesses).where(Guesses.since <= now - window)
    return sum([(await tx.execute(old)).rowcount for old in (challenges, guesses)])  # type: ignore[attr-defined]
