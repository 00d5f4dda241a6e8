"""One byte of a packet changed, a thousand times over every kind of file: each fails, and says which file and why."""

import random
import re
from pathlib import Path

import pytest

from app.evidence.verifier import verify
from tests.evidence import packets
from tests.evidence.packets import Files

FLIPS = 1000
SEED = 20261127
BY_HASH = ("files", "the file was changed: its SHA-256 is not the one that was listed")
# What has to fail beside the list of files, because the log or a signature binds it.
ALSO = (
    (re.compile(r"data/log/checkpoint|data/packet\.json"), None),
    (re.compile(r".*/entry\.json"), "entries"),
    (re.compile(r".*/opening\.json"), "openings"),
    (re.compile(r".*/original\.[a-z]+"), "originals"),
    (re.compile(r".*/proof\.tlog-proof"), "entries"),
    (re.compile(r".*/older/.*"), None),
)


def kind_of(path: str) -> str:
    """Files of one kind are flipped as often as those of any other."""
    return re.sub(r"EX-[0-9]+|[0-9a-f]{8}-[0-9a-f-]{27}", "*", path)


def also_fails(path: str) -> str | None:
    return next((check for form, check in ALSO if form.fullmatch(path)), None)


@pytest.mark.long
def test_a_thousand_flipped_bytes_are_found_with_the_right_reason(folder: Path, good: Files) -> None:
    chance, kinds = random.Random(SEED), {}
    for path in good:
        kinds.setdefault(kind_of(path), []).append(path)
    assert len(kinds) == 26
    for number in range(FLIPS):
        path = chance.choice(kinds[sorted(kinds)[number % len(kinds)]])
        raw = bytearray(good[path])
        raw[chance.randrange(len(raw))] ^= chance.randrange(1, 256)
        (folder / path).write_bytes(raw)
        found = verify.verify(str(folder), verify.Asked())
        (folder / path).write_bytes(good[path])
        reasons = {(check, where, reason) for check, where, reason in found.failures}
        assert reasons, path
        assert not found.proves
        if path != "tagmanifest-sha256.txt":
            assert (BY_HASH[0], path, BY_HASH[1]) in reasons, (path, reasons)
            assert {where for check, where, _ in reasons if check == "files"} <= {path, *named_in(bytes(raw), good[path])}
        also = also_fails(path)
        assert also is None or any(
            check == also and str(where).startswith(path.rpartition("/")[0]) for check, where, _ in reasons
        )


def named_in(changed: bytes, before: bytes) -> set[str]:
    """The files that a list of files names otherwise than before: they fail too, and the list itself may be no list any more."""
    return {line.partition("  ")[2] for one, other in ((changed, before), (before, changed))
            for line in set(one.decode("latin-1").split("\n")) - set(other.decode("latin-1").split("\n"))}  # fmt: skip


@pytest.mark.long
def test_a_flip_in_the_list_of_lists_gives_another_number_and_fails(folder: Path, good: Files) -> None:
    name, before = "tagmanifest-sha256.txt", verify.verify(str(folder), verify.Asked()).number
    for place in range(0, len(good[name]), 3):
        raw = bytearray(good[name])
        raw[place] ^= 1 << place % 8
        (folder / name).write_bytes(raw)
        found = verify.verify(str(folder), verify.Asked())
        assert not found.proven
        assert found.number != before


@pytest.mark.parametrize("name", ["README.txt", "data/members/EX/timeline.csv", "data/exhibits/EX-0000001/exhibit.json"])
def test_what_the_log_does_not_bind_is_bound_by_the_number(good: Files, tmp_path: Path, name: str) -> None:
    number = verify.verify(str(packets.write(good, tmp_path / "good")), verify.Asked()).number
    changed = packets.bagged(
        good | {name: good[name].replace(b"An", b"No", 1).replace(b"opened", b"closed").replace(b"Run", b"Ran")}
    )
    found = verify.verify(str(packets.write(changed, tmp_path / "changed")), verify.Asked(number=number))
    assert [check for check, _, _ in found.failures] == ["trust"]
    assert verify.verify(str(tmp_path / "changed"), verify.Asked()).proven
