"""What hangs on the keys of organizations, opened: the keys of rows, and the texts that are sealed directly."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select

from app.intake.models import Receipt
from app.intake.sealing import open_body
from app.kit.context import Context
from app.kit.database import Transaction
from app.kit.keyring import Keyring
from app.sealed_places import PLACES, Place
from tests.support.world import World

Hanging = dict[tuple[Any, ...], bytes]


def keyring_of(context: Context) -> Keyring:
    """As a process that was just started has it."""
    door = context.keyring.door
    return Keyring(context.keyring.vault, door.vault if door else None)


async def opened(tx: Transaction, keyring: Keyring, place: Place, organization_id: UUID) -> Hanging:
    """Every value of one place, by its row. Raises Unreadable for the first that does not open."""
    query = select(*place.key(), place.value()).where(place.of(organization_id), place.value().is_not(None))
    keys = await keyring.refreshed(tx, organization_id, place.lane)
    found: Hanging = {}
    for row in (await tx.execute(query)).mappings():
        found[place.name, *(row[one.name] for one in place.key())] = place.open(keys, row)
    return found


async def hanging(context: Context, organization_id: UUID, keyring: Keyring | None = None) -> Hanging:
    """Everything of one organization."""
    found: Hanging = {}
    async with context.database.begin(read_only=True) as tx:
        for place in PLACES:
            found |= await opened(tx, keyring or keyring_of(context), place, organization_id)
    return found


async def bodies(world: World) -> set[bytes]:
    """Every body that was received, as a process that was just started reads it."""
    keyring = keyring_of(world.context)
    async with world.context.database.begin(read_only=True) as tx:
        rows = (await tx.execute(select(Receipt).where(Receipt.wrapped_key.is_not(None)))).scalars()
        return {await open_body(tx, keyring, row) or b"" for row in rows}
