"""A new beginning for whoever lost every way to sign in: as strong as the ways themselves, slow, and told to the person.

Two things begin one: the code on paper together with the mailbox, or somebody who vouches: fully signed in, or at the machine
itself. Then nothing happens for a day, so that the account's own person can stop it. After that a link by mail lets them make a
new way.
"""

import secrets
from datetime import timedelta
from uuid import UUID

from app.access import credentials, repository
from app.access.mailing import RECOVERY_LETTER, post_notice
from app.access.models import Account, Recovery, RecoveryCode
from app.access.roles import Principal, Role
from app.access.service import as_it_counts, may_grant
from app.kit import clock
from app.kit.crypto import token_hash
from app.kit.database import Transaction
from app.kit.errors import Problem, not_found
from app.kit.ids import uuid7
from app.kit.keyring import Keyring
from app.ledger.service import SYSTEM, Act, Actor, append

COOL_OFF = timedelta(hours=24)
OPEN_FOR = timedelta(days=7)
"""How long after the day of waiting a new way can be made."""
MOST_TRIES = 100
TRIES_WITHIN = timedelta(days=30)

_LETTERS = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
"""No I, L, O, U, 0 and 1: what is written by hand is read again."""
_GROUPS, _EACH = 6, 5


def typed_code(text: str) -> str:
    """A recovery code as it is compared: capitals, without blanks and dashes."""
    return "".join(letter for letter in text.upper() if letter.isalnum())


async def new_code(tx: Transaction, keyring: Keyring, caller: Principal) -> str:
    """A new recovery code, to be written down: 30 letters, 147 random bits. The one before is no good any more."""
    code = "-".join("".join(secrets.choice(_LETTERS) for _ in range(_EACH)) for _ in range(_GROUPS))
    await credentials.lock_account(tx, caller.account_id)
    known = await credentials.recovery_code_of(tx, caller.account_id)
    row = known or RecoveryCode(account_id=caller.account_id)
    row.code_hash, row.created_at, row.spent_at = token_hash(typed_code(code)), clock.now(), None
    tx.add(row)
    facts = {"change": "recovery code made"}
    await append(tx, keyring, caller.organization_id, Act.KEY, facts=facts, actor=caller.actor, member_id=caller.member_id)
    return code


async def begin_with_code(tx: Transaction, keyring: Keyring, caller: Principal, typed: str) -> Recovery | None:
    """Begin a recovery for somebody who reads the account's mail and has its code; None when this is not the code."""
    key = await as_it_counts(tx, keyring, token_hash(f"recovery {caller.account_id}"))
    if await credentials.count_guess(tx, key, clock.now(), TRIES_WITHIN) > MOST_TRIES:
        raise Problem(429, "Too many codes were tried. Ask your organization to let you begin anew.")
    if not await credentials.spend_recovery_code(tx, caller.account_id, typed_code(typed), clock.now()):
        return None
    await credentials.forget_guesses(tx, key)
    return await _begin(tx, keyring, await tx.get_one(Account, caller.account_id), "code", caller.actor)


async def vouch(tx: Transaction, keyring: Keyring, caller: Principal, account: Account | None) -> Recovery:
    """Begin a recovery for somebody of the caller's organization whom they know. Raises a 403, 404 or 409 Problem.

    Counsel is vouched for by counsel, everybody else by an admin, nobody by themselves.
    """
    if account is None or account.organization_id != caller.organization_id or account.disabled_at is not None:
        raise not_found()
    if account.id == caller.account_id:
        raise Problem(409, "Somebody else must vouch for you.")
    roles = [Role(role) for role in await repository.live_roles(tx, account.id)]
    if not roles:
        raise not_found()
    by_admin = caller.role is Role.ADMIN and Role.COUNSEL not in roles
    if not by_admin and not (caller.role is Role.COUNSEL and all(may_grant(Role.COUNSEL, role) for role in roles)):
        raise Problem(403, "Counsel is let back in by counsel, everybody else by an admin.")
    return await _begin(tx, keyring, account, "voucher", caller.actor, caller.account_id)


async def by_operator(tx: Transaction, keyring: Keyring, account: Account) -> Recovery:
    """Begin a recovery from the machine itself: for an organization whose last admin, or last counsel, lost every way."""
    return await _begin(tx, keyring, account, "operator", SYSTEM)


async def _begin(tx: Transaction, keyring: Keyring, account: Account, how: str, actor: Actor, by: UUID | None = None) -> Recovery:
    await credentials.lock_account(tx, account.id)
    now = clock.now()
    known = await credentials.open_recovery(tx, account.id, now)
    if known is not None:
        return known
    ready = now + COOL_OFF
    begun = Recovery(id=uuid7(), account_id=account.id, begun_by=by, begun_at=now, ready_at=ready, ends_at=ready + OPEN_FOR)
    tx.add(begun)
    facts = {"change": "recovery begun", "by": how}
    await append(
        tx,
        keyring,
        account.organization_id,
        Act.KEY,
        facts=facts,
        actor=actor,
        member_id=account.member_id,
        account=account.id,
        recovery=begun.id,
    )
    for role in sorted(await repository.live_roles(tx, account.id))[:1]:
        await post_notice(tx, RECOVERY_LETTER, account.organization_id, account.id, Role(role), str(begun.id))
    return begun


async def stop(tx: Transaction, keyring: Keyring, caller: Principal) -> None:
    """The account's own person stops the recovery that was begun. Nothing happens when there is none.

    Every other session and every link ends: one of them may be about to use it.
    """
    await credentials.lock_account(tx, caller.account_id)
    begun = await credentials.open_recovery(tx, caller.account_id, clock.now())
    if begun is None:
        return
    begun.stopped_at = clock.now()
    await repository.end_sessions(tx, caller.account_id, clock.now(), but=caller.session_id)
    facts = {"change": "recovery stopped"}
    where, whose = caller.organization_id, caller.member_id
    await append(tx, keyring, where, Act.KEY, facts=facts, actor=caller.actor, member_id=whose, recovery=begun.id)
