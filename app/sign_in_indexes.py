"""The blind indexes by which people sign in are put under a new key, all of a kind in one transaction.

Beside it no other writes, and whoever looks for somebody reads in the same transaction which version counts: so an address is
looked for in one version, whether anybody has it or not, and nobody is looked for in vain. They are as many as there are people.
"""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import func, select, true

from app.access.by_provider import SUBJECT
from app.access.models import Account, Guesses, IdentityProvider, ProviderLink
from app.access.service import EMAIL, SIGN_IN_REQUESTED
from app.connection_indexes import move_messages, move_rows
from app.index_rotation import keep, of_another
from app.kit import crypto
from app.kit.database import Database, Transaction
from app.kit.keyring import NOBODY, SYSTEM_LANE, UNCHANGING, Keyring, OrganizationKey, Unchanging, place_of
from app.ledger.service import SYSTEM, Act, Actor, append

ADDRESSES, SUBJECTS = "account.email_index", "provider_link.subject_index"


def _with_another(keys: Unchanging, field: str) -> tuple[Unchanging, int]:
    """The keys with those of one more version of an index, and its number."""
    later = [*keys.later.get(field, ()), crypto.new_key()]
    return msgspec.structs.replace(keys, later={**keys.later, field: later}), 1 + len(later)


async def move_addresses(
    database: Database, keyring: Keyring, organizations: Sequence[UUID], told: Callable[[str], None], actor: Actor = SYSTEM
) -> None:
    """Put sign-in addresses, and what is counted by them, under a new version. `organizations`: whose ledgers say so.

    Raises a DBAPIError (55P03) when others who write do not come to an end.
    """
    async with database.begin(alone=True) as tx:
        keys, version = _with_another(await keyring.unchanging_of_all(tx), EMAIL)
        await _keep_of_all(tx, keyring, keys)
        moved = await move_rows(tx, keys, version, Account, {"email_index": EMAIL}, true())
        await move_rows(tx, keys, version, Guesses, {"key": EMAIL}, true())
        await move_messages(tx, keys, SIGN_IN_REQUESTED, "email_index", EMAIL)
        for one in organizations:
            await append(tx, keyring, one, Act.KEY, facts=_facts(ADDRESSES, version), actor=actor)
    told(f"{ADDRESSES}: version {version} made, {moved} moved")


async def _keep_of_all(tx: Transaction, keyring: Keyring, unchanging: Unchanging) -> None:
    row = await tx.get(OrganizationKey, (NOBODY, SYSTEM_LANE, UNCHANGING), with_for_update=True)
    if row is None:
        await keyring.make(tx, NOBODY, SYSTEM_LANE, UNCHANGING, unchanging.dumps())
        return
    where = place_of(NOBODY, SYSTEM_LANE, UNCHANGING)
    row.wrapped, row.top = await keyring.vault.wrap(unchanging.dumps(), where), keyring.vault.newest
    await tx.flush()


async def move_subjects(
    database: Database, keyring: Keyring, organization_id: UUID, told: Callable[[str], None], actor: Actor = SYSTEM
) -> None:
    """Put those by whom an organization's own sign-in means its people under a new version.

    Raises a DBAPIError (55P03) when others who write do not come to an end.
    """
    async with database.begin(alone=True) as tx:
        opened = await keyring.refreshed(tx, organization_id)
        keys, version = _with_another(opened.unchanging, SUBJECT)
        await keep(tx, keyring, organization_id, keys)
        moved = await move_rows(tx, keys, version, ProviderLink, {"subject_index": SUBJECT}, _linked_in(organization_id))
        await append(tx, keyring, organization_id, Act.KEY, facts=_facts(SUBJECTS, version), actor=actor)
    told(f"{SUBJECTS}: version {version} made, {moved} moved")


def _linked_in(organization_id: UUID) -> Any:
    return ProviderLink.provider_id.in_(select(IdentityProvider.id).where(IdentityProvider.organization_id == organization_id))


def _facts(place: str, version: int) -> dict[str, Any]:
    return {"change": "new version of an index", "index": place, "version": version}


async def status_of_all(tx: Transaction, keyring: Keyring) -> dict[str, Any]:
    """The version of sign-in addresses, and how many are not of it."""
    version = 1 + len((await keyring.unchanging_of_all(tx)).later.get(EMAIL, ()))
    query = select(func.count()).select_from(Account).where(of_another(Account.email_index, version))
    return {ADDRESSES: {"version": version, "left": (await tx.execute(query)).scalar_one()}}


async def status(tx: Transaction, keyring: Keyring, organization_id: UUID) -> dict[str, Any]:
    """The version of an organization's people at its own sign-in, and how many are not of it."""
    version = (await keyring.refreshed(tx, organization_id)).index_version(SUBJECT)
    query = select(func.count()).select_from(ProviderLink).where(_linked_in(organization_id))
    query = query.where(of_another(ProviderLink.subject_index, version))
    return {SUBJECTS: {"version": version, "left": (await tx.execute(query)).scalar_one()}}
