"""Merges and verdicts in the real core: ids stay good for ever, an answer binds to what was shown, and all is written down."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
from sqlalchemy import select

from app.access.roles import Role
from app.kit import clock
from app.ledger.models import LedgerEntry
from tests.support.rows import contents
from tests.support.world import NOW, World, alert

EARLY = alert(id="a-1", opened="2023-01-10", summary="The first")
LATE = alert(id="a-2", opened="2023-03-20", summary="The second")
BRIDGE = alert(id="a-3", opened="2023-02-15", summary="What ties them together")


async def two_incidents(world: World) -> tuple[str, str]:
    """Two incidents of M-1, too far apart in time to be one; the earlier received one first."""
    await world.deliver(EARLY)
    await world.workers.drain()
    clock.set_to(NOW + timedelta(minutes=1))
    await world.deliver(LATE)
    late, early = [entry["id"] for entry in await world.timeline()]
    return early, late


async def detail(browser: httpx.AsyncClient, incident: str) -> dict[str, Any]:
    answer = await browser.get(f"/v1/incidents/{incident}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def answer(browser: httpx.AsyncClient, incident: str, word: str, shown: list[str] | None = None) -> httpx.Response:
    shown = shown or [source["alert_id"] for source in (await detail(browser, incident))["sources"]]
    return await browser.post(f"/v1/incidents/{incident}/verdict", json={"answer": word, "shown": shown})


async def test_after_a_merge_the_earlier_id_stays_and_the_other_leads_to_it_for_ever(world: World) -> None:
    early, late = await two_incidents(world)
    await world.deliver(BRIDGE)
    (merged,) = await world.timeline()
    assert (merged["id"], merged["alerts"]) == (early, 3)
    async with await world.sign_in(Role.MEMBER) as browser:
        assert await detail(browser, late) == await detail(browser, early)
        assert (await detail(browser, late))["id"] == early
    for n in range(5):
        await world.deliver(alert(id=f"b-{n}", opened="2023-02-16"))
        await world.workers.drain()
    async with await world.sign_in(Role.MEMBER) as browser:
        assert (await detail(browser, late))["alerts"] == 8
        assert (await answer(browser, late, "not_me")).json()["incident_id"] == early


async def test_a_chain_of_merges_is_followed_to_its_end(world: World) -> None:
    ids = []
    for number, month in enumerate(["09", "07", "05", "03", "01"]):  # the one received last happened first
        clock.set_to(NOW + timedelta(minutes=number))
        await world.deliver(alert(id=f"a-{number}", opened=f"2022-{month}-01"))
        ids.append((await world.timeline())[0]["id"])
    for month in ["02", "04", "06", "08"]:
        await world.deliver(alert(id=f"bridge-{month}", opened=f"2022-{month}-01"))
        await world.workers.drain()
    (merged,) = await world.timeline()
    assert merged["id"] == ids[0]
    async with await world.sign_in(Role.MEMBER) as browser:
        assert {(await detail(browser, old))["id"] for old in ids} == {ids[0]}


async def test_a_merge_is_in_the_ledger(world: World) -> None:
    early, late = await two_incidents(world)
    await world.deliver(BRIDGE)
    await world.workers.drain()
    async with world.context.database.begin(read_only=True) as tx:
        (entry,) = (await tx.execute(select(LedgerEntry).where(LedgerEntry.kind == "merge"))).scalars()
    assert entry.subjects == {"incident": late, "into": early}
    assert entry.member_id == world.union.members["M-1"]


async def test_an_answer_binds_to_the_alerts_that_were_shown_and_to_no_others(world: World) -> None:
    early, late = await two_incidents(world)
    async with await world.sign_in(Role.MEMBER) as browser, await world.sign_in(Role.MEMBER, "M-2") as other:
        foreign = [source["alert_id"] for source in (await detail(browser, late))["sources"]]
        own = [source["alert_id"] for source in (await detail(browser, early))["sources"]]
        before = await contents(world.context.database, without=frozenset({"ledger_entry", "session", "sign_in_link"}))
        for shown in (foreign, own + foreign, [str(uuid4())], [*own, str(uuid4())]):
            refused = await answer(browser, early, "not_me", shown)
            assert refused.status_code == 409
            assert refused.json()["errors"][0]["field"] == "body.shown"
        assert (await answer(other, early, "not_me", own)).status_code == 404
        assert (await answer(browser, early, "unanswered", own)).status_code == 422
        empty = await browser.post(f"/v1/incidents/{early}/verdict", json={"answer": "not_me", "shown": []})
        assert empty.status_code == 422
        assert await contents(world.context.database, without=frozenset({"ledger_entry", "session", "sign_in_link"})) == before
        assert (await answer(browser, early, "not_me", own)).json() == {
            "incident_id": early,
            "answer": "not_me",
            "needs_review": False,
            "ask_again": False,
        }
        assert (await detail(browser, late))["answer"] == "unanswered"


async def test_an_answer_to_an_incident_that_grew_meanwhile_is_refused_if_it_names_what_was_not_there(world: World) -> None:
    """What the page showed is a part of it still: the answer holds for that part, and the rest is to be reviewed."""
    await world.deliver(EARLY)
    (incident,) = await world.timeline()
    async with await world.sign_in(Role.MEMBER) as browser:
        shown = [source["alert_id"] for source in (await detail(browser, incident["id"]))["sources"]]
        await world.deliver(BRIDGE)
        await world.workers.drain()
        told = (await answer(browser, incident["id"], "was_me", shown)).json()
        assert (told["answer"], told["needs_review"], told["ask_again"]) == ("was_me", True, False)
        told = (await answer(browser, incident["id"], "was_me")).json()
        assert (told["answer"], told["needs_review"]) == ("was_me", False)


async def test_answers_that_contradict_each_other_after_a_merge_mean_unsure_and_ask_again(world: World) -> None:
    early, late = await two_incidents(world)
    async with await world.sign_in(Role.MEMBER) as browser:
        assert (await answer(browser, early, "not_me")).status_code == 200
        assert (await answer(browser, late, "was_me")).status_code == 200
    await world.deliver(BRIDGE)
    (merged,) = await world.timeline()
    assert (merged["answer"], merged["needs_review"], merged["ask_again"]) == ("unsure", True, True)
    async with await world.sign_in(Role.MEMBER) as browser:
        answers = (await detail(browser, early))["answers"]
        assert [(a["answer"], a["alerts_shown"]) for a in answers] == [("not_me", 1), ("was_me", 1)]
        told = (await answer(browser, early, "not_me")).json()
        assert (told["answer"], told["needs_review"], told["ask_again"]) == ("not_me", False, False)


async def test_equal_answers_stand_after_a_merge_and_wait_for_a_look_at_what_is_new(world: World) -> None:
    early, late = await two_incidents(world)
    async with await world.sign_in(Role.MEMBER) as browser:
        await answer(browser, early, "not_me")
        await answer(browser, late, "not_me")
    await world.deliver(BRIDGE)
    (merged,) = await world.timeline()
    assert (merged["answer"], merged["needs_review"], merged["ask_again"]) == ("not_me", True, False)


async def test_every_answer_is_kept_and_in_the_ledger(world: World) -> None:
    await world.deliver(EARLY)
    (incident,) = await world.timeline()
    async with await world.sign_in(Role.MEMBER) as browser:
        for word in ("unsure", "was_me", "not_me"):
            assert (await answer(browser, incident["id"], word)).json()["answer"] == word
        assert [a["answer"] for a in (await detail(browser, incident["id"]))["answers"]] == ["unsure", "was_me", "not_me"]
    async with world.context.database.begin(read_only=True) as tx:
        entries = (await tx.execute(select(LedgerEntry).where(LedgerEntry.kind == "verdict"))).scalars().all()
    assert [(entry.actor_role, entry.subjects["incident"]) for entry in entries] == [("member", incident["id"])] * 3


async def test_telling_an_alert_again_does_not_change_what_an_incident_is_called(world: World) -> None:
    card, loan = alert(id="a-1"), alert(id="a-2", type="new_account.personal_loan")
    await world.deliver({"alerts": [card, loan]})
    (before,) = await world.timeline()
    for n in range(3):
        await world.deliver({"alerts": [loan, {"id": f"p-{n}", "type": "ping"}]})
    assert await world.timeline() == [before]
