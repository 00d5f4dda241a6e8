"""The canary goes through the real door to a timeline; whatever is broken on its way, its absence is an alarm."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from app.access.roles import Role
from app.breaches.models import Breach
from app.incidents.models import Incident
from app.intake.models import Receipt
from app.kit import clock
from app.kit.config import Settings
from app.ledger.models import LedgerEntry
from app.linkage import service as linkage
from app.linkage.models import Link
from app.members.models import Member
from app.notices import service, workers
from app.notices.models import AlarmKind
from app.watch import canary
from app.watch.canary import EVERY, LATE_AFTER, ORGANIZATION
from connectors.standard.connector import Standard
from tests.support.postgres import free_port
from tests.support.scraped import monitor
from tests.support.world import NOW, World, alert, make_world
from tests.watch.served import served

TABLES = (Receipt, Incident, Member, Breach, Link, LedgerEntry)
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@dataclass
class Aviary:
    """A world that is served over HTTP; closing the stack stops the server."""

    world: World
    server: AsyncExitStack

    async def pass_time(self, *, work: bool = True, **time: float) -> None:
        """Let time pass, and let the ticks do what they do each minute."""
        clock.set_to(clock.now() + timedelta(**time))
        for _ in range(2):
            await self.world.workers.watcher.fly()
            if work:
                await self.world.workers.drain()
        await self.world.workers.watcher.fly()

    async def alarms(self) -> set[str]:
        """Which alarms are open after one look."""
        context = self.world.context
        await workers.watch(context, await self.world.workers.watcher.signs())
        async with context.database.begin(read_only=True) as tx:
            return {str(one.kind) for one in await service.open_alarms(tx, self.world.union.id)}

    async def count(self, table: type[Receipt | Incident | Member | Breach | Link | LedgerEntry], *, canarys: bool) -> int:
        ours = table.organization_id == ORGANIZATION if canarys else table.organization_id != ORGANIZATION
        async with self.world.context.database.begin(read_only=True) as tx:
            return (await tx.execute(select(func.count()).select_from(table).where(ours))).scalar_one()


@pytest.fixture
async def aviary(filled_database: object, database_kind: str) -> AsyncIterator[Aviary]:
    url, known = filled_database  # type: ignore[misc]
    port = free_port()
    async with make_world(url, known, port=port) as world, AsyncExitStack() as server:
        await server.enter_async_context(served(world, port))
        yield Aviary(world, server)


async def test_it_arrives_every_hour_and_is_a_metric(aviary: Aviary) -> None:
    with monitor() as one:
        sent = one.value("harmline_canary_sent_total", outcome="taken_in")
        await aviary.pass_time()
        assert await aviary.count(Receipt, canarys=True) == 1
        assert one.value("harmline_canary_seen_timestamp_seconds") == NOW.timestamp()
        await aviary.pass_time(minutes=59)
        assert await aviary.count(Receipt, canarys=True) == 1, "it is not due yet"
        await aviary.pass_time(minutes=1)
        assert await aviary.count(Receipt, canarys=True) == 2
        assert one.value("harmline_canary_sent_total", outcome="taken_in") == sent + 2
        assert one.value("harmline_canary_seen_timestamp_seconds") == (NOW + EVERY).timestamp()
        assert one.value("harmline_canary_absent") == 0
    assert await aviary.alarms() == set()


async def test_no_real_organization_holds_anything_of_it(aviary: Aviary) -> None:
    before = {table: await aviary.count(table, canarys=False) for table in TABLES}
    await aviary.pass_time()
    await aviary.pass_time(days=40)
    assert await aviary.count(Member, canarys=True) == 2, "a member a month, so that no timeline grows for ever"
    assert {table: await aviary.count(table, canarys=False) for table in before} == before
    for role in (Role.STAFF, Role.ADMIN, Role.CASEWORKER, Role.AUDITOR):
        async with await aviary.world.sign_in(role) as browser:
            for path in ("/v1/members", "/v1/connections", "/v1/queues/quarantined", "/v1/ledger", "/admin"):
                answer = await browser.get(path)
                assert "canary" not in answer.text.lower(), (role, path)
                assert str(ORGANIZATION) not in answer.text


async def absent_after(aviary: Aviary, *, work: bool = True) -> None:
    """It has arrived once; now something is broken. It must be an alarm when it is due, and no earlier."""
    await aviary.pass_time(work=work, minutes=60)
    assert await aviary.alarms() & {AlarmKind.CANARY} == set()
    await aviary.pass_time(work=work, seconds=LATE_AFTER.total_seconds() + 1)
    assert AlarmKind.CANARY in await aviary.alarms()
    with monitor() as one:
        assert one.value("harmline_canary_absent") == 1
        assert one.value("harmline_open_alarms", kind="canary") >= 1


async def over(aviary: Aviary) -> None:
    """What was broken is mended: the alarm is over, without anybody's hands."""
    await aviary.pass_time(minutes=1)
    await aviary.alarms()
    await aviary.pass_time(minutes=11)
    assert await aviary.alarms() & {AlarmKind.CANARY} == set()


async def test_a_worker_that_has_stopped(aviary: Aviary) -> None:
    await aviary.pass_time()
    await absent_after(aviary, work=False)
    await over(aviary)


@on_sqlite
async def test_a_route_that_is_broken(aviary: Aviary, monkeypatch: pytest.MonkeyPatch) -> None:
    await aviary.pass_time()
    with monkeypatch.context() as broken, monitor() as one:
        refused = one.value("harmline_canary_sent_total", outcome="refused")
        broken.setattr(Standard, "webhook", None)
        await absent_after(aviary)
        assert one.value("harmline_canary_sent_total", outcome="refused") > refused
    await over(aviary)


@on_sqlite
async def test_a_server_that_is_gone(aviary: Aviary) -> None:
    await aviary.pass_time()
    await aviary.server.aclose()
    await absent_after(aviary)


@on_sqlite
async def test_a_connector_that_is_broken(aviary: Aviary, monkeypatch: pytest.MonkeyPatch) -> None:
    await aviary.pass_time()
    with monkeypatch.context() as broken:
        broken.setattr(Standard, "events", {})
        await absent_after(aviary)
        entries = await aviary.count(LedgerEntry, canarys=True)
        await aviary.pass_time(minutes=1)
        assert await aviary.count(LedgerEntry, canarys=True) == entries, "the one before it is not read again and again"


@on_sqlite
async def test_an_incident_that_is_linked_to_nothing(aviary: Aviary, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way of an alert ends at its links."""
    await aviary.pass_time()
    with monkeypatch.context() as broken:
        broken.setattr(linkage, "_questions", lambda *_: [])
        await absent_after(aviary)
        assert await aviary.count(Incident, canarys=True) > 1, "all but the links is well"
        entries = await aviary.count(LedgerEntry, canarys=True)
        await aviary.pass_time(minutes=1)
        assert await aviary.count(LedgerEntry, canarys=True) == entries, "what is not linked is not read again and again"
    await aviary.pass_time(minutes=44)
    await over(aviary)


@on_sqlite
@pytest.mark.parametrize("what", ["nest", "last_seen"])
async def test_whatever_fails_on_the_way_it_is_missed_in_time(aviary: Aviary, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    await aviary.pass_time()

    async def fails(*_: object) -> None:
        raise RuntimeError

    async def tick(**time: float) -> None:
        clock.set_to(clock.now() + timedelta(**time))
        with suppress(RuntimeError):
            await aviary.world.workers.watcher.fly()

    with monkeypatch.context() as broken:
        broken.setattr(canary, what, fails)
        await tick(minutes=60)
        await tick(minutes=15)
        assert await aviary.alarms() & {AlarmKind.CANARY} == set()
        await tick(minutes=1)
        assert AlarmKind.CANARY in await aviary.alarms()
    await over(aviary)


@on_sqlite
async def test_a_canary_from_before_it_had_a_breach(aviary: Aviary, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: object, **__: object) -> str:
        return "unchanged"

    with monkeypatch.context() as older:
        older.setattr(canary, "write_breach", unknown)
        await aviary.pass_time()
    assert await aviary.count(Breach, canarys=True) == 0
    await aviary.pass_time(hours=1)
    assert await aviary.count(Breach, canarys=True) == 1
    with monitor() as one:
        assert one.value("harmline_canary_seen_timestamp_seconds") == (NOW + EVERY).timestamp()


@on_sqlite
async def test_a_canary_that_has_no_way_is_absent_too(aviary: Aviary, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where neither its own port nor the origin can be reached by what we send: nobody may think that all was tried."""
    monkeypatch.setattr(aviary.world.context.settings, "host", "192.0.2.7")
    await aviary.pass_time(seconds=LATE_AFTER.total_seconds())
    assert await aviary.alarms() & {AlarmKind.CANARY} == set()
    await aviary.pass_time(seconds=1)
    assert AlarmKind.CANARY in await aviary.alarms()
    assert await aviary.count(Receipt, canarys=True) == 0
    monkeypatch.setattr(aviary.world.context.settings, "host", "127.0.0.1")
    await over(aviary)


@on_sqlite
async def test_a_canary_that_is_told_not_to_fly_is_missed_by_nobody(aviary: Aviary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aviary.world.context.settings, "canary", False)
    await aviary.pass_time(hours=2)
    assert await aviary.alarms() & {AlarmKind.CANARY} == set()
    assert await aviary.count(Receipt, canarys=True) == 0


@on_sqlite
async def test_a_real_alert_is_never_the_canarys(aviary: Aviary) -> None:
    await aviary.pass_time()
    await aviary.world.deliver(alert())
    assert len(await aviary.world.timeline()) == 1
    assert await aviary.count(Incident, canarys=True) == 1


@pytest.mark.parametrize(
    ("settings", "to"),
    [
        ({"port": 8123}, "http://127.0.0.1:8123"),
        ({"port": 8123, "host": "0.0.0.0"}, "http://127.0.0.1:8123"),
        ({"host": "192.0.2.7", "base_url": "https://alerts.example.org/"}, "https://alerts.example.org"),
        ({"host": "192.0.2.7"}, None),
        ({"canary_url": "https://alerts.example.org/"}, "https://alerts.example.org"),
    ],
)
def test_where_it_is_sent(settings: dict[str, object], to: str | None) -> None:
    assert canary.origin(Settings(_env_file=None, **settings)) == to


@pytest.mark.parametrize("url", ["http://alerts.example.org", "https://127.0.0.1/", "https://x.internal/"])
def test_it_is_sent_nowhere_that_the_outgoing_client_would_not_go(url: str) -> None:
    with pytest.raises(ValueError, match="HARMLINE_CANARY_URL"):
        Settings(_env_file=None, canary_url=url)


def test_when_it_is_absent() -> None:
    edge = NOW + LATE_AFTER
    assert not canary.is_absent(edge, seen=None, since=NOW)
    assert canary.is_absent(edge + timedelta(seconds=1), seen=None, since=NOW)
    assert not canary.is_absent(edge, seen=NOW - timedelta(days=9), since=NOW), "a service that was down gets time to send one"
    assert canary.is_absent(NOW + EVERY + LATE_AFTER + timedelta(seconds=1), seen=NOW, since=NOW - timedelta(days=1))
    assert not canary.is_absent(NOW + EVERY + LATE_AFTER, seen=NOW, since=NOW - timedelta(days=1))
