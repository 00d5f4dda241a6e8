"""The top key: what wraps the keys of organizations, and where it is kept. In a file, or behind a service of the same form.

A file holds one key in base64, or while it is replaced two: the newest first. It may be encrypted as an age file, by a passphrase
or to an identity, which then lies somewhere else.
"""

import base64
import binascii
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyrage

from app.kit import crypto
from app.kit.crypto import KeysAway

_AGE = b"age-encryption.org/"
_WORLD = 0o007


class KeyFileError(Exception):
    """The key file is missing, not a key, or open to others; says which file and how to mend it."""


class Vault(Protocol):
    """Where the top key is. A service that wraps and unwraps for us (a KMS) fits here: the key need not leave it."""

    @property
    def newest(self) -> str:
        """The name of the key that wraps now."""

    @property
    def oldest(self) -> str:
        """The name of the key that wraps what names none: it is from before top keys had names, and there was one only."""

    @property
    def first(self) -> bytes | None:
        """The key that blind indexes over all organizations came from before they had one of their own; None: never."""

    async def wrap(self, key: bytes, where: bytes) -> bytes:
        """Wrap a key under the newest, bound to a place. Raises KeysAway."""

    async def unwrap(self, name: str | None, wrapped: bytes, where: bytes) -> bytes:
        """The key that was wrapped under the one of this name (None: the oldest). Raises Unreadable, KeysAway."""

    async def refresh(self) -> None:
        """Look again which keys there are: another process may have made a new one. Raises KeysAway."""


def fingerprint(key: bytes) -> str:
    """The name of a top key, 16 letters that tell nothing of it."""
    return crypto.derive(key, "fingerprint")[:8].hex()


@dataclass(frozen=True)
class Lock:
    """What opens an encrypted key file; both None for one that is in plain. Each is the path of a file."""

    passphrase: Path | None = None
    identity: Path | None = None

    def close(self, content: bytes) -> bytes:
        """Encrypt what is to be written. Raises KeyFileError."""
        if self.passphrase is not None:
            sealed: bytes = pyrage.passphrase.encrypt(content, _secret_text(self.passphrase))
            return sealed
        if self.identity is not None:
            to_identity: bytes = pyrage.encrypt(content, [_identity(self.identity).to_public()])
            return to_identity
        return content

    def open(self, path: Path, content: bytes) -> bytes:
        """Decrypt what was read from `path`, if it is encrypted. Raises KeyFileError."""
        if not content.startswith(_AGE):
            return content
        if self.passphrase is None and self.identity is None:
            raise KeyFileError(
                f"{path} is encrypted: set HARMLINE_KEY_PASSPHRASE_FILE or HARMLINE_KEY_IDENTITY_FILE to the file that opens it"
            )
        try:
            opened: bytes = (
                pyrage.passphrase.decrypt(content, _secret_text(self.passphrase))
                if self.passphrase is not None
                else pyrage.decrypt(content, [_identity(self.identity or path)])
            )
        except pyrage.DecryptError:
            raise KeyFileError(f"{path} does not open: it was encrypted with another passphrase or to another identity") from None
        return opened


IN_PLAIN = Lock()


def _private(path: Path) -> bytes:
    """The content of a file that is nobody else's business. Raises KeyFileError."""
    try:
        if path.stat().st_mode & _WORLD:
            raise KeyFileError(f"{path} is open to everybody on this machine: chmod 600 {path}")
        return path.read_bytes()
    except FileNotFoundError:
        raise KeyFileError(f"{path} is missing: make one with `harmline keys create`, or restore it") from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read ({error.strerror})") from None


def _secret_text(path: Path) -> str:
    text = _private(path).decode(errors="replace").strip()
    if not text:
        raise KeyFileError(f"{path} is empty: it must hold the passphrase")
    return text


def _identity(path: Path) -> pyrage.x25519.Identity:
    lines = [line for line in _secret_text(path).splitlines() if line and not line.startswith("#")]
    try:
        (line,) = lines
        return pyrage.x25519.Identity.from_str(line)
    except (ValueError, pyrage.IdentityError):
        raise KeyFileError(f"{path} is not an age identity: it must hold one line AGE-SECRET-KEY-1...") from None


def read_key_file(path: Path, lock: Lock = IN_PLAIN) -> tuple[bytes, ...]:
    """The top keys, newest first: each 32 random bytes in base64 on a line of its own. Raises KeyFileError."""
    lines = lock.open(path, _private(path)).split()
    try:
        keys = tuple(base64.b64decode(line, validate=True) for line in lines)
    except (binascii.Error, ValueError):
        keys = ()
    if not keys or {len(key) for key in keys} != {crypto.KEY_BYTES}:
        raise KeyFileError(f"{path} is not a key: it must hold 32 bytes in base64; restore it from your copy")
    return keys


def create_key_file(path: Path, lock: Lock = IN_PLAIN, key: bytes | None = None) -> None:
    """Make a new top key, readable by its owner only; never overwrites one (FileExistsError). `key`: a recovered one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    content = lock.close(_lines([key or crypto.new_key()]))
    _write(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), content)
    _flush_folder(path)


def replace_key_file(path: Path, keys: Sequence[bytes], lock: Lock = IN_PLAIN) -> None:
    """Put other keys, newest first, in the place of those that are there: all at once, or not at all."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    _write(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), lock.close(_lines(keys)))
    beside.replace(path)
    _flush_folder(path)


def _lines(keys: Sequence[bytes]) -> bytes:
    return b"".join(base64.b64encode(key) + b"\n" for key in keys)


def _write(handle: int, content: bytes) -> None:
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class HeldKeys:
    """A vault whose keys are in the memory of this process."""

    def __init__(self, *keys: bytes) -> None:
        """`keys`: 32 bytes each, the newest first."""
        self.keys = keys

    @property
    def newest(self) -> str:
        """See `Vault`."""
        return fingerprint(self._at_hand()[0])

    @property
    def oldest(self) -> str:
        """See `Vault`."""
        return fingerprint(self._at_hand()[-1])

    @property
    def first(self) -> bytes | None:
        """See `Vault`."""
        return self.keys[-1] if self.keys else None

    async def wrap(self, key: bytes, where: bytes) -> bytes:
        """See `Vault`."""
        return crypto.seal(self._at_hand()[0], key, where)

    async def unwrap(self, name: str | None, wrapped: bytes, where: bytes) -> bytes:
        """See `Vault`."""
        key = self._named(name)
        if key is None:
            await self.refresh()
            key = self._named(name)
        if key is None:
            raise KeysAway(f"the key {name} is not at hand")
        return crypto.unseal(key, wrapped, where)

    async def refresh(self) -> None:
        """See `Vault`."""

    def _at_hand(self) -> tuple[bytes, ...]:
        if not self.keys:
            raise KeysAway("the key is not at hand")
        return self.keys

    def _named(self, name: str | None) -> bytes | None:
        if name is None:
            return self.keys[-1] if self.keys else None
        return next((key for key in self.keys if fingerprint(key) == name), None)


class KeyFile(HeldKeys):
    """The vault of a file."""

    def __init__(self, path: Path, lock: Lock = IN_PLAIN, *, away: bool = False) -> None:
        """Raises KeyFileError when the file is not there, or not as it should be.

        `away`: it is looked for when a key is needed, and not before.
        """
        super().__init__(*(() if away else read_key_file(path, lock)))
        self.path, self.lock = path, lock

    async def refresh(self) -> None:
        """See `Vault`."""
        try:
            self.keys = read_key_file(self.path, self.lock)
        except KeyFileError as error:
            raise KeysAway(str(error)) from error

    def replace(self, keys: Sequence[bytes]) -> None:
        """Write other keys into the file, newest first, and hold them from now on."""
        replace_key_file(self.path, keys, self.lock)
        self.keys = tuple(keys)
