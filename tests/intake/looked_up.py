"""A world with a connection to the CRS sandbox over real HTTP, whose notices have to be looked up. Holds no tests."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select

from app.connections import service as connections
from app.connections.models import Poll
from app.intake.models import LookUp
from app.kit import clock
from app.members import service as members
from app.members.roster import EnrollmentEntry
from connectors.contract import Sender
from connectors.crs.sandbox import CrsSandbox
from connectors.sandboxing import Happening, serving
from connectors.vocabulary import AlertKind
from tests.support.world import World


@dataclass
class LookedUp:
    """The world, its fake provider, and one connection between them. Nobody is enrolled yet."""

    world: World
    provider: CrsSandbox
    connection: connections.Created
    base_url: str

    @property
    def id(self) -> UUID:
        return self.connection.connection.id

    def happens(self, reference: str = "user-1", kind: AlertKind = AlertKind.INQUIRY_HARD) -> str:
        """Let the provider learn of something; the alert's id."""
        self.provider.enrol(reference)
        told = self.provider.tell(Happening(reference, kind, clock.now(), institution="Invented Lender"))
        assert told is not None
        return told

    async def notices(self, items: list[dict[str, Any]] | None = None) -> httpx.Response:
        """Send the provider's batch of waiting notices, or another one."""
        batch = self.provider.waiting if items is None else items
        proof = base64.b64encode(str(self.provider.webhook_secret).encode()).decode()
        headers = {"content-type": "application/json", "authorization": f"Basic {proof}"}
        return await self.world.client.post(self.connection.path, content=json.dumps(batch), headers=headers)

    async def enroll(self, who: str = "M-1", reference: str = "user-1", *, consent: bool = True) -> None:
        async with self.world.context.database.begin() as tx:
            entry = EnrollmentEntry(1, who, reference, consent, None, None)
            await members.import_enrollments(tx, self.world.context.keyring, self.world.union.id, self.id, [entry], ())

    async def look_ups(self) -> list[LookUp]:
        async with self.world.context.database.begin(read_only=True) as tx:
            return list((await tx.execute(select(LookUp).where(LookUp.connection_id == self.id))).scalars())

    async def states(self) -> list[str]:
        return sorted(row.state for row in await self.look_ups())

    async def row(self) -> Poll:
        async with self.world.context.database.begin(read_only=True) as tx:
            return (await tx.execute(select(Poll).where(Poll.connection_id == self.id))).scalar_one()

    @property
    def details_asked(self) -> int:
        return sum("/efx-alert/" in seen.path for seen in self.provider.faults.seen)


@asynccontextmanager
async def looked_up_world(world: World) -> AsyncIterator[LookedUp]:
    """Serve the provider and connect the union to it."""
    provider = CrsSandbox(clock.now)
    async with serving(provider) as base_url:
        async with world.context.database.begin() as tx:
            made = await connections.create_connection(
                tx,
                world.context.keyring,
                world.union.id,
                connector="crs",
                title="Nightly",
                sender=Sender.PROVIDER,
                secret=provider.webhook_secret,
                settings=provider.settings(base_url),
            )
        yield LookedUp(world, provider, made, base_url)
        await world.workers.asker.close()
