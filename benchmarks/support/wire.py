"""The cheapest client that is honest: prepared HTTP/1.1 requests over kept connections, of an answer only what is needed."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

IDLE = -1
"""The number of a connection that waits for no answer."""


class BadAnswer(Exception):
    """An answer that is no HTTP/1.1 with a length."""


class Wire(asyncio.Protocol):
    """One connection, one request at a time. `answered` gets status and head of each answer, `lost` is told when it ends."""

    def __init__(self, answered: Callable[[Wire, int, bytes], None], lost: Callable[[Wire], None]) -> None:
        self._answered = answered
        self._lost = lost
        self._rest = b""
        self.body = b""
        """What stood in the last answer."""
        self.transport: Any = None
        self.sent_at = 0.0
        self.number = IDLE

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Kept for `send`."""
        self.transport = transport

    def send(self, raw: bytes, number: int) -> None:
        """Send a whole request; `number` is the caller's own name for it."""
        self.number = number
        self.sent_at = time.perf_counter()
        self.transport.write(raw)

    def data_received(self, data: bytes) -> None:
        """Wait for head and body, then hand on."""
        if self._rest:
            data = self._rest + data
        end = data.find(b"\r\n\r\n")
        if end < 0 or len(data) < (whole := end + 4 + _length(data[:end])):
            self._rest = data
            return
        self._rest, self.body = data[whole:], data[end + 4 : whole]
        self._answered(self, int(data[9:12]), data[:end])

    def connection_lost(self, _error: Exception | None) -> None:
        """Tell the owner."""
        self._lost(self)


def _length(head: bytes) -> int:
    at = head.find(b"content-length: ")
    if at < 0:
        head = head.lower()
        at = head.find(b"content-length:")
        if at < 0:
            raise BadAnswer(head[:200])
        at -= 1
    return int(head[at + 16 :].split(b"\r\n", 1)[0])


def signature(secret: str, message_id: str, moment: int, body: bytes) -> str:
    """As Standard Webhooks 1.0.0 says."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.digest(key, f"{message_id}.{moment}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(mac).decode()


def request(port: int, path: str, secret: str, message_id: str, body: bytes, moment: int | None = None) -> bytes:
    """A whole signed POST, ready to be written."""
    moment = int(time.time()) if moment is None else moment
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nwebhook-id: {message_id}\r\nwebhook-timestamp: {moment}\r\n"
        f"webhook-signature: {signature(secret, message_id, moment, body)}\r\n\r\n"
    )
    return head.encode() + body


def reference(number: int) -> str:
    """What the provider calls the enrolled person of this number."""
    return f"ref-M-{number}"


def alert_body(name: str, member: str = "ref-nobody", number: int = 0) -> bytes:
    """One alert of the standard schema, about 300 bytes. `number` varies what it says."""
    told = {
        "id": name,
        "type": "new_account.credit_card",
        "member": member,
        "summary": "A new credit card account was reported to a bureau.",
        "bureau": ("experian", "equifax", "transunion")[number % 3],
        "institution": f"Invented Bank {number % 997}",
        "last_four": f"{number % 10_000:04d}",
        "amount": f"{100 + number % 9000}.00",
        "currency": "USD",
        "opened": f"2023-{1 + number % 12:02d}-{1 + number % 28:02d}",
    }
    return json.dumps(told).encode()
