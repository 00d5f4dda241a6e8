"""One connector's fake provider and the real core between two real HTTP servers. Importable; holds no tests."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from app.breaches.models import Breach, MemberEvidence
from app.connections import service as connections
from app.connections.models import Connection, Poll, PollSubject, RoundKind
from app.incidents.models import MemberAlert, MemberEvent
from app.intake import asker, receive
from app.intake.models import AlertRow, Channel, Event, LookUp, LookUpState, Receipt
from app.intake.receive import Arrival
from app.kit import clock
from app.members import service as members
from app.members.roster import EnrollmentEntry
from connectors.contract import Connector, GoAndLook, RawEvent, Sender, WebhookPlan
from connectors.http import ProviderClient
from connectors.mailbox import MailboxClient
from connectors.sandboxing import Fault, Manner, Sandbox, serving, serving_app
from connectors.testing.round_trip import PEOPLE, UNPACED, Told, sandbox_of
from connectors.vocabulary import AlertKind
from tests.connectors.desk import create_receiver
from tests.intake.counting import books
from tests.support.world import World

WHO = dict(zip(PEOPLE, ("M-1", "M-2"), strict=True))
LISTING = AlertKind.EXPOSURE_BREACH_LISTING.family
AWAITED = timedelta(days=1, minutes=1)


@dataclass
class Stage:
    """The world, a fake provider and one connection between them. M-1 and M-2 are enrolled and agreed.

    `told_at`: the connections that alerts are told on: this one, or the one that it hands on to.
    """

    world: World
    connector: Connector
    sandbox: Sandbox
    connection_id: UUID
    url: str
    told: Told
    told_at: frozenset[UUID]

    @property
    def pushes(self) -> bool:
        return self.connector.webhook is not None

    @property
    def plan(self) -> WebhookPlan:
        assert self.connector.webhook is not None
        return self.connector.webhook

    def tell(self, *kinds: AlertKind) -> int:
        """One thing of each kind that the provider can tell, about both people in turn; all later than what was told before."""
        clock.set_to(clock.now() + timedelta(minutes=1 + (len(kinds) or len(AlertKind))))
        return self.told.tell(PEOPLE, clock.now(), kinds or tuple(AlertKind))

    async def push(self, manner: Manner = Manner.HONEST) -> None:
        """Push what waits, where the provider pushes, and hand in what is handed in by hand; all of it is taken."""
        if self.pushes:
            assert set(await self.sandbox.push(self.url, manner)) <= {202}
        if self.connector.by_hand:
            await self._hand_in(manner)

    async def _hand_in(self, manner: Manner) -> None:
        async with self.world.context.database.begin() as tx:
            row = await tx.get_one(Connection, self.connection_id)
            for body, asked in manner.arranged(self.sandbox.hand_over()):
                arrival = Arrival(body, self.connector.proof_of(body, asked), Channel.HANDED_IN, asked=asked)
                await receive.keep(tx, self.world.context.keyring, row, arrival)

    async def ask(self, *, after: timedelta = timedelta(0)) -> None:
        """Ask what is due, a while later, and do all the work behind it."""
        clock.set_to(clock.now() + after)
        await self.world.workers.ask()

    async def recover(self) -> None:
        """The provider behaves again and has had the rest that it and each question were given; then another process asks."""
        self.sandbox.behave()
        await self.world.workers.asker.close()
        row = await self.poll()
        again = row.poll_due_at if row.round_kind == RoundKind.AGAIN else None
        waits = [row.waits_until, again, await self._last_look_up_due()]
        clock.set_to(max([clock.now(), *(until for until in waits if until)]))
        await self.world.workers.ask()

    async def ask_from_the_beginning(self) -> None:
        """A sweep, now."""
        async with self.world.context.database.begin() as tx:
            due = {"poll_due_at": clock.now(), "sweep_due_at": clock.now(), "waits_until": None}
            await tx.execute(update(Poll).where(Poll.connection_id == self.connection_id).values(due))
        await self.world.workers.ask()

    async def poll(self) -> Poll:
        async with self.world.context.database.begin(read_only=True) as tx:
            return await tx.get_one(Poll, self.connection_id)

    async def _last_look_up_due(self) -> datetime | None:
        async with self.world.context.database.begin(read_only=True) as tx:
            failed = (LookUp.connection_id == self.connection_id, LookUp.state == LookUpState.DUE, LookUp.failures > 0)
            return (await tx.execute(select(func.max(LookUp.due_at)).where(*failed))).scalar_one()

    async def unanswered(self) -> int:
        """How many people and notices had no answer the last time: what failed about one of them is its own matter."""
        async with self.world.context.database.begin(read_only=True) as tx:
            people = select(func.count()).where(PollSubject.connection_id == self.connection_id, PollSubject.failures > 0)
            notices = select(func.count()).where(LookUp.connection_id == self.connection_id, LookUp.failures > 0)
            return (await tx.execute(people)).scalar_one() + (await tx.execute(notices)).scalar_one()

    async def receipts(self) -> Counter[tuple[str, str]]:
        """How many receipts came by which channel, with which grade."""
        async with self.world.context.database.begin(read_only=True) as tx:
            rows = select(Receipt.channel, Receipt.grade).where(Receipt.connection_id == self.connection_id)
            return Counter((channel, grade) for channel, grade in (await tx.execute(rows)).all())

    async def count(self, table: Any) -> int:
        async with self.world.context.database.begin(read_only=True) as tx:
            return (await tx.execute(select(func.count()).select_from(table))).scalar_one()

    async def come_in(self) -> Counter[tuple[str, str]]:
        """How many things of which family stand with which reference's member: alerts, and breaches that list them."""
        reference = {self.world.union.members[who]: name for name, who in WHO.items()}
        async with self.world.context.database.begin(read_only=True) as tx:
            ours = MemberEvent.connection_id.in_(self.told_at)
            rows = select(MemberEvent.member_id, MemberEvent.alert_id, MemberEvent.kind).where(ours).distinct()
            found = Counter((reference[row[0]], AlertKind(row[2]).family) for row in (await tx.execute(rows)).all())
            listed = select(MemberEvidence.member_id).join(Breach, Breach.id == MemberEvidence.breach_id)
            rows = listed.where(Breach.key.like(f"listed-{self.connector.name}-%"))
            return found + Counter((reference[row[0]], LISTING) for row in (await tx.execute(rows)).all())

    async def require_all_once(self) -> None:
        """Everything told is there once, with whom it is about; no alert is nobody's; the accounts close."""
        assert await self.come_in() == self.told.by_family
        assert await self.count(AlertRow) == await self.count(MemberAlert)
        found = await books(self.world)
        assert (found["waiting"], found["quarantined"], found["unsplittable"], found["unmatched"]) == (0, 0, 0, {})

    async def require_nothing(self) -> None:
        """No alert, no incident, no listing."""
        assert await self.come_in() == Counter()
        assert await self.count(AlertRow) == 0

    async def events(self) -> int:
        return await self.count(Event)


@asynccontextmanager
async def staged(world: World, connector: Connector) -> AsyncIterator[Stage]:
    """Serve the fake provider and the application, and connect them."""
    sandbox = sandbox_of(connector)(clock.now)
    for reference in PEOPLE:
        sandbox.enrol(reference)
    async with serving(sandbox) as base_url, serving_app(world.app) as origin:
        async with world.context.database.begin() as tx:
            receiver = await create_receiver(tx, world, connector)
            made = await connections.create_connection(
                tx,
                world.context.keyring,
                world.union.id,
                connector=connector.name,
                title="Sandbox",
                sender=Sender.PROVIDER,
                secret=sandbox.webhook_secret,
                settings=sandbox.settings(base_url),
            )
            told_at = frozenset({made.connection.id, *([receiver.id] if receiver else [])})
            who = {sandbox.known_as(person): member for person, member in WHO.items()}
            await enroll(tx, world, (receiver or made.connection).id, who)
        yield Stage(world, connector, sandbox, made.connection.id, origin + made.path, Told(sandbox), told_at)
        await world.workers.asker.close()


async def enroll(tx: Any, world: World, connection_id: UUID, who: dict[str, str]) -> None:
    """Enroll members under references, with their consent."""
    entries = [EnrollmentEntry(n, member, reference, True, None, None) for n, (reference, member) in enumerate(who.items())]
    await members.import_enrollments(tx, world.context.keyring, world.union.id, connection_id, entries, ())


async def enroll_whom_forgers_name(stage: Stage, count: int) -> None:
    """M-3 stands behind every reference that made-up notices name and that is nobody's yet; the provider knows them."""
    named = set()
    for number in range(count):
        for event in stage.connector.split(stage.sandbox.made_up(number)):
            assert isinstance(event, RawEvent)
            look = stage.connector.normalise(event)
            assert isinstance(look, GoAndLook)
            named.add(look.member_ref)
    for reference in sorted(named - WHO.keys()):
        stage.sandbox.enrol(reference)
    async with stage.world.context.database.begin() as tx:
        await enroll(tx, stage.world, stage.connection_id, dict.fromkeys(sorted(named - WHO.keys()), "M-3"))


def no_waiting(monkeypatch: pytest.MonkeyPatch, **seconds: float) -> None:
    """The real client of the real asker, which waits for no turn; `seconds` are deadlines of its own."""

    def client(base_url: str, *, requests_per_minute: float, now: Callable[[], datetime]) -> ProviderClient:
        assert requests_per_minute > 0
        return ProviderClient(base_url, requests_per_minute=UNPACED, now=now, backoff=0.001, longest_wait=0.0, **seconds)

    def mailbox(base_url: str, *, requests_per_minute: float) -> MailboxClient:
        assert requests_per_minute > 0
        return MailboxClient(base_url, requests_per_minute=UNPACED, longest_wait=0.0, **seconds)

    monkeypatch.setattr(asker, "ProviderClient", client)
    monkeypatch.setattr(asker, "MailboxClient", mailbox)


def counted(sandbox: Sandbox) -> Callable[[], int]:
    """Count the requests from now on; tells how many they were, and counts no further."""
    numbers, honest = itertools.count(), type(sandbox.faults).take

    def take(path: str) -> Any:
        next(numbers)
        return honest(sandbox.faults, path)

    sandbox.faults.take = take  # type: ignore[method-assign]
    return lambda: next(numbers)


def fail_at(sandbox: Sandbox, nth: int, fault: Fault) -> Callable[[], bool]:
    """Meet the nth request from now on, and all behind it, with a fault until `behave`; tells whether it came to that."""
    numbers, honest, met = itertools.count(1), type(sandbox.faults).take, asyncio.Event()

    def take(path: str) -> Any:
        if next(numbers) == nth:
            sandbox.misbehave(fault, times=1000)
            met.set()
        return honest(sandbox.faults, path)

    sandbox.faults.take = take  # type: ignore[method-assign]
    return met.is_set
