"""The timeline's pages follow each other without a gap or a repeat, and a cursor that no page gave is refused."""

from __future__ import annotations

import base64
import json

import pytest

from app.access.roles import Role
from tests.support.world import World, alert


def cursor_of(*keys: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(keys).encode()).decode().rstrip("=")


@pytest.fixture
async def many(world: World) -> World:
    alerts = [alert(id=f"a-{n}", opened=f"20{10 + n}-01-05", institution=f"Invented Bank {n}") for n in range(5)]
    assert (await world.deliver({"alerts": alerts})).status_code == 202
    await world.workers.drain()
    return world


async def test_pages_follow_each_other(many: World) -> None:
    async with await many.sign_in(Role.MEMBER) as browser:
        whole = (await browser.get("/v1/me/timeline")).json()
        assert (len(whole["items"]), whole["next"]) == (5, None)
        for limit in (1, 2, 4, 5):
            seen: list[dict[str, object]] = []
            cursor = ""
            while cursor is not None:
                page = (await browser.get(f"/v1/me/timeline?limit={limit}" + (f"&cursor={cursor}" if cursor else ""))).json()
                assert len(page["items"]) <= limit
                seen, cursor = seen + page["items"], page["next"]
            assert seen == whole["items"], limit


async def test_a_cursor_shows_nobody_elses_incidents(many: World) -> None:
    async with await many.sign_in(Role.MEMBER) as browser:
        cursor = (await browser.get("/v1/me/timeline?limit=1")).json()["next"]
    async with await many.sign_in(Role.MEMBER, "M-2") as other:
        assert (await other.get(f"/v1/me/timeline?cursor={cursor}")).json() == {"items": [], "next": None}


STRANGE = [
    cursor_of("2023-06-01T12:00:00", "0" * 32),
    cursor_of("0001-01-01T00:00:00+14:00", "0" * 32),
    cursor_of("9999-12-31T23:59:59-14:00", "0" * 32),
    cursor_of("2023-06-01T12:00:00+00:00", "no id"),
    cursor_of("2023-06-01T12:00:00+00:00"),
    cursor_of("2023-06-01T12:00:00+00:00", "0" * 32, "more"),
    cursor_of(1, 2),
    cursor_of("\x00", "\x00"),
    "x",
    "%00",
    "é",
]


async def test_a_strange_cursor_is_refused(world: World) -> None:
    async with await world.sign_in(Role.MEMBER) as browser, await world.sign_in(Role.COUNSEL) as counsel:
        (matter,) = (await counsel.get("/v1/matters")).json()
        for cursor in STRANGE:
            assert (await browser.get(f"/v1/me/timeline?cursor={cursor}")).status_code == 422, cursor
            assert (await counsel.get(f"/v1/matters/{matter['id']}/incidents?cursor={cursor}")).status_code == 422, cursor


async def test_every_look_is_in_the_ledger(many: World) -> None:
    async with await many.sign_in(Role.MEMBER) as browser, await many.sign_in(Role.COUNSEL) as counsel:
        (matter,) = (await counsel.get("/v1/matters")).json()
        first = (await browser.get("/v1/me/timeline?limit=1")).json()["items"][0]
        detail = (await browser.get(f"/v1/incidents/{first['id']}")).json()
        event = detail["sources"][0]["events"][0]["event_id"]
        await browser.get(f"/v1/incidents/{first['id']}/originals/{event}")
        await browser.get(f"/v1/incidents/{first['id']}/losses")
        await counsel.get(f"/v1/matters/{matter['id']}/incidents")
        await counsel.get(f"/v1/incidents/{first['id']}")
    async with await many.sign_in(Role.AUDITOR) as auditor:
        rows = [row for row in (await auditor.get("/v1/ledger?limit=200")).json()["items"] if row["kind"] == "view"]
    member = [row for row in rows if row["actor_role"] == "member"]
    assert [row["subjects"].get("incident") for row in member] == [None, first["id"], first["id"], first["id"]]
    assert member[2]["subjects"]["event"] == event
    assert {row["member_id"] for row in rows} == {str(many.union.members["M-1"])}
    assert len([row for row in rows if row["actor_role"] == "counsel"]) == 6
