"""Sealing and blind indexes. AES-256-GCM-SIV (RFC 8452), HKDF-SHA-256, HMAC-SHA-256; nothing of our own making."""

import hashlib
import hmac
import os
import threading

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION = b"\x01"
_DRAWN_AT_ONCE = 2048


class Unreadable(Exception):
    """The sealed bytes do not open with this key at this place: wrong key, wrong row, or changed bytes."""


class _Drawn:
    """Random bytes of the system, drawn many at once: a call for each nonce costs more than sealing with it."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Draw anew: a forked process must not give what its parent gives."""
        self._lock = threading.Lock()
        self._bytes = b""

    def take(self, count: int) -> bytes:
        """The next bytes; no byte is given twice."""
        with self._lock:
            if count > len(self._bytes):
                self._bytes = os.urandom(max(count, _DRAWN_AT_ONCE))
            taken, self._bytes = self._bytes[:count], self._bytes[count:]
            return taken


_drawn = _Drawn()
os.register_at_fork(after_in_child=_drawn.forget)


def new_key() -> bytes:
    """A fresh 256-bit key."""
    return _drawn.take(KEY_BYTES)


def place(*parts: object) -> bytes:
    """Where a sealed value stands (table, column, organization, row …), each part with its length before it."""
    out = b""
    for part in parts:
        raw = str(part).encode()
        out += len(raw).to_bytes(4, "big") + raw
    return out


def seal(key: bytes, plaintext: bytes, where: bytes) -> bytes:
    """Encrypt and bind to a place: version byte, nonce, ciphertext with tag."""
    return Sealer(key).seal(plaintext, where)


class Sealer:
    """One key, made ready to seal several values."""

    def __init__(self, key: bytes) -> None:
        """`key`: 32 bytes."""
        self._cipher = AESGCMSIV(key)

    def seal(self, plaintext: bytes, where: bytes) -> bytes:
        """See `seal`."""
        nonce = _drawn.take(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, plaintext, where)


def unseal(key: bytes, sealed: bytes, where: bytes) -> bytes:
    """Open what `seal` made for the same place; raises Unreadable otherwise."""
    if sealed[:1] != _VERSION:
        raise Unreadable
    nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    try:
        return AESGCMSIV(key).decrypt(nonce, body, where)
    except (InvalidTag, ValueError) as error:
        raise Unreadable from error


def derive(key: bytes, purpose: str) -> bytes:
    """A sub-key for one purpose, so that no key serves two."""
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose.encode()).derive(key)


def keyed_hash(key: bytes, value: bytes) -> bytes:
    """HMAC-SHA-256, 32 bytes."""
    return hmac.digest(key, value, "sha256")


def token_hash(token: str) -> bytes:
    """SHA-256 of a random token (128 bits or more), as it is stored."""
    return hashlib.sha256(token.encode()).digest()
