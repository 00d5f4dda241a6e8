"""Processes of a measurement: each ends when the one that started it ends, and both talk in JSON lines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class ChildFailed(RuntimeError):
    """A process ended, or said what was not expected; the message holds the end of its log."""


class Child:
    """`python -m MODULE ARGUMENTS`, or `python FILE ARGUMENTS`, from the folder of the project or from another.

    What it writes to standard error goes to `log`.
    """

    def __init__(
        self, module: str | Path, *arguments: str, log: Path, environment: Mapping[str, str] | None = None, folder: Path = ROOT
    ) -> None:
        self._log = log
        program = [str(module)] if isinstance(module, Path) else ["-m", module]
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, *program, *arguments],
                cwd=folder,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )

    def hear(self) -> Any:
        """The next JSON line that it says. Raises ChildFailed when it ended instead."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise ChildFailed(f"{self.process.args!r} ended: {self._log.read_text(errors='replace')[-3000:]}")
        return json.loads(line)

    def tell(self, said: Any) -> None:
        """Say one JSON line to it."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(said).encode() + b"\n")
        self.process.stdin.flush()

    def cpu_seconds(self) -> float | None:
        """Processor time that it used so far; None where the system does not tell (no /proc)."""
        try:
            facts = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(") ")[2].split()
        except OSError:
            return None
        return (int(facts[11]) + int(facts[12])) / CLOCK_TICKS

    def memory(self) -> int | None:
        """Bytes of its memory that are resident; None where the system does not tell."""
        try:
            return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            return None

    def open_files(self) -> int | None:
        """How many file descriptors it holds; None where the system does not tell."""
        try:
            return len(os.listdir(f"/proc/{self.process.pid}/fd"))
        except OSError:
            return None

    def stop(self) -> None:
        """End it, politely first. Its pipes stay open until it has ended: to close them says that this process is gone."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def say(said: Any) -> None:
    """In a child: one JSON line for the parent."""
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def end_with_parent() -> None:
    """In a child that hears nothing: end as soon as the parent is gone, however it went."""

    def watch() -> None:
        while sys.stdin.buffer.readline():
            pass
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
