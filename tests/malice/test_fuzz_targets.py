"""What `./run campaign fuzz` runs by the million is run here a little, without its tool: seeds, and broken ones."""

from __future__ import annotations

import json
import random
import re

import pytest

from app.access.id_tokens import believed
from app.kit import dns
from app.kit.uploads import Upload
from app.ledger import timestamping
from benchmarks.campaigns import _fuzz_browsers as browsers
from benchmarks.campaigns import _fuzz_servers as servers
from benchmarks.campaigns import _fuzz_stored as stored
from benchmarks.campaigns._fuzz_promises import Finding, Fuzzed, finished, require
from benchmarks.campaigns._fuzz_targets import NOW, targets, verify
from connectors.mail import signed
from connectors.verifiers import Grade
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


def test_the_good_ones_among_the_seeds_are_read() -> None:
    """Else a target would keep its promises by refusing whatever comes."""
    name, _, wire = next(seed for seed in TARGETS["dns"].seeds).partition(b"\n")
    asked = dns.resolver("192.0.2.1")
    asked.nameservers = [servers.Nameserver(wire)]  # type: ignore[list-item]
    assert servers.loop().run_until_complete(dns.txt(asked, [name.decode()])) == {servers.ASKED_FOR: servers.RECORD}
    keys, _, mail = TARGETS["proofs"].seeds[0].partition(b"\n")
    assert signed.proof_of(mail, signed.keys_in(keys.decode())).grade is Grade.THIRD_PARTY
    token, _, keys = TARGETS["id_tokens"].seeds[0].partition(b"\n")
    assert believed(token.decode(), json.loads(keys), servers.EXPECTED, servers.NOW) == servers.SAID
    signs, makes, *_ = (json.loads(seed) for seed in TARGETS["passkeys"].seeds)
    assert finished(browsers.signed_by(signs)) is not None
    assert finished(browsers.enrolled(makes)) is not None
    kind, _, form = TARGETS["uploads"].seeds[0][1:].partition(b"\n")
    found = browsers.upload(kind, form, 7)
    assert isinstance(found, Upload)
    assert (found.fields, found.file) == ({"title": "one"}, b"a,b\r\n1,2")
    assert [one.unseal(seed, stored.WHERE) for one, seed in zip(stored.SEALED, TARGETS["sealed"].seeds, strict=False)] == [
        stored.PLAINTEXT
    ] * len(stored.SEALED)
    assert timestamping.is_over(stored.STAMPED, stored.STAMPED_TEXT.encode())


def test_a_broken_promise_is_a_finding() -> None:
    def takes_nothing_longer_than_three(data: bytes) -> None:
        require(len(data) <= 3, "too long")

    with pytest.raises(Finding, match="too long"):
        Fuzzed(takes_nothing_longer_than_three, (b"four",)).run(b"four")
    secret = b"\x06x-secret: " + b"s" * 32 + b"\n\n{}"
    with pytest.raises(Finding, match="static-header took it"):
        verify(secret)
    assert NOW.tzinfo is not None


def test_what_is_read_is_listed_with_its_target() -> None:
    """In docs/reliability.md: every target stands there, and every module is there."""
    rows = re.findall(r"^\| [^|]+ \| ((?:`[^`|]+`(?:, )?)+) \| (`[^|]+) \|$", _fuzzing_section(), re.MULTILINE)
    listed = {name for _, target in rows for name in re.findall("`([^`]+)`", target)}
    assert listed == {"connector_…" if name.startswith("connector_") else name for name in TARGETS}
    modules = [module for where, _ in rows for module in re.findall("`([^`]+)`", where)]
    assert [module for module in modules if not any(ROOT.glob(module))] == []


def _fuzzing_section() -> str:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    return text.partition("\n## Fuzzing\n")[2].partition("\n## ")[0]


def test_what_was_fuzzed_is_written_down_and_nothing_is_broken() -> None:
    results = json.loads((ROOT / "docs" / "campaigns" / "fuzz.json").read_text())
    assert results["targets"].keys() == TARGETS.keys()
    assert [name for name, found in results["targets"].items() if found["seconds"] < 120] == []
    assert {name: found["broken"] for name, found in results["targets"].items() if found["broken"]} == {}
    assert results["executions"] == sum(found["executions"] for found in results["targets"].values())
