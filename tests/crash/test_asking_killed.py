"""An asker killed by SIGKILL before and after each of its statements, at COMMIT and after it: the cursor is never ahead (C3)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from app.intake.models import Channel, LookUpState
from app.kit import clock
from app.kit.vault import create_key_file
from tests.crash.killed import AFTER_COMMIT, BEFORE_COMMIT, COMMIT_SENT, Launcher, Order, launcher
from tests.intake.counting import books, receipts
from tests.intake.looked_up import LookedUp, looked_up_world
from tests.intake.polled import Polled, polled_world
from tests.support import paged
from tests.support.world import World

KILLED = -9
EVERY = timedelta(hours=1)
"""When the next one asks: the provider is due again, and the lease of a dead holder is long over."""

COMMITS = {BEFORE_COMMIT, COMMIT_SENT, AFTER_COMMIT}
AROUND_A_PAGE = {f"{when} {what}" for when in ("before", "after") for what in ("UPDATE poll", "INSERT INTO receipt")}
AROUND_A_LOOK_UP = AROUND_A_PAGE | {f"{when} UPDATE look_up" for when in ("before", "after")}
BEHIND_A_DEAD_CLIENT = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
    " AND xact_start IS NOT NULL AND pid <> pg_backend_pid()"
)


each_step = pytest.mark.parametrize(
    "whole", [pytest.param(False, marks=pytest.mark.sample), pytest.param(True, marks=pytest.mark.slow)], ids=["answer", "turn"]
)


def to_die_at(steps: list[str], whole: bool) -> range:
    """The steps of a whole turn, from 1; or those of the transaction that keeps the last answer."""
    if whole:
        return range(1, len(steps) + 1)
    kept = max(number for number, step in enumerate(steps) if step == "before INSERT INTO receipt")
    begin = max(number for number, step in enumerate(steps[:kept]) if step == AFTER_COMMIT)
    return range(begin + 2, steps.index(AFTER_COMMIT, kept) + 2)


@pytest.fixture(scope="module")
def forks() -> Iterator[Launcher]:
    with launcher() as started:
        yield started


@dataclass
class Rig:
    """Askers to be killed, one after the other, over one database; each asks long after the lease of the one before."""

    world: World
    forks: Launcher
    folder: Path
    base_url: str
    connection_id: UUID
    died_at: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        create_key_file(self.folder / "top.key", key=self.world.context.keyring.vault.keys[0])

    async def ask(self, die_at: int = 0) -> list[str]:
        """Let one ask now, and die at a step; the steps that it took, or the last one."""
        steps = self.folder / "steps"
        steps.unlink(missing_ok=True)
        url, key_file = self.world.context.database.url, str(self.folder / "top.key")
        order = Order(url, key_file, self.base_url, str(self.connection_id), clock.now().isoformat(), str(steps), die_at)
        assert await self.forks.ask(order) == (KILLED if die_at else 0)
        await self._buried()
        clock.set_to(clock.now() + EVERY)
        return steps.read_text().splitlines()

    async def _buried(self) -> None:
        """The database has noticed that its client is gone, and has ended what it left open."""
        if self.world.context.database.is_sqlite:
            return
        async with asyncio.timeout(60):
            while True:
                async with self.world.context.database.begin(read_only=True) as tx:
                    if not (await tx.execute(BEHIND_A_DEAD_CLIENT)).scalar_one():
                        return
                await asyncio.sleep(0.005)


@pytest.fixture
async def polled(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Polled]:
    monkeypatch.setattr(paged, "PAGE", 2)
    async with polled_world(world) as made:
        yield made


@pytest.mark.long
@each_step
async def test_an_asker_killed_at_any_step_leaves_the_cursor_where_the_rows_are(
    polled: Polled, forks: Launcher, tmp_path: Path, whole: bool
) -> None:
    """Two pages a turn. Neither ahead, which would lose rows, nor behind."""
    rig = Rig(polled.world, forks, tmp_path, polled.base_url, polled.connection_id)
    for _ in range(2):
        add_rows(polled)
        steps = await rig.ask()
    for die_at in to_die_at(steps, whole):
        add_rows(polled)
        (died_at,) = await rig.ask(die_at)
        rig.died_at[died_at] += 1
        await require_together(polled, died_at)
        if not whole:
            await rig.ask()  # an open round is gone on with in other steps: the next one must meet those that were counted
    assert set(rig.died_at) >= AROUND_A_PAGE | COMMITS
    await rig.ask()
    await require_together(polled, "at the end")
    assert await polled.alerts() == len(polled.provider.rows)
    assert (await polled.row()).failures == 0


def add_rows(polled: Polled) -> None:
    """Three rows, a second between them: more than a page, and no two at the end of one."""
    for second in range(3):
        polled.provider.add(clock.now() + timedelta(seconds=second), "ref-nobody")


async def require_together(polled: Polled, where: str) -> None:
    await polled.world.workers.drain()
    cursor = (await polled.row()).cursor
    covered = [row for row in polled.provider.rows if cursor is not None and row[0] <= cursor]
    assert await polled.alerts() == len(covered), where


@pytest.fixture
async def crs(world: World) -> AsyncIterator[LookedUp]:
    async with looked_up_world(world) as made:
        yield made


@pytest.mark.long
@each_step
async def test_an_asker_killed_at_any_step_of_a_look_up_has_done_it_with_its_answer_or_not_at_all(
    crs: LookedUp, forks: Launcher, tmp_path: Path, whole: bool
) -> None:
    await crs.enroll()
    rig = Rig(crs.world, forks, tmp_path, crs.base_url, crs.id)
    for _ in range(2):
        await notice(crs)
        steps = await rig.ask()
    for die_at in to_die_at(steps, whole):
        await notice(crs)
        (died_at,) = await rig.ask(die_at)
        rig.died_at[died_at] += 1
        await require_tied(crs, died_at)
    assert set(rig.died_at) >= AROUND_A_LOOK_UP | COMMITS
    await rig.ask()
    await require_tied(crs, "at the end")
    await crs.world.workers.drain()
    assert set(await crs.states()) == {LookUpState.DONE}
    assert (await books(crs.world))["alerts"] == len(crs.provider.details)


async def notice(crs: LookedUp) -> None:
    """One more thing happens and is told of; it is to be looked up."""
    crs.provider.waiting.clear()
    crs.happens()
    assert (await crs.notices()).status_code == 202
    await crs.world.workers.drain()


async def require_tied(crs: LookedUp, where: str) -> None:
    """What is done has its answer, and every answer belongs to something that is done."""
    done = {row.event_id: row.receipt_id for row in await crs.look_ups() if row.state == LookUpState.DONE}
    answers = {r.answers_event: r.id for r in await receipts(crs.world) if r.channel == Channel.FOLLOW_UP}
    assert done == answers, where
