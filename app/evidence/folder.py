"""A folder that fills file by file. Each is there whole or not at all, so that a build that was broken off goes on."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.kit import canonical

_AT_ONCE = 1 << 20


class Folder:
    """A folder and all that is in it, by paths with slashes that begin there."""

    def __init__(self, root: Path) -> None:
        """`root`: where it is, or is to be."""
        self.root = root

    def write(self, path: str, content: bytes) -> None:
        """Put a file there, whole, over one of the same name."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".{target.name}.new")
        beside.write_bytes(content)
        os.replace(beside, target)

    def write_json(self, path: str, value: Any) -> None:
        """Put a JSON file there, in canonical form (RFC 8785)."""
        self.write(path, canonical.dumps(value))

    def has(self, path: str) -> bool:
        """Whether a file is there."""
        return (self.root / path).is_file()

    def read(self, path: str) -> bytes:
        """A file's bytes."""
        return (self.root / path).read_bytes()

    def paths(self, under: str = "") -> Iterator[str]:
        """Every file, or those under a folder, in order."""
        found = (one for one in (self.root / under).rglob("*") if one.is_file())
        yield from sorted(one.relative_to(self.root).as_posix() for one in found)

    def size(self, path: str) -> int:
        """How many bytes a file has."""
        return (self.root / path).stat().st_size

    def sha256(self, path: str) -> str:
        """SHA-256 of a file in hex, read piece by piece."""
        found = hashlib.sha256()
        with (self.root / path).open("rb") as file:
            while piece := file.read(_AT_ONCE):
                found.update(piece)
        return found.hexdigest()
