"""What is remembered of a connection lets nobody in and keeps nobody out: the database has the last word."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event, select, text, update

from app.connections import managing
from app.connections.doors import Doors
from app.connections.models import Connection, ConnectionSecret
from app.connections.service import add_secret
from app.kit import clock
from app.kit.at_once import AtOnce
from app.kit.errors import Problem
from connectors.standard.sandbox import sign
from connectors.verifiers import StandardWebhooks
from tests.support.world import World, alert

ACTS: dict[str, Callable[..., Awaitable[object]]] = {
    "pause": managing.pause,
    "rotate": managing.rotate_secret,
    "address": managing.new_address,
    "retire": lambda *given: managing.retire_old(*given),
    "close": managing.close,
    "rename": lambda *given: managing.change(*given, wanted={"title": "Another name"}),
}


async def revision(world: World) -> int:
    async with world.context.database.begin(read_only=True) as tx:
        query = select(Connection.revision).where(Connection.id == world.union.connection.connection.id)
        return (await tx.execute(query)).scalar_one()


@pytest.mark.parametrize("name", sorted(ACTS))
async def test_every_act_makes_another_revision(world: World, name: str) -> None:
    connection = world.union.connection.connection
    async with world.context.database.begin() as tx:
        await add_secret(tx, world.context.keyring, connection, StandardWebhooks.new_secret())
    before = await revision(world)
    async with world.context.database.begin() as tx:
        await ACTS[name](tx, world.context.keyring, world.union.id, connection.id)
    assert await revision(world) > before


async def test_rows_changed_by_hand_make_another_revision_too(world: World) -> None:
    own = world.union.connection.connection.id
    seen = [await revision(world)]
    for statement in (
        update(Connection).where(Connection.id == own).values(title="By hand"),
        update(ConnectionSecret).where(ConnectionSecret.connection_id == own).values(retired_at=clock.now()),
        text("DELETE FROM connection_secret"),
    ):
        async with world.context.database.begin() as tx:
            await tx.execute(statement)
        seen.append(await revision(world))
    assert seen == sorted(set(seen)), "it rises with every one of them"


async def test_a_new_secret_is_taken_and_a_retired_one_refused_by_the_very_next_delivery(world: World) -> None:
    connection = world.union.connection
    assert (await world.deliver(alert(id="a-0"))).status_code == 202
    for number in range(1, 4):
        async with world.context.database.begin() as tx:
            made = await managing.rotate_secret(
                tx, world.context.keyring, world.union.id, connection.connection.id, overlap_hours=0
            )
        assert (await world.deliver(alert(id=f"a-{number}"), secret=made.secret)).status_code == 202
        assert (await world.deliver(alert(id=f"b-{number}"))).status_code == 401
    async with world.context.database.begin() as tx:
        await managing.close(tx, world.context.keyring, world.union.id, connection.connection.id)
    assert (await world.deliver(alert(id="c"), secret=made.secret)).status_code == 410


async def test_a_delivery_that_is_known_costs_one_transaction_and_no_look_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await world.deliver(alert(id="a-1"))).status_code == 202
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    async def alone(self: AtOnce, statement: str, *values: Any) -> list[Any]:
        statements.append(statement)
        return await fetch(self, statement, *values)

    fetch = AtOnce.fetch
    monkeypatch.setattr(AtOnce, "fetch", alone)
    engine = world.context.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    assert (await world.deliver(alert(id="a-2"))).status_code == 202
    event.remove(engine, "before_cursor_execute", note)
    assert not [said for said in statements if "connection_secret" in said]
    assert len([said for said in statements if "INSERT INTO receipt" in said]) == 1


async def test_a_thousand_who_ask_at_once_share_a_few_reads(world: World) -> None:
    doors = Doors(world.context.database, world.context.keyring)
    reads: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        reads.append(statement)

    engine = world.context.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    own = str(world.union.connection.connection.id)
    found = await asyncio.gather(*(doors.read(own) for _ in range(1000)), *(doors.read(str(uuid4())) for _ in range(3)))
    event.remove(engine, "before_cursor_execute", note)
    assert all(door is not None for door in found[:1000])
    assert found[1000:] == [None, None, None]
    assert len(reads) < 40
    assert doors.known(own) is found[0]


async def test_while_it_is_read_anew_it_is_known_as_it_was(world: World) -> None:
    """Or what is refused meanwhile, in a flood of forgeries most of it, would be counted as nobody's."""
    doors, name = Doors(world.context.database, world.context.keyring), str(world.union.connection.connection.id)
    assert doors.known(name) is None
    first = await doors.read(name)
    assert first is not None
    reading = asyncio.create_task(doors.read(name))
    turns = 0
    while not reading.done():
        assert doors.known(name) is not None
        await asyncio.sleep(0)
        turns += 1
    assert turns > 1
    assert await reading is doors.known(name)


async def test_one_that_cannot_be_opened_takes_no_neighbour_with_it_and_is_forgotten(world: World) -> None:
    """They are read together: a connector that is not installed is a reason for its own senders to come again, no others'."""
    doors = Doors(world.context.database, world.context.keyring)
    good, bad = (str(tenant.connection.connection.id) for tenant in (world.union, world.other))
    for name in (good, bad):
        assert await doors.read(name) is not None
    gone = update(Connection).where(Connection.id == world.other.connection.connection.id).values(connector="not-installed")
    async with world.context.database.begin() as tx:
        await tx.execute(gone)
    for order in ((bad, good), (good, bad)):
        found = dict(zip(order, await asyncio.gather(*map(doors.read, order), return_exceptions=True), strict=True))
        assert found[good] is doors.known(good)
        assert isinstance(found[bad], Problem)
        assert found[bad].status == 503
        assert doors.known(bad) is None


async def test_a_secret_that_runs_out_is_refused_though_it_is_remembered(world: World) -> None:
    connection = world.union.connection
    async with world.context.database.begin() as tx:
        await managing.rotate_secret(tx, world.context.keyring, world.union.id, connection.connection.id, overlap_hours=1)
    body = b'{"type": "ping"}'
    assert (await world.deliver(body)).status_code == 202
    clock.set_to(clock.now().replace(hour=clock.now().hour + 2))
    headers = {"content-type": "application/json", **sign(connection.secret, body, at=clock.now())}
    assert (await world.client.post(connection.path, content=body, headers=headers)).status_code == 401
