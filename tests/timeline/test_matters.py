"""Counsel's matters: whose incidents they list, and that what is listed can be opened."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from app.access import service as access
from app.access.roles import Role
from app.breaches import service as breaches
from app.breaches.exposure import ExposureBasis
from app.breaches.models import Breach
from tests.support.world import World, alert

COUNSEL, BREACH = "another counsel", "oakland-2021"


@pytest.fixture
async def named(world: World) -> World:
    """M-1 is named in a breach of which nobody says what data it was; its matter has a counsel who has no other."""
    context, union = world.context, world.union
    async with context.database.begin() as tx:
        account = await access.create_account(tx, context.keyring, union.id, "another-counsel@union.example")
        await access.grant_role(tx, context.keyring, account, Role.COUNSEL)
        union.accounts[COUNSEL] = account.id
        breach = (await tx.execute(select(Breach).where(Breach.key == BREACH, Breach.organization_id == union.id))).scalar_one()
        (wave, *_) = breaches.spec_of(breach.spec).waves
        assert wave.elements == (), "nobody says what data it was"
        await breaches.record_evidence(
            tx, context.keyring, union.id, union.members["M-1"], BREACH, wave.key, ExposureBasis.NOTICE_LETTER
        )
        await breaches.open_matter(tx, context.keyring, union.id, BREACH, "A matter", account.id)
    assert (await world.deliver(alert())).status_code == 202
    assert (await world.deliver(alert(id="a-2", member="ref-M-2"))).status_code == 202
    await world.workers.drain()
    return world


async def test_whoever_is_named_in_the_breach_of_a_matter_is_counsels_also_where_no_data_is_named(named: World) -> None:
    """A letter can say that somebody's data was there and not what it was: there is a link then, and no exposure."""
    async with await named.sign_in(Role.COUNSEL, COUNSEL) as counsel:
        (matter,) = (await counsel.get("/v1/matters")).json()
        (found,) = (await counsel.get(f"/v1/matters/{matter['id']}/incidents")).json()["items"]
        assert (await counsel.get(f"/v1/incidents/{found['incident']['id']}")).status_code == 200
