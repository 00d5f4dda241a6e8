"""What a service asks an admin who connects it: whether it may send here. It is about nobody, so an admin may read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select

from app.connections.models import Connection
from app.intake.models import Event, EventOutcome
from app.intake.sealing import open_event
from app.intake.understanding import FOR_A_PERSON, as_raw
from app.kit import clock
from app.kit.database import Transaction
from app.kit.keyring import Keyring
from connectors.carried_mail import CarriedMail
from connectors.registry import registry

ASKED_WITHIN = timedelta(days=3)
"""An address by which SNS is answered is good for so long."""

MOST = 20


@dataclass(frozen=True, slots=True)
class Question:
    """One question: in our words, and what the service says, by name. The latter is the service's text."""

    words: str
    said: Mapping[str, str]


async def questions_of(tx: Transaction, keyring: Keyring, connection: Connection) -> list[Question]:
    """What waits for an answer that can still be given, newest first; the same question once."""
    connector = registry().get(connection.connector)
    if not isinstance(connector, CarriedMail) or not connector.questions:
        return []
    query = select(Event).where(
        Event.organization_id == connection.organization_id,
        Event.connection_id == connection.id,
        Event.outcome == EventOutcome.QUARANTINED,
        Event.path == FOR_A_PERSON,
        Event.received_at > clock.now() - ASKED_WITHIN,
    )
    found: list[Question] = []
    for row in (await tx.execute(query.order_by(Event.id.desc()).limit(MOST))).scalars():
        copy = await open_event(tx, keyring, row)
        event = as_raw(copy) if copy else None
        if event is not None and event.event_type in connector.questions:
            question = Question(connector.left[event.event_type], connector.shown(event))
            found += [] if question in found else [question]
    return found
