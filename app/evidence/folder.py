"""A folder that fills file by file. Each is there whole or not at all, so that a build that was broken off goes on."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from app.kit import canonical
from app.kit.crypto import Sealer, place

_AT_ONCE = 1 << 20


class Cover(Protocol):
    """How the files of a folder lie on the disk. `more`: how many bytes each has there beside its own."""

    more: int

    def put_on(self, path: str, content: bytes) -> bytes:
        """The bytes for the disk."""
        ...

    def take_off(self, path: str, stored: bytes) -> bytes:
        """The file's own bytes. Raises Unreadable."""
        ...


class Sealed:
    """Every file sealed under the folder's own key, and bound to its path: none passes for another, and none lies in plain."""

    more = 29

    def __init__(self, key: bytes, owner: object) -> None:
        """`key`: 32 bytes, of this folder alone; `owner`: whose folder it is."""
        self._sealer = Sealer(key)
        self._owner = owner

    def put_on(self, path: str, content: bytes) -> bytes:
        """Header, nonce, ciphertext and tag."""
        return self._sealer.seal(content, place("packet", self._owner, path))

    def take_off(self, path: str, stored: bytes) -> bytes:
        """The file's own bytes. Raises Unreadable."""
        return self._sealer.unseal(stored, place("packet", self._owner, path))


class Folder:
    """A folder and all that is in it, by paths with slashes that begin there."""

    def __init__(self, root: Path, cover: Cover | None = None) -> None:
        """`root`: where it is, or is to be; `cover`: none, the files lie there as they are."""
        self.root = root
        self._cover = cover

    def within(self, name: str) -> "Folder":
        """A folder in it, whose files lie there in the same way."""
        return Folder(self.root / name, self._cover)

    def write(self, path: str, content: bytes) -> None:
        """Put a file there, whole, over one of the same name."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".{target.name}.new")
        beside.write_bytes(content if self._cover is None else self._cover.put_on(path, content))
        os.replace(beside, target)

    def settle(self) -> None:
        """Have everything on the disk itself: a machine that loses power a moment later has it whole. Raises OSError.

        The two folders above it, too: they may have been made with it, and say that it is there.
        """
        for one in (*self.root.parents[:2], self.root, *self.root.rglob("*")):
            handle = os.open(one, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def write_json(self, path: str, value: Any) -> None:
        """Put a JSON file there, in canonical form (RFC 8785)."""
        self.write(path, canonical.dumps(value))

    def has(self, path: str) -> bool:
        """Whether a file is there."""
        return (self.root / path).is_file()

    def read(self, path: str) -> bytes:
        """A file's bytes."""
        stored = (self.root / path).read_bytes()
        return stored if self._cover is None else self._cover.take_off(path, stored)

    def paths(self, under: str = "") -> Iterator[str]:
        """Every file, or those under a folder, in order."""
        found = (one for one in (self.root / under).rglob("*") if one.is_file() and not _is_half(one))
        yield from sorted(one.relative_to(self.root).as_posix() for one in found)

    def size(self, path: str) -> int:
        """How many bytes a file has."""
        return (self.root / path).stat().st_size - (0 if self._cover is None else self._cover.more)

    def sha256(self, path: str) -> str:
        """SHA-256 of a file in hex; one that lies there as it is, is read piece by piece."""
        if self._cover is not None:
            return hashlib.sha256(self.read(path)).hexdigest()
        found = hashlib.sha256()
        with (self.root / path).open("rb") as file:
            while piece := file.read(_AT_ONCE):
                found.update(piece)
        return found.hexdigest()


def _is_half(path: Path) -> bool:
    """Whether this was being written when somebody pulled the plug: none of our own names begins with a dot."""
    return path.name.startswith(".") and path.name.endswith(".new")
