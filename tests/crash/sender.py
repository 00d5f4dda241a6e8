"""The sender of the crash rig, outside of everything that is killed: it writes down what it sent and what was acknowledged.

`python -m tests.crash.sender` reads its orders as one JSON line and goes on until its input ends; then every delivery under
way is tried until it is acknowledged. The ledger is a text file, flushed to the disk: `s 17` before delivery 17 leaves for the
first time, `a 17` when a 2xx for it has been read. Whatever is not acknowledged is sent again; so is one in ten that is. Of one
in three the body leaves a little after its head: what comes at once takes another way through the service.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import itertools
import json
import os
import random
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from tests.crash.deliveries import Script

ANSWER_SECONDS = 8.0
PAUSE_SECONDS = 0.05
AGAIN = 0.1
ON_ONE_LINE = 5
APART = 3
BODY_LATER_SECONDS = 0.005


class Ledger:
    """An append-only file. What stands in it is on the disk when `write` comes back; many writers share one flush."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None

    async def write(self, line: str) -> None:
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((line.encode() + b"\n", done))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        await done

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            await asyncio.to_thread(self._to_disk, b"".join(line for line, _ in batch))
            for _, done in batch:
                done.set_result(None)
        self._flushing = None

    def _to_disk(self, lines: bytes) -> None:
        os.write(self._file, lines)
        os.fdatasync(self._file)


@dataclass
class Sender:
    """Sends the deliveries of one script over so many connections at once, to any of several ports.

    `pause`: seconds that a connection rests between two.
    """

    script: Script
    ports: list[int]
    path: str
    secret: str
    ledger: Ledger
    pause: float = 0.0
    stopped: bool = False
    statuses: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._key = base64.b64decode(self.secret.removeprefix("whsec_"))
        self._numbers = itertools.count()
        self._dice = random.Random(self.script.seed)

    def head(self, body: bytes) -> bytes:
        """The head of one signed request, written out."""
        name, moment = "msg_" + hashlib.sha256(body).hexdigest()[:24], str(int(time.time()))
        proof = hmac.digest(self._key, f"{name}.{moment}.".encode() + body, "sha256")
        fields = (
            f"POST {self.path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
            f"webhook-id: {name}\r\nwebhook-timestamp: {moment}\r\n"
            f"webhook-signature: v1,{base64.b64encode(proof).decode()}\r\n\r\n"
        )
        return fields.encode()

    async def client(self, place: int) -> None:
        """One connection's worth of deliveries, one after the other."""
        line = _Line(self.ports, place)
        while not self.stopped:
            number = next(self._numbers)
            body = self.script.body(number)
            await self.ledger.write(f"s {number}")
            times = 2 if self._dice.random() < AGAIN else 1
            while times:
                status = await line.ask(self.head(body), body, apart=number % APART == 0)
                self.statuses[str(status)] = self.statuses.get(str(status), 0) + 1
                if status is not None and 200 <= status < 300:
                    await self.ledger.write(f"a {number}")
                    times -= 1
                else:
                    await asyncio.sleep(PAUSE_SECONDS)
            if self.pause:
                await asyncio.sleep(self.pause)
        line.close()


class _Line:
    """One kept-alive connection; after a failure, and every so often, the next one goes to another port."""

    def __init__(self, ports: list[int], place: int) -> None:
        self._ports, self._place = ports, place
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._asked = 0

    async def ask(self, head: bytes, body: bytes, *, apart: bool) -> int | None:
        """The status of the answer; None when none came. `apart`: the body comes a little after its head."""
        self._asked += 1
        if self._asked % ON_ONE_LINE == 0:
            self._go_on()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                if self._streams is None:
                    self._streams = await asyncio.open_connection("127.0.0.1", self._ports[self._place % len(self._ports)])
                reader, writer = self._streams
                if apart:
                    writer.write(head)
                    await asyncio.sleep(BODY_LATER_SECONDS)
                    writer.write(body)
                else:
                    writer.write(head + body)
                return await self._status(reader)
        except (OSError, TimeoutError, EOFError, ValueError):
            self._go_on()
            return None

    async def _status(self, reader: asyncio.StreamReader) -> int:
        head = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head[1:] if line)
        await reader.readexactly(int(fields.get(b"content-length", b"0")))
        if fields.get(b"connection") == b"close":
            self.close()
        return int(head[0].split()[1])

    def _go_on(self) -> None:
        self.close()
        self._place += 1

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
        self._streams = None


async def main(told: dict[str, Any]) -> None:
    """Send until the input ends; then say what the answers were."""
    sender = Sender(Script(**told["script"]), told["ports"], told["path"], told["secret"], Ledger(told["ledger"]), told["pause"])
    clients = [asyncio.create_task(sender.client(place)) for place in range(told["connections"])]
    await asyncio.to_thread(sys.stdin.read)
    sender.stopped = True
    await asyncio.gather(*clients)
    sys.stdout.write(json.dumps(sender.statuses) + "\n")


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.stdin.readline())))
