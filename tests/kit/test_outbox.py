"""The outbox: nothing is stepped over, a holder that slept commits nothing, a poison message holds up nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, select
from structlog.testing import capture_logs

from app.kit import clock, outbox
from app.kit.database import Database, Transaction
from app.kit.ids import uuid7
from app.kit.outbox import LAST_ATTEMPT, Consumer, Failure, Message, because_of, behind, publish, sequence
from app.kit.pulling import BATCH, LEASE, Worker

on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)  # SQLite has one writer at a time
NOW = datetime(2023, 6, 1, 12, tzinfo=UTC)
SOMEBODY = UUID(int=7)
DONE = Table("done", MetaData(), Column("id", Integer, primary_key=True), Column("number", Integer))
Handler = Callable[[Transaction, Sequence[Message]], object]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database with one more table, in which consumers note what they handled, and the clock stopped."""
    made = Database(database_url)
    async with made.engine.begin() as connection:
        await connection.run_sync(DONE.metadata.create_all)
    with clock.stopped(NOW):
        yield made
    await made.close()


async def note(tx: Transaction, messages: Sequence[Message]) -> None:
    await tx.execute(insert(DONE), [{"number": message.payload["number"]} for message in messages])


def consumer(*hooks: Callable[[Sequence[Message]], object], topics: Sequence[str] = ("topic",), name: str = "notes") -> Consumer:
    """Notes what it handles in its own transaction; `hooks` run after each batch is noted and before it is committed."""

    async def handle(tx: Transaction, messages: Sequence[Message]) -> None:
        await note(tx, messages)
        for hook in hooks:
            result = hook(messages)
            if asyncio.iscoroutine(result):
                await result

    return Consumer(name, frozenset(topics), handle)


async def say(database: Database, *numbers: int, topic: str = "topic") -> None:
    async with database.begin() as tx:
        for number in numbers:
            await publish(tx, topic, SOMEBODY, number=number)


async def noted(database: Database) -> list[int]:
    async with database.begin(read_only=True) as tx:
        return [number or 0 for number in (await tx.execute(select(DONE.c.number).order_by(DONE.c.id))).scalars()]


async def failures(database: Database) -> list[Failure]:
    async with database.begin(read_only=True) as tx:
        return list((await tx.execute(select(Failure).order_by(Failure.message_id))).scalars())


async def drain(database: Database, *workers: Worker) -> None:
    while await sequence(database) + sum([await worker.run() for worker in workers]):
        pass


async def test_messages_are_handled_once_in_order_and_only_by_who_asks_for_them(database: Database) -> None:
    await say(database, *range(450))
    await say(database, 999, topic="another")
    batches: list[int] = []
    await drain(database, Worker(database, consumer(lambda batch: batches.append(len(batch)))))
    assert await noted(database) == list(range(450))
    assert max(batches) <= BATCH
    late = Worker(database, consumer(topics=["another", "topic"], name="late"))
    await drain(database, late)
    assert (await noted(database))[450:] == [*range(450), 999]


async def test_a_message_waits_until_it_has_a_position_and_a_rolled_back_one_never_existed(database: Database) -> None:
    worker = Worker(database, consumer())
    await say(database, 1)
    assert await worker.run() == 0
    async with database.begin() as tx:
        await publish(tx, "topic", SOMEBODY, number=2)
        await tx.rollback()
    await drain(database, worker)
    assert await noted(database) == [1]
    assert await sequence(database) == 0


async def test_ids_and_words_only_go_into_a_payload(database: Database) -> None:
    async with database.begin() as tx:
        await publish(tx, "topic", SOMEBODY, member_id=SOMEBODY, number=3, word="new")
        message = (await tx.execute(select(Message))).scalar_one()
    assert message.payload == {"member_id": str(SOMEBODY), "number": 3, "word": "new"}


async def test_a_message_that_becomes_visible_late_is_not_stepped_over(database: Database) -> None:
    worker, older = Worker(database, consumer()), uuid7()
    await say(database, 2)
    await drain(database, worker)
    async with database.begin() as tx:
        tx.add(Message(id=older, topic="topic", organization_id=SOMEBODY, payload={"number": 1}, created_at=NOW))
    await drain(database, worker)
    assert await noted(database) == [2, 1]


@on_postgresql
async def test_a_transaction_that_commits_late_is_not_stepped_over(database: Database) -> None:
    """Two are open at once: the one with the older id commits after the newer one was handled, and more than once over."""
    worker = Worker(database, consumer())
    async with database.begin() as slowest, database.begin() as slow:
        await publish(slowest, "topic", SOMEBODY, number=1)
        await publish(slow, "topic", SOMEBODY, number=2)
        await say(database, 3)
        await drain(database, worker)
        await slow.commit()
        await drain(database, worker)
        assert await noted(database) == [3, 2]
    await drain(database, worker)
    assert await noted(database) == [3, 2, 1]


async def test_many_sequencers_at_once_give_every_message_one_position_of_its_own(database: Database) -> None:
    async def speak(first: int) -> None:
        for number in range(first, first + 5):
            await say(database, number)
            await sequence(database)

    await asyncio.gather(*(speak(first) for first in range(0, 50, 5)))
    await sequence(database)
    async with database.begin(read_only=True) as tx:
        positions = list((await tx.execute(select(Message.position).order_by(Message.position))).scalars())
    assert positions == list(range(1, 51))


async def test_a_poison_message_is_set_aside_and_its_neighbours_are_handled_in_order(database: Database) -> None:
    def refuse(batch: Sequence[Message]) -> None:
        if any(message.payload["number"] in {2, 5} for message in batch):
            raise ValueError("a value that must not be kept")

    worker = Worker(database, consumer(refuse))
    await say(database, *range(8))
    await drain(database, worker)
    assert await noted(database) == [0, 1, 3, 4, 6, 7]
    assert [(row.consumer, row.attempts, row.error) for row in await failures(database)] == [("notes", 1, "ValueError")] * 2
    await say(database, 8)
    await drain(database, worker)
    assert (await noted(database))[-1] == 8


async def test_the_log_says_which_receipts_a_message_that_fails_comes_from(database: Database) -> None:
    def refuse(_: Sequence[Message]) -> None:
        raise ValueError

    worker, receipt = Worker(database, consumer(refuse)), uuid7()
    async with database.begin() as tx:
        await publish(tx, "topic", SOMEBODY, number=1, **because_of([str(receipt)]))
    with capture_logs() as lines:
        await drain(database, worker)
        clock.set_to(clock.now() + timedelta(minutes=1))
        await worker.run()
    (aside,) = [line for line in lines if line["event"] == "message set aside"]
    assert aside["receipts"] == [str(receipt)]
    (again,) = [line for line in lines if line["event"] == "message failed again"]
    assert again["message"] == aside["message"]


async def give_up(database: Database, worker: Worker) -> list[float]:
    """Let time pass until the one message is given up; returns the seconds between the attempts."""
    waits = []
    while (due := (await failures(database))[0].next_attempt_at) is not None:
        waits.append((due - clock.now()).total_seconds())
        clock.set_to(due - timedelta(microseconds=1))
        assert await worker.run() == 0, "it was tried before its time"
        clock.set_to(due)
        assert await worker.run() == 1
    return waits


async def test_a_message_set_aside_is_tried_again_ever_later_and_then_kept_for_a_person(database: Database) -> None:
    healed = [False]

    def refuse(_: Sequence[Message]) -> None:
        if not healed[0]:
            raise ValueError

    worker = Worker(database, consumer(refuse))
    await say(database, 1)
    await drain(database, worker)
    assert await give_up(database, worker) == [2.0**n for n in range(1, LAST_ATTEMPT)]
    healed[0] = True
    clock.set_to(NOW + timedelta(days=30))
    await drain(database, worker)
    assert await noted(database) == [], "after the last attempt a person must look"
    async with database.begin() as tx:
        assert await outbox.wake_parked(tx, UUID(int=8)) == 0
        assert await outbox.wake_parked(tx, SOMEBODY) == 1
    await drain(database, worker)
    assert await noted(database) == [1]
    assert await failures(database) == []


async def test_a_message_that_heals_is_handled_once_and_forgotten(database: Database) -> None:
    broken = [True]

    def refuse(_: Sequence[Message]) -> None:
        if broken[0]:
            raise ValueError

    worker = Worker(database, consumer(refuse))
    await say(database, 1, 2)
    await drain(database, worker)
    broken[0] = False
    await say(database, 3)
    await drain(database, worker)
    assert await noted(database) == [3]
    clock.set_to(NOW + timedelta(seconds=2))
    await drain(database, worker)
    assert await noted(database) == [3, 1, 2]
    assert await failures(database) == []


async def test_several_workers_sequencers_and_senders_at_once_lose_and_double_nothing(database: Database) -> None:
    stop = asyncio.Event()

    async def work(worker: Worker) -> None:
        while not stop.is_set():
            await sequence(database)
            await worker.run()
            await asyncio.sleep(0)

    async def speak(first: int) -> None:
        for number in range(first, first + 15):
            await say(database, number)

    workers = [Worker(database, consumer()) for _ in range(4)]
    running = [asyncio.create_task(work(worker)) for worker in workers]
    await asyncio.gather(*(speak(first) for first in range(0, 90, 15)))
    stop.set()
    await asyncio.gather(*running)
    clock.set_to(NOW + 2 * LEASE)
    await drain(database, *workers)
    found = await noted(database)
    assert sorted(found) == list(range(90))
    for first in range(0, 90, 15):
        own = [number for number in found if first <= number < first + 15]
        assert own == sorted(own), "what one sender said in turn is handled in turn"


async def test_who_is_behind_is_told_by_one_look_and_nobody_else_is(database: Database) -> None:
    def fails(_: Sequence[Message]) -> None:
        raise ZeroDivisionError

    first, other = consumer(name="first"), consumer(topics=("other",), name="other")
    broken = consumer(fails, name="broken")
    everybody = [first, other, broken]
    assert await behind(database, everybody) == set()
    await say(database, 1)
    assert await behind(database, everybody) == set(), "what has no position yet is nobody's turn"
    await sequence(database)
    assert await behind(database, everybody) == {"first", "broken"}
    for one in everybody:
        await Worker(database, one).run()
    assert await behind(database, everybody) == set()
    clock.set_to(NOW + timedelta(seconds=10))
    assert await behind(database, everybody) == {"broken"}, "the time to try again has come"


async def test_a_message_is_forgotten_when_all_who_ask_for_it_have_handled_it_and_a_week_is_over(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "FORGOTTEN_AT_ONCE", 2)

    def refuse(batch: Sequence[Message]) -> None:
        if any(message.payload["number"] == 2 for message in batch):
            raise ValueError

    quick, slow = consumer(name="quick"), consumer(refuse, name="slow")
    await say(database, *range(6))
    await say(database, 7, topic="nobody's")
    await drain(database, Worker(database, quick))
    clock.set_to(NOW + outbox.KEPT_FOR + timedelta(seconds=1))
    assert await outbox.forget_handled(database, [quick, slow]) == 1, "what nobody asks for; the slow one has not begun"
    await drain(database, Worker(database, slow))
    await say(database, 8)
    await sequence(database)
    assert await outbox.forget_handled(database, [quick, slow]) == 5
    async with database.begin(read_only=True) as tx:
        left = [message.payload["number"] for message in (await tx.execute(select(Message).order_by(Message.id))).scalars()]
    assert left == [2, 8], "one failed and is tried again, one is new"


async def test_a_consumer_of_a_rare_topic_finds_its_message_among_many_others(database: Database) -> None:
    await say(database, *range(300))
    await say(database, 300, topic="rare")
    await say(database, 301)
    await say(database, 302, topic="rarer")
    await drain(database, Worker(database, consumer(topics=["rarer", "rare"], name="patient")))
    assert await noted(database) == [300, 302]
