"""Rosters and enrollments over HTTP: whole or not at all, updates by external id, and nobody missing is ever deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select

from app.access.roles import Role
from app.ledger.models import LedgerEntry
from app.members import repository
from app.members import service as members
from app.members.keys import open_profile
from app.members.models import Employment, Member
from tests.support.rows import contents, counts, grown
from tests.support.world import World

HEADING = "external_id,name,email,employed_from,employed_to\n"
LIST = "external_id,reference,consent,consent_from,consent_until\n"


class Desk:
    """An admin at work."""

    def __init__(self, world: World, browser: httpx.AsyncClient) -> None:
        self.browser = browser
        self.connection = str(world.union.connection.connection.id)

    async def upload(self, text: str | bytes, kind: str = "members", **query: Any) -> dict[str, Any]:
        raw = text if isinstance(text, bytes) else text.encode()
        query = {"connection_id": self.connection, **query} if kind == "enrollments" else query
        answer = await self.browser.post(f"/v1/{kind}/import", params=query, files={"file": ("roster.csv", raw, "text/csv")})
        assert answer.status_code == 200, answer.text
        report: dict[str, Any] = answer.json()
        return report


@pytest.fixture
async def desk(world: World) -> AsyncIterator[Desk]:
    async with await world.sign_in(Role.ADMIN) as browser:
        yield Desk(world, browser)


async def roster(world: World) -> dict[str, tuple[str, str | None, int]]:
    """Everybody's name, address and number of jobs, by external id."""
    people = {}
    async with world.context.database.begin(read_only=True) as tx:
        for row in await repository.members_after(tx, world.union.id, UUID(int=0), 1000):
            profile = await open_profile(tx, world.context.keyring, row)
            people[profile.external_id] = (profile.name, profile.email, len(await repository.employment(tx, row.id)))
    return people


async def test_an_import_adds_updates_and_leaves_alone_and_deletes_nobody(world: World, desk: Desk) -> None:
    text = (
        f"{HEADING}M-1,Avery Invented,avery@example.org,2012-01-01,\nM-2,Blake Renamed,blake@example.org,2015-01-01,2020-06-30\n"
    )
    text += "M-9,New Person,,2020-01-01,2021-01-01\nM-9,New Person,,2022-01-01,\n"
    report = await desk.upload("\ufeff" + text.replace("\n", "\r\n"))
    assert (report["added"], report["updated"], report["unchanged"], report["problems"]) == (1, 1, 1, [])
    assert await roster(world) == {
        "M-1": ("Avery Invented", "avery@example.org", 1),
        "M-2": ("Blake Renamed", "blake@example.org", 1),
        "M-3": ("Casey Invented", "casey@example.org", 1),
        "M-9": ("New Person", None, 2),
    }
    before = await contents(world.context.database)
    report = await desk.upload(text)
    assert (report["added"], report["updated"], report["unchanged"]) == (0, 0, 3)
    assert await contents(world.context.database) == before


async def test_a_person_who_is_updated_keeps_their_id_and_what_they_have(world: World, desk: Desk) -> None:
    assert (await world.deliver({"id": "a-1", **_ALERT})).status_code == 202
    (before,) = await world.timeline("M-1")
    await desk.upload(f"{HEADING}M-1,Avery Other,other@example.org,2013-01-01,\n")
    (after,) = await world.timeline("M-1")
    assert after == before
    async with world.context.database.begin(read_only=True) as tx:
        found = await members.find_member(tx, world.context.keyring, world.union.id, "M-1")
        assert found is not None
        assert found.id == world.union.members["M-1"]
        (job,) = await repository.employment(tx, found.id)
        assert str(job.started_on) == "2013-01-01"


_ALERT = {"type": "inquiry.hard", "member": "ref-M-1", "summary": "A lender asked."}


@pytest.mark.parametrize("kind", ["members", "enrollments"])
async def test_a_dry_run_says_the_same_and_changes_nothing(world: World, desk: Desk, kind: str) -> None:
    text = {
        "members": f"{HEADING}M-1,Avery Other,,2012-01-01,\nM-9,New Person,,2020-01-01,\n",
        "enrollments": f"{LIST}M-1,ref-M-1,yes,,2030-01-01\nM-2,ref-new,no,,\n",
    }[kind]
    before = await contents(world.context.database)
    planned = await desk.upload(text, kind, dry_run=True)
    assert await contents(world.context.database) == before
    done = await desk.upload(text, kind)
    assert {**planned, "dry_run": False} == done
    assert (planned["dry_run"], planned["added"] + planned["updated"]) == (True, 2)
    assert await contents(world.context.database) != before


@pytest.mark.parametrize(
    ("kind", "text", "problem"),
    [
        ("members", f"{HEADING}M-8,New Person,,2020-01-01,\nM-9,,,2020-01-01,\n", (3, "name")),
        ("enrollments", f"{LIST}M-1,ref-new,yes,,\nM-2,,yes,,\n", (3, "reference")),
        ("enrollments", f"{LIST}M-1,ref-new,yes,,\nNOBODY,ref-x,yes,,\n", (3, "external_id")),
    ],
)
async def test_half_a_file_is_never_imported(world: World, desk: Desk, kind: str, text: str, problem: tuple[int, str]) -> None:
    before = await contents(world.context.database)
    report = await desk.upload(text, kind)
    assert [(p["line"], p["column"]) for p in report["problems"]] == [problem]
    assert (report["added"], report["updated"], report["unchanged"]) == (0, 0, 0)
    assert "NOBODY" not in str(report)
    assert await contents(world.context.database) == before


async def test_a_file_that_is_not_text_or_too_large_is_refused(world: World, desk: Desk) -> None:
    before = await counts(world.context.database)
    for raw, status in ((b"\xff\xfee\x00", 422), (HEADING.encode() + b"x" * (20 * 1024 * 1024), 413)):
        answer = await desk.browser.post("/v1/members/import", files={"file": ("roster.csv", raw, "text/csv")})
        assert answer.status_code == status, answer.text
    assert await counts(world.context.database) == before


async def test_an_organization_never_touches_the_others_people_with_the_same_numbers(world: World, desk: Desk) -> None:
    await desk.upload(f"{HEADING}M-1,Avery Other,,2013-01-01,\n")
    async with world.context.database.begin(read_only=True) as tx:
        theirs = await members.find_member(tx, world.context.keyring, world.other.id, "M-1")
        assert theirs is not None
        assert (await open_profile(tx, world.context.keyring, theirs)).name == "Avery Invented"
        assert theirs.id != world.union.members["M-1"]


async def test_a_roster_import_is_one_entry_and_names_nobody(world: World, desk: Desk) -> None:
    before = await counts(world.context.database)
    await desk.upload(f"{HEADING}M-8,New Person,new@example.org,2020-01-01,\nM-9,Other Person,,2020-01-01,\n")
    added = grown(before, await counts(world.context.database))
    assert (added["member"], added["employment"]) == (2, 2)
    async with world.context.database.begin(read_only=True) as tx:
        entries = (await tx.execute(select(LedgerEntry).where(LedgerEntry.kind == "roster"))).scalars().all()
        assert [entry.subjects for entry in entries if entry.actor_role == "admin"] == [{}]
        plain = (await tx.execute(select(Member.external_index, Member.sealed, Member.wrapped_key))).all()
        assert not any(b"Person" in value for row in plain for value in row if value)
        assert (await tx.execute(select(func.count()).select_from(Employment))).scalar_one() == 8


async def test_a_roster_of_hundreds_is_read_once_and_again_without_a_change(world: World, desk: Desk) -> None:
    text = HEADING + "".join(f"X-{n},Person {n},,2010-01-01,\n" for n in range(200))
    assert (await desk.upload(text))["added"] == 200
    assert (await desk.upload(text))["unchanged"] == 200


async def test_an_enrollment_is_known_again_and_a_date_without_end_is_no_end(world: World, desk: Desk) -> None:
    text = f"{LIST}M-1,ref-M-1,yes,,\nM-2,ref-M-2,yes,2023-01-01,9999-12-31\n"
    first = await desk.upload(text, "enrollments")
    assert (first["added"], first["updated"], first["unchanged"]) == (0, 0, 2)
    before = await contents(world.context.database)
    assert (await desk.upload(text, "enrollments"))["unchanged"] == 2
    assert await contents(world.context.database) == before
