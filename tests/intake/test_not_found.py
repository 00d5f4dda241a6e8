"""A notice that proves itself is not given up because the provider is slow to know it: late, told again, by a sweep, by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app import operations
from app.access.roles import Role
from app.connections import managing
from app.intake import looking_up
from app.intake.models import Event, LookUpState
from app.intake.workers import erase_by_term
from app.kit import clock
from app.ledger.models import LedgerEntry
from app.notices import service as notices
from app.notices.models import AlarmKind
from connectors.sandboxing import Fault
from tests.intake.looked_up import LookedUp, looked_up_world
from tests.support.world import World

LADDER = looking_up.AGAIN_AFTER + looking_up.LATER_STILL
HIDDEN: dict[str, Any] = {}
"""What the provider has told of and does not know yet."""


@pytest.fixture
async def crs(world: World) -> AsyncIterator[LookedUp]:
    HIDDEN.clear()
    async with looked_up_world(world) as made:
        yield made


async def mislaid(crs: LookedUp) -> str:
    """The provider tells of something that it does not know yet; its id."""
    await crs.enroll()
    alert_id = crs.happens()
    HIDDEN[alert_id] = crs.provider.details.pop(alert_id)
    await crs.notices()
    await crs.world.workers.ask()
    return alert_id


async def wait(crs: LookedUp, *waits: timedelta) -> None:
    for by in waits:
        clock.set_to(clock.now() + by)
        await crs.world.workers.ask()


def found(crs: LookedUp) -> None:
    crs.provider.details.update(HIDDEN)


async def alarms(crs: LookedUp) -> set[str]:
    await crs.world.workers.watch()
    async with crs.world.context.database.begin(read_only=True) as tx:
        return {one.kind for one in await notices.open_alarms(tx, crs.world.union.id)}


async def told_again(crs: LookedUp, name: str = "again") -> None:
    await crs.notices([{**notice, "id": name} for notice in crs.provider.waiting])
    await crs.world.workers.ask()


async def test_what_the_provider_knows_only_weeks_later_is_still_found(crs: LookedUp) -> None:
    await mislaid(crs)
    await wait(crs, *LADDER[:-1])
    assert await crs.states() == [LookUpState.DUE]
    found(crs)
    await wait(crs, LADDER[-1])
    assert await crs.states() == [LookUpState.DONE]
    assert len(await crs.world.timeline("M-1")) == 1
    assert sum(LADDER, timedelta()) > timedelta(days=50)


async def test_a_person_is_told_within_hours_and_not_at_the_first_minute(crs: LookedUp) -> None:
    await mislaid(crs)
    await wait(crs, *looking_up.AGAIN_AFTER)
    assert AlarmKind.NOT_FOUND not in await alarms(crs)
    await wait(crs, looking_up.LATER_STILL[0])
    assert AlarmKind.NOT_FOUND in await alarms(crs)
    async with await crs.world.sign_in(Role.ADMIN) as admin:
        page = (await admin.get(f"/admin/connections/{crs.id}")).text
        (health,) = [one for one in (await admin.get("/v1/connection-health")).json() if one["connection_id"] == str(crs.id)]
    assert "The service told of 1 thing that it does not know" in page
    assert health["look_ups_not_found"] == 1


async def test_told_again_it_is_asked_for_at_once_however_long_it_would_wait(crs: LookedUp) -> None:
    await mislaid(crs)
    await wait(crs, *LADDER)
    assert await crs.states() == [LookUpState.UNKNOWN]
    asked = crs.details_asked
    await told_again(crs)
    assert (crs.details_asked, await crs.states()) == (asked + 1, [LookUpState.DUE])
    await wait(crs, *LADDER[:5])
    found(crs)
    await told_again(crs, "and again")
    assert await crs.states() == [LookUpState.DONE]


@pytest.mark.long
async def test_a_sweep_asks_once_more_and_so_does_another_address(crs: LookedUp) -> None:
    await mislaid(crs)
    await wait(crs, *LADDER)
    asked = crs.details_asked
    for _ in range(2):
        async with crs.world.context.database.begin() as tx:
            await managing.ask_now(tx, crs.world.context.keyring, crs.world.union.id, crs.id, sweep=True)
        assert await crs.world.workers.ask() >= 1
        assert await crs.world.workers.ask() == 0
    assert (crs.details_asked, await crs.states()) == (asked + 2, [LookUpState.UNKNOWN]), "once a sweep, not all over"
    found(crs)
    await operations.ask_provider(crs.world.context, crs.id, sweep=True)
    assert await crs.states() == [LookUpState.DONE]


@pytest.mark.parametrize("by", ["page", "api"])
async def test_a_caseworker_sees_it_and_lets_it_be_asked_for_again(crs: LookedUp, by: str) -> None:
    alert_id = await mislaid(crs)
    await wait(crs, *LADDER)
    async with await crs.world.sign_in(Role.CASEWORKER, tenant=crs.world.other) as stranger:
        assert (await stranger.get("/v1/queues/not-found")).json()["items"] == []
    async with await crs.world.sign_in(Role.CASEWORKER) as caseworker:
        (item,) = (await caseworker.get("/v1/queues/not-found")).json()["items"]
        page = (await caseworker.get("/queues")).text
        assert f'action="/queues/not-found/{item["id"]}"' in page
        assert "Told of and not found (1)" in page
        assert alert_id not in page
        assert "user-1" not in page
        found(crs)
        path = f"/queues/not-found/{item['id']}" if by == "page" else f"/v1/queues/not-found/{item['id']}/retry"
        assert (await caseworker.post(path, data={"todo": "again"})).status_code == (303 if by == "page" else 204)
        assert (await caseworker.post(path, data={"todo": "again"})).status_code == 404
    await crs.world.workers.ask()
    assert await crs.states() == [LookUpState.DONE]
    async with crs.world.context.database.begin(read_only=True) as tx:
        acts = (await tx.execute(select(LedgerEntry).where(LedgerEntry.kind == "replay"))).scalars().all()
    assert [entry.actor_role for entry in acts] == [Role.CASEWORKER]


async def test_what_a_person_leaves_is_kept_and_asked_for_when_it_is_told_again(crs: LookedUp) -> None:
    await mislaid(crs)
    await wait(crs, *LADDER)
    async with await crs.world.sign_in(Role.CASEWORKER) as caseworker:
        (item,) = (await caseworker.get("/v1/queues/not-found")).json()["items"]
        assert (await caseworker.post(f"/queues/not-found/{item['id']}", data={"todo": "leave"})).status_code == 303
        assert (await caseworker.get("/v1/queues/not-found")).json()["items"] == []
    clock.set_to(clock.now() + timedelta(minutes=11))
    assert AlarmKind.NOT_FOUND not in await alarms(crs)
    assert await crs.states() == [LookUpState.LEFT]
    found(crs)
    await told_again(crs)
    assert await crs.states() == [LookUpState.DONE]


async def test_its_notice_is_kept_past_the_contracts_term_as_long_as_it_may_be_found(crs: LookedUp) -> None:
    await mislaid(crs)
    await wait(crs, *LADDER)
    context = crs.world.context
    clock.set_to(clock.now() + timedelta(days=60))
    await erase_by_term(context.database, context.keyring)
    async with context.database.begin(read_only=True) as tx:
        (event,) = (await tx.execute(select(Event).where(Event.connection_id == crs.id))).scalars()
    assert event.raw_erased_at is None
    found(crs)
    async with await crs.world.sign_in(Role.CASEWORKER) as caseworker:
        (item,) = (await caseworker.get("/v1/queues/not-found")).json()["items"]
        await caseworker.post(f"/v1/queues/not-found/{item['id']}/retry")
    await crs.world.workers.ask()
    assert await crs.states() == [LookUpState.DONE]


@pytest.mark.long
async def test_no_answer_at_all_does_not_count_as_not_known(crs: LookedUp) -> None:
    """A provider that was away for days and then says once that it does not know it yet is asked again."""
    await crs.enroll()
    alert_id = crs.happens()
    HIDDEN[alert_id] = crs.provider.details.pop(alert_id)
    crs.provider.misbehave(Fault.HTML, times=1000, path=f"/direct/efx-alert/{alert_id}")
    await crs.notices()
    for _ in range(len(LADDER) + 3):
        await crs.world.workers.ask()
        clock.set_to(clock.now() + timedelta(hours=2))
    crs.provider.behave()
    await wait(crs, timedelta(hours=2))
    assert await crs.states() == [LookUpState.DUE]
    (row,) = await crs.look_ups()
    assert (row.attempts, row.failures) == (1, 0)
