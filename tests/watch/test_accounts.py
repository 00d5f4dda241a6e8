"""The accounts close over everything that really happens, and each way in which they could not is found and told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update

from app.intake.first_byte import Acknowledged, Told
from app.intake.models import Event, Receipt
from app.kit import clock, ids
from app.kit.database import Transaction
from app.kit.ids import uuid7
from app.ledger.models import LedgerEntry
from app.main import create_app
from app.notices import service, workers
from app.notices.models import AlarmKind
from app.watch.accounts import Amiss, Identity, broken, untrue
from app.watch.repository import Held
from app.watch.tracing import first_byte_at
from app.watch.workers import Watcher
from tests.support.scraped import monitor
from tests.support.world import NOW, World, alert

SETTLED = timedelta(minutes=3)
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def settle() -> None:
    """Let so much time pass that nothing is too young to be checked: ids never run backwards, the clock does between tests."""
    clock.set_to(max(clock.now(), first_byte_at(uuid7())) + SETTLED)


async def everything(world: World) -> list[str]:
    """One of each: new, sighting, revision, quarantined, unsplittable, repeated, refused, another organization's."""
    told = []
    for body in (alert(), {"alerts": [alert(), alert(id="a-2")]}, alert(summary="Other words."), b"junk"):
        told.append((await world.deliver(body)).json()["receipt"])
    await world.deliver({"alerts": [{**alert(id="a-3"), "amount": 7}, alert(id="a-4")]})
    await world.deliver(alert())
    await world.deliver(alert(), secret=world.other.connection.secret)
    await world.deliver(alert(), world.other)
    await world.workers.drain()
    settle()
    return told


async def checked(world: World, watcher: Watcher | None = None) -> dict[str, int]:
    """What one tick finds, by identity, as the gauges tell it."""
    await (watcher or world.workers.watcher).check_accounts()
    with monitor() as one:
        said = {labels: value for (name, labels), value in one.samples().items() if name == "harmline_accounts_difference"}
    told = {identity.value: int(said[frozenset({("identity", identity.value)})]) for identity in Identity}
    return {identity: count for identity, count in told.items() if count}


async def alarms(world: World, watcher: Watcher) -> set[str]:
    await workers.watch(world.context, await watcher.signs())
    async with world.context.database.begin(read_only=True) as tx:
        return {str(one.kind) for one in await service.open_alarms(tx, world.union.id)} & {AlarmKind.ACCOUNTS}


async def test_a_process_without_workers_looks_after_what_it_told_its_senders(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else knows: the workers are other processes, and have answered nobody."""
    looked = asyncio.Event()
    check = Watcher.check_answers

    async def noted(self: Watcher) -> list[Amiss]:
        found = await check(self)
        looked.set()
        return found

    monkeypatch.setattr(Watcher, "check_answers", noted)
    app = create_app(context=world.context, work=False)
    async with app.router.lifespan_context(app):
        await asyncio.wait_for(looked.wait(), 30)
        app.state.acknowledged.note(world.union.connection.path, b'{"receipt":"%s","repeat":false}' % str(uuid7()).encode())
        assert [one.identity for one in await app.state.workers.watcher.check_answers()] == [Identity.ACKNOWLEDGED]
        with monitor() as one:
            assert one.value("harmline_accounts_difference", identity="acknowledged") == 1


@pytest.fixture(autouse=True)
def ids_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids of a process never run backwards, but tests' clocks do: begin with none, as a new process does."""
    monkeypatch.setattr(ids._sequence, "last", 0)


async def test_they_close_over_everything_that_happens(world: World) -> None:
    with monitor() as one:
        before = one.value("harmline_accounts_checked_receipts_total")
        await everything(world)
        assert await checked(world) == {}
        assert one.value("harmline_accounts_checked_receipts_total") - before == 2 * 6, "the newest ones, and all there are"
        assert one.value("harmline_accounts_checked_up_to_timestamp_seconds") > NOW.timestamp()
        assert one.value("harmline_accounts_whole_timestamp_seconds") == clock.now().timestamp()
        assert await checked(world) == {}
        assert one.value("harmline_accounts_checked_receipts_total") - before == 12, "what was seen is not looked at again"
    assert await alarms(world, world.workers.watcher) == set()


async def a_receipt_past_the_ledger(tx: Transaction, receipt_id: UUID) -> None:
    row = (await tx.execute(select(Receipt.__table__).where(Receipt.id == receipt_id))).mappings().one()
    await tx.execute(insert(Receipt).values({**row, "id": uuid7(), "body_hash": b"other"}))


async def a_receipt_that_is_gone(tx: Transaction, receipt_id: UUID) -> None:
    await tx.execute(delete(Event).where(Event.receipt_id == receipt_id))
    await tx.execute(delete(Receipt).where(Receipt.id == receipt_id))


async def an_event_that_is_gone(tx: Transaction, receipt_id: UUID) -> None:
    await tx.execute(delete(Event).where(Event.receipt_id == receipt_id, Event.position == 0))


async def an_event_without_a_known_outcome(tx: Transaction, receipt_id: UUID) -> None:
    await tx.execute(update(Event).where(Event.receipt_id == receipt_id, Event.position == 0).values(outcome="lost"))


async def an_alert_that_nobody_made(tx: Transaction, receipt_id: UUID) -> None:
    await tx.execute(update(Event).where(Event.receipt_id == receipt_id, Event.outcome == "new").values(outcome="sighting"))


BREAKAGES = [
    (a_receipt_past_the_ledger, {"ledger": 1}),
    (a_receipt_that_is_gone, {"acknowledged": 1, "receipts": 1}),
    (an_event_that_is_gone, {"events": 1}),
    (an_event_without_a_known_outcome, {"events": 1}),
    (an_alert_that_nobody_made, {"alerts": 1}),
]


@pytest.mark.parametrize(("breakage", "found"), BREAKAGES, ids=[one.__name__ for one, _ in BREAKAGES])
async def test_whatever_does_not_close_is_a_metric_and_an_alarm(
    world: World, breakage: Callable[[Transaction, UUID], object], found: dict[str, int]
) -> None:
    told = await everything(world)
    async with world.context.database.begin() as tx:
        await breakage(tx, UUID(told[1]))  # type: ignore[misc]
    settle()
    assert await checked(world) == found
    assert await checked(world) == found, "it is told of until it is mended"
    assert await alarms(world, world.workers.watcher) == {AlarmKind.ACCOUNTS}


async def test_what_is_mended_is_over(world: World) -> None:
    told, watcher = UUID((await everything(world))[1]), world.workers.watcher
    this = update(Event).where(Event.receipt_id == told, Event.position == 0)
    async with world.context.database.begin() as tx:
        before = (await tx.execute(select(Event.outcome).where(Event.receipt_id == told, Event.position == 0))).scalar_one()
        await tx.execute(this.values(outcome="lost"))
    assert await checked(world) == {"events": 1}
    assert await alarms(world, watcher) == {AlarmKind.ACCOUNTS}
    async with world.context.database.begin() as tx:
        await tx.execute(this.values(outcome=before))
    clock.set_to(clock.now() + timedelta(minutes=61))
    assert await checked(world) == {}
    clock.set_to(clock.now() + timedelta(minutes=61))
    assert await checked(world) == {}
    assert await alarms(world, watcher) == set()


@on_sqlite
async def test_a_restart_does_not_say_that_it_is_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    told = UUID((await everything(world))[1])
    async with world.context.database.begin() as tx:
        await an_event_that_is_gone(tx, told)
    await checked(world)
    assert await alarms(world, world.workers.watcher) == {AlarmKind.ACCOUNTS}
    clock.set_to(clock.now() + timedelta(hours=3))
    after = Watcher(world.context, world.workers.readiness, Acknowledged())
    assert await alarms(world, after) == {AlarmKind.ACCOUNTS}, "nothing was looked at yet, so nothing is known to be well"
    assert await checked(world, after) == {"events": 1}, "the walk over everything finds it again"
    assert await alarms(world, after) == {AlarmKind.ACCOUNTS}


@pytest.mark.long
@on_sqlite
async def test_much_is_walked_over_in_small_steps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.watch.checking.STEP", 2)
    monkeypatch.setattr("app.watch.workers.WHOLE_STEPS", 1)
    told = UUID((await everything(world))[1])
    async with world.context.database.begin() as tx:
        await a_receipt_that_is_gone(tx, told)
    clock.set_to(clock.now() + timedelta(hours=2))
    after, ticks = Watcher(world.context, world.workers.readiness, Acknowledged()), 0
    while not await checked(world, after):
        ticks += 1
        assert ticks < 100
    assert ticks >= 2, "one tick goes one step only"


@pytest.mark.long
@on_sqlite
async def test_an_answer_that_lies_is_found(world: World) -> None:
    watcher, connection = world.workers.watcher, world.union.connection.connection.id
    receipt = (await world.deliver(alert())).json()["receipt"]
    settle()
    kept, path = watcher.book.acknowledged, f"/webhooks/{connection}/x"
    assert await checked(world) == {}
    kept.note(path, b'{"receipt":"%s","repeat":true}' % receipt.encode())
    assert await checked(world) == {"acknowledged": 1}, "a repeat that was never counted"
    kept.note(path, b'{"receipt":"%s","repeat":false}' % str(uuid7()).encode())
    kept.note(path, b"<html>")
    assert await checked(world) == {"acknowledged": 3}


async def test_the_ledger_is_not_touched_by_looking(world: World) -> None:
    await everything(world)
    async with world.context.database.begin(read_only=True) as tx:
        before = (await tx.execute(select(LedgerEntry.id).order_by(LedgerEntry.id))).scalars().all()
    await checked(world)
    async with world.context.database.begin(read_only=True) as tx:
        assert (await tx.execute(select(LedgerEntry.id).order_by(LedgerEntry.id))).scalars().all() == before


@given(
    st.dictionaries(st.sampled_from(["new", "sighting", "revision", "non_alert", "quarantined"]), st.integers(1, 9), max_size=5)
)
def test_events_in_a_row_with_known_outcomes_close(outcomes: dict[str, int]) -> None:
    cut = sum(outcomes.values())
    receipt = Held(UUID(int=1), UUID(int=2), "handled", outcomes, cut - 1 if cut else None, in_ledger=True, odd_alerts=0)
    assert broken(receipt) == set()
    for wrong in ({**outcomes, "lost": 1}, {**outcomes, "new": outcomes.get("new", 0) + 1}):
        highest = sum(wrong.values()) - 1 if "lost" in wrong else max(cut - 1, 5 + sum(wrong.values()))
        assert broken(Held(receipt.id, receipt.organization_id, "handled", wrong, highest, True, 0)) == {Identity.EVENTS}


def test_a_repeat_is_true_when_it_was_counted_as_often_as_it_was_told() -> None:
    one, two = UUID(int=1), UUID(int=2)
    told = [Told(two, one, repeat) for repeat in (False, True, True)]
    assert untrue(told, {one: 2}) == set()
    assert untrue(told, {one: 1}) == set(told)
    assert untrue(told[:1], {one: 0}) == set()
    assert untrue(told[:1], {}) == set(told[:1])
