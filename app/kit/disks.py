"""How much room is left where this machine writes."""

import asyncio
import shutil
import threading
import time
from contextlib import suppress
from pathlib import Path

LEAST_FREE = 512 * 1024**2
ROOMY = 5 * 1024**3
LEAST_SHARE = 0.1
"""A disk is nearly full below `LEAST_FREE` bytes, or with less than this share free where that is less than `ROOMY` bytes."""

LONGEST_LOOK = 1.0
HANGS_AFTER = 30.0
"""Seconds: how long somebody waits for a look at a folder, and after how long one that goes on is no longer merely slow."""

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
    """Looks at the disks of folders that may lie anywhere: each in a thread of its own, and never in two at once.

    A mount that hangs holds up nobody, and whoever asks again does not wait for it again.
    """

    def __init__(self) -> None:
        """Nothing is looked at yet."""
        self._looks: dict[Path, tuple[float, asyncio.Future[Usage | None]]] = {}
        self._known: dict[Path, Usage] = {}

    async def usage(self, folder: Path) -> Usage | None:
        """See `usage_of`; None when the folder cannot be looked at. While a look is merely slow: what was known before it."""
        now = time.monotonic()
        began, look = self._looks.get(folder, (now, None))
        if look is None or look.done():
            began, look = self._looks[folder] = now, _begun(folder)
        await asyncio.wait({look}, timeout=max(0.0, began + LONGEST_LOOK - now))
        if not look.done():
            return self._known.get(folder) if now - began < HANGS_AFTER else None
        found = look.result()
        if found is not None:
            self._known[folder] = found
        return found


def _begun(folder: Path) -> asyncio.Future[Usage | None]:
    """A look in a thread that ends with the process: one that waits for a mount can be neither stopped nor waited for."""
    loop = asyncio.get_running_loop()
    look: asyncio.Future[Usage | None] = loop.create_future()

    def end(found: Usage | None) -> None:
        if not look.done():
            look.set_result(found)

    def run() -> None:
        found: Usage | None = None
        with suppress(OSError, ValueError):  # no such place, or no name of one
            found = usage_of(folder)
        with suppress(RuntimeError):  # the loop may have ended meanwhile
            loop.call_soon_threadsafe(end, found)

    try:
        threading.Thread(target=run, daemon=True, name="disk").start()
    except RuntimeError:  # the machine gives no more threads
        end(None)
    return look
