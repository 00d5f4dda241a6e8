"""The restore drill: fill, back up, go on, destroy, restore, compare, and let a sweep close the gap."""

from __future__ import annotations

import httpx
import pytest
from sqlalchemy import select

from app.access.roles import Role
from app.connections import managing
from app.intake.models import AlertRow
from app.kit import clock
from app.operations import accounts
from app.upkeep import journal
from app.upkeep.census import books, ledger_end, rows_by_table
from app.upkeep.manifest import read_manifest
from tests.intake.polled import Polled, polled_world
from tests.support.world import Filled, World, alert, make_world
from tests.upkeep.places import Places, top_key_of

MOVED_ON = frozenset({"outbox", "outbox_consumer"})


async def alerts_of(polled: Polled, world: World) -> set[bytes]:
    async with world.context.database.begin(read_only=True) as tx:
        query = select(AlertRow.dedupe_key).where(AlertRow.connection_id == polled.connection_id)
        return set((await tx.execute(query)).scalars())


@pytest.mark.long
async def test_a_destroyed_installation_comes_back_and_a_sweep_closes_the_gap(places: Places) -> None:
    async with polled_world(places.world) as polled:
        await drill(places, polled)


async def drill(places: Places, polled: Polled) -> None:
    world = places.world
    polled.provider.add(clock.now(), count=5)
    await world.deliver({"alerts": [alert(id=f"p-{n}", member=f"ref-M-{n % 3 + 1}") for n in range(20)]})
    await polled.ask()
    backup = await places.back_up()
    polled.later(hours=3)
    polled.provider.add(clock.now(), count=7)
    await world.deliver(alert(id="late", member="ref-M-2"))
    await polled.ask()
    async with await world.sign_in(Role.ADMIN) as admin:
        assert (await admin.post(f"/v1/members/{world.union.members['M-3']}/erasure")).status_code == 204
    await world.workers.drain()
    await journal.keep(world.context.database, places.journal)
    had = await alerts_of(polled, world)
    assert len(had) == 12

    manifest = await read_manifest(backup, places.keyring())
    await places.restore(backup)
    known = Filled(top_key_of(world.context.keyring), (world.union, world.other))
    now = clock.now()
    async with make_world(places.empty_url, known) as restored:
        clock.set_to(now)
        await as_the_manifest_says(restored, manifest)
        assert len(await alerts_of(polled, restored)) == 5
        async with restored.context.database.begin() as tx:
            await managing.ask_now(tx, restored.context.keyring, restored.union.id, polled.connection_id, sweep=True)
        await restored.workers.ask()
        assert await alerts_of(polled, restored) == had, "whatever the provider still lists is there again, and once"
        assert (await restored.client.get("/readyz")).status_code == 200
        assert await restored.timeline("M-1")
        signed_out: httpx.Response = await restored.client.get("/v1/me/timeline")
        assert signed_out.status_code == 401
        await restored.workers.asker.close()


async def as_the_manifest_says(world: World, manifest: object) -> None:
    """Counts, accounts and ledger are the manifest's, but for what the erasure that was done again has taken and written."""
    census = manifest.census  # type: ignore[attr-defined]
    async with world.context.database.begin(read_only=True) as tx:
        found, end, rows = await books(tx), await ledger_end(tx), await rows_by_table(tx)
    assert found == census.accounts
    assert found[str(world.union.id)] == await accounts(world.context, world.union.id)
    assert end.entries > census.ledger.entries
    for name in ("receipt", "event", "alert", "member", "account", "connection", "organization", "breach"):
        assert rows[name] == census.tables[name], name
    assert rows["enrollment"] == census.tables["enrollment"] - 1
    assert rows["incident"] < census.tables["incident"]
