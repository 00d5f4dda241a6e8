"""What tests of intake count: accounts, and the story of one delivery. Importable; holds no tests."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from app.intake.models import Event, Receipt, Refusal
from app.intake.workers import write_refusals
from app.operations import accounts
from tests.support.world import Tenant, World


async def books(world: World, tenant: Tenant | None = None) -> dict[str, Any]:
    """The accounts of one organization, which must close whatever was done."""
    await write_refusals(world.context.database, world.app.state.intake.refusals)
    found: dict[str, Any] = await accounts(world.context, (tenant or world.union).id)
    assert found["deliveries"] == found["receipts"] + found["repeats"] + sum(found["refused"].values()), found
    outcomes = ("new", "sightings", "revisions", "non_alerts", "breach_records", "handed_on", "quarantined")
    assert found["events"] == sum(found[name] for name in outcomes), found
    assert found["alerts"] == found["new"], found
    return found


async def all_refusals(world: World) -> dict[str, int]:
    """Refused deliveries by reason, those for no connection at all too."""
    await write_refusals(world.context.database, world.app.state.intake.refusals)
    async with world.context.database.begin(read_only=True) as tx:
        found: dict[str, int] = {}
        for row in (await tx.execute(select(Refusal))).scalars():
            found[row.reason] = found.get(row.reason, 0) + row.count
        return found


async def receipts(world: World) -> list[Receipt]:
    """Every receipt, oldest first."""
    async with world.context.database.begin(read_only=True) as tx:
        return list((await tx.execute(select(Receipt).order_by(Receipt.id))).scalars())


async def outcomes(world: World) -> list[tuple[str, str | None, str | None]]:
    """Outcome, reason and path of every event, in order."""
    async with world.context.database.begin(read_only=True) as tx:
        rows = (await tx.execute(select(Event).order_by(Event.receipt_id, Event.position))).scalars()
        return [(row.outcome, row.reason, row.path) for row in rows]
