"""The command line opens matters and says which counsel work on them; whoever works on one is told."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from app import operations
from app.access.roles import Role
from app.access.service import MATTER_LETTER, create_account, grant_role
from app.breaches.models import Matter
from app.kit.errors import Problem
from app.kit.ids import uuid7
from app.kit.letters import Letter
from tests.support.commands import done, run
from tests.support.world import World

BREACH, TITLE = "oakland-2023", "Invented against a city"
COUNSEL, COLLEAGUE = "counsel@union.example", "colleague@union.example"


async def told(world: World) -> list[UUID]:
    """Whom a letter about a matter waits for, or went to."""
    async with world.context.database.begin(read_only=True) as tx:
        found = await tx.execute(select(Letter.recipient).where(Letter.kind == MATTER_LETTER).order_by(Letter.recipient))
        return list(found.scalars())


async def a_colleague(world: World) -> UUID:
    async with world.context.database.begin() as tx:
        account = await create_account(tx, world.context.keyring, world.union.id, COLLEAGUE)
        await grant_role(tx, world.context.keyring, account, Role.COUNSEL)
        return account.id


async def test_a_matter_is_opened_and_counsel_are_assigned_and_told(world: World) -> None:
    context, union = world.context, world.union
    before = await operations.list_matters(context, union.id)
    made = await operations.open_matter(context, union.id, BREACH, f" {TITLE} ", COUNSEL)
    listed = await operations.list_matters(context, union.id)
    assert [one for one in listed if one not in before] == [
        {"matter": made["matter"], "breach": BREACH, "opened_at": listed[-1]["opened_at"], "counsel": 1}
    ]
    async with await world.sign_in(Role.COUNSEL) as browser:
        assert TITLE in [one["title"] for one in (await browser.get("/v1/matters")).json()]
    assert await told(world) == [union.accounts[Role.COUNSEL]]
    colleague = await a_colleague(world)
    for _ in range(2):  # again changes nothing and tells nobody
        assert (await operations.assign_counsel(context, union.id, made["matter"], COLLEAGUE))["counsel"] == 2
    assert sorted(await told(world)) == sorted([*[union.accounts[Role.COUNSEL]] * 2, colleague])


@pytest.mark.parametrize(
    ("breach", "title", "counsel", "status", "said"),
    [
        (BREACH, TITLE, "nobody@union.example", 404, "the role counsel"),
        (BREACH, TITLE, "staff@union.example", 404, "the role counsel"),
        ("never-heard-of", TITLE, COUNSEL, 404, "never-heard-of"),
        (BREACH, "  ", COUNSEL, 422, "title"),
    ],
)
async def test_what_is_not_there_is_named(world: World, breach: str, title: str, counsel: str, status: int, said: str) -> None:
    before = await operations.list_matters(world.context, world.union.id)
    with pytest.raises(Problem) as refused:
        await operations.open_matter(world.context, world.union.id, breach, title, counsel)
    assert refused.value.status == status
    assert said in (refused.value.detail or "")
    assert await operations.list_matters(world.context, world.union.id) == before


async def test_a_matter_of_somebody_else_is_not_there(world: World) -> None:
    async with world.context.database.begin(read_only=True) as tx:
        theirs = (await tx.execute(select(Matter.id).where(Matter.organization_id == world.other.id))).scalars().first()
    for matter_id in filter(None, (theirs, uuid7())):
        with pytest.raises(Problem, match="harmline matters list"):
            await operations.assign_counsel(world.context, world.union.id, matter_id, COUNSEL)


def test_by_the_command_line(home: Path) -> None:
    done("keys", "create")
    done("migrate")
    union = done("organization", "Union", "--admin", "admin@example.org", "--counsel", "counsel@example.org")["organization"]
    done("breaches", "oakland", "--organization", union)
    here = ("--organization", union)
    opened = done("matters", "open", BREACH, *here, "--title", TITLE, "--counsel", "counsel@example.org")
    assert done("matters", "assign", opened["matter"], *here, "--counsel", "counsel@example.org") == {**opened, "counsel": 1}
    (listed,) = json.loads(done("matters", "list", *here))
    assert (listed["matter"], listed["breach"], listed["counsel"]) == (opened["matter"], BREACH, 1)
    refused = run("matters", "open", BREACH, *here, "--title", TITLE, "--counsel", "admin@example.org")
    assert (refused.exit_code, "the role counsel" in refused.output) == (1, True)
    assert TITLE not in str(listed)
