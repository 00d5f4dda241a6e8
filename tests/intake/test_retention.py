"""What a provider's contract lets us keep for a while only: the raw data goes, the hash and the alert stay."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from app.access.roles import Role
from app.intake.models import Event
from app.intake.sealing import body_hash, open_body, open_event, open_remains
from app.kit import clock
from connectors.registry import registry
from tests.intake.counting import books, receipts
from tests.intake.looked_up import LookedUp, looked_up_world
from tests.support.world import NOW, World, alert

TERM = registry()["crs"].retention
assert TERM is not None
OVER = NOW + TERM.raw + timedelta(seconds=1)


@pytest.fixture
async def crs(world: World) -> AsyncIterator[LookedUp]:
    async with looked_up_world(world) as made:
        await made.enroll()
        made.happens()
        await made.notices()
        await world.workers.ask()
        yield made


async def bodies(crs: LookedUp) -> list[bytes | None]:
    async with crs.world.context.database.begin(read_only=True) as tx:
        return [await open_body(tx, crs.world.context.keyring, receipt) for receipt in await receipts(crs.world)]


async def originals(crs: LookedUp) -> list[dict[str, object]]:
    """What the member sees as the original of each event."""
    shown = []
    async with await crs.world.sign_in(Role.MEMBER, "M-1") as browser:
        for entry in (await browser.get("/v1/me/timeline")).json()["items"]:
            detail = (await browser.get(f"/v1/incidents/{entry['id']}")).json()
            for source in detail["sources"]:
                for event in source["events"]:
                    shown.append((await browser.get(f"/v1/incidents/{entry['id']}/originals/{event['event_id']}")).json())
                    page = await browser.get(f"/incidents/{entry['id']}/originals/{event['event_id']}")
                    assert page.status_code == 200
    return shown


async def test_after_the_term_the_bodies_are_gone_and_their_hashes_and_the_alert_stay(crs: LookedUp) -> None:
    before, shown = await bodies(crs), await originals(crs)
    counted, timeline = await books(crs.world), await crs.world.timeline("M-1")
    assert all(before)
    assert [item["masked"] is not None for item in shown] == [True]
    clock.set_to(OVER)
    await crs.world.workers.sweep()
    await crs.world.workers.drain()
    assert await bodies(crs) == [None] * len(before)
    hashes = [hashlib.sha256(body or b"").hexdigest() for body in before]
    async with crs.world.context.database.begin(read_only=True) as tx:
        kept = await receipts(crs.world)
        assert [await body_hash(tx, crs.world.context.keyring, receipt) for receipt in kept] == hashes
        assert all([(await open_remains(tx, crs.world.context.keyring, receipt)).salt for receipt in kept])
        for event in (await tx.execute(select(Event))).scalars():
            copy = await open_event(tx, crs.world.context.keyring, event)
            assert copy is not None
            assert (copy["body"], copy["asked"]) == (None, {})
            assert event.raw_erased_at == OVER
    after = await originals(crs)
    assert [(item["masked"], item["original_sha256"]) for item in after] == [(None, shown[0]["original_sha256"])]
    assert await crs.world.timeline("M-1") == timeline
    assert await books(crs.world) == counted


async def test_before_the_term_and_for_other_providers_nothing_goes(crs: LookedUp) -> None:
    await crs.world.deliver(alert())
    await crs.world.workers.drain()
    clock.set_to(OVER - timedelta(seconds=1))
    await crs.world.workers.sweep()
    assert all(await bodies(crs))
    clock.set_to(OVER)
    await crs.world.workers.sweep()
    assert [body is None for body in await bodies(crs)] == [True, True, False]


@pytest.mark.parametrize("everybody", [True, False])
async def test_a_legal_hold_comes_before_the_contract(crs: LookedUp, everybody: bool) -> None:
    body = {"reason": "r", **({} if everybody else {"member_id": str(crs.world.union.members["M-1"])})}
    async with await crs.world.sign_in(Role.COUNSEL) as counsel:
        hold = (await counsel.post("/v1/holds", json=body)).json()["id"]
    clock.set_to(OVER)
    await crs.world.workers.sweep()
    assert all(await bodies(crs))
    async with await crs.world.sign_in(Role.COUNSEL) as counsel:
        assert (await counsel.delete(f"/v1/holds/{hold}")).status_code == 204
    await crs.world.workers.sweep()
    assert not any(await bodies(crs))


async def test_what_is_not_understood_or_not_looked_up_yet_is_kept_until_it_is(crs: LookedUp) -> None:
    crs.happens("user-2")
    await crs.notices([*crs.provider.waiting[1:], {"id": "x", "type": "NEVER_HEARD_OF"}])
    await crs.world.workers.ask()
    clock.set_to(OVER)
    await crs.world.workers.sweep()
    assert [body is not None for body in await bodies(crs)] == [False, False, True]
