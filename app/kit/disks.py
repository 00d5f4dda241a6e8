"""How much room is left where this machine writes. A mount that hangs holds up nobody."""

import asyncio
import shutil
import threading
from contextlib import suppress
from pathlib import Path

LEAST_FREE = 512 * 1024**2
ROOMY = 5 * 1024**3
LEAST_SHARE = 0.1
"""A disk is nearly full below `LEAST_FREE` bytes, or with less than this share free where that is less than `ROOMY` bytes."""

LONGEST_LOOK = 1.0
"""Seconds that somebody waits for a look at a folder."""

_NOT_OURS = (FileNotFoundError, NotADirectoryError, PermissionError)

Usage = tuple[int, int]
"""Bytes: free, and in all."""


def nearly_full(free: int, total: int) -> bool:
    """Whether a disk with this many free bytes should be looked at before it is too late."""
    return free < LEAST_FREE or (free < ROOMY and free < LEAST_SHARE * total)


def usage_of(folder: Path) -> Usage:
    """The disk of a folder, or of the next one above it where it is still to be made or another user's. Raises OSError."""
    for place in (folder, *folder.absolute().parents):
        with suppress(*_NOT_OURS):
            found = shutil.disk_usage(place)
            return found.free, found.total
    raise FileNotFoundError(folder)


class Disks:
    """Looks at the disks of folders that may lie anywhere: each in a thread of its own, and never in two at once."""

    def __init__(self) -> None:
        """Nothing is looked at yet."""
        self._looks: dict[Path, asyncio.Future[Usage | None]] = {}

    async def usage(self, folder: Path) -> Usage | None:
        """See `usage_of`; None when the folder cannot be looked at, or only waits. Never raises."""
        look = self._looks.get(folder)
        if look is None or look.done():
            look = self._looks[folder] = _begun(folder)
        await asyncio.wait({look}, timeout=LONGEST_LOOK)
        return look.result() if look.done() else None


def _begun(folder: Path) -> asyncio.Future[Usage | None]:
    """A look in a thread that ends with the process: one that waits for a mount can be neither stopped nor waited for."""
    loop = asyncio.get_running_loop()
    look: asyncio.Future[Usage | None] = loop.create_future()

    def end(found: Usage | None) -> None:
        if not look.done():
            look.set_result(found)

    def run() -> None:
        found: Usage | None = None
        with suppress(OSError):
            found = usage_of(folder)
        with suppress(RuntimeError):  # the loop may have ended meanwhile
            loop.call_soon_threadsafe(end, found)

    threading.Thread(target=run, daemon=True, name="disk").start()
    return look
