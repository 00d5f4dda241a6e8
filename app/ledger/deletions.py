"""Nothing is deleted without a row that says who, what and why, written in the transaction of the deletion."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from uuid import UUID

from app.kit import clock
from app.kit.database import Transaction
from app.ledger.models import Deletion
from app.ledger.service import SYSTEM, Actor


class Gone(StrEnum):
    """What was deleted. MEMBER: a person's key and what names them. KEYS: of receipts and events. BODY: a contract's raw data.

    TERM: none yet, but after how many days (`count`; 0: as its connector says) a connection's raw data goes from now on.
    CONNECTION: the settings of one that was closed. SECRET: of one, replaced or leaked. CONSENT: a member's yes, taken back; the
    answers themselves all stay. PROVIDER: an organization's own sign-in. PACKET: its files and their key; or an order that nobody
    went on with. The others are classes of rows whose term was over.
    """

    MEMBER = "member"
    KEYS = "keys"
    BODY = "body"
    SESSION = "session"
    SIGN_IN_LINK = "sign_in_link"
    API_TOKEN = "api_token"  # noqa: S105 - a word, no password
    LETTER = "letter"
    REFUSAL = "refusal"
    MESSAGE = "message"
    ALARM = "alarm"
    CONNECTION = "connection"
    CONSENT = "consent"
    SECRET = "secret"  # noqa: S105 - a word, no password
    PROVIDER = "provider"
    TERM = "term"
    PACKET = "packet"


STAYS_GONE = frozenset({Gone.MEMBER, Gone.KEYS, Gone.CONNECTION, Gone.CONSENT, Gone.SECRET, Gone.PROVIDER, Gone.TERM})
"""What must not come back with an old backup: nothing in the restored rows says that its time is over."""


def note_deletion(
    tx: Transaction,
    organization_id: UUID | None,
    what: Gone,
    count: int,
    reason: str,
    subjects: Mapping[str, UUID | Collection[UUID]] | None = None,
    actor: Actor = SYSTEM,
) -> None:
    """Write one row about a deletion. `count`: how many rows or persons; `subjects`: their ids, by what they are."""
    named = {
        name: str(value) if isinstance(value, UUID) else sorted(str(one) for one in value)
        for name, value in (subjects or {}).items()
    }
    tx.add(
        Deletion(
            organization_id=organization_id,
            what=what,
            count=count,
            reason=reason,
            subjects=named,
            actor_id=actor.id,
            actor_role=actor.role,
            at=clock.now(),
        )
    )
