"""Links that were written before findings were shared: split on the way up, whole again on the way down."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import insert, select, update

from app.access.roles import Role
from app.kit.database import Database, PortableJson
from app.kit.ids import uuid7
from app.linkage.models import Link, SharedFinding
from app.linkage.sharing import join, key_of, split
from tests.migrations.test_migrations import revise
from tests.support.world import NOW, World, alert

BEFORE = sa.table(
    "link",
    *(sa.column(column.name, column.type) for column in Link.__table__.columns if column.name not in ("shared_sha256", "own")),
    sa.column("finding", PortableJson),
)
PRIOR = {
    "direction": "against",
    "code": "prior.same_kind_before",
    "text": "Something of the same kind had already happened to you before the data was taken: 1 in all.",
    "rests_on": ["prior_incident:0192f0a0-0000-7000-8000-000000000001"],
    "wave": None,
}
MORE = 1100
"""More links than are split at once."""


async def findings(world: World) -> dict[Any, Any]:
    """Of the schema before: every finding, by link."""
    owner = Database(world.owner_url)
    async with owner.engine.begin() as tx:
        found = {row.id: row.finding for row in await tx.execute(select(BEFORE.c.id, BEFORE.c.finding))}
    await owner.close()
    return found


async def add_earlier_ones(world: World) -> None:
    """As an earlier version left them: one with facts about other incidents, and many that are superseded."""
    owner = Database(world.owner_url)
    async with owner.engine.begin() as tx:
        row = dict((await tx.execute(select(BEFORE).limit(1))).mappings().one())
        told = {**row["finding"], "facts": [*row["finding"]["facts"][:2], PRIOR, *row["finding"]["facts"][2:]]}
        await tx.execute(update(BEFORE).where(BEFORE.c.id == row["id"]).values(finding=told))
        await tx.execute(insert(BEFORE), [{**row, "id": uuid7(), "superseded_at": NOW} for _ in range(MORE)])
    await owner.close()


async def test_findings_are_split_and_joined_without_losing_a_word(world: World) -> None:
    await world.deliver({"alerts": [alert(), {**alert(id="a-3"), "amount": 7}]})
    [incident, *_] = await world.timeline()
    async with await world.sign_in(Role.MEMBER) as browser:
        shown = (await browser.get(f"/v1/incidents/{incident['id']}")).json()["links"]
    assert shown
    await revise(world, "0035")
    await add_earlier_ones(world)
    before = await findings(world)
    assert len(before) > MORE
    await revise(world, "head")
    async with world.context.database.begin(read_only=True) as tx:
        named = SharedFinding.sha256 == Link.shared_sha256
        rows = (await tx.execute(select(Link, SharedFinding).join(SharedFinding, named))).all()
        kept = {part.sha256: part.said for part in (await tx.execute(select(SharedFinding))).scalars()}
    assert {link.id: join(shared.said, link.own, link.incident_id) for link, shared in rows} == before
    assert all((shared.said, link.own) == split(before[link.id]) for link, shared in rows)
    assert all(key_of(said) == sha256 for sha256, said in kept.items())
    assert len(kept) <= 3
    assert "prior_incident" not in str(kept)
    async with await world.sign_in(Role.MEMBER) as browser:
        assert (await browser.get(f"/v1/incidents/{incident['id']}")).json()["links"] == shown
    await revise(world, "0035")
    assert await findings(world) == before
    await revise(world, "head")
