"""Alarms: each kind is opened by breaking the real thing, told of once, and over when the thing is mended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import update
from starlette.responses import Response

from app.access import service as access
from app.access.roles import Role
from app.connections.models import Connection, PollState
from app.incidents import matching
from app.intake import handing_on, looking_up
from app.intake.models import LookUpState
from app.kit import clock, dns
from app.kit.outbox import LAST_ATTEMPT
from app.notices import service, workers
from app.notices.conditions import MOST_FAILURES, MOST_REFUSED, Condition
from app.notices.models import AlarmKind
from app.notices.service import OVER_AFTER
from app.operations import replay
from connectors.http import sandbox_allowed
from connectors.registry import registry
from connectors.sandboxing import Fault, Manner, serving
from connectors.standard.connector import Standard
from tests.connectors.stage import enroll_whom_forgers_name, staged
from tests.intake.exports import hand_in_mail, mailbox
from tests.intake.looked_up import looked_up_world
from tests.intake.polled import Polled, connect
from tests.mail.signing import plain_mail, sign
from tests.notices.mailed import ADMIN, Mailed, mailed_world, on_sqlite
from tests.support.paged import PagedSandbox, paged_registered
from tests.support.world import NOW, Filled, alert

EVERY = timedelta(hours=1)


@pytest.fixture
async def mailed(filled_database: tuple[str, Filled]) -> AsyncIterator[Mailed]:
    async with mailed_world(filled_database) as made:
        yield made


@asynccontextmanager
async def polling(mailed: Mailed) -> AsyncIterator[tuple[Polled, AsyncExitStack]]:
    """A polled connection that has worked once; closing the stack stops its provider."""
    provider, world = PagedSandbox(clock.now), mailed.world
    with paged_registered():
        async with AsyncExitStack() as stack:
            base_url = await stack.enter_async_context(serving(provider))
            polled = Polled(world, provider, await connect(world, base_url), base_url)
            await polled.ask()
            assert await mailed.watch() == set()
            yield polled, stack
        await world.workers.asker.close()


async def fail(polled: Polled, times: int) -> None:
    """Ask as often as the breaker allows, as soon as it does."""
    for _ in range(times):
        row = await polled.row()
        clock.set_to(max(moment for moment in (clock.now(), row.poll_due_at, row.waits_until) if moment is not None))
        await polled.ask()


async def test_a_provider_that_has_stopped_is_an_alarm_within_two_intervals(mailed: Mailed) -> None:
    async with polling(mailed) as (polled, stack):
        await stack.aclose()
        with sandbox_allowed(polled.base_url):
            await fail(polled, 1)
        assert (await polled.row()).state == PollState.UNREACHABLE
        assert await mailed.watch() == set(), "once may be an accident"
        clock.set_to(NOW + 2 * EVERY - timedelta(seconds=1))
        assert await mailed.watch() == set()
        assert await mailed.watch(seconds=1) == {AlarmKind.SILENT}
        assert [alarm.title for alarm in await mailed.open()] == ["Paged"]


FAULTS = [
    (Fault.REFUSED, AlarmKind.CREDENTIALS, 1),
    (Fault.HTML, AlarmKind.FAILING, MOST_FAILURES),
    (Fault.REDIRECT, AlarmKind.FAILING, MOST_FAILURES),
    (Fault.LIMITED_SECONDS, AlarmKind.FAILING, 1),
    (None, AlarmKind.FAILING, MOST_FAILURES),
]


@on_sqlite
@pytest.mark.parametrize(("fault", "kind", "attempts"), FAULTS)
async def test_a_provider_that_does_not_answer_as_it_should(
    mailed: Mailed, fault: Fault | None, kind: AlarmKind, attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with polling(mailed) as (polled, _):
        if fault is None:
            monkeypatch.setattr(polled.provider, "_page", lambda *_: Response(b"", media_type="application/json"))
        else:
            polled.provider.misbehave(fault, times=99, seconds=6 * 3600)
        clock.set_to(NOW + EVERY)
        await fail(polled, attempts)
        assert clock.now() - (NOW + EVERY) <= timedelta(minutes=30)
        assert await mailed.watch() == {kind}
        assert await mailed.watch(minutes=1) == {kind}
        assert [text.splitlines()[0] for text in mailed.to(ADMIN)] == ["Paged"]


@on_sqlite
async def test_an_alarm_is_over_ten_minutes_after_its_cause_and_that_is_told_once(mailed: Mailed) -> None:
    async with polling(mailed) as (polled, _):
        polled.provider.misbehave(Fault.REFUSED)
        clock.set_to(NOW + EVERY)
        await fail(polled, 1)
        assert await mailed.watch() == {AlarmKind.CREDENTIALS}
        assert await polled.world.workers.asker.ask(polled.connection_id)
        assert await mailed.watch(minutes=9) == {AlarmKind.CREDENTIALS}, "what comes and goes is one alarm"
        assert await mailed.watch(minutes=1) == set()
        assert await mailed.watch(minutes=1) == set()
        assert [("This is over" in text) for text in mailed.to(ADMIN)] == [False, True]


@on_sqlite
async def test_a_connection_that_nobody_asks_is_not_silent(mailed: Mailed) -> None:
    async with polling(mailed) as (polled, _):
        for field in ("paused_at", "closed_at"):
            async with mailed.world.context.database.begin() as tx:
                change = {"paused_at": None, "closed_at": None, field: clock.now()}
                await tx.execute(update(Connection).where(Connection.id == polled.connection_id).values(**change))
            assert await mailed.watch(days=30) == set()


async def test_a_sender_that_falls_silent(mailed: Mailed) -> None:
    world = mailed.world
    async with world.context.database.begin() as tx:
        this = update(Connection).where(Connection.id == world.union.connection.connection.id)
        await tx.execute(this.values(fresh_hours=24))
    assert await mailed.watch(hours=23) == set()
    assert await mailed.watch(hours=1) == {AlarmKind.SILENT}
    await world.deliver({"alerts": []})
    await world.workers.drain()
    assert await mailed.watch(minutes=11) == set()
    await mailed.watch(hours=20)
    await world.deliver({"alerts": []})
    assert await mailed.watch(hours=20) == set(), "the same bytes again are a sign of life too"


@on_sqlite
async def test_a_batch_of_the_night_that_stays_away_is_an_alarm_though_nobody_asked_for_one(mailed: Mailed) -> None:
    async with looked_up_world(mailed.world) as crs:
        assert (await crs.notices()).status_code == 202
        await mailed.world.workers.drain()
        assert await mailed.watch(days=2) == set(), "a quiet night or two"
        assert await mailed.watch(days=1) == {AlarmKind.SILENT}
        assert [alarm.title for alarm in await mailed.open()] == ["Nightly"]
        async with mailed.world.context.database.begin() as tx:
            await tx.execute(update(Connection).where(Connection.id == crs.id).values(fresh_hours=24 * 30))
        assert await mailed.watch(minutes=11) == set(), "the connection's own word comes first"


async def test_what_is_set_aside_and_what_is_of_an_unknown_type(mailed: Mailed, monkeypatch: pytest.MonkeyPatch) -> None:
    world = mailed.world
    await world.deliver({"alerts": [alert(), {**alert(id="a-2"), "amount": 7}]})
    await world.workers.drain()
    assert await mailed.watch() == {AlarmKind.SET_ASIDE}
    monkeypatch.setattr(Standard, "events", {})
    await world.deliver(alert(id="a-3"))
    await world.workers.drain()
    assert await mailed.watch() == {AlarmKind.SET_ASIDE, AlarmKind.DRIFT}
    monkeypatch.undo()
    await replay(world.context, world.union.id)
    assert await mailed.watch(minutes=11) == {AlarmKind.SET_ASIDE}
    assert await mailed.watch(days=7) == set()
    assert mailed.count[ADMIN] == 4


async def test_receipts_that_are_set_aside(mailed: Mailed) -> None:
    world = mailed.world
    await world.deliver(b"junk")
    await world.deliver(alert(), world.other, at=NOW - timedelta(days=2))
    await world.workers.drain()
    await mailed.watch()
    for tenant in (world.union, world.other):
        assert [alarm.kind for alarm in await mailed.open(tenant.id)] == [AlarmKind.SET_ASIDE]


@on_sqlite
async def test_a_format_that_drifts(mailed: Mailed) -> None:
    odd = [{**alert(id=f"a-{number}"), "amount": 7} for number in range(5)]
    await mailed.world.deliver({"alerts": [*odd, *(alert(id=f"b-{number}") for number in range(95))]})
    await mailed.world.workers.drain()
    assert await mailed.watch() == {AlarmKind.SET_ASIDE}, "5 of 100 may be accidents"
    await mailed.world.deliver({**alert(id="a-6"), "amount": 7})
    await mailed.world.workers.drain()
    assert await mailed.watch() == {AlarmKind.SET_ASIDE, AlarmKind.DRIFT}


@on_sqlite
async def test_what_waits_unhandled(mailed: Mailed) -> None:
    await mailed.world.deliver(alert())
    assert await mailed.watch(minutes=14) == set()
    assert await mailed.watch(minutes=1) == {AlarmKind.UNHANDLED}
    await mailed.world.workers.drain()
    assert await mailed.watch(minutes=10) == set()


@on_sqlite
async def test_a_mail_that_waits_for_the_dns(mailed: Mailed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns, "IN_TIME", 0.2)
    monkeypatch.setattr(mailed.world.workers, "_resolver", dns.resolver("127.0.0.1:9"))
    await hand_in_mail(mailed.world, await mailbox(mailed.world), sign(plain_mail()))
    assert await mailed.watch(minutes=14) == set()
    assert await mailed.watch(minutes=1) == {AlarmKind.UNHANDLED}
    for rest in handing_on.AGAIN_AFTER:
        clock.set_to(clock.now() + rest)
        await mailed.world.workers.drain()
    assert await mailed.watch(minutes=10) == set(), "it came in without its key"


@on_sqlite
async def test_deliveries_that_are_refused_one_and_all(mailed: Mailed) -> None:
    world = mailed.world
    for _ in range(MOST_REFUSED):
        answer = await world.client.post(world.union.connection.path + "x", content=b"{}")
        assert answer.status_code == 401
    assert await mailed.watch() == set(), "who does not know the address raises no alarm"
    for _ in range(MOST_REFUSED):
        await world.deliver(alert(), secret=world.other.connection.secret)
    assert await mailed.watch() == {AlarmKind.REFUSED}
    await world.deliver({"alerts": []})
    await world.workers.drain()
    assert await mailed.watch(minutes=11) == set()


async def test_what_we_fetch_ourselves_does_not_hide_that_every_delivery_is_refused(mailed: Mailed) -> None:
    """A new secret on their side: the notices of the night are refused, and yesterday's are still being looked up."""
    async with looked_up_world(mailed.world) as crs:
        await crs.enroll()
        clock.set_to(NOW - timedelta(days=1))
        crs.happens()
        assert (await crs.notices()).status_code == 202
        clock.set_to(NOW)
        await crs.world.workers.ask()
        assert await crs.states() == [LookUpState.DONE]
        for _ in range(MOST_REFUSED):
            answer = await crs.world.client.post(
                crs.connection.path,
                content=b"[]",
                headers={"content-type": "application/json", "authorization": "Basic bmV3OnNlY3JldA=="},
            )
            assert answer.status_code == 401
        assert await mailed.watch() == {AlarmKind.REFUSED}
        assert (await crs.notices()).status_code == 202
        assert await mailed.watch(minutes=11) == set(), "the same notices again, and accepted, are a sign of life"


@pytest.mark.long
@on_sqlite
async def test_notices_that_are_made_up(mailed: Mailed) -> None:
    """By somebody who knows the address, about people who agreed: a few may be a mistake of the provider's."""
    async with staged(mailed.world, registry()["array"]) as stage:
        await enroll_whom_forgers_name(stage, looking_up.MOST_MISSES)
        for forged, expected in ((20, set()), (looking_up.MOST_MISSES, {AlarmKind.MADE_UP})):
            assert set(await stage.sandbox.push(stage.url, Manner.FORGED, count=forged)) == {202}
            await stage.ask()
            assert (await stage.poll()).misses == forged
            assert await mailed.watch() == expected
        await stage.require_nothing()


async def test_work_that_was_given_up(mailed: Mailed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A consumer that fails at an alert until it gives up; what it left is done once it is mended and asked to."""
    world = mailed.world

    async def fails(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(matching, "match_all", fails)
    monkeypatch.setattr(matching, "match_fresh", fails)
    await world.deliver(alert())
    for _ in range(LAST_ATTEMPT - 1):
        await world.workers.drain()
        assert await mailed.watch(minutes=5) == set(), "it is still tried"
    await world.workers.drain()
    assert await mailed.watch() == {AlarmKind.PARKED}
    assert [alarm.title for alarm in await mailed.open()] == ["The whole service"]
    assert await mailed.open(world.other.id) == []
    assert await mailed.watch(minutes=1) == {AlarmKind.PARKED}
    assert len(await mailed.alarms()) == 1
    assert mailed.count == {ADMIN: 1}
    monkeypatch.undo()
    await replay(world.context, world.union.id)
    await world.workers.drain()
    assert await mailed.watch(minutes=11) == set()
    assert len(await world.timeline("M-1")) == 1


@on_sqlite
async def test_mail_that_does_not_go_out(mailed: Mailed) -> None:
    mailed.post.closed = True
    await mailed.world.deliver(alert())
    for _ in range(6):
        await mailed.world.workers.drain()
        clock.set_to(clock.now() + timedelta(minutes=2))
    assert await mailed.watch() == {AlarmKind.MAIL}
    mailed.post.closed = False
    assert await mailed.watch(hours=1) == {AlarmKind.MAIL}
    assert await mailed.watch(minutes=10) == set()
    assert len(mailed.to(ADMIN)) == 2


@pytest.mark.long
async def test_eight_watchers_at_once_open_and_close_and_tell_once(mailed: Mailed) -> None:
    await mailed.world.deliver(alert())
    clock.set_to(NOW + timedelta(hours=1))

    async def watch() -> int:
        return await workers.watch(mailed.world.context)

    assert sum(await asyncio.gather(*(watch() for _ in range(8)))) == 1
    await mailed.world.workers.drain()
    clock.set_to(clock.now() + timedelta(hours=1))
    assert sum(await asyncio.gather(*(watch() for _ in range(8)))) == 1
    assert sum(await asyncio.gather(*(watch() for _ in range(8)))) == 0
    await mailed.world.workers.drain()
    assert mailed.count[ADMIN] == 2
    assert len(await mailed.alarms()) == 1


async def test_whatever_comes_and_goes_each_alarm_opens_and_closes_in_turn_and_each_change_is_told_once(mailed: Mailed) -> None:
    dice, world, own = Random(3), mailed.world, mailed.world.union
    possible: list[Condition] = [(None, AlarmKind.MAIL), (None, AlarmKind.PARKED)]
    possible += [(own.connection.connection.id, kind) for kind in (AlarmKind.SILENT, AlarmKind.DRIFT)]
    changed, seen = 0, dict.fromkeys(possible, NOW - timedelta(days=1))
    for _ in range(40):
        clock.set_to(clock.now() + timedelta(minutes=dice.choice([1, 5, 11])))
        found = frozenset(condition for condition in possible if dice.random() < 0.4)
        seen |= dict.fromkeys(found, clock.now())
        async with world.context.database.begin() as tx:
            changed += await service.settle(tx, world.context, own.id, found)
        due = {condition for condition, moment in seen.items() if clock.now() - moment < OVER_AFTER}
        assert {(alarm.connection_id, alarm.kind) for alarm in await mailed.open()} == due
    await world.workers.send_letters()
    rows = await mailed.alarms()
    assert changed == len(rows) + sum(row.closed_at is not None for row in rows) == mailed.count[ADMIN]


@on_sqlite
async def test_only_admins_who_may_be_written_to_are_told(mailed: Mailed) -> None:
    world, keyring = mailed.world, mailed.world.context.keyring
    async with world.context.database.begin() as tx:
        for address in ("second@union.example", "third@union.example", "chief@oaklandca.gov"):
            account = await access.create_account(tx, keyring, world.union.id, address)
            await access.grant_role(tx, keyring, account, Role.ADMIN)
        await access.repository.revoke_grants(tx, world.union.accounts[Role.ADMIN], Role.ADMIN, NOW)
    await world.deliver(b"junk")
    await world.workers.drain()
    await mailed.watch()
    assert mailed.count == {"second@union.example": 1, "third@union.example": 1}


@on_sqlite
async def test_the_trouble_of_one_organization_keeps_no_other_from_being_told(
    mailed: Mailed, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, real = mailed.world, service.observed

    async def observed(tx: Any, organization_id: Any, *more: Any) -> Any:
        if organization_id == world.union.id:
            raise ValueError("broken")
        return await real(tx, organization_id, *more)

    monkeypatch.setattr(service, "observed", observed)
    await world.deliver(b"junk", world.other)
    await world.workers.drain()
    await mailed.watch()
    assert [alarm.kind for alarm in await mailed.open(world.other.id)] == [AlarmKind.SET_ASIDE]
