"""Receive a delivery: verify over the raw bytes, seal, keep with its ledger entry, one COMMIT. Nothing is read yet."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from app.connections.service import Addressed
from app.intake import repository
from app.intake.models import ReceiptState
from app.intake.sealing import seal_receipt
from app.kit import clock
from app.kit.database import Transaction
from app.kit.ids import uuid7
from app.kit.keyring import Keyring
from app.ledger.service import Act, append
from connectors.contract import Sender, grade_of
from connectors.verifiers import Grade, NotSigned, Outcome, Verification

BODY_FIELD = "receipt.body"


@dataclass(frozen=True)
class Kept:
    """The receipt that holds a delivery, and whether these bytes were there already."""

    receipt_id: UUID
    repeat: bool


def verify(to: Addressed, body: bytes, headers: Mapping[str, str]) -> Verification:
    """What the connection's verifier says of these exact bytes, now."""
    verifier = to.plan.verifier
    if isinstance(verifier, NotSigned):
        return Verification(Outcome.AUTHENTIC, verifier.scheme, None, verifier.stand_in, None, Grade.UNVERIFIABLE)
    return verifier.check(body, headers, to.secrets, clock.now())


async def keep(
    tx: Transaction,
    keyring: Keyring,
    to: Addressed,
    body: bytes,
    headers: Mapping[str, str],
    verification: Verification,
    channel: str,
) -> Kept:
    """Keep an authentic delivery once. The same bytes again are a repeat and leave no further trace."""
    connection, now, receipt_id = to.connection, clock.now(), uuid7()
    organization_id = connection.organization_id
    read = {name: value for name, value in headers.items() if name.lower() in to.plan.verifier.headers}
    sealed = await seal_receipt(tx, keyring, organization_id, receipt_id, body, read)
    stale = verification.outcome is Outcome.STALE
    proof = {
        "outcome": verification.outcome,
        "scheme": verification.scheme,
        "key_id": verification.key_id,
        "signed_at": verification.signed_at.isoformat() if verification.signed_at else None,
    }
    values = {
        "connection_id": connection.id,
        "id": receipt_id,
        "organization_id": organization_id,
        "body_hash": await keyring.index(tx, organization_id, BODY_FIELD, connection.id.bytes + body),
        "sealed": sealed.sealed,
        "wrapped_key": sealed.wrapped_key,
        "headers_sealed": sealed.headers_sealed,
        "channel": channel,
        "verification": proof,
        "grade": grade_of(verification, Sender(connection.sender)),
        "received_at": now,
        "last_received_at": now,
        "repeats": 0,
        "state": ReceiptState.STALE if stale else ReceiptState.STORED,
        "reason": "signed too long ago, or too far ahead" if stale else None,
    }
    kept_id = await repository.keep(tx, values)
    if kept_id == receipt_id:
        facts = {"body_sha256": hashlib.sha256(body).hexdigest(), "size": len(body), "channel": channel, "proof": proof}
        ids = (connection.id, receipt_id)
        await append(tx, keyring, organization_id, Act.RECEIPT, facts=facts, salt=sealed.salt, connection=ids[0], receipt=ids[1])
    return Kept(kept_id, kept_id != receipt_id)
