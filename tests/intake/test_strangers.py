"""A delivery that names people whom nobody watches: of them nothing is kept, not even a hash, and the accounts close."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app.intake.models import Event, Receipt
from app.intake.sealing import open_body
from app.intake.workers import erase_by_term
from app.kit import clock
from app.operations import replay
from connectors.hibp_callback.connector import HibpCallback
from connectors.registry import registry
from connectors.testing.cases import PUSHED
from tests.connectors.desk import Desk, open_desk, references
from tests.connectors.suite import cases
from tests.intake.counting import books
from tests.support.rows import contents
from tests.support.world import World

MANY = 300
NAME = "hibp_callback"
OURS = references(registry()[NAME])[0]
CASE = next(case for case in cases(NAME) if case.way == PUSHED)


def named(number: int) -> str:
    return hashlib.sha1(f"somebody else {number}".encode(), usedforsecurity=False).hexdigest()[6:]


STRANGERS = [named(number) for number in range(MANY)]


def callback() -> bytes:
    suffixes = [*STRANGERS[: MANY // 2], OURS[6:], *STRANGERS[MANY // 2 :]]
    return json.dumps({"breachName": "InventedShop", "hashPrefix": OURS[:6].upper(), "hashSuffixes": suffixes}).encode()


async def rows(world: World) -> list[Event]:
    async with world.context.database.begin(read_only=True) as tx:
        return list((await tx.execute(select(Event).order_by(Event.position))).scalars())


async def require_one_of_many(desk: Desk) -> None:
    """Ours is kept; each stranger is one of the events that were no alert, and no more."""
    found = await rows(desk.world)
    assert [event.position for event in found if event.outcome == "breach_record"] == [MANY // 2]
    others = [event for event in found if event.outcome == "non_alert"]
    assert len(others) == MANY
    assert {(event.reason, event.path) for event in others} == {("about somebody who is not enrolled", None)}
    kept = [(e.sealed, e.wrapped_key, e.content_hash, e.reference_index, e.alert_id) for e in others]
    assert set(kept) == {(None,) * 5}
    (ours,) = [event for event in found if event.outcome == "breach_record"]
    assert ours.sealed is not None
    assert ours.reference_index is not None
    told = await books(desk.world)
    assert (told["events"], told["quarantined"], told["unmatched"]) == (MANY + 1, 0, {})


async def test_of_strangers_in_a_delivery_nothing_is_kept_but_that_they_were_there(world: World) -> None:
    desk = await open_desk(world, registry()[NAME])
    assert (await desk.post(CASE, callback())).status_code == 202
    await world.workers.drain()
    await require_one_of_many(desk)
    assert (await desk.post(CASE, callback())).json()["repeat"]
    await world.workers.drain()
    await require_one_of_many(desk)
    assert await replay(world.context, world.union.id) == 0
    everything = str(await contents(world.context.database))
    assert [name for name in STRANGERS if name in everything] == []


async def test_what_was_set_aside_by_a_mistake_of_ours_is_forgotten_too_once_it_is_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError

    desk = await open_desk(world, registry()[NAME])
    monkeypatch.setattr(HibpCallback, "normalise", broken)
    await desk.post(CASE, callback())
    await world.workers.drain()
    assert (await books(world))["quarantined"] == MANY + 1
    monkeypatch.undo()
    assert await replay(world.context, world.union.id) == 1
    await require_one_of_many(desk)


async def test_the_delivery_itself_is_gone_after_a_week(world: World) -> None:
    desk = await open_desk(world, registry()[NAME])
    await desk.post(CASE, callback())
    await world.workers.drain()
    clock.set_to(clock.now() + timedelta(days=7, minutes=1))
    assert await erase_by_term(world.context.database, world.context.keyring) == 1
    async with world.context.database.begin(read_only=True) as tx:
        (receipt,) = (await tx.execute(select(Receipt))).scalars()
        assert await open_body(tx, world.context.keyring, receipt) is None
    await require_one_of_many(desk)
