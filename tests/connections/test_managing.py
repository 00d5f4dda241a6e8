"""What an admin does with a connection: pause, replace what proves deliveries, close; two at once, and what it leaves behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from app.access.roles import Role
from app.connections.models import ConnectionSecret
from app.connections.repository import secrets_of
from app.kit import clock
from app.ledger.models import LedgerEntry
from connectors.verifiers import StandardWebhooks
from tests.intake.counting import all_refusals
from tests.intake.polled import Polled, polled_world
from tests.support.rows import contents
from tests.support.world import ORIGIN, World, alert

ACTS = ("pause", "resume", "retire", "close")


@pytest.fixture
async def polled(world: World) -> AsyncIterator[Polled]:
    async with polled_world(world) as made:
        yield made


async def act(world: World, what: str, connection_id: UUID | None = None, status: int = 200, **body: Any) -> Any:
    """One act of an admin by the API; the answer's body."""
    connection_id = connection_id or world.union.connection.connection.id
    async with await world.sign_in(Role.ADMIN) as admin:
        sent = None if what in ACTS else body
        answer = await admin.post(f"/v1/connections/{connection_id}/{what}", json=sent)
    assert answer.status_code == status, answer.text
    return answer.json()


async def entries(world: World, connection_id: UUID) -> int:
    async with world.context.database.begin(read_only=True) as tx:
        kinds = select(func.count()).select_from(LedgerEntry).where(LedgerEntry.kind == "connection")
        about = LedgerEntry.subjects["connection"].as_string() == str(connection_id)
        return (await tx.execute(kinds.where(about))).scalar_one()


async def sends(world: World, number: str, **how: Any) -> int:
    return (await world.deliver(alert(id=number), **how)).status_code


async def test_a_new_secret_stands_beside_the_old_one_until_the_overlap_ends(world: World) -> None:
    old = world.union.connection.secret
    made = await act(world, "secret", overlap_hours=24)
    assert made["secret"] != old
    assert [await sends(world, f"a-{n}", secret=s) for n, s in enumerate((old, made["secret"]))] == [202, 202]
    start = clock.now()
    clock.set_to(start + timedelta(hours=24, seconds=-1))
    assert [await sends(world, f"b-{n}", secret=s) for n, s in enumerate((old, made["secret"]))] == [202, 202]
    clock.set_to(start + timedelta(hours=24))
    assert [await sends(world, f"c-{n}", secret=s) for n, s in enumerate((old, made["secret"]))] == [401, 202]
    clock.set_to(start)
    assert made["others_until"] == (start + timedelta(hours=24)).isoformat().replace("+00:00", "Z")


async def test_a_leaked_secret_is_refused_at_once_and_destroyed(world: World) -> None:
    old = world.union.connection.secret
    made = await act(world, "secret", overlap_hours=0)
    assert [await sends(world, f"a-{n}", secret=s) for n, s in enumerate((old, made["secret"]))] == [401, 202]
    async with world.context.database.begin(read_only=True) as tx:
        here = ConnectionSecret.connection_id == world.union.connection.connection.id
        rows = (await tx.execute(select(ConnectionSecret).where(here).order_by(ConnectionSecret.id))).scalars().all()
    assert [(row.sealed == b"", row.retired_at) for row in rows] == [(True, clock.now()), (False, None)]


async def test_an_overlap_can_be_cut_short(world: World) -> None:
    old, path = world.union.connection.secret, world.union.connection.path
    secret = (await act(world, "secret"))["secret"]
    address = (await act(world, "address"))["webhook_url"].removeprefix(ORIGIN)
    assert await sends(world, "a-1", secret=old) == 202
    before = await entries(world, world.union.connection.connection.id)
    await act(world, "retire")
    await act(world, "retire")
    assert await entries(world, world.union.connection.connection.id) == before + 1
    assert await sends(world, "a-2", secret=old, path=address) == 401
    assert await sends(world, "a-3", secret=secret, path=path) == 401
    assert await sends(world, "a-4", secret=secret, path=address) == 202


async def test_only_a_secret_that_proves_something_and_is_new_is_taken(world: World) -> None:
    own = world.union.connection
    for bad in ("whsec_", "plain", own.secret):
        told = await act(world, "secret", status=422, secret=bad)
        assert [error["field"] for error in told["errors"]] == ["body.secret"]
        assert bad not in str(told)
    given = StandardWebhooks.new_secret()
    assert (await act(world, "secret", secret=given))["secret"] == given
    await act(world, "secret", status=422, secret=own.secret)
    for hours in (-1, 10_000, "soon", False, "24"):
        await act(world, "secret", status=422, overlap_hours=hours)


async def test_a_new_address_and_the_one_before_it(world: World) -> None:
    old = world.union.connection.path
    new = (await act(world, "address", overlap_hours=48))["webhook_url"].removeprefix(ORIGIN)
    assert new != old
    assert [await sends(world, f"a-{n}", path=p) for n, p in enumerate((old, new))] == [202, 202]
    told = await act(world, "address", status=409)
    assert "before this one" in told["detail"]
    start = clock.now()
    clock.set_to(start + timedelta(hours=48))
    assert [await sends(world, f"b-{n}", path=p) for n, p in enumerate((old, new))] == [401, 202]
    clock.set_to(start)
    leaked = (await act(world, "address", overlap_hours=0))["webhook_url"].removeprefix(ORIGIN)
    assert [await sends(world, f"c-{n}", path=p) for n, p in enumerate((old, new, leaked))] == [401, 401, 202]
    assert new.rpartition("/")[2] not in str(await contents(world.context.database))


async def test_a_closed_connection_is_over_for_who_knows_its_address_and_nothing_for_others(world: World) -> None:
    own = world.union.connection
    assert await sends(world, "a-1") == 202
    await world.workers.drain()
    kept = {name: len(rows) for name, rows in (await contents(world.context.database)).items()}
    await act(world, "close")
    closed = await act(world, "close")
    assert closed["closed_at"] == clock.now().isoformat().replace("+00:00", "Z")
    assert await sends(world, "a-2") == 410
    assert await sends(world, "a-3", path=own.path[:-1]) == 401
    assert await sends(world, "a-4", secret=StandardWebhooks.new_secret()) == 410
    assert await all_refusals(world) == {"closed": 2, "not_authentic": 1}
    assert len(await world.timeline("M-1")) == 1, "what came over it stays"
    left = {name: len(rows) for name, rows in (await contents(world.context.database)).items()}
    assert all(left[name] >= count for name, count in kept.items()), "no row of any table is gone"
    async with world.context.database.begin(read_only=True) as tx:
        assert await secrets_of(tx, own.connection.id, clock.now()) == []
        assert {row.sealed for row in (await tx.execute(select(ConnectionSecret))).scalars() if row.retired_at} == {b""}
    for what in ("pause", "resume", "secret", "address", "retire"):
        assert "removed" in (await act(world, what, status=409))["detail"]
    async with await world.sign_in(Role.ADMIN) as admin:
        path = f"/v1/connections/{own.connection.id}"
        assert (await admin.patch(path, json={"title": "Other"})).status_code == 409
        assert (await admin.get(path)).json()["secrets"] == []


async def test_a_closed_connection_knows_nothing_of_its_provider_any_more(polled: Polled) -> None:
    await polled.ask()
    await act(polled.world, "close", polled.connection_id)
    async with await polled.world.sign_in(Role.ADMIN) as admin:
        told = (await admin.get(f"/v1/connections/{polled.connection_id}")).json()
    assert (told["settings"], told["secrets_set"]) == ({}, [])
    polled.later(days=8)
    before = len(polled.provider.faults.seen)
    assert await polled.ask() == 0
    assert not await polled.asker().ask(polled.connection_id)
    assert len(polled.provider.faults.seen) == before
    await act(polled.world, "poll", polled.connection_id, status=409)


async def test_a_paused_connection_asks_nothing_and_goes_on_where_it_was(polled: Polled) -> None:
    await polled.ask()
    await act(polled.world, "pause", polled.connection_id)
    polled.provider.add(clock.now())
    polled.later(days=3)
    before = len(polled.provider.faults.seen)
    assert await polled.ask() == 0
    assert len(polled.provider.faults.seen) == before
    assert "paused" in (await act(polled.world, "poll", polled.connection_id, status=409))["detail"]
    await act(polled.world, "resume", polled.connection_id)
    await polled.ask()
    assert await polled.alerts() == 1


async def test_a_paused_connection_still_takes_what_is_sent(world: World) -> None:
    await act(world, "pause")
    assert await sends(world, "a-1") == 202
    assert len(await world.timeline("M-1")) == 1


@pytest.mark.parametrize("what", ["pause", "close"])
async def test_a_question_under_way_writes_nothing_after_the_switch(polled: Polled, what: str) -> None:
    """B14: the switch acts at once, also on somebody who is in the middle of asking."""
    polled.provider.add(clock.now())
    polled.provider.gate = asyncio.Event()
    asking = asyncio.create_task(polled.asker().ask(polled.connection_id))
    await polled.provider.arrived.wait()
    await act(polled.world, what, polled.connection_id)
    polled.provider.gate.set()
    assert await asking is False
    assert await polled.receipts() == []
    row = await polled.row()
    assert (row.cursor, row.lease_owner, row.last_success_at) == (None, None, None)
    if what == "pause":
        await act(polled.world, "resume", polled.connection_id)
        await polled.ask()
        assert await polled.alerts() == 1, "and nothing is lost"


async def test_asking_now_does_not_wait_and_a_sweep_begins_anew(polled: Polled) -> None:
    await polled.ask()
    polled.provider.add(clock.now() - timedelta(days=20))
    await act(polled.world, "poll", polled.connection_id, status=202)
    await polled.ask()
    assert await polled.alerts() == 1
    polled.provider.add(clock.now() - timedelta(days=300))
    await act(polled.world, "poll", polled.connection_id, status=202, sweep=True)
    await polled.ask()
    assert await polled.alerts() == 2
    await act(polled.world, "poll", status=409)


async def test_each_act_is_in_the_ledger_once_and_doing_it_again_is_no_act(world: World) -> None:
    own = world.union.connection.connection.id
    count = await entries(world, own)
    for what in ("pause", "pause", "resume", "resume", "secret", "address", "retire", "close", "close"):
        await act(world, what)
    assert await entries(world, own) == count + 6


async def test_two_admins_at_once_follow_one_another(world: World) -> None:
    """Whatever order they come in: one address wins, the other admin is told, and every secret made is good."""
    answers = await asyncio.gather(
        *(act(world, "secret") for _ in range(3)), *(_either(world) for _ in range(3)), *(act(world, "pause") for _ in range(2))
    )
    secrets = [answer["secret"] for answer in answers[:3]]
    made = [answer["webhook_url"].removeprefix(ORIGIN) for answer in answers[3:6] if "webhook_url" in answer]
    assert len(made) == 1
    for number, secret in enumerate((*secrets, world.union.connection.secret)):
        for path in (made[0], world.union.connection.path):
            assert await sends(world, f"a-{number}", secret=secret, path=path) == 202
    assert await entries(world, world.union.connection.connection.id) == 1 + 3 + 1 + 1


async def _either(world: World) -> Any:
    async with await world.sign_in(Role.ADMIN) as admin:
        answer = await admin.post(f"/v1/connections/{world.union.connection.connection.id}/address", json={})
    assert answer.status_code in (200, 409)
    return answer.json()


async def test_rotating_under_load_refuses_no_authentic_delivery(world: World) -> None:
    """B11: senders go over to the new secret at any time in the overlap while deliveries keep coming."""
    valid, sent, refused = [world.union.connection.secret], 0, 0
    done = asyncio.Event()

    async def sender(name: int) -> None:
        nonlocal sent, refused
        while not done.is_set():
            sent += 1
            secret = valid[sent % len(valid)]
            refused += await sends(world, f"s-{name}-{sent}", secret=secret) != 202

    senders = [asyncio.create_task(sender(name)) for name in range(4)]
    for _ in range(3):
        made = await act(world, "secret", overlap_hours=24)
        valid.append(made["secret"])
        before = sent
        while sent < before + 15:  # noqa: ASYNC110 - the senders count, there is no event for it
            await asyncio.sleep(0.005)
    done.set()
    await asyncio.gather(*senders)
    assert sent > 45
    assert refused == 0
    clock.set_to(clock.now() + timedelta(hours=24))
    assert [await sends(world, f"z-{n}", secret=s) for n, s in enumerate(valid)] == [401, 401, 401, 202]
    assert sum((await all_refusals(world)).values()) == 3
