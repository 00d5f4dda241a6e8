"""Nothing is asked before the moment that the provider named, and never faster than it allows."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.answers import LONGEST_PATIENCE, patience
from connectors.asking import TryLater
from connectors.pace import LONGEST_TURN, Pace
from connectors.sandboxing import Fault, serving
from tests.connectors.http_stage import FAST, NOW, answer, asking, saying
from tests.connectors.test_http_answers import Echo, real_now


def http_date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


@pytest.mark.parametrize(
    ("values", "date", "seconds"),
    [
        ([], None, None),
        (["0"], None, 0.0),
        (["7"], None, 7.0),
        ([" 7 "], None, 7.0),
        (["1.5"], None, 1.5),
        (["2", "9", "soon"], None, 9.0),
        (["86401"], None, LONGEST_PATIENCE),
        (["9" * 400], None, LONGEST_PATIENCE),
        (["-1"], None, None),
        (["+1"], None, None),
        (["٣"], None, None),
        (["1e9"], None, None),
        (["nan"], None, None),
        (["soon"], None, None),
        ([""], None, None),
        (["Mon, 02 Mar 2026 16:00:30 GMT"], None, 30.0),
        (["Monday, 02-Mar-26 16:00:30 GMT"], None, 30.0),
        (["Mon Mar  2 16:00:30 2026"], None, 30.0),
        (["Mon, 02 Mar 2026 15:00:00 GMT"], None, 0.0),
        (["Mon, 02 Mar 9999 15:00:00 GMT"], None, LONGEST_PATIENCE),
        (["Mon, 02 Mar 99999 15:00:00 GMT"], None, None),
        (["Mon, 02 Mar 2026 16:00:30 +9999999999"], None, None),
        # The provider's clock is a day ahead of ours, or a day behind: it is the one that decides.
        (["Tue, 03 Mar 2026 16:00:30 GMT"], "Tue, 03 Mar 2026 16:00:00 GMT", 30.0),
        (["Sun, 01 Mar 2026 16:00:30 GMT"], "Sun, 01 Mar 2026 16:00:00 GMT", 30.0),
        (["Mon, 02 Mar 2026 16:00:30 GMT"], "today", 30.0),
    ],
)
def test_what_retry_after_asks_for(values: list[str], date: str | None, seconds: float | None) -> None:
    assert patience(values, date, NOW) == seconds


@given(st.lists(st.text(max_size=60), max_size=3), st.text(max_size=40) | st.none())
def test_whatever_a_header_says_the_wait_is_bounded(values: list[str], date: str | None) -> None:
    seconds = patience(values, date, NOW)
    assert seconds is None or 0 <= seconds <= LONGEST_PATIENCE


@pytest.mark.parametrize("fault", [Fault.LIMITED_SECONDS, Fault.LIMITED_DATE])
async def test_a_short_wait_is_waited_for_in_place(fault: Fault) -> None:
    sandbox = Echo(real_now)
    sandbox.misbehave(fault, seconds=1)
    async with serving(sandbox) as url, asking(url, now=real_now) as http:
        assert (await http.get("/")).status == 200
    first, second = sandbox.faults.seen
    allowed = first.at + timedelta(seconds=1)
    assert second.at >= (allowed if fault is Fault.LIMITED_SECONDS else parsedate_to_datetime(http_date(allowed)))


@pytest.mark.parametrize("fault", [Fault.LIMITED_SECONDS, Fault.LIMITED_DATE])
async def test_a_long_wait_is_the_callers_and_holds_for_every_request(fault: Fault) -> None:
    """The sandbox lives in a year of its own: its dates count from its own clock."""
    sandbox = Echo(lambda: NOW)
    sandbox.misbehave(fault, seconds=90)
    async with serving(sandbox) as url, asking(url, now=real_now) as http:
        for _ in range(3):
            with pytest.raises(TryLater) as caught:
                await http.get("/")
            assert caught.value.seconds == 90
        for left in await asyncio.gather(*(http.post("/x", json={}) for _ in range(20)), return_exceptions=True):
            assert isinstance(left, TryLater)
            assert left.seconds == 90
    assert len(sandbox.faults.seen) == 1


async def test_a_wait_is_rounded_up() -> None:
    async with saying(answer(b"{}", "503 Away", retry_after="7.2")) as server, asking(server.url) as http:
        with pytest.raises(TryLater) as caught:
            await http.get("/")
    assert caught.value.seconds == 8


async def test_requests_that_were_waiting_for_their_turn_heed_a_refusal_too() -> None:
    limited = answer(b"{}", "429 Slow", retry_after="60")
    async with saying(limited) as server, asking(server.url, requests_per_minute=600) as http:
        outcomes = await asyncio.gather(*(http.get("/") for _ in range(10)), return_exceptions=True)
    assert all(isinstance(outcome, TryLater) for outcome in outcomes)
    assert len(server.asked) == 1


async def test_a_refusal_without_a_moment_is_tried_again_and_then_the_callers() -> None:
    async with saying(answer(b"{}", "429 Slow")) as server, asking(server.url, attempts=4) as http:
        with pytest.raises(TryLater) as caught:
            await http.get("/")
    assert caught.value.seconds is None
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("LimitExceededException", LONGEST_PATIENCE),
        ("LimitExceededException:http://internal.amazon.com/", LONGEST_PATIENCE),
        ("TooManyRequestsException", None),
        ("NoLimitExceededException", None),
    ],
)
async def test_a_quota_that_is_used_up_is_left_alone_for_a_day_and_a_pace_that_is_too_high_is_not(
    said: str, seconds: float | None
) -> None:
    async with saying(answer(b"{}", "429 Slow", x_amzn_ErrorType=said)) as server, asking(server.url, attempts=3) as http:
        with pytest.raises(TryLater) as caught:
            await http.get("/")
    assert caught.value.seconds == seconds
    assert len(server.asked) == (1 if seconds else 3)


async def test_the_time_between_attempts_is_drawn_from_nothing_to_a_bound_that_doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = []

    def drawn(low: float, high: float) -> float:
        bounds.append((low, high))
        return 0.0

    monkeypatch.setattr("connectors.http.random.uniform", drawn)
    async with saying(answer(b"{}", "503 Away")) as server, asking(server.url, attempts=6, backoff=0.5, longest_wait=3) as http:
        with pytest.raises(TryLater):
            await http.get("/")
    assert bounds[:5] == [(0, 0.5), (0, 1.0), (0, 2.0), (0, 3), (0, 3)]


# Turns


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    def __call__(self) -> float:
        return self.now


Step = tuple[str, float]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("turn"), st.floats(0, 3)),
        st.tuples(st.just("pace"), st.sampled_from([1.0, 10.0, 60.0, 600.0])),
        st.tuples(st.just("hold"), st.floats(0, 4)),
        st.tuples(st.just("begin after"), st.floats(-10, 80)),
    ),
    max_size=60,
)


@given(STEPS)
def test_no_turn_comes_too_soon_whatever_happens(steps: list[Step]) -> None:
    """After each turn the whole period of the pace that then holds passes; nothing happens inside of a hold."""
    clock = Clock()
    turns: list[tuple[float, float]] = []  # when, and the least distance to the one before

    async def play(turner: Pace, rate: float) -> None:
        held = 0.0
        for what, number in steps:
            if what == "pace":
                rate = number
                turner.change(rate)
            elif what == "hold":
                held = max(held, clock.now + number)
                turner.hold(number)
            elif what == "begin after":
                held = max(held, clock.now + number)
                turner.begin_after(number)
            else:
                clock.now += number
                rest = clock.now + turner.rest()
                await turner.turn()
                assert clock.now >= held
                assert clock.now == pytest.approx(rest)
                turns.append((clock.now, 60 / rate))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(asyncio, "sleep", clock.sleep)
        asyncio.run(play(Pace(60, longest_hold=5, clock=clock), 60))
    for (before, _), (after, distance) in pairwise(turns):
        assert after - before >= distance


def test_a_clock_that_was_ahead_holds_up_nobody_for_longer_than_any_turn() -> None:
    turner = Pace(60, longest_hold=5, clock=Clock())
    turner.begin_after(86_400)
    assert turner.rest() == LONGEST_TURN


@given(st.integers(1, 200), st.lists(st.floats(0, 2), min_size=1, max_size=300))
def test_in_any_minute_there_are_no_more_turns_than_allowed(rate: int, pauses: list[float]) -> None:
    clock = Clock()
    turns = []

    async def play(turner: Pace) -> None:
        for pause in pauses:
            clock.now += pause
            await turner.turn()
            turns.append(clock.now)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(asyncio, "sleep", clock.sleep)
        asyncio.run(play(Pace(rate, longest_hold=5, clock=clock)))
    assert all(turns[i + rate] - turns[i] > 60 for i in range(len(turns) - rate))


async def test_requests_are_evenly_spaced_on_the_wire_and_a_new_pace_counts_from_the_last_one() -> None:
    arrived: list[float] = []

    async def note(writer: Any) -> None:
        arrived.append(time.monotonic())
        writer.write(answer())

    async with saying(note) as server, asking(server.url, requests_per_minute=FAST) as http:
        await http.get("/")
        http.pace(1200)  # one each 50 ms
        began = time.monotonic()
        await asyncio.gather(*(http.get("/") for _ in range(10)))
    assert arrived[-1] - began >= 10 * 0.05 - 0.02  # the first of the ten waits as well
    halves = [arrived[i + 5] - arrived[i] for i in range(1, 6)]
    assert min(halves) > 5 * 0.05 * 0.6  # five at a time, so that a machine under load does not decide


async def test_a_turn_too_far_away_is_the_callers_to_wait_for() -> None:
    async with saying(answer()) as server, asking(server.url, requests_per_minute=0.1) as http:
        await http.get("/")
        with pytest.raises(TryLater) as caught:
            await http.get("/")
    assert 600 <= (caught.value.seconds or 0) <= 606
    assert len(server.asked) == 1


def test_the_sandboxes_date_is_the_sandboxes_own() -> None:
    assert patience([http_date(NOW + timedelta(seconds=5))], http_date(NOW), datetime(2031, 1, 1, tzinfo=UTC)) == 5
