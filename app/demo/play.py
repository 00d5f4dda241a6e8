"""Plays the scenario: moves the clock through two years, posts what is due, lets the workers work, lets the people act."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.access.roles import Role
from app.breaches import service as breaches
from app.damages.schemas import NewLoss, NewReimbursement
from app.damages.service import enter_loss
from app.demo.alerts import plan_deliveries
from app.demo.cast import StageError, Tenant, set_up_neighbour, set_up_union
from app.demo.draw import draw_truth
from app.demo.enrollment import Book, Service, draw_enrollments
from app.demo.expected import Told, expect
from app.demo.plan import Delivery, Way
from app.demo.population import MEMBERS, Person, draw_people
from app.demo.reading import Found, found_incidents, holding
from app.demo.server import Post, Stage, running
from app.demo.truth import BEGIN, CURRENCY, END, FOCAL_BREACH, KNOWN, Agreement, Cost, Letter, Said, TrueIncident, Truth
from app.incidents.endpoints import answer_consent, answer_incident
from app.incidents.schemas import NewVerdict
from app.kit import clock
from app.kit.context import Context
from app.kit.database import Transaction
from app.members.schemas import ConsentAnswer
from app.statistics.workers import publish_release

SEED = 20230206
STEP = timedelta(days=14)
SWEEP_EVERY = timedelta(days=28)
RELEASES = tuple(
    datetime(year, month, 3, 9, tzinfo=UTC) for year, month in ((2023, 4), (2023, 7), (2023, 10), (2024, 1), (2024, 4))
)
"""Moments of the quarterly editions; the last one is made at the end."""

Act = Callable[[Transaction], Awaitable[object]]
Progress = Callable[[datetime, int], None]


@dataclass(frozen=True)
class Script:
    """Everything that is drawn before anything is played; always the same for a seed and a size."""

    people: tuple[Person, ...]
    truth: Truth
    book: Book
    deliveries: tuple[Delivery, ...]
    told: Told
    told_elsewhere: Told


def write_script(seed: int = SEED, size: int = MEMBERS) -> Script:
    """Draw the people, the truth, and everything that is sent."""
    people = draw_people(seed, size)
    truth = draw_truth(seed, people)
    book = draw_enrollments(seed, people, truth)
    deliveries = plan_deliveries(seed, truth, book)
    return Script(people, truth, book, deliveries, expect(deliveries, truth), expect(deliveries, truth, elsewhere=True))


@dataclass(frozen=True)
class Played:
    """The scenario after it was played: still running, the clock standing at its end."""

    script: Script
    context: Context
    stage: Stage
    union: Tenant
    neighbour: Tenant
    answers: Counter[tuple[Way, int]]


@asynccontextmanager
async def played(context: Context, script: Script, progress: Progress = lambda now, sent: None) -> AsyncIterator[Played]:
    """Play the whole script into an empty, migrated database. Inside the block the clock stands still at the end."""
    with clock.stopped(BEGIN):
        union = await set_up_union(context, script.people, script.book)
        neighbour = await set_up_neighbour(context, script.book)
        async with running(context) as stage:
            player = Player(script, context, stage, union, neighbour)
            await stage.workers.drain()
            now = BEGIN
            while now < END:
                now = min(now + STEP, END)
                await player.tick(now)
                progress(now, player.sent)
            await stage.workers.drain()
            yield Played(script, context, stage, union, neighbour, player.post.answers)


class Player:
    """The state of one performance: what is still to be sent and done."""

    def __init__(self, script: Script, context: Context, stage: Stage, union: Tenant, neighbour: Tenant) -> None:
        """Everything is due in order of time."""
        self.post = Post(stage)
        self._script = script
        self._context = context
        self._stage = stage
        self._union = union
        self._neighbour = neighbour
        self._to_send = list(reversed(script.deliveries))
        self._to_do = sorted(self._acts(), key=lambda due: due[0], reverse=True)
        self._swept = BEGIN

    @property
    def sent(self) -> int:
        """How many deliveries are posted."""
        return len(self._script.deliveries) - len(self._to_send)

    async def tick(self, now: datetime) -> None:
        """Let everything happen that is due by `now`: each delivery at its own moment, then what follows, then what people do."""
        while self._to_send and self._to_send[-1].at <= now:
            delivery = self._to_send.pop()
            clock.set_to(max(delivery.at, clock.now()))
            tenant = self._neighbour if delivery.service is Service.ELSEWHERE else self._union
            await self.post.send(tenant.connections[delivery.service], delivery)
        clock.set_to(now)
        await self._stage.workers.drain()
        while self._to_do and self._to_do[-1][0] <= now:
            await self._act(self._to_do.pop()[1])
        if now - self._swept >= SWEEP_EVERY:
            self._swept = now
            await self._stage.workers.sweep()

    async def _act(self, act: Act) -> None:
        async with self._context.database.begin() as tx:
            await act(tx)

    def _acts(self) -> Sequence[tuple[datetime, Act]]:
        """What people do besides the services: answers, losses, consents, letters, the breaches, the editions."""
        acts: list[tuple[datetime, Act]] = [(KNOWN, self._write_down_breaches)]
        for incident in self._script.truth.incidents:
            acts += [(said.at, self._answer(incident, said)) for said in incident.said]
            acts += [(cost.at, self._enter(incident, cost)) for cost in incident.costs]
        acts += [(letter.at, self._letter(letter)) for letter in self._script.truth.letters]
        for member, consent in self._script.truth.consents.items():
            if consent.at is not None:
                acts.append((consent.at, self._consent(member, consent.agreement is Agreement.LATE)))
        return acts + [(at, self._release) for at in (*RELEASES, END)]

    async def _write_down_breaches(self, tx: Transaction) -> None:
        for tenant in (self._union, self._neighbour):
            await breaches.load_catalogue(tx, self._context.keyring, tenant.id, "oakland")
            counsel = tenant.accounts[Role.COUNSEL]
            await breaches.open_matter(tx, self._context.keyring, tenant.id, FOCAL_BREACH, "The 2023 breach", counsel)

    async def _release(self, tx: Transaction) -> None:
        await publish_release(tx, self._context, self._union.id)

    def _letter(self, letter: Letter) -> Act:
        async def act(tx: Transaction) -> None:
            member_id = self._union.members[letter.member]
            where = (letter.breach, letter.wave, letter.basis, letter.elements)
            await breaches.record_evidence(tx, self._context.keyring, self._union.id, member_id, *where)

        return act

    def _consent(self, member: str, given: bool) -> Act:
        async def act(tx: Transaction) -> None:
            connection = self._union.connections[Service.WATCH].connection
            answer = ConsentAnswer(connection_id=connection.id, given=given)
            await answer_consent(tx, self._context, self._union.member(member), answer)

        return act

    def _answer(self, incident: TrueIncident, said: Said) -> Act:
        async def act(tx: Transaction) -> None:
            found = await self._find(tx, incident)
            answer = NewVerdict(answer=said.answer, shown=sorted(found.alerts.values()))
            await answer_incident(tx, self._context, self._union.member(incident.member), found.row.id, answer)

        return act

    def _enter(self, incident: TrueIncident, cost: Cost) -> Act:
        async def act(tx: Transaction) -> None:
            found = await self._find(tx, incident)
            back = [NewReimbursement(payer=b.payer, amount=str(b.amount)) for b in cost.back]
            loss = NewLoss(
                head=cost.head,
                amount=str(cost.amount),
                currency=CURRENCY,
                incurred_on=cost.incurred_on,
                note="Entered by an invented member.",
                reimbursements=back,
            )
            await enter_loss(tx, self._context.keyring, self._union.member(incident.member), found.row.id, loss)

        return act

    async def _find(self, tx: Transaction, incident: TrueIncident) -> Found:
        """The incident as its member finds it on their timeline. Raises StageError when it is not there."""
        member_id = self._union.members[incident.member]
        everything = await found_incidents(tx, self._context, self._union, member_id)
        found = holding(everything, self._script.told.incidents[incident.key])
        if found is None:
            raise StageError(f"{incident.key} is not on its member's timeline")
        return found
