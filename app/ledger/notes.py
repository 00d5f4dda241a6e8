"""Checkpoints of a log, signed by it and cosigned by witnesses, in the formats of c2sp.org; read strictly. No I/O.

signed-note@v1, tlog-checkpoint@v1, tlog-cosignature@v1, with Ed25519 alone.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from app.ledger.tree import HASH_BYTES

LARGEST_NOTE = 1_000_000
"""Bytes; and this many signatures at most (the limits of the Go implementation, golang.org/x/mod/sumdb/note):"""
MOST_SIGNATURES = 100
LARGEST_NUMBER = 2**63 - 1
"""Of leaves, and of seconds since 1970."""

_DASH = "\u2014 "
_ID_BYTES = 4
_KEY_BYTES = 32
_SIGNATURE_BYTES = 64
_TIME_BYTES = 8


class NoteError(ValueError):
    """A note, a key or a checkpoint is malformed or not signed as it must be; the text says why, in plain words."""


class Kind(IntEnum):
    """The signature types that are understood: a log's own, and a witness's cosignature with its time."""

    SIGNATURE = 0x01
    COSIGNATURE = 0x04


def from_base64(text: str) -> bytes:
    """Decode base64 that is written in the one canonical way; raises NoteError."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):  # ValueError: not ASCII
        raise NoteError("this is no base64") from None
    if base64.b64encode(raw).decode() != text:
        raise NoteError("base64 that ends in bits nobody asked for")
    return raw


def to_base64(raw: bytes) -> str:
    """As every line of these formats has it."""
    return base64.b64encode(raw).decode()


def hash_from(text: str) -> bytes:
    """The 32 bytes of a hash in base64; raises NoteError."""
    raw = from_base64(text)
    if len(raw) != HASH_BYTES:
        raise NoteError("a hash is not 32 bytes long")
    return raw


def number_from(text: str) -> int:
    """A whole number without leading zeroes, at most 2^63 - 1; raises NoteError."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_NUMBER))) or (text[0] == "0" and text != "0"):
        raise NoteError("a number is not written as a number")
    number = int(text)
    if number > LARGEST_NUMBER:
        raise NoteError("a number is too large")
    return number


def _check_name(name: str) -> str:
    if not name or "+" in name or any(one.isspace() or one < " " for one in name):
        raise NoteError("the name of a key is empty, or holds a space or a plus")
    return name


@dataclass(frozen=True, slots=True)
class Key:
    """Who may sign, as everybody may know it. `public`: 32 bytes, Ed25519. `str` gives the vkey of c2sp.org/signed-note."""

    name: str
    kind: Kind
    public: bytes

    @property
    def id(self) -> bytes:
        """The first 4 bytes of SHA-256 over name, newline, kind and public key."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{to_base64(bytes([self.kind]) + self.public)}"


def parse_key(vkey: str) -> Key:
    """Read a vkey, `name+id in hexadecimal+base64`; raises NoteError, also when its id is not that of the key."""
    parts = vkey.split("+", 2)  # base64 has pluses of its own
    if len(parts) != 3:
        raise NoteError("a key is written as name+id+key")
    name, key_id, raw = _check_name(parts[0]), parts[1], from_base64(parts[2])
    if raw[:1] not in (bytes([Kind.SIGNATURE]), bytes([Kind.COSIGNATURE])) or len(raw) != 1 + _KEY_BYTES:
        raise NoteError("this is not the Ed25519 key of a log or of a witness")
    key = Key(name, Kind(raw[0]), raw[1:])
    try:
        if key.id.hex() != key_id:
            raise NoteError("the id in the middle of the key is not that of this name and key: is a letter wrong?")
        Ed25519PublicKey.from_public_bytes(key.public)
    except UnicodeEncodeError:
        raise NoteError("the name of a key is no text") from None
    return key


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line of a note. `raw`: what follows the key's id."""

    name: str
    key_id: bytes
    raw: bytes

    @property
    def line(self) -> str:
        """As it stands in a note, with its newline."""
        return f"{_DASH}{self.name} {to_base64(self.key_id + self.raw)}\n"

    def is_of(self, key: Key) -> bool:
        """Whether it says that this key made it."""
        return self.name == key.name and self.key_id == key.id


@dataclass(frozen=True, slots=True)
class Note:
    """A text and its signatures, none of them verified yet. `text` ends with a newline."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(one.line for one in self.signatures)}"

    def __bytes__(self) -> bytes:
        return str(self).encode()

    def with_lines(self, more: Iterable[Signature]) -> "Note":
        """The same note with these signatures after its own; one that is there already is not put there twice."""
        return Note(self.text, tuple(dict.fromkeys((*self.signatures, *more))))


def parse_signature(line: str) -> Signature:
    """Read one signature line, without its newline; raises NoteError."""
    parts = line.removeprefix(_DASH).split(" ")
    if not line.startswith(_DASH) or len(parts) != 2:
        raise NoteError("a signature line is not written as one")
    name, raw = _check_name(parts[0]), from_base64(parts[1])
    if len(raw) <= _ID_BYTES:
        raise NoteError("a signature line holds no signature")
    return Signature(name, raw[:_ID_BYTES], raw[_ID_BYTES:])


def parse_note(raw: bytes) -> Note:
    """Read a signed note; raises NoteError. Nothing in it may be believed before `verify`."""
    if len(raw) > LARGEST_NOTE:
        raise NoteError("a note is too large")
    try:
        whole = raw.decode()
    except UnicodeDecodeError:
        raise NoteError("a note is no UTF-8") from None
    if any(one < " " for one in whole.replace("\n", "")):
        raise NoteError("a note holds a control character")
    text, gap, lines = whole.rpartition("\n\n")
    if not gap or not lines.endswith("\n"):
        raise NoteError("a note is not a text, an empty line and signature lines")
    found = lines[:-1].split("\n")
    if len(found) > MOST_SIGNATURES:
        raise NoteError("a note has too many signatures")
    return Note(f"{text}\n", tuple(parse_signature(line) for line in found))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself: that it had `size` entries, and this root (32 bytes) over them. `extensions`: opaque lines."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The text of its note."""
        return "".join(f"{line}\n" for line in (self.origin, self.size, to_base64(self.root), *self.extensions))


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint's note; raises NoteError."""
    origin, *lines = text.removesuffix("\n").split("\n")
    if not text.endswith("\n") or len(lines) < 2 or not all((origin, *lines)):
        raise NoteError("a checkpoint is not an origin, a size and a root, each on a line")
    return Checkpoint(origin, number_from(lines[0]), hash_from(lines[1]), tuple(lines[2:]))


def _cosigned(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def _seconds(signature: Signature, key: Key, text: str) -> int | None:
    timed = key.kind is Kind.COSIGNATURE
    raw = signature.raw[_TIME_BYTES:] if timed else signature.raw
    seconds = int.from_bytes(signature.raw[:_TIME_BYTES], "big") if timed else None
    if len(raw) != _SIGNATURE_BYTES or (seconds is not None and seconds > LARGEST_NUMBER):
        raise NoteError(f"a signature of {key.name} is not as long as one must be")
    signed = text.encode() if seconds is None else _cosigned(text, seconds)
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(raw, signed)
    except InvalidSignature:
        raise NoteError(f"the signature of {key.name} is wrong: the text was changed, or another key signed it") from None
    return seconds


def verify(note: Note, keys: Iterable[Key]) -> dict[Key, int | None]:
    """Which of these keys signed a note; a cosignature with its time, in seconds since 1970 (the latest of several).

    Signatures of other keys are passed over. Raises NoteError when one of these keys' is wrong.
    """
    found: dict[Key, int | None] = {}
    for key in keys:
        for signature in note.signatures:
            if signature.is_of(key):
                seconds = _seconds(signature, key, note.text)
                found[key] = max(seconds or 0, found.get(key) or 0) if key.kind is Kind.COSIGNATURE else None
    return found


def open_checkpoint(raw: bytes, log_keys: Sequence[Key]) -> tuple[Checkpoint, Note]:
    """Read a checkpoint that one of the log's keys signed; raises NoteError. A key counts for the origin of its name only."""
    note = parse_note(raw)
    checkpoint = parse_checkpoint(note.text)
    own = [key for key in log_keys if key.name == checkpoint.origin and key.kind is Kind.SIGNATURE]
    if not own:
        raise NoteError("this is the checkpoint of another log")
    if not verify(note, own):
        raise NoteError("the log has not signed this checkpoint by any key that is trusted")
    return checkpoint, note


class Signer:
    """One key that signs."""

    def __init__(self, name: str, kind: Kind, seed: bytes) -> None:
        """`seed`: the 32 bytes of an Ed25519 private key. Raises NoteError for a name that no key may have."""
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.key = Key(_check_name(name), kind, self._private.public_key().public_bytes_raw())

    def sign(self, text: str, seconds: int = 0) -> Signature:
        """Sign a note's text. `seconds`: since 1970, of a cosignature; a log's own signature has no time."""
        if self.key.kind is Kind.SIGNATURE:
            return Signature(self.key.name, self.key.id, self._private.sign(text.encode()))
        stamped = seconds.to_bytes(_TIME_BYTES, "big") + self._private.sign(_cosigned(text, seconds))
        return Signature(self.key.name, self.key.id, stamped)
