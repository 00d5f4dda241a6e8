"""A whole Harmline under a long experiment: fresh database, web, workers, members; watched from outside, checked at the end."""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import func, select, text

from app import operations
from app.intake.models import Receipt, ReceiptState
from app.kit.acting import ITSELF
from app.kit.migrate import upgrade
from app.kit.vault import create_key_file
from benchmarks.support.filling import Filled, drain, found_union
from benchmarks.support.postgres import bench_folder, durable_postgres
from benchmarks.support.servers import HARMLINE, Target, start
from benchmarks.support.slow_line import slow_line
from tests.support.proxy import Proxy

SAMPLE_EVERY = 5.0
REST_SECONDS = 5.0
MOST_GROWTH = 0.05
"""How much larger a process may be at the end than it was after it had warmed up."""


@dataclass
class Running:
    """Web and workers over one database. On SQLite they are one process. `line`: between the web process and PostgreSQL."""

    filled: Filled
    web: Target
    worker: Target
    line: Proxy | None = None
    samples: list[dict[str, Any]] = field(default_factory=list)

    def processes(self) -> dict[str, Target]:
        """By what they are called in the results."""
        return {"web": self.web, "worker": self.worker} if self.web is not self.worker else {"web": self.web}

    def sample(self, at: float) -> None:
        """Memory and open files of each process, connections to the database."""
        taken: dict[str, Any] = {"at": round(at, 1), **asyncio.run(database_connections(self.filled))}
        for name, target in self.processes().items():
            (child,) = target.children
            memory = child.memory()
            taken[f"{name}_rss_mb"] = round(memory / 1024**2, 1) if memory else None
            taken[f"{name}_files"] = child.open_files()
        self.samples.append(taken)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Take a sample every five seconds while this is open."""
        over, begun = threading.Event(), time.monotonic()

        def watch() -> None:
            while not over.wait(SAMPLE_EVERY):
                self.sample(time.monotonic() - begun)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


@contextmanager
def running(database: str, members: int, *, line_delay: float = 0.0) -> Iterator[Running]:
    """Harmline as it runs in production, on disk, with so many members enrolled.

    `line_delay`: seconds that a line to PostgreSQL takes once it becomes slow; 0: there is none.
    """
    folder = Path(tempfile.mkdtemp(prefix="campaign-", dir=bench_folder()))
    folder.chmod(0o755)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        create_key_file(folder / "top.key")
        create_key_file(folder / "door.key")
        if database == "postgresql":
            server = stack.enter_context(durable_postgres(folder / "postgres"))
            url = asyncio.run(server.create_database("harmline"))
        else:
            url = f"sqlite+aiosqlite:///{folder}/harmline.db"
        upgrade(url)
        filled = Filled(url, asyncio.run(found_union(url, folder, members)), folder)
        drain(filled)
        told, path = filled.environment, filled.union.path
        worker = start(HARMLINE, folder, {**told, "BENCH_WORK": "yes"}, path=path)
        stack.callback(worker.stop)
        worker.ready()
        web, line = worker, None
        if database == "postgresql":
            if line_delay:
                port = urlsplit(url).port
                line = stack.enter_context(slow_line(port, line_delay))
                told = {**told, "HARMLINE_DATABASE_URL": url.replace(f":{port}/", f":{line.port}/")}
            web = start(HARMLINE, folder, told, path=path)
            stack.callback(web.stop)
            web.ready()
        yield Running(filled, web, worker, line)


async def database_connections(filled: Filled) -> dict[str, int]:
    """How many connections PostgreSQL holds for Harmline, and how many sit idle in an old transaction; nothing on SQLite."""
    if filled.url.startswith("sqlite"):
        return {}
    context = filled.open()
    query = (
        "SELECT count(*), count(*) FILTER (WHERE state LIKE 'idle in transaction%' AND state_change < now() - interval '3 s')"
        " FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    async with context.database.begin(read_only=True, acting=ITSELF) as tx:  # the workers' role sees nobody else's
        connections, stuck = (await tx.execute(text(query))).one()
    await context.database.close()
    return {"db_connections": connections, "db_stuck_in_transaction": stuck}


async def settle(filled: Filled, seconds: float) -> float:
    """Wait until no receipt waits for the workers; how long that took. Raises TimeoutError."""
    context = filled.open()
    begun = time.monotonic()
    waiting = select(func.count()).where(Receipt.state == ReceiptState.STORED)
    while True:
        async with context.database.begin(read_only=True) as tx:
            left = (await tx.execute(waiting)).scalar_one()
        if not left:
            break
        if time.monotonic() - begun > seconds:
            raise TimeoutError(f"{left} receipts still wait")
        await asyncio.sleep(0.5)
    await context.database.close()
    return round(time.monotonic() - begun, 1)


async def books(filled: Filled, written: list[Path]) -> dict[str, Any]:
    """The senders' books against the database: lost, twice, and receipts whose answer nobody read."""
    acknowledged = [UUID(line) for path in written for line in path.read_text().splitlines()]
    context = filled.open()
    async with context.database.begin(read_only=True) as tx:
        stored = set((await tx.execute(select(Receipt.id))).scalars())
        hashes = (await tx.execute(select(func.count(Receipt.body_hash.distinct())))).scalar_one()
    accounts = await operations.accounts(context, UUID(filled.union.organization_id))
    await context.database.close()
    return {
        "acknowledged": len(acknowledged),
        "lost": len(set(acknowledged) - stored),
        "one_receipt_for_two_bodies": len(acknowledged) - len(set(acknowledged)),
        "stored": len(stored),
        "stored_twice": len(stored) - hashes,
        "stored_without_an_answer_read": len(stored - set(acknowledged)),
        "accounts": accounts,
    }


def growth(samples: list[dict[str, Any]], name: str, warm: float) -> float | None:
    """By how much the last fifth of the samples is above the first fifth after the warm-up; None: too few, or not told."""
    values = [sample[name] for sample in samples if sample["at"] >= warm and sample.get(name)]
    part = len(values) // 5
    if part < 2:
        return None
    return float(round(statistics.median(values[-part:]) / statistics.median(values[:part]) - 1, 4))


def record(path: Path, command: str, run: dict[str, Any]) -> None:
    """Add a run to the results of a campaign, the newest last."""
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"command": command, "runs": []}
    results["runs"].append(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
