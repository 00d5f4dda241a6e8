"""A PostgreSQL of the rig's own, as in production: everything flushed, data on a disk. It can be killed and started again."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import asyncpg

from tests.support import postgres
from tests.support.postgres import PostgresServer, PostgresUnavailable, free_port

DURABLE = {**postgres.SETTINGS, "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "max_wal_size": "256MB"}
DURABLE["shared_buffers"] = "64MB"


class Cluster:
    """One server on a fixed port. `stop` and the kills leave the data; `start` recovers it.

    `settings`: more than what is durable; in a value "{home}" is its folder.
    """

    def __init__(self, settings: Mapping[str, str] = DURABLE) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="harmline-crash-", dir="/var/tmp"))
        if os.geteuid() == 0:
            shutil.chown(self._home, user=postgres.UNPRIVILEGED)
        self._binaries = postgres.usable_binaries(self._home)
        postgres.initialise(self._binaries, self._home)
        self._settings = {name: value.replace("{home}", str(self._home)) for name, value in settings.items()}
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def server(self) -> PostgresServer:
        return PostgresServer(f"postgresql://postgres@127.0.0.1:{self.port}")

    async def start(self) -> None:
        """Start it; after a kill, as often as it takes until what is left of the one before is gone."""
        for attempt in range(40):
            try:
                self._process = await asyncio.to_thread(self._launched)
            except PostgresUnavailable:
                if attempt == 39:
                    raise
                await asyncio.sleep(0.25)
            else:
                return

    def _launched(self) -> subprocess.Popen[bytes]:
        return postgres.launch(self._binaries, self._home, self.port, self._settings)

    def kill_postmaster(self) -> None:
        """kill -9 of the postmaster alone: its children find out by themselves."""
        self._end(signal.SIGKILL)

    def kill_all(self) -> None:
        """kill -9 of the postmaster and of every process under it, at once."""
        assert self._process is not None
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self._process.pid)], capture_output=True, text=True, check=False
        )
        self._end(signal.SIGKILL)
        for child in listed.stdout.split():
            try:
                os.kill(int(child), signal.SIGKILL)
            except ProcessLookupError:  # it went with its parent
                continue

    def stop_immediately(self) -> None:
        """`pg_ctl stop -m immediate`: SIGQUIT, no checkpoint, recovery at the next start."""
        self._end(signal.SIGQUIT)

    def stop(self) -> None:
        """A stop in good order."""
        self._end(signal.SIGINT)

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait()

    def copy_base(self) -> None:
        """`pg_basebackup` while it runs, and `pg_verifybackup` of what that made."""
        base, where = str(self._home / "base"), ("--host=127.0.0.1", f"--port={self.port}", "--username=postgres")
        self._run("pg_basebackup", *where, "--no-password", f"--pgdata={base}", "--wal-method=stream", "--checkpoint=fast")
        self._run("pg_verifybackup", "--quiet", base)

    async def come_back(self, moment: datetime) -> None:
        """On another machine, as it were: the copy, and what was archived until `moment`."""
        shutil.rmtree(self._home / "data")
        (self._home / "base").rename(self._home / "data")
        (self._home / "data" / "recovery.signal").touch()
        self._settings |= {
            "archive_mode": "off",
            "restore_command": f"cp {self._home}/archive/%f %p",
            "recovery_target_time": moment.isoformat(),
            "recovery_target_action": "promote",
        }
        await self.start()
        connection = await asyncpg.connect(self.server.dsn("postgres"))
        while await connection.fetchval("SELECT pg_is_in_recovery()"):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.05)
        await connection.close()

    def make_archive(self) -> None:
        """The folder that `archive_command` copies to."""
        (self._home / "archive").mkdir()
        if os.geteuid() == 0:
            shutil.chown(self._home / "archive", user=postgres.UNPRIVILEGED)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), *arguments]
        subprocess.run(command, cwd=self._home, check=True, capture_output=True, **postgres.as_whom())

    def remove(self) -> None:
        """End it and throw everything away."""
        if self._process is not None and self._process.poll() is None:
            self.stop_immediately()
        shutil.rmtree(self._home, ignore_errors=True)
