"""What providers answer when they are asked: every connector that asks one, with a provider that answers whatever it likes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from benchmarks.campaigns._fuzz_promises import Fuzzed, finished, require
from connectors.asking import Answer, Left, Login, ProviderError, Speaks, TryLater
from connectors.contract import Connector, Page, Subject
from connectors.registry import registry
from connectors.testing.cases import FETCHED, Case, cases_of
from connectors.testing.round_trip import sandbox_of

NOW = datetime(2026, 3, 2, 16, tzinfo=UTC)
FOLDERS = Path(__file__).parents[2] / "connectors"
PIECE = b"\x1e"
"""Between two answers: no text has it."""

NEXT = "pagination-page-cursor-next"
LARGE = b"L"
"""How a mail begins that is left in its mailbox."""


@dataclass
class Provider:
    """Answers with these bodies, one after the other, and then not any more. Both an `Http` and a `Mailbox`."""

    headers: Mapping[str, str]
    bodies: list[bytes] = field(repr=False)

    def _next(self) -> bytes:
        if not self.bodies:
            raise TryLater("It does not answer any more")
        return self.bodies.pop(0)

    async def get(
        self, path: str, *, params: Any = None, headers: Any = None, login: Login | None = None, may_miss: bool = False
    ) -> Answer:
        """An empty body where nothing may be there: there is nothing."""
        if login is not None:
            await login()
        body = self._next()
        return Answer(404 if may_miss and not body else 200, self.headers, body)

    async def post(self, path: str, *, json: Any, headers: Any = None, login: Login | None = None) -> Answer:
        """The same."""
        return await self.get(path, login=login)

    async def download(self, path: str, *, media_type: str, most: int, params: Any = None, headers: Any = None) -> Answer:
        """The same."""
        return await self.get(path)

    def pace(self, requests_per_minute: float) -> None:
        """A pace that can be kept."""
        require(0 < requests_per_minute < float("inf"), "no pace at all")

    async def open(self, user: str, password: str, folder: str) -> int:
        """Always the same folder."""
        return 42

    async def uids(self, after: int) -> Sequence[int]:
        """Some mails more."""
        return range(after + 1, after + 4)

    async def mail(self, uid: int) -> bytes | Left | None:
        """A mail, or why it is left."""
        body = self._next()
        return Left("too large", len(body), body) if body.startswith(LARGE) else body or None

    def leave(self) -> None:
        """There is no session."""


@dataclass(frozen=True)
class Asker:
    """A connector that asks, its settings, and what it looks up."""

    connector: Connector
    config: Any
    asked: Mapping[str, str]

    async def round(self, server: Provider, cursors: Mapping[str | None, str]) -> list[Page]:
        """All pages of one round, from these cursors on; the one of no subject is the connection's own."""
        plan = self.connector.poll
        people = () if plan is None or plan.speaks is Speaks.IMAP else ("r-1", "0" * 40, "a@b.example")
        found: list[Page] = []
        with contextlib.suppress(ProviderError):
            if plan is not None:
                subjects = [Subject(one, cursors.get(one)) for one in people]
                pages: AsyncIterator[Page] = self.connector.pages(server, self.config, cursors.get(None), subjects)
                async for page in pages:
                    found.append(page)  # noqa: PERF401 - what came before an error stays
        with contextlib.suppress(ProviderError):
            if self.connector.looks_up:
                page_of_it = await self.connector.follow_up(server, self.config, self.asked)
                found += [page_of_it] if page_of_it else []
        return found


def _asker(one: Connector, cases: Sequence[Case]) -> Asker:
    config = one.config.model_validate(sandbox_of(one)(lambda: NOW).settings("http://127.0.0.1:8080"))
    return Asker(one, config, next((case.asked for case in cases if case.asked and "list" not in case.asked), {}))


def polled() -> Fuzzed:
    """What is raised is a ProviderError, in a round from the beginning and in one from the cursors that the first one gave."""
    known = {one.name: cases_of(one, FOLDERS / one.name) for one in registry().values() if one.poll or one.looks_up}
    askers = [_asker(registry()[name], cases) for name, cases in known.items()]

    def run(data: bytes) -> None:
        head, *bodies = data[1:].split(PIECE)
        date, _, following = head.decode("latin-1").partition("\n")
        asker, server = askers[(data[0] if data else 0) % len(askers)], Provider({"date": date, NEXT: following}, [*bodies])
        pages = finished(asker.round(server, {}))
        require(all(len(page.body or b"") <= 4 * len(data) for page in pages), "more than came")
        cursors = {page.subject: page.cursor for page in pages if page.cursor is not None}
        require(all(len(cursor) <= 1000 for cursor in cursors.values()), "a cursor that is too long to be kept")
        if cursors:
            finished(asker.round(Provider(server.headers, [*bodies]), cursors))

    return Fuzzed(run, tuple(_seeds(list(known), known)))


BEFORE: Mapping[str, tuple[bytes, ...]] = {
    "crs": (b'{"token": "t", "expires": 3600}',),
    "hibp": (b'{"Rpm": 10}', b'{"Name": "B", "AddedDate": "2026-03-01T10:00:00Z"}'),
    "jmap": (
        b'{"primaryAccounts": {"urn:ietf:params:jmap:mail": "a"}, "apiUrl": "/api", "downloadUrl": "/d/{accountId}/{blobId}"}',
        b'{"methodResponses": [["Mailbox/get", {"list": [{"id": "f", "name": "INBOX", "role": "inbox"}]}, "0"]]}',
        b'{"methodResponses": [["Email/get", {"state": "s", "list": []}, "0"]]}',
        b'{"methodResponses": [["Email/query", {"ids": ["m"]}, "0"]]}',
        b'{"methodResponses": [["Email/get", {"list": [{"id": "m", "size": 99999999, "mailboxIds": {"f": true}}]}, "0"]]}',
        b'{"methodResponses": [["Email/get", {"list": [{"headers": [{"name": "From", "value": "a"}]}]}, "0"]]}',
        b'{"methodResponses": [["Email/query", {"ids": []}, "0"]]}',
        b'{"methodResponses": [["Email/changes", {"created": ["n"], "newState": "t", "hasMoreChanges": false}, "0"]]}',
        b'{"methodResponses": [["Email/get", {"list": [{"size": 9, "blobId": "b", "mailboxIds": {"f": true}}]}, "0"]]}',
    ),
}
"""What a provider is asked before anything about a person."""


def _seeds(order: Sequence[str], known: Mapping[str, Sequence[Case]]) -> Iterator[bytes]:
    date = format_datetime(NOW, usegmt=True).encode()
    for name, cases in known.items():
        bodies = [case.body for case in cases if case.way == FETCHED]
        for some in (bodies[:4], bodies[-3:] * 2):
            yield bytes([order.index(name)]) + PIECE.join([date + b"\nnext", *BEFORE.get(name, ()), *some])
