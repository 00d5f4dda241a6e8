"""The clock is the only one, and ids made after it sort in the order they were made."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from asyncpg.pgproto import pgproto
from hypothesis import given
from hypothesis import strategies as st

from app.kit import clock
from app.kit.ids import uuid7, written

NOON = datetime(2023, 6, 1, 12, tzinfo=UTC)


def test_the_wall_clock_is_aware_and_in_utc() -> None:
    before = datetime.now(UTC)
    assert before <= clock.now() <= datetime.now(UTC)
    assert clock.now().utcoffset() == timedelta(0)


def test_a_stopped_clock_stands_still_moves_when_told_and_runs_on_after() -> None:
    with clock.stopped(NOON):
        assert clock.now() == NOON
        clock.set_to(datetime(2023, 6, 1, 9, tzinfo=timezone(timedelta(hours=-7))))
        assert clock.now() == datetime(2023, 6, 1, 16, tzinfo=UTC)
        assert clock.now().utcoffset() == timedelta(0)
        with clock.stopped(NOON + timedelta(days=9)):
            assert clock.now() == NOON + timedelta(days=9)
        assert clock.now() == datetime(2023, 6, 1, 16, tzinfo=UTC)
    assert clock.now() > NOON + timedelta(days=365)


def test_the_clock_runs_on_after_an_error_and_refuses_a_moment_without_a_zone() -> None:
    with pytest.raises(ValueError, match="time zone"), clock.stopped(NOON):
        clock.set_to(datetime(2023, 6, 1))  # noqa: DTZ001 - the very thing that is refused
    assert clock.now() > NOON + timedelta(days=365)


def test_an_id_has_the_bits_of_version_7_and_the_millisecond_of_the_clock() -> None:
    later = datetime.now(UTC) + timedelta(days=3650)  # ahead of every id that this process has made
    with clock.stopped(later):
        made = uuid7()
    assert made.version == 7
    assert made.variant == UUID(int=0b10 << 62).variant
    assert made.int >> 80 == int(later.timestamp() * 1000)


def test_an_id_is_a_uuid_like_any_other() -> None:
    made = uuid7()
    same = UUID(int=made.int)
    assert (made, hash(made), str(made), made.bytes, made.is_safe) == (same, hash(same), str(same), same.bytes, same.is_safe)
    assert pickle.loads(pickle.dumps(made)) == copy.deepcopy(made) == made


def test_milliseconds_are_those_of_the_same_clock() -> None:
    before = int(clock.now().timestamp() * 1000)
    assert before <= clock.milliseconds() <= int(clock.now().timestamp() * 1000)
    with clock.stopped(NOON):
        assert clock.milliseconds() == int(NOON.timestamp() * 1000)


@given(st.lists(st.timedeltas(min_value=timedelta(days=-400), max_value=timedelta(days=400)), min_size=2, max_size=20))
def test_ids_rise_even_when_the_clock_goes_back(moves: list[timedelta]) -> None:
    made = []
    for move in moves:
        with clock.stopped(NOON + move):
            made += [uuid7(), uuid7()]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_many_ids_of_one_millisecond_from_many_threads_are_all_different_and_rise_in_each() -> None:
    def some(_: int) -> list[UUID]:
        return [uuid7() for _ in range(3000)]

    with clock.stopped(NOON), ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(some, range(8)))
    assert all(run == sorted(run) for run in runs)
    assert len({made for run in runs for made in run}) == 24_000


@given(st.uuids())
def test_an_id_is_written_as_text_has_it(value: UUID) -> None:
    assert written(value) == str(value) == written(pgproto.UUID(str(value)))
