"""Each connector's fake provider and the real core, over real HTTP: what is told comes in once, whatever goes wrong."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from app.connections.models import PollState
from app.intake import looking_up
from app.intake.models import AlertRow, Channel
from app.kit import clock
from connectors.contract import Connector
from connectors.registry import registry
from connectors.sandboxing import Fault, Manner
from connectors.testing.round_trip import PEOPLE, PUSHES, Told
from connectors.verifiers import Grade, NotSigned
from connectors.verifiers_mail import EitherOf
from connectors.vocabulary import AlertKind
from tests.connectors.elsewhere import LANTERN, installed
from tests.connectors.stage import AWAITED, Stage, counted, enroll_whom_forgers_name, fail_at, no_waiting, staged
from tests.intake.counting import all_refusals, books
from tests.support.rows import counts, grown
from tests.support.world import World

HERE = list(registry())  # also what is installed beside us, so that its author can try it in the real core
NAMES = [*HERE, LANTERN]
ASKING = [name for name in HERE if registry()[name].poll or registry()[name].looks_up]
BOTH = [name for name in ASKING if registry()[name].webhook]
UNSIGNED = [name for name in BOTH if isinstance(getattr(registry()[name].webhook, "verifier", None), NotSigned)]
STATES = {
    Fault.LIMITED_SECONDS: PollState.UNREACHABLE,
    Fault.LIMITED_DATE: PollState.UNREACHABLE,
    Fault.BROKEN: PollState.UNREACHABLE,
    Fault.AWAY: PollState.UNREACHABLE,
    Fault.REFUSED: PollState.CREDENTIALS,
    Fault.HTML: PollState.UNEXPECTED,
    Fault.NOT_JSON: PollState.UNEXPECTED,
    Fault.REDIRECT: PollState.UNEXPECTED,
    Fault.DRIP: PollState.UNREACHABLE,
    Fault.ENDLESS: PollState.UNEXPECTED,
    Fault.BOMB: PollState.UNEXPECTED,
    Fault.CUT: PollState.UNREACHABLE,
    Fault.HANG: PollState.UNREACHABLE,
}
SLOW = {Fault.DRIP, Fault.HANG}
QUICK = (Fault.REFUSED, Fault.CUT)
ROUNDS = 10
FEW = 2
KEPT_OF_A_NOTICE = {"receipt": 1, "event": 1, "look_up": 1, "ledger_entry": 2}
MOST_QUESTIONS = 5  # for one look-up: it may read the provider's list first
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
each_that_asks = pytest.mark.parametrize("connector", [*ASKING, LANTERN], indirect=True)


@pytest.fixture
def connector(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connector]:
    """One that lives here, or the one of another package as if it were installed."""
    if request.param != LANTERN:
        yield registry()[request.param]
        return
    with installed(tmp_path, monkeypatch):
        yield registry()[LANTERN]


@pytest.fixture
def deadlines(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The provider client waits for no turn; called with seconds, it has those deadlines from now on."""
    no_waiting(monkeypatch)
    return lambda **seconds: no_waiting(monkeypatch, **seconds)


@pytest.fixture
async def stage(world: World, connector: Connector, deadlines: object) -> AsyncIterator[Stage]:
    async with staged(world, connector) as made:
        yield made


def tellable(stage: Stage) -> list[AlertKind]:
    """Some kinds that this provider can tell, one of a family, as another one like it says."""
    told = Told(type(stage.sandbox)(clock.now))
    told.sandbox.enrol(PEOPLE[0])
    told.tell(PEOPLE[:1], clock.now())
    return sorted({kind.family: kind for _, kind in told.things.values()}.values())


@pytest.mark.parametrize("connector", NAMES, indirect=True)
async def test_what_a_provider_tells_stands_once_with_whom_it_is_about(stage: Stage) -> None:
    """One thing of each kind; then, where it pushes, some of them twice and backwards; then all of it asked for anew."""
    assert stage.tell()
    for manner in PUSHES if stage.pushes or stage.connector.by_hand else PUSHES[:1]:
        if manner is not Manner.HONEST:
            stage.tell(*tellable(stage)[:FEW])
        await stage.push(manner)
        await stage.ask(after=AWAITED)
        await stage.require_all_once()
    proven = await stage.receipts()
    assert set(proven) == ways(stage.connector)
    if stage.connector.poll is not None:
        await stage.ask_from_the_beginning()
        await stage.require_all_once()
    shown = [entry["alerts"] for who in ("M-1", "M-2") for entry in await stage.world.timeline(who)]
    assert sum(shown) == (await books(stage.world))["alerts"]
    if stage.pushes and not isinstance(stage.plan.verifier, NotSigned):
        await stage.ask(after=AWAITED)  # where a poll begins before its cursor it says again what a sweep said in other words
        before = await stage.events()
        assert set(await stage.sandbox.push(stage.url, Manner.FORGED, count=3)) == {401}
        await stage.ask(after=AWAITED)
        assert await stage.events() == before
        assert await all_refusals(stage.world) == {"not_authentic": 3}


def ways(connector: Connector) -> set[tuple[str, str]]:
    """By which channels a connector's receipts come, and with which grade at least, by its declaration."""
    found: set[tuple[str, str]] = set()
    if connector.webhook is not None:
        verifier = connector.webhook.verifier
        better = verifier.first if isinstance(verifier, EitherOf) else verifier  # by which its fake provider proves itself
        found.add((Channel.WEBHOOK, better.grade))
    if connector.poll is not None:
        found.add((Channel.POLL, Grade.FETCHED))
    if connector.looks_up:
        found.add((Channel.FOLLOW_UP, Grade.FETCHED))
    if connector.by_hand:
        found.add((Channel.HANDED_IN, connector.proof_of(b"", {}).grade))
    if connector.hands_on_to == connector.name:
        found.add((Channel.HANDED_ON, connector.proof_of(b"", {}).grade))
    return found


@pytest.mark.parametrize("connector", [*BOTH, LANTERN], indirect=True)
async def test_pushed_and_asked_for_in_any_order_it_is_one(stage: Stage) -> None:
    """The same things by both ways, in turns of chance."""
    dice = random.Random(stage.connector.name + stage.world.context.database.url[:6])
    kinds = tellable(stage)
    for _ in range(ROUNDS):
        step = dice.choice(["tell", "push", "push", "ask", "ask", "from the beginning"])
        if step == "tell":
            stage.tell(*dice.choices(kinds, k=dice.choice([1, 2, 5])))
        elif step == "push":
            await stage.push(dice.choice(PUSHES))
        elif step == "ask" or stage.connector.poll is None:
            await stage.ask(after=dice.choice([timedelta(0), timedelta(hours=1), AWAITED]))
        else:
            await stage.ask_from_the_beginning()
    await stage.push()
    await stage.ask(after=AWAITED)
    await stage.require_all_once()


@on_sqlite
@pytest.mark.parametrize(
    "most", [pytest.param(2, marks=pytest.mark.sample), pytest.param(1000, marks=pytest.mark.slow)], ids=["some", "each"]
)
@each_that_asks
async def test_a_request_that_fails_in_the_middle_loses_nothing(stage: Stage, most: int) -> None:
    """One request of a turn and all after it: what came before is kept, what did not come is asked for again, and comes once.

    In the slow run each request of a turn that tells of two things.
    """
    kinds = (tellable(stage) * FEW)[:FEW]
    for _ in range(2):
        stage.tell(*kinds)
        await stage.push()
        requests = counted(stage.sandbox)
        await stage.ask(after=AWAITED)
    failed = 0
    for nth in range(1, min(most, requests()) + 1):
        stage.tell(*kinds)
        await stage.push()
        met = fail_at(stage.sandbox, nth, Fault.BROKEN)
        await stage.ask(after=AWAITED)
        if not met():
            break
        failed += 1
        row = await stage.poll()
        assert (row.state, row.failures) == (PollState.UNREACHABLE, 1) or await stage.unanswered(), "it is seen, as whose it is"
        assert await stage.come_in() <= stage.told.by_family
        await stage.recover()
        await stage.require_all_once()
        assert ((await stage.poll()).state, await stage.unanswered()) == (PollState.OK, 0)
    assert failed
    await stage.require_all_once()


@on_sqlite
@pytest.mark.parametrize(
    "faults",
    [pytest.param(QUICK, marks=pytest.mark.sample), pytest.param(tuple(Fault), marks=pytest.mark.slow)],
    ids=["some", "all"],
)
@each_that_asks
async def test_whatever_a_provider_does_nothing_is_lost(
    stage: Stage, faults: Sequence[Fault], deadlines: Callable[..., None]
) -> None:
    """Every fault in turn: the state says so, nothing comes in that was not told, and afterwards everything does."""
    kinds = (tellable(stage) * FEW)[:FEW]
    stage.tell(*kinds)
    await stage.push()
    await stage.ask()
    for fault in faults:
        await stage.world.workers.asker.close()
        deadlines(**({"read": 0.4, "total": 0.8} if fault in SLOW else {}))
        stage.tell(*kinds)
        await stage.push()
        stage.sandbox.misbehave(fault, times=1000, seconds=30)
        await stage.ask(after=AWAITED)
        row = await stage.poll()
        assert (row.state, row.failures, bool(row.error)) == (STATES[fault], 1, True), fault
        assert await stage.come_in() <= stage.told.by_family
        deadlines()
        await stage.recover()
        assert (await stage.poll()).state == PollState.OK, fault
        await stage.require_all_once()


@pytest.mark.long
@on_sqlite
@pytest.mark.parametrize(("budget", "count"), [(20, 40), pytest.param(looking_up.MOST_MISSES, 1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("connector", UNSIGNED, indirect=True)
async def test_made_up_notices_create_nothing_and_cost_few_look_ups(
    stage: Stage, budget: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """About people who are enrolled and agreed, by somebody who knows the address: what is true comes in all the same."""
    monkeypatch.setattr(looking_up, "MOST_MISSES", budget)
    await enroll_whom_forgers_name(stage, count)
    await stage.ask()
    asked, before = len(stage.sandbox.faults.seen), await counts(stage.world.context.database)
    assert set(await stage.sandbox.push(stage.url, Manner.FORGED, count=count)) == {202}
    for _ in range(5):
        await stage.ask(after=timedelta(hours=1))
    await stage.require_nothing()
    misses, questions = (await stage.poll()).misses, len(stage.sandbox.faults.seen) - asked
    assert misses == budget, "there are more to look up than the budget allows, and it is kept"
    assert questions <= MOST_QUESTIONS * misses
    kept = {table: rows * count for table, rows in KEPT_OF_A_NOTICE.items()}
    assert grown(before, await counts(stage.world.context.database)) == kept
    assert set(await stage.sandbox.push(stage.url, Manner.FORGED, count=count)) == {202}
    await stage.ask(after=timedelta(hours=1))
    assert grown(before, await counts(stage.world.context.database)) == kept, "the same again is not kept again"
    assert len(stage.sandbox.faults.seen) - asked == questions, "and not looked up again"
    stage.tell(*tellable(stage)[:FEW])
    await stage.push()
    await stage.ask(after=AWAITED)
    assert await stage.come_in() == stage.told.by_family
    assert await stage.count(AlertRow) == len(stage.told.things)
