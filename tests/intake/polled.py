"""A world with a connection to the paged provider over real HTTP. Importable; holds no tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from app.connections import service as connections
from app.connections.models import Poll
from app.intake.asker import Asker
from app.intake.models import AlertRow, Receipt
from app.kit import clock
from app.members import service as members
from app.members.roster import EnrollmentEntry
from connectors.contract import Sender
from connectors.sandboxing import serving
from tests.support.paged import NAME, PagedSandbox, paged_registered
from tests.support.world import World


@dataclass
class Polled:
    """The world, its fake provider, and one connection between them; M-1 is enrolled as ref-M-1."""

    world: World
    provider: PagedSandbox
    connection_id: UUID
    base_url: str

    async def ask(self) -> int:
        """Ask whoever is due and do all the work behind; how many turns that took."""
        return await self.world.workers.ask()

    async def row(self) -> Poll:
        async with self.world.context.database.begin(read_only=True) as tx:
            return (await tx.execute(select(Poll).where(Poll.connection_id == self.connection_id))).scalar_one()

    async def alerts(self) -> int:
        async with self.world.context.database.begin(read_only=True) as tx:
            query = select(func.count()).select_from(AlertRow).where(AlertRow.connection_id == self.connection_id)
            return (await tx.execute(query)).scalar_one()

    async def receipts(self) -> list[Receipt]:
        async with self.world.context.database.begin(read_only=True) as tx:
            query = select(Receipt).where(Receipt.connection_id == self.connection_id).order_by(Receipt.id)
            return list((await tx.execute(query)).scalars())

    def later(self, **by: Any) -> datetime:
        """Move the clock."""
        moment = clock.now() + timedelta(**by)
        clock.set_to(moment)
        return moment

    def asker(self) -> Asker:
        """Another process's asker over the same database."""
        return Asker(self.world.context)


async def connect(world: World, base_url: str, key: str = "key-1", member: str = "M-1") -> UUID:
    """One more connection to the paged provider."""
    async with world.context.database.begin() as tx:
        made = await connections.create_connection(
            tx,
            world.context.keyring,
            world.union.id,
            connector=NAME,
            title="Paged",
            sender=Sender.PROVIDER,
            settings={"base_url": base_url, "key": key},
        )
        entry = EnrollmentEntry(1, member, f"ref-{member}", True, None, None)
        await members.import_enrollments(tx, world.context.keyring, world.union.id, made.connection.id, [entry], ())
        return made.connection.id


@asynccontextmanager
async def polled_world(world: World) -> AsyncIterator[Polled]:
    """Serve the paged provider and connect the union to it."""
    provider = PagedSandbox(clock.now)
    with paged_registered():
        async with serving(provider) as base_url:
            yield Polled(world, provider, await connect(world, base_url), base_url)
            await world.workers.asker.close()
