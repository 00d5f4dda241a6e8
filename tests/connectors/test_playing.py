"""A fake provider to play with: what a person does on its page happens at the provider, and nobody else's page can do it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib import import_module

import httpx
import pytest

from connectors.asking import Subject
from connectors.http import sandbox_allowed
from connectors.playing import PAGE, PEOPLE, Playground
from connectors.registry import folders, registry
from connectors.sandboxing import Fault, Happening, Manner, serving, serving_app
from connectors.testing.clients import client_for
from connectors.testing.following import followed
from connectors.vocabulary import AlertKind
from tests.connectors.test_sandboxing import Inbox
from tests.repo.tree import ROOT

NOW = datetime(2026, 3, 2, 16, tzinfo=UTC)
POLLED = [name for name in folders() if registry()[name].poll]
PUSHING = [name for name in folders() if registry()[name].webhook]
AN_EXPOSURE, A_FRAUD = AlertKind.EXPOSURE_CREDENTIALS, AlertKind.INQUIRY_HARD


@asynccontextmanager
async def playing(name: str) -> AsyncIterator[tuple[Playground, httpx.AsyncClient]]:
    """The provider, served with its page, and a browser that follows where it is led."""
    playground = Playground(import_module(f"connectors.{name}.sandbox").sandbox(lambda: NOW))
    async with (
        playground.sandbox.running(),
        serving_app(playground.app) as base_url,
        httpx.AsyncClient(base_url=base_url, follow_redirects=True) as browser,
    ):
        with sandbox_allowed(base_url):
            yield playground, browser


def tellable(name: str) -> AlertKind:
    """A kind that this provider tells of."""
    probe = import_module(f"connectors.{name}.sandbox").sandbox(lambda: NOW)
    probe.enrol(PEOPLE[0])
    return next(kind for kind in (A_FRAUD, AN_EXPOSURE, *AlertKind) if probe.tell(Happening(PEOPLE[0], kind, NOW)) is not None)


async def found(name: str, playground: Playground, base_url: str, who: str) -> int:
    """How many things the connector is told about somebody when it asks this provider."""
    connector, reference = registry()[name], playground.sandbox.known_as(who)
    config = connector.config.model_validate(playground.sandbox.settings(base_url))
    async with client_for(connector, base_url, config, lambda: NOW, attempts=1) as http:
        pages = [page async for page in connector.pages(http, config, None, [Subject(reference, None)])]
    bodies = [(page.body, page.asked) for page in pages if page.body is not None]
    understood = [said for body, asked in bodies for _, said in followed(connector, body, asked)]
    return sum(getattr(said, "member_ref", None) == reference for said in understood)


@pytest.mark.parametrize("name", POLLED)
async def test_somebody_is_known_from_the_beginning_and_others_can_be_enrolled_and_told_of(name: str) -> None:
    async with playing(name) as (playground, browser):
        base_url = str(browser.base_url).rstrip("/")
        assert await found(name, playground, base_url, PEOPLE[0]) > 0, "not a 404 for everybody"
        assert "It knows new@example.org" in (await browser.post(f"{PAGE}/enrol", data={"reference": "new@example.org"})).text
        assert await found(name, playground, base_url, "new@example.org") == 0
        told = {"reference": "new@example.org", "kind": tellable(name).value, "institution": "Invented Shop", "days_ago": "3"}
        assert "It learnt of" in (await browser.post(f"{PAGE}/happen", data=told)).text
        assert await found(name, playground, base_url, "new@example.org") > 0


@pytest.mark.parametrize("name", PUSHING)
async def test_what_waits_is_sent_as_the_page_says(name: str) -> None:
    inbox = Inbox()
    async with playing(name) as (playground, browser), serving(inbox) as there:
        waiting = playground.sandbox.to_send()
        assert waiting > 0
        assert f"Send what waits ({waiting})" in (await browser.get("/")).text
        form = {"url": f"{there}/hook", "manner": Manner.HONEST.value, "count": "1"}
        assert "Nothing waits to be sent" in (await browser.post(f"{PAGE}/send", data=form)).text
        honest = len(inbox.got)
        assert honest > 0
        await browser.post(f"{PAGE}/send", data=form | {"manner": Manner.FORGED.value, "count": "5"})
        assert len(inbox.got) > honest
        inbox.answers = [503]
        about = {"reference": PEOPLE[0], "kind": tellable(name).value}
        await browser.post(f"{PAGE}/happen", data=about)
        assert "answered: 503. 1 wait" in (await browser.post(f"{PAGE}/send", data=form)).text
    async with playing(name) as (_, browser):
        assert "Nobody answers there" in (await browser.post(f"{PAGE}/send", data=form)).text


async def test_it_misbehaves_as_often_as_asked_and_its_page_does_not() -> None:
    async with playing("array") as (_, browser):
        form = {"fault": Fault.AWAY.value, "times": "2", "seconds": "5", "path": "/monitor"}
        assert "2 × 503 /monitor" in (await browser.post(f"{PAGE}/misbehave", data=form)).text
        statuses = [(await browser.get("/monitor/v2/alerts")).status_code for _ in range(3)]
        assert statuses == [503, 503, 401]
        assert "/monitor/v2/alerts" in (await browser.get(PAGE)).text
        await browser.post(f"{PAGE}/misbehave", data=form)
        assert "It behaves" in (await browser.post(f"{PAGE}/behave")).text
        assert (await browser.get("/monitor/v2/alerts")).status_code == 401


WRONG = [
    ("enrol", {}),
    ("happen", {"reference": PEOPLE[0], "kind": "no such kind"}),
    ("happen", {"reference": PEOPLE[0], "kind": A_FRAUD.value, "days_ago": "soon"}),
    ("happen", {"reference": PEOPLE[0], "kind": A_FRAUD.value, "amount": "NaN"}),
    ("send", {"url": "file:///etc/passwd", "manner": Manner.HONEST.value}),
    ("send", {"url": "http://[", "manner": Manner.HONEST.value}),
    ("send", {"url": "http://localhost:1/", "manner": Manner.FORGED.value, "count": "1001"}),
    ("misbehave", {"fault": "?"}),
    ("misbehave", {"fault": Fault.AWAY.value, "times": "0"}),
]


@pytest.mark.parametrize(("act", "form"), WRONG)
async def test_what_cannot_be_done_is_said_in_words(act: str, form: dict[str, str]) -> None:
    async with playing("standard") as (_, browser):
        answer = await browser.post(f"{PAGE}/{act}", data=form)
        assert answer.status_code == 400
        assert 'id="problem"' in answer.text


async def test_another_page_in_the_same_browser_can_do_nothing_and_what_is_typed_stays_text() -> None:
    async with playing("standard") as (playground, browser):
        form = {"reference": "<script>alert(1)</script>"}
        for headers in ({"origin": "https://elsewhere.example"}, {"host": "elsewhere.example"}, {"origin": "null"}):
            assert (await browser.post(f"{PAGE}/enrol", data=form, headers=headers)).status_code == 403
        assert playground.people == list(PEOPLE)
        own = {"origin": str(browser.base_url).rstrip("/")}
        page = (await browser.post(f"{PAGE}/enrol", data=form, headers=own)).text
        assert "&lt;script&gt;alert(1)" in page
        assert "<script>" not in page
        assert (await browser.post(f"{PAGE}/elsewhere")).status_code == 404


@pytest.mark.long
async def test_the_command_says_where_to_play() -> None:
    command = [sys.executable, "-m", "app.cli", "sandbox", "hibp", "--port", "0"]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            told = (await process.stdout.readuntil(PAGE.encode())).decode()
            assert PEOPLE[0] in (await process.stdout.readuntil(b"answers here")).decode()
        async with httpx.AsyncClient() as browser:
            assert "hibp, imitated" in (await browser.get(told.rpartition(" ")[2])).text
    finally:
        process.kill()
        await process.wait()
