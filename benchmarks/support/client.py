"""The sender of `./run bench intake`, a process of its own: as many connections as it is told, each sends when it was answered.

It reads one job a line, prepares and signs every request before its clock starts, and says one result a line.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import sys
import time
from collections import Counter
from typing import Any

import uvloop

from benchmarks.support.child import say
from benchmarks.support.wire import IDLE, Wire, alert_body, reference, request

REPEATED = 64
"""How many bodies go round when they are repeated."""
GIVE_UP = 120.0
"""Seconds without the last answers after which a measurement has failed."""


def prepared(job: dict[str, Any]) -> list[bytes]:
    """Every request of a job. Distinct: as many as can be answered in its time; repeated: a few, to be sent in turn.

    With `members` each alert is about one of so many who are enrolled, drawn by chance; without it about nobody known.
    """
    count = REPEATED if job["bodies"] == "repeated" else job["most"]
    dice, made = random.Random(job["run"]), []
    for number in range(count):
        name = f"{job['run']}-{number}"
        about = reference(dice.randrange(job["members"])) if job.get("members") else "ref-nobody"
        body = alert_body(name, about, dice.randrange(10**9))
        made.append(request(job["port"], job["path"], job["secret"], f"msg-{name}", body))
    return made


class Closed:
    """One measurement: every connection sends its next request as soon as the last was answered, until the time is over."""

    def __init__(self, job: dict[str, Any], requests: list[bytes]) -> None:
        self._job = job
        self._requests = requests
        self._repeated = job["bodies"] == "repeated"
        self._next = 0
        self._waiting = 0
        self._begun = self._deadline = self._last = 0.0
        self._latencies: list[float] = []
        self._statuses: Counter[int] = Counter()
        self._acknowledged = bytearray(len(requests))
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> dict[str, Any]:
        """Connect, send, and tell what came of it."""
        loop = asyncio.get_running_loop()
        wires = [
            (await loop.create_connection(lambda: Wire(self._answered, self._lost), "127.0.0.1", self._job["port"]))[1]
            for _ in range(self._job["connections"])
        ]
        self._begun = time.perf_counter()
        self._deadline = self._begun + self._job["seconds"]
        for wire in wires[: len(self._requests)]:
            self._send(wire)
        await asyncio.wait_for(self._over, self._job["seconds"] + GIVE_UP)
        for wire in wires:
            wire.transport.abort()
        return self._told()

    def _send(self, wire: Wire) -> None:
        number = self._next % len(self._requests) if self._repeated else self._next
        self._next += 1
        self._waiting += 1
        wire.send(self._requests[number], number)

    def _answered(self, wire: Wire, status: int, _head: bytes) -> None:
        now = self._last = time.perf_counter()
        self._latencies.append(now - wire.sent_at)
        self._statuses[status] += 1
        self._waiting -= 1
        if status == 202:
            self._acknowledged[wire.number] = 1
        wire.number = IDLE
        if now <= self._deadline and (self._repeated or self._next < len(self._requests)):
            self._send(wire)
            return
        if not self._waiting and not self._over.done():
            self._over.set_result(None)

    def _lost(self, wire: Wire) -> None:
        if wire.number != IDLE and not self._over.done():
            self._over.set_exception(ConnectionError("the server closed a connection"))

    def _told(self) -> dict[str, Any]:
        ordered = sorted(self._latencies)
        return {
            "per_s": len(ordered) / (self._last - self._begun),
            "p50_ms": ordered[len(ordered) // 2] * 1000,
            "p99_ms": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1000,
            "answers": len(ordered),
            "acknowledged": self._statuses[202],
            "distinct": sum(self._acknowledged),
            "refused": {str(status): count for status, count in self._statuses.items() if status != 202},
        }


async def _measured(job: dict[str, Any], requests: list[bytes]) -> dict[str, Any]:
    return await Closed(job, requests).run()


def main() -> None:
    """Do what every line of standard input asks for."""
    say({"ready": True})
    for line in sys.stdin:
        job = json.loads(line)
        requests = prepared(job)
        gc.collect()
        gc.disable()
        say(uvloop.run(_measured(job, requests)))
        gc.enable()


if __name__ == "__main__":
    main()
