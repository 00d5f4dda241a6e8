"""The ways a webhook proves itself. Declarations, so that no connector writes HMAC.

A verifier looks at the exact received bytes and the headers that it names, and never raises: whatever a stranger sends
ends in `REFUSED`. An authentic signature outside the time tolerance is `STALE`: the core keeps it and sets it aside.
Sources: Standard Webhooks 1.0.0; RFC 7617 (Basic), RFC 6750 (Bearer); the HMAC forms are those of GitHub and Stripe.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from secrets import token_bytes, token_urlsafe
from typing import ClassVar, Literal, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from connectors.spelling import canonical_base64, header, is_written, shown_in, utf8, wire

TOLERANCE = timedelta(seconds=300)
MOST_SIGNATURES = 16
_SHARED, _PUBLIC = "whsec_", "whpk_"
MOST_READ = 1024
"""How many secrets stay read: to read one again with each delivery costs as much as to check it."""
SIZES_OF_A_STANDARD_SECRET = range(24, 65)
SIZE_OF_A_PUBLIC_KEY = 32
SIZE_OF_AN_ED25519_SIGNATURE = 64
TEN_DIGITS = re.compile(r"[0-9]{10}")
MESSAGE_ID = re.compile(r"[!-+\-/-~]{1,255}")
"""Visible ASCII without comma, full stop or space: those three separate what is signed and what the header lists."""


class Outcome(StrEnum):
    """What a check found. STALE is authentic, but signed too long ago or too far ahead."""

    AUTHENTIC = "authentic"
    STALE = "stale"
    REFUSED = "refused"


class Grade(StrEnum):
    """How well an alert is proven, from what an outsider can check to what only the organization says."""

    THIRD_PARTY = "third_party"
    SHARED_SECRET = "shared_secret"  # noqa: S105 - the name of a grade
    FETCHED = "fetched"
    UNVERIFIABLE = "unverifiable"
    ORGANIZATION = "organization"
    MEMBER = "member"


@dataclass(frozen=True, slots=True)
class Secret:
    """One key of a connection, old or new; `key_id` may be written down, `value` never is."""

    key_id: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of one check. `reason` is for the operator and holds no value; `signed_at` is the sender's claim, UTC.

    `grade` is what the matching signature proves (a verifier may accept several kinds); UNVERIFIABLE when refused.
    """

    outcome: Outcome
    scheme: str
    key_id: str | None
    reason: str
    signed_at: datetime | None
    grade: Grade


class Verifier(Protocol):
    """What the core asks of every verifier."""

    @property
    def scheme(self) -> str:
        """The scheme's name, as written with each receipt."""

    @property
    def headers(self) -> frozenset[str]:
        """Lower-case names of the headers it reads; the core keeps these with the receipt."""

    @property
    def grade(self) -> Grade:
        """The least that an authentic delivery proves."""

    def usable(self, secret: Secret) -> bool:
        """Whether this secret can prove anything at all; the core sets up no connection with one that cannot."""

    def check(self, body: bytes, headers: Mapping[str, str], secrets: Sequence[Secret], now: datetime) -> Verification:
        """Check the exact received bytes at `now` (aware). Never raises. A header given twice counts as missing."""


@dataclass(frozen=True, slots=True)
class NotSigned:
    """The statement that a provider signs nothing, and what stands in: re-fetch, source addresses, path token."""

    stand_in: str
    scheme: ClassVar[str] = "not-signed"
    headers: ClassVar[frozenset[str]] = frozenset()
    grade: ClassVar[Grade] = Grade.UNVERIFIABLE


@dataclass(frozen=True, slots=True)
class StandardWebhooks:
    """Standard Webhooks 1.0.0: v1 (HMAC-SHA256, `whsec_<base64>` secrets) and v1a (Ed25519, `whpk_<base64>`)."""

    tolerance: timedelta = TOLERANCE
    scheme: ClassVar[str] = "standard-webhooks"
    headers: ClassVar[frozenset[str]] = frozenset({"webhook-id", "webhook-timestamp", "webhook-signature"})
    grade: ClassVar[Grade] = Grade.SHARED_SECRET

    @staticmethod
    def new_secret() -> str:
        """A fresh random v1 secret of 32 bytes, as both sides write it."""
        return _SHARED + base64.b64encode(token_bytes(32)).decode("ascii")

    def usable(self, secret: Secret) -> bool:
        """A canonical `whsec_` key of 24 to 64 bytes, not all zero, or a `whpk_` key of 32."""
        return _keyed(secret) is not None or _public_key(secret) is not None

    def check(self, body: bytes, headers: Mapping[str, str], secrets: Sequence[Secret], now: datetime) -> Verification:
        """See `Verifier.check`. Any one valid signature of the first 16 will do; v1a is named before v1."""
        shared = [(secret, key) for secret in secrets if (key := _keyed(secret)) is not None]
        public = [secret for secret in secrets if secret.value.startswith(_PUBLIC) and _public_key(secret) is not None]
        if not shared and not public:
            return refused(self.scheme, "no usable secret")
        shown = shown_in(headers, self.headers)
        message_id, stamp = shown.get("webhook-id", ""), shown.get("webhook-timestamp", "")
        if MESSAGE_ID.fullmatch(message_id) is None:
            return refused(self.scheme, "webhook-id is missing or not allowed")
        if TEN_DIGITS.fullmatch(stamp) is None:
            return refused(self.scheme, "webhook-timestamp is not ten digits")
        given = shown.get("webhook-signature", "").split(" ", MOST_SIGNATURES)[:MOST_SIGNATURES]
        signed = f"{message_id}.{stamp}.".encode("ascii") + body
        by_key = _ed25519_match(public, given, signed)
        by_secret = first_match(_standard_candidates(shared, signed), [wire(text) for text in given])
        if by_key is not None:
            return timed(f"{self.scheme}/v1a", by_key, Grade.THIRD_PARTY, stamp, now, self.tolerance)
        if by_secret is not None:
            return timed(f"{self.scheme}/v1", by_secret, Grade.SHARED_SECRET, stamp, now, self.tolerance)
        return refused(self.scheme, "no signature matches")


@dataclass(frozen=True, slots=True)
class HmacSha256:
    """`prefix + hex or base64 (hmac(secret, body))` in one header, as GitHub does.

    With `timestamp_header` the signed bytes are `<timestamp><separator><body>` and the tolerance holds; without it nothing ages.
    `encoding` "either": for a provider that does not say which it writes.
    """

    signature_header: str
    timestamp_header: str | None = None
    prefix: str = ""
    encoding: Literal["hex", "base64", "either"] = "hex"
    tolerance: timedelta = TOLERANCE
    separator: str = "."
    scheme: ClassVar[str] = "hmac-sha256"
    grade: ClassVar[Grade] = Grade.SHARED_SECRET

    @property
    def headers(self) -> frozenset[str]:
        """The signature's header and, where there is one, the timestamp's."""
        return frozenset(name.lower() for name in (self.signature_header, self.timestamp_header) if name)

    def usable(self, secret: Secret) -> bool:
        """Any secret that is not blank."""
        return is_written(secret.value)

    def check(self, body: bytes, headers: Mapping[str, str], secrets: Sequence[Secret], now: datetime) -> Verification:
        """See `Verifier.check`. The text of the signature is compared whole, so no second spelling of it passes."""
        ready = [secret for secret in secrets if self.usable(secret)]
        if not ready:
            return refused(self.scheme, "no usable secret")
        stamp = header(headers, self.timestamp_header) if self.timestamp_header else ""
        if self.timestamp_header and TEN_DIGITS.fullmatch(stamp) is None:
            return refused(self.scheme, "the timestamp is not ten digits")
        signed = stamp.encode("ascii") + self.separator.encode("ascii") + body if self.timestamp_header else body
        candidates = [(secret, wire(self.prefix) + text) for secret in ready for text in self._texts(secret, signed)]
        match = first_match(candidates, [wire(header(headers, self.signature_header))])
        if match is None:
            return refused(self.scheme, "no signature matches")
        return timed(self.scheme, match, self.grade, stamp, now, self.tolerance)

    def _texts(self, secret: Secret, signed: bytes) -> list[bytes]:
        mac = hmac.digest(utf8(secret.value), signed, hashlib.sha256)
        spelled = {"hex": mac.hex().encode("ascii"), "base64": base64.b64encode(mac)}
        return list(spelled.values()) if self.encoding == "either" else [spelled[self.encoding]]


@dataclass(frozen=True, slots=True)
class StampedHmacSha256:
    """`t=<seconds>,v1=<hex>[,v1=<hex>...]` in one header over `<seconds>.<body>`, as Stripe and Persona do."""

    signature_header: str
    tolerance: timedelta = TOLERANCE
    scheme: ClassVar[str] = "stamped-hmac-sha256"
    grade: ClassVar[Grade] = Grade.SHARED_SECRET

    @property
    def headers(self) -> frozenset[str]:
        """The one header it reads."""
        return frozenset({self.signature_header.lower()})

    def usable(self, secret: Secret) -> bool:
        """Any secret that is not blank."""
        return is_written(secret.value)

    def check(self, body: bytes, headers: Mapping[str, str], secrets: Sequence[Secret], now: datetime) -> Verification:
        """See `Verifier.check`. Exactly one `t`; at most 16 signatures are looked at."""
        ready = [secret for secret in secrets if self.usable(secret)]
        if not ready:
            return refused(self.scheme, "no usable secret")
        parts = header(headers, self.signature_header).split(",", MOST_SIGNATURES + 1)[: MOST_SIGNATURES + 1]
        stamps = [part[2:] for part in parts if part.startswith("t=")]
        if len(stamps) != 1 or TEN_DIGITS.fullmatch(stamps[0]) is None:
            return refused(self.scheme, "the timestamp is not ten digits")
        signed = stamps[0].encode("ascii") + b"." + body
        candidates = [(s, hmac.new(utf8(s.value), signed, hashlib.sha256).hexdigest().encode("ascii")) for s in ready]
        match = first_match(candidates, [wire(part[3:]) for part in parts if part.startswith("v1=")])
        if match is None:
            return refused(self.scheme, "no signature matches")
        return timed(self.scheme, match, self.grade, stamps[0], now, self.tolerance)


@dataclass(frozen=True, slots=True)
class Basic:
    """HTTP Basic; a secret is `user:password`, neither of them blank. Proves who sent it, not what or when."""

    scheme: ClassVar[str] = "basic"
    headers: ClassVar[frozenset[str]] = frozenset({"authorization"})
    grade: ClassVar[Grade] = Grade.SHARED_SECRET

    def usable(self, secret: Secret) -> bool:
        """`user:password`, neither of them blank."""
        user, _, password = secret.value.partition(":")
        return is_written(user) and is_written(password)

    def check(self, body: bytes, headers: Mapping[str, str], secrets: Sequence[Secret], now: datetime) -> Verification:
        """See `Verifier.check`."""
        ready = [secret for secret in secrets if self.usable(secret)]
        wanted = [(secret, b"Basic " + base64.b64encode(utf8(secret.value))) for secret in ready]
        return _shown(self.scheme, wanted, header(headers, "authorization"))


@dataclass(frozen=True, slots=True)
class BearerList:
    """`Authorization: Bearer <token>`; old and new tokens are good side by side while one replaces the other."""

    scheme: ClassVar[str] = "bearer"
    headers: ClassVar[frozenset[str]] = frozenset({"authorization"})
    grade: ClassVar[Grade] = Grade.SHARED_SECRET

    def usable(self, secret: Secret) -> bool:
        """Any token that is not blank."""
        return is_written(secret.value)

    def check(self, body: bytes, headers: Mapping[str, str], secrets: Sequence[Secret], now: datetime) -> Verification:
        """See `Verifier.check`."""
        wanted = [(secret, b"Bearer " + utf8(secret.value)) for secret in secrets if self.usable(secret)]
        return _shown(self.scheme, wanted, header(headers, "authorization"))


@dataclass(frozen=True, slots=True)
class StaticHeader:
    """A header of the provider's choice that always holds the secret itself."""

    header: str
    scheme: ClassVar[str] = "static-header"
    grade: ClassVar[Grade] = Grade.SHARED_SECRET

    @property
    def headers(self) -> frozenset[str]:
        """The one header it reads."""
        return frozenset({self.header.lower()})

    def usable(self, secret: Secret) -> bool:
        """Any secret that is not blank."""
        return is_written(secret.value)

    def check(self, body: bytes, headers: Mapping[str, str], secrets: Sequence[Secret], now: datetime) -> Verification:
        """See `Verifier.check`."""
        wanted = [(secret, utf8(secret.value)) for secret in secrets if self.usable(secret)]
        return _shown(self.scheme, wanted, header(headers, self.header))


def new_secret(verifier: Verifier) -> str | None:
    """A fresh random secret in the form that a verifier takes; None where only the sender has one, see `asked_for`.

    A Basic password has 15 characters: some take no more.
    """
    own = getattr(verifier, "new_secret", None)
    if own is not None:
        made: str | None = own()
        return made
    return f"harmline:{token_urlsafe(12)[:15]}" if isinstance(verifier, Basic) else token_urlsafe(32)


def asked_for(verifier: Verifier) -> str | None:
    """What of its sender's own an admin has to give as the secret, in words; None where one can be made here."""
    said: str | None = getattr(verifier, "secret_is", None)
    return said


def refused(scheme: str, reason: str) -> Verification:
    """The verdict on what proves nothing; `reason` holds no value."""
    return Verification(Outcome.REFUSED, scheme, None, reason, None, Grade.UNVERIFIABLE)


def timed(scheme: str, key: Secret, grade: Grade, stamp: str, now: datetime, tolerance: timedelta) -> Verification:
    """The verdict on a matching signature, in whole seconds; `stamp` is ten digits, or empty where nothing is dated."""
    if not stamp:
        return _matches(scheme, key.key_id, grade, None)
    ahead = int(stamp) - now.timestamp() // 1
    if abs(ahead) <= tolerance.total_seconds():
        return _matches(scheme, key.key_id, grade, int(stamp))
    reason = "signed too far ahead of our clock" if ahead > 0 else "signed too long ago"
    return Verification(Outcome.STALE, scheme, key.key_id, reason, datetime.fromtimestamp(int(stamp), UTC), grade)


@lru_cache(maxsize=MOST_READ)
def _matches(scheme: str, key_id: str, grade: Grade, second: int | None) -> Verification:
    """The verdict on all that one key has signed in the same second: of a crowd it is one."""
    signed_at = None if second is None else datetime.fromtimestamp(second, UTC)
    return Verification(Outcome.AUTHENTIC, scheme, key_id, "signature matches", signed_at, grade)


def _shown(scheme: str, wanted: Sequence[tuple[Secret, bytes]], given: str) -> Verification:
    """The verdict where the secret itself is shown in a header."""
    if not wanted:
        return refused(scheme, "no usable secret")
    match = first_match(wanted, [wire(given)])
    if match is None:
        return refused(scheme, "the header does not match")
    return Verification(Outcome.AUTHENTIC, scheme, match.key_id, "header matches", None, Grade.SHARED_SECRET)


def first_match(wanted: Sequence[tuple[Secret, bytes]], given: Sequence[bytes]) -> Secret | None:
    """Every pair is compared, also after a hit, so that the time taken does not tell which secret matched."""
    hits = [secret for secret, text in wanted for shown in given if hmac.compare_digest(text, shown)]
    return hits[0] if hits else None


@lru_cache(maxsize=MOST_READ)
def _keyed(secret: Secret) -> HMAC | None:
    """HMAC-SHA-256 with a v1 key, of no bytes yet: to begin with the key costs more than what a delivery adds."""
    raw = canonical_base64(secret.value.removeprefix(_SHARED)) if secret.value.startswith(_SHARED) else None
    return HMAC(raw, SHA256()) if raw is not None and len(raw) in SIZES_OF_A_STANDARD_SECRET and any(raw) else None


def _mac(keyed: HMAC, signed: bytes) -> bytes:
    one = keyed.copy()
    one.update(signed)
    return one.finalize()


@lru_cache(maxsize=MOST_READ)
def _public_key(secret: Secret) -> Ed25519PublicKey | None:
    raw = canonical_base64(secret.value.removeprefix(_PUBLIC)) if secret.value.startswith(_PUBLIC) else None
    if raw is None or len(raw) != SIZE_OF_A_PUBLIC_KEY or not any(raw):
        return None
    return Ed25519PublicKey.from_public_bytes(raw)


def _standard_candidates(keys: Sequence[tuple[Secret, HMAC]], signed: bytes) -> list[tuple[Secret, bytes]]:
    return [(secret, b"v1," + base64.b64encode(_mac(keyed, signed))) for secret, keyed in keys]


def _ed25519_match(secrets: Sequence[Secret], given: Sequence[str], signed: bytes) -> Secret | None:
    texts = [canonical_base64(text.removeprefix("v1a,")) for text in given if text.startswith("v1a,")]
    signatures = [raw for raw in texts if raw is not None and len(raw) == SIZE_OF_AN_ED25519_SIGNATURE]
    if not signatures:
        return None
    keys = [(secret, _public_key(secret)) for secret in secrets]
    hits = [secret for secret, key in keys if key is not None for raw in signatures if _signed_by(key, raw, signed)]
    return hits[0] if hits else None


def _signed_by(key: Ed25519PublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True
