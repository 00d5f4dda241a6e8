"""Packets as counsel orders them: over the real application, built by its own workers."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select

from app.access.roles import Role
from app.ledger.models import LedgerEntry
from app.ledger.service import SYSTEM, Act, Sight, sight_of
from app.members import erasing
from tests.evidence.matters import in_the_log, matter_of
from tests.support.world import World, alert


async def busy(world: World) -> World:
    """Two members of the matter with alerts that are in the log."""
    await world.deliver(alert(id="a-1", summary="Counsel reads 900-65-4321."))
    await world.deliver(alert(id="b-1", member="ref-M-2", institution="Another Bank"))
    await in_the_log(world)
    return world


async def shown(world: World, counsel: httpx.AsyncClient, **wanted: Any) -> str:
    """Ask for a packet, and have looked up what will be in it; its path."""
    packets = f"/v1/matters/{await matter_of(world)}/packets"
    asked = await counsel.post(packets, json={"prefix": "OPOA", **wanted})
    assert asked.status_code == 201, asked.text
    assert await world.workers.builder.look_up() == 1
    return f"{packets}/{asked.json()['id']}"


async def ordered(world: World, counsel: httpx.AsyncClient, **wanted: Any) -> str:
    """The same, ordered."""
    path = await shown(world, counsel, **wanted)
    answer = await counsel.post(f"{path}/order")
    assert answer.status_code == 200, answer.text
    return path


async def ready(world: World, counsel: httpx.AsyncClient, **wanted: Any) -> str:
    """The same, built."""
    path = await ordered(world, counsel, **wanted)
    await world.workers.builder.build()
    assert (await counsel.get(path)).json()["state"] == "ready"
    return path


def unpacked(raw: bytes, to: Path) -> Path:
    """A downloaded packet as a folder."""
    with zipfile.ZipFile(io.BytesIO(raw)) as file:
        assert file.testzip() is None
        file.extractall(to)
    (folder,) = to.iterdir()
    return folder


def id_of(path: str) -> UUID:
    """The id of a packet by its path."""
    return UUID(path.rpartition("/")[2])


async def counsel_of(world: World) -> httpx.AsyncClient:
    """Counsel of the union, who has just signed in."""
    return await world.sign_in(Role.COUNSEL)


async def erase(world: World, who: str) -> None:
    """A member of the union, by their number there."""
    async with world.context.database.begin() as tx:
        await erasing.erase(tx, world.context.keyring, world.union.id, world.union.members[who], SYSTEM)


async def exports(world: World) -> list[tuple[LedgerEntry, Sight | None]]:
    """What the ledger says was taken along, in order."""
    async with world.context.database.begin(read_only=True) as tx:
        query = select(LedgerEntry).where(LedgerEntry.kind == Act.EXPORT).order_by(LedgerEntry.id)
        rows = (await tx.execute(query)).scalars().all()
        return [(row, await sight_of(tx, world.context.keyring, row)) for row in rows]
