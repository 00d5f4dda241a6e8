"""Signing in, and showing anew that it is you, by the organization's own provider (OpenID Connect, code flow with PKCE).

What was begun is not stored; that it came back is, so that no answer counts twice. The state says by itself until when, for what
and for which browser, under a key of ours; the browser holds the one secret that the nonce and the PKCE verifier come from.
"""

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

import structlog

from app.access import credentials, provider_client, provider_rows, providers, repository
from app.access.id_tokens import Expected, NotGood, Said
from app.access.mailing import CHANGED_LETTER, post_notice
from app.access.models import Account, IdentityProvider, ProviderLink
from app.access.provider_client import Client, Description
from app.access.roles import Principal, Role
from app.access.service import email_index
from app.access.sessions import Opened, open_session, renew, standing_of
from app.access.walls import ACCOUNT
from app.kit import clock
from app.kit.acting import Acting
from app.kit.context import Context
from app.kit.crypto import keyed_hash, token_hash
from app.kit.database import Transaction
from app.kit.errors import Problem
from app.kit.ids import uuid7
from app.kit.keyring import Keyring, Lane
from app.ledger.service import Act, Actor, append

log = structlog.get_logger(__name__)

GOOD_FOR = timedelta(minutes=10)
"""How long somebody may take at their provider."""

NOT_LET_IN = (
    "Your organization's sign-in told us who you are, and that opens nothing here. Use the address under which you were invited, "
    "or ask your organization."
)
"""One answer to whoever is known to the provider and not let in: nobody learns who has an account."""

NOT_GOOD = (
    "What your organization's sign-in sent back is not right, so nobody was signed in. Begin again; if it stays so, tell "
    "your admin."
)
_NONCE, _TIME, _PROOF = 16, 8, 32
_STATE_FIELD, SUBJECT = "provider.state", "provider.subject"


class Purpose(StrEnum):
    """What somebody went to their provider for."""

    SIGN_IN = "sign in"
    CONFIRM = "confirm"
    LINK = "link"


class NotLetIn(Problem):
    """Who the provider says it is may not come in. `why` is for the log alone."""

    def __init__(self, why: str) -> None:
        super().__init__(403, NOT_LET_IN)
        log.info("not let in by the organization's own sign-in", why=why)


@dataclass(frozen=True)
class Going:
    """What the browser carries to the provider and back. `then`: where it goes on afterwards. Holds a secret."""

    purpose: Purpose
    provider_id: UUID
    session_id: UUID | None
    then: str
    secret: str

    def cookie(self) -> str:
        """As the browser keeps it. The session is the browser's own, and not said."""
        return f"{self.purpose.name}.{self.provider_id.hex}.{self.secret}.{_text(self.then.encode())}"

    @staticmethod
    def read(cookie: str, session_id: UUID | None) -> "Going | None":
        """What a browser brought back; None for anything else."""
        try:
            purpose, provider_id, secret, then = cookie.split(".")
            found = Purpose[purpose]
            return Going(
                found,
                UUID(hex=provider_id),
                None if found is Purpose.SIGN_IN else session_id,
                urlsafe_b64decode(then + "=" * (-len(then) % 4)).decode(),
                secret,
            )
        except (ValueError, KeyError):
            return None

    @property
    def nonce(self) -> str:
        """What the provider is to write into its token."""
        return _text(keyed_hash(self.secret.encode(), b"nonce"))

    @property
    def verifier(self) -> str:
        """By which the provider knows that the code comes back from who asked for it (RFC 7636): 43 letters."""
        return _text(keyed_hash(self.secret.encode(), b"verifier"))


@dataclass(frozen=True)
class CameBack:
    """Somebody whose browser is back from a provider, in time and once. `began_at`: when it went."""

    going: Going
    began_at: datetime
    organization_id: UUID
    issuer: str
    client: Client


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def going(purpose: Purpose, provider_id: UUID, session_id: UUID | None, then: str) -> Going:
    """A new way to a provider, with a secret of its own."""
    return Going(purpose, provider_id, session_id, then, secrets.token_urlsafe(32))


async def _proof(tx: Transaction, keyring: Keyring, said: bytes, one: Going) -> bytes:
    bound = f"{said.hex()} {one.purpose} {one.provider_id} {one.session_id} {token_hash(one.secret).hex()} {one.then}"
    return await keyring.system_index(tx, _STATE_FIELD, bound)


async def state_of(tx: Transaction, keyring: Keyring, one: Going) -> str:
    """The state that goes to the provider and must come back."""
    until = int((clock.now() + GOOD_FOR).timestamp())
    said = secrets.token_bytes(_NONCE) + until.to_bytes(_TIME, "big")
    return _text(said + await _proof(tx, keyring, said, one))


async def _spent(tx: Transaction, keyring: Keyring, one: Going, state: str) -> datetime | None:
    """When this was begun, its state spent; None when it is none of ours for this browser, too old, or came back before."""
    try:
        given = urlsafe_b64decode(state + "=" * (-len(state) % 4))
    except ValueError:
        return None
    said, proof = given[: _NONCE + _TIME], given[_NONCE + _TIME :]
    if len(given) != _NONCE + _TIME + _PROOF or not hmac.compare_digest(proof, await _proof(tx, keyring, said, one)):
        return None
    until = datetime.fromtimestamp(int.from_bytes(said[_NONCE:], "big"), UTC)
    if until <= clock.now() or not await credentials.spend_challenge(tx, token_hash(given.hex()), until):
        return None
    return until - GOOD_FOR


async def came_back(tx: Transaction, context: Context, cookie: str, state: str, caller: Principal | None) -> CameBack | None:
    """Who comes back from a provider, its state spent; None when this browser did not go, or not for this, or too long ago."""
    one = Going.read(cookie, caller.session_id if caller is not None else None)
    began_at = await _spent(tx, context.keyring, one, state) if one is not None else None
    row = await provider_rows.in_use(tx, one.provider_id) if one is not None and began_at is not None else None
    sealed = await provider_rows.sealed_secret(tx, row.id) if row is not None else None
    if one is None or began_at is None or row is None or sealed is None:
        return None
    where = ("identity_provider", "secret_sealed", row.id)
    secret = await context.keyring.unseal(tx, row.organization_id, Lane.FACTUAL, sealed, *where)
    client = Client(row.client_id, secret, provider_client.redirect_uri(context.settings))
    return CameBack(one, began_at, row.organization_id, row.issuer, client)


async def said_of(context: Context, back: CameBack, code: str, named: str | None) -> Said:
    """What the provider says of them. `named`: whose answer it says it is. In no transaction.

    Raises NotGood, Away or Unsuitable.
    """
    found: Description = await provider_client.described(context.settings, back.issuer)
    if named != back.issuer and (named is not None or found.names_itself):
        raise NotGood("another provider's answer")
    fresh = back.began_at if back.going.purpose is Purpose.CONFIRM else None
    expected = Expected(back.issuer, back.client.client_id, back.going.nonce, fresh)
    return await provider_client.answer(context.settings, found, back.client, code, back.going.verifier, expected, clock.now())


async def _subject(tx: Transaction, keyring: Keyring, back: CameBack, said: Said) -> bytes:
    keys = await keyring.refreshed(tx, back.organization_id)
    return keys.index(SUBJECT, f"{back.going.provider_id} {said.subject}".encode())


async def meant(tx: Transaction, context: Context, back: CameBack, said: Said) -> Acting:
    """As whom the sign-in goes on: the account that the subject is linked to, or whose verified address this is.

    Raises NotLetIn. Nothing is decided here but which account to look at.
    """
    account_id = await provider_rows.account_meant(tx, back.going.provider_id, await _subject(tx, context.keyring, back, said))
    if account_id is None and said.email is not None:
        index = await email_index(tx, context.keyring, said.email)
        account = await repository.account_by_email(tx, back.organization_id, index)
        account_id = account.id if account is not None else None
    if account_id is None:
        raise NotLetIn("nobody")
    return Acting(ACCOUNT, back.organization_id, account_id)


async def sign_in(tx: Transaction, context: Context, back: CameBack, said: Said, account_id: UUID) -> Opened:
    """A session for the account that `meant` found, linked now if this is its first time. Raises NotLetIn."""
    row, account, roles = await _usable(tx, context, back.going.provider_id, account_id)
    link = await provider_rows.link_of(tx, account.id, row.id)
    subject = await _subject(tx, context.keyring, back, said)
    if link is None:
        await _link_by_address(tx, context, row, account, roles, said, subject)
    else:
        _require_same(link, subject)
        if Role.COUNSEL in roles and not link.by_person:
            raise NotLetIn("counsel has not linked it")
        link.last_used_at = clock.now()
    standing = await standing_of(tx, account.id, roles[0])
    return await open_session(tx, context.keyring, account, roles[0], "own sign-in", standing, came=(row.id, said.proven_at))


async def _usable(
    tx: Transaction, context: Context, provider_id: UUID, account_id: UUID
) -> tuple[IdentityProvider, Account, list[Role]]:
    """The provider, which nobody ends before this transaction has, an account that may use it, and its roles."""
    row = await provider_rows.in_use(tx, provider_id, hold=True)
    account = await tx.get(Account, account_id, populate_existing=True)
    if row is None or account is None or account.organization_id != row.organization_id:
        raise NotLetIn("provider or account is gone")
    if account.member_id is not None or account.disabled_at is not None:
        raise NotLetIn("a member's account, or a closed one")
    held = await repository.live_roles(tx, account.id)
    roles: list[Role] = [role for role in Role if role in held and role is not Role.MEMBER]
    if not roles:
        raise NotLetIn("no role")
    if not await may_use(tx, context.keyring, row, account):
        raise NotLetIn("not allowed for this account")
    return row, account, roles


async def may_use(tx: Transaction, keyring: Keyring, row: IdentityProvider, account: Account) -> bool:
    """Whether a provider is for this account: by its address's domain or by name, and never by what the defendant runs."""
    address = await providers.address_of(tx, keyring, account)
    domain = address.rpartition("@")[2] if address is not None else ""
    if account.member_id is not None or not domain or await repository.is_held(tx, row.organization_id, domain):
        return False
    return domain in row.domains or str(account.id) in row.accounts


def _require_same(link: ProviderLink, subject: bytes) -> None:
    if link.removed_at is not None or link.subject_index is None or not hmac.compare_digest(link.subject_index, subject):
        raise NotLetIn("another subject than the one that is linked")


async def _link_by_address(
    tx: Transaction, context: Context, row: IdentityProvider, account: Account, roles: list[Role], said: Said, subject: bytes
) -> None:
    """The first time: the provider has verified an address, and it is this account's own."""
    if said.email is None or account.email_index is None:
        raise NotLetIn("no verified address")
    if not hmac.compare_digest(account.email_index, await email_index(tx, context.keyring, said.email)):
        raise NotLetIn("another address")
    if Role.COUNSEL in roles:  # whoever runs the provider, or chose it, must not be let into counsel's lane by it
        raise NotLetIn("counsel links it by hand")
    await _keep_link(tx, context, row, Principal(account.organization_id, account.id, roles[0]), subject, by_person=False)


async def _keep_link(
    tx: Transaction, context: Context, row: IdentityProvider, who: Principal, subject: bytes, *, by_person: bool
) -> None:
    now = clock.now()
    new: dict[str, object] = {
        "account_id": who.account_id,
        "provider_id": row.id,
        "subject_index": subject,
        "by_person": by_person,
        "created_at": now,
        "last_used_at": now,
    }
    if not await provider_rows.add_link(tx, new):
        raise NotLetIn("linked to somebody else")
    facts, actor = {"change": "own sign-in linked"}, Actor(who.account_id, who.role)
    await append(tx, context.keyring, who.organization_id, Act.KEY, facts=facts, actor=actor, way=row.id)
    await post_notice(tx, CHANGED_LETTER, who.organization_id, who.account_id, who.role, f"linked {uuid7()}")


async def confirm(tx: Transaction, context: Context, back: CameBack, said: Said, caller: Principal) -> str:
    """A new cookie for a session whose own person has shown the provider anew who they are. Raises NotLetIn."""
    row, account, roles = await _usable(tx, context, back.going.provider_id, caller.account_id)
    link = await provider_rows.link_of(tx, account.id, row.id)
    if link is None or (Role.COUNSEL in roles and not link.by_person):
        raise NotLetIn("not linked")
    _require_same(link, await _subject(tx, context.keyring, back, said))
    link.last_used_at = clock.now()
    return await renew(tx, caller)


async def link_own(tx: Transaction, context: Context, back: CameBack, said: Said, caller: Principal) -> None:
    """Link the caller's account to whom the provider means, as they asked for, being signed in otherwise. Raises a Problem."""
    row, account, _ = await _usable(tx, context, back.going.provider_id, caller.account_id)
    await credentials.lock_account(tx, account.id)
    await require_signed_in_otherwise(tx, caller)
    await provider_rows.delete_link(tx, account.id, row.id)
    subject = await _subject(tx, context.keyring, back, said)
    await _keep_link(tx, context, row, caller, subject, by_person=True)


async def require_signed_in_otherwise(tx: Transaction, caller: Principal) -> None:
    """Raises a 409 Problem for a session that came by a provider: it must not vouch for itself."""
    if await provider_rows.provider_of_session(tx, caller.session_id) is not None:
        raise Problem(409, "Sign in with your passkey first. Then add your organization's sign-in from here.")


@dataclass(frozen=True)
class OwnSignIn:
    """How an account stands with its organization's own sign-in. `offered`: it may be linked; `linked`: since when it is."""

    provider_id: UUID
    host: str
    offered: bool
    linked: ProviderLink | None


async def standing_with(tx: Transaction, keyring: Keyring, caller: Principal) -> OwnSignIn | None:
    """How the caller stands with the organization's own sign-in; None for members, and where there is none in use."""
    if caller.role is Role.MEMBER:
        return None
    row = await provider_rows.of_organization(tx, caller.organization_id)
    account = await repository.account_of(tx, caller.organization_id, caller.account_id)
    if row is None or row.switched_off_at is not None or account is None:
        return None
    link = await provider_rows.link_of(tx, account.id, row.id)
    linked = link if link is not None and link.removed_at is None else None
    offered = linked is None and await may_use(tx, keyring, row, account)
    return OwnSignIn(row.id, provider_client.host_of(row.issuer), offered, linked)
