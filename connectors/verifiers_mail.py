"""The ways in which services that bring mail prove themselves. As in `verifiers`: pure, and whatever is sent, nothing raises.

Sources: Mailgun, SendGrid and SNS as `django-anymail` reads them; Amazon's developer guide ("Verifying the signatures of Amazon
SNS messages") for what is signed, version 2, and that another topic is to be refused.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, ClassVar
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from connectors import strict_json
from connectors.contract import Malformed
from connectors.forms import Form
from connectors.spelling import canonical_base64, header, is_written, utf8, wire
from connectors.verifiers import (
    MOST_READ,
    TEN_DIGITS,
    TOLERANCE,
    Grade,
    Outcome,
    Secret,
    Verification,
    Verifier,
    first_match,
    new_secret,
    refused,
    timed,
)

TOKEN = re.compile(r"[!-~]{1,200}")
TOPIC = re.compile(r"arn:aws[a-z-]{0,20}:sns:[a-z0-9-]{1,40}:[0-9]{12}:[A-Za-z0-9_-]{1,256}(?:\.fifo)?")
SNS_HOST = re.compile(r"sns(?:\.[a-z0-9-]{1,40})?\.amazonaws\.com(?:\.cn)?")
LEAST_RSA_BITS = 2048
LONGEST_FIELD = 1000
LONGEST_SECRET = 20_000
SIGNED: Mapping[str, tuple[str, ...]] = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
"""What of an SNS message is signed, by its type, in this order."""

_SENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z")
_PEM = re.compile(r"-----BEGIN (CERTIFICATE|PUBLIC KEY)-----([A-Za-z0-9+/=\s]+)-----END \1-----")


@dataclass(frozen=True, slots=True)
class SignedForm:
    """`hex(hmac(secret, timestamp + token))` in three fields of the posted form itself, as Mailgun does.

    Nothing else in the form is signed: it proves that its sender has seen a signed notification of these minutes, and nothing
    about the mail. `secret_is`: what of the sender's an admin has to give.
    """

    secret_is: str
    tolerance: timedelta = timedelta(minutes=15)
    scheme: ClassVar[str] = "hmac-sha256-form"
    headers: ClassVar[frozenset[str]] = frozenset()
    grade: ClassVar[Grade] = Grade.SHARED_SECRET
    fields: ClassVar[frozenset[str]] = frozenset({"timestamp", "token", "signature"})

    @staticmethod
    def new_secret() -> None:
        """None: the sender has one."""

    def usable(self, secret: Secret) -> bool:
        """Any secret that is not blank."""
        return is_written(secret.value)

    def check(self, body: bytes, headers: Mapping[str, str], secrets: Sequence[Secret], now: datetime) -> Verification:
        """See `Verifier.check`. Each field exactly once; ten digits stand first, so nothing can move between them."""
        ready = [secret for secret in secrets if self.usable(secret)]
        if not ready:
            return refused(self.scheme, "no usable secret")
        try:
            form = Form(body, self.fields, LONGEST_FIELD)
            stamp, token, signature = (form.text(name) for name in ("timestamp", "token", "signature"))
        except Malformed as error:
            return refused(self.scheme, f"the form is not signed: {error}")
        if TEN_DIGITS.fullmatch(stamp) is None or TOKEN.fullmatch(token) is None:
            return refused(self.scheme, "the timestamp is not ten digits, or the token is not allowed")
        signed = f"{stamp}{token}".encode("ascii")
        candidates = [(one, hmac.digest(utf8(one.value), signed, hashlib.sha256).hex().encode("ascii")) for one in ready]
        match = first_match(candidates, [utf8(signature)])
        if match is None:
            return refused(self.scheme, "no signature matches")
        return timed(self.scheme, match, self.grade, stamp, now, self.tolerance)


@dataclass(frozen=True, slots=True)
class SignedP256:
    """ECDSA on P-256 with SHA-256 over `<timestamp><body>`, base64 of DER in one header, as Twilio SendGrid does.

    A secret is the sender's public key, base64 of its DER (SubjectPublicKeyInfo), as the sender shows it.
    """

    signature_header: str
    timestamp_header: str
    secret_is: str
    tolerance: timedelta = TOLERANCE
    scheme: ClassVar[str] = "ecdsa-p256-sha256"
    grade: ClassVar[Grade] = Grade.THIRD_PARTY

    @property
    def headers(self) -> frozenset[str]:
        """The signature's header and the timestamp's."""
        return frozenset({self.signature_header.lower(), self.timestamp_header.lower()})

    @staticmethod
    def new_secret() -> None:
        """None: the sender has one."""

    def usable(self, secret: Secret) -> bool:
        """A public key on P-256 in its one spelling."""
        return _p256(secret) is not None

    def check(self, body: bytes, headers: Mapping[str, str], secrets: Sequence[Secret], now: datetime) -> Verification:
        """See `Verifier.check`. The timestamp is ten digits, so that nothing of it can be taken for the body."""
        keys = [(secret, key) for secret in secrets if (key := _p256(secret)) is not None]
        if not keys:
            return refused(self.scheme, "no usable secret")
        stamp = header(headers, self.timestamp_header)
        if TEN_DIGITS.fullmatch(stamp) is None:
            return refused(self.scheme, "the timestamp is not ten digits")
        signature = canonical_base64(header(headers, self.signature_header))
        signed = wire(stamp) + body
        hits = [secret for secret, key in keys if signature and _signed_on_p256(key, signature, signed)]
        if not hits:
            return refused(self.scheme, "no signature matches")
        return timed(self.scheme, hits[0], self.grade, stamp, now, self.tolerance)


@dataclass(frozen=True, slots=True)
class SnsMessage:
    """Amazon SNS, signature version 2: RSA with SHA-256 over fields of the JSON message, which holds the signature itself.

    A secret is the ARN of the one topic that is taken, a blank, and Amazon's certificate (PEM) or its public key: for SNS signs
    for every topic of every customer. Nothing is fetched. Version 1 is SHA-1 and is refused.
    """

    secret_is: str
    tolerance: timedelta = timedelta(hours=2)
    scheme: ClassVar[str] = "amazon-sns"
    headers: ClassVar[frozenset[str]] = frozenset()
    grade: ClassVar[Grade] = Grade.THIRD_PARTY

    @staticmethod
    def new_secret() -> None:
        """None: Amazon has it."""

    def usable(self, secret: Secret) -> bool:
        """A topic and an RSA key of 2048 bits at least, in a certificate of SNS itself if it is one."""
        return _topic_and_key(secret) is not None

    def check(self, body: bytes, headers: Mapping[str, str], secrets: Sequence[Secret], now: datetime) -> Verification:
        """See `Verifier.check`. SNS tries a message again for an hour at most, with the same time in it."""
        ready = [(secret, *known) for secret in secrets if (known := _topic_and_key(secret)) is not None]
        if not ready:
            return refused(self.scheme, "no usable secret")
        message = _message(body)
        if message is None:
            return refused(self.scheme, "it is no message of SNS")
        if message.get("SignatureVersion") != "2":
            return refused(self.scheme, "it is not signed by version 2: set the topic's SignatureVersion to 2")
        if not is_at_sns(message.get("SigningCertURL")):
            return refused(self.scheme, "it names a certificate of another host")
        here = [(secret, key) for secret, topic, key in ready if topic == message["TopicArn"]]
        if not here:
            return refused(self.scheme, "it is of another topic")
        signed, stamp = _canonical(message), _stamp(message["Timestamp"])
        signature = canonical_base64(message.get("Signature") or "")
        hits = [secret for secret, key in here if signed and signature and _signed_by_rsa(key, signature, signed)]
        if not hits or stamp is None:
            return refused(self.scheme, "no signature matches: Amazon may have another certificate now")
        return timed(self.scheme, hits[0], self.grade, stamp, now, self.tolerance)


@dataclass(frozen=True, slots=True)
class EitherOf:
    """Whichever of two ways a connection's secrets are for. Their forms must differ, so that a secret is for one of them."""

    first: Verifier
    second: Verifier

    @property
    def scheme(self) -> str:
        """Both names; a receipt's verification names the one that was used."""
        return f"{self.first.scheme} or {self.second.scheme}"

    @property
    def headers(self) -> frozenset[str]:
        """The headers of both."""
        return self.first.headers | self.second.headers

    @property
    def grade(self) -> Grade:
        """What the second, weaker one proves."""
        return self.second.grade

    def new_secret(self) -> str | None:
        """One for the second."""
        return new_secret(self.second)

    def usable(self, secret: Secret) -> bool:
        """Whether it is one for either."""
        return self.first.usable(secret) or self.second.usable(secret)

    def check(self, body: bytes, headers: Mapping[str, str], secrets: Sequence[Secret], now: datetime) -> Verification:
        """See `Verifier.check`. The first is asked where there is a secret for it; what it refuses, the second may take."""
        found = self.first.check(body, headers, secrets, now)
        other = self.second.check(body, headers, secrets, now)
        if found.outcome is not Outcome.REFUSED:
            return found
        return other if other.outcome is not Outcome.REFUSED or not any(map(self.first.usable, secrets)) else found


@lru_cache(maxsize=MOST_READ)
def _p256(secret: Secret) -> ec.EllipticCurvePublicKey | None:
    key = _public_key(secret.value.strip())
    return key if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1) else None


@lru_cache(maxsize=MOST_READ)
def _topic_and_key(secret: Secret) -> tuple[str, rsa.RSAPublicKey] | None:
    # A field of one line takes the ends of lines out of what is pasted, also the one behind the topic.
    topic, begin, pem = secret.value[:LONGEST_SECRET].partition("-----BEGIN ")
    topic, _, text = topic.strip().partition(" ") if not begin else (topic.strip(), "", "")
    found = _PEM.fullmatch(begin + pem.strip())
    if TOPIC.fullmatch(topic) is None:
        return None
    raw = "".join(found[2].split()) if found else text.strip()
    key = _certified(raw) if found and found[1] == "CERTIFICATE" else _public_key(raw)
    return (topic, key) if isinstance(key, rsa.RSAPublicKey) and key.key_size >= LEAST_RSA_BITS else None


def _certified(text: str) -> Any:
    """The key in a certificate of SNS; None for another. Whether it is still valid is not asked: who pasted it trusts it."""
    raw = canonical_base64(text)
    try:
        found = x509.load_der_x509_certificate(raw or b"")
        names = [str(name.value) for name in found.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
        others = [one.value for one in found.extensions if isinstance(one.value, x509.SubjectAlternativeName)]
        names += [name for one in others for name in one.get_values_for_type(x509.DNSName)]
        key = found.public_key()
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension):
        return None
    return key if any(SNS_HOST.fullmatch(name) for name in names) else None


def _public_key(text: str) -> Any:
    """The public key of canonical base64 of canonical DER; None for anything else."""
    raw = canonical_base64(text) if len(text) <= LONGEST_SECRET else None
    if not raw:
        return None
    try:
        key = load_der_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == raw else None


def _signed_on_p256(key: ec.EllipticCurvePublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _signed_by_rsa(key: rsa.RSAPublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def _message(body: bytes) -> Mapping[str, str] | None:
    """The fields of an SNS message that are text; None where one that is signed is missing or no text."""
    try:
        tree = strict_json.parse(body)
    except Malformed:
        return None
    found = {name: value for name, value in tree.items() if isinstance(value, str)} if isinstance(tree, dict) else {}
    wanted = SIGNED.get(found.get("Type", ""))
    if wanted is None or any(name not in found for name in wanted if name != "Subject"):
        return None
    return found if "Subject" in found or tree.get("Subject") is None else None


def _canonical(message: Mapping[str, str]) -> bytes | None:
    """What is signed. Of the values only the first one may hold lines of its own, so nothing can move from one to another."""
    names = [name for name in SIGNED[message["Type"]] if name in message]
    if any("\n" in message[name] for name in names[1:]):
        return None
    try:
        return "".join(f"{name}\n{message[name]}\n" for name in names).encode("utf-8")
    except UnicodeEncodeError:
        return None


def _stamp(sent: str) -> str | None:
    """The time of a message in ten digits of seconds."""
    if _SENT.fullmatch(sent) is None:
        return None
    try:
        stamp = str(int(datetime.fromisoformat(sent).astimezone(UTC).timestamp()))
    except (ValueError, OverflowError):
        return None
    return stamp if TEN_DIGITS.fullmatch(stamp) else None


def is_at_sns(url: str | None) -> bool:
    """Whether an address is one of SNS over TLS: its host alone, no port and no name before it."""
    try:
        parts = urlsplit(url or "")
        return parts.scheme == "https" and SNS_HOST.fullmatch(parts.netloc) is not None
    except ValueError:
        return False
