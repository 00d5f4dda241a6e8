"""What is new and has its member comes to the timeline in the step that understands it; messages tell of all the rest."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from app.incidents import matching
from app.incidents.models import IncidentAlert, MemberEvent, Unmatched
from app.incidents.topics import INCIDENTS_CHANGED, INCIDENTS_LINKED
from app.intake import handling, repository
from app.intake.fresh import Fresh, nothing_brought
from app.intake.handling import ALERT_SEEN
from app.intake.models import EventOutcome, Receipt, ReceiptState
from app.intake.parts import Part
from app.intake.understanding import alert_in
from app.intake.workers import handle_waiting
from app.kit import clock
from app.kit.database import Transaction
from app.kit.keyring import Keyring
from app.kit.outbox import RECEIPTS, Message, publish_many
from app.ledger.models import LedgerEntry
from app.linkage import service as linkage
from app.linkage.models import Link
from connectors.contract import RawEvent
from tests.support.world import World, alert


async def taken_in(world: World) -> int:
    """What waits, handled as the workers do; none of the consumers has its turn."""
    return await handle_waiting(world.context.database, world.context.keyring, world.workers._bring)


async def rows(world: World, query: Any) -> list[Any]:
    async with world.context.database.begin(read_only=True) as tx:
        return list((await tx.execute(query)).scalars())


async def messages(world: World, topic: str) -> list[dict[str, Any]]:
    return [row.payload for row in await rows(world, select(Message).where(Message.topic == topic).order_by(Message.id))]


async def test_an_alert_of_a_member_is_an_incident_at_once_and_needs_no_message(world: World) -> None:
    await world.deliver({"alerts": [alert(), alert(), alert(summary="Told in other words.")]})
    assert await taken_in(world) == 1
    brought = await rows(world, select(MemberEvent).order_by(MemberEvent.event_id))
    assert [row.outcome for row in brought] == ["new", "sighting", "revision"]
    assert len(await rows(world, select(IncidentAlert))) == 1
    assert await messages(world, ALERT_SEEN) == []
    assert [row.kind for row in await rows(world, select(LedgerEntry).where(LedgerEntry.kind == "match"))] == ["match"]
    await world.workers.drain()
    assert len(await world.timeline()) == 1


async def present(world: World) -> list[tuple[UUID, UUID]]:
    links = await rows(world, select(Link).where(Link.superseded_at.is_(None)).order_by(Link.member_id, Link.breach_id))
    return [(link.incident_id, link.breach_id) for link in links]


async def test_its_links_are_found_in_the_same_step_and_by_nobody_again(world: World) -> None:
    await world.workers.drain()
    await world.deliver(alert())
    await taken_in(world)
    at_once = await present(world)
    assert at_once
    assert len(await messages(world, INCIDENTS_LINKED)) == 1
    assert await messages(world, INCIDENTS_CHANGED) == []
    await world.workers.drain()
    assert await present(world) == at_once
    told = await rows(world, select(LedgerEntry).where(LedgerEntry.kind == "link"))
    assert len(told) == len(at_once)


async def test_what_cannot_be_linked_comes_to_its_timeline_all_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes by message, and so do its links: their own worker sets aside what fails, and comes back to it."""

    def fails(*_: object) -> None:
        raise ZeroDivisionError

    await world.workers.drain()
    monkeypatch.setattr(linkage, "_questions", fails)
    await world.deliver(alert())
    await world.workers.drain()
    assert len(await world.timeline()) == 1
    assert await present(world) == []
    monkeypatch.undo()
    clock.set_to(clock.now() + timedelta(minutes=1))
    await world.workers.drain()
    assert await present(world) != []


async def test_each_member_is_told_of_their_own_receipts_only(world: World) -> None:
    mine = (await world.deliver(alert())).json()["receipt"]
    theirs = (await world.deliver(alert(id="a-2", member="ref-M-2"))).json()["receipt"]
    await taken_in(world)
    told = {row["member_id"]: row[RECEIPTS] for row in await messages(world, INCIDENTS_LINKED)}
    members = world.union.members
    assert told == {str(members["M-1"]): mine, str(members["M-2"]): theirs}


async def test_what_is_nobodys_and_what_was_there_before_is_told_of_by_messages(world: World) -> None:
    await world.deliver(alert(id="nobody", member="ref-nobody"))
    await world.deliver(alert())
    await taken_in(world)
    assert len(await messages(world, ALERT_SEEN)) == 1
    assert await rows(world, select(Unmatched)) == [], "its own worker has it wait"
    await world.deliver(alert(summary="Told in other words."))
    await taken_in(world)
    assert len(await messages(world, ALERT_SEEN)) == 2
    assert len(await rows(world, select(MemberEvent))) == 1
    await world.workers.drain()
    assert len(await rows(world, select(MemberEvent))) == 2
    assert [row.reason for row in await rows(world, select(Unmatched))] == ["no_enrollment"]


async def test_when_it_fails_nothing_is_wrong_with_receiving(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of it written is taken back, and messages tell of the alert."""

    async def fails(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(matching, "_bring_events", fails)
    await world.deliver(alert())
    assert await taken_in(world) == 1
    assert [row.state for row in await rows(world, select(Receipt))] == [ReceiptState.HANDLED]
    assert len(await messages(world, ALERT_SEEN)) == 1
    assert await rows(world, select(LedgerEntry).where(LedgerEntry.kind == "match")) == []
    monkeypatch.undo()
    await world.workers.drain()
    assert len(await world.timeline()) == 1


async def test_when_the_store_is_away_the_receipts_wait(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def goes_away(*_: object) -> None:
        raise OperationalError("SELECT", {}, OSError("gone"), connection_invalidated=True)

    monkeypatch.setattr(matching, "_bring_events", goes_away)
    await world.deliver(alert())
    with pytest.raises(OperationalError):
        await taken_in(world)
    monkeypatch.undo()
    assert [row.state for row in await rows(world, select(Receipt))] == [ReceiptState.STORED]
    await world.workers.drain()
    assert len(await world.timeline()) == 1


async def test_what_is_handed_on_at_once_is_what_would_be_opened_later(world: World) -> None:
    """The rooms above get of a part what its event has sealed, and the alert in it."""
    seen: list[Fresh] = []

    async def looks(tx: Transaction, new: Sequence[Fresh]) -> frozenset[UUID]:
        seen.extend(new)
        return await nothing_brought(tx, new) or frozenset()

    for change in ({}, {"id": "a-2", "opened": "2023-04-02"}, {"id": "a-3", "amount": "12.50", "currency": "USD"}):
        await world.deliver(alert(**change))
    await handle_waiting(world.context.database, world.context.keyring, looks)
    parts = [part for one in seen for part in one.parts]
    assert len(parts) == 3
    assert {part.outcome for part in parts} == {EventOutcome.NEW}
    assert [alert_in(part.copy) for part in parts] == [part.understood.alert for part in parts]


async def _fails_at_what_is_nobodys(tx: Transaction, topic: str, said: Sequence[Any]) -> None:
    if topic == ALERT_SEEN and said:
        raise ValueError("a mistake of our own")
    await publish_many(tx, topic, said)


async def test_one_that_cannot_be_told_of_spares_one_that_could_not_be_cut_and_one_that_was_good(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a savepoint took back is read again before anybody looks at it: one bad batch must not stop the rest for good."""
    monkeypatch.setattr(handling, "publish_many", _fails_at_what_is_nobodys)
    await world.deliver(b"this is no JSON")
    await world.deliver(alert(id="nobody", member="ref-nobody"))
    await world.deliver({"id": "p", "type": "ping"})
    assert await taken_in(world) == 3
    states = [(row.state, row.reason) for row in await rows(world, select(Receipt).order_by(Receipt.id))]
    assert [state for state, _ in states] == [ReceiptState.UNSPLITTABLE, ReceiptState.UNSPLITTABLE, ReceiptState.HANDLED]
    assert states[1][1] == "handling failed: ValueError"
    assert states[0][1] != states[1][1]
    monkeypatch.undo()
    await world.deliver(alert())
    await world.workers.drain()
    assert len(await world.timeline()) == 1


async def test_one_whose_key_was_destroyed_in_a_batch_that_fails_spares_its_batch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To let go of a notice destroys keys by one statement, and the rows that are held in memory are expired by it."""
    pass_on = handling._pass_on

    async def destroys_and_fails(tx: Transaction, keyring: Keyring, parts: Sequence[Part]) -> None:
        named = {part.item.body["id"]: part for part in parts if isinstance(part.item, RawEvent)}
        if (gone := named.get("gone")) is not None:
            await repository.destroy_keys_again(tx, gone.receipt.connection_id, {gone.receipt.id}, {gone.id})
        if "bad" in named:
            raise ValueError
        await pass_on(tx, keyring, parts)

    monkeypatch.setattr(handling, "_pass_on", destroys_and_fails)
    for name in ("gone", "bad"):
        await world.deliver(alert(id=name, member="ref-nobody"))
    assert await taken_in(world) == 2
    kept = await rows(world, select(Receipt).order_by(Receipt.id))
    assert [row.state for row in kept] == [ReceiptState.HANDLED, ReceiptState.UNSPLITTABLE]


async def test_the_halves_of_a_batch_that_fails_hold_no_members(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second half asks for its alerts, which another process may hold that waits for the first half's members."""
    asked: list[int] = []
    bring = world.workers._bring

    async def counted(tx: Transaction, new: Sequence[Fresh]) -> Any:
        asked.append(len(new))
        return await bring(tx, new)

    failed: list[str] = []

    async def fails_once(tx: Transaction, topic: str, said: Sequence[Any]) -> None:
        if said and not failed:
            failed.append(topic)
            raise ValueError("a mistake of our own")
        await publish_many(tx, topic, said)

    monkeypatch.setattr(handling, "publish_many", fails_once)
    await world.deliver(alert())
    await world.deliver(alert(id="nobody", member="ref-nobody"))
    await handle_waiting(world.context.database, world.context.keyring, counted)
    assert (asked, failed) == ([2], [ALERT_SEEN])
    assert len(await messages(world, ALERT_SEEN)) == 2, "messages tell of both"
    await world.workers.drain()
    assert len(await world.timeline()) == 1
