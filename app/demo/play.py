"""Plays the scenario: moves the clock through two years, posts what is due, lets the workers work, lets the people act."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile

from app.connections import polls
from app.demo.acts import Act, People
from app.demo.alerts import plan_deliveries
from app.demo.cast import StageError, Tenant, set_up_neighbour, set_up_union
from app.demo.draw import draw_truth
from app.demo.editions import without
from app.demo.enrollment import Book, Service, draw_enrollments
from app.demo.expected import Told, expect
from app.demo.expected_asked import expect_asked
from app.demo.expected_by_hand import expect_by_hand
from app.demo.export import HandIn
from app.demo.forwarded import Brought, Mailed, as_it_comes
from app.demo.plan import Delivery, Way
from app.demo.population import MEMBERS, Person, draw_people
from app.demo.programme import NEW_WORD, Ask, Doing, Down, Knock, Mend, Outage, Telling, steps, write_programme
from app.demo.providers import Providers
from app.demo.server import Post, Stage, running
from app.demo.signing import NAME, MailServer, name_server
from app.demo.truth import BEGIN, Truth
from app.intake import service as intake
from app.intake import workers as intake_workers
from app.kit import clock
from app.kit.context import Context
from app.ledger.service import SYSTEM
from app.whole_files import hand_in_all
from connectors.sandboxing import Manner

SEED = 20230206
SWEEP_EVERY = timedelta(days=28)
MANNERS = {Brought.ONCE: Manner.HONEST, Brought.TWICE: Manner.TWICE, Brought.FORGED: Manner.FORGED}
DETAILS = "/direct/efx-alert"
"""Where Nightly Notices is asked for details."""

Progress = Callable[[datetime, int], None]


@dataclass(frozen=True)
class Script:
    """Everything that is drawn before anything is played; always the same for a seed and a size."""

    people: tuple[Person, ...]
    truth: Truth
    book: Book
    deliveries: tuple[Delivery, ...]
    programme: tuple[Doing, ...]
    told: Told
    told_elsewhere: Told
    seed: int = SEED


def write_script(seed: int = SEED, size: int = MEMBERS) -> Script:
    """Draw the people, the truth, and everything that is sent or asked for."""
    people = draw_people(seed, size)
    truth = draw_truth(seed, people)
    book = draw_enrollments(seed, people, truth)
    deliveries = plan_deliveries(seed, truth, book)
    programme = write_programme(seed, truth, book)
    told = expect_by_hand(expect_asked(expect(deliveries, truth), programme, book), programme, truth)
    return Script(people, truth, book, deliveries, programme, told, expect(deliveries, truth, elsewhere=True), seed)


@dataclass
class Diary:
    """What was seen on the way. `answers`: what the senders got; `knocks`: what the providers got, by status.

    `outage`: how often Nightly Notices was asked for details at each of our attempts, and whether we owed it peace.
    `down`: what the connection of a provider that was down said of itself, each time that we asked meanwhile and in the end.
    `set_aside`: how many of its alerts waited for the newer edition of the connector, before and after it came.
    """

    answers: Counter[tuple[Way, int]] = field(default_factory=Counter)
    knocks: Counter[tuple[Service, Manner, int]] = field(default_factory=Counter)
    outage: list[tuple[int, bool]] = field(default_factory=list)
    down: list[str] = field(default_factory=list)
    set_aside: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Played:
    """The scenario after it was played: still running, the clock standing at its end."""

    script: Script
    context: Context
    stage: Stage
    union: Tenant
    neighbour: Tenant
    providers: Providers
    mail_server: MailServer
    diary: Diary


@asynccontextmanager
async def played(context: Context, script: Script, progress: Progress = lambda now, sent: None) -> AsyncIterator[Played]:
    """Play the whole script into an empty, migrated database. Inside the block the clock stands still at the end."""
    providers, server = Providers(clock.now, script.book), MailServer(script.seed)
    with clock.stopped(BEGIN), ExitStack() as older:
        async with providers.serving() as addresses, name_server({NAME: server.record}) as names:
            context = replace(context, settings=context.settings.model_copy(update={"dns_servers": names}))
            union = await set_up_union(context, script.people, script.book, providers, addresses)
            neighbour = await set_up_neighbour(context, script.book)
            async with running(context) as stage:
                made = Played(script, context, stage, union, neighbour, providers, server, Diary())
                older.enter_context(without(Service.NIGHTLY.connector, NEW_WORD))
                player = Player(made, older)
                await stage.workers.drain()
                for now in steps():
                    await player.tick(now)
                    progress(now, player.sent)
                await stage.workers.drain()
                made.diary.down.append(await player.state_of(Service.BUREAUS))
                yield made


class Player:
    """The state of one performance: what is still to be sent and done."""

    def __init__(self, made: Played, older: ExitStack) -> None:
        """Everything is due in order of time. `older`: closed when the older edition of a connector is replaced."""
        self._made, self._context, self._stage = made, made.context, made.stage
        self._union, self._neighbour, self._providers = made.union, made.neighbour, made.providers
        self._diary, self._older = made.diary, older
        self._post = Post(made.stage, made.diary.answers)
        happens: list[Delivery | Doing] = [*made.script.deliveries, *made.script.programme]
        self._to_happen = sorted(happens, key=lambda one: one.at)[::-1]
        people = People(made.context, made.script.truth, made.script.told, made.union, made.neighbour)
        self._to_do = sorted(people.acts(), key=lambda due: due[0], reverse=True)
        self._swept = BEGIN
        self._down: Service | None = None
        self.sent = 0

    async def tick(self, now: datetime) -> None:
        """Let everything happen that is due by `now`, each at its own moment; then what people do."""
        one: Delivery | Doing | None = None
        while self._to_happen and self._to_happen[-1].at <= now:
            one = self._to_happen.pop()
            clock.set_to(max(one.at, clock.now()))
            await self._happen(one)
        clock.set_to(now)
        if not isinstance(one, Ask):  # who asks has done all other work too
            await self._stage.workers.drain()
        while self._to_do and self._to_do[-1][0] <= now:
            await self._act(self._to_do.pop()[1])
        if now - self._swept >= SWEEP_EVERY:
            self._swept = now
            await self._stage.workers.sweep()

    async def _happen(self, one: Delivery | Doing) -> None:
        match one:
            case Delivery():
                self.sent += 1
                tenant = self._neighbour if one.service is Service.ELSEWHERE else self._union
                await self._post.send(tenant.connections[one.service], one)
            case Telling():
                self._tell(one)
            case Knock():
                await self._knock(one)
            case Outage():
                self._providers.sandboxes[one.service].misbehave(one.fault, times=one.times, path=DETAILS)
            case Down():
                self._down = None if one.over else one.service
                await (self._providers.come_back if one.over else self._providers.go_down)(one.service)
            case Ask():
                await self._ask(one)
            case Mend():
                await self._mend()
            case Mailed():
                await self._bring(one)
            case HandIn():
                await self._hand_in(one)

    def _tell(self, one: Telling) -> None:
        alert = self._providers.sandboxes[one.service].tell(one.happening)
        if alert != one.alert:
            raise StageError(f"{one.service} gave {alert} another id than in the rehearsal: {one.alert}")

    async def _knock(self, one: Knock) -> None:
        """What the provider sends, or somebody in its name; it gives up at once what cannot arrive."""
        sandbox = self._providers.sandboxes[one.service]
        if one.lost:
            sandbox.unsent.clear()
            return
        url = self._stage.origin + self._union.connections[one.service].path
        statuses = await sandbox.push(url, one.manner, len(one.made_up))
        self._diary.knocks.update((one.service, one.manner, status) for status in statuses)

    async def _bring(self, mail: Mailed) -> None:
        """The carrier brings a mail, which its sender's server may have signed; or somebody forges one."""
        carrier, url = self._providers.carrier, self._stage.origin + self._union.connections[Service.CARRIER].path
        manner = MANNERS[mail.brought]
        if manner is not Manner.FORGED:
            written = self._made.mail_server.sign(mail.written, mail.at) if mail.signed else mail.written
            carrier.brought += 1
            carrier.bring(as_it_comes(mail, written), mail.to)
        statuses = await carrier.push(url, manner, 1)
        self._diary.knocks.update((Service.CARRIER, manner, status) for status in statuses)

    async def _hand_in(self, one: HandIn) -> None:
        with NamedTemporaryFile(suffix=".csv") as file:
            file.write(one.file)
            file.flush()
            connection = self._union.connections[Service.EXPORT].connection
            await hand_in_all(self._context, self._union.id, connection.id, Path(file.name))

    async def _ask(self, one: Ask) -> None:
        seen = self._providers.nightly.faults.seen
        before = len(seen)
        # Where nothing may happen there is no work to be done first.
        await (self._stage.workers.asker.run_due() if one.in_peace else self._stage.workers.ask())
        if self._down is not None:
            self._diary.down.append(await self.state_of(self._down))
        if one.outage:
            self._diary.outage.append((sum(request.path.startswith(DETAILS) for request in seen[before:]), one.in_peace))

    async def state_of(self, service: Service) -> str:
        """What a connection of the union says of itself."""
        async with self._context.database.begin(read_only=True) as tx:
            poll = await polls.poll_of(tx, self._union.connections[service].connection.id)
            return poll.state if poll else ""

    async def _mend(self) -> None:
        """Install the newer edition, and handle again what was set aside."""
        before = await self._set_aside()
        self._older.close()
        await intake_workers.replay(self._context, self._union.id, SYSTEM)
        await self._stage.workers.drain()
        self._diary.set_aside = (before, await self._set_aside())

    async def _set_aside(self) -> int:
        async with self._context.database.begin(read_only=True) as tx:
            nightly = self._union.connections[Service.NIGHTLY].connection
            return (await intake.accounts(tx, self._union.id, nightly.id)).quarantined

    async def _act(self, act: Act) -> None:
        async with self._context.database.begin() as tx:
            await act(tx)
