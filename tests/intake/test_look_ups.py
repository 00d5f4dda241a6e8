"""Notices that say "go and look": each thing once, only for people who agreed, and not for ever."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from app.access.roles import Role
from app.connections import polls
from app.intake import looking_up
from app.intake.models import Channel, Event, LookUpState
from app.intake.sealing import open_body, open_event
from app.kit import clock
from app.notices.models import ConsentRequest
from connectors.sandboxing import Fault
from tests.intake.counting import books, receipts
from tests.intake.looked_up import LookedUp, looked_up_world
from tests.support.world import NOW, World


@pytest.fixture
async def crs(world: World) -> AsyncIterator[LookedUp]:
    async with looked_up_world(world) as made:
        yield made


async def test_a_notice_is_looked_up_and_the_answer_is_a_receipt_tied_to_it(crs: LookedUp) -> None:
    await crs.enroll()
    crs.happens()
    assert (await crs.notices()).status_code == 202
    assert await crs.world.workers.ask() == 1
    (entry,) = await crs.world.timeline("M-1")
    assert entry["alerts"] == 1
    notice, answer = await receipts(crs.world)
    assert (notice.channel, answer.channel) == (Channel.WEBHOOK, Channel.FOLLOW_UP)
    assert (notice.grade, answer.grade) == ("shared_secret", "fetched")
    async with crs.world.context.database.begin(read_only=True) as tx:
        event = (await tx.execute(select(Event).where(Event.receipt_id == notice.id))).scalar_one()
    assert answer.answers_event == event.id
    found = await books(crs.world)
    assert (found["non_alerts"], found["new"], found["receipts"]) == (1, 1, 2)
    assert await crs.states() == [LookUpState.DONE]


async def test_the_same_notice_again_asks_nothing(crs: LookedUp) -> None:
    await crs.enroll()
    crs.happens()
    for _ in range(3):
        await crs.notices()
        await crs.world.workers.ask()
    await crs.notices([*crs.provider.waiting, *crs.provider.waiting])
    assert await crs.world.workers.ask() == 0
    assert crs.details_asked == 1
    assert (await books(crs.world))["alerts"] == 1


async def test_to_ask_now_a_provider_that_has_no_list_is_one_turn_and_no_loop(crs: LookedUp) -> None:
    async with crs.world.context.database.begin() as tx:
        await polls.ask_now(tx, crs.id, clock.now(), sweep=True)
    assert (await crs.world.workers.ask(), await crs.world.workers.ask()) == (1, 0)
    assert (await crs.row()).poll_due_at is None


async def test_nobody_is_asked_about_before_they_are_enrolled_and_agreed(crs: LookedUp) -> None:
    crs.happens()
    await crs.notices()
    await crs.world.workers.ask()
    assert (crs.details_asked, await crs.states()) == (0, [LookUpState.WAITING])
    await crs.enroll(consent=False)
    await crs.world.workers.ask()
    assert (crs.details_asked, await crs.states()) == (0, [LookUpState.WAITING])
    async with await crs.world.sign_in(Role.MEMBER, "M-1") as browser:
        body = {"connection_id": str(crs.id), "given": True}
        assert (await browser.post("/v1/me/consents", json=body)).status_code == 204
    await crs.world.workers.ask()
    assert (crs.details_asked, await crs.states()) == (1, [LookUpState.DONE])
    assert len(await crs.world.timeline("M-1")) == 1


async def test_a_consent_taken_back_before_the_question_stops_it(crs: LookedUp) -> None:
    await crs.enroll()
    crs.happens()
    await crs.notices()
    await crs.world.workers.drain()
    async with await crs.world.sign_in(Role.MEMBER, "M-1") as browser:
        body = {"connection_id": str(crs.id), "given": False}
        assert (await browser.post("/v1/me/consents", json=body)).status_code == 204
    await crs.world.workers.ask()
    assert (crs.details_asked, await crs.states()) == (0, [LookUpState.GIVEN_UP])
    (receipt,) = await receipts(crs.world)
    assert receipt.wrapped_key is None


async def test_who_waits_to_be_asked_reads_so_and_a_no_destroys_the_notice_until_they_agree(crs: LookedUp) -> None:
    await crs.enroll(consent=False)
    crs.happens()
    await crs.notices()
    await crs.world.workers.drain()
    async with await crs.world.sign_in(Role.MEMBER, "M-1") as browser:
        asked = {view["connection_id"]: view["waiting"] for view in (await browser.get("/v1/me/consents")).json()}
        assert asked[str(crs.id)] is True
        assert (await browser.post("/v1/me/consents", json={"connection_id": str(crs.id), "given": False})).status_code == 204
        await crs.world.workers.ask()
        asked = {view["connection_id"]: view["waiting"] for view in (await browser.get("/v1/me/consents")).json()}
        assert asked[str(crs.id)] is False
        assert (crs.details_asked, await crs.states()) == (0, [LookUpState.GIVEN_UP])
        assert (await browser.post("/v1/me/consents", json={"connection_id": str(crs.id), "given": True})).status_code == 204
    (notice,) = crs.provider.waiting
    await crs.notices([{**notice, "id": "told-again"}])
    await crs.world.workers.ask()
    assert (crs.details_asked, await crs.states()) == (1, [LookUpState.DONE])
    async with crs.world.context.database.begin(read_only=True) as tx:
        told = (await tx.execute(select(ConsentRequest.member_id))).scalars().all()
    assert told == [crs.world.union.members["M-1"]], "asked by mail, once"


async def test_what_the_provider_does_not_know_yet_is_asked_for_again(crs: LookedUp) -> None:
    await crs.enroll()
    alert_id = crs.happens()
    kept = crs.provider.details.pop(alert_id)
    await crs.notices()
    await crs.world.workers.ask()
    for wait in looking_up.AGAIN_AFTER[:-1]:
        clock.set_to(clock.now() + wait)
        await crs.world.workers.ask()
    assert crs.details_asked == len(looking_up.AGAIN_AFTER)
    crs.provider.details[alert_id] = kept
    clock.set_to(clock.now() + looking_up.AGAIN_AFTER[-1])
    await crs.world.workers.ask()
    assert (await crs.states(), (await books(crs.world))["alerts"]) == ([LookUpState.DONE], 1)


async def test_a_notice_of_nothing_ends_as_unknown(crs: LookedUp) -> None:
    await crs.enroll()
    crs.provider.details.pop(crs.happens())
    await crs.notices()
    for _ in range(10):
        await crs.world.workers.ask()
        clock.set_to(clock.now() + timedelta(days=30))
    assert await crs.states() == [LookUpState.UNKNOWN]
    assert crs.details_asked == 1 + len(looking_up.AGAIN_AFTER) + len(looking_up.LATER_STILL)


@pytest.mark.long
async def test_a_provider_that_is_away_is_asked_again_and_nothing_is_lost(crs: LookedUp) -> None:
    await crs.enroll()
    for _ in range(3):
        crs.happens()
    await crs.notices()
    crs.provider.misbehave(Fault.AWAY, times=50)
    await crs.world.workers.ask()
    row = await crs.row()
    assert (row.state, row.failures) == ("unreachable", 1)
    crs.provider.behave()
    crs.provider.expire_tokens()
    clock.set_to(row.waits_until or NOW)
    await crs.world.workers.ask()
    assert await crs.states() == [LookUpState.DONE] * 3


async def test_one_thing_that_the_provider_chokes_on_does_not_hold_up_the_others(crs: LookedUp) -> None:
    await crs.enroll()
    bad, *_ = [crs.happens() for _ in range(4)]
    crs.provider.misbehave(Fault.HTML, times=1000, path=f"/direct/efx-alert/{bad}")
    await crs.notices()
    for _ in range(4):
        await crs.world.workers.ask()
        clock.set_to((await crs.row()).waits_until or clock.now())
    assert await crs.states() == [LookUpState.DONE] * 3 + [LookUpState.DUE]
    crs.provider.behave()
    clock.set_to(clock.now() + timedelta(hours=1))
    await crs.world.workers.ask()
    assert await crs.states() == [LookUpState.DONE] * 4


async def test_a_notice_that_nobody_agreed_to_is_destroyed_after_ninety_days(crs: LookedUp) -> None:
    crs.happens("user-9")
    await crs.notices()
    await crs.world.workers.drain()
    clock.set_to(NOW + looking_up.LONGEST_WAIT - timedelta(seconds=1))
    await crs.world.workers.sweep()
    assert await crs.states() == [LookUpState.WAITING]
    clock.set_to(NOW + looking_up.LONGEST_WAIT)
    await crs.world.workers.sweep()
    assert await crs.states() == [LookUpState.GIVEN_UP]
    (receipt,) = await receipts(crs.world)
    assert receipt.wrapped_key is None


async def test_an_erased_members_notices_and_answers_cannot_be_opened(crs: LookedUp) -> None:
    await crs.enroll()
    crs.happens()
    await crs.notices()
    await crs.world.workers.ask()
    async with await crs.world.sign_in(Role.ADMIN) as admin:
        assert (await admin.post(f"/v1/members/{crs.world.union.members['M-1']}/erasure")).status_code == 204
    await crs.world.workers.drain()
    assert await crs.states() == []
    keyring = crs.world.context.keyring
    async with crs.world.context.database.begin() as tx:
        for receipt in await receipts(crs.world):
            assert await open_body(tx, keyring, receipt) is None
        for event in (await tx.execute(select(Event))).scalars():
            assert await open_event(tx, keyring, event) is None


async def test_a_notice_that_names_what_cannot_be_asked_for_stops_nothing(crs: LookedUp) -> None:
    await crs.enroll()
    good = crs.happens()
    (notice,) = crs.provider.waiting
    await crs.notices([{**notice, "alert_id": "../../elsewhere"}, {**notice, "alert_id": "x" * 190 + "/.."}, notice])
    await crs.world.workers.ask()
    assert (await crs.row()).state == "ok"
    assert crs.details_asked == 1, good
    assert (await books(crs.world))["alerts"] == 1
    assert await crs.states() == [LookUpState.DONE, LookUpState.DUE, LookUpState.DUE]
