"""What a receipt and an event hold, sealed under keys of their own."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import msgspec

from app.intake.models import Event, Receipt
from app.kit import crypto
from app.kit.database import Transaction
from app.kit.door_keys import Keeping
from app.kit.keyring import Keyring, Lane
from connectors.asking import Asked

SALT_BYTES = 32
_SEALED, _HEADERS, _ASKED = [crypto.place("receipt", column) for column in ("sealed", "headers", "asked")]
_json = msgspec.json.Encoder().encode


@dataclass(slots=True)
class SealedReceipt:
    """A body, its headers and what it was asked with, sealed; `salt`, for the ledger's commitment, is in with the body."""

    salt: bytes
    sealed: bytes
    headers_sealed: bytes
    asked_sealed: bytes | None
    wrapped_key: bytes


def seal_receipt(keys: Keeping, receipt_id: UUID, body: bytes, headers: Mapping[str, str], asked: Asked) -> SealedReceipt:
    """Seal a delivery under a fresh key. Whoever does need not be able to open it again, and at the door is not."""
    row, key, salt = crypto.place(receipt_id), crypto.new_key(), crypto.new_key()
    sealer = crypto.Sealer(key)
    return SealedReceipt(
        salt=salt,
        sealed=sealer.seal(salt + body, _SEALED + row),
        headers_sealed=sealer.seal(_json(dict(headers)), _HEADERS + row),
        asked_sealed=sealer.seal(json.dumps(dict(asked)).encode(), _ASKED + row) if asked else None,
        wrapped_key=keys.put_in_slot(key, "receipt", receipt_id),
    )


async def open_body(tx: Transaction, keyring: Keyring, receipt: Receipt) -> bytes | None:
    """The bytes exactly as they came; None when the receipt's key is destroyed."""
    return None if receipt.wrapped_key is None else (await open_whole(tx, keyring, receipt))[1]


async def open_whole(tx: Transaction, keyring: Keyring, receipt: Receipt) -> tuple[bytes, bytes]:
    """The salt of the receipt's ledger entry, and the bytes exactly as they came. Only for one whose key is there."""
    key = await keyring.unwrap(tx, receipt.organization_id, receipt.wrapped_key or b"", "receipt", receipt.id)
    whole = crypto.unseal(key, receipt.sealed, crypto.place("receipt", "sealed", receipt.id))
    return whole[:SALT_BYTES], whole[SALT_BYTES:]


@dataclass(frozen=True)
class Remains:
    """What is left of a body that a contract did not let us keep: enough to show that it was this one, and when it came."""

    body_sha256: str
    salt: str


async def erase_body(tx: Transaction, keyring: Keyring, receipt: Receipt) -> None:
    """Destroy a receipt's key after its hash was put aside. Nothing happens when it is destroyed already."""
    if receipt.wrapped_key is None:
        return
    salt, body = await open_whole(tx, keyring, receipt)
    remains = {"body_sha256": hashlib.sha256(body).hexdigest(), "salt": salt.hex()}
    text = json.dumps(remains)
    receipt.remains_sealed = await keyring.seal(tx, receipt.organization_id, Lane.FACTUAL, text, *_remains_at(receipt))
    receipt.wrapped_key, receipt.sealed, receipt.headers_sealed, receipt.asked_sealed = None, b"", b"", None


async def body_hash(tx: Transaction, keyring: Keyring, receipt: Receipt) -> str | None:
    """SHA-256 of the body in hex, also of one that a contract's term has taken; None after an erasure."""
    if receipt.wrapped_key is None and receipt.remains_sealed is not None:
        return (await open_remains(tx, keyring, receipt)).body_sha256
    body = await open_body(tx, keyring, receipt)
    return hashlib.sha256(body).hexdigest() if body is not None else None


async def open_remains(tx: Transaction, keyring: Keyring, receipt: Receipt) -> Remains:
    """What `erase_body` put aside."""
    text = await keyring.unseal(tx, receipt.organization_id, Lane.FACTUAL, receipt.remains_sealed or b"", *_remains_at(receipt))
    return Remains(**json.loads(text))


def _remains_at(receipt: Receipt) -> tuple[object, ...]:
    return ("receipt", "remains_sealed", receipt.id)


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


async def seal_event(
    tx: Transaction, keyring: Keyring, organization_id: UUID, event_id: UUID, copy: bytes
) -> tuple[bytes, bytes]:
    """Seal what an event holds, as JSON, under a fresh key: `(sealed, wrapped_key)`."""
    key, wrapped = await keyring.wrap_new(tx, organization_id, "event", event_id)
    return crypto.seal(key, copy, crypto.place("event", "sealed", event_id)), wrapped


async def seal_again(tx: Transaction, keyring: Keyring, event: Event, value: Any) -> None:
    """Put another value into an event's own copy, under the key that it has. Only for one whose key is there."""
    key = await keyring.unwrap(tx, event.organization_id, event.wrapped_key or b"", "event", event.id)
    event.sealed = crypto.seal(key, json.dumps(value).encode(), crypto.place("event", "sealed", event.id))


class SealedItem(Protocol):
    """What of an event is needed to open it."""

    @property
    def id(self) -> UUID:
        """The event's id."""

    @property
    def organization_id(self) -> UUID:
        """Whose key wraps the event's."""

    @property
    def sealed(self) -> bytes | None:
        """The item; None when nothing of it is kept."""

    @property
    def wrapped_key(self) -> bytes | None:
        """The event's key; None when it is destroyed."""


async def open_event(tx: Transaction, keyring: Keyring, event: Event | SealedItem) -> dict[str, Any] | None:
    """What an event holds (`type`, `id`, `body`, `alert`); None when its key is destroyed."""
    copy = await open_copy(tx, keyring, event)
    opened: dict[str, Any] | None = None if copy is None else json.loads(copy)
    return opened


async def open_copy(tx: Transaction, keyring: Keyring, event: Event | SealedItem) -> bytes | None:
    """What an event holds, as JSON; None when its key is destroyed."""
    if event.wrapped_key is None or event.sealed is None:
        return None
    key = await keyring.unwrap(tx, event.organization_id, event.wrapped_key, "event", event.id)
    return crypto.unseal(key, event.sealed, crypto.place("event", "sealed", event.id))
