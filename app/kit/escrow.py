"""The top key in shares (SLIP-39): so many people together open it, fewer learn nothing. And whether that was ever tried."""

from collections.abc import Sequence
from datetime import datetime

from shamir_mnemonic import MnemonicError, Share, combine_mnemonics, generate_mnemonics
from sqlalchemy import String, select
from sqlalchemy.orm import Mapped, mapped_column

from app.kit import clock, crypto
from app.kit.database import Base, Transaction, upsert
from app.kit.keyring import OrganizationKey
from app.kit.vault import Vault

MOST_SHARES = 16


class EscrowError(Exception):
    """Shares cannot be made so, or do not give a key; says why, and never what a share holds."""


class KeyRecovery(Base):
    """The last time at which people brought enough shares together to open the top key of this name."""

    __tablename__ = "key_recovery"

    top: Mapped[str] = mapped_column(String(16), primary_key=True)
    confirmed_at: Mapped[datetime]
    shares: Mapped[int]


def shares_of(key: bytes, shares: int, needed: int) -> list[str]:
    """So many lines of words, each for another person; any `needed` of them give the key. Raises EscrowError."""
    if not 2 <= needed <= shares <= MOST_SHARES:
        raise EscrowError(f"At least 2 shares must be needed, and there can be {MOST_SHARES} at the most.")
    (made,) = generate_mnemonics(1, [(needed, shares)], key)
    return list(made)


def key_of(shares: Sequence[str]) -> bytes:
    """The key that these shares give, more than are needed or not: 32 bytes. Raises EscrowError."""
    try:
        read = {Share.from_mnemonic(" ".join(share.split())) for share in shares}
        needed = max((share.member_threshold for share in read), default=0)
        if len(read) < needed:
            raise EscrowError(f"These shares give no key: {needed} different ones are needed, and {len(read)} are here.")
        enough = sorted(read, key=lambda share: share.index)[: max(needed, 1)]
        key: bytes = combine_mnemonics([share.mnemonic() for share in enough])
    except MnemonicError:  # what it says may quote a share
        raise EscrowError("These shares give no key: one is mistyped, or they are not of the same set.") from None
    if len(key) != crypto.KEY_BYTES:
        raise EscrowError("These shares give something, but no top key.")
    return key


async def confirm(tx: Transaction, top: str, shares: int) -> None:
    """Write down that so many shares opened the top key of this name, now."""
    values = {"confirmed_at": clock.now(), "shares": shares}
    insert = upsert(tx, KeyRecovery).values(top=top, **values)
    await tx.execute(insert.on_conflict_do_update(index_elements=["top"], set_=values))


async def is_confirmed(tx: Transaction, top: str) -> bool:
    """Whether the top key of this name was ever opened from its shares."""
    return await tx.get(KeyRecovery, top) is not None


async def unconfirmed(tx: Transaction, vault: Vault) -> list[str]:
    """The names of the top keys that this database hangs on and whose recovery nobody has tried."""
    wrapping = select(OrganizationKey.top).where(OrganizationKey.wrapped.is_not(None)).distinct()
    named = set((await tx.execute(wrapping)).scalars())
    confirmed = set((await tx.execute(select(KeyRecovery.top))).scalars())
    return sorted(({name or vault.oldest for name in named} or {vault.newest}) - confirmed)
