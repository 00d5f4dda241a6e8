"""The top key in shares: enough of them open it, fewer do not, and nothing that is said quotes one."""

from __future__ import annotations

from itertools import combinations
from uuid import UUID

import pytest

from app.kit import clock, crypto, escrow
from app.kit.database import Database
from app.kit.escrow import EscrowError, KeyRecovery
from app.kit.keyring import Keyring, OrganizationKey
from app.kit.vault import HeldKeys, fingerprint

KEY, OTHER = crypto.new_key(), crypto.new_key()


def test_any_three_of_five_open_it_and_no_two() -> None:
    shares = escrow.shares_of(KEY, 5, 3)
    assert len(set(shares)) == 5
    for some in combinations(shares, 3):
        assert escrow.key_of(some) == KEY
    assert escrow.key_of(shares) == KEY, "more than are needed do no harm"
    assert escrow.key_of([*shares[2:], shares[4]]) == KEY
    assert escrow.key_of([f"  {share.replace(' ', chr(10))} " for share in shares[:3]]) == KEY
    for some in combinations(shares, 2):
        with pytest.raises(EscrowError, match="3 different ones are needed, and 2 are here"):
            escrow.key_of(some)
    with pytest.raises(EscrowError, match="3 different ones are needed, and 2 are here"):
        escrow.key_of([shares[0], shares[0], shares[1]])


def test_what_gives_no_key_is_said_without_quoting_it() -> None:
    shares, foreign = escrow.shares_of(KEY, 3, 2), escrow.shares_of(OTHER, 3, 2)
    mistyped = shares[0].rsplit(" ", 1)[0] + " " + ("acid" if not shares[0].endswith(" acid") else "acne")
    for wrong in ([], [""], ["hush hush"], [mistyped, shares[1]], [shares[0], foreign[1]], [shares[0] + " acid", shares[1]]):
        with pytest.raises(EscrowError, match="These shares give no key") as refused:
            escrow.key_of(wrong)
        assert "hush" not in str(refused.value)
        assert shares[0].split()[0] not in str(refused.value).split()
    with pytest.raises(EscrowError, match="no top key"):
        escrow.key_of(escrow.shares_of(KEY[:16], 2, 2))


@pytest.mark.parametrize(("shares", "needed"), [(5, 1), (1, 1), (3, 4), (17, 3), (0, 0)])
def test_one_person_alone_never_opens_it(shares: int, needed: int) -> None:
    with pytest.raises(EscrowError, match="At least 2"):
        escrow.shares_of(KEY, shares, needed)


async def test_a_database_knows_which_of_its_top_keys_nobody_has_recovered(database_url: str) -> None:
    database, keyring = Database(database_url), Keyring(KEY)
    async with database.begin() as tx:
        assert await escrow.unconfirmed(tx, keyring.vault) == [fingerprint(KEY)], "nothing hangs on it yet, but soon will"
        await escrow.confirm(tx, fingerprint(OTHER), 3)
        assert await escrow.unconfirmed(tx, keyring.vault) == [fingerprint(KEY)]
        await keyring.create_organization(tx, UUID(int=1))
        assert await escrow.unconfirmed(tx, keyring.vault) == [fingerprint(KEY)]
        for shares in (3, 4):
            await escrow.confirm(tx, fingerprint(KEY), shares)
        found = await tx.get_one(KeyRecovery, fingerprint(KEY), populate_existing=True)
        assert (found.shares, found.confirmed_at <= clock.now()) == (4, True)
        assert await escrow.unconfirmed(tx, keyring.vault) == []
        assert await escrow.unconfirmed(tx, HeldKeys(crypto.new_key(), KEY)) == [], "a new one that wraps nothing yet"
    async with database.begin() as tx:
        row = await tx.get_one(OrganizationKey, (UUID(int=1), "counsel", 1))
        row.top = None
        await tx.flush()
        assert await escrow.unconfirmed(tx, keyring.vault) == []
        assert await escrow.unconfirmed(tx, HeldKeys(KEY, crypto.new_key())) != []
    await database.close()
