"""A mailbox over JMAP: what a server forgets, moves or leads elsewhere costs no mail, and leads nowhere else. Real HTTP."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from connectors.asking import MOST_OF_A_MAIL, NotAllowed, Page, UnexpectedAnswer
from connectors.jmap.connector import Jmap, JmapConfig
from connectors.jmap.sandbox import INBOX, JmapSandbox
from connectors.sandboxing import serving
from connectors.testing.clients import client_for

NOW = datetime(2026, 3, 2, 16, tzinfo=UTC)


class Reader:
    """The connector, with its cursor kept between the turns as the core keeps it. `seen`: all bodies, as often as they came."""

    def __init__(self, base_url: str, sandbox: JmapSandbox) -> None:
        self.base_url, self.sandbox = base_url, sandbox
        self.cursor: str | None = None
        self.seen: list[bytes] = []

    async def turn(self, most: int = 1000, **settings: Any) -> list[Page]:
        """At most so many pages: the core may end a turn behind any."""
        config = JmapConfig(**{**self.sandbox.settings(self.base_url), **settings})
        pages = []
        async with client_for(Jmap(), self.base_url, config, lambda: NOW, attempts=1) as http:
            asked = Jmap().pages(http, config, self.cursor, [])
            async for page in asked:
                pages.append(page)
                self.cursor = page.cursor or self.cursor
                self.seen += [page.body] if page.body is not None else []
                if len(pages) == most:
                    break
        return pages

    def require_all(self) -> None:
        assert set(self.seen) == set(self.sandbox.mails.values())


@pytest.fixture
async def reader(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reader]:
    monkeypatch.setattr(sys.modules[Jmap.__module__], "AT_ONCE", 3)
    sandbox = JmapSandbox(lambda: NOW)
    async with serving(sandbox) as base_url:
        yield Reader(base_url, sandbox)


def bring(reader: Reader, count: int) -> None:
    for _ in range(count):
        number = len(reader.sandbox.mails)
        reader.sandbox.mails[f"M{number}"] = f"Delivered-To: a@b.example\r\n\r\nmail {number}".encode()


async def test_a_state_that_is_forgotten_leads_to_the_whole_folder(reader: Reader) -> None:
    bring(reader, 4)
    await reader.turn()
    bring(reader, 5)
    reader.sandbox.forgotten = 4
    await reader.turn()
    reader.require_all()
    before = len(reader.seen)
    assert before == 4 + 9
    await reader.turn()
    assert len(reader.seen) == before, "and then to what is new"


async def test_a_reading_of_the_whole_folder_goes_on_in_the_next_turn(reader: Reader) -> None:
    """What comes in meanwhile comes in, too; nothing comes twice but what was read without the cursor behind it."""
    bring(reader, 10)
    for turn in range(20):
        await reader.turn(most=4)
        bring(reader, 1 if turn in {0, 1} else 0)
    reader.require_all()
    assert len(reader.seen) == 12 + 2, "the two that came meanwhile are in the list and among the changes"


async def test_a_mail_that_is_deleted_while_the_list_is_read_takes_no_other_along(reader: Reader) -> None:
    """The list goes on behind the last mail that was read: where that one is gone, it begins anew."""
    bring(reader, 8)
    await reader.turn(most=4)
    del reader.sandbox.mails["M2"], reader.sandbox.mails["M4"]
    await reader.turn()
    assert set(reader.seen) >= set(reader.sandbox.mails.values())


async def test_only_the_folder_is_read_and_a_mail_that_is_too_large_is_left(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(reader, 3)
    real = JmapSandbox._get

    def get(sandbox: JmapSandbox, arguments: Any) -> dict[str, Any]:
        told = real(sandbox, arguments)
        for mail in told["list"]:
            mail["mailboxIds"] = {INBOX: True} if mail["id"] != "M1" else {"mbox-x": True}
            mail["size"] = MOST_OF_A_MAIL + (mail["id"] == "M2")
            mail["headers"] = [{"name": "Subject", "value": " Large"}]
        return told

    monkeypatch.setattr(JmapSandbox, "_get", get)
    pages = [page for page in await reader.turn() if page.body is not None]
    assert {page.body for page in pages} == {reader.sandbox.mails["M0"], b"Subject: Large\r\n"}
    assert dict(pages[-1].asked) == {"left": "too large", "uid": "M2", "size": str(MOST_OF_A_MAIL + 1)}
    with pytest.raises(UnexpectedAnswer):
        await reader.turn(folder="Nowhere")


@pytest.mark.parametrize("headers", [7, {"name": "Subject"}, [7], None])
async def test_a_mail_that_is_too_large_is_left_whatever_stands_for_its_header(
    reader: Reader, monkeypatch: pytest.MonkeyPatch, headers: object
) -> None:
    bring(reader, 1)
    real = JmapSandbox._get

    def get(sandbox: JmapSandbox, arguments: Any) -> dict[str, Any]:
        told = real(sandbox, arguments)
        for mail in told["list"]:
            mail |= {"size": MOST_OF_A_MAIL + 1, "headers": headers}
        return told

    monkeypatch.setattr(JmapSandbox, "_get", get)
    assert [page.body for page in await reader.turn() if page.body is not None] == [b""]


@pytest.mark.parametrize("name", ["apiUrl", "downloadUrl"])
@pytest.mark.parametrize(
    "elsewhere", ["https://files.example.net/jmap", "http://127.0.0.1:1/jmap", "//files.example.net/x", 7, None]
)
async def test_a_session_that_leads_to_another_host_is_refused(name: str, elsewhere: object) -> None:
    class Leading(JmapSandbox):
        async def _session(self, request: Request) -> Response:
            told = json.loads((await super()._session(request)).body)
            return JSONResponse({**told, name: elsewhere})

    sandbox = Leading(lambda: NOW)
    async with serving(sandbox) as base_url:
        with pytest.raises(NotAllowed):
            await Reader(base_url, sandbox).turn()
    assert [one.path for one in sandbox.faults.seen] == ["/.well-known/jmap"]
