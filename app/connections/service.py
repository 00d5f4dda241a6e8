"""Use cases of connections: set one up, and find what a delivery claims to be for."""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from app.connections import repository
from app.connections.models import Connection, ConnectionSecret, Poll, PollState
from app.connections.settings import checked, open_settings, open_sources, require_address, seal, sources_setting
from app.kit import clock
from app.kit.crypto import KeysAway, token_hash
from app.kit.database import Transaction
from app.kit.door_keys import AtTheDoor
from app.kit.errors import RETRY_SECONDS, FieldError, Problem
from app.kit.ids import uuid7
from app.kit.indexes import OF_A_CONNECTION
from app.kit.keyring import Keyring
from app.ledger.service import SYSTEM, Act, Actor, append
from app.members.repository import lock_organization
from connectors.contract import Connector, Sender, WebhookPlan
from connectors.registry import registry
from connectors.verifiers import NotSigned, Secret, asked_for, new_secret

OWN = "own"
"""The connector by which members report something themselves. An organization has one open connection of it."""


@dataclass(frozen=True)
class Created:
    """A new connection with what is shown once: the path of its webhook address and its secret; empty where it has none."""

    connection: Connection
    path: str
    secret: str


@dataclass(frozen=True, slots=True)
class Origin:
    """What a receipt takes from the connection that it came by. Read a thousand times a second, so no row of the ORM."""

    id: UUID
    organization_id: UUID
    sender: Sender
    revision: int
    index_version: int

    @staticmethod
    def of(connection: Connection) -> "Origin":
        """The connection as it is now."""
        sender = Sender(connection.sender)
        return Origin(connection.id, connection.organization_id, sender, connection.revision, connection.index_version)


@dataclass(slots=True)
class Addressed:
    """The connection that a delivery is addressed to, with what it takes to check it and to keep it."""

    origin: Origin
    is_closed: bool
    plan: WebhookPlan
    secrets: tuple[Secret, ...] = field(repr=False)
    keys: AtTheDoor = field(repr=False)
    sources: tuple[IPv4Network | IPv6Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Address:
    """What the tokens of a connection's webhook address are known by: the one that is good, and for a while the one before."""

    token_hash: bytes
    previous_hash: bytes | None
    previous_until: datetime | None

    @staticmethod
    def of(connection: Connection) -> "Address":
        """The connection's own."""
        return Address(connection.token_hash, connection.previous_token_hash, connection.previous_token_until)


@dataclass(frozen=True, slots=True)
class Door:
    """One connection as deliveries find it, in the state of `origin.revision`.

    `secrets`: each with the moment from which it is no longer taken; None: still good.
    """

    origin: Origin
    address: Address = field(repr=False)
    is_closed: bool
    connector: Connector
    keys: AtTheDoor = field(repr=False)
    secrets: tuple[tuple[Secret, datetime | None], ...] = field(default=(), repr=False)
    sources: tuple[IPv4Network | IPv6Network, ...] = ()

    def addressed(self, token: str) -> Addressed | None:
        """What this token gives access to, now; None for a wrong token, or where nothing is taken in by push."""
        now = clock.now()
        if not _is_addressed(self.address, token, now) or self.connector.webhook is None:
            return None
        good = tuple([secret for secret, until in self.secrets if until is None or until > now])
        return Addressed(self.origin, self.is_closed, self.connector.webhook, good, self.keys, self.sources)


def refused(name: str, message: str) -> Problem:
    """A 422 about one field of the request."""
    return Problem(422, message, errors=[FieldError(field=f"body.{name}", message=message)])


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
        raise refused("connector", f"There is no such connector. Choose from: {', '.join(registry())}.")
    if connector == OWN and await repository.open_one(tx, organization_id, OWN) is not None:
        raise refused("connector", "There is one already: it was made when the first member reported something.")
    await _require_place(tx, organization_id, known)
    value = webhook_secret(known, secret)
    config = checked(known, settings or {})
    require_address(known, config)
    token = secrets.token_urlsafe(24)
    row = Connection(
        id=uuid7(),
        organization_id=organization_id,
        connector=connector,
        title=title,
        sender=sender,
        token_hash=token_hash(token),
        created_at=clock.now(),
        index_version=(await keyring.refreshed(tx, organization_id)).index_version(OF_A_CONNECTION[0]),
    )
    await seal(tx, keyring, row, known, config)
    tx.add(row)
    await tx.flush()
    if value is not None:
        await add_secret(tx, keyring, row, value)
    if known.poll is not None or known.looks_up:
        tx.add(_poll(row, known))
    facts = {"change": "created", "connector": connector, "sender": sender}
    await append(tx, keyring, organization_id, Act.CONNECTION, facts=facts, actor=actor, connection=row.id)
    return Created(row, f"/webhooks/{row.id}/{token}" if known.webhook else "", value or "")


async def own_connection(tx: Transaction, keyring: Keyring, organization_id: UUID, actor: Actor) -> Connection:
    """The connection over which an organization's members report something themselves; it is made when it is first asked for."""
    known = await repository.open_one(tx, organization_id, OWN)
    if known is not None:
        return known
    try:
        async with tx.begin_nested():
            title, sender = registry()[OWN].title, Sender.PROVIDER
            made = await create_connection(tx, keyring, organization_id, connector=OWN, title=title, sender=sender, actor=actor)
    except IntegrityError:  # somebody else's first report came at the same moment: an organization has one
        known = await repository.open_one(tx, organization_id, OWN)
        if known is None:
            raise
        return known
    return made.connection


async def _require_place(tx: Transaction, organization_id: UUID, connector: Connector) -> None:
    """What is handed on has one place to go to, and that is there first. Raises a 422 Problem."""
    target = connector.hands_on_to
    if target not in (None, connector.name) and await repository.open_one(tx, organization_id, target or "") is None:
        known = registry().get(target or "")
        title = known.title if known else target
        raise refused("connector", f"What comes by this is read by the connection “{title}”. Set that one up first.")
    if any(one.hands_on_to == connector.name for one in registry().values()):
        await lock_organization(tx, organization_id)
        if await repository.open_one(tx, organization_id, connector.name) is not None:
            raise refused("connector", "There is one already, and what others hand on comes to that one.")


def webhook_secret(connector: Connector, given: str | None) -> str | None:
    """The secret that deliveries will prove themselves with: the one given, a new one, or none where nothing is signed.

    Raises a 422 Problem for one that proves nothing.
    """
    verifier = connector.webhook.verifier if connector.webhook else None
    if verifier is None or isinstance(verifier, NotSigned):
        if given:
            raise refused("secret", "This provider signs nothing: leave the secret out.")
        return None
    value = given or new_secret(verifier)
    if value is None:
        raise refused("secret", f"This sender proves its deliveries by what only it can make. Give {asked_for(verifier)}.")
    if not verifier.usable(Secret("new", value)):
        wanted = asked_for(verifier)
        instead = f"Give {wanted}." if wanted else "Copy it again from the sender, or leave it out."
        raise refused("secret", f"This secret proves nothing. {instead}")
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


async def add_secret(tx: Transaction, keyring: Keyring, connection: Connection, value: str) -> UUID:
    """Add a secret beside those that are valid already; returns its id."""
    secret_id = uuid7()
    keys = await keyring.for_writing(tx, connection.organization_id)
    sealed = keys.seal_for_door(value.encode(), "connection_secret", connection.id, secret_id)
    tx.add(ConnectionSecret(connection_id=connection.id, id=secret_id, sealed=sealed, created_at=clock.now()))
    await tx.flush()
    return secret_id


async def open_secrets(tx: Transaction, keyring: Keyring, connection: Connection) -> tuple[Secret, ...]:
    """The secrets that are valid now, newest first, in plain."""
    rows = await repository.secrets_of(tx, connection.id, clock.now())
    keys = await keyring.refreshed(tx, connection.organization_id)
    return tuple([_open_secret(keys, row) for row in rows])


def _open_secret(keys: AtTheDoor, row: ConnectionSecret) -> Secret:
    return Secret(str(row.id), keys.open_for_door(row.sealed, "connection_secret", row.connection_id, row.id).decode())


def _canonical_id(text: str) -> UUID:
    """The id that is spelled exactly so: UUID() also takes capitals, braces and no dashes. The nil id for anything else."""
    try:
        parsed = UUID(text)
    except ValueError:
        return UUID(int=0)
    return parsed if str(parsed) == text else UUID(int=0)


def _is_addressed(address: Address, token: str, now: datetime) -> bool:
    """Whether the token is the connection's own, or the one before it while that is still taken. Takes as long either way."""
    given = token_hash(token)
    now_good = hmac.compare_digest(given, address.token_hash)
    once_good = hmac.compare_digest(given, address.previous_hash or bytes(32))
    until = address.previous_until
    return now_good or (once_good and until is not None and until > now)


async def door_of(tx: Transaction, keyring: Keyring, connection_id: str, *, by_top_key: bool = False) -> Door | None:
    """The door of a connection, whatever its id is said to be; None when there is no such connection.

    It is opened by the door's key; `by_top_key`: by that one, which opens too what the door was not handed over yet. Raises a 503
    Problem while its connector is not installed: the sender is to try again. Raises KeysAway, and Unreadable.
    """
    find = repository.connection if by_top_key else repository.connection_at_the_door
    found = await find(tx, _canonical_id(connection_id))
    if found is None:
        return None
    connector = registry().get(found.connector)
    if connector is None:
        raise Problem(503, "This cannot be taken in just now. Send it again.", headers={"Retry-After": RETRY_SECONDS})
    keys = await _keys_at_the_door(tx, keyring, found.organization_id, by_top_key=by_top_key)
    closed = found.closed_at is not None
    if closed or connector.webhook is None:
        return Door(Origin.of(found), Address.of(found), closed, connector, keys)
    rows = await repository.secrets_of(tx, found.id, clock.now())
    opened = tuple([(_open_secret(keys, row), row.retired_at) for row in rows])
    name = sources_setting(connector)
    if name is None:
        sources: tuple[IPv4Network | IPv6Network, ...] = ()
    elif by_top_key:
        sources = tuple(getattr(await open_settings(tx, keyring, found, connector), name))
    else:
        sources = open_sources(keys, found)
    return Door(Origin.of(found), Address.of(found), closed, connector, keys, opened, sources)


async def _keys_at_the_door(tx: Transaction, keyring: Keyring, organization_id: UUID, *, by_top_key: bool) -> AtTheDoor:
    if by_top_key:
        return await keyring.refreshed(tx, organization_id)
    if keyring.door is None:
        raise KeysAway("the door has no key of its own")
    return await keyring.door.opened(tx, organization_id)
