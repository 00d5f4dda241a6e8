"""A thin notice about somebody who is not enrolled reaches a person: by the queue, the accounts, an alarm before its end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app.access.roles import Role
from app.intake import looking_up
from app.intake.models import LookUpState
from app.kit import clock
from app.ledger.models import LedgerEntry
from app.notices import service as notices
from app.notices.conditions import NOTICE_BEFORE
from app.notices.models import AlarmKind
from tests.intake.counting import books, receipts
from tests.intake.looked_up import LookedUp, looked_up_world
from tests.support.world import NOW, World
from tests.web.test_queue_pages import lost, newcomer


@pytest.fixture
async def crs(world: World) -> AsyncIterator[LookedUp]:
    async with looked_up_world(world) as made:
        yield made


async def told_of_nobody(crs: LookedUp) -> None:
    crs.happens("user-nobody")
    await crs.notices()
    await crs.world.workers.ask()


async def queue(crs: LookedUp) -> list[dict[str, Any]]:
    async with await crs.world.sign_in(Role.CASEWORKER) as caseworker:
        items: list[dict[str, Any]] = (await caseworker.get("/v1/queues/unmatched")).json()["items"]
        return items


async def give(crs: LookedUp, number: str) -> int:
    (item,) = [one for one in await queue(crs) if one["notice"]]
    async with await crs.world.sign_in(Role.CASEWORKER) as caseworker:
        fields = {"external_id": number, "sure": "yes"}
        answer = await caseworker.post(f"/queues/unmatched/{item['alert_id']}", data=fields)
    await crs.world.workers.ask()
    return answer.status_code


async def agree(crs: LookedUp, number: str, *, given: bool) -> None:
    async with await crs.world.sign_in(Role.MEMBER, number) as browser:
        body = {"connection_id": str(crs.id), "given": given}
        assert (await browser.post("/v1/me/consents", json=body)).status_code == 204
    await crs.world.workers.ask()


async def alarms(crs: LookedUp) -> set[str]:
    await crs.world.workers.watch()
    async with crs.world.context.database.begin(read_only=True) as tx:
        return {one.kind for one in await notices.open_alarms(tx, crs.world.union.id)}


async def test_a_caseworker_says_whose_it_is_the_member_agrees_and_only_then_it_is_looked_up(crs: LookedUp) -> None:
    await told_of_nobody(crs)
    await newcomer(crs.world)
    await lost(crs.world)
    async with await crs.world.sign_in(Role.CASEWORKER) as caseworker:
        page = (await caseworker.get("/queues")).text
        items = await queue(crs)
        assert [item["notice"] for item in items] == [True, False], "by age, notices and alerts in one queue"
        assert "Only a notice so far" in page
        assert "user-nobody" not in page
        whose = (await caseworker.get(f"/queues/unmatched/{items[0]['alert_id']}")).text
        assert "A notice from" in whose
        first = (await caseworker.get("/v1/queues/unmatched?limit=1")).json()
        rest = (await caseworker.get(f"/v1/queues/unmatched?limit=1&cursor={first['next']}")).json()
        assert [*first["items"], *rest["items"]] == items
        assert rest["next"] is None
    async with await crs.world.sign_in(Role.CASEWORKER, tenant=crs.world.other) as stranger:
        assert (await stranger.get("/v1/queues/unmatched")).json()["items"] == []
        assert (await stranger.get(f"/queues/unmatched/{items[0]['alert_id']}")).status_code == 404
    assert await give(crs, "M-9") == 303
    assert (crs.details_asked, [item["notice"] for item in await queue(crs)]) == (0, [False])
    await agree(crs, "M-9", given=True)
    assert (crs.details_asked, await crs.states()) == (1, [LookUpState.DONE])
    assert len(await crs.world.timeline("M-9")) == 1
    async with crs.world.context.database.begin(read_only=True) as tx:
        query = select(LedgerEntry).where(LedgerEntry.kind == "roster", LedgerEntry.actor_role == Role.CASEWORKER)
        (entry,) = (await tx.execute(query)).scalars()
    assert entry.subjects == {"event": items[0]["alert_id"], "connection": str(crs.id)}


async def test_a_no_to_what_a_caseworker_gave_destroys_no_notice(crs: LookedUp) -> None:
    await told_of_nobody(crs)
    for number in ("M-9", "M-8"):
        await newcomer(crs.world, number)
    assert await give(crs, "M-9") == 303
    await agree(crs, "M-9", given=False)
    assert (crs.details_asked, await crs.states()) == (0, [LookUpState.WAITING])
    assert await give(crs, "M-8") == 303
    await agree(crs, "M-8", given=True)
    assert (crs.details_asked, await crs.states()) == (1, [LookUpState.DONE])


async def test_what_was_given_and_nobody_answered_goes_back_and_waits_as_long_again(crs: LookedUp) -> None:
    await told_of_nobody(crs)
    crs.happens("user-nobody")
    await crs.notices()
    await crs.world.workers.ask()
    await newcomer(crs.world)
    (item, _) = await queue(crs)
    async with await crs.world.sign_in(Role.CASEWORKER) as caseworker:
        fields = {"external_id": "M-9", "sure": "yes"}
        assert (await caseworker.post(f"/queues/unmatched/{item['alert_id']}", data=fields)).status_code == 303
    await crs.world.workers.ask()
    for _ in range(2):
        clock.set_to(clock.now() + timedelta(seconds=1) + (looking_up.LONGEST_WAIT if clock.now() == NOW else timedelta()))
        await crs.world.workers.sweep()
    assert await crs.states() == [LookUpState.WAITING] * 2
    assert len(await queue(crs)) == 2
    clock.set_to(clock.now() + looking_up.LONGEST_WAIT)
    await crs.world.workers.sweep()
    assert await crs.states() == [LookUpState.GIVEN_UP] * 2


async def test_it_is_in_the_accounts_and_on_the_connections_page_and_told_of_before_it_is_destroyed(crs: LookedUp) -> None:
    await told_of_nobody(crs)
    assert (await books(crs.world))["look_ups"] == {"waiting": 1}
    async with await crs.world.sign_in(Role.ADMIN) as admin:
        assert "1 notice names somebody who is not enrolled here" in (await admin.get(f"/admin/connections/{crs.id}")).text
    clock.set_to(NOW + looking_up.LONGEST_WAIT - NOTICE_BEFORE - timedelta(seconds=1))
    assert AlarmKind.EXPIRING not in await alarms(crs)
    clock.set_to(NOW + looking_up.LONGEST_WAIT - NOTICE_BEFORE)
    assert AlarmKind.EXPIRING in await alarms(crs)
    (receipt,) = await receipts(crs.world)
    assert receipt.wrapped_key is not None
    await crs.enroll(reference="user-nobody")
    await crs.world.workers.ask()
    clock.set_to(clock.now() + timedelta(minutes=11))
    assert AlarmKind.EXPIRING not in await alarms(crs)
    assert await crs.states() == [LookUpState.DONE]


async def test_whoever_is_enrolled_and_not_asked_yet_is_no_caseworkers_business(crs: LookedUp) -> None:
    await crs.enroll(consent=False)
    crs.happens()
    await crs.notices()
    await crs.world.workers.ask()
    assert (await crs.states(), await queue(crs)) == ([LookUpState.WAITING], [])
