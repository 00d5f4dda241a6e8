"""From a connector's own fake provider through the connector, over real HTTP: what was told is what came in.

The core does the same with a database around it; this is the part that a connector can be held to alone.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.asking import NOTHING_ASKED, Asked, Subject
from connectors.contract import Alert, BreachRecord, Connector, GoAndLook
from connectors.sandboxing import Happening, Manner, Sandbox, serving, serving_app
from connectors.testing.clients import UNPACED as UNPACED
from connectors.testing.clients import client_for
from connectors.testing.following import followed
from connectors.verifiers import NotSigned, Outcome, Secret
from connectors.vocabulary import AlertKind

PEOPLE = ("avery.invented@example.org", "blake.invented@example.org")
"""References that every provider could use: some want an e-mail address, none minds one."""

PUSHES = (Manner.HONEST, Manner.TWICE, Manner.BACKWARDS)


def sandbox_of(connector: Connector) -> type[Sandbox]:
    """The fake provider beside a connector: `sandbox` in the module of that name. ImportError, AttributeError without one."""
    package = type(connector).__module__.rpartition(".")[0]
    found: type[Sandbox] = importlib.import_module(f"{package}.sandbox").sandbox
    return found


@dataclass
class Told:
    """What a fake provider was told: its own id -> whom it is about, and what happened."""

    sandbox: Sandbox
    things: dict[str, tuple[str, AlertKind]] = field(default_factory=dict)

    def tell(self, references: Sequence[str], at: datetime, kinds: Sequence[AlertKind] = tuple(AlertKind)) -> int:
        """One thing of each kind that this provider can tell, about each of them in turn; how many that were."""
        before = len(self.things)
        for number, kind in enumerate(kinds):
            reference = references[number % len(references)]
            self._tell(Happening(reference, kind, at - timedelta(minutes=number), f"Invented {before}-{number} Bank", "4321"))
        return len(self.things) - before

    def _tell(self, happening: Happening) -> None:
        name = self.sandbox.tell(happening)
        if name is not None:
            assert name not in self.things, "the fake provider gave one id twice"
            self.things[name] = (happening.reference, happening.kind)

    @property
    def by_family(self) -> Counter[tuple[str, str]]:
        """How many things of each family were told of whom. Providers do not tell kinds as finely as we do."""
        return Counter((reference, kind.family) for reference, kind in self.things.values())


@dataclass
class _CameIn:
    """A core in small: alerts and listings by identity, look-ups once each; what is handed on is taken by whom it is for.

    `people`: reference -> who is enrolled under it.
    """

    connector: Connector
    people: Mapping[str, str]
    alerts: dict[tuple[str, ...], tuple[str, str]] = field(default_factory=dict)
    looks: dict[tuple[str, ...], Asked] = field(default_factory=dict)

    def take(self, body: bytes, asked: Asked = NOTHING_ASKED) -> None:
        for connector, said in followed(self.connector, body, asked):
            match said:
                case Alert(kind=kind, member_ref=reference, identity=identity):
                    whose = (self.people.get(reference, reference), kind.family)
                    assert self.alerts.setdefault((connector.name, *identity), whose) == whose
                case BreachRecord(member_ref=str(reference)) if connector.names_strangers and reference not in self.people:
                    continue
                case BreachRecord(member_ref=str(reference), identity=identity):
                    whose = (self.people.get(reference, reference), AlertKind.EXPOSURE_BREACH_LISTING.family)
                    self.alerts[(connector.name, *identity)] = whose
                case GoAndLook(identity=identity, asked=to_ask):
                    self.looks.setdefault(identity, to_ask)


@dataclass
class _Inbox:
    """A receiver of deliveries."""

    got: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/webhooks/one/token", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        self.got.append((await request.body(), dict(request.headers)))
        return Response("{}", 202, media_type="application/json")


async def require_round_trip(connector: Connector, now: datetime) -> None:
    """Tell the connector's fake provider one thing of each kind, bring it in every way there is, and compare. AssertionError.

    A provider that is polled tells everything also to whom it pushes nothing.
    """
    await _brought(connector, now, pushed=connector.webhook is not None)
    if connector.webhook is not None and connector.poll is not None:
        await _brought(connector, now, pushed=False)


async def _brought(connector: Connector, now: datetime, *, pushed: bool) -> None:
    sandbox = sandbox_of(connector)(lambda: now)
    assert sandbox.name == connector.name
    told, came_in = Told(sandbox), _CameIn(connector, {sandbox.known_as(person): person for person in PEOPLE})
    for reference in PEOPLE:
        sandbox.enrol(reference)
    async with serving(sandbox) as base_url:
        config = connector.config.model_validate(sandbox.settings(base_url))
        for manner in PUSHES if pushed or connector.by_hand else PUSHES[:1]:
            assert told.tell(PEOPLE, now), "the fake provider tells nothing"
            if pushed:
                await _pushed(connector, sandbox, manner, came_in, now)
            if connector.by_hand:
                _handed(sandbox, manner, came_in)
            if connector.poll is not None or connector.looks_up:
                async with client_for(connector, base_url, config, lambda: now) as client:
                    await _asked(connector, client, config, came_in)
            assert Counter(came_in.alerts.values()) == told.by_family, manner


async def _pushed(connector: Connector, sandbox: Sandbox, manner: Manner, came_in: _CameIn, now: datetime) -> None:
    assert connector.webhook is not None
    verifier, inbox = connector.webhook.verifier, _Inbox()
    async with serving_app(inbox.app) as url:
        answers = await sandbox.push(f"{url}/webhooks/one/token", manner)
    assert answers, "the fake provider of a connector with a webhook pushes"
    assert set(answers) == {202}
    assert len(answers) == len(inbox.got)
    for body, headers in inbox.got:
        if not isinstance(verifier, NotSigned):
            secret = Secret("sandbox", sandbox.webhook_secret or "")
            assert verifier.check(body, headers, [secret], now).outcome is Outcome.AUTHENTIC
        assert headers["content-type"].partition(";")[0] in connector.webhook.media_types
        came_in.take(body)


def _handed(sandbox: Sandbox, manner: Manner, came_in: _CameIn) -> None:
    files = sandbox.hand_over()
    assert files, "there is something to be handed in where people hand in"
    for body, asked in manner.arranged(files):
        came_in.take(body, asked)


async def _asked(connector: Connector, client: Any, config: Any, came_in: _CameIn) -> None:
    if connector.poll is not None:
        subjects = [Subject(reference) for reference in came_in.people]
        async for page in connector.pages(client, config, None, subjects):
            assert page.error is None, f"a question about {page.subject} failed"
            if page.body is not None:
                came_in.take(page.body, page.asked)
    for asked in came_in.looks.values():
        found = await connector.follow_up(client, config, asked)
        assert found is not None, "what was told of is there to be looked up"
        assert found.body is not None
        came_in.take(found.body, asked)
