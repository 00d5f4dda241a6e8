"""What is kept for a while only, by a connector's term or a connection's: the raw data goes, the hash and the alert stay."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from app.access.roles import Role
from app.connections.models import Connection
from app.intake.models import Event
from app.intake.sealing import body_hash, open_body, open_event, open_remains
from app.kit import clock
from app.kit.ids import uuid7
from app.ledger.deletions import Gone
from app.ledger.models import Deletion, LedgerEntry
from app.ledger.service import Act
from connectors.contract import Sender
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


async def set_term(world: World, days: int | None, connection_id: UUID | None = None, **more: object) -> httpx.Response:
    path = f"/v1/connections/{connection_id or world.union.connection.connection.id}"
    async with await world.sign_in(Role.ADMIN) as admin:
        return await admin.patch(path, json={"raw_days": days, **more})


async def sweep_at(crs: LookedUp, days: float) -> list[bool]:
    """Which bodies are still there after the sweep of that day."""
    clock.set_to(NOW + timedelta(days=days, seconds=1))
    await crs.world.workers.sweep()
    return [body is not None for body in await bodies(crs)]


async def test_a_connections_own_term_is_for_that_connection_only(crs: LookedUp) -> None:
    for tenant in (crs.world.union, crs.world.other):
        await crs.world.deliver(alert(), tenant)
    await crs.world.workers.drain()
    assert await sweep_at(crs, 7) == [True] * 4
    clock.set_to(NOW)
    changed = await set_term(crs.world, 7)
    assert (changed.status_code, changed.json()["raw_days"]) == (200, 7)
    timeline = await crs.world.timeline("M-1")
    assert await sweep_at(crs, 6.9) == [True] * 4
    assert await sweep_at(crs, 7) == [True, True, False, True]
    await crs.world.workers.drain()
    assert await crs.world.timeline("M-1") == timeline
    assert [item["masked"] is None for item in await originals(crs)].count(True) == 1
    assert await sweep_at(crs, 31) == [False, False, False, True], "the connector's own term is in force beside it"
    async with crs.world.context.database.begin(read_only=True) as tx:
        gone = (await tx.execute(select(Deletion).where(Deletion.what == Gone.BODY).order_by(Deletion.id))).scalars().all()
    assert [row.reason for row in gone] == ["7 days, set for this connection"] + ["the term declared for its connector"] * 2
    assert gone[0].subjects["connection"] == str(crs.world.union.connection.connection.id)


async def test_a_shorter_term_than_the_connectors_and_back_to_it(crs: LookedUp) -> None:
    assert (await set_term(crs.world, 3, crs.id)).status_code == 200
    assert (await set_term(crs.world, None, crs.id)).json()["raw_days"] is None
    assert await sweep_at(crs, 4) == [True, True]
    assert (await set_term(crs.world, 3, crs.id)).status_code == 200
    assert await sweep_at(crs, 4) == [False, False]


async def test_a_longer_term_than_the_connectors_needs_the_admins_word(crs: LookedUp) -> None:
    assert TERM is not None
    days = TERM.raw.days
    refused = await set_term(crs.world, days + 1, crs.id, title="Not this either")
    assert (refused.status_code, [error["field"] for error in refused.json()["errors"]]) == (422, ["body.raw_days"])
    allowed = await set_term(crs.world, days + 1, crs.id, longer_by_contract=True)
    assert (allowed.json()["raw_days"], allowed.json()["title"]) == (days + 1, "Nightly")
    kept = await set_term(crs.world, days + 1, crs.id, title="Another name")
    assert kept.status_code == 200, "what stays needs no word again"
    assert await sweep_at(crs, days) == [True, True]
    assert await sweep_at(crs, days + 1) == [False, False]


async def test_some_connectors_have_a_term_that_nobody_can_change(world: World) -> None:
    context, made = world.context, {}
    async with context.database.begin() as tx:
        for connector in ("own", "hibp_callback"):
            row = Connection(
                id=uuid7(), organization_id=world.union.id, connector=connector, title=connector, sender=Sender.PROVIDER
            )
            row.token_hash, row.created_at = row.id.bytes, NOW
            tx.add(row)
            made[connector] = row.id
    strangers = registry()["hibp_callback"].retention
    assert strangers is not None
    longer = await set_term(world, strangers.raw.days + 1, made["hibp_callback"], longer_by_contract=True)
    assert (longer.status_code, "whom nobody here knows" in longer.text) == (422, True)
    theirs = await set_term(world, 30, made["own"])
    assert (theirs.status_code, "is theirs" in theirs.text) == (422, True)


@pytest.mark.parametrize("days", [0, -1, 3661, "7", 7.5, True])
async def test_a_term_is_a_number_of_days(world: World, days: object) -> None:
    assert (await set_term(world, days)).status_code == 422  # type: ignore[arg-type]


async def test_a_term_is_in_the_ledger_and_outlives_the_connection(crs: LookedUp) -> None:
    await crs.world.deliver(alert())
    await crs.world.workers.drain()
    await set_term(crs.world, 7)
    connection_id = crs.world.union.connection.connection.id
    async with crs.world.context.database.begin(read_only=True) as tx:
        rows = (await tx.execute(select(Deletion).where(Deletion.what == Gone.TERM))).scalars().all()
        acts = (await tx.execute(select(LedgerEntry.subjects).where(LedgerEntry.kind == Act.CONNECTION))).scalars().all()
    assert [(row.count, row.subjects, row.actor_role) for row in rows] == [(7, {"connection": str(connection_id)}, "admin")]
    assert str(connection_id) in str(acts[-1])
    async with await crs.world.sign_in(Role.ADMIN) as admin:
        assert (await admin.post(f"/v1/connections/{connection_id}/close")).status_code == 200
        assert (await admin.patch(f"/v1/connections/{connection_id}", json={"raw_days": None})).status_code == 409
    assert await sweep_at(crs, 7) == [True, True, False]


async def test_a_hold_comes_before_a_connections_own_term(crs: LookedUp) -> None:
    await crs.world.deliver(alert())
    await crs.world.workers.drain()
    await set_term(crs.world, 7)
    body = {"reason": "r", "member_id": str(crs.world.union.members["M-1"])}
    async with await crs.world.sign_in(Role.COUNSEL) as counsel:
        hold = (await counsel.post("/v1/holds", json=body)).json()["id"]
    assert await sweep_at(crs, 8) == [True] * 3
    async with await crs.world.sign_in(Role.COUNSEL) as counsel:
        assert (await counsel.delete(f"/v1/holds/{hold}")).status_code == 204
    assert await sweep_at(crs, 8) == [True, True, False]
