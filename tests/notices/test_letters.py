"""Letters: posted once, sent outside of transactions, at most once or at least once as their kind says, whatever breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from app.kit import clock, letters
from app.kit.database import Database, Transaction
from app.kit.ids import uuid7
from app.kit.letters import LEASE, STUCK_AFTER, Dropped, Kind, Letter, LetterState, NotSent, Postman, Refused, Send
from tests.support.world import NOW

GOOD_FOR = timedelta(days=1)
HOME = UUID(int=7)


@dataclass
class Office:
    """A database with two kinds of letters, and what was sent of them. `on_send` may go wrong in any way."""

    database: Database
    sent: list[UUID] = field(default_factory=list)
    on_send: Callable[[], Awaitable[None]] | None = None
    dropped: str | None = None

    def postman(self) -> Postman:
        kinds = [Kind("once", self._write, GOOD_FOR, at_most_once=True), Kind("surely", self._write, GOOD_FOR)]
        return Postman(self.database, kinds)

    async def _write(self, tx: Transaction, letter: Letter) -> Send | Dropped:
        async def send() -> None:
            self.sent.append(letter.id)
            if self.on_send is not None:
                await self.on_send()

        return Dropped(self.dropped) if self.dropped else send

    def failing(self, error: Exception) -> None:
        async def fail() -> None:
            raise error

        self.on_send = fail

    async def post(self, kind: str = "once", about: str = "x", recipient: UUID = HOME) -> UUID | None:
        async with self.database.begin() as tx:
            return await letters.post(tx, kind, HOME, recipient, about, {})

    async def row(self) -> Letter:
        async with self.database.begin(read_only=True) as tx:
            return (await tx.execute(select(Letter))).scalar_one()

    async def interrupted(self) -> None:
        """A process that ends while it sends, and a second one an hour later."""
        began = asyncio.Event()

        async def hang() -> None:
            began.set()
            await asyncio.Event().wait()

        self.on_send = hang
        running = asyncio.create_task(self.postman().run())
        await began.wait()
        assert await self.postman().run() == 0, "nobody else sends it meanwhile"
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        assert (await self.row()).state == LetterState.SENDING
        self.on_send = None
        clock.set_to(NOW + LEASE)


@pytest.fixture
async def office(database_url: str) -> AsyncIterator[Office]:
    database = Database(database_url)
    with clock.stopped(NOW):
        yield Office(database)
    await database.close()


async def test_what_is_posted_twice_is_one_letter_and_is_sent_once(office: Office) -> None:
    assert await office.post() is not None
    assert await office.post() is None
    assert await office.postman().run() == 1
    assert await office.postman().run() == 0
    assert len(office.sent) == 1
    assert (await office.row()).state == LetterState.SENT


async def test_a_letter_whose_act_is_rolled_back_is_never_sent(office: Office) -> None:
    with suppress(KeyError):
        async with office.database.begin() as tx:
            await letters.post(tx, "once", HOME, HOME, "x", {})
            raise KeyError
    assert await office.postman().run() == 0


async def test_eight_postmen_send_each_letter_once(office: Office) -> None:
    for number in range(40):
        await office.post(about=str(number))

    async def work() -> None:
        postman = office.postman()
        while await postman.run():
            pass

    await asyncio.gather(*(work() for _ in range(8)))
    assert len(office.sent) == len(set(office.sent)) == 40


async def test_after_a_crash_a_letter_that_is_sent_at_most_once_is_not_sent_again(office: Office) -> None:
    await office.post("once")
    await office.interrupted()
    assert await office.postman().run() == 1
    assert len(office.sent) == 1
    assert (await office.row()).state == LetterState.UNSURE
    assert await office.postman().run() == 0


async def test_after_a_crash_a_letter_that_must_arrive_is_sent_again(office: Office) -> None:
    await office.post("surely")
    await office.interrupted()
    await office.postman().run()
    assert len(office.sent) == 2
    assert (await office.row()).state == LetterState.SENT


@pytest.mark.parametrize("second_is_done", [True, False])
async def test_who_slept_past_the_lease_writes_nothing(office: Office, second_is_done: bool) -> None:
    await office.post("surely")
    awake, finish, began = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def sleep() -> None:
        began.set()
        await awake.wait()
        raise NotSent("late")

    async def second() -> None:
        began.set()
        await finish.wait()

    office.on_send = sleep
    sleeper = asyncio.create_task(office.postman().run())
    await began.wait()
    began.clear()
    office.on_send = second
    clock.set_to(NOW + LEASE)
    other = asyncio.create_task(office.postman().run())
    await began.wait()
    for event, task in ((finish, other), (awake, sleeper))[:: 1 if second_is_done else -1]:
        event.set()
        await task
        assert (await office.row()).reason is None
    row = await office.row()
    assert (row.state, row.attempts) == (LetterState.SENT, 2)


@pytest.mark.parametrize(
    ("kind", "error", "state", "attempts"),
    [
        ("once", NotSent("no"), LetterState.SENT, 2),
        ("surely", NotSent("no"), LetterState.SENT, 2),
        ("once", OSError("who knows"), LetterState.UNSURE, 1),
        ("surely", OSError("who knows"), LetterState.SENT, 2),
        ("once", Refused("never"), LetterState.GIVEN_UP, 1),
        ("surely", Refused("never"), LetterState.GIVEN_UP, 1),
    ],
)
async def test_what_a_failure_means(office: Office, kind: str, error: Exception, state: LetterState, attempts: int) -> None:
    await office.post(kind)
    office.failing(error)
    await office.postman().run()
    office.on_send = None
    assert await office.postman().run() == 0, "not before its time"
    clock.set_to(NOW + letters.FIRST_WAIT)
    await office.postman().run()
    row = await office.row()
    assert (row.state, row.attempts) == (state, attempts)
    assert "no" not in (row.reason or "").split()


@pytest.mark.parametrize("attempts", [0, 1])
async def test_a_letter_that_is_too_old_is_not_sent_any_more(office: Office, attempts: int) -> None:
    await office.post("surely")
    office.failing(NotSent("no"))
    for _ in range(attempts):
        await office.postman().run()
    office.on_send = None
    clock.set_to(NOW + GOOD_FOR + timedelta(seconds=1))
    await office.postman().run()
    assert (len(office.sent), (await office.row()).state) == (attempts, LetterState.GIVEN_UP)


async def test_what_nothing_can_send_waits_and_is_noticed(office: Office) -> None:
    await office.post("surely")
    nothing = Postman(office.database, [Kind("surely", office._write, GOOD_FOR, ready=False)])
    assert await nothing.run() == 0
    for later, stuck in ((timedelta(), 0), (letters.STUCK_FOR, 1)):
        clock.set_to(NOW + later)
        async with office.database.begin(read_only=True) as tx:
            assert await letters.stuck(tx, HOME) == stuck
    await office.postman().run()
    assert (await office.row()).state == LetterState.SENT


async def test_the_rests_between_attempts_grow_and_are_bounded(office: Office) -> None:
    rests = [letters.back_off(attempts) for attempts in range(1, 60)]
    assert rests == sorted(rests)
    assert (rests[0], rests[-1]) == (letters.FIRST_WAIT, letters.LONGEST_WAIT)
    await office.post("surely")
    office.failing(NotSent("no"))
    for attempt in range(1, STUCK_AFTER + 1):
        async with office.database.begin(read_only=True) as tx:
            assert await letters.stuck(tx, HOME) == 0
        await office.postman().run()
        clock.set_to(clock.now() + letters.back_off(attempt))
    async with office.database.begin(read_only=True) as tx:
        assert (await letters.stuck(tx, HOME), await letters.stuck(tx, uuid7())) == (1, 0)


async def test_what_has_nobody_to_go_to_ends_with_its_reason(office: Office) -> None:
    await office.post()
    office.dropped = "nobody there"
    await office.postman().run()
    row = await office.row()
    assert (row.state, row.reason, row.due_at, office.sent) == (LetterState.DROPPED, "nobody there", None, [])


async def test_a_letter_that_cannot_be_written_holds_up_nobody(office: Office) -> None:
    await office.post(about="broken")
    await office.post(about="good")
    right = office._write

    async def write(tx: Transaction, letter: Letter) -> Send | Dropped:
        if letter.about == "broken":
            await tx.execute(select(Letter).where(Letter.id == UUID(int=1)))
            raise ValueError("cannot be opened")
        return await right(tx, letter)

    await Postman(office.database, [Kind("once", write, GOOD_FOR, at_most_once=True)]).run()
    async with office.database.begin(read_only=True) as tx:
        states = dict((await tx.execute(select(Letter.about, Letter.state))).all())  # type: ignore[arg-type]
    assert states == {"broken": LetterState.WAITING, "good": LetterState.SENT}


async def test_letters_of_a_kind_that_nobody_knows_are_left_alone(office: Office) -> None:
    await office.post("another")
    assert await office.postman().run() == 0
    assert (await office.row()).state == LetterState.WAITING


async def test_a_letter_that_waits_can_be_hurried_and_one_that_is_being_sent_is_left_alone(office: Office) -> None:
    """Else its lease would end while somebody still sends it, and a second one would send it too."""
    letter_id = await office.post("surely")
    assert letter_id is not None

    async def hurried() -> None:
        async with office.database.begin() as tx:
            await letters.hurry(tx, [letter_id])
        assert await office.postman().run() == 0, "nobody else sends it meanwhile"

    office.on_send = hurried
    await office.postman().run()
    assert (office.sent, (await office.row()).state) == ([letter_id], LetterState.SENT)


async def test_a_hurried_letter_is_tried_at_once(office: Office) -> None:
    letter_id = await office.post("surely")
    assert letter_id is not None
    office.failing(NotSent())
    await office.postman().run()
    office.on_send = None
    assert await office.postman().run() == 0
    async with office.database.begin() as tx:
        await letters.hurry(tx, [letter_id])
    await office.postman().run()
    assert (await office.row()).state == LetterState.SENT
