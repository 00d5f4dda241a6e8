"""The sender of `./run campaign overload` and `forgeries`: hundreds of connections that send again the moment they are answered.

Nobody waits as long as `Retry-After` asks for: that is what makes it an overload. Every acknowledged receipt is written down;
each refusal must be a 429 or 503 that says when to come again; and whatever waits longer than it may is counted as hanging.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.support.child import say
from benchmarks.support.paced import percentiles
from benchmarks.support.wire import IDLE, Wire, alert_body, reference, request

LONGEST_WAIT = 30.0
CONNECT_PAUSE = 0.05


class Flood:
    """Job: port, path, secret, run, members, connections, seconds, book; `addresses` to send from, `also`: other fair answers."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._job = job
        self._dice = random.Random(job["run"])
        self._deadline = time.perf_counter() + job["seconds"]
        self._wires: set[Wire] = set()
        self._sources = [(address, 0) for address in job.get("addresses", ())] or [None]
        self._number = 0
        self._statuses: Counter[int] = Counter()
        self._amiss: Counter[str] = Counter()
        self._accepted: list[float] = []
        self._refused: list[float] = []
        self._receipts: list[str] = []

    async def run(self) -> dict[str, Any]:
        """Send until the time is over, wait for the last answers, and tell."""
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(self._job["connections"]):
                group.create_task(self._keep_open(self._sources[number % len(self._sources)]))
        over = time.perf_counter() + LONGEST_WAIT
        while time.perf_counter() < over and any(wire.number != IDLE for wire in self._wires):  # noqa: ASYNC110 - many tell it
            await asyncio.sleep(0.05)
        took = time.perf_counter() - begun
        self._amiss["hung"] += sum(wire.number != IDLE for wire in self._wires)
        for wire in self._wires:
            wire.transport.abort()
        return {
            "seconds": round(took, 1),
            "answers": sum(self._statuses.values()),
            "acknowledged": self._statuses[202],
            "statuses": {str(status): count for status, count in sorted(self._statuses.items())},
            "amiss": {name: count for name, count in self._amiss.items() if count},
            **percentiles("accepted", self._accepted),
            **percentiles("refused", self._refused),
        }

    async def _keep_open(self, source: tuple[str, int] | None) -> None:
        """One connection, opened again whenever it is closed, until the time is over."""
        loop = asyncio.get_running_loop()
        while time.perf_counter() < self._deadline:
            closed: asyncio.Future[None] = loop.create_future()

            def lost(wire: Wire, closed: asyncio.Future[None] = closed) -> None:
                self._lost(wire)
                if not closed.done():
                    closed.set_result(None)

            try:
                place = "127.0.0.1", self._job["port"]
                _, wire = await loop.create_connection(lambda: Wire(self._answered, lost), *place, local_addr=source)
            except OSError:
                self._amiss["could not connect"] += 1
                await asyncio.sleep(1)
                continue
            self._wires.add(wire)
            self._send(wire)
            await asyncio.wait({closed}, timeout=max(0.0, self._deadline - time.perf_counter()))
            await asyncio.sleep(CONNECT_PAUSE)

    def _send(self, wire: Wire) -> None:
        self._number += 1
        name = f"{self._job['run']}-{self._number}"
        about = reference(self._dice.randrange(self._job["members"]))
        body = alert_body(name, about, self._dice.randrange(10**9))
        wire.send(request(self._job["port"], self._job["path"], self._job["secret"], f"msg-{name}", body), self._number)

    def _answered(self, wire: Wire, status: int, head: bytes) -> None:
        now = time.perf_counter()
        took = now - wire.sent_at
        wire.number = IDLE
        self._statuses[status] += 1
        self._amiss["hung"] += took > LONGEST_WAIT
        if status == 202:
            self._accepted.append(took)
            self._receipts.append(json.loads(wire.body)["receipt"])
        else:
            self._refused.append(took)
            if status not in self._job.get("also", ()) and (status not in {429, 503} or b"retry-after:" not in head.lower()):
                self._amiss[f"refused with {status} and no time to come again"] += 1
        if now < self._deadline and not wire.transport.is_closing() and b"connection: close" not in head.lower():
            self._send(wire)

    def _lost(self, wire: Wire) -> None:
        self._wires.discard(wire)
        self._amiss["closed without an answer"] += wire.number != IDLE

    def write_book(self) -> None:
        """Every acknowledged receipt, one a line."""
        Path(self._job["book"]).write_text("".join(f"{receipt}\n" for receipt in self._receipts))


async def _run(job: dict[str, Any]) -> dict[str, Any]:
    flood = Flood(job)
    told = await flood.run()
    flood.write_book()
    return told


def main() -> None:
    """Do what every line of standard input asks for."""
    say({"ready": True})
    for line in sys.stdin:
        say(uvloop.run(_run(json.loads(line))))


if __name__ == "__main__":
    main()
