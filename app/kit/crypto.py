"""Sealing and blind indexes. AES-256-GCM-SIV (RFC 8452), HKDF-SHA-256, HMAC-SHA-256; nothing of our own making."""

import hashlib
import hmac
import os
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.kit.ids import written

KEY_BYTES = 32
NONCE_BYTES = 12
PLAIN, NUMBERED, IN_SLOT, FOR_DOOR = b"\x01", b"\x02", b"\x03", b"\x04"
"""How sealed bytes begin: under a key of which there is one only, or under one of several versions, whose number follows.

IN_SLOT: put into a slot (`kit/slot`) by whoever has its public half. FOR_DOOR: what the door is to open too (`kit/door_keys`).
"""

_NUMBER_BYTES = 2
_DRAWN_AT_ONCE = 64


class Unreadable(Exception):
    """The sealed bytes do not open with this key at this place: wrong key, wrong row, or changed bytes."""


class KeysAway(ConnectionError):
    """A key that this needs is not at hand just now; to try again later is right, and nothing is wrong with the bytes."""


class _Drawn:
    """Random bytes of the system in pieces of one size, drawn many at once: a call for each costs more than sealing with it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.forget()

    def forget(self) -> None:
        """Draw anew: a forked process must not give what its parent gives."""
        self._pieces: list[bytes] = []

    def take(self) -> bytes:
        """The next piece; none is given twice, whichever threads ask at once."""
        try:
            return self._pieces.pop()
        except IndexError:
            drawn, size = os.urandom(self._size * _DRAWN_AT_ONCE), self._size
            self._pieces += [drawn[start : start + size] for start in range(size, len(drawn), size)]
            return drawn[:size]


_keys, _nonces = _Drawn(KEY_BYTES), _Drawn(NONCE_BYTES)
for _one in (_keys, _nonces):
    os.register_at_fork(after_in_child=_one.forget)


def new_key() -> bytes:
    """A fresh 256-bit key."""
    return _keys.take()


def new_nonce() -> bytes:
    """12 bytes that no other call gives."""
    return _nonces.take()


def place(*parts: object) -> bytes:
    """Where a sealed value stands (table, column, organization, row …), each part with its length before it.

    So the place of several parts is that of the first ones and then that of the others.
    """
    out: list[bytes] = []
    for part in parts:
        raw = (written(part) if isinstance(part, UUID) else str(part)).encode()
        out += len(raw).to_bytes(4, "big"), raw
    return b"".join(out)


def seal(key: bytes, plaintext: bytes, where: bytes) -> bytes:
    """Encrypt and bind to a place: header, nonce, ciphertext with tag."""
    return Sealer(key).seal(plaintext, where)


def header(version: int, form: bytes = NUMBERED) -> bytes:
    """How everything of one form begins that is sealed under this version of a key."""
    return form + version.to_bytes(_NUMBER_BYTES, "big")


def version_of(sealed: bytes) -> int:
    """Which version of its key opens this: 1 for what was sealed before keys had versions. Raises Unreadable."""
    if sealed[:1] == PLAIN:
        return 1
    return int.from_bytes(header_of(sealed)[1:], "big")


def header_of(sealed: bytes) -> bytes:
    """What these sealed bytes begin with: their form, and the number of the version where there is one. Raises Unreadable."""
    if sealed[:1] == PLAIN:
        return PLAIN
    found = sealed[: 1 + _NUMBER_BYTES]
    if found[:1] not in (NUMBERED, IN_SLOT, FOR_DOOR) or len(found) != 1 + _NUMBER_BYTES:
        raise Unreadable
    return found


class Sealer:
    """One key, made ready to seal several values. The header is bound to the place: no version passes for another."""

    def __init__(self, key: bytes, version: int | None = None, form: bytes = NUMBERED) -> None:
        """`key`: 32 bytes; `version`: which one it is, of a key that has several."""
        self._cipher = AESGCMSIV(key)
        self._header = PLAIN if version is None else header(version, form)
        self._bound = b"" if version is None else self._header

    def seal(self, plaintext: bytes, where: bytes) -> bytes:
        """See `seal`."""
        nonce = new_nonce()
        return self._header + nonce + self._cipher.encrypt(nonce, plaintext, self._bound + where)

    def unseal(self, sealed: bytes, where: bytes) -> bytes:
        """See `unseal`."""
        begins = header_of(sealed)
        bound, start = b"" if begins == PLAIN else begins, len(begins)
        nonce, body = sealed[start : start + NONCE_BYTES], sealed[start + NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, body, bound + where)
        except (InvalidTag, ValueError) as error:
            raise Unreadable from error


def unseal(key: bytes, sealed: bytes, where: bytes) -> bytes:
    """Open what `seal` made for the same place; raises Unreadable otherwise."""
    return Sealer(key).unseal(sealed, where)


def derive(key: bytes, purpose: str) -> bytes:
    """A sub-key for one purpose, so that no key serves two."""
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose.encode()).derive(key)


def keyed_hash(key: bytes, value: bytes) -> bytes:
    """HMAC-SHA-256, 32 bytes."""
    return hmac.digest(key, value, "sha256")


class KeyedHash:
    """`keyed_hash` under one key, made ready for many values: to begin with the key costs more than the value."""

    def __init__(self, key: bytes) -> None:
        self._ready = HMAC(key, SHA256())

    def of(self, value: bytes) -> bytes:
        """HMAC-SHA-256, 32 bytes."""
        one = self._ready.copy()
        one.update(value)
        return one.finalize()


def token_hash(token: str) -> bytes:
    """SHA-256 of a random token (128 bits or more), as it is stored."""
    return hashlib.sha256(token.encode()).digest()
