"""What an admin does with a connection that is there: pause, replace what proves deliveries, change settings, close.

Each act holds the connection's row, so that two admins follow one another, and leaves its entry in the ledger.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from app.connections import polls, repository
from app.connections.models import Connection
from app.connections.raw_terms import check_term, set_term
from app.connections.service import Created, add_secret, open_secrets, refused, webhook_secret
from app.connections.settings import changed, checked, moved, open_settings, plain, require_address, seal
from app.kit import clock
from app.kit.crypto import token_hash
from app.kit.database import Transaction
from app.kit.errors import Problem, not_found
from app.kit.keyring import Keyring
from app.ledger.deletions import Gone, note_deletion
from app.ledger.service import SYSTEM, Act, Actor, append
from connectors.contract import Connector, ConnectorConfig
from connectors.registry import registry
from connectors.verifiers import NotSigned

OVERLAP_HOURS = 24
LONGEST_OVERLAP_HOURS = 30 * 24
CLOSED = "This connection was removed. Nothing about it can be changed any more."


def connector_of(connection: Connection) -> Connector:
    """The connector of a connection. Raises a 409 Problem when it is not installed here."""
    found = registry().get(connection.connector)
    if found is None:
        raise Problem(409, "The connector of this connection is not installed. Install it again, then retry.")
    return found


def version_of(connection: Connection) -> str:
    """A word that is another one as soon as the name, the settings or the freshness of a connection change."""
    said = f"{connection.title}\0{connection.fresh_hours}\0{connection.raw_days}\0".encode() + (connection.config_sealed or b"")
    return hashlib.sha256(said).hexdigest()[:16]


async def _held(tx: Transaction, organization_id: UUID, connection_id: UUID) -> Connection:
    """The connection, held for this transaction. Raises a 404, or a 409 Problem when it is closed."""
    found = await repository.connection_of(tx, organization_id, connection_id, lock=True)
    if found is None:
        raise not_found()
    if found.closed_at is not None:
        raise Problem(409, CLOSED)
    return found


async def _note(tx: Transaction, keyring: Keyring, row: Connection, actor: Actor, change: str, **facts: Any) -> None:
    said = {"change": change, **facts}
    await append(tx, keyring, row.organization_id, Act.CONNECTION, facts=said, actor=actor, connection=row.id)


async def pause(
    tx: Transaction, keyring: Keyring, organization_id: UUID, connection_id: UUID, actor: Actor = SYSTEM
) -> Connection:
    """Ask nothing any more; what is sent is still taken in. A question under way writes nothing more. Raises 404, 409."""
    row = await _held(tx, organization_id, connection_id)
    if row.paused_at is None:
        row.paused_at = clock.now()
        await repository.end_turn(tx, row.id)
        await _note(tx, keyring, row, actor, "paused")
    return row


async def resume(
    tx: Transaction, keyring: Keyring, organization_id: UUID, connection_id: UUID, actor: Actor = SYSTEM
) -> Connection:
    """Ask again, from where it was left; what fell due meanwhile is asked at once. Raises a 404 or 409 Problem."""
    row = await _held(tx, organization_id, connection_id)
    if row.paused_at is not None:
        row.paused_at = None
        await _note(tx, keyring, row, actor, "resumed")
    return row


async def close(
    tx: Transaction, keyring: Keyring, organization_id: UUID, connection_id: UUID, actor: Actor = SYSTEM
) -> Connection:
    """End a connection for good: its address answers 410, nobody is asked, secrets and settings are destroyed.

    All that came over it stays. Closing again changes nothing. Raises a 404 Problem.
    """
    row = await repository.connection_of(tx, organization_id, connection_id, lock=True)
    if row is None:
        raise not_found()
    if row.closed_at is None:
        now = clock.now()
        row.closed_at, row.config_sealed, row.sources_sealed = now, None, None
        await repository.retire_secrets(tx, row.id, now, now)
        await repository.end_turn(tx, row.id)
        note_deletion(tx, organization_id, Gone.CONNECTION, 1, "closed", {"connection": row.id}, actor)
        await _note(tx, keyring, row, actor, "closed", destroyed="secrets and settings")
    return row


async def rotate_secret(
    tx: Transaction,
    keyring: Keyring,
    organization_id: UUID,
    connection_id: UUID,
    *,
    secret: str | None = None,
    overlap_hours: int = OVERLAP_HOURS,
    actor: Actor = SYSTEM,
) -> Created:
    """A new secret for deliveries: the one given, or one made here. Those before it are good for the overlap, 0: no more.

    Raises a 404, 409 or 422 Problem.
    """
    row = await _held(tx, organization_id, connection_id)
    connector = connector_of(row)
    if connector.webhook is None or isinstance(connector.webhook.verifier, NotSigned):
        raise Problem(409, "This provider signs nothing, so there is no secret to replace. Make a new address instead.")
    value = webhook_secret(connector, secret) or ""
    if any(hmac.compare_digest(known.value.encode(), value.encode()) for known in await open_secrets(tx, keyring, row)):
        raise refused("secret", "This secret is in use already. Give another one, or leave it out.")
    now = clock.now()
    new = await add_secret(tx, keyring, row, value)
    await repository.retire_secrets(tx, row.id, now + timedelta(hours=overlap_hours), now, but=new)
    await _note(tx, keyring, row, actor, "new secret", overlap_hours=overlap_hours)
    return Created(row, "", value)


async def new_address(
    tx: Transaction,
    keyring: Keyring,
    organization_id: UUID,
    connection_id: UUID,
    *,
    overlap_hours: int = OVERLAP_HOURS,
    actor: Actor = SYSTEM,
) -> Created:
    """A new webhook address. The one before it is taken for the overlap, 0: no more. Raises a 404 or 409 Problem."""
    row = await _held(tx, organization_id, connection_id)
    if connector_of(row).webhook is None:
        raise Problem(409, "This provider sends nothing by itself, so there is no address to replace.")
    now = clock.now()
    if overlap_hours and row.previous_token_until is not None and row.previous_token_until > now:
        raise Problem(409, "The address before this one is still being taken. First say that it no longer is, then retry.")
    token = secrets.token_urlsafe(24)
    row.previous_token_hash = row.token_hash if overlap_hours else None
    row.previous_token_until = now + timedelta(hours=overlap_hours) if overlap_hours else None
    row.token_hash = token_hash(token)
    await _note(tx, keyring, row, actor, "new address", overlap_hours=overlap_hours)
    return Created(row, f"/webhooks/{row.id}/{token}", "")


async def retire_old(
    tx: Transaction, keyring: Keyring, organization_id: UUID, connection_id: UUID, actor: Actor = SYSTEM
) -> Connection:
    """End every overlap now: only the newest secret and address are taken. Raises a 404 or 409 Problem."""
    row = await _held(tx, organization_id, connection_id)
    now = clock.now()
    valid = await repository.secrets_of(tx, row.id, now)
    if len(valid) > 1 or row.previous_token_hash is not None:
        await repository.retire_secrets(tx, row.id, now, now, but=valid[0].id if valid else None)
        row.previous_token_hash = row.previous_token_until = None
        await _note(tx, keyring, row, actor, "old secrets and addresses retired")
    return row


async def change(
    tx: Transaction,
    keyring: Keyring,
    organization_id: UUID,
    connection_id: UUID,
    *,
    wanted: Mapping[str, Any],
    version: str | None = None,
    actor: Actor = SYSTEM,
) -> Connection:
    """Change `title`, `fresh_hours`, `raw_days` (None: as the connector says) and `settings` (some of them), what is in `wanted`.

    `raw_days` longer than the connector's term must come with `longer_by_contract`, or is refused.
    `version`: what the admin looked at. Raises a 404, a 409 when it has changed since, or a 422 Problem.
    """
    row = await _held(tx, organization_id, connection_id)
    if version is not None and version != version_of(row):
        raise Problem(409, "Somebody has changed this connection meanwhile. Look at it again, then retry.")
    # What may be refused comes first: then nothing else may have changed.
    term = _term_wanted(row, wanted)
    facts = await _change_settings(tx, keyring, row, wanted["settings"]) if wanted.get("settings") else {}
    for name in ("title", "fresh_hours"):
        if name in wanted and wanted[name] != getattr(row, name):
            setattr(row, name, wanted[name])
            facts[name] = wanted[name]
    if term:
        facts |= term
        set_term(tx, row, wanted["raw_days"], actor)
    if facts:
        await _note(tx, keyring, row, actor, "changed", **facts)
    return row


def _term_wanted(row: Connection, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What the ledger is to say about another term of raw data; nothing: it stays. Raises a 422 Problem."""
    days = wanted.get("raw_days", row.raw_days)
    if days == row.raw_days:
        return {}
    by_contract = bool(wanted.get("longer_by_contract"))
    check_term(connector_of(row), days, longer_by_contract=by_contract)
    return {"raw_days": days, "longer_by_contract": by_contract}


async def _change_settings(tx: Transaction, keyring: Keyring, row: Connection, given: Mapping[str, Any]) -> dict[str, Any]:
    """Seal the new settings and have the provider asked with them at once, from the beginning where the address is another.

    Returns the names of what is other now, for the ledger.
    """
    connector = connector_of(row)
    before = await _before(tx, keyring, row, connector)
    after = checked(connector, given) if before is None else changed(connector, before, given)
    was = {} if before is None else plain(before)
    names = sorted(name for name, value in plain(after).items() if name not in was or was[name] != value)
    if not names:
        return {}
    require_address(connector, after)
    await seal(tx, keyring, row, connector, after)
    elsewhere = before is None or moved(before, after)
    await repository.end_turn(tx, row.id)
    await _due(tx, row, connector, sweep=elsewhere)
    return {"settings": names, "address_moved": elsewhere}


async def _before(tx: Transaction, keyring: Keyring, row: Connection, connector: Connector) -> ConnectorConfig | None:
    """The settings as they are; None when the connector no longer takes them, so that all must be given anew."""
    try:
        return await open_settings(tx, keyring, row, connector)
    except Problem:
        return None


async def _due(tx: Transaction, row: Connection, connector: Connector, *, sweep: bool) -> None:
    now = clock.now()
    await repository.stop_waiting(tx, row.id)
    if connector.poll is not None or (sweep and connector.looks_up):
        await polls.ask_now(tx, row.id, now, sweep=sweep)
    if connector.looks_up:
        await polls.look_ups_due(tx, row.id, now)


async def ask_now(
    tx: Transaction,
    keyring: Keyring,
    organization_id: UUID,
    connection_id: UUID,
    *,
    sweep: bool = False,
    actor: Actor = SYSTEM,
) -> Connection:
    """Let the provider be asked at once, whatever it waits for; `sweep`: for everything. Raises a 404 or 409 Problem.

    The worker asks, not this request.
    """
    row = await _held(tx, organization_id, connection_id)
    connector = connector_of(row)
    if connector.poll is None and not connector.looks_up:
        raise Problem(409, "This provider sends by itself; there is nothing to ask it.")
    if row.paused_at is not None:
        raise Problem(409, "This connection is paused. Let it go on first, then ask.")
    await _due(tx, row, connector, sweep=sweep)
    await _note(tx, keyring, row, actor, "asked by hand", sweep=sweep)
    return row
