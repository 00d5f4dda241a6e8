"""The ticks of watching: check the accounts, send the canary and look for it, set the gauges that need the database."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from app.intake.first_byte import Acknowledged
from app.kit import clock, metrics
from app.kit.context import Context
from app.kit.health import CLOCK, DISK, FOLDERS, Readiness
from app.watch import attested, canary, checking, counting, repository
from app.watch.accounts import Amiss, Identity
from app.watch.checking import SETTLED, STEP, Book
from app.watch.counting import Odd
from connectors.asking import ProviderError
from connectors.http import ProviderClient, sandbox_allowed

log = structlog.get_logger(__name__)

RECENT_SECONDS = 2.0
"""How long one tick may walk behind what has just come in."""

WHOLE_STEPS = 12
"""Steps over everything there is that one tick goes: a million receipts are walked over in some hours."""

WHOLE_AGAIN = timedelta(hours=1)
MOST_COUNTED = 10_000
_PER_MINUTE = 60
_LOCAL = "http://127.0.0.1:"
_ALARMED = frozenset({CLOCK, DISK, FOLDERS})
"""Obstacles that are an alarm by the same word. The others have alarms of their own, or nobody who could send one."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What stands in the way of the whole service, and what is odd about a part of it: words of `notices.models.AlarmKind`."""

    everywhere: frozenset[str] = frozenset()
    book: Book | None = None
    odd: Odd = field(default_factory=dict)
    unattested: Mapping[UUID, frozenset[str]] = field(default_factory=dict)
    """By organization."""

    def amiss(self, organization_id: UUID, *, since: datetime | None) -> bool:
        """Whether an organization's accounts do not close; `since`: when the open alarm about it was last seen, if one is."""
        return self.book is not None and self.book.is_amiss(organization_id, since=since)


class Watcher:
    """One process's watching. What it found is in its memory; what it looks at is the database, which all share."""

    def __init__(self, context: Context, readiness: Readiness, acknowledged: Acknowledged) -> None:
        """Nothing is looked at before the first tick."""
        self._context = context
        self._readiness = readiness
        self._began = clock.now()
        self.book = Book(acknowledged, self._began)
        self._seen: datetime | None = None
        self._absent = False
        self._days, self._odd = counting.Days(), dict[UUID, frozenset[tuple[UUID, str]]]()

    async def check_accounts(self) -> list[Amiss]:
        """Walk on over the books for a while; what is newly amiss."""
        before = repository.first_id_of(clock.now() - SETTLED)
        async with self._context.database.begin(read_only=True) as tx:
            lanes = await checking.lanes(tx)
        found = await self._answers() + await self._recent(lanes, before) + await self._whole(lanes, before)
        new = self._noted(found)
        await self._again()
        self.book.tell()
        return new

    async def check_answers(self) -> list[Amiss]:
        """Look whether what this process told its senders is so: all that a process without workers checks; what is not."""
        new = self._noted(await self._answers())
        self.book.tell()
        return new

    def _noted(self, found: list[Amiss]) -> list[Amiss]:
        new = self.book.note(found)
        for one in new:
            log.error(
                "the accounts do not close", identity=one.identity, connection=str(one.connection_id), receipt=str(one.receipt_id)
            )
        return new

    async def _answers(self) -> list[Amiss]:
        """Look for what senders were told is kept."""
        found: list[Amiss] = []
        while True:
            told, unreadable = self.book.acknowledged.take(STEP)
            if not told and not unreadable:
                return found
            async with self._context.database.begin(read_only=True) as tx:
                found += await checking.of_answers(tx, told, unreadable)

    async def _recent(self, lanes: list[checking.Lane], before: UUID) -> list[Amiss]:
        walk, found = self.book.recent, list[Amiss]()
        walk.open(lanes)
        walk.again()
        until = time.monotonic() + RECENT_SECONDS
        while (lane := walk.next()) is not None and time.monotonic() < until:
            found += await self._step(walk, lane, before)
        if walk.over:
            metrics.ACCOUNTS_UP_TO.set((clock.now() - SETTLED).timestamp())
        return found

    async def _whole(self, lanes: list[checking.Lane], before: UUID) -> list[Amiss]:
        walk, found = self.book.whole, list[Amiss]()
        if walk.over and walk.places:
            if clock.now() - self.book.whole_began < WHOLE_AGAIN:
                return found
            self.book.whole_began = clock.now()
            walk.again(walk.start)
        walk.open(lanes)
        for _ in range(WHOLE_STEPS):
            lane = walk.next()
            if lane is None:
                break
            found += await self._step(walk, lane, before)
        if walk.over:
            metrics.ACCOUNTS_WHOLE.set(clock.now().timestamp())
            if not found and not self.book.amiss:
                self.book.clean_since = self.book.whole_began
        return found

    async def _step(self, walk: checking.Walk, lane: checking.Lane, before: UUID) -> list[Amiss]:
        await asyncio.sleep(0)  # whoever delivers goes first
        async with self._context.database.begin(read_only=True) as tx:
            return await checking.step(tx, walk, lane, before)

    async def _again(self) -> None:
        """Look again at what was amiss: what was mended is no longer so. What a sender was told wrongly stays."""
        for one in sorted(self.book.amiss, key=str):
            if one.identity is Identity.ACKNOWLEDGED:
                continue
            async with self._context.database.begin(read_only=True) as tx:
                if one.identity is Identity.RECEIPTS:
                    still = not await repository.present(tx, one.connection_id, [one.receipt_id])
                else:
                    still = one in await checking.of_receipts(tx, one.connection_id, [one.receipt_id])
            if not still:
                self.book.amiss.discard(one)

    async def fly(self) -> None:
        """Send the canary when it is due, and look for it on its timeline. Whatever fails on the way, it is missed in time.

        Any number of processes may do so at once. Of two that make its home together one fails, and is well a minute later.
        """
        now, since = clock.now(), self._began
        if not self._context.settings.canary:
            return
        to = canary.origin(self._context.settings)
        try:
            if to is not None:
                since = max(since, await self._flown(to, now))
        finally:
            self._missing(now, since, canary.NO_WAY if to is None else "look at the log of webs and workers")

    async def _flown(self, to: str, now: datetime) -> datetime:
        """Send it, or look for the one that was kept; since when there is a home that it can fly from."""
        async with self._context.database.begin() as tx:
            nest = await canary.nest(tx, self._context.keyring)
        async with self._context.database.begin(read_only=True) as tx:
            kept = await canary.last_kept(tx, nest.connection.id)
        if kept is None or now - kept >= canary.EVERY:
            await self._send(canary.flight(nest, to, now))
        elif self._seen is None or self._seen < kept:
            async with self._context.database.begin() as tx:
                self._seen = await canary.last_seen(tx, self._context, nest, kept) or self._seen
        return nest.made_at

    def _missing(self, now: datetime, since: datetime, mend: str) -> None:
        was_absent, self._absent = self._absent, canary.is_absent(now, seen=self._seen, since=since)
        if self._absent and not was_absent:
            log.error("the canary is missing", mend=mend)
        metrics.CANARY_ABSENT.set(self._absent)
        if self._seen is not None:
            metrics.CANARY_SEEN.set(self._seen.timestamp())

    async def _send(self, flight: canary.Flight) -> None:
        local = flight.url.startswith(_LOCAL)
        allowed: AbstractContextManager[None] = nullcontext()
        if local:
            allowed = sandbox_allowed("/".join(flight.url.split("/")[:3]))
        try:
            with allowed:
                async with ProviderClient(flight.url, requests_per_minute=_PER_MINUTE, now=clock.now, attempts=1) as http:
                    await http.notify(flight.body, headers=flight.headers)
        except ProviderError as error:
            log.error("the canary was not taken in", state=error.state)
            metrics.CANARY_SENT.labels("refused").inc()
        else:
            metrics.CANARY_SENT.labels("taken_in").inc()

    async def measure(self) -> None:
        """Set the gauges that need the database, by a few cheap looks."""
        await self._readiness.obstacles()
        async with self._context.database.begin(read_only=True) as tx:
            metrics.UNHANDLED.set(await repository.stored(tx, MOST_COUNTED))
        metrics.MEASURED.set(clock.now().timestamp())

    async def count(self) -> None:
        """See over which connections much more or much less comes in than usual."""
        async with self._context.database.begin(read_only=True) as tx:
            self._odd = dict(await counting.all_odd(tx, self._days))

    async def signs(self) -> Signs:
        """What stands in the way of the whole service now."""
        reasons = {obstacle.reason for obstacle in await self._readiness.obstacles()} & _ALARMED
        everywhere = frozenset(reasons | ({"canary"} if self._absent else set()))
        return Signs(everywhere, self.book, self._odd, await self._unattested())

    async def _unattested(self) -> dict[UUID, frozenset[str]]:
        async with self._context.database.begin(read_only=True) as tx:
            found = await attested.behind(tx, self._context.settings, clock.now())
        metrics.only(metrics.UNATTESTED, attested.longest(found).items())
        return attested.late(found)
