"""The system under test: real servers in processes of their own over one database, a sender outside, a provider to be asked."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import UUID

import httpx

from app import operations
from app.kit.config import Settings
from app.kit.context import Context, open_context
from app.kit.vault import create_key_file
from connectors.contract import Sender
from tests.crash.deliveries import Script
from tests.crash.dial import Dial
from tests.crash.launch import Order
from tests.support.paged import NAME
from tests.support.postgres import free_port

ROOT = Path(__file__).parents[2]
READY_SECONDS = 90.0


class Zygote:
    """The process that forks servers; when it ends, every server ends with it."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.crash.launch"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def fork(self, order: Order) -> int:
        """Start one server; its process id."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(order.line() + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@dataclass
class Part:
    """One server: its role, where it listens, and the process it is now. `hurt`: what the next start is told besides."""

    name: str
    role: str
    port: int
    pid: int = 0
    hurt: dict[str, Any] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return self.pid != 0

    def signal(self, number: signal.Signals) -> bool:
        """Send it a signal; False when it is gone already."""
        if not self.alive:
            return False
        os.kill(self.pid, number)
        return True


@dataclass
class System:
    """The servers over one database. `served_url`: how they reach it, when something stands between; `provider`: its address."""

    zygote: Zygote
    folder: Path
    database_url: str
    provider: str
    script: Script
    parts: list[Part] = field(default_factory=list)
    served_url: str = ""

    def __post_init__(self) -> None:
        kinds = ["all"] if self.database_url.startswith("sqlite") else ["web", "web", "worker", "worker"]
        self.parts = [Part(f"{kind}-{place}", kind, free_port()) for place, kind in enumerate(kinds)]
        self.dials = {part.name: Dial(self.folder / f"{part.name}.dial") for part in self.parts}
        self.served_url = self.database_url
        self.context: Context
        self.organization_id: UUID
        self.connections: dict[str, UUID] = {}
        self.sending: subprocess.Popen[str] | None = None
        self.ledger, self.deaths, self.full = self.folder / "ledger", self.folder / "deaths", self.folder / "full"
        self.deaths.touch()

    @property
    def webs(self) -> list[Part]:
        """The parts that answer HTTP."""
        return [part for part in self.parts if part.role != "worker"]

    @property
    def workers(self) -> list[Part]:
        """The parts that work behind the doors."""
        return [part for part in self.parts if part.role != "web"]

    async def set_up(self) -> None:
        """One organization with people, one connection that is sent to and one that is asked."""
        create_key_file(self.folder / "top.key")
        create_key_file(self.folder / "door.key")
        settings = Settings(database_url=self.database_url, key_file=self.folder / "top.key")
        self.context = context = open_context(settings)
        own = (await operations.create_organization(context, "A union", "admin@example.org", None))["organization"]
        made = await operations.create_connection(context, own, "standard", "Monitor", Sender.PROVIDER)
        asked = await operations.create_connection(
            context, own, NAME, "Asked", Sender.PROVIDER, settings={"base_url": self.provider, "key": "key-1"}
        )
        people = range(1, self.script.members + 1)
        roster = ["external_id,name,email,employed_from", *(f"M-{n},Pat {n},p{n}@example.org,2012-01-01" for n in people)]
        await operations.import_roster(context, own, "\n".join(roster).encode(), dry_run=False)
        enrolled = ["external_id,reference,consent", *(f"M-{n},ref-M-{n},yes" for n in people)]
        await operations.import_enrollments(context, own, made["connection"], "\n".join(enrolled).encode(), dry_run=False)
        self.organization_id, self.connections = own, {"sent": made["connection"], "asked": asked["connection"]}
        self.path, self.secret = "/webhooks/" + made["webhook_url"].partition("/webhooks/")[2], made["secret"]

    def start(self, part: Part) -> None:
        """Start one part, hurt as it is to be; the next start of it is a sound one again."""
        assert not part.alive
        environment = {
            "HARMLINE_DATABASE_URL": self.served_url,
            "HARMLINE_KEY_FILE": str(self.folder / "top.key"),
            "HARMLINE_BASE_URL": f"http://127.0.0.1:{part.port}",
            "HARMLINE_PORT": str(part.port),
            "HARMLINE_WORKER_INTERVAL": "0.05",
            "HARMLINE_CONNECTION_RATE": "0",
            "HARMLINE_ADDRESS_RATE": "0",
            "HARMLINE_CANARY": "false",
            "HARMLINE_UNSAFE_LOGIN": "yes",
        }
        full = str(self.full) if self.database_url.startswith("sqlite") else None
        log, dial = str(self.folder / f"{part.name}.log"), str(self.folder / f"{part.name}.dial")
        told: dict[str, Any] = {"dial": dial, "full": full, "provider": self.provider, **part.hurt}
        part.pid = self.zygote.fork(Order(part.role, environment, log, str(self.deaths), **told))
        part.hurt = {}

    def start_the_dead(self) -> None:
        """Start every part that is not alive: what a supervisor does in life."""
        for part in self.parts:
            if not part.alive:
                self.start(part)

    async def until_ready(self) -> None:
        """Start whatever is not alive, and wait until everything that answers says that it is ready."""
        deadline = time.monotonic() + READY_SECONDS
        async with httpx.AsyncClient(timeout=10) as client:
            waiting = list(self.webs)
            while waiting:
                if time.monotonic() > deadline:
                    raise AssertionError(f"not ready: {waiting}\n{self.log()}")
                self.start_the_dead()
                waiting = [part for part in waiting if not await _is_ready(client, part)]
                await asyncio.sleep(0.1)

    def log(self) -> str:
        """The last lines that each part wrote."""
        return "\n".join(f"{path.name}: {path.read_text(errors='replace')[-2000:]}" for path in self.folder.glob("*.log"))

    def send(self, connections: int, *, pause: float = 0.0, ports: list[int] | None = None) -> None:
        """Let the sender begin, in a process of its own; each of its connections rests so many seconds between two deliveries."""
        told = {
            "script": self.script.__dict__,
            "ports": ports or [part.port for part in self.webs],
            "path": self.path,
            "secret": self.secret,
            "ledger": str(self.ledger),
            "connections": connections,
            "pause": pause,
        }
        command = [sys.executable, "-m", "tests.crash.sender"]
        self.sending = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.sending.stdin is not None
        self.sending.stdin.write(json.dumps(told) + "\n")
        self.sending.stdin.flush()

    async def stop_sending(self, within: float = 120.0) -> dict[str, int]:
        """Let the sender end what it has begun; how often it got which status."""
        assert self.sending is not None
        out, _ = await asyncio.to_thread(self.sending.communicate, "", within)
        self.sending = None
        statuses: dict[str, int] = json.loads(out)
        return statuses

    def acknowledged(self) -> int:
        """How many deliveries the sender holds a 2xx for."""
        return len(self.numbers("a"))

    def numbers(self, mark: str) -> set[int]:
        """The deliveries that were sent (`s`) or acknowledged (`a`), as the sender's ledger has it."""
        lines = self.ledger.read_text().splitlines() if self.ledger.exists() else []
        return {int(line[2:]) for line in lines if line[0] == mark}

    def died_at(self) -> dict[int, str]:
        """Which process died at which point."""
        return {int(pid): point for pid, point in (line.split() for line in self.deaths.read_text().splitlines())}

    async def __aenter__(self) -> System:
        await self.set_up()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.sending is not None:
            self.sending.kill()
            self.sending.communicate()
        for part in self.parts:
            part.signal(signal.SIGKILL)
        await self.context.database.close()


async def _is_ready(client: httpx.AsyncClient, part: Part) -> bool:
    """Whether it says that all is well."""
    try:
        return (await client.get(f"http://127.0.0.1:{part.port}/readyz")).status_code == 200
    except httpx.TransportError:  # it does not listen yet
        return False
