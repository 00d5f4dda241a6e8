"""Who may ask: one at a time for each connection, over many askers and processes; a stale holder commits nothing (C1, C2, C4)."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, insert, select, update

from app.connections.models import Poll
from app.intake.asker import Asker
from app.intake.models import AlertRow
from app.intake.patience import LONGEST_WAIT, back_off, next_on_the_grid, waits_until
from app.kit import clock
from app.kit.context import Context
from app.kit.database import Database
from connectors.asking import CredentialsRefused, TryLater, UnexpectedAnswer
from connectors.sandboxing import serving
from tests.intake.counting import books, receipts
from tests.intake.polled import Polled, connect, polled_world
from tests.intake.witness import WITNESS, call_witness, stale_commits
from tests.support.paged import PagedSandbox, paged_registered
from tests.support.scraped import monitor
from tests.support.world import NOW, World

MOMENTS = st.timedeltas(timedelta(0), timedelta(days=7000)).map(lambda since: NOW + since)
SPANS = st.timedeltas(timedelta(seconds=1), timedelta(days=30))


@given(due=MOMENTS, every=SPANS, now=MOMENTS)
def test_the_next_time_is_on_the_grid_after_now_and_one_interval_away(due: datetime, every: timedelta, now: datetime) -> None:
    after = next_on_the_grid(due, every, now)
    assert after > now or after == due + every
    assert (after - due) % every == timedelta(0)
    assert after - max(now, due) <= every


@given(failures=st.integers(1, 10_000), chance=st.floats(0, 1, exclude_max=True), seconds=st.floats(0, 1e6) | st.none())
def test_a_provider_rests_at_least_as_long_as_it_asked_and_never_for_ever(
    failures: int, chance: float, seconds: float | None
) -> None:
    assert timedelta(seconds=15) <= back_off(failures, chance) <= LONGEST_WAIT
    until = waits_until(TryLater("x", seconds), failures, NOW, chance)
    assert until - NOW >= timedelta(seconds=seconds or 0)
    assert until - NOW <= max(LONGEST_WAIT, timedelta(seconds=seconds or 0))
    assert waits_until(UnexpectedAnswer("x"), failures, NOW, chance) - NOW <= LONGEST_WAIT
    assert waits_until(CredentialsRefused("x"), failures, NOW, chance) - NOW == LONGEST_WAIT


@pytest.fixture
async def polled(world: World) -> AsyncIterator[Polled]:
    async with polled_world(world) as made:
        yield made


async def test_eight_askers_never_ask_one_connection_at_once_and_miss_no_poll(polled: Polled) -> None:
    """C1, C4 with eight askers, each with a database of its own; every hour is asked once by exactly one of them."""
    names = [f"key-{number}" for number in range(1, 4)]
    for key in names[1:]:
        await connect(polled.world, polled.base_url, key)
    old = polled.world.context
    contexts = [Context(old.settings, Database(old.database.url), old.keyring, old.mailer) for _ in range(8)]
    askers = [Asker(context) for context in contexts]
    polled.provider.seconds = 0.001
    hours = 5
    for hour in range(hours):
        polled.provider.add(clock.now(), "ref-nobody", count=2)
        await asyncio.gather(*(asker.run_due() for asker in random.Random(hour).sample(askers, 8)))
        polled.later(hours=1)
    assert polled.provider.overlaps == 0
    assert {key: polled.provider.asked.count(key) for key in names} == {
        key: sum(1 + (2 * (hour + 1) - 1) // 10 for hour in range(hours)) for key in names
    }, "each connection is asked each hour, page by page, and no more"
    async with old.database.begin(read_only=True) as tx:
        rows = (await tx.execute(select(Poll))).scalars().all()
    assert [row.polls for row in rows] == [hours] * len(names)
    await polled.world.workers.drain()
    assert await polled.alerts() == 2 * hours
    for asker, context in zip(askers, contexts, strict=True):
        await asker.close()
        await context.database.close()


@asynccontextmanager
async def schedulers(
    world: World, folder: Path, base_url: str, count: int, *, every: float, lease: float
) -> AsyncIterator[list[int]]:
    """So many scheduler processes, all at work; their ids. They are killed at the end, whatever they are doing."""
    source = start(world, folder, base_url, count, [f"{every}", f"{lease}", str(folder)])
    assert source.stdout is not None
    started: list[int] = json.loads(await asyncio.to_thread(source.stdout.readline))
    try:
        async with asyncio.timeout(600):
            while ready(folder) < count:  # noqa: ASYNC110 - another process tells by a file
                await asyncio.sleep(0.05)
        yield started
    finally:
        await end(started)
        source.communicate()


def start(world: World, folder: Path, base_url: str, count: int, numbers: list[str]) -> subprocess.Popen[str]:
    """Start the process that forks schedulers, which will say in `folder` that they are ready."""
    for old in folder.glob("ready-*"):
        old.unlink()
    key_file = folder / "top.key"
    assert world.context.keyring.vault.first is not None
    key_file.touch(mode=0o600)
    key_file.write_bytes(base64.b64encode(world.context.keyring.vault.first))
    command = [sys.executable, "-m", "tests.intake.scheduler", str(count), world.context.database.url, str(key_file), base_url]
    return subprocess.Popen([*command, *numbers], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ready(folder: Path) -> int:
    """How many have said so."""
    return len(list(folder.glob("ready-*")))


async def end(processes: list[int]) -> None:
    """Kill them all, and wait until they are no more."""
    while any([with_signal(process, signal.SIGKILL) for process in processes]):  # noqa: ASYNC110, C419 - it tells nobody; each
        await asyncio.sleep(0.01)


def with_signal(process: int, number: signal.Signals) -> bool:
    """Send a signal to a process; False when it is gone."""
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return False
    return True


async def prepare(world: World, base_url: str, connections: int) -> None:
    """Connections that are due by the real clock, and a witness of what is committed on them."""
    await call_witness(world)
    for number in range(connections):
        await connect(world, base_url, f"key-{number}")
    async with world.context.database.begin() as tx:
        await tx.execute(update(Poll).values(poll_due_at=datetime.now(UTC), sweep_due_at=datetime.now(UTC) + timedelta(days=1)))


async def checked(world: World, provider: PagedSandbox) -> int:
    """The cursor is nowhere ahead of the rows, and no stale holder committed anything; how many polls there were."""
    assert await stale_commits(world.context.database) == 0
    clock.set_to(datetime.now(UTC))
    await world.workers.drain()
    total = 0
    for row, kept in await kept_by_connection(world):
        covered = [at for at, *_ in provider.rows if row.cursor is not None and at < row.cursor]
        assert kept >= len(covered)
        total += row.polls
    return total


async def test_a_turn_that_another_took_over_is_counted(polled: Polled) -> None:
    asker = polled.world.workers.asker
    turn = await asker._claim(polled.connection_id)
    assert turn is not None
    async with polled.world.context.database.begin() as tx:
        await tx.execute(update(Poll).where(Poll.connection_id == polled.connection_id).values(fence=Poll.fence + 1))
    with monitor() as one:
        before = one.value("harmline_lease_losses_total", lease="poll")
        assert not await asker._take(turn)
        assert one.value("harmline_lease_losses_total", lease="poll") == before + 1


async def polls(world: World) -> int:
    """How many have come to their end so far: on a slow machine each has more pages to ask for."""
    return sum(row.polls for row, _ in await kept_by_connection(world))


async def kept_by_connection(world: World) -> list[tuple[Poll, int]]:
    """Each connection with how many alerts it brought."""
    count = select(func.count()).where(AlertRow.connection_id == Poll.connection_id).scalar_subquery()
    async with world.context.database.begin(read_only=True) as tx:
        return [(row[0], row[1]) for row in (await tx.execute(select(Poll, count))).all()]


async def test_the_witness_tells_a_stale_commit(world: World) -> None:
    await call_witness(world)
    for connection, fence, stale in (("a", 1, 0), ("b", 9, 0), ("a", 2, 0), ("a", 2, 0), ("a", 1, 1), ("b", 9, 1), ("a", 3, 1)):
        async with world.context.database.begin() as tx:
            await tx.execute(insert(WITNESS).values(connection_id=connection, fence=fence))
        assert await stale_commits(world.context.database) == stale


@pytest.mark.slow
async def test_eight_processes_hundreds_of_polls(world: World, tmp_path: Path) -> None:
    """C1 with real processes; the campaign `polling` runs the same for as long as one likes."""
    provider = PagedSandbox(lambda: datetime.now(UTC))
    provider.seconds = 0.001
    with paged_registered():
        async with serving(provider) as base_url:
            await prepare(world, base_url, 25)
            provider.add(datetime.now(UTC), "ref-nobody", count=5)
            async with schedulers(world, tmp_path, base_url, 8, every=0.2, lease=30):
                async with asyncio.timeout(180):
                    while len(provider.asked) < 500:
                        await asyncio.sleep(0.5)
                        provider.add(datetime.now(UTC), "ref-nobody", count=1)
        assert provider.overlaps == 0
        assert await checked(world, provider) > 100


@pytest.mark.slow
async def test_killed_and_paused_holders_commit_nothing_and_lose_nothing(world: World, tmp_path: Path) -> None:
    """C2, C3: kill -9 at any moment, and a holder that is stopped past its lease and goes on."""
    provider = PagedSandbox(lambda: datetime.now(UTC))
    provider.seconds = 0.02
    dice = random.Random(2)
    with paged_registered():
        async with serving(provider) as base_url:
            await prepare(world, base_url, 6)
            for _ in range(4):
                async with schedulers(world, tmp_path, base_url, 4, every=0.2, lease=1.5) as processes:
                    provider.add(datetime.now(UTC), "ref-nobody", count=dice.randrange(30))
                    paused, killed = processes[0], processes[1]
                    with_signal(paused, signal.SIGSTOP)
                    await asyncio.sleep(dice.random())
                    with_signal(killed, signal.SIGKILL)
                    await asyncio.sleep(2)
                    with_signal(paused, signal.SIGCONT)
                    await asyncio.sleep(1 + dice.random())
            await checked(world, provider)
            clock.set_to(datetime.now(UTC) + LONGEST_WAIT)
            await world.workers.ask()
    assert {kept for _, kept in await kept_by_connection(world)} == {len(provider.rows)}
    assert len(await receipts(world)) > 0
    assert (await books(world))["alerts"] == 6 * len(provider.rows)
