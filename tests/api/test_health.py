"""Ready says whether the work can be done, quickly, and what stands in the way."""

from __future__ import annotations

import asyncio
import math
import shutil
import threading
from collections import namedtuple
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.engine import make_url

from app.kit import clock, health
from app.kit import disks as looking
from app.kit.database import Database
from app.kit.disks import LEAST_FREE, nearly_full
from app.kit.health import KEYS, MOST_OFFSET, STUCK_AFTER, Obstacle, Readiness
from app.kit.outbox import LAST_ATTEMPT, ConsumerState, Failure, Message, publish, sequence
from app.watch.readiness import INPUT_STUCK_AFTER
from tests.access.scene import Scene
from tests.support.rooms import rooms
from tests.support.scraped import monitor
from tests.support.world import NOW, World, alert

Usage = namedtuple("Usage", "total used free")


async def test_a_healthy_service_is_ready(world: World) -> None:
    assert (await world.client.get("/livez")).json()["status"] == "alive"
    answer = await world.client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "problems": []})


async def test_a_writer_at_work_does_not_hold_it_up(world: World) -> None:
    async with world.context.database.begin() as tx:
        await publish(tx, "test.nothing", world.union.id)
        answer = await asyncio.wait_for(world.client.get("/readyz"), timeout=5)
    assert answer.status_code == 200


async def refused(world: World) -> str:
    answer = await world.client.get("/readyz")
    assert answer.status_code == 503, answer.text
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["content-type"] == "application/problem+json"
    detail: str = answer.json()["detail"]
    return detail


async def test_each_thing_that_stands_in_the_way_is_named_and_is_a_metric(world: World) -> None:
    async with world.context.database.begin() as tx:
        await publish(tx, "test.nothing", world.union.id)
        tx.add(Failure(consumer="x", message_id=Scene.missing(), attempts=LAST_ATTEMPT, next_attempt_at=None, error="E"))
    clock.set_to(NOW + STUCK_AFTER + timedelta(seconds=1))
    said = await refused(world)
    for words in ("1 messages could not be handled", "is a worker running"):
        assert words in said
    with monitor() as one:
        told = {reason: one.value("harmline_not_ready", reason=reason) for reason in ("parked", "outbox", "input", "schema")}
        assert told == {"parked": 1, "outbox": 1, "input": 0, "schema": 0}
        assert one.value("harmline_parked_messages") == 1


async def test_input_that_nobody_handles(world: World) -> None:
    await world.deliver(alert())
    clock.set_to(NOW + INPUT_STUCK_AFTER)
    assert (await world.client.get("/readyz")).status_code == 200
    clock.set_to(NOW + INPUT_STUCK_AFTER + timedelta(seconds=1))
    assert "What came in waits to be handled" in await refused(world)
    with monitor() as one:
        assert one.value("harmline_oldest_unhandled_seconds") == INPUT_STUCK_AFTER.total_seconds() + 1
    await world.workers.drain()
    assert (await world.client.get("/readyz")).status_code == 200


async def test_a_consumer_that_has_stopped_is_named(world: World) -> None:
    await world.deliver(alert())
    await world.workers.drain()
    async with world.context.database.begin() as tx:
        state = await tx.get_one(ConsumerState, "linkage.links")
        state.position = 0
        topics = set((await tx.execute(select(Message.topic))).scalars())
    assert "breaches.exposure_changed" in topics
    clock.set_to(NOW + STUCK_AFTER + timedelta(seconds=1))
    said = await refused(world)
    assert "linkage.links" in said
    assert "incidents.match" not in said
    with monitor() as one:
        assert one.value("harmline_outbox_waiting_seconds", consumer="linkage.links") > STUCK_AFTER.total_seconds()
        assert one.value("harmline_outbox_waiting_seconds", consumer="incidents.match") == 0


async def test_a_message_that_waits_its_turn_is_no_obstacle(world: World) -> None:
    async with world.context.database.begin() as tx:
        await publish(tx, "incidents.changed", world.union.id, member_id=world.union.members["M-1"])
    await sequence(world.context.database)
    clock.set_to(NOW + STUCK_AFTER)
    assert (await world.client.get("/readyz")).status_code == 200


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE alembic_version SET version_num = 'another'", "harmline migrate"),
        ("DELETE FROM alembic_version", "harmline migrate"),
        ("DROP TABLE alembic_version", "harmline migrate"),
        ("DROP TABLE outbox_failure", "does not answer as it should"),
        ("ALTER TABLE receipt RENAME TO receipts", "does not answer as it should"),
        ("ALTER TABLE outbox RENAME COLUMN topic TO subject", "does not answer as it should"),
    ],
)
async def test_another_schema_is_named_whatever_is_other_about_it(world: World, statement: str, words: str) -> None:
    await world.as_owner(statement)
    assert words in await refused(world)


@pytest.mark.parametrize("error", [KeyError("x"), RuntimeError("no migrations"), OSError("gone"), ValueError("x")])
async def test_whatever_goes_wrong_the_answer_is_the_one_for_not_ready(
    world: World, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> str:
        raise error

    monkeypatch.setattr(health, "head", broken)
    assert await refused(world) == "The database does not answer as it should."


async def test_a_database_that_hangs_is_not_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_tx: Any) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(health, "LONGEST_LOOK", 0.2)
    world.app.state.readiness = Readiness(world.context, [("hanging", hang)])
    assert await asyncio.wait_for(refused(world), timeout=10) == "The database does not answer as it should."


async def test_many_who_ask_at_once_cost_one_look(world: World) -> None:
    looks: list[int] = []

    async def count(_tx: Any) -> None:
        looks.append(1)
        await asyncio.sleep(0.2)

    readiness = Readiness(world.context, [("counted", count)])
    assert await asyncio.gather(*(readiness.obstacles() for _ in range(50))) == [[]] * 50
    assert len(looks) == 1
    assert await readiness.obstacles() == []
    assert len(looks) == 2


async def test_a_disk_that_is_nearly_full(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of the database only SQLite's lies here; other folders are on other disks."""
    sqlite = world.context.database.is_sqlite
    folder = Path(make_url(world.context.database.url).database or "").parent if sqlite else tmp_path
    monkeypatch.setattr(shutil, "disk_usage", disks(folder))
    if world.context.database.is_sqlite:
        assert "disk of the database is nearly full" in await refused(world)
        with monitor() as one:
            assert one.value("harmline_disk_free_bytes", of="database") == LEAST_FREE - 1
    else:
        assert (await world.client.get("/readyz")).json() == {"status": "ready", "problems": []}, "its disk is not ours to judge"


@pytest.mark.parametrize("of", ["packets", "backups"])
async def test_the_disk_of_a_folder_that_is_nearly_full_is_told_and_keeps_no_delivery_out(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, of: str
) -> None:
    full = tmp_path / of
    monkeypatch.setattr(world.context.settings, {"packets": "packet_folder", "backups": "backup_folder"}[of], full / "later")
    monkeypatch.setattr(shutil, "disk_usage", disks(full))
    well = {"status": "ready", "problems": []}
    assert (await world.client.get("/readyz")).json() == well, "not there yet: the disk that it will be on is looked at"
    full.mkdir()
    answer = await world.client.get("/readyz")
    assert answer.status_code == 200, "deliveries need no packet and no backup"
    assert answer.json() == {"status": "ready", "problems": [f"The disk of the {of} is nearly full."]}
    with monitor() as one:
        assert one.value("harmline_disk_free_bytes", of=of) == LEAST_FREE - 1
        assert one.value("harmline_not_ready", reason="folders") == 1
        assert one.value("harmline_not_ready", reason="disk") == 0
    assert (await world.workers.watcher.signs()).everywhere == {"folders"}, "its admins are told"


async def test_a_full_folder_hides_no_other_obstacle(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_tx: Any) -> Obstacle:
        return Obstacle(KEYS, "The key is away.")

    async def stuck(_tx: Any) -> Obstacle:
        return Obstacle("input", "A receipt waits.")

    monkeypatch.setattr(health, "_is_full", lambda of, _usage: of != "database")
    assert (await world.client.get("/readyz")).status_code == 200
    folders = "The disk of the packets and of the backups is nearly full."
    world.app.state.readiness = Readiness(world.context, [(KEYS, away)])
    assert (await world.client.get("/readyz")).json() == {"status": "taking in only", "problems": [folders, "The key is away."]}
    world.app.state.readiness = Readiness(world.context, [(KEYS, away), ("input", stuck)])
    assert await refused(world) == f"{folders} The key is away. A receipt waits."


async def test_a_folder_that_is_not_ours_to_look_into_stands_in_nobodys_way(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refusing(world, monkeypatch, tmp_path / "backups", PermissionError(13, "Permission denied"))
    assert (await world.client.get("/readyz")).json() == {"status": "ready", "problems": []}


def refusing(world: World, monkeypatch: pytest.MonkeyPatch, backups: Path, error: OSError) -> None:
    """Let backups lie in a folder that cannot be looked at."""
    usage = shutil.disk_usage

    def look(path: Path) -> Any:
        if path == backups:
            raise error
        return usage(path)

    monkeypatch.setattr(world.context.settings, "backup_folder", backups)
    monkeypatch.setattr(shutil, "disk_usage", look)


async def test_a_mount_that_is_dead_is_told_and_is_not_the_database(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refusing(world, monkeypatch, tmp_path / "backups", OSError(116, "Stale file handle"))
    answer = await world.client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "problems": ["The folder of the backups cannot be looked at."]}
    with monitor() as one:
        assert math.isnan(one.value("harmline_disk_free_bytes", of="backups")), "no number of another disk's"


class Mount:
    """A folder for backups whose disk answers when it is let, and has room; it counts how often it was looked at."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.answers, self.looks = threading.Event(), 0
        self._folder = folder
        monkeypatch.setattr(world.context.settings, "backup_folder", folder)
        monkeypatch.setattr(shutil, "disk_usage", self._look)
        self.readiness = Readiness(world.context)

    def _look(self, path: Path) -> Usage:
        if path == self._folder:
            self.looks += 1
            self.answers.wait(60)
        return Usage(10**12, 0, 10**12)

    async def says(self) -> list[str]:
        return [one.says for one in await self.readiness.obstacles()]


UNSEEN = ["The folder of the backups cannot be looked at."]


async def test_a_mount_that_hangs_holds_up_no_delivery(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mount = Mount(world, monkeypatch, tmp_path)
    monkeypatch.setattr(looking, "LONGEST_LOOK", 60)
    asked = asyncio.create_task(mount.says())
    assert (await world.deliver(alert())).status_code == 202
    assert not asked.done(), "it was kept while the look went on"
    mount.answers.set()
    assert await asked == []


async def test_a_mount_that_hangs_is_told_and_is_looked_at_once_until_that_look_has_ended(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mount = Mount(world, monkeypatch, tmp_path)
    monkeypatch.setattr(looking, "LONGEST_LOOK", 0.05)
    assert [await mount.says(), await mount.says()] == [UNSEEN, UNSEEN]
    assert mount.looks == 1
    monkeypatch.setattr(looking, "LONGEST_LOOK", 60)
    mount.answers.set()
    assert await mount.says() == []


async def test_one_slow_look_is_no_alarm(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mount = Mount(world, monkeypatch, tmp_path)
    mount.answers.set()
    assert await mount.says() == []
    mount.answers.clear()
    monkeypatch.setattr(looking, "LONGEST_LOOK", 0.05)
    assert await mount.says() == [], "what was known before holds"
    monkeypatch.setattr(looking, "HANGS_AFTER", 0)
    assert await mount.says() == UNSEEN
    mount.answers.set()


async def test_what_is_no_place_at_all_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.context.settings, "backup_folder", Path("no\0name"))
    assert [one.says for one in await Readiness(world.context).obstacles()] == UNSEEN


def disks(full: Path) -> Callable[[Path], Usage]:
    """What there is free: next to nothing in one folder, enough everywhere else that there is."""

    def usage(path: Path) -> Usage:
        if not path.exists():
            raise FileNotFoundError(path)
        return Usage(10**12, 10**12 - LEAST_FREE + 1, LEAST_FREE - 1) if path == full else Usage(10**12, 0, 10**12)

    return usage


def test_a_small_disk_is_full_earlier_than_a_large_one_is_by_its_share() -> None:
    gibibyte = 1024**3
    assert nearly_full(free=gibibyte // 4, total=gibibyte)
    assert nearly_full(free=4 * gibibyte, total=50 * gibibyte)
    assert not nearly_full(free=6 * gibibyte, total=2000 * gibibyte)
    assert not nearly_full(free=4 * gibibyte, total=20 * gibibyte)


@pytest.mark.parametrize("seconds", [61, -61])
async def test_a_clock_that_jumps_and_is_set_right_again(
    database_url: str, seconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall = clock._wall
    async with rooms(database_url) as small:
        readiness = Readiness(small.context)
        assert await readiness.obstacles() == []
        monkeypatch.setattr(clock, "_wall", lambda: wall() + seconds)
        found = await readiness.obstacles()
        assert {obstacle.reason for obstacle in found} == {"clock"}
        assert f"{seconds:+d} seconds since the start" in found[0].says
        both = ["database", "start"] if small.database.is_sqlite is False else ["start"]
        assert len(found) == len(both)
        with monitor() as one:
            for against in both:
                assert one.value("harmline_clock_offset_seconds", against=against) == pytest.approx(seconds, abs=5)
        monkeypatch.setattr(clock, "_wall", wall)
        assert await readiness.obstacles() == []


async def test_a_clock_that_was_wrong_from_the_start_is_seen_beside_the_database(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall = clock._wall
    monkeypatch.setattr(clock, "_wall", lambda: wall() + MOST_OFFSET.total_seconds() + 30)
    monkeypatch.setattr(clock, "SINCE_START", clock.Reckoning())
    async with rooms(database_url) as small:
        found = await Readiness(small.context).obstacles()
    apart = [] if Database(database_url).is_sqlite else ["clock"]
    assert [obstacle.reason for obstacle in found] == apart


async def test_a_stopped_clock_of_a_scenario_is_no_wrong_clock(world: World) -> None:
    assert clock.is_stopped()
    assert await world.workers.readiness.obstacles() == []
