"""Receive what a provider sent or answered: verify, seal, keep with its ledger entry, one COMMIT. Nothing is read yet."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import msgspec

from app.connections.models import Connection
from app.connections.service import Addressed, Origin
from app.intake import keeping
from app.intake.keeping import Row
from app.intake.models import Channel, ReceiptState
from app.intake.sealing import seal_receipt
from app.kit import canonical, clock
from app.kit.acting import DOOR
from app.kit.at_once import AtOnce
from app.kit.database import Transaction, taking_on
from app.kit.door_keys import Keeping
from app.kit.ids import uuid7
from app.kit.keyring import Keyring
from app.kit.scoped import keys_for, version_of
from app.kit.wakeup import announce
from app.ledger.service import Act, Entry, entry_row
from connectors.asking import Asked
from connectors.contract import grade_of
from connectors.verifiers import Grade, NotSigned, Outcome, Verification

BODY_FIELD = "receipt.body"
PAGE_FIELD = "receipt.page"
FETCHED = Verification(Outcome.AUTHENTIC, "fetched", None, "asked the provider at its own address", None, Grade.FETCHED)


@dataclass(slots=True)
class Arrival:
    """What came in, byte for byte, with what proves it. `asked`: what a fetched body was asked with.

    `source`: the address that a delivery came from. `receipt_id`: the one that was made at its first byte, for whatever comes in
    at the door. `at`: when it came; for a delivery, when it was verified.
    """

    body: bytes = field(repr=False)
    verification: Verification
    channel: Channel = Channel.WEBHOOK
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    asked: Asked = field(default_factory=dict, repr=False)
    source: str | None = None
    about_index: bytes | None = None
    answers_event: UUID | None = None
    receipt_id: UUID = field(default_factory=uuid7)
    at: datetime = field(default_factory=clock.now)


@dataclass(slots=True)
class Kept:
    """The receipt that holds a delivery, and whether these bytes were there already."""

    receipt_id: UUID
    repeat: bool


def verify(to: Addressed, body: bytes, headers: Mapping[str, str], source: str | None) -> Verification:
    """What the connection's verifier says of these exact bytes, now. `source`: the address that they came from."""
    verifier = to.plan.verifier
    if to.sources and not _is_from(to, source):
        return Verification(Outcome.REFUSED, verifier.scheme, None, "another source address", None, Grade.UNVERIFIABLE)
    if isinstance(verifier, NotSigned):
        return Verification(Outcome.AUTHENTIC, verifier.scheme, None, verifier.stand_in, None, Grade.UNVERIFIABLE)
    return verifier.check(body, headers, to.secrets, clock.now())


def _is_from(to: Addressed, source: str | None) -> bool:
    try:
        address = ip_address(source or "")
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)  # how a server that listens on IPv6 writes an IPv4 sender
    return any((mapped or address) in network for network in to.sources)


@dataclass(slots=True)
class Ready:
    """An arrival, sealed and ready to be kept, with the id that its receipt gets if it is new."""

    receipt_id: UUID
    row: Row = field(repr=False)


def make_ready(keys: Keeping, origin: Origin, arrival: Arrival, revision: int | None = None) -> Ready:
    """Seal an authentic arrival, and write its ledger entry for the case that it is new. Touches no database.

    `revision`: the state of the connection that it was checked against.
    """
    now, receipt_id, verification = arrival.at, arrival.receipt_id, arrival.verification
    sealed = seal_receipt(keys, receipt_id, arrival.body, arrival.headers, arrival.asked)
    stale = verification.outcome is Outcome.STALE
    proof, proof_written = _proof(verification, arrival.source)
    values = {
        "connection_id": origin.id,
        "id": receipt_id,
        "organization_id": origin.organization_id,
        "body_hash": keys.index(*_hashed(origin.id, arrival), origin.index_version),
        "sealed": sealed.sealed,
        "wrapped_key": sealed.wrapped_key,
        "headers_sealed": sealed.headers_sealed,
        "asked_sealed": sealed.asked_sealed,
        "about_index": arrival.about_index,
        "answers_event": arrival.answers_event,
        "channel": arrival.channel,
        "verification": proof,
        "grade": grade_of(verification, origin.sender),
        "received_at": now,
        "state": ReceiptState.STALE if stale else ReceiptState.STORED,
        "reason": "signed too long ago, or too far ahead" if stale else None,
    }
    digest, size = hashlib.sha256(arrival.body).hexdigest(), len(arrival.body)
    facts = {"body_sha256": digest, "size": size, "channel": arrival.channel, "proof": proof_written}
    ids = {"connection": origin.id, "receipt": receipt_id}
    noted = entry_row(Entry(origin.organization_id, Act.RECEIPT, canonical.dumps_simple(facts), ids), uuid7(), sealed.salt, now)
    return Ready(receipt_id, Row(values, noted, revision, keys.version))


@lru_cache(maxsize=64)
def _proof(verification: Verification, source: str | None) -> tuple[Mapping[str, Any], msgspec.Raw]:
    """What is kept of a proof, and how its ledger entry writes it: the same for all that one key has signed in one second."""
    proof = {
        "outcome": verification.outcome,
        "scheme": verification.scheme,
        "reason": verification.reason,
        "key_id": verification.key_id,
        "signed_at": verification.signed_at.isoformat() if verification.signed_at else None,
        "source": source,
    }
    return proof, msgspec.Raw(canonical.dumps_simple(proof))


async def keep_all(tx: Transaction, ready: Sequence[Ready]) -> list[Kept | None]:
    """Keep every arrival once, in one go; what becomes of each, in their order.

    The same bytes again (to the same question) are a repeat and leave no further trace. None: the connection has changed
    since the arrival was checked, nothing of it is kept, and it is to be checked again.
    """
    return _answers(ready, await keeping.keep(tx, keeping.merged([one.row for one in ready])))


async def keep_all_at_once(store: AtOnce, ready: Sequence[Ready]) -> list[Kept | None]:
    """`keep_all`, as a transaction of its own (PostgreSQL): it returns after the COMMIT."""
    return _answers(ready, await keeping.keep_at_once(store, keeping.merged([one.row for one in ready])))


def _answers(ready: Sequence[Ready], held: Mapping[tuple[UUID, bytes], UUID]) -> list[Kept | None]:
    found = [held.get(one.row.key) for one in ready]
    return [Kept(kept, kept != one.receipt_id) if kept else None for one, kept in zip(ready, found, strict=True)]


async def keep_from_a_person(
    tx: Transaction, keyring: Keyring, connection: Connection, arrivals: Sequence[Arrival]
) -> list[Kept]:
    """`keep` in the transaction of somebody who is signed in, who may write into no inbox: the door keeps it, like deliveries.

    The workers are told.
    """
    keys, origin = await _to_keep(tx, keyring, connection)
    ready = [make_ready(keys, origin, arrival) for arrival in arrivals]
    async with taking_on(tx, DOOR):
        kept = await keep_all(tx, ready)
    await announce(tx)
    return [one for one in kept if one is not None]  # they were not asked for a state, so none is missing


async def keep(tx: Transaction, keyring: Keyring, connection: Connection, arrival: Arrival) -> Kept:
    """Keep one arrival in a transaction that does more than that, whatever state the connection is in."""
    keys, origin = await _to_keep(tx, keyring, connection)
    (kept,) = await keep_all(tx, [make_ready(keys, origin, arrival)])
    assert kept is not None  # noqa: S101 - it was not asked for a state
    return kept


async def _to_keep(tx: Transaction, keyring: Keyring, connection: Connection) -> tuple[Keeping, Origin]:
    """The keys, held, and the connection with its indexes' version now: it may have been read in an earlier transaction."""
    await keyring.for_writing(tx, connection.organization_id)
    version = await version_of(tx, connection.id)
    keys = await keys_for(tx, keyring, connection.organization_id, version)
    return keys, replace(Origin.of(connection), index_version=version)


def _hashed(connection_id: UUID, arrival: Arrival) -> tuple[str, bytes]:
    """The field and the bytes of the body hash: two members' equal answers are two, for they answer two questions."""
    if not arrival.asked:
        return BODY_FIELD, connection_id.bytes + arrival.body
    question = hashlib.sha256(canonical.dumps(dict(arrival.asked))).digest()
    return PAGE_FIELD, connection_id.bytes + question + arrival.body
