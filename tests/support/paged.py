"""A provider that is polled page by page, and its connector, for tests of polling only: rows by time, newest last.

It can hold an answer back, insert rows behind the cursor, loop its tokens, and it notices when two ask at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.metadata import EntryPoint
from typing import Any, ClassVar

import pytest
from pydantic import Field, SecretStr
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from connectors import registry as registry_module
from connectors import strict_json
from connectors.asking import NOTHING_ASKED, Asked, Http, Page, PollPlan, Subject
from connectors.contract import (
    Alert,
    BrokenEvent,
    Connector,
    ConnectorConfig,
    Interval,
    Malformed,
    Meaning,
    RawEvent,
    pick,
    when,
)
from connectors.sandboxing import Happening, Sandbox
from connectors.vocabulary import AlertKind

NAME = "paged"
PAGE = 10


class PagedConfig(ConnectorConfig):
    """Where and as whom the paged provider is asked."""

    base_url: str = Field("https://paged.example", description="Its address.")
    key: SecretStr = Field(description="Its key.")


class Paged(Connector):
    """Asks for rows since the cursor less the overlap, ten at a time; the cursor is the time of the last row seen."""

    name = NAME
    title = "Paged, for tests"
    config = PagedConfig
    poll = PollPlan(every=timedelta(hours=1), requests_per_minute=60_000, overlap=timedelta(hours=24))
    events: ClassVar[Mapping[str, Meaning]] = {"inquiry": AlertKind.INQUIRY_HARD}

    async def pages(self, http: Http, config: Any, cursor: str | None, subjects: Sequence[Subject]) -> AsyncIterator[Page]:
        since = (datetime.fromisoformat(cursor) - Paged.poll.overlap).isoformat() if cursor else ""
        token: str | None = ""
        while token is not None:
            headers = {"x-key": config.key.get_secret_value()}
            answer = await http.get("/rows", params={"since": since, "token": token}, headers=headers)
            told = strict_json.parse(answer.body)
            token = told["next"]
            last = max([row["at"] for row in told["rows"]], default=None)
            newest = max((moment for moment in (last, cursor) if moment), default=None)
            cursor = newest
            yield Page(answer.body, cursor=newest, asked={"token": token or ""} if told["rows"] else {"empty": "yes"})

    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        tree = strict_json.parse(body)
        if not isinstance(tree, dict) or not isinstance(tree.get("rows"), list):
            raise Malformed("rows")
        return [RawEvent("inquiry", pick(row, "id", str), row) for row in tree["rows"]]

    def normalise(self, event: RawEvent) -> Alert:
        at = when(event.body, "at")
        return Alert(
            kind=AlertKind.INQUIRY_HARD,
            member_ref=pick(event.body, "member", str),
            identity=(event.external_id,),
            summary="A lender asked for a credit report.",
            institution=pick(event.body, "institution", str),
            reported=Interval.at(at) if at else None,
        )


class PagedSandbox(Sandbox):
    """The fake provider: rows with a time of their own that may lie behind what was asked already."""

    name = NAME

    def __init__(self, now: Callable[[], datetime], seed: int = 0) -> None:
        super().__init__(now, seed)
        self.rows: list[tuple[str, str, str]] = []
        self.asking: dict[str, int] = {}
        self.overlaps = 0
        self.asked: list[str] = []
        self.gate: asyncio.Event | None = None
        self.arrived = asyncio.Event()
        self.looping = False
        self.fails_at: int | None = None
        self.seconds = 0.0

    def settings(self, base_url: str, key: str = "key-1") -> dict[str, Any]:
        return {"base_url": base_url, "key": key}

    def enrol(self, reference: str) -> None:
        """Everybody is known."""

    def tell(self, happening: Happening) -> str | None:
        return self.add(happening.at, happening.reference)

    def add(self, at: datetime, member: str = "ref-M-1", count: int = 1) -> str:
        for _ in range(count):
            self.rows.append((at.astimezone(UTC).isoformat(), f"r-{len(self.rows)}", member))
        return self.rows[-1][1]

    def routes(self) -> Sequence[BaseRoute]:
        return [Route("/rows", self._rows)]

    async def _rows(self, request: Request) -> JSONResponse:
        if self.fails_at is not None:
            self.fails_at -= 1
            if self.fails_at <= 0:
                return JSONResponse({"message": "no"}, 500)
        key = request.headers.get("x-key", "")
        self.asking[key] = self.asking.get(key, 0) + 1
        self.overlaps += self.asking[key] > 1
        self.asked.append(key)
        try:
            self.arrived.set()
            if self.gate is not None:
                await self.gate.wait()
            if self.seconds:
                await asyncio.sleep(self.seconds)
            return self._page(request.query_params["since"], request.query_params["token"])
        finally:
            self.asking[key] -= 1

    def _page(self, since: str, token: str) -> JSONResponse:
        found = sorted(row for row in self.rows if row[0] >= since)
        after = [row for row in found if f"{row[0]}|{row[1]}" > token]
        page, more = after[:PAGE], len(after) > PAGE
        if self.looping:
            page, more = found[:PAGE], True
        last = f"{page[-1][0]}|{page[-1][1]}" if page else ""
        told = [{"id": name, "at": at, "member": member, "institution": f"Bank {name}"} for at, name, member in page]
        return JSONResponse({"rows": told, "next": last if more else None})


@contextmanager
def paged_registered() -> Iterator[None]:
    """Let the registry find the paged connector by an entry point, as it finds one of another package."""
    with pytest.MonkeyPatch.context() as patch:
        entry = EntryPoint(NAME, f"{__name__}:Paged", registry_module.GROUP)
        patch.setattr(registry_module, "entry_points", lambda group: [entry])
        registry_module.registry.cache_clear()
        try:
            yield
        finally:
            registry_module.registry.cache_clear()
