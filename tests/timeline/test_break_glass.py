"""Break-glass: two different people, one member, one hour; the member is told, and nobody else's timeline opens with it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app.access.roles import Role
from app.kit import clock
from app.kit.letters import Letter
from app.timeline.models import BreakGlass
from tests.access.scene import Scene, staged
from tests.support.world import NOW, Filled, World, alert

WHY = "They cannot be reached."


@pytest.fixture
async def scene(world: World, filled_database: tuple[str, Filled]) -> Scene:
    return staged(world, filled_database[1])


async def open_one(scene: Scene) -> str:
    return str(await scene.break_glass(scene.world.union, approved=True))


async def test_one_asks_another_approves_and_the_first_sees_one_timeline_for_an_hour(scene: Scene) -> None:
    world = scene.world
    async with await world.sign_in(Role.CASEWORKER) as caseworker, await world.sign_in(Role.ADMIN) as admin:
        made = (await caseworker.post("/v1/break-glass", json={"external_id": "M-2", "reason": WHY})).json()
        path = f"/v1/break-glass/{made['id']}"
        assert (made["state"], made["external_id"], made["reason"]) == ("waiting", "M-2", WHY)
        assert (await caseworker.get(f"{path}/timeline")).status_code == 403
        assert (await caseworker.post(f"{path}/approval")).status_code == 403
        assert [one["id"] for one in (await admin.get("/v1/break-glass")).json()] == [made["id"]]
        assert (await admin.post(f"{path}/approval")).json()["state"] == "open"
        assert (await admin.post(f"{path}/approval")).status_code == 409
        assert (await admin.get(f"{path}/timeline")).status_code == 403, "who approves sees nothing"
        (shown,) = (await caseworker.get(f"{path}/timeline")).json()["items"]
        assert shown["id"] == scene.places["other_member"]["incident_id"]
        assert (await caseworker.get(f"/v1/incidents/{shown['id']}")).status_code == 403
        clock.set_to(NOW + timedelta(minutes=14))
        assert (await caseworker.get(f"{path}/timeline")).status_code == 200
        clock.set_to(NOW + timedelta(minutes=28))
        await caseworker.get(f"{path}/timeline")
    clock.set_to(NOW + timedelta(hours=1))
    async with await world.sign_in(Role.CASEWORKER) as caseworker:
        assert (await caseworker.get(f"{path}/timeline")).status_code == 403


async def test_the_member_is_told_and_sees_every_look(scene: Scene) -> None:
    world, request = scene.world, await open_one(scene)
    async with await world.sign_in(Role.CASEWORKER) as caseworker:
        for _ in range(2):
            assert (await caseworker.get(f"/v1/break-glass/{request}/timeline")).status_code == 200
    async with world.context.database.begin(read_only=True) as tx:
        letters = (await tx.execute(select(Letter).where(Letter.kind == "access.break_glass"))).scalars().all()
    assert [letter.recipient for letter in letters] == [world.union.accounts["M-2"]]
    async with await world.sign_in(Role.MEMBER, "M-2") as member:
        visits = (await member.get("/v1/me/visits")).json()["items"]
    assert [(one["role"], one["what"]) for one in visits if one["what"] == "timeline"] == [("caseworker", "timeline")] * 2


async def test_of_many_who_approve_at_once_one_does(scene: Scene) -> None:
    world, request = scene.world, str(await scene.break_glass(scene.world.union))
    for number in range(4):
        world.union.accounts[f"admin {number}"] = await scene.staff_account(Role.ADMIN)

    async def approve(number: int) -> int:
        async with await world.sign_in(Role.ADMIN, f"admin {number}") as admin:
            return (await admin.post(f"/v1/break-glass/{request}/approval")).status_code

    assert sorted(await asyncio.gather(*map(approve, range(4)))) == [200, 409, 409, 409]


async def test_nobody_approves_their_own_in_another_of_their_roles(scene: Scene) -> None:
    world, request = scene.world, await scene.break_glass(scene.world.union)
    async with world.context.database.begin() as tx:
        row = await tx.get_one(BreakGlass, request)
        row.asked_by = world.union.accounts[Role.ADMIN]
    async with await world.sign_in(Role.ADMIN) as admin:
        assert (await admin.post(f"/v1/break-glass/{request}/approval")).status_code == 409


async def test_another_caseworker_sees_nothing_of_it(scene: Scene) -> None:
    world, request = scene.world, await open_one(scene)
    world.union.accounts["second"] = await scene.staff_account(Role.CASEWORKER)
    async with await world.sign_in(Role.CASEWORKER, "second") as other:
        assert (await other.get("/v1/break-glass")).json() == []
        assert (await other.get(f"/v1/break-glass/{request}/timeline")).status_code == 404
        assert (await other.post(f"/v1/break-glass/{request}/end")).status_code == 404


@pytest.mark.parametrize("who", [Role.CASEWORKER, Role.ADMIN])
async def test_it_can_be_ended_before_its_time(scene: Scene, who: Role) -> None:
    world, request = scene.world, await open_one(scene)
    async with await world.sign_in(who) as browser, await world.sign_in(Role.CASEWORKER) as caseworker:
        assert (await browser.post(f"/v1/break-glass/{request}/end")).status_code == 204
        assert (await caseworker.get(f"/v1/break-glass/{request}/timeline")).status_code == 403


async def test_what_nobody_approved_within_a_day_is_over(scene: Scene) -> None:
    world, request = scene.world, await scene.break_glass(scene.world.union)
    clock.set_to(NOW + timedelta(days=1))
    async with await world.sign_in(Role.ADMIN) as admin:
        assert (await admin.post(f"/v1/break-glass/{request}/approval")).status_code == 409
        assert [one["state"] for one in (await admin.get("/v1/break-glass")).json()] == ["over"]


REFUSED: list[dict[str, Any]] = [
    {"external_id": "M-2"},
    {"external_id": "M-2", "reason": "short"},
    {"external_id": "", "reason": WHY},
    {"external_id": "M-2", "reason": WHY, "hours": 24},
    {"external_id": "M-2", "reason": "x" * 1001},
]


async def test_what_is_asked_for_wrongly_is_refused_and_says_where(scene: Scene) -> None:
    async with await scene.world.sign_in(Role.CASEWORKER) as caseworker:
        for body in REFUSED:
            answer = await caseworker.post("/v1/break-glass", json=body)
            assert (answer.status_code, bool(answer.json()["errors"])) == (422, True), body
        assert (await caseworker.post("/v1/break-glass", json={"external_id": "M-9", "reason": WHY})).status_code == 404
        page = await caseworker.post("/emergency", data={"external_id": "M-9", "reason": WHY})
        assert (page.status_code, "Nobody has this number" in page.text, WHY in page.text) == (422, True, True)


async def test_the_pages_do_the_same(scene: Scene) -> None:
    world = scene.world
    await world.deliver(alert(id="hostile", member="ref-M-2", institution="<b>Bank</b>"))
    await world.workers.drain()
    async with await world.sign_in(Role.CASEWORKER) as caseworker, await world.sign_in(Role.ADMIN) as admin:
        asked = await caseworker.post("/emergency", data={"external_id": "M-2", "reason": "<i>They</i> cannot be reached."})
        assert asked.headers["location"] == "/emergency"
        text = (await admin.get("/emergency")).text
        assert "&lt;i&gt;They" in text
        request = text.partition("/emergency/")[2].partition("/approval")[0]
        assert (await admin.post(f"/emergency/{request}/approval")).status_code == 303
        assert "Open" in (await caseworker.get("/emergency")).text
        seen = (await caseworker.get(f"/emergency/{request}")).text
        assert "&lt;b&gt;Bank" in seen
        assert (await caseworker.post(f"/emergency/{request}/end")).status_code == 303
        assert (await caseworker.get(f"/emergency/{request}")).status_code == 403


async def test_an_erased_members_timeline_is_gone_for_this_too(scene: Scene) -> None:
    world, request = scene.world, await open_one(scene)
    async with await world.sign_in(Role.ADMIN) as admin:
        assert (await admin.post(f"/v1/members/{world.union.members['M-2']}/erasure")).status_code == 204
        (left,) = (await admin.get("/v1/break-glass")).json()
        assert (left["external_id"], left["reason"]) == (None, "")
    async with await world.sign_in(Role.CASEWORKER) as caseworker:
        assert (await caseworker.get(f"/v1/break-glass/{request}/timeline")).status_code == 404
