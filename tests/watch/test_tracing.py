"""The story of a receipt leads from its first byte to its links and the ledger, and says nothing of anybody."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from app.connections import disputing
from app.kit.errors import Problem
from app.kit.ids import uuid7
from app.operations import trace
from tests.support.world import NOW, World, alert


async def told(world: World, body: Any) -> dict[str, Any]:
    receipt = (await world.deliver(body)).json()["receipt"]
    await world.workers.drain()
    return await trace(world.context, UUID(receipt))


async def test_the_whole_story_of_one_delivery(world: World) -> None:
    body = {"alerts": [alert(), alert(id="a-2", member="ref-nobody"), {**alert(id="a-3"), "amount": 7}]}
    await world.deliver(body)
    story = await told(world, body)
    assert datetime.fromisoformat(story["first_byte_at"]) >= NOW
    assert story["repeats"] == 1
    assert [event["outcome"] for event in story["events"]] == ["new", "new", "quarantined"]
    matched, waits = story["matches"]
    assert (matched["member"], matched["at"]) == (world.union.members["M-1"], NOW)
    assert (waits["waits"], waits["since"]) == ("no_enrollment", NOW)
    (incident,) = story["incidents"]
    assert incident["alerts"] == [matched["alert"]]
    assert {link["incident"] for link in story["links"]} == {incident["incident"]}
    assert len(story["links"]) >= 1
    acts = [entry["act"] for entry in story["ledger"]]
    assert acts[:3] == ["receipt", "normalisation", "match"]
    assert acts.count("link") == len(story["links"])
    written = json.dumps(story, default=str)
    for value in ("Avery", "Invented Bank", "4321", "2500", "A new card", "ref-M-1", "avery@example.org", "whsec_"):
        assert value not in written, value


async def test_another_receipt_of_the_same_member_is_not_in_it(world: World) -> None:
    other = await told(world, alert(id="b-1", institution="Another Bank", opened="2021-01-01"))
    story = await told(world, alert())
    named = json.dumps(story["ledger"], default=str)
    assert other["receipt"] not in named
    assert {row["incident"] for row in story["incidents"]}.isdisjoint(row["incident"] for row in other["incidents"])


async def test_a_receipt_that_is_disputed_is_told_by_which_mark(world: World) -> None:
    story = await told(world, alert())
    assert story["disputed"] == []
    where = (world.context.keyring, world.union.id, world.union.connection.connection.id)
    async with world.context.database.begin() as tx:
        made = await disputing.dispute(tx, *where, received_from=NOW, reason="zqreason")
    story = await trace(world.context, UUID(story["receipt"]))
    assert story["disputed"] == [{"dispute": made.id, "from": NOW, "until": None, "marked_at": NOW}]
    assert "zqreason" not in json.dumps(story, default=str)
    async with world.context.database.begin() as tx:
        await disputing.withdraw(tx, *where, made.id)
    assert (await trace(world.context, UUID(story["receipt"])))["disputed"] == []


async def test_a_receipt_that_is_not_there(world: World) -> None:
    with pytest.raises(Problem) as refused:
        await trace(world.context, uuid7())
    assert refused.value.status == 404
