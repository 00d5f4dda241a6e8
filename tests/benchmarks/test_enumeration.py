"""The campaign that compares times: what it adds up tells a small difference, and none where there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy
import pytest

from benchmarks.campaigns.enumeration import AT_ONCE, ENOUGH, MOST, add, greatest_t, load, sees_ms

HUNDREDS = ENOUGH // AT_ONCE


def after(hundreds: int, slower_ms: float, found: dict[str, Any] | None = None, seed: int = 1) -> dict[str, Any]:
    """So many hundreds of answers around 143 ms on a machine now slow and now fast, those about staff slower by so much."""
    dice, found = numpy.random.default_rng(seed), found or {}
    for _ in range(hundreds):
        load_of_the_machine = dice.uniform(0, 0.05)
        taken = {who: dice.normal(0.143 + load_of_the_machine, 0.010, AT_ONCE) for who in ("nobody", "staff")}
        taken["staff"] += slower_ms / 1000
        taken["nobody"][0] = 3.0
        found = add(found, {who: [float(one) for one in seconds] for who, seconds in taken.items()})
    return found


def test_ten_thousand_rounds_tell_a_millisecond_and_no_more_than_there_is() -> None:
    none, one = after(HUNDREDS, 0.0), after(HUNDREDS, 1.0)
    assert greatest_t(none)[0] < MOST < greatest_t(one)[0]
    assert sees_ms(one) < 1.0
    assert sees_ms(after(4, 1.0)) > 1.0, "four hundred would not have"


def test_it_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    first = after(3, 0.0)
    again = json.loads(json.dumps(first))
    assert after(2, 0.0, again, seed=2) == after(2, 0.0, first, seed=2)
    assert after(2, 0.0, again, seed=2)["hundreds"] == 5
    file = tmp_path / "found.json"
    assert load(file)["added"]["rounds"] == 0
    file.write_text(json.dumps({"command": "x", "runs": [1], "added": {"rounds": 300, "found": {"q": first}, "machines": []}}))
    kept = load(file)
    assert (kept["runs"], kept["added"]["rounds"]) == ([1], 300)


def test_means_are_of_all_hundreds() -> None:
    found = after(5, 2.0)
    assert found["mean_ms"]["staff"] - found["mean_ms"]["nobody"] == pytest.approx(2.0, abs=2.0)
    assert 143 < found["mean_ms"]["nobody"] < 193
