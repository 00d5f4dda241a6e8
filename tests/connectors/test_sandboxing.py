"""The fake providers: how they push, that they are repeatable, and that what asks them survives how they misbehave.

Every connector that has a fake provider is tested; none is named but the standard one, which has nothing to be asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from connectors.asking import CredentialsRefused, Page, ProviderError, Subject, TryLater, UnexpectedAnswer
from connectors.contract import Alert, BreachRecord, Connector, GoAndLook, RawEvent
from connectors.http import HttpError
from connectors.registry import folders, registry
from connectors.sandboxing import Fault, Happening, Manner, Sandbox, serving
from connectors.standard.sandbox import StandardSandbox
from connectors.testing.clients import client_for
from connectors.testing.following import followed
from connectors.verifiers import NotSigned, Outcome, Secret, StandardWebhooks
from connectors.vocabulary import AlertKind, Bureau

NOW = datetime(2026, 3, 2, 16, tzinfo=UTC)
MOST_REQUESTS = 5
"""How many requests one made-up notice may cost a provider."""

PEOPLE = ("avery.invented@example.org", "blake.invented@example.org")
CONNECTORS = [registry()[name] for name in folders()]
each_connector = pytest.mark.parametrize("connector", CONNECTORS, ids=lambda connector: connector.name)
each_polled = pytest.mark.parametrize("connector", [c for c in CONNECTORS if c.poll], ids=lambda connector: connector.name)
UNSIGNED = [c for c in CONNECTORS if c.webhook and isinstance(c.webhook.verifier, NotSigned)]
each_unsigned = pytest.mark.parametrize("connector", UNSIGNED, ids=lambda connector: connector.name)


def sandbox_for(connector: Connector, seed: int = 0) -> Sandbox:
    made: Sandbox = import_module(f"connectors.{connector.name}.sandbox").sandbox(lambda: NOW, seed)
    for reference in PEOPLE:
        made.enrol(reference)
    return made


def happenings(at: datetime = NOW, who: Sequence[str] = PEOPLE) -> list[Happening]:
    """One of each kind, each a minute before the one before."""
    return [
        Happening(
            who[n % len(who)], kind, at - timedelta(minutes=n), f"Invented {at:%d%H} {n}", "4321", bureau=list(Bureau)[n % 3]
        )
        for n, kind in enumerate(AlertKind)
    ]


def tell_much(sandbox: Sandbox, at: datetime) -> None:
    """So much that it is more than a page, wherever there are pages."""
    for batch in range(4):
        for happening in happenings(at - timedelta(hours=batch)):
            sandbox.tell(happening)


class Inbox(Sandbox):
    """A receiver that keeps what it is sent and answers as it is told."""

    name = "inbox"

    def __init__(self) -> None:
        super().__init__(lambda: NOW)
        self.got: list[tuple[bytes, dict[str, str]]] = []
        self.answers: list[int] = []

    def routes(self) -> Sequence[BaseRoute]:
        return [Route("/hook", self._take, methods=["POST"])]

    def settings(self, base_url: str) -> dict[str, Any]:
        return {"base_url": base_url}

    def enrol(self, reference: str) -> None:
        """Nobody is known here."""

    def tell(self, happening: Happening) -> str | None:
        return None

    async def _take(self, request: Request) -> Response:
        self.got.append((await request.body(), dict(request.headers)))
        return Response(status_code=self.answers.pop(0) if self.answers else 202)

    def authentic(self, secret: str) -> list[bool]:
        found = [StandardWebhooks().check(body, headers, [Secret("k", secret)], NOW) for body, headers in self.got]
        return [verification.outcome is Outcome.AUTHENTIC for verification in found]


def standard() -> StandardSandbox:
    sandbox = StandardSandbox(lambda: NOW)
    sandbox.enrol(PEOPLE[0])
    for happening in happenings(who=PEOPLE[:1])[:3]:
        assert sandbox.tell(happening)
    return sandbox


@given(st.lists(st.binary()), st.sampled_from([Manner.HONEST, Manner.TWICE, Manner.BACKWARDS]))
def test_every_manner_sends_everything_and_nothing_else(bodies: list[bytes], manner: Manner) -> None:
    sent = manner.arranged(bodies)
    assert sorted(sent) == sorted(bodies * (2 if manner is Manner.TWICE else 1))
    if manner is Manner.BACKWARDS:
        assert sent[::-1] == bodies


@pytest.mark.parametrize("manner", [Manner.HONEST, Manner.TWICE, Manner.BACKWARDS])
async def test_what_waits_is_sent_in_this_manner_and_waits_no_longer(manner: Manner) -> None:
    sandbox, inbox = standard(), Inbox()
    waiting = list(sandbox.unsent)
    async with serving(inbox) as url:
        answers = await sandbox.push(f"{url}/hook", manner)
        assert await sandbox.push(f"{url}/hook") == []
    assert [body for body, _ in inbox.got] == manner.arranged(waiting)
    assert answers == [202] * len(inbox.got)
    assert all(inbox.authentic(sandbox.webhook_secret))


async def test_forged_ones_prove_nothing_and_leave_alone_what_waits() -> None:
    sandbox, inbox = standard(), Inbox()
    async with serving(inbox) as url:
        assert await sandbox.push(f"{url}/hook", Manner.FORGED, 5) == [202] * 5
    assert len({body for body, _ in inbox.got}) == 5
    assert not any(inbox.authentic(sandbox.webhook_secret))
    assert len(sandbox.unsent) == 3


async def test_what_is_not_taken_is_sent_again() -> None:
    sandbox, inbox = standard(), Inbox()
    first, second, third = sandbox.unsent
    inbox.answers = [202, 503, 302]
    async with serving(inbox) as url:
        assert await sandbox.push(f"{url}/hook") == [202, 503, 302]
        assert sandbox.unsent == [second, third]
        assert await sandbox.push(f"{url}/hook") == [202, 202]
    assert [body for body, _ in inbox.got] == [first, second, third, second, third]


async def test_a_receiver_that_is_away_loses_nothing() -> None:
    sandbox, inbox = standard(), Inbox()
    async with serving(inbox) as url:
        pass
    with pytest.raises(HttpError):
        await sandbox.push(f"{url}/hook")
    assert len(sandbox.unsent) == 3


@pytest.mark.share
@each_connector
def test_the_same_seed_does_the_same_another_has_ids_of_its_own(connector: Connector) -> None:
    one, two, other = sandbox_for(connector), sandbox_for(connector), sandbox_for(connector, seed=1)
    told = [[sandbox.tell(happening) for happening in happenings()] for sandbox in (one, two, other)]
    assert told[0] == told[1]
    assert one.unsent == two.unsent
    assert one.webhook_secret == two.webhook_secret
    assert any(told[0])
    if connector.webhook is not None:
        assert not {name for name in told[0] if name} & {name for name in told[2] if name}


@each_connector
def test_its_settings_are_what_the_connector_takes(connector: Connector) -> None:
    connector.config.model_validate(sandbox_for(connector).settings("http://127.0.0.1:1"))


def told_by(connector: Connector, pages: Sequence[Page]) -> set[tuple[str, ...]]:
    """The identities of all that these pages say of somebody; what they say of nobody in particular may come later."""
    bodies = [(page.body, page.asked) for page in pages if page.body is not None]
    understood = [said for body, asked in bodies for _, said in followed(connector, body, asked)]
    return {
        said.identity
        for said in understood
        if isinstance(said, GoAndLook) or (isinstance(said, Alert | BreachRecord) and said.member_ref is not None)
    }


class Asked:
    """A connector that asks its fake provider, with the cursors kept between the turns as the core keeps them."""

    def __init__(self, connector: Connector, sandbox: Sandbox, base_url: str) -> None:
        self.connector, self.sandbox = connector, sandbox
        self.config = connector.config.model_validate(sandbox.settings(base_url))
        self.base_url = base_url
        self.cursor: str | None = None
        self.cursors: dict[str, str] = {}

    def client(self) -> Any:
        return client_for(self.connector, self.base_url, self.config, lambda: NOW, attempts=1, read=20, total=40)

    async def poll(self, *, sweep: bool = False, pages: list[Page] | None = None) -> set[tuple[str, ...]]:
        kept = [] if pages is None else pages
        known = [self.sandbox.known_as(person) for person in PEOPLE]
        subjects = [Subject(reference, None if sweep else self.cursors.get(reference)) for reference in known]
        async with self.client() as http:
            async for page in self.connector.pages(http, self.config, None if sweep else self.cursor, subjects):
                kept.append(page)
                if page.subject is not None:
                    self.cursors[page.subject] = page.cursor or self.cursors.get(page.subject, "")
                elif page.cursor is not None:
                    self.cursor = page.cursor
            self.cursors = {reference: cursor for reference, cursor in self.cursors.items() if cursor}
        return told_by(self.connector, kept)


@pytest.mark.share
@each_polled
async def test_a_turn_finds_what_is_new_and_a_sweep_what_came_late(connector: Connector) -> None:
    sandbox = sandbox_for(connector)
    async with serving(sandbox) as base_url:
        asked = Asked(connector, sandbox, base_url)
        tell_much(sandbox, NOW - timedelta(days=40))
        known = await asked.poll()
        tell_much(sandbox, NOW - timedelta(days=1))
        new = await asked.poll() - known
        tell_much(sandbox, NOW - timedelta(days=4000))
        everything = await asked.poll(sweep=True)
        assert len(everything) == 3 * len(known) == 3 * len(new) > 0
        assert everything > known | new
        assert await asked.poll(sweep=True) == everything


FAULTS: list[tuple[Fault, type[ProviderError]]] = [
    (Fault.REFUSED, CredentialsRefused),
    (Fault.HTML, UnexpectedAnswer),
    (Fault.BROKEN, TryLater),
    (Fault.CUT, TryLater),
]


@pytest.mark.share
@pytest.mark.parametrize(("fault", "error"), FAULTS, ids=lambda value: value.name if isinstance(value, Fault) else "")
@each_polled
async def test_a_fault_anywhere_in_a_turn_costs_nothing_but_time(
    connector: Connector, fault: Fault, error: type[ProviderError]
) -> None:
    """Whichever request meets it: it is told if it mattered, of one person at least, and no cursor has moved past what it hid."""
    sandbox = sandbox_for(connector)
    tell_much(sandbox, NOW - timedelta(days=40))
    for happening in happenings():
        sandbox.tell(happening)
    async with serving(sandbox) as base_url:
        whole = await Asked(connector, sandbox, base_url).poll()
        requests = len(sandbox.faults.seen)
        for spared in sorted({0, requests // 2, requests - 1}):
            asked = Asked(connector, sandbox, base_url)
            before: list[Page] = []
            sandbox.misbehave(fault, times=1, seconds=60, after=spared)
            try:
                await asked.poll(pages=before)
            except error:
                assert not asked.sandbox.faults.waiting[0].times
            else:
                told = [page.error for page in before if page.error is not None]
                assert all(isinstance(one, error) for one in told)
                assert told or told_by(connector, before) == whole
            sandbox.behave()
            assert told_by(connector, before) | await asked.poll() == whole


@each_unsigned
async def test_what_is_made_up_is_looked_up_in_vain(connector: Connector) -> None:
    """A stranger can make us ask, a bounded number of times, and learn or change nothing by it."""
    sandbox, inbox = sandbox_for(connector), Inbox()
    for happening in happenings():
        sandbox.tell(happening)
    async with serving(inbox) as url:
        await sandbox.push(f"{url}/hook", Manner.FORGED, 40)
    async with serving(sandbox) as base_url:
        asked = Asked(connector, sandbox, base_url)
        async with asked.client() as http:
            for body, _ in inbox.got:
                for event in connector.split(body):
                    assert isinstance(event, RawEvent)
                    look = connector.normalise(event)
                    assert isinstance(look, GoAndLook)
                    assert await connector.follow_up(http, asked.config, look.asked) is None
    assert len(sandbox.faults.seen) <= MOST_REQUESTS * len(inbox.got)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), max_size=4))
def test_faults_meet_the_requests_they_were_meant_for(wanted: list[tuple[int, int]]) -> None:
    inbox = Inbox()
    for after, times in wanted:
        inbox.misbehave(Fault.AWAY, times=times, path="/hook", after=after)
    assert inbox.faults.take("/other") is None
    met = [inbox.faults.take("/hook") is not None for _ in range(40)]
    assert sum(met) == sum(times for _, times in wanted)
    if len(wanted) == 1:
        [(after, times)] = wanted
        assert met == [False] * after + [True] * times + [False] * (40 - after - times)
    inbox.behave()
    assert inbox.faults.take("/hook") is None
