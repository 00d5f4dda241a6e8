"""An entry that says it is older than its place can be is told of; a log that stood still is not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, update

from app.kit import clock
from app.kit.ids import uuid7
from app.ledger import models
from app.ledger.dating import Dates
from app.ledger.findings import Found, Kind
from app.ledger.full_look import verify_all
from app.ledger.models import LedgerEntry
from app.ledger.verifying import Report, verify
from tests.ledger.test_sequencing import as_owner, lengthen, noted
from tests.support.world import NOW, World

START = datetime(2026, 11, 27, 4, 30, tzinfo=UTC)
ID = "019a0000-0000-7000-8000-000000000001"


def remarks(*log: tuple[float, Sequence[float]]) -> list[str]:
    """What is told of a log of such checkpoints: when each was signed, and what its entries say, in days."""
    dates, size = Dates(Found()), 0
    for signed, entries in log:
        for one in entries:
            at = START + timedelta(days=one)
            dates.entry(size, ID, at.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z")
            size += 1
        dates.checkpoint(size, START + timedelta(days=signed))
    return [one.says for one in dates.found.told()]


@pytest.mark.parametrize(
    "log",
    [
        pytest.param([(0, [0, 0]), (1, [1, 0.999]), (400, [400])], id="ordinary"),
        pytest.param([(0, [0]), (3, [0.1, 0.2, 1.5]), (3, [2, 2.9]), (3, [3])], id="the sequencer stood still"),
        pytest.param([(0, [0]), (900, [900]), (0.1, [0.1]), (0.2, [0.2, 0.3])], id="a clock was ahead"),
        pytest.param([(5, [5]), (-900, [-900]), (6, [6])], id="a clock was behind"),
        pytest.param([(0, [0]), (0.9, [0.9, 0])], id="a long transaction"),
        pytest.param([(0, [])], id="nothing"),
    ],
)
def test_what_is_honest_dates_no_entry_back(log: Sequence[tuple[float, Sequence[float]]]) -> None:
    assert not [one for one in remarks(*log) if one.startswith("Entry")]


def test_a_clock_that_was_wrong_is_told_once() -> None:
    (said,) = remarks((0, [0]), (900, [900]), (0.1, [0.1]), (0.2, [0.2]))
    assert said.startswith("The checkpoint over 3 entries says that it is from 2026-11-27 06:54 UTC, and what stands before it")


def test_what_was_dated_back_is_told_with_where_it_stands() -> None:
    assert remarks((0, [0]), (90, [90]), (90.1, [30, 90.05])) == [
        f"Entry {ID} at position 2 says that it is from 2026-12-27 04:30 UTC, and got its place only after the checkpoint of "
        "2027-02-25 04:30 UTC, which is over 2 entries: it was put in later and dated back, or a clock was wrong."
    ]
    assert len(remarks((0, [0]), (90, [90]), (90.1, [91, 30]))) == 1, "whichever id it was given"


def test_changing_the_moments_of_checkpoints_along_is_told() -> None:
    (said,) = remarks((0, [0]), (90, [90]), (30, [30]), (91, [91]))
    assert said.startswith("The checkpoint over 3 entries says that it is from 2026-12-27")
    (said,) = remarks((0, [0]), (30, [90]), (30, [30]), (91, [91]))
    assert said.startswith("The checkpoint over 2 entries says that it is from 2026-12-27")


def test_what_is_no_moment_hides_nothing() -> None:
    dates = Dates(Found())
    for position, at in enumerate(("", "9999-12-31Tx", "nonsense", "2026-11-27T04:30:00.000000", "2026-11-27T04:30:00.000000Z")):
        dates.entry(position, ID, at)
    dates.checkpoint(5, START)
    dates.entry(5, ID, "0001-01-01T00:00:00.000000Z")
    dates.entry(6, ID, "9999-12-31T23:59:59.999999Z")
    dates.checkpoint(7, START)
    assert [one.says.partition(" says")[0] for one in dates.found.told()] == [
        f"Entry {ID} at position 5",
        "The checkpoint over 7 entries",
    ]


async def looked_at(world: World) -> Report:
    async with world.context.database.begin(read_only=True) as tx:
        return await verify(tx, world.union.id)


async def test_an_entry_put_in_later_with_an_old_date_is_told(world: World) -> None:
    await world.workers.drain()
    clock.set_to(NOW + timedelta(days=60))
    await noted(world, 2)
    await lengthen(world)
    clock.set_to(NOW + timedelta(days=61))
    row = {"id": uuid7(), "organization_id": world.union.id, "kind": "receipt", "subjects": {}, "commitment": bytes(32)}
    async with world.context.database.begin() as tx:
        await tx.execute(insert(LedgerEntry).values(**row, at=NOW + timedelta(days=9)))
    await lengthen(world)
    report = await looked_at(world)
    assert (report.is_whole, [one.kind for one in report.remarks]) == (True, [Kind.DATED_BACK])
    assert report.remarks[0].says.startswith(f"Entry {row['id']} at position {report.leaves - 1} says that it is from ")
    newest = (models.Checkpoint.organization_id == world.union.id, models.Checkpoint.size == report.leaves)
    await as_owner(world, update(models.Checkpoint).where(*newest).values(at=NOW + timedelta(days=9)))
    assert "The checkpoint over" in (await looked_at(world)).remarks[0].says
    await verify_all(world.context.database)
    async with world.context.database.begin(read_only=True) as tx:
        assert (await tx.get_one(models.Head, world.union.id)).found_wrong == 0, "a wrong clock leaves the same"
