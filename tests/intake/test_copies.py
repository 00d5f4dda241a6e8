"""An event's own copy: whoever reads it finds what was written, whichever encoder wrote it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.intake.understanding import alert_in, copy_of, to_keep, understand
from connectors.contract import BrokenEvent, RawEvent
from connectors.standard.connector import Standard
from tests.support.world import alert

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(lambda text: text.strip() == text)


def raw(body: dict[str, Any]) -> RawEvent:
    return RawEvent(body["type"], body["id"], body)


@given(TEXTS, TEXTS, st.sampled_from([None, "0.10", "12345678.90"]))
def test_an_alert_comes_out_of_its_copy_as_it_went_in(summary: str, institution: str, amount: str | None) -> None:
    told = {"amount": amount, "currency": "USD"} if amount else {}
    event = raw(alert(summary=summary, institution=institution, **told))
    understood = understand(Standard(), event)
    copy = copy_of(event, understood)
    assert json.loads(copy) == to_keep(event, understood)
    if understood.alert is not None:  # NUL is refused
        assert alert_in(copy) == understood.alert


@pytest.mark.parametrize("odd", ["\ud800", math.inf, 10**400, 0.1 + 0.2, -0.0, {"é": [1, None, True]}])
def test_what_a_connector_left_odd_is_kept_as_it_is(odd: Any) -> None:
    for event in (RawEvent("never.heard.of", "x", {"odd": odd}), BrokenEvent("$", {"odd": odd})):
        understood = understand(Standard(), event)
        assert json.loads(copy_of(event, understood)) == to_keep(event, understood)


def test_not_a_number_stays_not_a_number() -> None:
    event = RawEvent("never.heard.of", "x", {"odd": math.nan})
    assert math.isnan(json.loads(copy_of(event, understand(Standard(), event)))["body"]["odd"])


def test_what_it_was_asked_with_may_hold_half_a_surrogate() -> None:
    event = RawEvent("inquiry.hard", "a-1", alert(), asked={"cursor": "\ud800"})
    understood = understand(Standard(), event)
    assert understood.alert is not None
    assert json.loads(copy_of(event, understood))["asked"] == {"cursor": "\ud800"}
    assert alert_in(copy_of(event, understood)) == understood.alert
