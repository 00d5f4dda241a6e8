"""What a witness decides, without any network: the rules of c2sp.org/tlog-witness one by one, in their order."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ledger.notes import Checkpoint, Kind, Note, NoteError, Signer, to_base64
from app.ledger.tree import EMPTY_ROOT, consistency_ranges, leaf_hash, root_of
from app.ledger.witness import Witness, WitnessError
from app.ledger.witnessing import Offer, Outcome, judge, offer_of, read_request, write_request

ORIGIN = "harmline.example/ledger/7"
LOG = Signer(ORIGIN, Kind.SIGNATURE, bytes(32))
NEXT_KEY = Signer(ORIGIN, Kind.SIGNATURE, bytes(31) + b"\1")
STRANGER = Signer(ORIGIN, Kind.SIGNATURE, bytes(31) + b"\2")
ELSEWHERE = Signer("other.example/ledger/1", Kind.SIGNATURE, bytes(31) + b"\3")
KEYS = [LOG.key, NEXT_KEY.key]
LEAVES = [leaf_hash(bytes([number])) for number in range(64)]
FORKED = [*LEAVES[:3], leaf_hash(b"rewritten"), *LEAVES[4:]]


def checkpoint(size: int, leaves: list[bytes] = LEAVES, origin: str = ORIGIN) -> Checkpoint:
    return Checkpoint(origin, size, root_of(leaves[:size]))


def offered(old: int, new: int, leaves: list[bytes] = LEAVES, signer: Signer = LOG) -> Offer:
    shown = checkpoint(new, leaves, signer.key.name)
    hashes = [root_of(leaves[start:end]) for start, end in consistency_ranges(old, new)] if old <= new else []
    return offer_of(old, hashes, bytes(Note(shown.text, (signer.sign(shown.text),))))


def outcome(known: int | None, offer: Offer) -> Outcome:
    return judge(None if known is None else checkpoint(known), offer, KEYS).outcome


@given(st.integers(0, 64), st.integers(0, 64))
def test_growth_is_cosigned_and_shrinking_is_not(old: int, new: int) -> None:
    expected = Outcome.ROLLED_BACK if new < old else Outcome.SAME if new == old else Outcome.GROWN
    assert outcome(old, offered(old, new)) is expected
    assert outcome(None, offered(0, new)) is Outcome.GROWN


@given(st.integers(4, 64), st.integers(4, 64))
def test_a_rewritten_log_is_never_cosigned(old: int, new: int) -> None:
    for signer in (LOG, NEXT_KEY):
        found = outcome(old, offered(old, new, FORKED, signer))
        assert found is (Outcome.ROLLED_BACK if new < old else Outcome.FORKED if new == old else Outcome.UNPROVEN)


def test_each_refusal() -> None:
    assert outcome(5, offered(5, 9, signer=ELSEWHERE)) is Outcome.UNKNOWN_LOG
    assert outcome(5, offered(5, 9, signer=STRANGER)) is Outcome.UNSIGNED
    assert outcome(5, offered(4, 9)) is Outcome.OUT_OF_DATE
    assert outcome(None, offered(4, 9)) is Outcome.OUT_OF_DATE
    assert outcome(5, offered(0, 9)) is Outcome.OUT_OF_DATE
    assert outcome(5, offered(12, 9)) is Outcome.MALFORMED
    good = offered(5, 9)
    for hashes in (good.hashes[:-1], (*good.hashes, bytes(32)), (bytes(32), *good.hashes[1:]), ()):
        assert outcome(5, Offer(5, hashes, good.note, good.checkpoint)) is Outcome.UNPROVEN
    first, same = offered(0, 9), offered(9, 9)
    assert outcome(None, Offer(0, (bytes(32),), first.note, first.checkpoint)) is Outcome.UNPROVEN
    assert outcome(9, Offer(9, (bytes(32),), same.note, same.checkpoint)) is Outcome.UNPROVEN


def test_a_key_of_another_kind_or_name_is_none_of_the_log() -> None:
    witness = Signer(ORIGIN, Kind.COSIGNATURE, bytes(32))
    assert judge(None, offered(0, 3), [witness.key, ELSEWHERE.key]).outcome is Outcome.UNKNOWN_LOG


def test_an_empty_log_has_one_root() -> None:
    empty = Checkpoint(ORIGIN, 0, leaf_hash(b"not empty"))
    lie = offer_of(0, (), bytes(Note(empty.text, (LOG.sign(empty.text),))))
    assert judge(None, lie, KEYS).outcome is Outcome.UNPROVEN
    assert judge(Checkpoint(ORIGIN, 0, EMPTY_ROOT), lie, KEYS).outcome is Outcome.FORKED


@given(st.integers(0, 64), st.integers(0, 64))
def test_a_request_is_read_as_it_is_written(old: int, new: int) -> None:
    offer = offered(min(old, new), max(old, new))
    assert read_request(write_request(offer.old, offer.hashes, bytes(offer.note))) == offer


GOOD = write_request(5, offered(5, 9).hashes, bytes(offered(5, 9).note))
BAD = [
    b"",
    GOOD.replace(b"old 5", b"old 05"),
    GOOD.replace(b"old 5", b"old -5"),
    GOOD.replace(b"old 5", b"old"),
    GOOD.replace(b"old 5\n", b""),
    GOOD.replace(b"old 5", b"old 5\r"),
    GOOD.replace(b"old 5", "old ５".encode()),
    GOOD.replace(b"old 5", b"old 5\nnot base64"),
    GOOD.replace(b"old 5", b"old 5\n" + to_base64(bytes(33)).encode()),
    GOOD.replace(b"old 5", b"old 5" + f"\n{to_base64(bytes(32))}".encode() * 64),
    GOOD.replace(b"\n\n", b"\n", 1),
    GOOD.partition(b"\n\n")[0] + b"\n\n",
    GOOD[:-1],
    GOOD.replace(b"\n9\n", b"\n09\n"),
]


@pytest.mark.parametrize("raw", BAD, ids=range(len(BAD)))
def test_a_malformed_request_is_refused(raw: bytes) -> None:
    with pytest.raises(NoteError):
        read_request(raw)


def test_a_folder_that_was_meddled_with_cosigns_nothing(tmp_path: Path) -> None:
    witness = Witness(tmp_path, KEYS, "witness.example")
    assert witness.consider(offered(0, 5))[1]
    place = next(tmp_path.glob("*/newest.note")).parent
    kept = (place / "newest.note").read_bytes()
    (place / "newest.note").unlink()
    with pytest.raises(WitnessError, match="is gone"):
        witness.consider(offered(0, 5, FORKED))
    stranger = Witness(tmp_path / "stranger", KEYS, "witness.example")
    for content in (b"", kept.replace(b"\n5\n", b"\n4\n"), bytes(offered(0, 5).note), kept.partition(b"\n\n")[0]):
        (place / "newest.note").write_bytes(content)
        with pytest.raises(WitnessError, match="not as this witness left it"):
            witness.consider(offered(5, 6))
    assert stranger.consider(offered(0, 4))[1]
    (place / "newest.note").write_bytes(next((tmp_path / "stranger").glob("*/newest.note")).read_bytes())
    with pytest.raises(WitnessError, match="has not signed it"):
        witness.consider(offered(4, 6))
    (place / "newest.note").write_bytes(kept)
    assert witness.consider(offered(5, 6))[1]


@pytest.mark.parametrize("content", ["", "PRIVATE+KEY+", "PRIVATE+KEY+a+00000000+BA==\n", "PRIVATE+KEY+a+b\n"])
def test_a_key_file_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "witness.key").write_text(content)
    with pytest.raises(WitnessError, match="not a witness's key"):
        Witness(tmp_path, KEYS)


def test_a_witness_stays_who_it_is(tmp_path: Path) -> None:
    first = Witness(tmp_path, KEYS, "witness.example")
    assert Witness(tmp_path, KEYS).key == first.key
    with pytest.raises(WitnessError, match="is called witness"):
        Witness(tmp_path, KEYS, "another.example")
    assert (tmp_path / "witness.key").stat().st_mode & 0o077 == 0


def test_two_logs_are_two_memories_and_a_copy_lost_in_a_crash_comes_back(tmp_path: Path) -> None:
    witness = Witness(tmp_path, [*KEYS, ELSEWHERE.key], "witness.example")
    for offer in (offered(0, 5), offered(0, 7, FORKED, ELSEWHERE), offered(5, 9)):
        assert witness.consider(offer)[1]
    assert witness.known(ORIGIN) == checkpoint(9)
    assert witness.known(ELSEWHERE.key.name) == checkpoint(7, FORKED, ELSEWHERE.key.name)
    copies = sorted(tmp_path.glob("*/[0-9]*.note"))
    assert sorted(path.name for path in copies) == ["5.note", "7.note", "9.note"]
    lost = next(path for path in copies if path.name == "9.note")
    kept = lost.read_bytes()
    lost.unlink()
    witness.known(ORIGIN)
    assert lost.read_bytes() == kept
