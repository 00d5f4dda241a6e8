"""By which day the list goes on, whatever a provider's clock says."""

from __future__ import annotations

import pytest

from connectors.asking import Answer
from connectors.spycloud.watchlist import Reached


@pytest.mark.parametrize(
    "date", ["", "yesterday", f"Mon, 02 Mar {'9' * 20} 16:00:00 GMT", f"Mon, {'9' * 20} Mar 2026 16:00:00 GMT"]
)
def test_a_day_that_is_none_is_no_day(date: str) -> None:
    reached = Reached()
    reached.learn(Answer(200, {"date": date}, b""), [])
    assert reached.today is None
