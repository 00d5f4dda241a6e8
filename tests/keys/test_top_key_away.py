"""While the top key is away deliveries are taken in, nothing is read or lost; when it is back all goes on by itself (I5)."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from app.access.gate import cookie_name
from app.access.roles import Role
from app.connections import service as connections
from app.connections.polls import poll_of
from app.intake.fresh import nothing_brought
from app.intake.models import Event, Receipt
from app.intake.polling import LEASE
from app.kit import clock
from app.kit.outbox import Failure
from app.kit.ticking import again_and_again
from app.kit.vault import HeldKeys, create_key_file
from app.main import Workers
from connectors.contract import Sender
from connectors.standard.sandbox import sign
from connectors.verifiers import StandardWebhooks
from tests.intake.counting import books
from tests.keys.doors import Service, elsewhere, held, serving
from tests.keys.hanging import bodies
from tests.support.postgres import free_port
from tests.support.world import NOW, World, alert

BODY = json.dumps(alert()).encode()
OLD = json.dumps(alert(id="from before", institution="Another Invented Bank")).encode()
START_SECONDS = 120


async def states(world: World) -> list[str]:
    async with world.context.database.begin(read_only=True) as tx:
        return list((await tx.execute(select(Receipt.state).order_by(Receipt.id))).scalars())


async def outcomes(world: World) -> dict[str, int]:
    async with world.context.database.begin(read_only=True) as tx:
        return dict((await tx.execute(select(Event.outcome, func.count()).group_by(Event.outcome))).all())


async def set_aside(world: World) -> int:
    async with world.context.database.begin(read_only=True) as tx:
        return (await tx.execute(select(func.count()).select_from(Failure))).scalar_one()


async def test_deliveries_are_taken_in_nothing_is_read_and_all_goes_on_when_it_is_back(world: World) -> None:
    assert (await world.deliver(OLD)).status_code == 202
    incident = (await world.timeline())[0]["id"]
    vault = Service(held(world)[0])
    vault.away = True
    context = elsewhere(world, vault)
    workers = Workers(context)
    tick = again_and_again(workers.tick, "work")
    cookie = {"cookie": f"{cookie_name(context.settings)}={await world.session(Role.MEMBER)}"}
    async with serving(context) as web:
        first = await web.deliver(world.union, BODY)
        assert (first.status_code, first.json()["repeat"]) == (202, False)
        again = await web.deliver(world.union, BODY)
        assert (again.status_code, again.json()) == (202, {**first.json(), "repeat": True})
        assert (await web.deliver(world.other, BODY)).status_code == 202
        forged = await web.deliver(world.union, BODY, StandardWebhooks.new_secret())
        assert forged.status_code == 401
        for path in ("/v1/me/timeline", f"/v1/incidents/{incident}", "/timeline", f"/incidents/{incident}"):
            refused = await web.client.get(path, headers=cookie)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5"), path
            assert "key" in refused.text
            assert "Another Invented" not in refused.text
        ready = await web.client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "taking in only")
        assert "The top key is away" in ready.json()["problems"][0]
        for _ in range(3):
            await tick()
        assert await states(world) == ["handled", "stored", "stored"]
        assert (await outcomes(world), await set_aside(world)) == ({"new": 1}, 0)
        vault.away = False
        assert (await web.client.get("/readyz")).json()["status"] == "ready"
        await workers.drain()
        assert await states(world) == ["handled", "handled", "handled"]
        assert await outcomes(world) == {"new": 3}
        timeline = await web.client.get("/v1/me/timeline", headers=cookie)
        assert (timeline.status_code, len(timeline.json()["items"])) == (200, 2)
    assert await bodies(world) == {BODY, OLD}
    counted = await books(world)
    assert (counted["deliveries"], counted["receipts"], counted["repeats"]) == (4, 2, 1)


async def test_who_pulls_messages_waits_and_counts_no_failure(world: World) -> None:
    """Receipts were handled, their messages not yet, when the key goes."""
    top_key, _ = held(world)
    vault = Service(top_key)
    context = elsewhere(world, vault)
    assert (await world.deliver(BODY)).status_code == 202
    before = Workers(context)
    before._bring = nothing_brought  # what is brought and linked at once leaves no message for which anybody needs a key
    await before._take_in()
    vault.away = True
    late = Workers(elsewhere(world, vault))  # whoever has opened keys before goes on with them
    tick = again_and_again(late.tick, "work")
    for _ in range(5):
        await tick()
    assert await set_aside(world) == 0
    vault.away = False
    await late.drain()
    assert await set_aside(world) == 0
    assert len(await world.timeline()) == 1


async def test_whom_nobody_can_ask_just_now_is_asked_later_and_has_not_failed(world: World) -> None:
    async with world.context.database.begin() as tx:
        made = await connections.create_connection(
            *(tx, world.context.keyring, world.union.id),
            connector="hibp",
            title="Asked",
            sender=Sender.PROVIDER,
            settings={"api_key": "0" * 32},
        )
    asker = Workers(elsewhere(world)).asker
    assert await asker.run_due() == 1
    assert await asker.run_due() == 0, "not again and again meanwhile"
    async with world.context.database.begin(read_only=True) as tx:
        poll = await poll_of(tx, made.connection.id)
    assert poll is not None
    assert (poll.state, poll.failures, poll.waits_until, poll.poll_due_at) == ("never", 0, None, NOW)
    clock.set_to(NOW + LEASE)
    assert await asker.run_due() == 1


async def test_without_a_top_key_at_all_it_is_the_same(world: World) -> None:
    async with serving(elsewhere(world)) as web:
        assert (await web.deliver(world.union, BODY)).status_code == 202
        assert (await web.client.get("/readyz")).json()["status"] == "taking in only"
        signing_in = await web.client.post(
            "/sign-in", data={"email": "avery@example.org"}, headers={"sec-fetch-site": "same-origin"}
        )
        assert (signing_in.status_code, signing_in.headers["retry-after"]) == (503, "5")
        assert (await web.client.get("/livez")).status_code == 200
    assert len(await world.timeline()) == 1


async def test_with_another_doors_key_nothing_is_taken_in_without_the_top_key_and_it_says_so(world: World) -> None:
    foreign = HeldKeys(bytes(range(32)))
    async with serving(elsewhere(world, door=foreign)) as web:
        refused = await web.deliver(world.union, BODY)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        ready = await web.client.get("/readyz")
        assert ready.status_code == 503
        assert "HARMLINE_DOOR_KEY_FILE is not the key that the door has" in ready.text
    async with serving(elsewhere(world, HeldKeys(held(world)[0]), foreign)) as web:
        assert (await web.deliver(world.union, BODY)).status_code == 202
        assert "HARMLINE_DOOR_KEY_FILE" in (await web.client.get("/readyz")).text


@pytest.mark.slow
async def test_the_door_alone_is_a_process_that_anybody_can_start(world: World, tmp_path: Path) -> None:
    """`harmline serve --no-work` with the door's key, and no other: then the top key is put beside it, and it reads."""
    top_key, door = held(world)
    create_key_file(tmp_path / "door.key", key=door)
    port = free_port()
    named = {"DATABASE_URL": world.owner_url, "KEY_FILE": str(tmp_path / "top.key"), "PORT": str(port), "CANARY": "no"}
    named |= {"UNSAFE_STORE": "yes", "UNSAFE_LOGIN": "yes", "BASE_URL": f"http://localhost:{port}"}
    environment = {**os.environ, **{f"HARMLINE_{name}": value for name, value in named.items()}}
    process = serve_no_work(environment, tmp_path / "log")
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
            async with asyncio.timeout(START_SECONDS):
                while (ready := await _asked(client)) is None or ready.status_code != 200:
                    assert process.poll() is None, (tmp_path / "log").read_text()
                    await asyncio.sleep(0.2)
            assert ready.json()["status"] == "taking in only"
            headers = sign(world.union.connection.secret, BODY, at=clock.machine())
            headers |= {"content-type": "application/json"}
            sent = await client.post(world.union.connection.path, content=BODY, headers=headers)
            assert sent.status_code == 202
            create_key_file(tmp_path / "top.key", key=top_key)
            assert (await client.get("/readyz")).json()["status"] == "ready"
    finally:
        process.terminate()
        process.wait(30)
    assert "top.key is not here" in (tmp_path / "log").read_text()
    assert await bodies(world) == {BODY}


def serve_no_work(environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve", "--no-work"], env=environment, stdout=said, stderr=said
        )


async def _asked(client: httpx.AsyncClient) -> httpx.Response | None:
    try:
        return await client.get("/readyz")
    except httpx.TransportError:
        return None
