"""What a receipt and an event hold, sealed under keys of their own."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.intake.models import Event, Receipt
from app.kit import crypto
from app.kit.database import Transaction
from app.kit.keyring import Keyring
from connectors.asking import Asked

SALT_BYTES = 32


@dataclass(frozen=True)
class SealedReceipt:
    """A body, its headers and what it was asked with, sealed; `salt`, for the ledger's commitment, is in with the body."""

    salt: bytes
    sealed: bytes
    headers_sealed: bytes
    asked_sealed: bytes | None
    wrapped_key: bytes


async def seal_receipt(
    tx: Transaction,
    keyring: Keyring,
    organization_id: UUID,
    receipt_id: UUID,
    body: bytes,
    headers: dict[str, str],
    asked: Asked,
) -> SealedReceipt:
    """Seal a delivery under a fresh key, wrapped by the organization's."""
    key, wrapped = await keyring.wrap_new(tx, organization_id, "receipt", receipt_id)
    salt = crypto.new_key()
    return SealedReceipt(
        salt=salt,
        sealed=crypto.seal(key, salt + body, crypto.place("receipt", "sealed", receipt_id)),
        headers_sealed=crypto.seal(key, json.dumps(headers).encode(), crypto.place("receipt", "headers", receipt_id)),
        asked_sealed=crypto.seal(key, json.dumps(dict(asked)).encode(), crypto.place("receipt", "asked", receipt_id))
        if asked
        else None,
        wrapped_key=wrapped,
    )


async def open_body(tx: Transaction, keyring: Keyring, receipt: Receipt) -> bytes | None:
    """The bytes exactly as they came; None when the receipt's key is destroyed."""
    if receipt.wrapped_key is None:
        return None
    key = await keyring.unwrap(tx, receipt.organization_id, receipt.wrapped_key, "receipt", receipt.id)
    return crypto.unseal(key, receipt.sealed, crypto.place("receipt", "sealed", receipt.id))[SALT_BYTES:]


async def open_asked(tx: Transaction, keyring: Keyring, receipt: Receipt) -> dict[str, str]:
    """What a fetched body was asked with; nothing for one that was sent, or when the receipt's key is destroyed."""
    if receipt.wrapped_key is None or receipt.asked_sealed is None:
        return {}
    key = await keyring.unwrap(tx, receipt.organization_id, receipt.wrapped_key, "receipt", receipt.id)
    opened: dict[str, str] = json.loads(crypto.unseal(key, receipt.asked_sealed, crypto.place("receipt", "asked", receipt.id)))
    return opened


async def open_headers(tx: Transaction, keyring: Keyring, receipt: Receipt) -> dict[str, str] | None:
    """The headers that the verifier read; None when the receipt's key is destroyed."""
    if receipt.wrapped_key is None:
        return None
    key = await keyring.unwrap(tx, receipt.organization_id, receipt.wrapped_key, "receipt", receipt.id)
    opened: dict[str, str] = json.loads(
        crypto.unseal(key, receipt.headers_sealed, crypto.place("receipt", "headers", receipt.id))
    )
    return opened


async def seal_event(tx: Transaction, keyring: Keyring, organization_id: UUID, event_id: UUID, value: Any) -> tuple[bytes, bytes]:
    """Seal what an event holds under a fresh key: `(sealed, wrapped_key)`."""
    key, wrapped = await keyring.wrap_new(tx, organization_id, "event", event_id)
    return crypto.seal(key, json.dumps(value).encode(), crypto.place("event", "sealed", event_id)), wrapped


async def open_event(tx: Transaction, keyring: Keyring, event: Event) -> dict[str, Any] | None:
    """What an event holds (`type`, `id`, `body`, `alert`); None when its key is destroyed."""
    if event.wrapped_key is None or event.sealed is None:
        return None
    key = await keyring.unwrap(tx, event.organization_id, event.wrapped_key, "event", event.id)
    opened: dict[str, Any] = json.loads(crypto.unseal(key, event.sealed, crypto.place("event", "sealed", event.id)))
    return opened
