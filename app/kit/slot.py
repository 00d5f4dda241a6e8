"""A slot: whoever has its public half puts keys in, and only who has the private half takes them out.

The shared secret is that of RFC 9180, DHKEM(X25519, HKDF-SHA256). An exchange for each key would cost more than all else that is
done with a delivery, so a process draws a pair of its own, uses its shared secret for some minutes or some thousand keys, and
forgets it. The public half of that pair goes with each key: 0x03 | version | it (32 bytes) | nonce | ciphertext.
"""

import os
import time
from collections import OrderedDict

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.kit import crypto
from app.kit.crypto import Unreadable

MOST_KEYS = 4096
LONGEST = 300.0
"""How many keys are put in by one pair, and for how many seconds: who reads the memory of a process reads these, no others."""

REMEMBERED = 256
"""How many shared secrets whoever takes out remembers, so that each costs one exchange and not one for each key."""

_PUBLIC_BYTES = 32
_SUITE = b"HPKE-v1KEM\x00\x20"
_PURPOSE = "key in a slot"

_forks = 0


def _forked() -> None:
    global _forks  # noqa: PLW0603 - a child must not put in by the pair of its parent
    _forks += 1


os.register_at_fork(after_in_child=_forked)


def shared_secret(dh: bytes, enc: bytes, public: bytes) -> bytes:
    """`ExtractAndExpand` of RFC 9180, 4.1: 32 bytes. `enc`: the public half of the pair that was drawn; `public`: the slot's."""
    info = crypto.KEY_BYTES.to_bytes(2, "big") + _SUITE + b"shared_secret" + enc + public
    return HKDF(algorithm=SHA256(), length=crypto.KEY_BYTES, salt=None, info=info).derive(_SUITE + b"eae_prk" + dh)


def _cipher(dh: bytes, enc: bytes, public: bytes) -> AESGCMSIV:
    return AESGCMSIV(crypto.derive(shared_secret(dh, enc, public), _PURPOSE))


class _Pair:
    """What a process draws for itself, as long as it is good."""

    __slots__ = ("_cipher", "_forks", "_left", "_until", "begins")

    def __init__(self, slot: X25519PublicKey, version: int) -> None:
        drawn = X25519PrivateKey.generate()
        enc = drawn.public_key().public_bytes_raw()
        self._cipher = _cipher(drawn.exchange(slot), enc, slot.public_bytes_raw())
        self.begins = crypto.header(version, crypto.IN_SLOT) + enc
        self._left, self._until, self._forks = MOST_KEYS, time.monotonic() + LONGEST, _forks

    def is_good(self) -> bool:
        return self._left > 0 and self._forks == _forks and time.monotonic() < self._until

    def seal(self, key: bytes, where: bytes) -> bytes:
        self._left -= 1
        nonce = crypto.new_nonce()
        return self.begins + nonce + self._cipher.encrypt(nonce, key, self.begins + where)


class Slot:
    """The public half, for whoever puts keys in."""

    def __init__(self, public: bytes, version: int) -> None:
        """`public`: 32 bytes; `version`: of the organization's key that it belongs to. Raises ValueError for no public key."""
        self._public, self._version = X25519PublicKey.from_public_bytes(public), version
        self._pair: _Pair | None = None

    def put(self, key: bytes, where: bytes) -> bytes:
        """A key, so that only the private half opens it, and only at this place."""
        pair = self._pair
        if pair is None or not pair.is_good():
            pair = self._pair = _Pair(self._public, self._version)
        return pair.seal(key, where)


class SlotKey:
    """The private half, for whoever takes keys out."""

    def __init__(self, private: bytes) -> None:
        """`private`: 32 random bytes."""
        self._private = X25519PrivateKey.from_private_bytes(private)
        self.public = self._private.public_key().public_bytes_raw()
        self._known: OrderedDict[bytes, AESGCMSIV] = OrderedDict()

    def unseal(self, sealed: bytes, where: bytes) -> bytes:
        """The key that was put in for the same place. Raises Unreadable."""
        begins = sealed[: len(crypto.header_of(sealed)) + _PUBLIC_BYTES]
        nonce, body = sealed[len(begins) :][: crypto.NONCE_BYTES], sealed[len(begins) + crypto.NONCE_BYTES :]
        try:
            return self._cipher_of(begins[-_PUBLIC_BYTES:]).decrypt(nonce, body, begins + where)
        except (InvalidTag, ValueError) as error:  # ValueError: too short, or a point that gives nothing away
            raise Unreadable from error

    def _cipher_of(self, enc: bytes) -> AESGCMSIV:
        found = self._known.get(enc)
        if found is None:
            dh = self._private.exchange(X25519PublicKey.from_public_bytes(enc))
            found = self._known[enc] = _cipher(dh, enc, self.public)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(enc)
        return found
