"""One world before and after M-1's data came into it: for everybody else every answer is the same, byte for byte."""

from __future__ import annotations

import random
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest

from app.access.policy import POLICY
from app.access.roles import Role
from app.connections import service as connections
from app.members import service as members
from app.members.roster import EnrollmentEntry
from app.statistics.workers import publish_release
from connectors.contract import Sender
from tests.access.examples import EXAMPLES, filled, ids_for
from tests.access.scene import Scene
from tests.api.colleagues import OF_ANOTHER_MATTER, OF_THE_MATTER, add_colleagues, colleagues, may_tell
from tests.api.generated import GROW_WITH_EACH_LOOK, compare, described, make_pair
from tests.support.postgres import PostgresServer
from tests.support.world import Filled, Tenant, World, alert

Answer = tuple[int, bytes, list[tuple[str, str]]]
Copied = tuple[str, Filled, Callable[[], Awaitable[str]]]


@asynccontextmanager
async def everybody_else(world: World) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """Signed in: M-2 and M-3 of the same organization, its office and its counsel, and everybody of the other organization."""
    people: list[tuple[str, Role, str, Tenant]] = [
        ("M-2", Role.MEMBER, "M-2", world.union),
        ("M-3", Role.MEMBER, "M-3", world.union),
    ]
    people += [(f"{role} here", role, "", world.union) for role in (Role.STAFF, Role.CASEWORKER, Role.ADMIN)]
    people += colleagues(world.union)
    people += [(f"{role} elsewhere", role, "", world.other) for role in Role]
    async with AsyncExitStack() as stack:
        browsers = {
            name: await stack.enter_async_context(await world.sign_in(role, who, tenant)) for name, role, who, tenant in people
        }
        yield browsers


async def all_answers(browsers: dict[str, httpx.AsyncClient], ids: dict[str, str]) -> dict[tuple[str, str], Answer]:
    """Every GET by everybody, also those that ask for M-1's things by their ids. (The visits are compared look by look below.)"""
    found = {}
    for who, browser in browsers.items():
        for (method, path), rule in POLICY.items():
            if method == "GET" and not rule.public and path not in GROW_WITH_EACH_LOOK and not may_tell(who, path):
                answer = await browser.get(filled(path + EXAMPLES[method, path].query, ids))
                found[who, path] = (answer.status_code, answer.content, sorted(answer.headers.items()))
    return found


@pytest.mark.long
async def test_nobody_can_tell_whether_m1_has_any_data(world: World) -> None:
    unasked = await connection_without_consent(world)
    await add_colleagues(world)
    for tenant in (world.union, world.other):
        assert (await world.deliver(alert(id="b-1", member="ref-M-2"), tenant)).status_code == 202
    assert (await world.deliver(alert(id="b-2", member="ref-M-2"), unasked)).status_code == 202, "this one worked before, too"
    await world.workers.drain()
    for tenant in (world.union, world.other):
        async with world.context.database.begin() as tx:
            await publish_release(tx, world.context, tenant.id)
    async with everybody_else(world) as browsers:
        scene = Scene(world, {"own": placeholder()})
        before = await all_answers(browsers, await ids_for(scene, Role.MEMBER, ()))
        again = await all_answers(browsers, await ids_for(scene, Role.MEMBER, ()))
        assert before.keys() == again.keys()
        await fill_with_m1(world, unasked)
        after = await all_answers(browsers, await ids_for(scene, Role.MEMBER, ()))
        m1 = await real_ids(world)
        by_id = await all_answers(browsers, await ids_for(Scene(world, {"own": m1}), Role.MEMBER, ()))
    assert len(before) > 350
    assert await sees(world, OF_ANOTHER_MATTER) == ["M-2"]
    assert (await sees(world, OF_THE_MATTER)).count("M-1") >= 1, "and whoever may see M-1 does"
    assert [key for key in before if before[key] != again[key]] == []
    assert [key for key in before if before[key] != after[key]] == []
    differs = [
        key for key in before if before[key][:1] != by_id[key][:1] or (key[1].startswith("/v1") and before[key] != by_id[key])
    ]
    assert differs == [], "M-1's ids answer like ids that nothing has"


async def sees(world: World, who: str) -> list[str]:
    """Whose incidents are in the matters of one counsel, by the member's own number."""
    by_id = {str(member_id): number for number, member_id in world.union.members.items()}
    async with await world.sign_in(Role.COUNSEL, who) as counsel:
        found = []
        for matter in (await counsel.get("/v1/matters")).json():
            items = (await counsel.get(f"/v1/matters/{matter['id']}/incidents")).json()["items"]
            found += [by_id[item["member_id"]] for item in items]
    return sorted(found)


@pytest.mark.long
async def test_who_looked_at_m2_is_the_same_whether_or_not_m1_has_any_data(world: World) -> None:
    unasked = await connection_without_consent(world)
    await add_colleagues(world)
    assert (await world.deliver(alert(id="b-1", member="ref-M-2"))).status_code == 202
    await world.workers.drain()
    told: list[list[tuple[str, str]]] = []
    async with everybody_else(world) as browsers, await world.sign_in(Role.COUNSEL) as counsel:
        (matter,) = (await counsel.get("/v1/matters")).json()
        for with_data in (False, True):
            if with_data:
                await fill_with_m1(world, unasked)
            known = len((await browsers["M-2"].get("/v1/me/visits?own=true&limit=200")).json()["items"])
            await all_answers(browsers, await ids_for(Scene(world, {"own": placeholder()}), Role.MEMBER, ()))
            await counsel.get(f"/v1/matters/{matter['id']}/incidents")
            visits = (await browsers["M-2"].get("/v1/me/visits?own=true&limit=200")).json()["items"]
            told.append([(visit["role"], visit["what"]) for visit in visits[: len(visits) - known]])
    assert told[0] == told[1]
    assert ("counsel", "matter list") in told[0]


CALLS = 300


@pytest.fixture
async def copied(request: pytest.FixtureRequest, filled_database: tuple[str, Filled]) -> AsyncIterator[Copied]:
    """A filled database, and a way to copy it once nobody is connected."""
    url, known = filled_database
    made: list[str] = []

    async def copy() -> str:
        if url.startswith("sqlite"):
            path = url.partition("///")[2]
            return f"sqlite+aiosqlite:///{shutil.copy(path, path + '.copy')}"
        server: PostgresServer = request.getfixturevalue("postgres")
        name = url.rpartition("/")[2]
        made.append(f"{name}_copy")
        return await server.create_database(made[-1], template=name)

    yield url, known, copy
    for name in made:
        await request.getfixturevalue("postgres").drop_database(name)


async def test_hundreds_of_generated_calls_find_no_difference_between_the_worlds(copied: Copied) -> None:
    """`./run campaign privacy` does the same with 100,000."""
    url, known, copy = copied
    dice = random.Random(7)
    pair = await make_pair(url, known, copy, dice, connection_without_consent)
    found = await compare(pair, dice, CALLS)
    assert [described(call) for call in found.differ + found.failed] == []
    assert sum(found.statuses.values()) == CALLS
    assert {200, 403, 404, 422} <= set(found.statuses)


async def connection_without_consent(world: World) -> Tenant:
    """A second connection, on which M-1 is known and was never asked."""
    context, union = world.context, world.union
    async with context.database.begin() as tx:
        made = await connections.create_connection(
            tx, context.keyring, union.id, connector="standard", title="Unasked", sender=Sender.PROVIDER
        )
        entry = EnrollmentEntry(2, "M-1", "ref-M-1", False, None, None)
        await members.import_enrollments(tx, context.keyring, union.id, made.connection.id, [entry], [])
    return Tenant(union.id, made)


def placeholder() -> dict[str, str]:
    nothing = str(Scene.missing())
    names = ("incident_id", "event_id", "alert_id", "member_id", "matter_id", "packet_id", "connection_id", "connection_token")
    return dict.fromkeys(names, nothing)


async def fill_with_m1(world: World, unasked: Tenant) -> None:
    """Alerts, a sighting, a revision, one that nothing can be made of for the moment, an answer, a loss, consents."""
    for number, change in enumerate(
        ({}, {"summary": "Again."}, {"id": "a-2", "opened": "2021-01-01"}, {"id": "a-3", "last_four": "9999"})
    ):
        body = alert(**{"member": "ref-M-1", **change})
        assert (await world.deliver(body, message_id=f"m-{number}")).status_code == 202
    assert (await world.deliver({"alerts": [alert(id="a-4"), alert(id="a-5", bureau="equifax")]})).status_code == 202
    assert (await world.deliver(alert(id="a-6"), unasked)).status_code == 202
    await world.workers.drain()
    async with await world.sign_in(Role.MEMBER, "M-1") as browser:
        assert [view["waiting"] for view in (await browser.get("/v1/me/consents")).json()] == [False, True]
        for item in (await browser.get("/v1/me/timeline")).json()["items"]:
            path = f"/v1/incidents/{item['id']}"
            detail = (await browser.get(path)).json()
            shown = [source["alert_id"] for source in detail["sources"]]
            assert (await browser.post(path + "/verdict", json={"answer": "not_me", "shown": shown})).status_code == 200
            loss = {"head": "oop", "amount": "10.00", "incurred_on": "2023-03-30", "note": "A note."}
            assert (await browser.post(path + "/losses", json=loss)).status_code == 201
        consent = {"connection_id": str(world.union.connection.connection.id), "given": True}
        assert (await browser.post("/v1/me/consents", json=consent)).status_code == 204
        assert (await browser.post("/v1/tokens", json={"label": "mine", "scopes": ["account"]})).status_code == 201
    await world.workers.drain()


async def real_ids(world: World) -> dict[str, str]:
    """The ids of what M-1 has now; ids of the organization itself stay placeholders."""
    async with await world.sign_in(Role.MEMBER, "M-1") as browser:
        first = (await browser.get("/v1/me/timeline")).json()["items"][0]
        detail = (await browser.get(f"/v1/incidents/{first['id']}")).json()
    source = detail["sources"][0]
    ids = {"incident_id": first["id"], "alert_id": source["alert_id"], "event_id": source["events"][0]["event_id"]}
    ids["packet_id"] = str(await Scene(world).packet(world.union))
    return placeholder() | ids | {"member_id": str(world.union.members["M-1"])}
