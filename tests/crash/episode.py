"""One episode: the system at work, deliveries coming in, and a nemesis that does what its seed says. Then the checker."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx

from app.kit.health import MOST_OFFSET
from app.kit.migrate import upgrade
from connectors.sandboxing import serving
from tests.crash.checker import Found, check, settled
from tests.crash.cluster import Cluster
from tests.crash.deliveries import Script
from tests.crash.failpoints import WEB, WORK
from tests.crash.system import Part, System, Zygote
from tests.support.paged import PagedSandbox, paged_registered
from tests.support.proxy import Proxy, Weather

POINT_SECONDS = 12.0
REACHED_BY = 5
ATTEMPTS = 10
"""How often a point is waited for. Each of several workers may do the work of a while, so the one with the trap may not."""


@dataclass
class Outcome:
    """What was done in an episode, by kind, and what was found after it."""

    found: Found
    kills: Counter[str]
    faults: Counter[str]
    statuses: Counter[str]


@dataclass
class Nemesis:
    """Does one bad thing after another to a system; every choice comes from the dice."""

    system: System
    dice: random.Random
    cluster: Cluster | None
    proxies: dict[str, Proxy]
    kills: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def one_of(self, role: str) -> Part:
        """Any part of a role."""
        return self.dice.choice([part for part in self.system.parts if part.role == role])

    async def kill_at_random(self, part: Part | None = None) -> None:
        """kill -9 of any part at any moment; a little later it is started again."""
        part = part or self.dice.choice(self.system.parts)
        await asyncio.sleep(self.dice.uniform(0.0, 0.25))
        if part.signal(signal.SIGKILL):
            self.kills[f"{part.role} at random"] += 1
        await self.back_again()

    async def kill_at(self, point: str) -> None:
        """Let a part kill itself at a named point: the n-th time it comes there or, if it does not so often, the first time.

        Which of several parts comes there is theirs to settle: each is tried in turn.
        """
        fitting = self.system.webs if point in WEB else self.system.workers
        turns, times = itertools.cycle(self.dice.sample(fitting, len(fitting))), self.dice.randint(1, REACHED_BY)
        for _ in range(ATTEMPTS):
            if await self._killed_at(point, next(turns), times):
                return
            times = 1

    async def _killed_at(self, point: str, part: Part, times: int) -> bool:
        """Start a part so that it kills itself there, and wait for it; a part that never comes there dies anyway."""
        await self._die_at_random(part)
        known = set(self.system.died_at())
        part.hurt = {"die_at": (point, times)}
        await self.back_again()
        deadline = time.monotonic() + POINT_SECONDS

        def met() -> bool:
            """It may have died before all was ready, and run again since: its process is another one then, which lives."""
            return any(where == point for process, where in self.system.died_at().items() if process not in known)

        while part.alive and not met() and time.monotonic() < deadline:  # noqa: ASYNC110 - as above: it tells nobody
            await asyncio.sleep(0.02)
        await self._die_at_random(part)
        if died := met():
            self.kills[f"at {point}"] += 1
        await self.back_again()
        return died

    async def _die_at_random(self, part: Part) -> None:
        if part.signal(signal.SIGKILL):
            self.kills[f"{part.role} at random"] += 1
        await gone(part)

    async def database(self, way: str) -> None:
        """Kill PostgreSQL, or stop it at once; wait, start it again. Nobody touches the servers."""
        assert self.cluster is not None
        end = {
            "postmaster": self.cluster.kill_postmaster,
            "all of it": self.cluster.kill_all,
            "stop -m immediate": self.cluster.stop_immediately,
        }[way]
        await asyncio.sleep(self.dice.uniform(0.0, 0.3))
        await asyncio.to_thread(end)
        self.kills[f"PostgreSQL: {way}"] += 1
        await asyncio.sleep(self.dice.uniform(0.1, 0.8))
        await self.cluster.start()
        await self.back_again()

    async def weather(self, where: str, weather: Weather) -> None:
        """Bad weather on one line for a while."""
        self.proxies[where].become(weather)
        await asyncio.sleep(self.dice.uniform(0.5, 2.0))
        self.proxies[where].become(Weather.FAIR)
        self.faults[f"{where} line {weather}"] += 1

    async def stop_past_the_lease(self, part: Part) -> None:
        """SIGSTOP for longer than any lease lasts, then SIGCONT: it goes on with what it believed to be its own."""
        if part.signal(signal.SIGSTOP):
            await asyncio.sleep(self.dice.uniform(6.5, 8.0))
            part.signal(signal.SIGCONT)
            self.faults[f"{part.role} stopped past its lease"] += 1

    async def comes_back_wrong(self, part: Part, seconds: float) -> None:
        """A part is killed and comes back with a clock that is wrong; after a while it is killed again, and right."""
        for off in (seconds, 0.0):
            await self._die_at_random(part)
            self.system.dials[part.name].turn(off)
            await self.back_again()
            await asyncio.sleep(self.dice.uniform(0.5, 1.5))
        self.faults[f"clock of {part.role} wrong"] += 1

    async def clock_jumps(self, part: Part, seconds: float) -> None:
        """The clock of a part that runs is set, and later set right: it goes on with the leases and waits that it had."""
        process = part.pid
        for off in (seconds, 0.0):
            self.system.dials[part.name].turn(off)
            await asyncio.sleep(self.dice.uniform(1.0, 2.5))
            if abs(off) > MOST_OFFSET.total_seconds() and part in self.system.webs:
                async with httpx.AsyncClient(timeout=10) as client:
                    answer = await client.get(f"http://127.0.0.1:{part.port}/readyz")
                assert (answer.status_code, "clock" in answer.text) == (503, True), answer.text
        await self.back_again()
        assert part.pid == process, "a jump of the clock killed it"
        self.faults[f"clock of {part.role} jumps"] += 1

    async def disk_full(self) -> None:
        """An SQLite database that cannot grow for a while."""
        self.system.full.touch()
        await asyncio.sleep(self.dice.uniform(0.5, 1.5))
        self.system.full.unlink()
        self.faults["disk full"] += 1

    async def back_again(self) -> None:
        """Start what is dead, and let it do some work."""
        await self.system.until_ready()
        await asyncio.sleep(self.dice.uniform(0.05, 0.3))


async def gone(part: Part) -> None:
    """Wait until a killed process is no more."""
    while part.alive:  # noqa: ASYNC110 - another process's end, which tells nobody
        await asyncio.sleep(0.005)


Act = Callable[[Nemesis], Awaitable[None]]


def _point(name: str) -> Act:
    return lambda nemesis: nemesis.kill_at(name)


def _database(way: str) -> Act:
    return lambda nemesis: nemesis.database(way)


async def _at_random(nemesis: Nemesis) -> None:
    await nemesis.kill_at_random()


EVERY_POINT: tuple[Act, ...] = tuple(_point(name) for name in dict.fromkeys((*WEB, *WORK)))
EVERY_WAY: tuple[Act, ...] = tuple(_database(way) for way in ("postmaster", "all of it", "stop -m immediate"))
AT_RANDOM: Act = _at_random


def _weather(where: str, weather: Weather) -> Act:
    return lambda nemesis: nemesis.weather(where, weather)


def _wrong(role: str, seconds: float) -> Act:
    return lambda nemesis: nemesis.comes_back_wrong(nemesis.one_of(role), seconds)


def _jump(role: str, seconds: float) -> Act:
    return lambda nemesis: nemesis.clock_jumps(nemesis.one_of(role), seconds)


def _stopped(role: str) -> Act:
    return lambda nemesis: nemesis.stop_past_the_lease(nemesis.one_of(role))


def _disk(nemesis: Nemesis) -> Awaitable[None]:
    return nemesis.disk_full()


BAD_LINES: tuple[Act, ...] = tuple(_weather("sender", weather) for weather in (Weather.SLOW, Weather.DEAF, Weather.CUT))
ON_SQLITE: tuple[Act, ...] = (
    *BAD_LINES,
    _stopped("all"),
    *(act("all", seconds) for act in (_wrong, _jump) for seconds in (8, -8)),
    _disk,
)
ON_POSTGRESQL: tuple[Act, ...] = (
    *BAD_LINES,
    *(_weather("database", weather) for weather in (Weather.SLOW, Weather.DEAF, Weather.CUT)),
    _stopped("worker"),
    _stopped("web"),
    *(act("worker", seconds) for act in (_wrong, _jump) for seconds in (8, -8)),
    *(_jump("web", seconds) for seconds in (8, -8, 200)),
)
"""A web's clock goes wrong by less than signatures may be late: what is later is kept, and waits for a person. A worker that was
ahead when it died leaves leases that last longer by as much as it was ahead, and one that runs has set times for later that much
too late: so who works is never ahead by minutes here, or the end of an episode would be, too."""


@dataclass(frozen=True)
class Plan:
    """What is to happen: so many connections send, and these acts are done in an order that the seed decides.

    `pause`: seconds that each of them rests between two deliveries, so that the rest of the machine gets on.
    """

    seed: int
    acts: tuple[Act, ...]
    script: Script
    connections: int = 16
    enough: int = 0
    pause: float = 0.0


async def play(plan: Plan, zygote: Zygote, folder: Path, database_url: str, cluster: Cluster | None) -> Outcome:
    """Play one episode over an empty database, and check it. Raises AssertionError naming the seed."""
    await asyncio.to_thread(upgrade, database_url)
    provider = PagedSandbox(lambda: datetime.now(UTC))
    with paged_registered():
        async with serving(provider) as base_url, System(zygote, folder, database_url, base_url, plan.script) as system:
            try:
                return await _played(plan, system, provider, cluster)
            except AssertionError as error:
                raise AssertionError(f"seed {plan.seed}: {error}") from error


async def _played(plan: Plan, system: System, provider: PagedSandbox, cluster: Cluster | None) -> Outcome:
    dice = random.Random(plan.seed)
    async with _lines(system, cluster) as proxies:
        nemesis = Nemesis(system, dice, cluster, proxies)
        await system.until_ready()
        ports = [proxies["sender"].port, *(part.port for part in system.webs[1:])]
        system.send(plan.connections, pause=plan.pause, ports=ports)
        feeding = asyncio.create_task(_feed(provider, random.Random(plan.seed)))
        try:
            for act in dice.sample(plan.acts, len(plan.acts)):
                await act(nemesis)
            while system.acknowledged() < plan.enough:  # noqa: ASYNC110 - what another process writes to a file
                await asyncio.sleep(0.5)
        finally:
            feeding.cancel()
        await system.until_ready()
        statuses = Counter(await system.stop_sending())
        await settled(system, provider)
        found = await check(system, provider, stopped=any("stopped" in name for name in nemesis.faults))
    return Outcome(found, nemesis.kills, nemesis.faults, statuses)


@asynccontextmanager
async def _lines(system: System, cluster: Cluster | None) -> AsyncIterator[dict[str, Proxy]]:
    """The proxies of an episode: before the first web, and, with PostgreSQL, between every server and the database."""
    lines = {"sender": Proxy(system.webs[0].port)}
    if cluster is not None:
        lines["database"] = Proxy(cluster.port)
    for proxy in lines.values():
        await proxy.start()
    if cluster is not None:
        system.served_url = system.database_url.replace(f":{cluster.port}/", f":{lines['database'].port}/")
    try:
        yield lines
    finally:
        for proxy in lines.values():
            await proxy.close()


async def _feed(provider: PagedSandbox, dice: random.Random) -> None:
    """The provider learns of something new, a few times a second."""
    while True:
        provider.add(datetime.now(UTC), "ref-nobody", count=dice.randrange(1, 3))
        await asyncio.sleep(1.0)
