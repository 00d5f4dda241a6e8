"""What an honest sender would send: secrets in the form that each verifier wants, and the headers that prove a body."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime

from standardwebhooks import Webhook

from connectors.verifiers import (
    Basic,
    BearerList,
    HmacSha256,
    Secret,
    StampedHmacSha256,
    StandardWebhooks,
    StaticHeader,
    Verifier,
)

_RANDOM = [hashlib.sha256(word).digest() for word in (b"new", b"old", b"foreign")]


def secrets_for(verifier: Verifier) -> tuple[Secret, Secret, Secret]:
    """A new secret, an old one and a foreign one, in the form that this verifier wants."""
    values = [raw.hex() for raw in _RANDOM]
    if isinstance(verifier, StandardWebhooks):
        values = ["whsec_" + base64.b64encode(raw).decode() for raw in _RANDOM]
    if isinstance(verifier, Basic):
        values = [f"harmline:{value}" for value in values]
    new, old, foreign = (Secret(word, value) for word, value in zip(("new", "old", "foreign"), values, strict=True))
    return new, old, foreign


def proven(verifier: Verifier, secret: Secret, body: bytes, at: datetime) -> tuple[bytes, dict[str, str]] | None:
    """A body with its headers as an honest sender would send them at this time; None for one that no honest sender could.

    For a signature that stands in the body itself, the body is another one afterwards.
    """
    return body, signed(verifier, secret, body, at)


def signed(verifier: Verifier, secret: Secret, body: bytes, at: datetime) -> dict[str, str]:
    """The headers an honest sender would send with this body at this time. TypeError for a verifier unknown here."""
    stamp = str(int(at.timestamp()))
    dated = stamp.encode() + b"." + body
    key = secret.value.encode()
    match verifier:
        case StandardWebhooks():
            return _standard(secret.value, body, at.astimezone(UTC))
        case HmacSha256():
            over = f"{stamp}{verifier.separator}".encode() + body if verifier.timestamp_header else body
            mac = hmac.digest(key, over, "sha256")
            text = base64.b64encode(mac).decode() if verifier.encoding == "base64" else mac.hex()
            stamps = {verifier.timestamp_header: stamp} if verifier.timestamp_header else {}
            return {verifier.signature_header: verifier.prefix + text, **stamps}
        case StampedHmacSha256():
            return {verifier.signature_header: f"t={stamp},v1={hmac.digest(key, dated, 'sha256').hex()}"}
        case Basic():
            return {"authorization": "Basic " + base64.b64encode(key).decode()}
        case BearerList():
            return {"authorization": f"Bearer {secret.value}"}
        case StaticHeader():
            return {verifier.header: secret.value}
    raise TypeError(f"the suite cannot sign for {verifier.scheme}: teach connectors/testing/signing.py")


def _standard(secret: str, body: bytes, at: datetime) -> dict[str, str]:
    """By the `standardwebhooks` package as it is, except for bytes that are no text, which it does not take."""
    message_id, stamp = "msg_" + hashlib.sha256(body).hexdigest()[:24], str(int(at.timestamp()))
    try:
        signature = Webhook(secret).sign(msg_id=message_id, timestamp=at, data=body.decode("utf-8"))
    except UnicodeDecodeError:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        mac = hmac.digest(key, f"{message_id}.{stamp}.".encode() + body, "sha256")
        signature = "v1," + base64.b64encode(mac).decode()
    return {"webhook-id": message_id, "webhook-timestamp": stamp, "webhook-signature": signature}
