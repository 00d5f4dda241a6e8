"""Append to the ledger, in the transaction of the act itself: no act without its entry, no entry without its act."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec

from app.kit import canonical, clock
from app.kit.database import Transaction
from app.kit.ids import uuid7, written
from app.kit.keyring import Keyring, OpenedKeys
from app.kit.rows import insert_rows
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


class Sight(StrEnum):
    """What of a member's somebody looked at (`Act.VIEW`), or took along (`Act.EXPORT`), as the entry's commitment binds it."""

    TIMELINE = "timeline"
    INCIDENT = "incident"
    ORIGINAL = "original"
    DOCUMENT = "document"
    LOSSES = "losses"
    MATTER_LIST = "matter list"
    MAIL = "mail"
    ROSTER = "roster"
    PACKET = "packet"
    DOWNLOAD = "packet download"


class Actor:
    """Who acts: an account or program with its role, or nobody (the system itself)."""

    def __init__(self, actor_id: UUID | None = None, role: str | None = None) -> None:
        """`actor_id`: the account's or token's id."""
        self.id = actor_id
        self.role = role


SYSTEM = Actor()
_COLUMNS = ("id", "organization_id", "kind", "member_id", "actor_id", "actor_role", "at", "subjects")


def commitment(salt: bytes, facts: dict[str, Any]) -> bytes:
    """SHA-256 over the salt and the facts in canonical form (RFC 8785): binding, and silent without the salt."""
    return hashlib.sha256(salt + canonical.dumps(facts)).digest()


def statement(entry: LedgerEntry, facts: dict[str, Any]) -> dict[str, Any]:
    """Everything that an entry's commitment binds: each of its own fields, and the facts that only the act keeps."""
    return _stated({name: getattr(entry, name) for name in _COLUMNS}, facts)


def _stated(row: Mapping[str, Any], facts: dict[str, Any] | msgspec.Raw) -> dict[str, Any]:
    return {
        "entry": written(row["id"]),
        "organization": written(row["organization_id"]),
        "act": str(row["kind"]),
        "member": written(row["member_id"]) if row["member_id"] else None,
        "actor": written(row["actor_id"]) if row["actor_id"] else None,
        "role": row["actor_role"],
        "at": _moment(row["at"]),
        "subjects": row["subjects"],
        "facts": facts,
    }


class _Last:
    known: tuple[datetime | None, str] = None, ""


def _moment(moment: datetime) -> str:
    """A moment, written. Entries of one batch of work have it from one object; an equal one may be of another zone."""
    known, text = _Last.known
    if moment is not known:
        text = moment.isoformat()
        _Last.known = moment, text
    return text


async def sight_of(tx: Transaction, keyring: Keyring, entry: LedgerEntry) -> Sight | None:
    """What somebody looked at: the one of the few things that the entry's own commitment binds; None if it binds another.

    The entry itself tells nobody: it takes the organization's key to ask it.
    """
    keys = await keyring.opened(tx, entry.organization_id)
    salt = _derived_salt(keys, entry.id)
    return next((one for one in Sight if commitment(salt, statement(entry, {"what": one.value})) == entry.commitment), None)


async def salt_for(tx: Transaction, keyring: Keyring, entry: LedgerEntry, facts: dict[str, Any]) -> bytes | None:
    """The salt by which anybody can see that an entry binds these facts; None: it binds others, or its salt is its act's own."""
    salt = _derived_salt(await keyring.opened(tx, entry.organization_id), entry.id)
    return salt if binds(entry, salt, facts) else None


def binds(entry: LedgerEntry, salt: bytes, facts: dict[str, Any]) -> bool:
    """Whether an entry's commitment is one to these facts, with this salt."""
    return commitment(salt, statement(entry, facts)) == entry.commitment


def _derived_salt(keys: OpenedKeys, entry_id: UUID) -> bytes:
    return keys.keyed_hash("ledger:salt", entry_id.bytes)


@dataclass(slots=True)
class Entry:
    """One act that is to be written down.

    `facts`: JSON values that the commitment binds, or their canonical form; `subjects`: ids, kept in plain.
    `salt`: 32 bytes kept by the act itself
    (sealed with what it proves, so that erasure takes it along); without it the salt is derived from the organization's key.
    """

    organization_id: UUID
    act: Act
    facts: dict[str, Any] | bytes
    subjects: Mapping[str, UUID] = field(default_factory=dict)
    actor: Actor = SYSTEM
    member_id: UUID | None = None
    salt: bytes | None = None


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
    """Write one entry and return its id; what goes into it is told at `Entry`."""
    keys = {organization_id: await keyring.opened(tx, organization_id)} if salt is None else {}
    row = _row(keys, Entry(organization_id, act, facts, subjects, actor, member_id, salt), clock.now())
    tx.add(LedgerEntry(**row))
    entry_id: UUID = row["id"]
    return entry_id


async def append_many(tx: Transaction, keyring: Keyring, entries: Sequence[Entry]) -> None:
    """Write all entries of a batch of acts by one statement, all of one moment."""
    keys = {one: await keyring.opened(tx, one) for one in {entry.organization_id for entry in entries if entry.salt is None}}
    now = clock.now()
    await insert_rows(tx, LedgerEntry, [_row(keys, entry, now) for entry in entries])


def _row(keys: Mapping[UUID, OpenedKeys], entry: Entry, at: datetime) -> dict[str, Any]:
    entry_id = uuid7()
    salt = entry.salt if entry.salt is not None else _derived_salt(keys[entry.organization_id], entry_id)
    return entry_row(entry, entry_id, salt, at)


def entry_row(entry: Entry, entry_id: UUID, salt: bytes, at: datetime | None = None) -> dict[str, Any]:
    """The values of one entry by column. `salt`: 32 bytes; `at`: when it was done, now if that is not said."""
    row = {
        "id": entry_id,
        "organization_id": entry.organization_id,
        "kind": entry.act,
        "member_id": entry.member_id,
        "actor_id": entry.actor.id,
        "actor_role": entry.actor.role,
        "subjects": {name: written(value) for name, value in entry.subjects.items()},
        "at": at or clock.now(),
    }
    facts = entry.facts if isinstance(entry.facts, bytes) else canonical.dumps(entry.facts)
    stated = canonical.dumps_simple(_stated(row, msgspec.Raw(facts)))  # its own part is ids, words and a moment
    row["commitment"] = hashlib.sha256(salt + stated).digest()
    return row
