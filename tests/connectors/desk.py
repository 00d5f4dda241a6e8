"""A connection in the real core for one connector's fixtures: deliveries over HTTP, answers as polling keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx
from sqlalchemy import select

from app.connections import service as connections
from app.connections.models import Connection
from app.intake import receive
from app.intake.models import Channel, Event, Receipt
from app.intake.receive import FETCHED, Arrival
from app.intake.sealing import open_event
from app.kit import clock
from app.kit.database import Transaction
from app.members import service as members
from app.members.roster import EnrollmentEntry
from connectors.asking import Asked
from connectors.contract import Connector, Normalised, Sender, WebhookPlan
from connectors.registry import registry
from connectors.testing.cases import HANDED, PUSHED, Case
from connectors.testing.following import followed
from connectors.testing.round_trip import sandbox_of
from connectors.testing.signing import proven, secrets_for
from connectors.verifiers import NotSigned, Secret
from tests.connectors.suite import cases
from tests.support.world import World

AT_ONCE = 40
"""Deliveries in one transaction, or posted together: this is about what they become, not about who comes first."""


@dataclass
class Desk:
    """One connection of one connector, with everybody whom its fixtures speak of enrolled as M-1."""

    world: World
    connector: Connector
    connection: connections.Created
    secret: Secret | None
    foreign: Secret | None
    sent: dict[bytes, tuple[bytes, dict[str, str]]] = field(default_factory=dict)

    @property
    def plan(self) -> WebhookPlan:
        assert self.connector.webhook is not None
        return self.connector.webhook

    async def post(self, case: Case, body: bytes, secret: Secret | None = None) -> httpx.Response:
        """A delivery, proven where the provider proves it; `secret`: by another one than the right."""
        proof = (body, {}) if self.secret is None else self.proven(body) if secret is None else self._proven(body, secret)
        assert proof is not None, "no honest sender could send this"
        sent = {"content-type": case.media_type, **proof[1]}
        return await self.world.client.post(self.connection.path, content=proof[0], headers=sent)

    def proven(self, body: bytes) -> tuple[bytes, dict[str, str]] | None:
        """A body as its honest sender sends it, the same whenever it is sent again; None for one that none could."""
        assert self.secret is not None
        if body not in self.sent:
            proof = self._proven(body, self.secret)
            if proof is None:
                return None
            # What was proven in itself already is not to be proven once more.
            self.sent[body] = self.sent[proof[0]] = proof
        return self.sent[body]

    def _proven(self, body: bytes, secret: Secret) -> tuple[bytes, dict[str, str]] | None:
        assert not isinstance(self.plan.verifier, NotSigned)
        return proven(self.plan.verifier, secret, body, clock.now())

    def as_kept(self, case: Case, body: bytes) -> bytes | None:
        """What stands in the receipt when this comes in; None: it is refused, since no honest sender could have sent it."""
        if case.way != PUSHED or self.secret is None:
            return body
        proof = self.proven(body)
        return None if proof is None else proof[0]

    async def bring(self, case: Case, body: bytes | None = None, asked: Asked | None = None) -> bool:
        """A fixture, or a changed copy of it, by the way that it comes; whether it was there already."""
        (repeat,) = await self.bring_all([(case, case.body if body is None else body)], asked)
        return repeat

    async def bring_all(self, brought: Iterable[tuple[Case, bytes]], asked: Asked | None = None) -> list[bool]:
        """Many of them: whether each was there already. Fails when a delivery is answered by anything but 202."""
        pairs, found = list(brought), []
        for at in range(0, len(pairs), AT_ONCE):
            part = pairs[at : at + AT_ONCE]
            posted = await asyncio.gather(*(self.post(case, body) for case, body in part if case.way == PUSHED))
            assert {answer.status_code for answer in posted} <= {202}
            found += [answer.json()["repeat"] for answer in posted]
            found += await self._fetched([(case, body) for case, body in part if case.way != PUSHED], asked)
        return found

    async def _fetched(self, pairs: list[tuple[Case, bytes]], asked: Asked | None) -> list[bool]:
        found, asking = [], Channel.FOLLOW_UP if self.connector.looks_up else Channel.POLL
        async with self.world.context.database.begin() as tx:
            row = await tx.get_one(Connection, self.connection.connection.id)
            for case, body in pairs:
                beside = case.asked if asked is None else asked
                if case.way == HANDED:
                    arrival = Arrival(body, self.connector.proof_of(body, beside), Channel.HANDED_IN, asked=beside)
                else:
                    arrival = Arrival(body, FETCHED, asking, asked=beside)
                found.append((await receive.keep(tx, self.world.context.keyring, row, arrival)).repeat)
        return found

    async def events(self) -> list[dict[str, Any]]:
        """Every event of this connection in order: outcome, reason, path, and the alert as it was normalised.

        Those of what it hands on to itself are left out, as those of what others hand on are another connection's.
        """
        await self.world.workers.drain()
        async with self.world.context.database.begin() as tx:
            rows = select(Event).join(Receipt, Receipt.id == Event.receipt_id)
            rows = rows.where(Event.connection_id == self.connection.connection.id, Receipt.channel != Channel.HANDED_ON)
            found = []
            for row in (await tx.execute(rows.order_by(Event.receipt_id, Event.position))).scalars():
                copy = await open_event(tx, self.world.context.keyring, row)
                said = {"outcome": row.outcome, "reason": row.reason, "path": row.path, "alert_id": row.alert_id}
                found.append({**said, "alert": _without_nothing(copy["alert"]) if copy else None})
            return found


def _without_nothing(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nothing(item) for name, item in value.items() if item is not None}
    return value


def references(connector: Connector) -> list[str]:
    """Everybody whom a connector's fixtures speak of, in what they hand on too."""
    told = [entry for case in cases(connector.name) for entry in case.expected]
    named = {value.get("member_ref") for entry in told for value in entry.values() if isinstance(value, dict)}
    named |= {getattr(said, "member_ref", None) for said in in_the_end(connector)}
    return sorted(reference for reference in named if reference)


def in_the_end(connector: Connector) -> list[Normalised]:
    """What becomes of everything in a connector's fixtures, also of what is handed on to another."""
    return [said for case in cases(connector.name) for _, said in followed(connector, case.body, case.asked)]


async def create_receiver(tx: Transaction, world: World, connector: Connector) -> Connection | None:
    """The connection of what a connector hands on to; None where that is no other one."""
    to = connector.hands_on_to
    if to is None or to == connector.name:
        return None
    keyring, union = world.context.keyring, world.union.id
    settings = sandbox_of(registry()[to])(clock.now).settings("https://provider.example")
    made = await connections.create_connection(
        tx, keyring, union, connector=to, title="Mail", sender=Sender.PROVIDER, settings=settings or None
    )
    return made.connection


async def open_desk(world: World, connector: Connector) -> Desk:
    """Set up a connection and enroll M-1 under every reference that the connector's fixtures name.

    They are enrolled on the connection that what is handed on comes to, if there is one: it is there that alerts are told.
    """
    verifier = connector.webhook.verifier if connector.webhook else None
    proves = None if verifier is None or isinstance(verifier, NotSigned) else secrets_for(verifier)
    nowhere = "https://provider.example"
    async with world.context.database.begin() as tx:
        receiver = await create_receiver(tx, world, connector)
        made = await connections.create_connection(
            tx,
            world.context.keyring,
            world.union.id,
            connector=connector.name,
            title="Fixtures",
            sender=Sender.PROVIDER,
            secret=proves[0].value if proves else None,
            settings=sandbox_of(connector)(clock.now).settings(nowhere) if connector.config.model_fields else None,
        )
        entries = [EnrollmentEntry(n, "M-1", reference, True, None, None) for n, reference in enumerate(references(connector))]
        whose = (receiver or made.connection).id
        await members.import_enrollments(tx, world.context.keyring, world.union.id, whose, entries, ())
    return Desk(world, connector, made, proves[0] if proves else None, proves[2] if proves else None)
