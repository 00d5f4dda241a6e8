"""What `./run campaign fuzz` runs by the million is run here a little, without its tool: seeds, and broken ones."""

from __future__ import annotations

import json
import random

import pytest

from benchmarks.campaigns._fuzz_targets import NOW, Finding, Fuzzed, require, targets, verify
from tests.repo.tree import ROOT

TARGETS = targets()
PIECES = (b"\x00", b"\xff", b"{", b"[" * 40, b"NaN", b"9" * 25, b"\\ud800", "\u0300".encode() * 20, b"\n\n", b"%00", b"1e999")


def broken(seed: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(seed) + 1)
    match dice.randrange(4):
        case 0:
            return seed[:at]
        case 1:
            return seed[:at] + dice.choice(PIECES) + seed[at:]
        case 2:
            return seed[:at] + bytes([dice.randrange(256)]) + seed[at + 1 :]
    return seed[:at] + seed[dice.randrange(len(seed) + 1) :]


@pytest.mark.parametrize("name", TARGETS)
def test_every_promise_holds_for_a_few_hundred_inputs(name: str) -> None:
    dice, fuzzed = random.Random(4417), TARGETS[name]
    assert fuzzed.seeds
    for seed in fuzzed.seeds:
        fuzzed.run(seed)
    for _ in range(300):
        fuzzed.run(broken(dice.choice(fuzzed.seeds), dice))


def test_a_broken_promise_is_a_finding() -> None:
    def takes_nothing_longer_than_three(data: bytes) -> None:
        require(len(data) <= 3, "too long")

    with pytest.raises(Finding, match="too long"):
        Fuzzed(takes_nothing_longer_than_three, (b"four",)).run(b"four")
    secret = b"\x06x-secret: " + b"s" * 32 + b"\n\n{}"
    with pytest.raises(Finding, match="static-header took it"):
        verify(secret)
    assert NOW.tzinfo is not None


def test_what_was_fuzzed_is_written_down_and_nothing_is_broken() -> None:
    results = json.loads((ROOT / "docs" / "campaigns" / "fuzz.json").read_text())
    assert results["targets"].keys() <= TARGETS.keys()
    assert {name: found["broken"] for name, found in results["targets"].items() if found["broken"]} == {}
    assert results["executions"] == sum(found["executions"] for found in results["targets"].values())
