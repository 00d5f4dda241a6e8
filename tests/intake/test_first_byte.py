"""What is counted is what senders were told; a receipt's id is there from its first byte, and in the log until the links."""

from __future__ import annotations

import io
import json
import logging
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from sqlalchemy import text, update

from app.connections.models import Connection
from app.intake import first_byte
from app.kit.logging import configure
from tests.support.scraped import Monitor, monitor
from tests.support.world import NOW, World, alert


@pytest.fixture
def scraped() -> Iterator[Monitor]:
    with monitor() as one:
        yield one


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the service logs by default."""
    written, root = io.StringIO(), logging.getLogger()
    before = root.handlers[:], root.level
    monkeypatch.setattr(sys, "stderr", written)
    configure()
    yield written
    structlog.reset_defaults()
    root.handlers = before[0]
    root.setLevel(before[1])


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


async def test_each_answer_is_counted_by_its_outcome_and_each_refusal_by_its_reason(world: World, scraped: Monitor) -> None:
    before = scraped.samples()

    def grown(name: str, **labels: str) -> float:
        key = (name, frozenset(labels.items()))
        return scraped.samples().get(key, 0) - before.get(key, 0)

    await world.deliver(alert())
    await world.deliver(alert())
    await world.deliver(alert(id="a-2"))
    await world.deliver(alert(), secret=world.other.connection.secret)
    await world.deliver(b"x" * 2_000_000)
    await world.deliver(alert(), headers={"content-type": "text/plain"})
    await world.deliver(alert(), path="/webhooks/nothing/nowhere")
    async with world.context.database.begin() as tx:
        this = world.other.connection.connection.id
        await tx.execute(update(Connection).where(Connection.id == this).values(closed_at=NOW))
    await world.deliver(alert(), world.other)
    await world.client.get("/livez")
    assert grown("harmline_deliveries_total", outcome="kept") == 2
    assert grown("harmline_deliveries_total", outcome="repeat") == 1
    assert grown("harmline_deliveries_total", outcome="refused") == 5
    reasons = ("not_authentic", "too_large", "wrong_type", "closed")
    assert [grown("harmline_refusals_total", reason=reason) for reason in reasons] == [2, 1, 1, 1]
    assert grown("harmline_stage_lag_seconds_count", stage="kept") == 3
    assert grown("harmline_commit_batch_size_sum") == 3
    await world.workers.drain()
    assert grown("harmline_stage_lag_seconds_count", stage="handled") == 2
    assert grown("harmline_stage_lag_seconds_count", stage="notices.tell") >= 1
    await world.deliver(alert(summary="Corrected."))  # it was there before, so a message tells of it
    await world.workers.drain()
    assert grown("harmline_stage_lag_seconds_count", stage="incidents.match") >= 1


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_a_store_that_is_away_is_counted_as_that(world: World, scraped: Monitor) -> None:
    before = scraped.value("harmline_deliveries_total", outcome="unavailable")
    async with world.context.database.begin() as tx:
        await tx.execute(text("ALTER TABLE receipt RENAME TO gone"))
    answer = await world.deliver(alert())
    assert answer.status_code == 503
    assert scraped.value("harmline_deliveries_total", outcome="unavailable") == before + 1


async def test_who_goes_away_before_the_answer_is_counted_as_unanswered(world: World, scraped: Monitor) -> None:
    before = scraped.value("harmline_deliveries_total", outcome="unanswered")

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await first_byte.FirstByte(app)({"type": "http", "path": "/webhooks/a/b"}, None, None)  # type: ignore[arg-type]
    assert scraped.value("harmline_deliveries_total", outcome="unanswered") == before + 1


async def test_one_id_leads_from_the_first_byte_to_the_links(world: World, log: io.StringIO) -> None:
    receipt = (await world.deliver(alert())).json()["receipt"]
    await world.workers.drain()
    door = [line for line in lines(log) if line["event"] == "delivery answered"]
    assert [(line["receipt"], line["outcome"], line["status"]) for line in door] == [(receipt, "kept", 202)]
    handled = [line for line in lines(log) if receipt in line.get("receipts", ())]
    assert handled[0]["event"] == "receipts handled"
    assert {line.get("consumer") for line in handled} == {None, "notices.tell"}
    corrected = (await world.deliver(alert(summary="Corrected."))).json()["receipt"]
    await world.workers.drain()
    handled = [line for line in lines(log) if corrected in line.get("receipts", ())]
    assert [line.get("consumer") for line in handled] == [None, "incidents.match"]


async def test_a_refused_delivery_has_its_id_in_the_log_too(world: World, log: io.StringIO) -> None:
    await world.deliver(alert(), secret=world.other.connection.secret)
    (line,) = [line for line in lines(log) if line["event"] == "delivery answered"]
    assert (line["outcome"], line["status"], len(line["receipt"])) == ("refused", 401, 36)


async def test_a_repeat_names_the_receipt_that_holds_its_bytes(world: World, log: io.StringIO) -> None:
    first = (await world.deliver(alert())).json()["receipt"]
    again = (await world.deliver(alert())).json()["receipt"]
    _, line = [line for line in lines(log) if line["event"] == "delivery answered"]
    assert first == again == line["answered"] != line["receipt"]
    assert line["outcome"] == "repeat"


async def test_what_fails_in_the_work_behind_says_on_which_receipt(
    world: World, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt = (await world.deliver({"alerts": [alert(), {**alert(id="a-2"), "amount": 7}]})).json()["receipt"]
    await world.workers.drain()
    (line,) = [line for line in lines(log) if line["event"] == "event quarantined"]
    assert line["receipt"] == receipt


async def test_a_flood_of_refusals_does_not_flood_the_log(world: World, log: io.StringIO) -> None:
    began = int(time.monotonic())
    for _ in range(3 * first_byte.REFUSALS_A_SECOND):
        await world.deliver(alert(), path="/webhooks/nothing/nowhere")
    seconds = int(time.monotonic()) - began + 1
    door = [line for line in lines(log) if line["event"] == "delivery answered"]
    told = len(door) + sum(line.get("left_out", 0) for line in door)
    assert len(door) <= seconds * first_byte.REFUSALS_A_SECOND
    assert first_byte.REFUSALS_A_SECOND <= told <= 3 * first_byte.REFUSALS_A_SECOND


def test_so_many_lines_a_second_and_what_was_left_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    sparing, now = first_byte._Sparing(2), [10.0]
    monkeypatch.setattr(first_byte.time, "monotonic", lambda: now[0])
    assert [sparing.left_out() for _ in range(5)] == [0, 0, None, None, None]
    now[0] = 11.0
    assert [sparing.left_out() for _ in range(2)] == [3, 0]
