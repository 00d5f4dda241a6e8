"""What is deleted leaves a row that says what, why and by whom, and nobody can change it."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError

from app.access.roles import Role
from app.kit.database import Transaction
from app.ledger.deletions import STAYS_GONE, Gone, note_deletion
from app.ledger.models import Deletion
from tests.support.world import NOW, World, alert


async def noted(tx: Transaction) -> list[Deletion]:
    return list((await tx.execute(select(Deletion).order_by(Deletion.id))).scalars())


async def test_a_row_names_what_why_who_and_the_ids(world: World) -> None:
    await world.deliver(alert())
    await world.workers.drain()
    member_id = world.union.members["M-1"]
    async with await world.sign_in(Role.ADMIN) as admin:
        assert (await admin.post(f"/v1/members/{member_id}/erasure")).status_code == 204
    await world.workers.drain()
    async with world.context.database.begin(read_only=True) as tx:
        rows = await noted(tx)
    person, *keys = [row for row in rows if row.what in STAYS_GONE]
    assert (person.what, person.count, person.reason) == (Gone.MEMBER, 1, "erasure")
    assert (person.actor_id, person.actor_role) == (world.union.accounts[Role.ADMIN], Role.ADMIN)
    assert (person.subjects, person.at, person.organization_id) == ({"member": str(member_id)}, NOW, world.union.id)
    assert {row.what for row in keys} == {Gone.KEYS}
    assert {row.reason for row in keys} == {"member erased"}
    assert all(row.subjects["receipts"] and row.subjects["events"] for row in keys)


async def test_rows_are_never_changed(world: World) -> None:
    async with world.context.database.begin() as tx:
        note_deletion(tx, None, Gone.LETTER, 3, "a test")
    for statement in (update(Deletion).values(count=1), delete(Deletion)):
        with pytest.raises(DBAPIError, match=r"never changed|permission denied"):
            async with world.context.database.begin() as tx:
                await tx.execute(statement)
