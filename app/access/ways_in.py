"""Use cases of signing in: by passkey, by password and code; making and removing such ways; showing anew that it is you."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from app.access import credentials, passkeys, passwords, provider_rows, repository
from app.access.mailing import CHANGED_LETTER, post_notice
from app.access.models import Account, KnownBrowser, Password
from app.access.passkeys import Enrolled, Purpose
from app.access.roles import PASSKEYS_NEEDED, Principal, Role, Standing
from app.access.service import as_it_counts, email_index
from app.access.sessions import Opened, open_session, renew, standing_of
from app.kit import clock
from app.kit.context import Context
from app.kit.crypto import token_hash
from app.kit.database import Transaction
from app.kit.errors import Problem, not_found
from app.kit.ids import uuid7
from app.kit.keyring import Keyring, Lane
from app.ledger.service import Act, append

MOST_GUESSES = 100
GUESSES_WITHIN = timedelta(days=30)
"""Source: security.md E10. What somebody guesses who is not known counts against the address, not against a known browser."""

_NOBODYS_SECRET = passwords.new_code_secret()


@dataclass(frozen=True)
class Attempt:
    """What is to be compared, and where the guess was counted. `allowed` is False when there were too many."""

    key: bytes
    allowed: bool
    candidates: Sequence[tuple[Account, Password, str]]


async def roles_of(tx: Transaction, account_id: UUID) -> list[Role]:
    """The roles that an account has now, in the order of the list of roles."""
    held = await repository.live_roles(tx, account_id)
    return [role for role in Role if role in held]


async def by_passkey(tx: Transaction, context: Context, answer: Any) -> Opened | None:
    """A session for whoever signed with a passkey, in the first of their roles; None when the answer is no good."""
    key = await passkeys.signed_by(tx, context.settings, context.keyring, Purpose.SIGN_IN, None, answer)
    account = await tx.get_one(Account, key.account_id) if key is not None else None
    if account is None or account.disabled_at is not None:
        return None
    roles = await roles_of(tx, account.id)
    if not roles:
        return None
    standing = await standing_of(tx, account.id, roles[0])
    return await open_session(tx, context.keyring, account, roles[0], "passkey", standing)


async def begin_attempt(tx: Transaction, context: Context, email: str, browser: str) -> Attempt:
    """Count a guess at a password and find what to compare it with. The same work whoever has this address."""
    index = await email_index(tx, context.keyring, email)
    found = await credentials.passwords_at(tx, index)
    known = await credentials.known_browser(tx, browser)
    by = token_hash(browser) if known in [account.id for account, _ in found] else index
    key = await as_it_counts(tx, context.keyring, by)
    count = await credentials.count_guess(tx, key, clock.now(), GUESSES_WITHIN)
    candidates = [(account, row, await _code_secret(tx, context.keyring, account, row)) for account, row in found]
    return Attempt(key, count <= MOST_GUESSES, candidates)


async def compare(attempt: Attempt, password: str, code: str) -> tuple[Account, int] | None:
    """Whose password and code these are, and the 30 seconds of the code. In no transaction: it takes a while."""
    now, right = clock.now().timestamp(), None
    for account, row, secret in attempt.candidates:
        step = passwords.step_of(secret, code, now)
        if await passwords.is_right(row.password_hash, password) and step is not None:
            right = account, step
    if not attempt.candidates:
        passwords.step_of(_NOBODYS_SECRET, code, now)
        await passwords.is_right(None, password)
    return right if attempt.allowed else None


async def finish_attempt(
    tx: Transaction, context: Context, attempt: Attempt, found: tuple[Account, int]
) -> tuple[Opened, str] | None:
    """A session for whoever knew password and code, and the token of a browser that is known from now on.

    None when the code was used before, or the account was closed meanwhile.
    """
    account = await tx.get_one(Account, found[0].id, populate_existing=True)
    live = await repository.live_grant(tx, account.id, Role.MEMBER)
    if account.disabled_at is not None or live is None or not await credentials.use_step(tx, account.id, found[1]):
        return None
    await credentials.forget_guesses(tx, await as_it_counts(tx, context.keyring, attempt.key))
    return await open_session(tx, context.keyring, account, Role.MEMBER, "password"), know_browser(tx, account.id)


def know_browser(tx: Transaction, account_id: UUID) -> str:
    """The token of a browser in which this account was signed in to."""
    token = secrets.token_urlsafe(32)
    tx.add(KnownBrowser(account_id=account_id, token_hash=token_hash(token), created_at=clock.now()))
    return token


async def confirm_by_passkey(tx: Transaction, context: Context, caller: Principal, answer: Any) -> str | None:
    """A new cookie for a session whose own person signed once more; None when they did not."""
    key = await passkeys.signed_by(tx, context.settings, context.keyring, Purpose.CONFIRM, caller.session_id, answer)
    return await renew(tx, caller) if key is not None and key.account_id == caller.account_id else None


async def confirm_attempt(tx: Transaction, context: Context, caller: Principal) -> Attempt:
    """Count a guess at the caller's own password. Counted by the session: nobody else can use it up."""
    account, row = await tx.get_one(Account, caller.account_id), await credentials.password_of(tx, caller.account_id)
    key = await as_it_counts(tx, context.keyring, token_hash(str(caller.session_id)))
    count = await credentials.count_guess(tx, key, clock.now(), GUESSES_WITHIN)
    if row is None or row.confirmed_at is None:
        return Attempt(key, False, [])
    return Attempt(key, count <= MOST_GUESSES, [(account, row, await _code_secret(tx, context.keyring, account, row))])


async def confirm_by_password(
    tx: Transaction, keyring: Keyring, caller: Principal, attempt: Attempt, found: tuple[Account, int]
) -> str | None:
    """A new cookie for a session whose own person typed password and code once more; None when the code was used before."""
    if not await credentials.use_step(tx, caller.account_id, found[1]):
        return None
    await credentials.forget_guesses(tx, await as_it_counts(tx, keyring, attempt.key))
    return await renew(tx, caller)


async def add_passkey(tx: Transaction, context: Context, caller: Principal, answer: Any, label: str) -> Standing | None:
    """Keep a passkey that the caller's browser made; how far their session lets in now; None when the answer is no good."""
    assert caller.session_id is not None  # noqa: S101 - the gate lets only people in here
    made = await passkeys.enrolled(tx, context.settings, context.keyring, caller.session_id, answer)
    await _one_at_a_time(tx, caller)
    if made is None or len(await credentials.passkeys_of(tx, caller.account_id)) >= passkeys.MOST_KEYS:
        return None
    row_id = await _keep_passkey(tx, caller, made, label)
    if row_id is None:
        return None
    await _tell(tx, context.keyring, caller, "passkey added", row_id)
    await _begin_anew(tx, caller, keep=row_id)
    return await standing_of(tx, caller.account_id, caller.role)


async def _keep_passkey(tx: Transaction, caller: Principal, made: Enrolled, label: str) -> UUID | None:
    row: dict[str, object] = {
        "id": uuid7(),
        "account_id": caller.account_id,
        "credential_id": made.credential_id,
        "public_key": made.public_key,
        "sign_count": made.sign_count,
        "label": label,
        "created_at": clock.now(),
    }
    return UUID(str(row["id"])) if await credentials.add_passkey(tx, row) else None


async def offer_password(tx: Transaction, keyring: Keyring, caller: Principal, password_hash: str) -> str:
    """Put a password aside until its code app has shown a code: the app's secret. An earlier one that is good stays good."""
    if caller.member_id is None:
        raise Problem(403, "Your role signs in with passkeys only.")
    row, secret = await credentials.password_of(tx, caller.account_id), passwords.new_code_secret()
    if row is not None and row.confirmed_at is not None and caller.standing is not Standing.SETUP:
        raise Problem(409, "You have a password already. Remove it first, then make another.")
    sealed = await keyring.seal(tx, caller.organization_id, Lane.FACTUAL, secret, *_secret_at(caller.account_id))
    await credentials.remove_password(tx, caller.account_id)
    tx.add(
        Password(
            account_id=caller.account_id,
            password_hash=password_hash,
            code_secret_sealed=sealed,
            last_step=0,
            created_at=clock.now(),
        )
    )
    await tx.flush()
    return secret


async def offered_secret(tx: Transaction, keyring: Keyring, caller: Principal) -> str | None:
    """The secret of the code app that waits for its first code; None when none does."""
    row = await credentials.password_of(tx, caller.account_id)
    if row is None or row.confirmed_at is not None:
        return None
    return await _code_secret(tx, keyring, await tx.get_one(Account, caller.account_id), row)


async def keep_password(tx: Transaction, context: Context, caller: Principal, code: str) -> Standing | None:
    """Make the password that waits good, now that its code app shows the right code; None when it does not."""
    await _one_at_a_time(tx, caller)
    secret = await offered_secret(tx, context.keyring, caller)
    step = passwords.step_of(secret, code, clock.now().timestamp()) if secret is not None else None
    row = await credentials.password_of(tx, caller.account_id)
    if row is None or step is None:
        return None
    row.confirmed_at, row.last_step = clock.now(), step
    await tx.flush()
    await _tell(tx, context.keyring, caller, "password made", caller.account_id)
    await _begin_anew(tx, caller, keep=None)
    return await standing_of(tx, caller.account_id, caller.role)


PASSWORD, PROVIDER = "password", "provider"
"""The ways in that an account has one of, as they are named when one is removed."""


async def remove(tx: Transaction, keyring: Keyring, caller: Principal, which: UUID | str) -> None:
    """Remove a passkey by its id, the PASSWORD, or the link to the organization's own sign-in (PROVIDER).

    Every other session ends: it may have been stolen.

    Raises a 404 Problem, and a 409 one for the last that the role needs.
    """
    await _one_at_a_time(tx, caller)
    needed = max(PASSKEYS_NEEDED.get(role, 1) for role in await roles_of(tx, caller.account_id))
    if await credentials.count_ways(tx, caller.account_id) <= needed:
        raise Problem(409, "You need this one to sign in. Add another first, then remove this one.")
    if isinstance(which, UUID):
        gone = await credentials.remove_passkey(tx, caller.account_id, which, clock.now())
    elif which == PROVIDER:
        gone = await provider_rows.remove_link(tx, caller.account_id, clock.now())
    else:
        gone = await credentials.remove_password(tx, caller.account_id)
    if not gone:
        raise not_found()
    await repository.end_sessions(tx, caller.account_id, clock.now(), but=caller.session_id)
    await _tell(tx, keyring, caller, "removed", which if isinstance(which, UUID) else caller.account_id)


async def _one_at_a_time(tx: Transaction, caller: Principal) -> None:
    """Change an account's ways in one after another. Raises a 401 Problem for a session that another change has ended."""
    await credentials.lock_account(tx, caller.account_id)
    if caller.session_id is None or not await repository.is_open(tx, caller.session_id):
        raise Problem(401, "You were signed out meanwhile. Sign in again.")


async def _begin_anew(tx: Transaction, caller: Principal, keep: UUID | None) -> None:
    """The first way that is made ends every other session, also one that could make a way; and a recovery, if this is one.

    After a recovery whatever there was before is no good any more.
    """
    if caller.standing is not Standing.SETUP:
        return
    now = clock.now()
    await repository.end_sessions(tx, caller.account_id, now, but=caller.session_id)
    recovery = await credentials.open_recovery(tx, caller.account_id, now)
    if recovery is None or recovery.ready_at > now:
        return
    recovery.spent_at = now
    if keep is not None:
        await credentials.remove_password(tx, caller.account_id)
    await credentials.remove_others(tx, caller.account_id, keep, now)


async def _tell(tx: Transaction, keyring: Keyring, caller: Principal, change: str, subject: UUID) -> None:
    """Put a change of somebody's ways in into the ledger, and tell them by mail."""
    facts = {"change": change}
    where, whose = caller.organization_id, caller.member_id
    await append(tx, keyring, where, Act.KEY, facts=facts, actor=caller.actor, member_id=whose, way=subject)
    await post_notice(tx, CHANGED_LETTER, caller.organization_id, caller.account_id, caller.role, f"{change} {uuid7()}")


async def _code_secret(tx: Transaction, keyring: Keyring, account: Account, row: Password) -> str:
    where = _secret_at(account.id)
    return await keyring.unseal(tx, account.organization_id, Lane.FACTUAL, row.code_secret_sealed, *where)


def _secret_at(account_id: UUID) -> tuple[object, ...]:
    return ("password", "code_secret_sealed", account_id)


async def forget_old(tx: Transaction) -> int:
    """Forget challenges and guesses that count no more; how many."""
    return await credentials.forget_old(tx, clock.now(), GUESSES_WITHIN)
