"""Do again, in a restored database, what must not have been undone: erasures, destroyed keys, and everybody's signing out."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, select, update

from app.access.models import ApiToken, KnownBrowser, Recovery, Session, SignInLink
from app.access.providers import remove_again
from app.connections.managing import close
from app.connections.raw_terms import set_term_again
from app.connections.repository import connection_of, destroy_secrets_again
from app.intake.repository import destroy_keys_again
from app.kit import clock
from app.kit.database import Transaction
from app.kit.errors import Problem
from app.kit.keyring import Keyring
from app.kit.outbox import ConsumerState
from app.ledger.deletions import Gone
from app.ledger.models import Deletion
from app.ledger.service import SYSTEM
from app.members.erasing import erase_again
from app.members.repository import last_consent, member
from app.members.service import record_consent
from app.upkeep.journal import Record, stays_gone


@dataclass(frozen=True)
class Applied:
    """How many members were erased again, deliveries' and events' keys destroyed again, sessions, links and tokens ended."""

    members: int
    keys: int
    signed_out: int


async def apply(tx: Transaction, keyring: Keyring, erasures: Sequence[Record]) -> Applied:
    """Apply the journal. Raises a Problem when it cannot be this installation's own, up to now."""
    known = {record.id for record in erasures}
    missing = [record for record in await stays_gone(tx) if record.id not in known]
    if missing:
        raise Problem(
            409,
            f"The list of erasures lacks {len(missing)} that are in the backup itself, so it is too old or another "
            "installation's. Take the newest copy (HARMLINE_JOURNAL_FILE).",
        )
    members = keys = 0
    for record in erasures:
        if record.what == Gone.MEMBER and record.organization_id is not None:
            members += await erase_again(tx, keyring, record.organization_id, UUID(record.subjects["member"]))
        elif record.what == Gone.KEYS:
            receipts, events = (_ids(record, name) for name in ("receipts", "events"))
            await destroy_keys_again(tx, UUID(record.subjects["connection"]), receipts, events)
            keys += len(receipts) + len(events)
        elif record.what == Gone.SECRET:
            await destroy_secrets_again(tx, UUID(record.subjects["connection"]), _ids(record, "secrets"), record.at)
        elif record.what == Gone.CONNECTION:
            await _close_again(tx, keyring, record)
        elif record.what == Gone.TERM:
            await set_term_again(tx, UUID(record.subjects["connection"]), record.count)
        elif record.what == Gone.PROVIDER and record.organization_id is not None:
            await remove_again(tx, keyring, record.organization_id, UUID(record.subjects["provider"]))
        elif record.what == Gone.CONSENT:
            await _refuse_again(tx, keyring, record)
        await _remember(tx, record)
    return Applied(members, keys, await _sign_everybody_out(tx))


def _ids(record: Record, name: str) -> list[UUID]:
    return [UUID(one) for one in record.subjects[name]]


async def _close_again(tx: Transaction, keyring: Keyring, record: Record) -> None:
    connection_id = UUID(record.subjects["connection"])
    if record.organization_id and await connection_of(tx, record.organization_id, connection_id) is not None:
        await close(tx, keyring, record.organization_id, connection_id)


async def _refuse_again(tx: Transaction, keyring: Keyring, record: Record) -> None:
    """A member's no, unless the backup knows of it, or of a later yes. A yes after it that the backup lacks is asked for anew."""
    member_id, connection_id = UUID(record.subjects["member"]), UUID(record.subjects["connection"])
    last = await last_consent(tx, member_id, connection_id)
    found = await member(tx, record.organization_id, member_id) if record.organization_id else None
    if found is None or found.erased_at is not None or last is None or not last.given or last.decided_at > record.at:
        return
    await record_consent(tx, keyring, found, connection_id, given=False, source="restore", actor=SYSTEM, since=record.at)


async def _remember(tx: Transaction, record: Record) -> None:
    if (await tx.execute(select(Deletion.id).where(Deletion.id == record.id))).first() is None:
        tx.add(Deletion(**record.model_dump()))


async def _sign_everybody_out(tx: Transaction) -> int:
    """Nobody knows which sessions, links and tokens were ended after the backup, so none of them is good any more."""
    now, ended = clock.now(), 0
    for statement in (
        update(Session).where(Session.ended_at.is_(None)).values(ended_at=now),
        update(SignInLink).where(SignInLink.spent_at.is_(None)).values(spent_at=now),
        update(ApiToken).where(ApiToken.revoked_at.is_(None)).values(revoked_at=now),
    ):
        ended += len((await tx.execute(statement.returning(statement.table.c.id))).all())
    # A recovery that was stopped since, and a browser that is no longer its owner's, must not come back either.
    await tx.execute(delete(KnownBrowser))
    await tx.execute(update(Recovery).where(Recovery.stopped_at.is_(None), Recovery.spent_at.is_(None)).values(stopped_at=now))
    # Whoever held these leases is gone.
    await tx.execute(update(ConsumerState).values(lease_owner=None, lease_until=None))
    return ended
