"""RFC 3161 timestamps over checkpoints: what an authority is asked, and whether its answer is a proof. No I/O.

What is stamped is SHA-256 over the TEXT of a checkpoint's note: its lines up to and with the newline before the empty line,
without any signature. So `openssl ts -verify -data` of a file that holds these lines agrees with what is kept here.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.x509 import Certificate, ObjectIdentifier, load_pem_x509_certificates
from rfc3161_client import (
    HashAlgorithm,
    TimeStampRequest,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from app.ledger.der import sorted_certificates

QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"
MOST_BYTES = 64 * 1024
"""Of one answer: with a whole chain of certificates it is a tenth of that."""

MOST_OFF = timedelta(minutes=10)
"""How far an authority's clock and ours may be apart; one of them is wrong then, and its word proves nothing."""

_SHA256 = ObjectIdentifier("2.16.840.1.101.3.4.2.1")


class NotStamped(Exception):
    """An answer that is no proof. The message is for the operator and holds nothing of the answer."""


def roots_in(path: Path) -> list[Certificate]:
    """An authority's root certificates. Raises ValueError, which names the file, when there are none in it."""
    try:
        return load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        raise ValueError(f"HARMLINE_TIMESTAMP_AUTHORITIES: {path} holds no certificates in PEM") from None


def query(text: str) -> TimeStampRequest:
    """What to ask for a checkpoint's text; a nonce in it makes the answer one to this question."""
    return TimestampRequestBuilder(data=text.encode(), hash_algorithm=HashAlgorithm.SHA256).build()


def decoded(raw: bytes) -> TimeStampResponse:
    """An answer taken apart. Raises NotStamped."""
    for read in (bytes, sorted_certificates):
        try:
            answer = decode_timestamp_response(read(raw))
            answer.tst_info  # noqa: B018 - a refusal has none, and says so here
        except ValueError:
            continue
        return answer
    raise NotStamped("it is no granted timestamp")


def stamped_at(raw: bytes) -> datetime:
    """When an authority says that it stamped, UTC; of an answer that was verified when it came. Raises NotStamped."""
    return decoded(raw).tst_info.gen_time.astimezone(UTC)


def is_over(raw: bytes, text: bytes) -> bool:
    """Whether an answer, which was verified when it came, is still one about this text; its signature is not looked at."""
    try:
        imprint = decoded(raw).tst_info.message_imprint
    except NotStamped:
        return False
    return imprint.hash_algorithm == _SHA256 and imprint.message == hashlib.sha256(text).digest()


def verified(asked: TimeStampRequest, text: str, raw: bytes, roots: Sequence[Certificate], now: datetime) -> datetime:
    """When this answer says that the text was there, UTC: signed below these roots, to this question, by a clock that is right.

    Certificates need to be valid at that moment only. Raises NotStamped.
    """
    if len(raw) > MOST_BYTES:
        raise NotStamped("it is too large")
    answer, known = decoded(raw), list(dict.fromkeys(roots))
    reason = _refusal(asked, answer, text, known)
    # Of two roots with one name (a renewed one) only either is looked at below both together.
    if reason is not None and all(_refusal(asked, answer, text, [root]) is not None for root in known):
        raise NotStamped(f"it does not verify: {reason}")
    at = answer.tst_info.gen_time.astimezone(UTC)
    if abs(at - now) > MOST_OFF:
        raise NotStamped("the authority's clock and ours are more than ten minutes apart")
    return at


def _refusal(asked: TimeStampRequest, answer: TimeStampResponse, text: str, roots: Sequence[Certificate]) -> str | None:
    """Why an answer is not signed below these roots to this question; None: it is. Raises NotStamped for another kind of hash."""
    builder = VerifierBuilder.from_request(asked)
    for root in roots:
        builder = builder.add_root_certificate(root)
    try:
        if answer.tst_info.message_imprint.hash_algorithm != _SHA256:
            raise NotStamped("it is over another kind of hash than was asked for")
        builder.build().verify_message(answer, text.encode())
    except (VerificationError, ValueError) as error:
        return str(error)
    return None
