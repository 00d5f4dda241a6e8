"""Append to the ledger, in the transaction of the act itself: no act without its entry, no entry without its act."""

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any
from uuid import UUID

from app.kit import canonical, clock, crypto
from app.kit.database import Transaction
from app.kit.ids import uuid7
from app.kit.keyring import Keyring
from app.ledger.models import LedgerEntry


class Act(StrEnum):
    """Every kind of act that leaves an entry."""

    RECEIPT = "receipt"
    NORMALISATION = "normalisation"
    MATCH = "match"
    MERGE = "merge"
    VERDICT = "verdict"
    LINK = "link"
    LOSS = "loss"
    VIEW = "view"
    EXPORT = "export"
    KEY = "key"
    ROLE = "role"
    SIGN_IN = "sign_in"
    CONSENT = "consent"
    ROSTER = "roster"
    CONNECTION = "connection"
    BREACH = "breach"
    RELEASE = "release"
    ERASURE = "erasure"
    HOLD = "hold"
    REPLAY = "replay"


class Actor:
    """Who acts: an account or program with its role, or nobody (the system itself)."""

    def __init__(self, actor_id: UUID | None = None, role: str | None = None) -> None:
        """`actor_id`: the account's or token's id."""
        self.id = actor_id
        self.role = role


SYSTEM = Actor()


def commitment(salt: bytes, facts: dict[str, Any]) -> bytes:
    """SHA-256 over the salt and the facts in canonical form (RFC 8785): binding, and silent without the salt."""
    return hashlib.sha256(salt + canonical.dumps(facts)).digest()


def statement(entry: LedgerEntry, facts: dict[str, Any]) -> dict[str, Any]:
    """Everything that an entry's commitment binds: each of its own fields, and the facts that only the act keeps."""
    return _statement({name: getattr(entry, name) for name in _BOUND}, facts)


_BOUND = ("id", "organization_id", "kind", "member_id", "actor_id", "actor_role", "at", "subjects")


def _statement(entry: Mapping[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "entry": str(entry["id"]),
        "organization": str(entry["organization_id"]),
        "act": str(entry["kind"]),
        "member": str(entry["member_id"]) if entry["member_id"] else None,
        "actor": str(entry["actor_id"]) if entry["actor_id"] else None,
        "role": entry["actor_role"],
        "at": entry["at"].isoformat(),
        "subjects": entry["subjects"],
        "facts": facts,
    }


def entry_row(
    organization_id: UUID,
    act: Act,
    *,
    facts: dict[str, Any],
    salt: bytes,
    entry_id: UUID | None = None,
    actor: Actor = SYSTEM,
    member_id: UUID | None = None,
    **subjects: UUID,
) -> dict[str, Any]:
    """The values of one entry, by column, not yet written. `salt`: 32 bytes."""
    row: dict[str, Any] = {
        "id": entry_id or uuid7(),
        "organization_id": organization_id,
        "kind": act,
        "member_id": member_id,
        "actor_id": actor.id,
        "actor_role": actor.role,
        "subjects": {name: str(value) for name, value in subjects.items()},
        "at": clock.now(),
    }
    row["commitment"] = commitment(salt, _statement(row, facts))
    return row


async def append(
    tx: Transaction,
    keyring: Keyring,
    organization_id: UUID,
    act: Act,
    *,
    facts: dict[str, Any],
    actor: Actor = SYSTEM,
    member_id: UUID | None = None,
    salt: bytes | None = None,
    **subjects: UUID,
) -> UUID:
    """Write one entry and return its id.

    `facts`: JSON values that the commitment binds; `subjects`: ids, kept in plain. `salt`: 32 bytes kept by the act itself
    (sealed with what it proves, so that erasure takes it along); without it the salt is derived from the organization's key.
    """
    entry_id = uuid7()
    if salt is None:
        salt = crypto.keyed_hash((await keyring.opened(tx, organization_id)).sub_key("ledger:salt"), entry_id.bytes)
    row = entry_row(organization_id, act, facts=facts, salt=salt, entry_id=entry_id, actor=actor, member_id=member_id, **subjects)
    tx.add(LedgerEntry(**row))
    return entry_id
