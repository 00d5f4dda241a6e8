"""A world whose ledger others attest: what the tests about that have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from app.kit import clock
from app.kit.attesters import Authority, Witness
from app.kit.context import Context
from app.kit.ids import uuid7
from app.ledger import attestations, reading
from app.ledger.attesting import Attesting
from app.ledger.models import Checkpoint, Cosignature, Timestamp
from app.ledger.sequencing import integrate
from app.ledger.service import Act, append
from tests.ledger.authority import TestAuthority
from tests.ledger.small_witness import SmallWitness
from tests.support.world import World


def context_with(
    world: World, authorities: Mapping[str, TestAuthority] = {}, witnesses: Mapping[str, SmallWitness] = {}, **change: Any
) -> Context:
    """The world's context with these settings besides."""
    follow = change.pop("organizations", frozenset())
    change["timestamp_authorities"] = {name: Authority(url=one.url, roots=one.roots) for name, one in authorities.items()}
    change["ledger_witnesses"] = {
        name: Witness(url=one.url, key=one.key, organizations=follow) for name, one in witnesses.items()
    }
    return replace(world.context, settings=world.context.settings.model_copy(update=change))


def attesting(world: World, *args: Any, **options: Any) -> Attesting:
    """As `context_with`."""
    return Attesting(context_with(world, *args, **options))


async def grow(world: World, count: int = 1, organization_id: UUID | None = None) -> Checkpoint:
    """Some acts more, in the log; its newest checkpoint. The clock says what the machine's does: openssl knows no other."""
    clock.set_to(max(clock.machine(), clock.now() + timedelta(milliseconds=1)))
    own = organization_id or world.union.id
    async with world.context.database.begin() as tx:
        for number in range(count):
            await append(tx, world.context.keyring, own, Act.VIEW, facts={"n": number}, receipt=uuid7())
    await integrate(world.context.database, world.context.keyring, "localhost")
    async with world.context.database.begin(read_only=True) as tx:
        newest = await reading.latest_checkpoint(tx, own)
    assert newest is not None
    return newest


async def trust(world: World, *witnesses: SmallWitness) -> None:
    """Let the witnesses know every log that there is."""
    async with world.context.database.begin(read_only=True) as tx:
        for organization_id in await attestations.logs(tx):
            for key in await reading.log_keys(tx, organization_id):
                for one in witnesses:
                    one.logs[key.name] = key


async def kept(world: World, table: type[Cosignature | Timestamp], organization_id: UUID | None = None) -> list[Any]:
    """What was kept about one log, the union's unless told otherwise."""
    own = organization_id or world.union.id
    async with world.context.database.begin(read_only=True) as tx:
        return list((await tx.execute(select(table).where(table.organization_id == own).order_by(table.size))).scalars())


async def logs(world: World) -> int:
    """How many logs there are."""
    async with world.context.database.begin(read_only=True) as tx:
        return (await tx.execute(select(func.count(Checkpoint.organization_id.distinct())))).scalar_one()
