"""The application: routes, workers, and what ties them together. Nothing happens when this module is imported."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import Depends, FastAPI
from secure import Secure
from secure.middleware import SecureASGIMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access import endpoints as access
from app.access import mailing, ways_in
from app.access.describing import describe
from app.access.gate import authorize
from app.access.noting import Noted
from app.breaches import endpoints as breaches
from app.breaches import workers as breach_workers
from app.connections import endpoints as connections
from app.damages import endpoints as damages
from app.evidence import endpoints as evidence
from app.evidence import workers as evidence_workers
from app.handing_over import hand_over
from app.incidents import endpoints as incidents
from app.incidents import matching
from app.incidents import workers as incident_workers
from app.intake import endpoints as intake
from app.intake import handing_on, looking_up
from app.intake import workers as intake_workers
from app.intake.asker import Asker
from app.intake.first_byte import Acknowledged, FirstByte
from app.intake.gateway import Gateway
from app.intake.refusals import Refusals
from app.intake.repository import WAITING
from app.kit import dns, errors, health, metrics, outbox, pulling
from app.kit.buckets import Buckets
from app.kit.config import Settings, settings
from app.kit.context import Context, open_context, open_door
from app.kit.edge import Edge
from app.kit.health import Readiness
from app.kit.letters import Postman
from app.kit.outbox import Consumer
from app.kit.rings import collect_seldom
from app.kit.side_by_side import Piece, side_by_side
from app.kit.ticking import Work, again_and_again, ticking
from app.kit.wakeup import Wakeups
from app.ledger import workers as ledger_workers
from app.ledger.attesting import Attesting
from app.linkage import workers as linkage_workers
from app.members import endpoints as members
from app.notices import workers as notice_workers
from app.notices import writing
from app.statistics import endpoints as statistics
from app.timeline import endpoints as timeline
from app.upkeep import journal, retention
from app.watch.readiness import checks, checks_of_keys
from app.watch.workers import Watcher
from app.web import endpoints as web
from app.web.headers import SECURITY_HEADERS, UnlessSaid, always

COSIGNED_EVERY = 5.0
"""Seconds between two turns of having the log cosigned."""

_TAKING_IN, _PLACING = "taking in", "placing"
_ARRIVALS = {_TAKING_IN: WAITING, _PLACING: outbox.UNPLACED}
"""What is to be done with what has just come, and whether there is any."""

MEASURED_EVERY = 5.0
"""Seconds between two settings of the gauges that need the database."""

ROUTERS = (
    health.router,
    access.router,
    members.router,
    breaches.router,
    connections.router,
    intake.router,
    incidents.router,
    damages.router,
    timeline.router,
    statistics.router,
    evidence.router,
    web.router,
)


def consumers(context: Context) -> list[Consumer]:
    """Every consumer of the outbox, in the order in which an alert passes them."""
    return [
        mailing.consumer(context),
        breach_workers.consumer(context),
        intake_workers.waker(context),
        intake_workers.forgetter(context),
        intake_workers.reader_again(context),
        incident_workers.matcher(context),
        incident_workers.lister(context),
        incident_workers.eraser(context),
        incident_workers.raw_eraser(context),
        linkage_workers.consumer(context),
        notice_workers.teller(),
        notice_workers.eraser(),
        evidence_workers.taker_back(),
    ]


class Workers:
    """The work behind the doors: handle what was received, pass on what happened, until nothing is left to do."""

    def __init__(self, context: Context, refusals: Refusals | None = None, acknowledged: Acknowledged | None = None) -> None:
        """One set of workers for each process; leases in the database keep the sets apart.

        `refusals`: those of its intake; `acknowledged`: what this process answers to senders, if it does.
        """
        self._context = context
        self._refusals = refusals or Refusals()
        self.asker = Asker(context)
        self.attesting = Attesting(context)
        self.builder = evidence_workers.Builder(context)
        self._consumers = consumers(context)
        self._bring = incident_workers.bringer(context, linkage_workers.linker(context))
        self._workers = [pulling.Worker(context.database, consumer) for consumer in self._consumers]
        self.readiness = Readiness(context, [*checks(self._consumers), *checks_of_keys(context.keyring)])
        self.watcher = Watcher(context, self.readiness, acknowledged or Acknowledged())
        self._postman = Postman(
            context.database, [mailing.sign_in_letter(context), *mailing.notices(context), *writing.kinds(context)]
        )
        self._journal = journal.Journal(context.settings.journal)
        self._running = asyncio.Lock()
        self._resolver = dns.resolver(context.settings.dns_servers)
        self._renewed = False
        """Whether what earlier rules found was looked for; a process keeps its rules for as long as it lives."""

    async def drain(self) -> int:
        """Work until nothing waits, letters too; returns how many things were done. Safe to call at any time, from anywhere."""
        total = 0
        while done := await self._work() + await self.hand_on() + await self.send_letters():
            total += done
        await self.log()
        await intake_workers.write_refusals(self._context.database, self._refusals)
        return total

    async def _work(self) -> int:
        async with self._running:
            if self._context.database.is_sqlite:
                return await self._one_after_another()
            return await side_by_side(self._due)

    async def log(self) -> int:
        """Give the ledger's entries their places in the logs, and read them again; how many."""
        return await ledger_workers.go_on(self._context)

    async def verify_logs(self) -> int:
        """Verify every log of the ledger whose last time is a day ago; how many."""
        return await ledger_workers.verify(self._context)

    async def hand_on(self) -> int:
        """Hand on every message that is due; how many were looked at. The DNS may be slow, so it has a tick of its own."""
        total = 0
        while done := await handing_on.hand_on(self._context, self._resolver):
            total += done
        return total

    async def send_letters(self) -> int:
        """Send every letter that is due; how many were looked at. A slow mail server holds up no other work."""
        total = 0
        while sent := await self._postman.run():
            total += sent
        return total

    async def _look(self) -> frozenset[str]:
        """Who has something to do: one look that holds up nobody."""
        return await outbox.behind(self._context.database, self._consumers, _ARRIVALS)

    async def is_idle(self) -> bool:
        """Whether nothing waits, for this process or for any other."""
        return not await self._look()

    async def _one_after_another(self) -> int:
        """SQLite has one writer: in each round whoever is behind takes a batch."""
        total = 0
        while done := await self._round():
            total += done
        return total

    async def _round(self) -> int:
        due, done = await self._look(), 0
        if not due.isdisjoint(_ARRIVALS):
            done += await self._take_in() + await self._place()
            due = await self._look()
        for worker in self._workers:
            if worker.consumer.name in due:
                done += await worker.run()
        return done

    async def _due(self) -> dict[str, Piece]:
        """What there is to do, by name."""
        jobs: dict[str, Piece] = {_TAKING_IN: self._take_in, _PLACING: self._place}
        jobs |= {worker.consumer.name: worker.run for worker in self._workers}
        due = await self._look()
        return {name: job for name, job in jobs.items() if name in due}

    async def _place(self) -> int:
        """Give new messages their positions, so that the next look finds who is to go on with them."""
        return await outbox.sequence(self._context.database)

    async def _take_in(self) -> int:
        """Understand what was received, and bring it to timelines where that needs nobody else."""
        return await intake_workers.handle_waiting(self._context.database, self._context.keyring, self._bring)

    async def sweep(self) -> None:
        """What is due by the calendar: give up on what has waited too long for consent, forget what everybody has handled."""
        async with self._context.database.begin() as tx:
            await matching.expire(tx, self._context.keyring)
        async with self._context.database.begin() as tx:
            await looking_up.give_up(tx, self._context.keyring)
        async with self._context.database.begin() as tx:
            await ways_in.forget_old(tx)
        await intake_workers.erase_by_term(self._context.database, self._context.keyring)
        await retention.forget_messages(self._context.database, self._consumers)
        await retention.delete_by_age(self._context.database)
        await self.builder.sweep()
        if not self._renewed:
            await linkage_workers.renew(self._context.database)
            self._renewed = True

    async def ask(self) -> int:
        """Ask every provider that is due, and work until nothing is left to do; returns how many turns that took."""
        turns = 0
        while True:
            await self.drain()
            asked = await self.asker.run_due()
            if not asked:
                return turns
            turns += asked

    async def tick(self) -> None:
        """Work behind the doors, once; letters have a tick of their own, so that a slow mail server holds up nothing."""
        await self._work()

    async def watch(self) -> None:
        """Look once for what stands in the way. A log is only behind when one more turn has not helped."""
        await again_and_again(self.log, "log")()
        await notice_workers.watch(self._context, await self.watcher.signs())

    async def keep_journal(self) -> int:
        """Write down outside the database what must stay erased when an old backup is restored; how many lines."""
        return await journal.keep(self._context.database, self._journal)

    async def hand_over(self) -> int:
        """Hand over to the door what it has not: of organizations that were there before it had a key of its own."""
        return await hand_over(self._context.database, self._context.keyring)

    def ticks(self) -> dict[str, Work]:
        """What is done again and again, by name."""
        return {
            "work": self.tick,
            "asking": self.asker.tick,
            "handing on": self.hand_on,
            "letters": self.send_letters,
            "watching": self.watch,
            "accounts": self.watcher.check_accounts,
            "canary": self.watcher.fly,
            "measuring": self.watcher.measure,
            "volume": self.watcher.count,
            "journal": self.keep_journal,
            "log": self.log,
            "verifying": self.verify_logs,
            **self.attesting.ticks(),
            "packet outlines": self.builder.look_up,
            "packets": self.builder.build,
            "sweep": self.sweep,
            "door": self.hand_over,
        }


def _every(context: Context) -> dict[str, float]:
    """Seconds from one tick to the next, by the name of what is done."""
    every = dict.fromkeys(("work", "asking", "handing on", "letters"), context.settings.worker_interval)
    every |= dict.fromkeys(("measuring", "journal"), MEASURED_EVERY)
    every |= dict.fromkeys(("door", "watching", "accounts", "canary", "volume", "stamping"), 60.0)
    every |= dict.fromkeys(("packet outlines", "packets"), evidence_workers.EVERY)
    return {**every, "log": ledger_workers.EVERY, "cosigning": COSIGNED_EVERY, "verifying": 3600.0, "sweep": 3600.0}


class Service(FastAPI):
    """The application; deliveries do not go through the framework, which would cost more than keeping them."""

    front: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (an ASGI call)."""
        scope["app"] = self
        await self.front(scope, receive, send)


@asynccontextmanager
async def working(context: Context, workers: Workers) -> AsyncIterator[None]:
    """While this is open the workers work: by the clock, and whenever work is announced."""
    woken = asyncio.create_task(Wakeups(context.database, again_and_again(workers.tick, "work")).run())
    try:
        with ticking(workers.ticks(), _every(context), at_once="door"):
            yield
    finally:
        woken.cancel()
        await asyncio.gather(woken, return_exceptions=True)
        await workers.asker.close()


async def work_until_stopped(config: Settings) -> None:
    """Work behind the doors, in a process without the web, until SIGTERM or SIGINT. What was committed by then stays."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    context = open_context(config)
    collect_seldom()
    try:
        with metrics.served(config.metrics_host, config.metrics_port):
            async with working(context, Workers(context)):
                await stopped.wait()
    finally:
        await context.database.close()


def attach(app: FastAPI, context: Context) -> None:
    """Give an application the world it works in."""
    app.state.context = context
    app.state.acknowledged = Acknowledged()
    app.state.intake = intake.open_intake(context)
    app.state.workers = Workers(context, app.state.intake.refusals, app.state.acknowledged)
    app.state.readiness = app.state.workers.readiness
    app.state.sign_ins = Buckets(context.settings.sign_in_rate, context.settings.sign_in_burst)


Opens = Callable[[Settings], Context]


def create_app(
    config: Settings | None = None, context: Context | None = None, *, work: bool = True, opens: Opens = open_context
) -> FastAPI:
    """The service. `context`: one that is open already, else one is opened; `work=False`: routes only, without workers."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        opened = context or opens(config or settings())
        attach(app, opened)
        async with AsyncExitStack() as doing:
            if work:
                await doing.enter_async_context(working(opened, app.state.workers))
            else:  # nobody else knows what this process tells senders
                check = {"answers": app.state.workers.watcher.check_answers}
                doing.enter_context(ticking(check, {"answers": 60.0}, at_once="answers"))
            doing.enter_context(metrics.served(opened.settings.metrics_host, opened.settings.metrics_port))
            await doing.enter_async_context(intake_workers.counting(opened.database, app.state.intake.refusals))
            doing.push_async_callback(app.state.intake.desk.close)
            if context is None:
                collect_seldom()
            yield
        if context is None:
            await opened.database.close()

    app = Service(
        title="Harmline",
        summary="Identity-theft alerts of the people hit by a breach, kept as evidence of damages.",
        version="1",
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(authorize)],
        responses=errors.RESPONSES,
    )
    for router in ROUTERS:
        app.include_router(router)
    web.mount_static(app)
    errors.register(app)
    describe(app)
    web.register_error_pages(app)
    if context is not None:
        attach(app, context)
    app.add_middleware(Noted)
    app.add_middleware(Edge)
    app.add_middleware(UnlessSaid)
    secure = Secure(**SECURITY_HEADERS)
    app.add_middleware(SecureASGIMiddleware, secure=secure)
    app.front = FirstByte(Gateway(app, super(Service, app).__call__, always(secure)))
    return app


def create_web() -> FastAPI:
    """The service's routes alone: the work behind them is done by `harmline work` in processes of its own."""
    return create_app(work=False)


def create_door() -> FastAPI:
    """The routes alone, without the top key: deliveries are taken in, and what needs that key says 503."""
    return create_app(work=False, opens=open_door)
