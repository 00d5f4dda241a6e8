"""What an honest sender would send: secrets in the form that each verifier wants, and the headers that prove a body."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from datetime import UTC, datetime
from functools import cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from standardwebhooks import Webhook

from connectors.verifiers import (
    Basic,
    BearerList,
    HmacSha256,
    Outcome,
    Secret,
    StampedHmacSha256,
    StandardWebhooks,
    StaticHeader,
    Verifier,
)
from connectors.verifiers_mail import SIGNED, EitherOf, SignedForm, SignedP256, SnsMessage

SNS_TOPIC = "arn:aws:sns:us-east-1:123456789012:invented-mail"
"""The topic that fixtures of SNS are of."""

_WORDS = ("new", "old", "foreign")
_RANDOM = [hashlib.sha256(word.encode()).digest() for word in _WORDS]


def secrets_for(verifier: Verifier) -> tuple[Secret, Secret, Secret]:
    """A new secret, an old one and a foreign one, in the form that this verifier wants."""
    if isinstance(verifier, EitherOf):
        return secrets_for(verifier.first)
    values = [raw.hex() for raw in _RANDOM]
    if isinstance(verifier, StandardWebhooks):
        values = ["whsec_" + base64.b64encode(raw).decode() for raw in _RANDOM]
    if isinstance(verifier, Basic):
        values = [f"harmline:{value}" for value in values]
    if isinstance(verifier, SignedP256):
        values = [_written(p256_key(word).public_key()) for word in _WORDS]
    if isinstance(verifier, SnsMessage):
        values = [f"{SNS_TOPIC} {_written(_rsa_key(word).public_key())}" for word in _WORDS]
    new, old, foreign = (Secret(word, value) for word, value in zip(_WORDS, values, strict=True))
    return new, old, foreign


def proven(verifier: Verifier, secret: Secret, body: bytes, at: datetime) -> tuple[bytes, dict[str, str]] | None:
    """A body with its headers as an honest sender would send them at this time; None for one that no honest sender could.

    For a signature that stands in the body itself, the body is another one afterwards.
    """
    match verifier:
        case SignedForm():
            made = _signed_form(secret, body, at)
        case SnsMessage():
            made = _signed_message(secret, body, at)
        case _:
            return body, signed(verifier, secret, body, at)
    if made is None or verifier.check(made, {}, [secret], at).outcome is Outcome.REFUSED:
        return None
    return made, {}


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
        case SignedP256():
            signature = p256_key(secret.key_id).sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))
            return {verifier.signature_header: base64.b64encode(signature).decode(), verifier.timestamp_header: stamp}
        case EitherOf():
            return signed(verifier.second if verifier.second.usable(secret) else verifier.first, secret, body, at)
    raise TypeError(f"the suite cannot sign for {verifier.scheme}: teach connectors/testing/signing.py")


@cache
def p256_key(word: str) -> ec.EllipticCurvePrivateKey:
    """The private key of the secret that has this key id in `secrets_for`."""
    return ec.derive_private_key(int.from_bytes(hashlib.sha256(word.encode()).digest(), "big"), ec.SECP256R1())


@cache
def _rsa_key(word: str) -> rsa.RSAPrivateKey:
    """A key for each word, the same as long as the process lives."""
    return rsa.generate_private_key(65537, 2048)


def _written(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> str:
    return base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


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


def _signed_form(secret: Secret, body: bytes, at: datetime) -> bytes | None:
    """The form with its three fields written anew, where it has each of them once."""
    stamp, token = str(int(at.timestamp())), hashlib.sha256(body).hexdigest()[:50]
    mac = hmac.digest(secret.value.encode(), f"{stamp}{token}".encode(), "sha256").hex()
    for name, value in (("timestamp", stamp), ("token", token), ("signature", mac)):
        pair = re.compile(rb"((?:^|&)%s=)[^&]*" % name.encode())
        part = re.compile(rb'(name="%s"\r\n\r\n).*?(?=\r\n--)' % name.encode(), re.DOTALL)
        body, times = (part if body.startswith(b"--") else pair).subn(rb"\g<1>" + value.encode(), body)
        if times != 1:
            return None
    return body


def _signed_message(secret: Secret, body: bytes, at: datetime) -> bytes | None:
    """The message of SNS as of this time, signed in Amazon's documented order of fields; None for what is none."""
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(tree, dict):
        return None
    tree |= {"SignatureVersion": "2", "Timestamp": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")}
    names = [name for name in SIGNED.get(str(tree.get("Type")), ()) if tree.get(name) is not None]
    over = "".join(f"{name}\n{tree[name]}\n" for name in names).encode("utf-8", "replace")
    signature = _rsa_key(secret.key_id).sign(over, padding.PKCS1v15(), hashes.SHA256())
    return json.dumps({**tree, "Signature": base64.b64encode(signature).decode()}).encode()
