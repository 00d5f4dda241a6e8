"""Dates as American bureaus spell them: one day, however it is written, and nothing narrower than a day anywhere on Earth."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.claimed import bureau_interval, interval

SPELLINGS = ("%Y-%m-%d", "%m/%d/%Y", "%Y%m%d", "%Y-%m-%dZ")
DAYS = st.dates(date(1900, 1, 1), date(2100, 12, 31))


def spelt(day: date) -> list[str]:
    return [day.strftime(spelling) for spelling in SPELLINGS]


@given(DAYS)
def test_a_day_is_the_same_in_every_spelling(day: date) -> None:
    assert {bureau_interval(text) for text in spelt(day)} == {interval(day.isoformat())}


@given(DAYS)
def test_it_holds_that_day_wherever_it_was(day: date) -> None:
    found = bureau_interval(day.strftime("%Y-%m-%dZ"))
    assert found.earliest == datetime.combine(day, time.min, UTC) - timedelta(hours=14)
    assert found.latest == datetime.combine(day, time.max, UTC) + timedelta(hours=12)


@given(DAYS, DAYS)
def test_no_text_is_two_days(one: date, other: date) -> None:
    assert (bureau_interval(spelt(one)[1]) == bureau_interval(spelt(other)[2])) == (one == other)


def test_a_moment_stays_a_moment() -> None:
    assert bureau_interval("2021-03-19T15:25:55Z") == interval("2021-03-19T15:25:55Z")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "02/30/2023",
        "13/01/2023",
        "2/3/2023",
        "02/03/23",
        "02/03/2023 ",
        "02/03/2023\n",
        "20230230",
        "00000000",
        "2023021",
        "202302011",
        "2023-02-01z",
        "2023-02-01ZZ",
        "2023-02-01+00:00",
        "２０２３０２０１",
        "August 2020",
        "2021-03-19T15:25:55",
    ],
)
def test_anything_else_is_no_date(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - there is no message to match
        bureau_interval(text)


@given(st.text(max_size=30))
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        bureau_interval(text)
    except ValueError:
        return
    assert any(letter.isdigit() for letter in text)
