"""Whatever fails on the way of an alert, the log says which receipts it was about, and names no other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.intake import handling
from app.intake.desk import BrokenOff, Desk
from app.intake.keeping import Row
from app.intake.receive import Kept, Ready
from app.intake.workers import handle_waiting
from app.kit.database import Transaction
from app.kit.logging import about_receipt, with_receipt
from tests.intake.test_desk import make, ready
from tests.support.world import World, alert


async def keep(desk: Desk, arrival: Ready) -> Kept | None:
    """As the door does: whatever is done for a delivery is about its receipt."""
    with about_receipt(arrival.receipt_id):
        return await desk.keep(4, partial(make, arrival))


async def came_together(desk: Desk, arrivals: Sequence[Ready]) -> tuple[list[Any], list[dict[str, Any]]]:
    """What they were answered, and the lines of the log."""
    with capture_logs(processors=[with_receipt]) as lines:
        answers = await asyncio.gather(*(keep(desk, one) for one in arrivals), return_exceptions=True)
    return answers, [dict(line) for line in lines]


async def test_one_that_the_database_refuses(world: World) -> None:
    good, bad = [await ready(world, b"good %d" % number) for number in range(3)], await ready(world, b"bad")
    bad = Ready(bad.receipt_id, Row({**bad.row.receipt, "grade": None}, bad.row.entry, None))
    _, lines = await came_together(Desk(world.context.database, 1000), [*good, bad])
    (line,) = [line for line in lines if line["event"] == "batch refused, going one by one"]
    assert line["receipts"] == [str(one.receipt_id) for one in [*good, bad]]
    assert "receipt" not in line, "it is not about the first alone, for whom somebody began to work"


async def test_a_batch_that_is_broken_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Panic(BaseException):
        pass

    def panic(*_: Any) -> None:
        raise Panic

    desk, arrivals = Desk(world.context.database, 1000), [await ready(world, b"%d" % number) for number in range(3)]
    monkeypatch.setattr(desk, "_kept_of", panic)
    answers, lines = await came_together(desk, arrivals)
    assert [type(answer) for answer in answers] == [BrokenOff] * 3
    (line,) = [line for line in lines if line["event"] == "a batch was broken off"]
    assert line["receipts"] == [str(one.receipt_id) for one in arrivals]
    assert "receipt" not in line


async def test_receipts_that_cannot_be_handled_together(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    receipts = [(await world.deliver(alert(id=f"a-{number}"))).json()["receipt"] for number in range(2)]

    async def fails(*_: Any) -> None:
        raise ValueError

    monkeypatch.setattr(handling, "_file", fails)
    with capture_logs() as lines:
        await world.workers.drain()
    (halved,) = [line for line in lines if line["event"] == "batch failed, going by halves"]
    assert halved["receipts"] == receipts
    assert [line["receipt"] for line in lines if line["event"] == "receipt set aside"] == receipts


async def test_alerts_that_cannot_be_brought_at_once(world: World) -> None:
    receipts = [(await world.deliver(alert(id=f"a-{number}"))).json()["receipt"] for number in range(2)]

    async def fails(_tx: Transaction, _new: Sequence[Any]) -> Any:
        raise ValueError

    with capture_logs() as lines:
        await handle_waiting(world.context.database, world.context.keyring, fails)
    (line,) = [line for line in lines if line["event"] == "alerts go by message"]
    assert (line["alerts"], line["receipts"]) == (2, receipts)
