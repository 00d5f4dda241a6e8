"""How far the clock of one server is off: seconds in a file that both sides map, so that it jumps while the server runs."""

from __future__ import annotations

import mmap
import struct
import time
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from app.kit import clock

_RIGHT = struct.pack("d", 0.0)


class Dial:
    """One number. Eight bytes in a row are written and read in one piece."""

    def __init__(self, path: Path) -> None:
        """Nothing is off in a new file."""
        if not path.exists():
            path.write_bytes(_RIGHT)
        with path.open("r+b") as file:
            self._seconds = memoryview(mmap.mmap(file.fileno(), len(_RIGHT))).cast("d")

    @property
    def off(self) -> float:
        """Seconds, ahead or (negative) behind."""
        return self._seconds[0]

    def turn(self, off: float) -> None:
        """From now on, for every process that has the file."""
        self._seconds[0] = off


def go_by(dial: Dial) -> None:
    """Let the clock of this process be off. What it reads is replaced, not `clock.now`, which some were given as it was."""

    def now(zone: Any) -> datetime:
        return datetime.now(zone) + timedelta(seconds=dial.off)

    changed = {"time": lambda: time.time() + dial.off, "time_ns": lambda: time.time_ns() + int(dial.off * 1e9)}
    clock.datetime = SimpleNamespace(now=now, fromtimestamp=datetime.fromtimestamp)  # type: ignore[attr-defined]
    clock.time = SimpleNamespace(**{**vars(time), **changed})  # type: ignore[attr-defined]
