"""A member sees who looked at what is theirs, when and in which role; nobody else's, and no name."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from app.access.roles import Role
from app.ledger.models import LedgerEntry
from app.ledger.service import Act, Sight, append, sight_of
from tests.support.world import NOW, World, alert


@pytest.fixture
async def looked_at(world: World) -> World:
    """One incident of M-1, which counsel found in the list of a matter and opened with its losses; an admin read the roster."""
    assert (await world.deliver(alert(id="a-1"))).status_code == 202
    await world.workers.drain()
    async with await world.sign_in(Role.COUNSEL) as counsel, await world.sign_in(Role.ADMIN) as admin:
        (matter,) = (await counsel.get("/v1/matters")).json()
        (found,) = (await counsel.get(f"/v1/matters/{matter['id']}/incidents")).json()["items"]
        detail = (await counsel.get(f"/v1/incidents/{found['incident']['id']}")).json()
        event = detail["sources"][0]["events"][0]["event_id"]
        await counsel.get(f"/v1/incidents/{found['incident']['id']}/originals/{event}")
        await counsel.get(f"/v1/incidents/{found['incident']['id']}/losses")
        await admin.get("/v1/members")
    return world


async def test_every_look_of_others_is_told_with_role_time_and_what_it_was(looked_at: World) -> None:
    async with await looked_at.sign_in(Role.MEMBER) as member:
        (incident,) = (await member.get("/v1/me/timeline")).json()["items"]
        visits = (await member.get("/v1/me/visits")).json()["items"]
    told = [(visit["role"], visit["what"]) for visit in visits]
    assert told == [
        ("admin", "roster"),
        ("counsel", "losses"),
        ("counsel", "original"),
        ("counsel", "incident"),
        ("counsel", "matter list"),
    ]
    assert [visit["incident_id"] for visit in visits] == [None, *[incident["id"]] * 4]
    assert not any(visit["yours"] for visit in visits)
    assert {visit["at"] for visit in visits} == {NOW.isoformat().replace("+00:00", "Z")}
    assert len({visit["by"] for visit in visits}) == 2
    assert all(set(visit) == {"at", "role", "by", "yours", "what", "incident_id"} for visit in visits)


async def test_own_looks_are_told_when_asked_for(looked_at: World) -> None:
    async with await looked_at.sign_in(Role.MEMBER) as member:
        (incident,) = (await member.get("/v1/me/timeline")).json()["items"]
        await member.get(f"/v1/incidents/{incident['id']}")
        visits = (await member.get("/v1/me/visits?own=true")).json()["items"]
        assert [(v["role"], v["what"], v["yours"]) for v in visits[:2]] == [
            ("member", "incident", True),
            ("member", "timeline", True),
        ]
        assert len(visits) == 7
        assert len((await member.get("/v1/me/visits")).json()["items"]) == 5


async def test_pages_follow_each_other_without_a_gap(looked_at: World) -> None:
    async with await looked_at.sign_in(Role.MEMBER) as member:
        whole = (await member.get("/v1/me/visits")).json()["items"]
        seen, cursor = [], ""
        while cursor is not None:
            page = (await member.get(f"/v1/me/visits?limit=2{cursor and '&cursor='}{cursor}")).json()
            seen, cursor = seen + page["items"], page["next"]
        assert seen == whole
        assert (await member.get("/v1/me/visits?cursor=x")).status_code == 422


async def test_nobody_sees_the_visits_to_another(looked_at: World) -> None:
    async with await looked_at.sign_in(Role.MEMBER, "M-2") as other:
        visits = (await other.get("/v1/me/visits?own=true")).json()["items"]
    assert [visit["what"] for visit in visits] == ["roster"]


async def test_the_page_says_it_in_plain_words(looked_at: World) -> None:
    async with await looked_at.sign_in(Role.MEMBER) as member:
        timeline = (await member.get("/timeline")).text
        assert 'href="/visits"' in timeline
        page = (await member.get("/visits")).text
        for words in ("Counsel", "Admin", "The losses of an incident", "Your name, number and e-mail address on the roster"):
            assert words in page
        assert "You</td>" not in page.replace("\n", "")
        assert "<td>You</td>" in (await member.get("/visits?own=true")).text
    async with await looked_at.sign_in(Role.MEMBER, "M-3") as other:
        assert "The losses of an incident" not in (await other.get("/visits")).text


async def test_what_was_looked_at_is_asked_of_the_entry_itself_and_a_foreign_one_tells_nothing(looked_at: World) -> None:
    context, organization_id = looked_at.context, looked_at.union.id
    async with context.database.begin() as tx:
        member_id = looked_at.union.members["M-1"]
        await append(tx, context.keyring, organization_id, Act.VIEW, facts={"what": "the moon"}, member_id=member_id)
    async with context.database.begin(read_only=True) as tx:
        rows = (
            (await tx.execute(select(LedgerEntry).where(LedgerEntry.kind == Act.VIEW).order_by(LedgerEntry.id))).scalars().all()
        )
        assert await sight_of(tx, context.keyring, rows[-1]) is None
        assert await sight_of(tx, context.keyring, rows[0]) is Sight.MATTER_LIST
    async with await looked_at.sign_in(Role.MEMBER) as member:
        newest = (await member.get("/v1/me/visits")).json()["items"][0]
        assert (newest["role"], newest["by"], newest["what"]) == (None, "", None)
        assert "Something of yours" in (await member.get("/visits")).text
