"""What an admin does with the organization's own sign-in: connect a provider, switch it off and on, remove it.

Whoever answers for it (admins, counsel) is told by mail: it changes who can come in as whom.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.access import provider_rows, repository
from app.access.mailing import PROVIDER_LETTER, mailbox, post_notice
from app.access.models import Account, IdentityProvider
from app.access.provider_client import Away, Unsuitable, described, host_of, require_issuer
from app.access.roles import Principal
from app.kit import clock
from app.kit.config import Settings
from app.kit.context import Context
from app.kit.database import Transaction
from app.kit.errors import FieldError, Problem, not_found
from app.kit.ids import uuid7
from app.kit.keyring import Keyring, Lane
from app.ledger.deletions import Gone, note_deletion
from app.ledger.service import SYSTEM, Act, Actor, append
from connectors.asking import NotAllowed

MOST_NAMED = 200
_DOMAIN = re.compile(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+")
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_HELD = "belongs to a defendant. Nobody signs in by what the defendant runs."


@dataclass(frozen=True)
class Wanted:
    """A provider as an admin wants it. `secret` None: the one that is there stays."""

    issuer: str
    client_id: str
    secret: str | None
    domains: Sequence[str]
    accounts: Sequence[UUID]


def refused(field: str, message: str) -> Problem:
    """A 422 Problem about one field."""
    return Problem(422, message, errors=[FieldError(field=f"body.{field}", message=message)])


async def require_suitable(settings: Settings, wanted: Wanted) -> None:
    """Ask the provider what it says of itself. In no transaction. Raises a 422 Problem that names the field."""
    if not _VISIBLE.fullmatch(wanted.client_id) or ":" in wanted.client_id:
        raise refused("client_id", "Copy the client id as the provider shows it, without blanks and colons.")
    if wanted.secret is not None and not _VISIBLE.fullmatch(wanted.secret):
        raise refused("client_secret", "Copy the client secret as the provider shows it, without blanks.")
    for domain in wanted.domains:
        if not _DOMAIN.fullmatch(domain):
            raise refused("domains", "Write each domain as it stands behind the @, such as union.example.org.")
    if not wanted.domains and not wanted.accounts:
        raise refused("domains", "Say who may use it: an e-mail domain, or the people by name.")
    if len(wanted.domains) > MOST_NAMED or len(wanted.accounts) > MOST_NAMED:
        raise refused("domains", f"At most {MOST_NAMED} domains and {MOST_NAMED} people.")
    try:
        require_issuer(settings, wanted.issuer)
        await described(settings, wanted.issuer, anew=True)
    except NotAllowed as error:
        raise refused("issuer", f"{error}.") from None
    except Unsuitable as error:
        raise refused("issuer", str(error)) from None
    except Away as error:
        raise refused("issuer", f"{error}. Look at the address, and try whether it opens in a browser.") from None


async def keep(tx: Transaction, keyring: Keyring, caller: Principal, wanted: Wanted) -> IdentityProvider:
    """Connect a provider that was found suitable, or change the one that is connected. Raises a 422 Problem.

    Another issuer or client means other people by the same subjects: then the one before is removed with all its links.
    """
    await _require_allowed(tx, caller.organization_id, wanted)
    row = await provider_rows.of_organization(tx, caller.organization_id, lock=True)
    if row is not None and (row.issuer, row.client_id) != (wanted.issuer, wanted.client_id):
        await _end(tx, keyring, row, caller.actor)
        row = None
    if row is None and wanted.secret is None:
        raise refused("client_secret", "Copy the client secret here.")
    now, accounts = clock.now(), sorted(map(str, wanted.accounts))
    if row is None:
        change = "own sign-in connected"
        row = IdentityProvider(id=uuid7(), organization_id=caller.organization_id, issuer=wanted.issuer, created_at=now)
        row.client_id = wanted.client_id
        tx.add(row)
    else:
        change = "own sign-in changed"
        if (row.domains, row.accounts) != (sorted(wanted.domains), accounts):  # somebody may have lost it: all begin anew
            await provider_rows.end_sessions_by(tx, row.id, now)
    row.domains, row.accounts, row.checked_at = sorted(wanted.domains), accounts, now
    await tx.flush()
    if wanted.secret is not None:
        where = ("identity_provider", "secret_sealed", row.id)
        sealed = await keyring.seal(tx, caller.organization_id, Lane.FACTUAL, wanted.secret, *where)
        await provider_rows.set_secret(tx, row.id, sealed)
    await _note(tx, keyring, row, caller.actor, change, secret="new" if wanted.secret else "kept", issuer=row.issuer)
    await _tell(tx, caller, f"kept {uuid7()}")
    return row


async def _require_allowed(tx: Transaction, organization_id: UUID, wanted: Wanted) -> None:
    if await repository.is_held(tx, organization_id, host_of(wanted.issuer)):
        raise refused("issuer", f"This address {_HELD}")
    for domain in wanted.domains:
        if await repository.is_held(tx, organization_id, domain):
            raise refused("domains", f"One of these {_HELD}")
    if len(await provider_rows.office_accounts(tx, organization_id, wanted.accounts)) != len(set(wanted.accounts)):
        raise refused("accounts", "Only people of your organization who have a role here can be named, and no members.")


async def _row(tx: Transaction, caller: Principal) -> IdentityProvider:
    row = await provider_rows.of_organization(tx, caller.organization_id, lock=True)
    if row is None:
        raise not_found()
    return row


async def switch(tx: Transaction, keyring: Keyring, caller: Principal, *, on: bool) -> IdentityProvider:
    """Let nobody in by the provider for a while, or again. Switched off, every session that came by it ends. Raises 404."""
    row = await _row(tx, caller)
    if (row.switched_off_at is None) is on:
        return row
    row.switched_off_at = None if on else clock.now()
    if not on:
        await provider_rows.end_sessions_by(tx, row.id, clock.now())
    await _note(tx, keyring, row, caller.actor, f"own sign-in switched {'on' if on else 'off'}")
    await _tell(tx, caller, f"switched {uuid7()}")
    return row


async def remove(tx: Transaction, keyring: Keyring, caller: Principal) -> None:
    """End the provider for good: its secret, its links and every session that came by it. Raises a 404 Problem."""
    await _end(tx, keyring, await _row(tx, caller), caller.actor)
    await _tell(tx, caller, f"removed {uuid7()}")


async def _end(tx: Transaction, keyring: Keyring, row: IdentityProvider, actor: Actor) -> None:
    row.removed_at = clock.now()
    await tx.flush()
    await provider_rows.set_secret(tx, row.id, None)
    await provider_rows.end_sessions_by(tx, row.id, row.removed_at)
    await provider_rows.forget_links(tx, row.id)
    note_deletion(tx, row.organization_id, Gone.PROVIDER, 1, "removed", {"provider": row.id}, actor)
    await _note(tx, keyring, row, actor, "own sign-in removed", destroyed="secret and links")


async def remove_again(tx: Transaction, keyring: Keyring, organization_id: UUID, provider_id: UUID) -> None:
    """Remove a provider that a restored backup has brought back."""
    row = await provider_rows.of_organization(tx, organization_id, lock=True)
    if row is not None and row.id == provider_id:
        await _end(tx, keyring, row, SYSTEM)


async def _note(tx: Transaction, keyring: Keyring, row: IdentityProvider, actor: Actor, change: str, **facts: Any) -> None:
    said = {"change": change, **facts}
    await append(tx, keyring, row.organization_id, Act.KEY, facts=said, actor=actor, provider=row.id)


async def _tell(tx: Transaction, caller: Principal, about: str) -> None:
    for account_id, role in await provider_rows.to_be_told(tx, caller.organization_id):
        if account_id != caller.account_id:
            await post_notice(tx, PROVIDER_LETTER, caller.organization_id, account_id, role, f"{about} {role}")


async def address_of(tx: Transaction, keyring: Keyring, account: Account) -> str | None:
    """An account's address in the form in which mail servers read it; None when it has none, or none that is plain."""
    if account.email_sealed is None:
        return None
    where = ("account", "email_sealed", account.id)
    return mailbox(await keyring.unseal(tx, account.organization_id, Lane.FACTUAL, account.email_sealed, *where))


async def addresses_of(tx: Transaction, context: Context, row: IdentityProvider) -> list[str]:
    """The addresses of the people who are named, for the admin's form."""
    found = []
    for account_id in row.accounts:
        account = await repository.account_of(tx, row.organization_id, UUID(account_id))
        address = await address_of(tx, context.keyring, account) if account is not None else None
        found += [address] if address else []
    return sorted(found)
