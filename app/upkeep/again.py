"""Do again, in a restored database, what must not have been undone: erasures, destroyed keys, and everybody's signing out."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, update

from app.access.models import ApiToken, Session, SignInLink
from app.intake.repository import destroy_keys_again
from app.kit import clock
from app.kit.database import Transaction
from app.kit.errors import Problem
from app.kit.keyring import Keyring
from app.kit.outbox import ConsumerState
from app.ledger.deletions import Gone
from app.ledger.models import Deletion
from app.members.erasing import erase_again
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
            receipts, events = (list(map(UUID, record.subjects[name])) for name in ("receipts", "events"))
            await destroy_keys_again(tx, UUID(record.subjects["connection"]), receipts, events)
            keys += len(receipts) + len(events)
        await _remember(tx, record)
    return Applied(members, keys, await _sign_everybody_out(tx))


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
    # Whoever held these leases is gone.
    await tx.execute(update(ConsumerState).values(lease_owner=None, lease_until=None))
    return ended
