"""One provider, one pace, whichever process asks: who takes a turn over begins where the pace of the one before ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest

from app.connections import polls
from app.intake.asker import Asker
from app.intake.polling import LEASE
from app.kit import clock
from connectors.asking import PollPlan
from connectors.pace import SLACK
from connectors.sandboxing import serving
from tests.intake.polled import connect
from tests.support.paged import Paged, PagedSandbox, paged_registered
from tests.support.world import World

PER_MINUTE = 100
PERIOD = (60 + SLACK) / PER_MINUTE
JITTER = 0.3
"""Seconds by which one request may be quicker on its way than the one before it, on a machine under load."""


@dataclass
class Paced:
    """The world, a provider that notes in real time when it is asked, and two processes' askers."""

    world: World
    provider: PagedSandbox
    connection_id: UUID
    askers: tuple[Asker, Asker]

    def gaps(self) -> list[float]:
        """Seconds between the requests, as the provider saw them come in."""
        return [(after.at - before.at).total_seconds() for before, after in pairwise(self.provider.faults.seen)]


@pytest.fixture
async def paced(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Paced]:
    monkeypatch.setattr(Paged, "poll", PollPlan(timedelta(hours=1), requests_per_minute=PER_MINUTE))
    provider = PagedSandbox(lambda: datetime.now(UTC))
    with paged_registered():
        async with serving(provider) as base_url:
            connection_id = await connect(world, base_url)
            askers = Asker(world.context), Asker(world.context)
            yield Paced(world, provider, connection_id, askers)
            for asker in askers:
                await asker.close()


async def ask_now(paced: Paced, asker: Asker) -> None:
    async with paced.world.context.database.begin() as tx:
        await polls.ask_now(tx, paced.connection_id, clock.now())
    assert await asker.ask(paced.connection_id)


@pytest.mark.long
async def test_who_takes_over_goes_on_at_the_same_pace(paced: Paced) -> None:
    paced.provider.add(clock.now(), "ref-nobody", count=12)
    for turn in range(4):
        await ask_now(paced, paced.askers[turn % 2])
    assert len(paced.provider.faults.seen) == 8, "two pages a turn"
    assert min(paced.gaps()) >= PERIOD - JITTER
    assert sum(paced.gaps()) >= 7 * PERIOD - JITTER


@pytest.mark.long
async def test_who_takes_over_after_a_failure_goes_on_at_the_same_pace(paced: Paced) -> None:
    paced.provider.fails_at = 1
    await ask_now(paced, paced.askers[0])
    await ask_now(paced, paced.askers[1])
    assert len(paced.provider.faults.seen) >= 4, "each of them tries more than once"
    assert min(paced.gaps()) >= PERIOD - JITTER


async def test_who_inherits_a_turn_waits_for_as_long_as_a_question_of_the_dead_could_be_recent(paced: Paced) -> None:
    """The first was killed while its question was on its way, so nothing tells when that left; its lease is over just now."""
    paced.provider.gate = asyncio.Event()
    killed = asyncio.create_task(paced.askers[0].ask(paced.connection_id))
    await paced.provider.arrived.wait()
    killed.cancel()
    paced.provider.gate.set()
    clock.set_to(clock.now() + LEASE)
    await ask_now(paced, paced.askers[1])
    assert len(paced.provider.faults.seen) == 2
    assert min(paced.gaps()) >= PERIOD - JITTER
