"""Keys are replaced over many sealed rows while deliveries come in, and whoever replaces them is killed again and again.

`./run campaign rotation [--kills 50] [--rows 100000]` plays episodes on SQLite and PostgreSQL in turn, adds each to
docs/campaigns/rotation.json, and can be stopped at any time: what is not checked is not counted. An episode fills an
organization with so many sealed rows, lets real servers take in deliveries of another, starts `harmline keys rotate` (every fifth
time `--top`) and kills it at a random moment, so many times; then it lets both end, and opens everything in a process that knew
none of the keys. It stops at the first episode in which something is unreadable or lost, and names the seed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select

from app import operations, rotation
from app.connections.models import Connection
from app.connections.service import Origin
from app.intake.models import Receipt, ReceiptState
from app.intake.receive import Arrival, make_ready
from app.intake.sealing import open_body
from app.kit import clock
from app.kit.keyring import NOBODY, Keyring
from app.kit.migrate import upgrade
from app.kit.rows import insert_rows
from app.kit.vault import KeyFile
from app.ledger.models import LedgerEntry
from benchmarks.support.results import save
from connectors.contract import Sender
from connectors.sandboxing import serving
from connectors.verifiers import Grade, Outcome, Verification
from tests.crash.checker import check, settled
from tests.crash.cluster import Cluster
from tests.crash.deliveries import Script
from tests.crash.launch import Order
from tests.crash.system import ROOT, Part, System, Zygote
from tests.keys.hanging import hanging
from tests.support.paged import PagedSandbox, paged_registered

RESULTS = ROOT / "docs" / "campaigns" / "rotation.json"
EMPTY: dict[str, Any] = {
    "command": "./run campaign rotation",
    "next_seed": 1,
    "episodes": 0,
    "rows": 0,
    "kills": {},
    "killed_while_moving_rows": 0,
    "rotations_ended": {},
    "opened_after_a_kill": 0,
    "opened_at_the_end": 0,
    "unreadable": 0,
    "acknowledged_meanwhile": 0,
    "lost": 0,
    "seconds": {},
    "broken_seeds": [],
}
AUTHENTIC = Verification(Outcome.AUTHENTIC, "campaign", None, None, None, Grade.UNVERIFIABLE)
KINDS = {False: "keys of organizations", True: "top key"}
AT_ONCE, SAMPLE = 1000, 200
LONGEST_WAIT = 600.0


def body(seed: int, number: int) -> bytes:
    """What row `number` holds."""
    return f"row {number} of seed {seed}".encode()


def _said(log: Path) -> str:
    return log.read_text(errors="replace") if log.exists() else ""


@dataclass
class Episode:
    """One system, one filled organization beside it, and what was found."""

    seed: int
    system: System
    rows: int
    organization_id: UUID = NOBODY
    ids: dict[UUID, int] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    moving: int = 0
    sampled: int = 0
    started: int = 0
    longest: float = 4.0

    async def fill(self) -> None:
        """So many receipts of an organization of its own."""
        context = self.system.context
        made = await operations.create_organization(context, "Filled", "filled@example.org", None)
        self.organization_id = made["organization"]
        told = await operations.create_connection(context, self.organization_id, "standard", "Filled", Sender.PROVIDER)
        for first in range(0, self.rows, AT_ONCE):
            async with context.database.begin() as tx:
                keys = await context.keyring.for_writing(tx, self.organization_id)
                origin = Origin.of(await tx.get_one(Connection, told["connection"]))
                ready = [make_ready(keys, origin, Arrival(body(self.seed, n), AUTHENTIC)) for n in range(first, first + AT_ONCE)]
                handled = {"state": ReceiptState.HANDLED, "handled_at": clock.now()}
                await insert_rows(tx, Receipt, [{**one.row.receipt, **handled} for one in ready])
                await insert_rows(tx, LedgerEntry, [dict(one.row.entry) for one in ready])
                self.ids |= {one.receipt_id: first + n for n, one in enumerate(ready)}

    def keyring(self) -> Keyring:
        """As a process that was just started has it."""
        return Keyring(KeyFile(self.system.folder / "top.key"))

    def start(self, top: bool) -> tuple[Part, Path]:
        """`harmline keys rotate` in a process of its own, and what it says there."""
        role = "rotate --top" if top else "rotate"
        log = self.system.folder / f"rotator-{self.started}.log"
        self.started += 1
        told = {"HARMLINE_DATABASE_URL": self.system.database_url, "HARMLINE_KEY_FILE": str(self.system.folder / "top.key")}
        pid = self.system.zygote.fork(Order(role, told, str(log), str(self.system.deaths)))
        return Part(role, role, 0, pid), log

    async def kill_one(self, dice: random.Random, top: bool) -> None:
        """Start one, and kill it at a random moment of its work, if it is not done by then."""
        kind = KINDS[top]
        rotator, log = self.start(top)
        try:
            while not top and rotator.alive and "organization" not in _said(log):  # noqa: ASYNC110 - what another process does
                await asyncio.sleep(0.01)
            await asyncio.sleep(dice.uniform(0.0, 0.5 if top else self.longest))
        finally:
            killed = rotator.signal(signal.SIGKILL)
        while rotator.alive:  # noqa: ASYNC110 - what another process does
            await asyncio.sleep(0.01)
        said = _said(log)
        if killed and not said.rstrip().endswith("}"):
            self.kills[kind] += 1
            self.moving += "receipt.wrapped_key" in said
        else:
            self.require_ended(top, said)

    async def end_one(self, top: bool) -> None:
        """Let one come to its end."""
        rotator, log = self.start(top)
        async with asyncio.timeout(LONGEST_WAIT):
            while rotator.alive:  # noqa: ASYNC110 - what another process does
                await asyncio.sleep(0.1)
        self.require_ended(top, _said(log))

    def require_ended(self, top: bool, said: str) -> None:
        """It has said that all is done."""
        assert ('"wrapped":' if top else '"left": {}') in said, said[-2000:]
        self.ended[KINDS[top]] += 1

    async def read_some(self, dice: random.Random) -> None:
        """A few rows, as a process that was just started reads them."""
        chosen = dice.sample(sorted(self.ids), SAMPLE)
        self.sampled += await self._read(chosen, self.keyring())

    async def _read(self, chosen: list[UUID], keyring: Keyring) -> int:
        query = select(Receipt).where(Receipt.organization_id == self.organization_id, Receipt.id.in_(chosen))
        async with self.system.context.database.begin(read_only=True) as tx:
            for row in (await tx.execute(query)).scalars():
                assert await open_body(tx, keyring, row) == body(self.seed, self.ids[row.id]), row.id
        return len(chosen)

    async def read_all(self) -> int:
        """Everything of both organizations."""
        keyring, read, ids = self.keyring(), 0, sorted(self.ids)
        for first in range(0, len(ids), AT_ONCE):
            read += await self._read(ids[first : first + AT_ONCE], keyring)
        for organization_id in (self.organization_id, self.system.organization_id):
            read += len(await hanging(self.system.context, organization_id, keyring))
        async with self.system.context.database.begin(read_only=True) as tx:
            for lanes in (await rotation.status(tx)).values():
                assert all(len(lane["versions"]) == 1 and not lane["left"] for lane in lanes.values()), lanes
        return read


async def play(seed: int, zygote: Zygote, folder: Path, database_url: str, options: argparse.Namespace) -> dict[str, Any]:
    """Play one episode over an empty database; what it adds. Raises AssertionError."""
    await asyncio.to_thread(upgrade, database_url)
    dice, provider = random.Random(seed), PagedSandbox(lambda: datetime.now(UTC))
    with paged_registered():
        async with (
            serving(provider) as base_url,
            System(zygote, folder, database_url, base_url, Script(seed, stride=20, members=50)) as system,
        ):
            episode = Episode(seed, system, options.rows)
            await episode.fill()
            await system.until_ready()
            system.send(options.connections)
            while sum(episode.kills.values()) < options.kills:
                await episode.kill_one(dice, top=sum(episode.kills.values()) % 5 == 4)
                await episode.read_some(dice)
            await episode.end_one(top=False)
            await episode.end_one(top=True)
            statuses = await system.stop_sending()
            await settled(system, provider)
            found = await check(system, provider)
            read = await episode.read_all()
    assert (found.lost, found.twice, found.invented) == (0, 0, 0), found
    print(f"  answers {statuses}, {found}", flush=True)
    return {
        "rows": options.rows,
        "kills": episode.kills,
        "killed_while_moving_rows": episode.moving,
        "rotations_ended": episode.ended,
        "opened_after_a_kill": episode.sampled,
        "opened_at_the_end": read,
        "acknowledged_meanwhile": found.acknowledged,
    }


async def one(seed: int, zygote: Zygote, options: argparse.Namespace) -> dict[str, Any]:
    """The episode of a seed: odd ones on PostgreSQL, even ones on SQLite."""
    with tempfile.TemporaryDirectory(prefix="harmline-rotation-", dir="/var/tmp") as folder:
        if seed % 2 == 0:
            return await play(seed, zygote, Path(folder), f"sqlite+aiosqlite:///{folder}/rotation.db", options)
        cluster = Cluster()
        try:
            await cluster.start()
            return await play(seed, zygote, Path(folder), await cluster.server.create_database("rotation"), options)
        finally:
            cluster.remove()


def add(results: dict[str, Any], seed: int, more: dict[str, Any], seconds: float) -> None:
    """Add one checked episode to what there is, and write it down."""
    took = {"SQLite" if seed % 2 == 0 else "PostgreSQL": round(seconds)}
    for name, value in {**more, "seconds": took, "episodes": 1}.items():
        counted = isinstance(value, dict)
        results[name] = dict(sorted((Counter(results[name]) + Counter(value)).items())) if counted else results[name] + value
    results["next_seed"] = seed + 1
    save(results, RESULTS)


async def main(options: argparse.Namespace) -> int:
    """Play so many episodes; the exit code says whether everything could be read."""
    zygote = Zygote()
    try:
        for _ in range(options.episodes):
            results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else dict(EMPTY)
            seed, before = results["next_seed"], time.monotonic()
            try:
                more = await one(seed, zygote, options)
            except AssertionError as error:
                results["broken_seeds"].append(seed)
                save(results, RESULTS)
                print(f"seed {seed}: {error}")
                return 1
            add(results, seed, more, time.monotonic() - before)
            print(f"seed {seed}: {more}", flush=True)
        return 0
    finally:
        zygote.close()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Keys replaced under load, and whoever replaces them killed.")
    arguments.add_argument("--episodes", type=int, default=2, help="odd ones on PostgreSQL, even ones on SQLite")
    arguments.add_argument("--kills", type=int, default=50, help="in each episode")
    arguments.add_argument("--rows", type=int, default=100_000, help="sealed rows beside those that come in")
    arguments.add_argument("--connections", type=int, default=2, help="of the sender")
    sys.exit(asyncio.run(main(arguments.parse_args())))
