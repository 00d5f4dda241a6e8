"""Use cases of connections: set one up, and find what a delivery claims to be for."""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Any
from uuid import UUID

from app.connections import repository
from app.connections.models import Connection, ConnectionSecret, Poll, PollState
from app.connections.settings import checked, open_settings, seal
from app.kit import clock
from app.kit.crypto import token_hash
from app.kit.database import Transaction
from app.kit.errors import FieldError, Problem
from app.kit.ids import uuid7
from app.kit.keyring import Keyring, Lane
from app.ledger.service import SYSTEM, Act, Actor, append
from connectors.contract import Connector, Sender, WebhookPlan
from connectors.registry import registry
from connectors.verifiers import NotSigned, Secret, new_secret


@dataclass(frozen=True)
class Created:
    """A new connection with what is shown once: the path of its webhook address and its secret; empty where it has none."""

    connection: Connection
    path: str
    secret: str


@dataclass(frozen=True)
class Addressed:
    """The connection that a delivery is addressed to, with what it takes to check it."""

    connection: Connection
    connector: Connector
    plan: WebhookPlan
    secrets: tuple[Secret, ...]
    sources: tuple[IPv4Network | IPv6Network, ...] = ()


def _refused(field: str, message: str) -> Problem:
    return Problem(422, message, errors=[FieldError(field=f"body.{field}", message=message)])


async def create_connection(
    tx: Transaction,
    keyring: Keyring,
    organization_id: UUID,
    *,
    connector: str,
    title: str,
    sender: Sender,
    secret: str | None = None,
    settings: Mapping[str, Any] | None = None,
    actor: Actor = SYSTEM,
) -> Created:
    """Set up a connection; without a secret of the sender's own, one is made. Raises a 422 Problem.

    `settings`: the connector's own, secrets in plain.
    """
    known = registry().get(connector)
    if known is None:
        raise _refused("connector", f"There is no such connector. Choose from: {', '.join(registry())}.")
    value = _webhook_secret(known, secret)
    config = checked(known, settings or {})
    token = secrets.token_urlsafe(24)
    row = Connection(
        id=uuid7(),
        organization_id=organization_id,
        connector=connector,
        title=title,
        sender=sender,
        token_hash=token_hash(token),
        created_at=clock.now(),
    )
    tx.add(row)
    await seal(tx, keyring, row, config)
    await tx.flush()
    if value is not None:
        await add_secret(tx, keyring, row, value)
    if known.poll is not None or known.looks_up:
        tx.add(_poll(row, known))
    facts = {"change": "created", "connector": connector, "sender": sender}
    await append(tx, keyring, organization_id, Act.CONNECTION, facts=facts, actor=actor, connection=row.id)
    return Created(row, f"/webhooks/{row.id}/{token}" if known.webhook else "", value or "")


def _webhook_secret(connector: Connector, given: str | None) -> str | None:
    """The secret that deliveries will prove themselves with: the one given, a new one, or none where nothing is signed."""
    verifier = connector.webhook.verifier if connector.webhook else None
    if verifier is None or isinstance(verifier, NotSigned):
        if given:
            raise _refused("secret", "This provider signs nothing: leave the secret out.")
        return None
    value = given or new_secret(verifier)
    if not verifier.usable(Secret("new", value)):
        raise _refused("secret", "This secret proves nothing. Copy it again from the sender, or leave it out.")
    return value


def _poll(connection: Connection, connector: Connector) -> Poll:
    """The first question is due at once; the first sweep with it, since nothing was asked before."""
    now = clock.now()
    return Poll(
        connection_id=connection.id,
        organization_id=connection.organization_id,
        poll_due_at=now if connector.poll else None,
        sweep_due_at=now if connector.poll else None,
        state=PollState.NEVER,
    )


async def add_secret(tx: Transaction, keyring: Keyring, connection: Connection, value: str) -> None:
    """Add a secret beside those that are valid already."""
    secret_id = uuid7()
    where = ("connection_secret", connection.id, secret_id)
    sealed = await keyring.seal(tx, connection.organization_id, Lane.FACTUAL, value, *where)
    tx.add(ConnectionSecret(connection_id=connection.id, id=secret_id, sealed=sealed, created_at=clock.now()))
    await tx.flush()


def _canonical_id(text: str) -> UUID:
    """The id that is spelled exactly so: UUID() also takes capitals, braces and no dashes. The nil id for anything else."""
    try:
        parsed = UUID(text)
    except ValueError:
        return UUID(int=0)
    return parsed if str(parsed) == text else UUID(int=0)


async def addressed(tx: Transaction, keyring: Keyring, connection_id: str, token: str) -> Addressed | None:
    """The connection of a webhook address; None when id and token do not belong together, whatever they are."""
    found = await repository.connection(tx, _canonical_id(connection_id))
    expected = found.token_hash if found else bytes(32)
    if not hmac.compare_digest(token_hash(token), expected) or found is None:
        return None
    connector = registry()[found.connector]
    if connector.webhook is None:
        return None
    opened = []
    for row in await repository.secrets_of(tx, found.id):
        where = ("connection_secret", found.id, row.id)
        value = await keyring.unseal(tx, found.organization_id, Lane.FACTUAL, row.sealed, *where)
        opened.append(Secret(str(row.id), value))
    sources = await _sources(tx, keyring, found, connector)
    return Addressed(found, connector, connector.webhook, tuple(opened), sources)


async def _sources(
    tx: Transaction, keyring: Keyring, connection: Connection, connector: Connector
) -> tuple[IPv4Network | IPv6Network, ...]:
    """The networks that deliveries may come from; none: any."""
    name = connector.webhook.sources if connector.webhook else None
    if name is None:
        return ()
    return tuple(getattr(await open_settings(tx, keyring, connection, connector), name))
