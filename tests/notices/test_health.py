"""Health: what is measured of each connection is what really happened on it, and nothing of another organization's."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, update

from app.connections.models import Connection, Poll, PollState
from app.intake.health import ConnectionHealth, HealthState, health_of
from app.kit import clock
from app.notices.conditions import conditions_of
from app.notices.models import AlarmKind
from connectors.sandboxing import Fault
from connectors.standard.connector import Standard
from tests.intake.polled import polled_world
from tests.support.world import NOW, World, alert


async def health(world: World) -> list[ConnectionHealth]:
    async with world.context.database.begin(read_only=True) as tx:
        return await health_of(tx, world.union.id)


async def test_a_connection_that_is_sent_to(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (new,) = await health(world)
    assert (new.state, new.last_success_at, new.deadline, new.quarantined_share) == (HealthState.NEVER, None, None, None)
    await world.deliver({"alerts": [alert(), alert(id="a-2"), {**alert(id="a-3"), "amount": 7}]})
    await world.deliver(b"junk")
    await world.deliver(alert(), secret=world.other.connection.secret)
    await world.deliver(b"junk", world.other)
    clock.set_to(NOW + timedelta(minutes=2))
    (waits,) = await health(world)
    assert (waits.unhandled, waits.oldest_unhandled_at, waits.overdue) == (2, NOW, timedelta(minutes=2))
    await world.workers.drain()
    monkeypatch.setattr(Standard, "events", {})
    await world.deliver(alert(id="a-4"))
    await world.workers.drain()
    (one,) = await health(world)
    assert (one.state, one.last_success_at, one.last_receipt_at) == (HealthState.OK, clock.now(), clock.now())
    assert (one.events, one.quarantined, one.unknown_types, one.set_aside, one.refused_today) == (4, 2, 1, 1, 1)
    assert (one.quarantined_share, one.unhandled, one.overdue, one.next_due_at) == (0.5, 0, timedelta(), None)
    clock.set_to(NOW + timedelta(days=8))
    (later,) = await health(world)
    assert (later.events, later.quarantined, later.set_aside, later.refused_today) == (0, 0, 0, 0)
    assert later.last_receipt_at == one.last_receipt_at


async def test_a_connection_that_is_asked(world: World) -> None:
    async with polled_world(world) as polled:
        _, new = await health(world)
        assert (new.state, new.next_due_at, new.deadline) == (HealthState.NEVER, NOW, NOW + timedelta(hours=2))
        await polled.ask()
        clock.set_to(NOW + timedelta(minutes=30))
        _, good = await health(world)
        due = NOW + timedelta(hours=1)
        assert (good.state, good.last_success_at, good.next_due_at, good.overdue) == (HealthState.OK, NOW, due, timedelta())
        async with world.context.database.begin() as tx:
            this = update(Poll).where(Poll.connection_id == polled.connection_id)
            await tx.execute(this.values(last_success_at=clock.now()))
        _, empty = await health(world)
        assert (empty.last_success_at, empty.last_receipt_at) == (clock.now(), NOW), "an answer that brings nothing is a good one"
        polled.provider.misbehave(Fault.REFUSED)
        clock.set_to(due)
        await polled.ask()
        _, bad = await health(world)
        assert (bad.state, bad.failures, bad.last_success_at) == (HealthState.CREDENTIALS, 1, empty.at)
        assert bad.waits_until == bad.next_due_at == due + timedelta(hours=1)
        assert "127.0.0.1" not in (bad.error or "none")
        clock.set_to(due + timedelta(minutes=10))
        assert (await health(world))[1].overdue == timedelta(minutes=10)
        async with world.context.database.begin() as tx:
            this = update(Connection).where(Connection.id == polled.connection_id)
            await tx.execute(this.values(paused_at=clock.now()))
        _, paused = await health(world)
        assert (paused.state, paused.deadline, paused.next_due_at, paused.overdue) == (
            HealthState.PAUSED,
            None,
            None,
            timedelta(),
        )


async def test_the_number_of_queries_does_not_grow_with_the_connections(world: World) -> None:
    asked: list[str] = []
    engine = world.context.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    counts = []
    async with polled_world(world):
        for _ in range(2):
            asked.clear()
            await health(world)
            counts.append(len(asked))
            async with world.context.database.begin() as tx:
                for number in range(5):
                    row = {"connector": "standard", "title": str(number), "sender": "provider", "token_hash": b"x"}
                    tx.add(Connection(organization_id=world.union.id, created_at=NOW, **row))
    assert counts[0] == counts[1] <= 12


moments = st.one_of(st.none(), st.timedeltas(timedelta(days=-40), timedelta(days=1)).map(lambda by: NOW + by))
small = st.integers(0, 8)


@st.composite
def healths(draw: st.DrawFn) -> ConnectionHealth:
    success, receipt, waits, oldest, deadline = (draw(moments) for _ in range(5))
    events = draw(small)
    return ConnectionHealth(
        connection_id=draw(st.uuids()),
        title="A title",
        connector="standard",
        state=draw(st.sampled_from(HealthState)),
        at=NOW,
        last_success_at=success,
        last_receipt_at=receipt,
        next_due_at=None,
        waits_until=waits,
        overdue=timedelta(),
        failures=draw(small),
        error=None,
        events=events,
        quarantined=draw(st.integers(0, events)),
        unknown_types=draw(small),
        set_aside=draw(small),
        unhandled=draw(small),
        oldest_unhandled_at=oldest,
        refused_today=draw(small),
        pushed_today=draw(st.booleans()),
        look_ups_waiting=draw(small),
        look_ups_unknown=draw(small),
        look_ups_not_found=draw(small),
        look_ups_nobodys=draw(small),
        nobodys_since=draw(moments),
        look_ups_failing=draw(small),
        people_failing=draw(small),
        people_failing_long=draw(small),
        made_up=draw(st.booleans()),
        fresh_within=None,
        deadline=deadline,
    )


@given(healths())
def test_worse_is_never_fewer_alarms(one: ConnectionHealth) -> None:
    worse = [
        replace(one, failures=one.failures + 1),
        replace(one, set_aside=one.set_aside + 1),
        replace(one, unknown_types=one.unknown_types + 1),
        replace(one, refused_today=one.refused_today + 1),
        replace(one, made_up=True),
        replace(one, people_failing_long=one.people_failing_long + 1),
        replace(one, look_ups_not_found=one.look_ups_not_found + 1),
        replace(one, events=one.events + 1, quarantined=one.quarantined + 1),
    ]
    assert all(conditions_of(one) <= conditions_of(other) for other in worse)


@given(healths())
def test_what_is_asked_for_only_while_it_is_on(one: ConnectionHealth) -> None:
    assert conditions_of(replace(one, state=HealthState.CLOSED)) == frozenset()
    paused = conditions_of(replace(one, state=HealthState.PAUSED))
    assert not paused & {AlarmKind.CREDENTIALS, AlarmKind.FAILING, AlarmKind.MADE_UP}
    assert AlarmKind.CREDENTIALS in conditions_of(replace(one, state=HealthState.CREDENTIALS))


def test_every_word_of_asking_is_a_word_of_health() -> None:
    assert {state.value for state in PollState} <= {state.value for state in HealthState}
