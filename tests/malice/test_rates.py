"""Whoever sends too much is told when to come again, over real HTTP; it is counted, and costs nobody else their turn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from app.intake.models import Refusal
from app.intake.refusals import Refusals
from app.intake.workers import write_refusals
from app.kit import clock
from app.kit.context import Context
from app.main import create_app
from connectors.standard.sandbox import sign
from connectors.verifiers import StandardWebhooks
from tests.intake.counting import receipts
from tests.malice.serving import listening
from tests.support.world import NOW, Tenant, World


@asynccontextmanager
async def limited(world: World, **limits: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The world's application with limits of its own."""
    settings = world.context.settings.model_copy(update=limits)
    context: Context = replace(world.context, settings=settings)
    world.app = create_app(context=context, work=False)
    async with listening(world.app, settings) as port:
        origin = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=origin, timeout=30, trust_env=False) as client:
            yield client


async def ping(client: httpx.AsyncClient, tenant: Tenant, number: int, secret: str | None = None) -> httpx.Response:
    body = json.dumps({"id": f"p-{number}", "type": "ping"}).encode()
    headers = {"content-type": "application/json", **sign(secret or tenant.connection.secret, body, at=clock.now())}
    return await client.post(tenant.connection.path, content=body, headers=headers)


async def refused(world: World) -> dict[str, int]:
    """What is written of refusals, by reason, as any process sees it."""
    async with world.context.database.begin(read_only=True) as tx:
        return {row.reason: row.count for row in (await tx.execute(select(Refusal))).scalars()}


def assert_told_when(answers: list[httpx.Response]) -> None:
    for answer in answers:
        if answer.status_code != 202:
            assert answer.status_code == 429
            assert 1 <= int(answer.headers["retry-after"]) <= 60
            assert answer.headers["content-type"] == "application/problem+json"
            assert "send it again" in answer.json()["detail"]


@pytest.mark.long
async def test_a_connection_has_its_rate_and_its_neighbour_has_another(world: World) -> None:
    async with limited(world, connection_rate=0.5, connection_burst=10) as client:
        answers = [await ping(client, world.union, number) for number in range(15)]
        assert_told_when(answers)
        kept = [answer.status_code for answer in answers].count(202)
        assert 10 <= kept <= 13
        assert (await ping(client, world.other, 0)).status_code == 202
        await asyncio.sleep(2.1)
        assert (await ping(client, world.union, 14)).status_code == 202, "what was told to come again is taken then"
    assert await refused(world) == {"too_fast": 15 - kept}, "written when the service ended"
    assert len(await receipts(world)) == kept + 2


async def test_an_address_has_its_rate_before_anything_is_looked_up(world: World) -> None:
    async with limited(world, address_rate=0.5, address_burst=5) as client:
        answers = [await ping(client, world.union, number) for number in range(4)]
        answers += [await ping(client, world.other, number) for number in range(4)]
        assert_told_when(answers)
    assert 5 <= [answer.status_code for answer in answers].count(202) <= 7


async def test_who_guesses_is_soon_not_looked_at_and_hides_nobody_who_is_good(world: World) -> None:
    wrong = StandardWebhooks.new_secret()
    async with limited(world, forged_rate=0.2, forged_burst=5) as client:
        assert (await ping(client, world.other, 0)).status_code == 202
        statuses = [(await ping(client, world.union, number, wrong)).status_code for number in range(10)]
        assert statuses[:5] == [401] * 5
        assert set(statuses[5:]) <= {401, 429}
        assert statuses.count(429) >= 3
        assert (await ping(client, world.other, 1)).status_code == 202
    found = await refused(world)
    assert found == {"not_authentic": statuses.count(401), "too_fast": statuses.count(429)}


async def test_of_many_forgeries_at_once_no_more_are_looked_at_than_of_as_many_in_turn(world: World) -> None:
    wrong = StandardWebhooks.new_secret()
    async with limited(world, forged_rate=0.1, forged_burst=5) as client:
        assert (await ping(client, world.union, 0)).status_code == 202
        answers = await asyncio.gather(*(ping(client, world.union, number, wrong) for number in range(1, 60)))
        assert_told_when([answer for answer in answers if answer.status_code != 401])
        assert 5 <= [answer.status_code for answer in answers].count(401) <= 7
        assert (await ping(client, world.other, 1)).status_code == 202


async def test_a_process_that_has_just_begun_refuses_nobody_who_is_authentic(world: World) -> None:
    """It knows no connection yet, and a hundred deliveries are there: they wait for one reading and prove themselves then."""
    async with limited(world, forged_rate=0.1, forged_burst=2) as client:
        answers = await asyncio.gather(*(ping(client, world.union, number) for number in range(100)))
        assert {answer.status_code for answer in answers} == {202}
    assert len(await receipts(world)) == 100


@pytest.mark.parametrize("known", [True, False])
async def test_a_crowd_at_an_address_that_is_nobodys_is_soon_not_looked_at(world: World, known: bool) -> None:
    nowhere = replace(world.union.connection, path=f"/webhooks/{UUID(int=7)}/x")
    stranger = replace(world.union, connection=nowhere)
    async with limited(world, forged_rate=0.1, forged_burst=5) as client:
        if known:
            assert (await ping(client, stranger, 0)).status_code == 401
        for _ in range(3):
            answers = await asyncio.gather(*(ping(client, stranger, number) for number in range(30)))
            assert {answer.status_code for answer in answers} <= {401, 429}
        assert {answer.status_code for answer in answers} == {429}


async def test_counts_are_written_each_second_and_kept_while_the_store_is_away(world: World) -> None:
    async with limited(world) as client:
        assert (await ping(client, world.union, 1, StandardWebhooks.new_secret())).status_code == 401
        for _ in range(200):
            if await refused(world) == {"not_authentic": 1}:
                break
            await asyncio.sleep(0.1)
        assert await refused(world) == {"not_authentic": 1}, "while the service runs on"
    refusals = Refusals()
    refusals.count(world.union.id, world.union.connection.connection.id, "too_fast", NOW)
    with pytest.raises(OSError, match="away"), refusals.taken():
        raise OSError("away")
    refusals.count(world.union.id, world.union.connection.connection.id, "too_fast", NOW)
    await write_refusals(world.context.database, refusals)
    await write_refusals(world.context.database, refusals)
    assert await refused(world) == {"not_authentic": 1, "too_fast": 2}
