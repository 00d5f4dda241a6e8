"""The sender of `./run campaign soak`: keeps its pace, and one delivery in a hundred is not as it should be.

Faults: a forged signature, a body that is no JSON (signed, so it is kept), bytes that were acknowledged before, a connection that
is cut in the middle of the request, and one that is cut before the answer is read. Every acknowledged receipt is written down.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter, deque
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.support.child import say
from benchmarks.support.paced import Paced
from benchmarks.support.wire import Wire, alert_body, reference, request
from connectors.verifiers import StandardWebhooks

FAULTS = ("forged", "malformed", "repeat", "cut_short", "cut_off")
CUT_AFTER = 0.003


class Rough(Paced):
    """Job: as for Paced, and faults (their share), book (the file for acknowledged receipts)."""

    def __init__(self, job: dict[str, Any]) -> None:
        super().__init__(job)
        self._foreign = StandardWebhooks.new_secret()
        self._receipts: dict[int, str] = {}
        self._lately: deque[int] = deque(maxlen=1000)
        """The numbers of the last good bodies that were acknowledged: what was malformed is not what `_body` makes again."""
        self._kinds: dict[int, str] = {}
        self._repeats: dict[int, int] = {}
        self._done: Counter[str] = Counter()
        self._amiss: Counter[str] = Counter()

    def _body(self, number: int) -> bytes:
        """Always the same for one number, so that it can be sent again."""
        dice = random.Random(f"{self._job['run']}-{number}")
        about = reference(dice.randrange(self._job["members"]))
        return alert_body(f"{self._job['run']}-{number}", about, dice.randrange(10**9))

    def _kind(self, number: int) -> str:
        dice = random.Random(f"fault-{self._job['run']}-{number}")
        return dice.choice(FAULTS) if dice.random() < self._job["faults"] else "good"

    def _send(self, wire: Wire, number: int) -> None:
        kind, body, secret, name = self._kind(number), self._body(number), self._job["secret"], f"msg-{number}"
        if kind == "repeat" and self._lately:
            self._repeats[number] = self._dice.choice(self._lately)
            body = self._body(self._repeats[number])
        elif kind == "repeat":
            kind = "good"
        if kind == "malformed":
            body = b'{"id": ' + body
        self._kinds[number] = kind
        raw = request(self._job["port"], self._job["path"], self._foreign if kind == "forged" else secret, name, body)
        wire.send(raw[: len(raw) // 2] if kind == "cut_short" else raw, number)
        if kind in {"cut_short", "cut_off"}:
            self._due.pop(wire)
            self._done[kind] += 1
            self._wires.discard(wire)
            asyncio.get_running_loop().call_later(CUT_AFTER, wire.transport.abort)

    def _answered(self, wire: Wire, status: int, head: bytes) -> None:
        number, kind = wire.number, self._kinds.pop(wire.number)
        if kind in {"cut_short", "cut_off"}:
            return  # the answer was quicker than the cut: it counts as not read
        super()._answered(wire, status, head)
        if status in {429, 503} and b"retry-after:" in head.lower():
            self._done["put off"] += 1
            return
        self._done[kind] += 1
        if kind == "forged":
            self._amiss["forged and not refused"] += status != 401
        elif status == 202:
            self._note(number, kind, json.loads(wire.body))
        else:
            self._amiss[f"{kind} was answered {status}"] += 1

    def _note(self, number: int, kind: str, answer: dict[str, Any]) -> None:
        if kind == "repeat":
            first = self._receipts[self._repeats.pop(number)]
            self._amiss["a repeat that is no repeat"] += (answer["receipt"], answer["repeat"]) != (first, True)
        else:
            self._receipts[number] = answer["receipt"]
            if kind == "good":
                self._lately.append(number)
            self._amiss["new bytes taken for a repeat"] += bool(answer["repeat"])

    def _told(self, sent: int) -> dict[str, Any]:
        Path(self._job["book"]).write_text("".join(f"{receipt}\n" for receipt in self._receipts.values()))
        amiss = {name: count for name, count in self._amiss.items() if count}
        return {**super()._told(sent), "done": dict(self._done), "amiss": amiss, "bodies_acknowledged": len(self._receipts)}


async def _run(job: dict[str, Any]) -> dict[str, Any]:
    return await Rough(job).run()


def main() -> None:
    """Do what every line of standard input asks for."""
    say({"ready": True})
    for line in sys.stdin:
        say(uvloop.run(_run(json.loads(line))))


if __name__ == "__main__":
    main()
