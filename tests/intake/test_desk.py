"""The desk: many deliveries, one COMMIT, each its own answer, and nobody pays for another."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import DBAPIError

from app.connections.service import Origin
from app.intake import keeping
from app.intake.desk import LARGEST_AT_ONCE, BrokenOff, Desk, Full
from app.intake.keeping import Row
from app.intake.models import Channel, Receipt, ReceiptState
from app.intake.receive import Arrival, Kept, Ready, keep_all_at_once, make_ready
from app.kit import clock
from app.kit.at_once import AtOnce
from app.kit.crypto import KeysAway
from app.kit.ids import uuid7
from app.ledger.models import LedgerEntry
from app.ledger.service import Act
from connectors.verifiers import Grade, Outcome, Verification
from tests.support.world import World

AUTHENTIC = Verification(Outcome.AUTHENTIC, "standard-webhooks/v1", "k", "", None, Grade.SHARED_SECRET)
STALE = replace(AUTHENTIC, outcome=Outcome.STALE)


class Counter:
    """Counts the COMMITs of a database while it is open; a statement that is a transaction of its own is one too."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.engine, self.commits = world.context.database.engine.sync_engine, 0
        fetch = AtOnce.fetch

        async def counted(*arguments: Any) -> Any:
            self._count()
            return await fetch(*arguments)

        monkeypatch.setattr(AtOnce, "fetch", counted)

    def _count(self, *_: Any) -> None:
        self.commits += 1

    def __enter__(self) -> Counter:
        event.listen(self.engine, "commit", self._count)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(self.engine, "commit", self._count)


async def ready(world: World, body: bytes, verification: Verification = AUTHENTIC) -> Ready:
    connection = world.union.connection.connection
    async with world.context.database.begin(read_only=True) as tx:
        keys = await world.context.keyring.opened(tx, connection.organization_id)
    return make_ready(keys, Origin.of(connection), Arrival(body, verification))


async def stored(world: World) -> list[Receipt]:
    async with world.context.database.begin(read_only=True) as tx:
        return list((await tx.execute(select(Receipt).order_by(Receipt.id))).scalars())


async def entries(world: World) -> int:
    async with world.context.database.begin(read_only=True) as tx:
        found = await tx.execute(select(LedgerEntry.id).where(LedgerEntry.kind == Act.RECEIPT))
        return len(found.all())


class OfReady(Desk):
    """A desk to which arrivals come that are sealed already."""

    async def keep(self, ready: Ready) -> Kept | None:
        return await super().keep(len(ready.row.receipt["sealed"]), lambda: ready)


def desk(world: World, most: int = 1000) -> OfReady:
    return OfReady(world.context.database, most)


async def test_what_comes_together_is_kept_together_and_each_has_its_own_answer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = [json.dumps({"n": number % 150}).encode() for number in range(200)]
    arrivals = [await ready(world, body) for body in bodies]
    with Counter(world, monkeypatch) as counted:
        kept = await asyncio.gather(*(one.keep(arrival) for one in [desk(world)] for arrival in arrivals))
    assert 1 <= counted.commits <= 4, "200 deliveries, a flush for the first ones and one for the rest"
    by_body: dict[bytes, set[object]] = {}
    for body, answer in zip(bodies, kept, strict=True):
        assert answer is not None
        by_body.setdefault(body, set()).add(answer.receipt_id)
    assert all(len(ids) == 1 for ids in by_body.values()), "the same bytes are one receipt"
    assert sum(not answer.repeat for answer in kept if answer) == 150
    rows = await stored(world)
    assert (len(rows), sum(row.repeats for row in rows), await entries(world)) == (150, 50, 150)


async def test_alone_nobody_waits(world: World) -> None:
    """One after the other, with nothing besides: each is taken at once, however the one before it ended."""
    one = desk(world)
    for number in range(20):
        answer = await asyncio.wait_for(one.keep(await ready(world, b"%d" % (number % 7))), 20)
        assert answer is not None
        assert answer.repeat is (number >= 7)


async def test_one_that_the_database_refuses_spares_its_neighbours(world: World) -> None:
    good = [await ready(world, b"good %d" % number) for number in range(10)]
    bad = await ready(world, b"bad")
    bad = Ready(bad.receipt_id, Row({**bad.row.receipt, "grade": None}, bad.row.entry, None))
    one = desk(world)
    answers = await asyncio.gather(*map(one.keep, [*good[:5], bad, *good[5:]]), return_exceptions=True)
    assert isinstance(answers.pop(5), DBAPIError)
    assert all(isinstance(answer, Kept) and not answer.repeat for answer in answers)
    assert (len(await stored(world)), await entries(world)) == (10, 10)


async def test_one_that_cannot_be_sealed_spares_its_neighbours(world: World) -> None:
    good = [await ready(world, b"good %d" % number) for number in range(4)]
    one = Desk(world.context.database, 1000)

    def unsealable() -> Ready:
        raise KeysAway("the door has no key of receipt.page")

    seals = [*(partial(make, arrival) for arrival in good[:2]), unsealable, *(partial(make, arrival) for arrival in good[2:])]
    answers = await asyncio.gather(*(one.keep(4, seal) for seal in seals), return_exceptions=True)
    assert isinstance(answers.pop(2), KeysAway)
    assert [answer.receipt_id for answer in answers if isinstance(answer, Kept)] == [arrival.receipt_id for arrival in good]
    with pytest.raises(KeysAway):
        await one.keep(4, unsealable)
    assert await one.keep(4, partial(make, await ready(world, b"after"))) is not None
    assert (len(await stored(world)), await entries(world)) == (5, 5)


def make(arrival: Ready) -> Ready:
    return arrival


@pytest.mark.parametrize("place", ["sealing", "keeping"])
async def test_nobody_waits_for_ever_when_a_batch_is_broken_off(
    world: World, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """A library written in Rust may panic: that is no Exception, and nobody's task but the desk's own hears of it."""

    class Panic(BaseException):
        pass

    def panic(*_: Any) -> Ready:
        raise Panic

    one, good = Desk(world.context.database, 1000), await ready(world, b"good")
    if place == "keeping":
        monkeypatch.setattr(one, "_kept_of", panic)
    seals = [partial(make, good), panic if place == "sealing" else partial(make, good)]
    answers = await asyncio.wait_for(asyncio.gather(*(one.keep(4, seal) for seal in seals), return_exceptions=True), 20)
    assert [type(answer) for answer in answers] == [BrokenOff, BrokenOff]
    monkeypatch.undo()
    assert await asyncio.wait_for(one.keep(4, partial(make, await ready(world, b"after"))), 20) is not None


async def test_who_still_waits_when_the_process_ends_is_told(world: World) -> None:
    one, good = Desk(world.context.database, 1000), [await ready(world, b"%d" % number) for number in range(3)]

    def ends() -> Ready:
        raise asyncio.CancelledError

    seals = [ends, *(partial(make, arrival) for arrival in good)]
    each_alone = (one.keep(LARGEST_AT_ONCE, seal) for seal in seals)
    answers = await asyncio.wait_for(asyncio.gather(*each_alone, return_exceptions=True), 20)
    assert isinstance(answers[0], BrokenOff)
    assert all(isinstance(answer, BrokenOff | Kept) for answer in answers)


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)  # SQLite has one writer
async def test_two_processes_that_keep_the_same_in_opposite_order_do_not_wait_in_a_ring(world: World) -> None:
    store = world.context.database.at_once
    assert store is not None
    for turn in range(6):
        first, other = [[await ready(world, b"%d" % number) for number in range(150)] for _ in range(2)]
        both = await asyncio.gather(*(keep_all_at_once(store, order) for order in (first, other[::-1])))
        assert all(all(kept) for kept in both), turn
    assert len(await stored(world)) == await entries(world) == 150


async def test_a_delivery_was_received_when_it_came_however_long_it_lay_at_the_desk(world: World) -> None:
    with clock.stopped(clock.now()):
        arrival = Arrival(b"patient", AUTHENTIC)
        came = clock.now()
        clock.set_to(came + timedelta(seconds=2))
        connection = world.union.connection.connection
        async with world.context.database.begin(read_only=True) as tx:
            keys = await world.context.keyring.opened(tx, connection.organization_id)
        await Desk(world.context.database, 1000).keep(7, partial(make_ready, keys, Origin.of(connection), arrival))
    (kept,) = await stored(world)
    assert kept.received_at == came


async def test_who_goes_away_does_not_stop_the_others(world: World) -> None:
    one = desk(world)
    waiting = [asyncio.create_task(one.keep(await ready(world, b"%d" % number))) for number in range(20)]
    await asyncio.sleep(0)
    for gone in waiting[::3]:
        gone.cancel()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(answer, Kept | asyncio.CancelledError) for answer in answers)
    await one.close()
    kept = {answer.receipt_id for answer in answers if isinstance(answer, Kept)}
    assert kept <= {row.id for row in await stored(world)}
    assert await one.keep(await ready(world, b"after")) is not None


async def test_more_than_may_wait_are_turned_away_at_once_and_nothing_of_them_is_kept(world: World) -> None:
    one = desk(world, most=5)
    arrivals = [await ready(world, b"%d" % number) for number in range(40)]
    answers = await asyncio.gather(*map(one.keep, arrivals), return_exceptions=True)
    turned_away = sum(isinstance(answer, Full) for answer in answers)
    assert turned_away >= 40 - 5 * 3
    assert len(await stored(world)) == 40 - turned_away
    assert await one.keep(await ready(world, b"later")) is not None


@pytest.mark.parametrize("late_first", [True, False])
async def test_of_the_same_bytes_at_once_the_one_in_time_counts(world: World, late_first: bool) -> None:
    late, in_time = await ready(world, b"same", STALE), await ready(world, b"same")
    one = desk(world)
    pair = [late, in_time] if late_first else [in_time, late]
    answers = await asyncio.gather(*map(one.keep, pair))
    assert len({answer.receipt_id for answer in answers if answer}) == 1
    (row,) = await stored(world)
    assert (row.state, row.reason, row.repeats) == (ReceiptState.STORED, None, 1)
    assert row.verification["outcome"] == Outcome.AUTHENTIC


async def test_what_few_have_stands_beside_what_all_have(world: World) -> None:
    """Of one batch some were asked for, some were late, one came twice, and one was no delivery."""
    rare = {"about_index": b"i" * 32, "answers_event": uuid7(), "channel": Channel.POLL}
    bodies = [b"plain", b"late", b"twice", b"twice", b"rare", b"other"]
    made = [await ready(world, body, STALE if body == b"late" else AUTHENTIC) for body in bodies]
    clock.set_to(clock.now() + timedelta(seconds=1))
    made[3] = await ready(world, b"twice")
    made[4].row = replace(made[4].row, receipt={**made[4].row.receipt, **rare})
    one = desk(world)
    kept = await asyncio.gather(one.keep(await ready(world, b"first")), *map(one.keep, made))
    rows = {row.id: row for row in await stored(world)}
    plain, late, twice, _, odd, other = [rows[answer.receipt_id] for answer in kept[1:] if answer]
    assert [odd.about_index, odd.answers_event, odd.channel] == list(rare.values())
    for row in (plain, late, twice, other):
        assert (row.about_index, row.answers_event, row.asked_sealed, row.channel) == (None, None, None, Channel.WEBHOOK)
    assert [row.state for row in (plain, late, twice, odd)] == ["stored", "stale", "stored", "stored"]
    assert [row.repeats for row in (plain, late, twice, odd)] == [0, 0, 1, 0]
    assert (plain.last_received_at, late.reason is None, plain.reason) == (plain.received_at, False, None)
    assert twice.last_received_at == made[3].row.receipt["received_at"] > twice.received_at


async def test_every_value_arrives_as_it_was_given(world: World) -> None:
    """Bytes of any length and value, texts that any way of writing would have to mark, moments to the microsecond."""
    draw, odd = random.Random(5), '"}{\\,\n\t\x7f%s$1 é\u2028 \U0001f600 NULL '
    rows, begins = [], clock.now()
    for size in (0, 1, 2, 3, 4, 255, 256, 3000, 70_000, keeping.LARGE - 1, keeping.LARGE, keeping.LARGE + 1):
        made = (await ready(world, b"%d" % size)).row
        names = ("sealed", "wrapped_key", "headers_sealed", "asked_sealed")
        given = {name: draw.randbytes(size) for name in names}
        given |= {"about_index": draw.randbytes(32), "reason": odd[:100], "verification": {"reason": odd, "": [None, size, {}]}}
        given |= {"received_at": begins + timedelta(microseconds=draw.randrange(10**12))}
        entry = {**made.entry, "subjects": {odd: odd}, "at": given["received_at"], "commitment": draw.randbytes(32)}
        rows.append(replace(made, receipt={**made.receipt, **given}, entry=entry))
    async with world.context.database.begin() as tx:
        await keeping.keep(tx, rows[:5])
    if (store := world.context.database.at_once) is not None:
        await keeping.keep_at_once(store, rows[5:])
    else:
        async with world.context.database.begin() as tx:
            await keeping.keep(tx, rows[5:])
    kept = {row.id: row for row in await stored(world)}
    async with world.context.database.begin(read_only=True) as tx:
        noted = {entry.id: entry for entry in (await tx.execute(select(LedgerEntry))).scalars()}
    for row in rows:
        one, entry_of_it = kept[row.receipt["id"]], noted[row.entry["id"]]
        assert {name: getattr(one, name) for name in row.receipt} == {**row.receipt, "state": one.state}
        assert {name: getattr(entry_of_it, name) for name in row.entry} == dict(row.entry)


async def test_an_entry_is_of_its_receipts_moment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the clock goes on with each look at it."""
    began, moments = clock.now(), count()
    monkeypatch.setattr(clock, "now", lambda: began + timedelta(milliseconds=next(moments)))
    arrivals = [await ready(world, b"%d" % number) for number in range(3)]
    await asyncio.gather(*map(desk(world).keep, arrivals))
    monkeypatch.undo()
    async with world.context.database.begin(read_only=True) as tx:
        noted = list((await tx.execute(select(LedgerEntry).where(LedgerEntry.kind == Act.RECEIPT))).scalars())
    told = {(entry.subjects["receipt"], entry.at, entry.organization_id) for entry in noted}
    assert told == {(str(row.id), row.received_at, row.organization_id) for row in await stored(world)}


async def test_any_batches_give_the_same_rows_as_one_by_one(world: World) -> None:
    draw = random.Random(4)
    script = [(b"%d" % draw.randrange(12), draw.choice([AUTHENTIC, STALE])) for _ in range(60)]
    for chunk in (1, 7, 60):
        one = desk(world)
        marked = [(b"%d/%b" % (chunk, body), verification) for body, verification in script]
        arrivals = [await ready(world, *said) for said in marked]
        for begin in range(0, len(arrivals), chunk):
            await asyncio.gather(*map(one.keep, arrivals[begin : begin + chunk]))
    rows = await stored(world)
    told = [(row.state, row.repeats) for row in rows]
    third = len(told) // 3
    assert len(rows) == 3 * len({body for body, _ in script})
    by_hash = [sorted(told[part * third : (part + 1) * third]) for part in range(3)]
    assert by_hash[0] == by_hash[1] == by_hash[2]


async def test_nothing_is_kept_by_a_secret_that_was_retired_in_that_very_moment(world: World) -> None:
    """The delivery was checked against the connection as it was; the statement that keeps it finds it changed."""
    connection = world.union.connection.connection
    arrival = await ready(world, b"late")
    arrival = Ready(arrival.receipt_id, replace(arrival.row, revision=connection.revision or 0))
    async with world.context.database.begin() as tx:
        row = await tx.get_one(type(connection), connection.id)
        row.title = "Another name"
    one = desk(world)
    free = await ready(world, b"unconditional")
    assert await asyncio.gather(one.keep(arrival), one.keep(free)) == [None, Kept(free.receipt_id, False)]
    assert len(await stored(world)) == await entries(world) == 1


async def test_a_large_body_is_no_part_of_the_text(world: World) -> None:
    """As base64 in JSON it would be copied again and again, here and in PostgreSQL."""
    made = [(await ready(world, b"%d" % number)).row for number in range(3)]
    large = [replace(row, receipt={**row.receipt, "sealed": bytes([n]) * 2**20}) for n, row in enumerate(made[:2])]
    text, beside = keeping._told([*large, made[2]])
    assert len(text) < 10_000
    assert sorted(beside) == [bytes([n]) * 2**20 for n in range(2)]
    assert keeping._told(made)[1] == [], "and nothing beside it where all are small"


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_what_is_held_is_found_by_index_however_much_is_kept(world: World) -> None:
    """SQLite reads all of a connection's receipts for a list of pairs."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.startswith("SELECT receipt.connection_id, receipt.body_hash"):
            asked.append((statement, values))

    engine = world.context.database.engine
    event.listen(engine.sync_engine, "before_cursor_execute", note)
    await asyncio.gather(*map(desk(world).keep, [await ready(world, b"%d" % number) for number in range(3)]))
    event.remove(engine.sync_engine, "before_cursor_execute", note)
    async with engine.connect() as owner:
        found = await owner.exec_driver_sql("EXPLAIN QUERY PLAN " + asked[-1][0], tuple(asked[-1][1]))
        plan = " ".join(row[3] for row in found.all())
    assert "(connection_id=? AND body_hash=?)" in plan, plan
