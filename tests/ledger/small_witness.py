"""A witness of a page, as c2sp.org/tlog-witness has it: over real HTTP, strict, and able to misbehave when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from app.kit import clock
from app.ledger.notes import Key, Kind, NoteError, Signer, hash_from, number_from, open_checkpoint
from app.ledger.tree import EMPTY_ROOT, ProofError, verify_consistency
from tests.ledger.authority import served


@dataclass
class SmallWitness:
    """`logs`: keys it trusts, by origin. `known`: what it cosigned last. `vkey`: of another key. `instead`: another answer."""

    name: str = "witness.example/w1"
    url: str = ""
    vkey: str = ""
    logs: dict[str, Key] = field(default_factory=dict)
    known: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    instead: Callable[[bytes], Any] | None = None
    asked: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.signer = Signer(self.name, Kind.COSIGNATURE, b"w" * 32)

    @property
    def key(self) -> str:
        return self.vkey or str(self.signer.key)

    async def answer(self, request: Request) -> Response:
        assert request.url.path == "/union/add-checkpoint"
        body = await request.body()
        self.asked.append(body)
        if self.instead is not None:
            other = self.instead(body)
            other = await other if asyncio.iscoroutine(other) else other
            if other is not None:
                return other  # type: ignore[no-any-return]
        return self.judged(body)

    def judged(self, body: bytes) -> Response:
        head, _, note = body.partition(b"\n\n")
        first, *proof = head.decode().split("\n")
        old, origin = number_from(first.removeprefix("old ")), note.partition(b"\n")[0].decode()
        if origin not in self.logs:
            return PlainTextResponse("unknown log", 404)
        try:
            checkpoint, opened = open_checkpoint(note, [self.logs[origin]])
        except NoteError:
            return PlainTextResponse("not signed", 403)
        size, root = self.known.get(origin, (0, EMPTY_ROOT))
        if old > checkpoint.size:
            return PlainTextResponse("backwards", 400)
        if old != size or (old == checkpoint.size and root != checkpoint.root):
            return Response(f"{size}\n", 409, media_type="text/x.tlog.size")
        try:
            verify_consistency(old, root, checkpoint.size, checkpoint.root, [hash_from(line) for line in proof])
        except ProofError:
            return PlainTextResponse("not grown", 422)
        self.known[origin] = (checkpoint.size, checkpoint.root)
        return Response(self.signer.sign(opened.text, int(clock.now().timestamp())).line, media_type="text/plain")


@asynccontextmanager
async def small_witness(**options: Any) -> AsyncIterator[SmallWitness]:
    """A witness on a free port."""
    made = SmallWitness(**options)
    async with served(made.answer) as origin:
        made.url = f"{origin}/union"
        yield made
