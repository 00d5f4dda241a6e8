"""The public key in a DKIM record of the DNS. Source: RFC 6376 3.6.1, RFC 8301 (RSA), RFC 8463 (Ed25519)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

WEAKEST, STRONGEST = 1024, 8192
"""Bits of an RSA key. A larger one would cost whoever checks it."""

LARGEST_EXPONENT = 2**32
LONGEST = 8 * 1024
RAW_KEY = 32
_TAG = re.compile(r"(?<!\s)\s*+([A-Za-z][A-Za-z0-9_]{0,15})\s*+=([^;]*+)(?:;|\Z)")


class KeyRefused(Exception):
    """A record that no signature is accepted by; the message says why, in plain words."""


@dataclass
class Ed25519Key:
    """As dkimpy asks a key: `verify(message, signature)`. It notes the outcome instead of raising another library's error."""

    key: Ed25519PublicKey = field(repr=False)
    fits: bool = False

    def verify(self, message: bytes, signature: bytes) -> None:
        """`fits` is whether the last signature did."""
        try:
            self.key.verify(signature, message)
            self.fits = True
        except InvalidSignature:
            self.fits = False


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key in the form in which dkimpy uses it. `strict`: it signs for exactly its own domain in i=, not for one below."""

    algorithm: bytes
    key: Any = field(repr=False)
    bits: int
    strict: bool


def tags(text: str) -> dict[str, str]:
    """A list of `tag=value;`, blanks around values gone. KeyRefused when it is none, or names a tag twice."""
    found: dict[str, str] = {}
    end = 0
    for match in _TAG.finditer(text):
        if match.start() != end or match[1] in found:
            break
        found[match[1]] = match[2].strip()
        end = match.end()
    if text[end:].strip() or not found:
        raise KeyRefused("its key in DNS cannot be read")
    return found


def key_of(record: str) -> PublicKey:
    """The key of a TXT record. Raises KeyRefused."""
    if len(record) > LONGEST or not record.isascii():
        raise KeyRefused("its key in DNS cannot be read")
    given = tags(record)
    _require_usable(given)
    flags = _words(given.get("t", ""))
    if "y" in flags:
        raise KeyRefused("its signer only tries signing out, by its own word")
    try:
        raw = base64.b64decode(re.sub(r"\s+", "", given["p"]), validate=True)
    except (binascii.Error, ValueError):
        raise KeyRefused("its key in DNS cannot be read") from None
    kind = given.get("k", "rsa").lower()
    if kind == "rsa":
        return _rsa(raw, strict="s" in flags)
    if kind == "ed25519" and len(raw) == RAW_KEY:
        return PublicKey(b"ed25519", Ed25519Key(Ed25519PublicKey.from_public_bytes(raw)), 256, "s" in flags)
    raise KeyRefused("its key in DNS is of a kind that is not known")


def _require_usable(given: Mapping[str, str]) -> None:
    if given.get("v", "DKIM1") != "DKIM1" or "p" not in given:
        raise KeyRefused("its key in DNS cannot be read")
    if not given["p"]:
        raise KeyRefused("its signer has revoked the key")
    if not {"*", "email"} & _words(given.get("s", "*")):
        raise KeyRefused("its key in DNS is not for mail")
    if "sha256" not in _words(given.get("h", "sha256")):
        raise KeyRefused("its key in DNS is only for a hash that is not accepted")


def _words(text: str) -> set[str]:
    return {word.strip().lower() for word in text.split(":")}


def _rsa(raw: bytes, *, strict: bool) -> PublicKey:
    try:
        key = load_der_public_key(raw)
    except (ValueError, UnsupportedAlgorithm, TypeError):
        raise KeyRefused("its key in DNS cannot be read, or is too weak to be read") from None
    if not isinstance(key, RSAPublicKey):
        raise KeyRefused("its key in DNS is of another kind than it says")
    numbers = key.public_numbers()
    if key.key_size < WEAKEST:
        raise KeyRefused("its key is too weak")
    if key.key_size > STRONGEST or not 3 <= numbers.e < LARGEST_EXPONENT:
        raise KeyRefused("its key is larger than any that is used")
    return PublicKey(b"rsa", {"modulus": numbers.n, "publicExponent": numbers.e}, key.key_size, strict)
