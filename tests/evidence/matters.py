"""Building a packet of a small world, and reading what is in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select

from app.breaches.models import Matter
from app.evidence.building import Built, build
from app.evidence.exhibits import Variant
from app.evidence.ordering import Order
from app.ledger.sequencing import integrate
from tests.support.world import Tenant, World

HOST = "harmline.example"


async def matter_of(world: World, tenant: Tenant | None = None) -> UUID:
    """The one matter of an organization."""
    async with world.context.database.begin(read_only=True) as tx:
        query = select(Matter.id).where(Matter.organization_id == (tenant or world.union).id)
        return (await tx.execute(query)).scalar_one()


async def in_the_log(world: World) -> None:
    """Let all work be done, and everything have its place in the log."""
    await world.workers.drain()
    await integrate(world.context.database, world.context.keyring, HOST)


async def built(
    world: World,
    to: Path,
    variant: Variant = Variant.SEALED,
    size: int | None = None,
    *,
    members: Sequence[str] = (),
    claim: str | None = None,
) -> Built:
    """The packet of the union's matter, at `to`; or of some of its members, by their numbers."""
    chosen = tuple(world.union.members[one] for one in members)
    return await build(world.context, Order(await matter_of(world), variant, "OPOA", size, chosen, claim), to)


def told(folder: Path) -> dict[str, Any]:
    """packet.json."""
    found: dict[str, Any] = json.loads((folder / "data/packet.json").read_bytes())
    return found


def exhibits(folder: Path, kind: str = "native") -> list[dict[str, Any]]:
    """The exhibit.json of every exhibit of a kind, by number."""
    return [
        json.loads((folder / one["folder"] / "exhibit.json").read_bytes())
        for one in told(folder)["exhibits"]
        if one["type"] == kind
    ]


def files(folder: Path) -> dict[str, bytes]:
    """Every file by its path."""
    return {one.relative_to(folder).as_posix(): one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file()}
