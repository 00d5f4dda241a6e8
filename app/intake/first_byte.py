"""At the first byte of a delivery: its receipt's id is made, for the log; at the last byte of the answer: it is counted.

This stands outside of everything that may refuse a delivery, and reads the answer as the sender does. So what it counts is
what senders were told, whatever the code behind it believes, and the accounts can be held against it.
"""

import json
import time
from collections import deque
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kit import metrics
from app.kit.ids import uuid7
from app.kit.logging import RECEIPT

log = structlog.get_logger(__name__)

_KEPT_AFTER = metrics.STAGE_LAG.labels("kept")
_REPEAT = b'"repeat":true'

DOOR = "/webhooks/"
RECEIPT_ID = "harmline.receipt_id"
"""Where a request's scope has the id of the receipt that a delivery is going to be."""

MOST_TO_CHECK = 20_000
LINES_A_SECOND = 50
REFUSALS_A_SECOND = 20
"""In the log; how many lines were left out is told in the next one. Whoever floods the door must not flood the disk, and
what is kept tells its story by `harmline intake trace` too."""

REASONS = {
    400: "malformed",
    401: "not_authentic",
    404: "no_such_path",
    405: "wrong_method",
    408: "too_slow",
    410: "closed",
    413: "too_large",
    415: "wrong_type",
    429: "too_fast",
    431: "headers_too_large",
}


@cache
def _answered(outcome: str) -> Any:
    return metrics.DELIVERIES.labels(outcome)


@cache
def _refused(reason: str) -> Any:
    return metrics.REFUSALS.labels(reason)


@dataclass(frozen=True, slots=True)
class Told:
    """What a sender was told with a 202, as it stands in the answer: connection and receipt, and whether it was a repeat."""

    connection_id: UUID
    receipt_id: UUID
    repeat: bool = False


@dataclass
class Acknowledged:
    """What senders were told is kept, to be looked for. Of more than can be looked for the newest remain."""

    _answers: deque[tuple[str, bytes]] = field(default_factory=lambda: deque(maxlen=MOST_TO_CHECK))

    def note(self, path: str, body: bytes) -> None:
        """A delivery to this path was answered by 202 and this body. Costs next to nothing: it is read when it is taken."""
        self._answers.append((path, body))

    def take(self, most: int) -> tuple[list[Told], int]:
        """The oldest answers that were not looked at yet, and how many of them named no receipt."""
        read = [_read(*self._answers.popleft()) for _ in range(min(most, len(self._answers)))]
        told = [one for one in read if one is not None]
        return told, len(read) - len(told)


def _read(path: str, body: bytes) -> Told | None:
    """What an answer names; None for one that names no receipt."""
    try:
        return Told(UUID(path.split("/")[2]), UUID(json.loads(body)["receipt"]), _says_repeat(body))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return None


@dataclass(slots=True)
class _Answer:
    """One answer on its way out."""

    status: int | None = None
    body: bytes = b""
    ended: bool = False

    def note(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            self.ended = not message.get("more_body", False)
            if self.status == 202:
                self.body += message.get("body", b"")

    @property
    def outcome(self) -> str:
        if self.status is None or not self.ended:
            return "unanswered"
        if self.status == 202:
            return "kept"
        return "refused" if self.status < 500 else "unavailable" if self.status == 503 else "failed"


def _says_repeat(body: bytes) -> bool:
    return b"true" in body and _REPEAT in body.replace(b" ", b"")


class FirstByte:
    """Gives each delivery its id, counts what it was answered, and says so in the log. Everything else passes untouched."""

    def __init__(self, app: ASGIApp) -> None:
        """`app`: everything that may refuse a delivery."""
        self._app = app
        self._lines, self._refusals = _Sparing(LINES_A_SECOND), _Sparing(REFUSALS_A_SECOND)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not scope["path"].startswith(DOOR):
            await self._app(scope, receive, send)
            return
        answer, began = _Answer(), time.perf_counter()

        async def noted(message: Message) -> None:
            await send(message)
            answer.note(message)

        made = scope[RECEIPT_ID] = uuid7()
        for_the_log = RECEIPT.set(made)
        try:
            await self._app(scope, receive, noted)
        finally:
            self._count(scope, answer, time.perf_counter() - began)
            RECEIPT.reset(for_the_log)

    def _count(self, scope: Scope, answer: _Answer, seconds: float) -> None:
        outcome, lines = answer.outcome, self._refusals
        if outcome == "kept":
            _KEPT_AFTER.observe(seconds)
            scope["app"].state.acknowledged.note(scope["path"], answer.body)
            lines = self._lines
            if _says_repeat(answer.body):
                outcome = "repeat"
        elif outcome == "refused":
            _refused(REASONS.get(answer.status or 0, "other")).inc()
        _answered(outcome).inc()
        left_out = lines.left_out()
        if left_out is not None:
            told = _read(scope["path"], answer.body) if answer.status == 202 else None
            named = {"answered": str(told.receipt_id)} if told else {}
            facts = {"outcome": outcome, "status": answer.status, "ms": round(seconds * 1000, 1), **named}
            log.info("delivery answered", **facts, **({"left_out": left_out} if left_out else {}))


class _Sparing:
    """Lets a number of lines a second through."""

    def __init__(self, lines: int) -> None:
        self._most = lines
        self._second, self._lines, self._left_out = 0, 0, 0

    def left_out(self) -> int | None:
        """How many lines were left out before this one; None: leave this one out too."""
        now = int(time.monotonic())
        if now != self._second:
            self._second, self._lines = now, 0
        if self._lines >= self._most:
            self._left_out += 1
            return None
        self._lines += 1
        before, self._left_out = self._left_out, 0
        return before
