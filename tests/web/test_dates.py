"""Dates in plain words say what was claimed, no more."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.web.dates import between, plain_interval, plain_moment
from connectors.claimed import interval
from connectors.contract import Interval


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        ("2023-03-20", "on 20 March 2023"),
        ({"earliest": "2023-03-01", "latest": "2023-03-07"}, "between 1 and 7 March 2023"),
        ({"earliest": "2023-02-27", "latest": "2023-03-07"}, "between 27 February and 7 March 2023"),
        ({"earliest": "2022-12-30", "latest": "2023-01-02"}, "between 30 December 2022 and 2 January 2023"),
        ({"latest": "2023-03-08"}, "before 9 March 2023"),
        ({"latest": "2023-03-31"}, "before 1 April 2023"),
        ({"earliest": "2023-03-03"}, "3 March 2023 or later"),
        ("2023-03-20T06:05:00-08:00", "on 20 March 2023, 14:05 UTC"),
        ({"latest": "2023-03-20T14:05:00Z"}, "before 20 March 2023, 14:05 UTC"),
        (
            {"earliest": "2023-03-20T10:00:00Z", "latest": "2023-03-20T14:05:00Z"},
            "between 10:00 and 14:05 UTC on 20 March 2023",
        ),
    ],
)
def test_a_claim_is_shown_as_it_was_made(claim: str | dict[str, str], words: str) -> None:
    assert plain_interval(interval(claim)) == words


def test_no_claim_is_said_to_be_none() -> None:
    assert plain_interval(None) == plain_interval(Interval()) == "the service does not say when"


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.integers(0, 800))
def test_every_pair_of_dates_comes_back_as_those_dates(first: date, length: int) -> None:
    last = first + timedelta(days=length)
    shown = plain_interval(interval({"earliest": first.isoformat(), "latest": last.isoformat()}))
    assert shown == between(first, last)
    assert f"{last.day} {last:%B %Y}" in shown
    assert str(first.day) in shown


@pytest.mark.parametrize("claim", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", {"latest": "0001-01-01T00:00:00Z"}])
def test_the_edge_of_the_calendar_is_shown_too(claim: str | dict[str, str]) -> None:
    assert "UTC" in plain_interval(interval(claim))


def test_a_moment_is_shown_in_utc() -> None:
    moment = datetime.fromisoformat("2023-03-20T23:30:00-07:00")
    assert plain_moment(moment) == plain_moment(moment.astimezone(UTC)) == "21 March 2023, 06:30 UTC"
