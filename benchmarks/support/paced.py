"""A sender that keeps its pace whatever it is answered, in a process of its own; it follows some alerts to their timelines.

It sends at fixed moments, not when it was answered (an "open loop"), and each answer's time counts from the moment at which
its request was due: a server that falls behind cannot hide that. Lag is the time from the 202 until incident and link of the
alert can be read in the database; it is looked up every 0.1 s, so that it is rather too long than too short.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter, deque
from typing import Any
from uuid import UUID

import uvloop
from sqlalchemy import exists, select

from app.incidents.models import IncidentAlert, MemberAlert
from app.intake.models import Event
from app.kit.database import Database
from app.linkage.models import Link
from benchmarks.support.child import say
from benchmarks.support.wire import Wire, alert_body, reference, request

TICK = 0.002
LOOK_EVERY = 0.1
LOOK_AT_ONCE = 1000
GIVE_UP = 120.0
MOST_WIRES = 512


def percentiles(name: str, values: list[float]) -> dict[str, float | None]:
    """p50, p99 and the largest, in seconds."""
    ordered = sorted(values)
    if not ordered:
        return {f"{name}_p50_s": None, f"{name}_p99_s": None, f"{name}_max_s": None}
    middle, late = ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return {f"{name}_p50_s": round(middle, 4), f"{name}_p99_s": round(late, 4), f"{name}_max_s": round(ordered[-1], 4)}


class Follower:
    """Looks for alerts on the timeline by the receipts that the answers named."""

    def __init__(self, database_url: str, connection_id: UUID) -> None:
        self._database = Database(database_url)
        self._connection_id = connection_id
        self._open: dict[UUID, float] = {}
        self.lags: list[float] = []

    def follow(self, receipt_id: UUID) -> None:
        """It was acknowledged just now."""
        self._open[receipt_id] = time.perf_counter()

    @property
    def missing(self) -> int:
        """How many are not on the timeline yet."""
        return len(self._open)

    async def look(self) -> None:
        """Once: which of them can be read now."""
        oldest = list(self._open)[:LOOK_AT_ONCE]
        if not oldest:
            return
        linked = exists().where(Link.member_id == IncidentAlert.member_id, Link.incident_id == IncidentAlert.incident_id)
        same_alert = (MemberAlert.connection_id == Event.connection_id) & (MemberAlert.alert_id == Event.alert_id)
        placed = (IncidentAlert.member_id == MemberAlert.member_id) & (IncidentAlert.alert_id == MemberAlert.alert_id)
        async with self._database.begin(read_only=True) as tx:
            query = select(Event.receipt_id).join(MemberAlert, same_alert).join(IncidentAlert, placed)
            ours = (Event.connection_id == self._connection_id, Event.receipt_id.in_(oldest))
            found = (await tx.execute(query.where(*ours, linked))).scalars().all()
        now = time.perf_counter()
        self.lags += [now - self._open.pop(receipt_id) for receipt_id in set(found)]

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY)

    async def close(self) -> None:
        """Let go of the database."""
        await self._database.close()


class Paced:
    """One run at one pace. Job: port, path, secret, run, members, rate, seconds; follow (database_url, every) or None."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._job = job
        self._dice = random.Random(job["run"])
        self._free: deque[Wire] = deque()
        self._wires: set[Wire] = set()
        self._opening = 0
        self._due: dict[Wire, float] = {}
        self._queue: deque[tuple[float, int]] = deque()
        self._took: list[float] = []
        self._statuses: Counter[int] = Counter()
        self._lost_waiting = 0
        self._follower = Follower(job["follow"]["database_url"], UUID(job["path"].split("/")[2])) if job.get("follow") else None

    async def run(self) -> dict[str, Any]:
        """Send at the pace, wait for the last answers and the last timeline entries, and tell."""
        for _ in range(8):
            await self._open_wire()
        looking = asyncio.create_task(self._follower.run()) if self._follower else None
        total, rate = int(self._job["rate"] * self._job["seconds"]), self._job["rate"]
        begun = time.perf_counter()
        sent = 0
        while sent < total:
            now = time.perf_counter()
            while sent < total and begun + sent / rate <= now:
                self._queue.append((begun + sent / rate, sent))
                sent += 1
            self._drain_queue()
            await asyncio.sleep(TICK)
        deadline = time.perf_counter() + GIVE_UP
        while time.perf_counter() < deadline and (self._queue or self._due or (self._follower and self._follower.missing)):
            self._drain_queue()
            await asyncio.sleep(TICK)
        if looking is not None and self._follower is not None:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            await self._follower.close()
        return self._told(sent)

    def _told(self, sent: int) -> dict[str, Any]:
        told: dict[str, Any] = {
            "sent": sent,
            "acknowledged": self._statuses[202],
            "refused": {str(status): count for status, count in self._statuses.items() if status != 202},
            "unanswered": len(self._due) + len(self._queue) + self._lost_waiting,
            **percentiles("answer", self._took),
        }
        if self._follower is not None:
            told |= {"followed": len(self._follower.lags), "not_seen": self._follower.missing}
            told |= percentiles("lag", self._follower.lags)
        return told

    async def _open_wire(self) -> None:
        loop = asyncio.get_running_loop()
        self._opening += 1
        try:
            _, wire = await loop.create_connection(lambda: Wire(self._answered, self._lost), "127.0.0.1", self._job["port"])
        finally:
            self._opening -= 1
        self._wires.add(wire)
        self._free.append(wire)

    def _drain_queue(self) -> None:
        while self._queue and self._free:
            wire = self._free.popleft()
            if wire.transport.is_closing():
                continue
            due, number = self._queue.popleft()
            self._due[wire] = due
            self._send(wire, number)
        if len(self._queue) > self._opening and len(self._wires) + self._opening < MOST_WIRES:
            task = asyncio.get_running_loop().create_task(self._open_wire())
            task.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _send(self, wire: Wire, number: int) -> None:
        wire.send(self._request(number), number)

    def _request(self, number: int) -> bytes:
        name = f"{self._job['run']}-{number}"
        about = reference(self._dice.randrange(self._job["members"]))
        body = alert_body(name, about, self._dice.randrange(10**9))
        return request(self._job["port"], self._job["path"], self._job["secret"], f"msg-{name}", body)

    def _answered(self, wire: Wire, status: int, _head: bytes) -> None:
        self._took.append(time.perf_counter() - self._due.pop(wire))
        self._statuses[status] += 1
        self._free.append(wire)
        if self._follower is not None and status == 202 and wire.number % self._job["follow"]["every"] == 0:
            self._follower.follow(UUID(json.loads(wire.body)["receipt"]))

    def _lost(self, wire: Wire) -> None:
        self._wires.discard(wire)
        if self._due.pop(wire, None) is not None:
            self._lost_waiting += 1


async def _run(job: dict[str, Any]) -> dict[str, Any]:
    return await Paced(job).run()


def main() -> None:
    """Do what every line of standard input asks for."""
    say({"ready": True})
    for line in sys.stdin:
        say(uvloop.run(_run(json.loads(line))))


if __name__ == "__main__":
    main()
