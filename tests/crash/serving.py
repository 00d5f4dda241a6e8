"""A real server in a process of its own, to be killed. Importable; holds no tests."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support.postgres import free_port

START_SECONDS = 60.0
ROOT = Path(__file__).parents[2]


@dataclass
class Server:
    """`harmline serve` over one database, with a key file of its own; it can be killed and started again."""

    database_url: str
    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What the server is told; the test's own programs use the same."""
        return {
            **os.environ,
            "HARMLINE_DATABASE_URL": self.database_url,
            "HARMLINE_KEY_FILE": str(self.folder / "top.key"),
            "HARMLINE_BASE_URL": self.origin,
            "HARMLINE_PORT": str(self.port),
            "HARMLINE_WORKER_INTERVAL": "0.05",
        }

    async def start(self) -> None:
        """Start it and wait until it answers that it is ready."""
        self.process = self._launched()
        deadline = time.monotonic() + START_SECONDS
        async with httpx.AsyncClient(base_url=self.origin) as client:
            while time.monotonic() < deadline and self.process.poll() is None:
                try:
                    if (await client.get("/readyz")).status_code == 200:
                        return
                except httpx.TransportError:  # it does not listen yet
                    pass
                await asyncio.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text(errors="replace")[-3000:])

    def _launched(self) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            command = [sys.executable, "-m", "app.cli", "serve"]
            return subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)

    def kill(self) -> None:
        """End it as a power cut would: no time for anything."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
