"""A top key that goes away and comes back, processes that have the door's key alone, and an installation of the code before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import httpx
from sqlalchemy import delete, select, update

from app.connections.models import Connection, ConnectionSecret
from app.intake.models import Receipt
from app.kit import clock
from app.kit.context import Context
from app.kit.crypto import KeysAway
from app.kit.door_keys import DoorKey, DoorRing
from app.kit.keyring import Keyring
from app.kit.vault import HeldKeys
from app.main import create_app
from connectors.standard.sandbox import sign
from tests.malice.serving import listening
from tests.support.world import Tenant, World


class Service(HeldKeys):
    """A top key that is behind a service: while that is away nothing is wrapped and nothing unwrapped."""

    away = False

    async def wrap(self, key: bytes, where: bytes) -> bytes:
        """See `Vault`. Raises KeysAway."""
        self._answers()
        return await super().wrap(key, where)

    async def unwrap(self, name: str | None, wrapped: bytes, where: bytes) -> bytes:
        """See `Vault`. Raises KeysAway."""
        self._answers()
        return await super().unwrap(name, wrapped, where)

    async def refresh(self) -> None:
        """See `Vault`. Raises KeysAway."""
        self._answers()

    @property
    def first(self) -> bytes | None:
        """Such a service hands no key out."""
        return None if self.away else super().first

    def _answers(self) -> None:
        if self.away:
            raise KeysAway("the service of the top key does not answer")


def ring_of(world: World) -> DoorRing:
    assert world.context.keyring.door is not None
    return world.context.keyring.door


def held(world: World) -> tuple[bytes, bytes]:
    """The top key, and the door's."""
    found = [vault.keys[0] for vault in (world.context.keyring.vault, ring_of(world).vault)]  # type: ignore[attr-defined]
    return found[0], found[1]


def elsewhere(world: World, vault: HeldKeys | None = None, door: HeldKeys | None = None) -> Context:
    """The context of a process that was just started, over the same database. `vault`: none: the top key is not there."""
    keyring = Keyring(vault or HeldKeys(), door or HeldKeys(held(world)[1]))
    return replace(world.context, keyring=keyring)


@dataclass
class Served:
    """An application on a real port."""

    client: httpx.AsyncClient

    async def deliver(self, tenant: Tenant, body: bytes, secret: str = "") -> httpx.Response:
        headers = sign(secret or tenant.connection.secret, body, at=clock.now())
        return await self.client.post(
            tenant.connection.path, content=body, headers={"content-type": "application/json", **headers}
        )


@asynccontextmanager
async def serving(context: Context) -> AsyncIterator[Served]:
    """A process of the web alone, in this one."""
    app = create_app(context=context, work=False)
    async with (
        listening(app, context.settings) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client,
    ):
        yield Served(client)


async def as_it_was_before(world: World) -> None:
    """Let the database be as code without a door's key has left it: secrets sealed, receipts wrapped, nothing handed over."""
    async with world.context.database.begin() as tx:
        await tx.execute(delete(DoorKey))
        await tx.execute(update(Connection).values(sources_sealed=None))
        for tenant in (world.union, world.other):
            keys = await world.context.keyring.for_writing(tx, tenant.id)
            mine = select(Connection.id).where(Connection.organization_id == tenant.id)
            query = select(ConnectionSecret).where(ConnectionSecret.connection_id.in_(mine), ConnectionSecret.sealed != b"")
            for secret in (await tx.execute(query)).scalars():
                where = ("connection_secret", secret.connection_id, secret.id)
                secret.sealed = keys.seal(keys.open_for_door(secret.sealed, *where), *where)
            kept = select(Receipt).where(Receipt.organization_id == tenant.id, Receipt.wrapped_key.is_not(None))
            for receipt in (await tx.execute(kept)).scalars():
                key = keys.unwrap(receipt.wrapped_key or b"", "receipt", receipt.id)
                receipt.wrapped_key = keys.wrap(key, "receipt", receipt.id)
