"""Replay: after a mapping is mended, what was set aside becomes alerts once, and nothing that was understood changes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from app.intake.models import Event, Receipt
from app.kit import clock
from app.operations import replay, trace
from connectors.asking import Asked
from connectors.contract import Alert, BrokenEvent, Malformed, RawEvent
from connectors.standard.connector import Standard
from tests.intake.counting import books, outcomes, receipts
from tests.support.rows import contents, counts, grown
from tests.support.world import NOW, World, alert

KIND = "new_account.credit_card"
WITHOUT = {name: kind for name, kind in Standard.events.items() if name != KIND}


async def test_a_kind_that_was_not_mapped_is_one_alert_after_the_fix_and_a_replay_not_two(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Standard, "events", WITHOUT)
    first = await world.deliver({"alerts": [alert(), alert(id="a-2", type="inquiry.hard", institution="Other Bank")]})
    await world.deliver({"alerts": [alert()]})
    assert len(await world.timeline()) == 1
    assert (await outcomes(world))[0] == ("quarantined", "unknown event type", "type")
    monkeypatch.undo()
    assert await world.workers.drain() == 0, "nothing wakes by itself"
    clock.set_to(NOW + timedelta(days=3))
    assert await replay(world.context, world.union.id) == 2
    assert [entry["alerts"] for entry in await world.timeline()] == [1, 1]
    assert [outcome for outcome, *_ in await outcomes(world)] == ["new", "new", "sighting"]
    found = await books(world)
    assert (found["quarantined"], found["events"], found["alerts"]) == (0, 3, 2)
    story = await trace(world.context, UUID(first.json()["receipt"]))
    assert [event["outcome"] for event in story["events"]] == ["new", "new"]
    async with world.context.database.begin(read_only=True) as tx:
        times = set((await tx.execute(select(Event.received_at))).scalars())
    assert times == {NOW}, "it was received when it came, not when it was understood"


async def test_a_replay_of_a_replay_changes_nothing_at_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Standard, "events", WITHOUT)
    await world.deliver(alert())
    await world.deliver(alert(member="ref-M-2", id="a-9"))
    await world.workers.drain()
    monkeypatch.undo()
    assert await replay(world.context, world.union.id) == 2
    before = await contents(world.context.database)
    assert await replay(world.context, world.union.id) == 0
    assert await contents(world.context.database) == before


async def test_what_is_still_not_understood_stays_and_only_the_replay_itself_is_written_down(world: World) -> None:
    await world.deliver({"alerts": [alert(), {**alert(id="a-2"), "amount": 7}, alert(id="a-1", member="ref-M-2")]})
    await world.deliver(b"junk")
    await world.workers.drain()
    before, rows = await counts(world.context.database), await contents(world.context.database)
    assert await replay(world.context, world.union.id) == 2
    after = await contents(world.context.database)
    assert grown(before, await counts(world.context.database)) == {"ledger_entry": 2}
    assert {row[2] for row in after["ledger_entry"] if row not in rows["ledger_entry"]} == {"replay"}
    assert after["alert"] == rows["alert"]
    assert after["event"] == rows["event"]


async def test_what_was_understood_stays_as_it_was_even_when_the_mapping_now_says_something_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.deliver({"alerts": [alert(), None]})
    await world.timeline()
    before = await contents(world.context.database)
    real = Standard.normalise

    def other(self: Standard, event: RawEvent) -> Any:
        said = real(self, event)
        return said.model_copy(update={"identity": ("another",)}) if isinstance(said, Alert) else said

    monkeypatch.setattr(Standard, "normalise", other)
    await replay(world.context, world.union.id)
    after = await contents(world.context.database)
    for name in ("alert", "event", "member_event", "incident"):
        assert after[name] == before[name], name


async def test_a_mapping_that_changes_the_kind_cannot_double_an_alert(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is made of the provider's own identity, never of our kind."""
    await world.deliver(alert())
    await world.timeline()
    monkeypatch.setattr(Standard, "events", {**Standard.events, KIND: Standard.events["inquiry.hard"]})
    await world.deliver({"alerts": [alert()]})
    (incident,) = await world.timeline()
    assert incident["alerts"] == 1
    assert (await books(world))["sightings"] == 1


async def test_our_own_mistake_sets_one_receipt_aside_and_a_replay_after_the_fix_brings_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Standard.split

    def fails(self: Standard, body: bytes, asked: Asked) -> Any:
        if b"a-2" in body:
            raise ZeroDivisionError
        return real(self, body, asked)

    monkeypatch.setattr(Standard, "split", fails)
    await world.deliver(alert())
    await world.deliver(alert(id="a-2", institution="Other Bank"))
    assert len(await world.timeline()) == 1
    assert [receipt.reason for receipt in await receipts(world)] == [None, "connector failed: ZeroDivisionError"]
    assert (await books(world))["unsplittable"] == 1
    monkeypatch.undo()
    assert await replay(world.context, world.union.id) == 1
    assert len(await world.timeline()) == 2


async def test_a_failure_inside_the_core_is_set_aside_whole_and_replayed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("app.intake.parts.identity_bytes", fails)
    await world.deliver({"alerts": [{"id": "p", "type": "ping"}, alert()]})
    assert await world.timeline() == []
    assert (await receipts(world))[0].reason == "handling failed: ZeroDivisionError"
    assert await outcomes(world) == []
    monkeypatch.undo()
    assert await replay(world.context, world.union.id) == 1
    assert len(await world.timeline()) == 1
    assert [outcome for outcome, *_ in await outcomes(world)] == ["non_alert", "new"]


async def test_a_stale_delivery_is_taken_by_a_replay_because_a_person_decided_so(world: World) -> None:
    await world.deliver(alert(), at=NOW - timedelta(days=2))
    assert await world.timeline() == []
    assert await replay(world.context, world.union.id) == 1
    assert len(await world.timeline()) == 1
    (receipt,) = await receipts(world)
    assert receipt.verification["outcome"] == "stale", "what the verifier said stays"


async def test_a_quarantined_event_is_replayed_from_its_own_copy_when_the_delivery_can_no_longer_be_opened(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Standard, "events", WITHOUT)
    await world.deliver({"alerts": [alert(id="of-1", type="inquiry.hard"), alert(id="of-2", member="ref-M-2")]})
    await world.workers.drain()
    monkeypatch.undo()
    async with world.context.database.begin() as tx:
        await tx.execute(update(Receipt).values(wrapped_key=None))
    assert await replay(world.context, world.union.id) == 1
    assert len(await world.timeline("M-2")) == 1
    assert len(await world.timeline("M-1")) == 1
    assert await replay(world.context, world.union.id) == 0


async def test_one_organizations_replay_leaves_the_others_alone(world: World) -> None:
    await world.deliver(b"junk")
    await world.deliver(b"junk", world.other)
    await world.workers.drain()
    before = await contents(world.context.database)
    assert await replay(world.context, world.union.id) == 1
    after = await contents(world.context.database)
    new = [row for row in after["ledger_entry"] if row not in before["ledger_entry"]]
    assert [row[1] for row in new] == [world.union.id]
    assert [row[2] for row in new] == ["replay"]


async def test_a_connector_that_says_what_no_database_can_keep_does_not_stop_the_inbox(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Standard.split

    def hostile(self: Standard, body: bytes, asked: Asked) -> Any:
        if b"whole" in body:
            raise Malformed("a\x00\ud800")
        return [BrokenEvent("b\x00\udfff" * 200), *real(self, body, asked)]

    monkeypatch.setattr(Standard, "split", hostile)
    await world.deliver({"whole": 1})
    await world.deliver(alert())
    assert len(await world.timeline()) == 1
    assert [receipt.state for receipt in await receipts(world)] == ["unsplittable", "handled"]
    assert [(outcome, path and path[:4]) for outcome, _, path in await outcomes(world)] == [
        ("quarantined", "b??b"),
        ("new", None),
    ]
