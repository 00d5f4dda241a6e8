"""The file that proves an entry without any network: read, written, believed only with its log and its witnesses."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ledger.notes import Checkpoint, Kind, Note, NoteError, Signer, to_base64
from app.ledger.proofs import LogProof, check, read, write
from app.ledger.tree import ProofError, inclusion_ranges, leaf_hash, root_of

LEAVES = [leaf_hash(bytes([number])) for number in range(11)]
LOG = Signer("harmline.example/ledger/7", Kind.SIGNATURE, bytes(32))
FIRST = Signer("witness.example/1", Kind.COSIGNATURE, bytes(31) + b"\1")
SECOND = Signer("witness.example/2", Kind.COSIGNATURE, bytes(31) + b"\2")
CHECKPOINT = Checkpoint(LOG.key.name, len(LEAVES), root_of(LEAVES))
NOTE = Note(CHECKPOINT.text, (LOG.sign(CHECKPOINT.text), FIRST.sign(CHECKPOINT.text, 1_800_000_000)))


def proof_of(index: int, extra: bytes | None = None) -> LogProof:
    hashes = [root_of(LEAVES[start:end]) for start, end in inclusion_ranges(index, len(LEAVES))]
    return LogProof(index, tuple(hashes), bytes(NOTE), extra)


def test_the_file_is_the_one_of_the_specification() -> None:
    proof = proof_of(10, b"extra information")
    assert write(proof).decode() == (
        "c2sp.org/tlog-proof@v1\nextra ZXh0cmEgaW5mb3JtYXRpb24=\nindex 10\n"
        + "".join(f"{to_base64(one)}\n" for one in proof.hashes)
        + f"\n{NOTE}"
    )


@given(st.integers(0, 10), st.none() | st.binary(max_size=50))
def test_it_is_read_as_it_was_written_and_proves_its_leaf(index: int, extra: bytes | None) -> None:
    proof = proof_of(index, extra)
    assert read(write(proof)) == proof
    proven = check(read(write(proof)), LEAVES[index], [LOG.key], [FIRST.key, SECOND.key], quorum=1)
    assert (proven.checkpoint, proven.witnesses) == (CHECKPOINT, {FIRST.key: 1_800_000_000})


def test_a_log_of_one_entry_needs_no_hash() -> None:
    alone = Checkpoint(LOG.key.name, 1, LEAVES[0])
    proof = LogProof(0, (), bytes(Note(alone.text, (LOG.sign(alone.text),))))
    assert check(read(write(proof)), LEAVES[0], [LOG.key]).checkpoint == alone


def test_it_proves_nothing_else() -> None:
    proof = proof_of(3)
    with pytest.raises(ProofError, match="another root"):
        check(proof, LEAVES[4], [LOG.key])
    with pytest.raises(ProofError, match="another root"):
        check(replace(proof, index=2), LEAVES[3], [LOG.key])
    with pytest.raises(ProofError, match="no leaf 11"):
        check(replace(proof, index=11), LEAVES[3], [LOG.key])
    with pytest.raises(ProofError, match="should have"):
        check(replace(proof, hashes=proof.hashes[:-1]), LEAVES[3], [LOG.key])
    with pytest.raises(NoteError, match="another log"):
        check(proof, LEAVES[3], [replace(LOG.key, name="else.example")])
    with pytest.raises(NoteError, match="not signed"):
        check(proof, LEAVES[3], [replace(LOG.key, public=FIRST.key.public)])


def test_a_quorum_is_of_witnesses_that_are_trusted_and_each_counts_once() -> None:
    proof = proof_of(3)
    twin = Signer("witness.example/twin", Kind.COSIGNATURE, bytes(31) + b"\1")
    doubled = replace(proof, checkpoint=bytes(NOTE.with_lines([twin.sign(CHECKPOINT.text, 1_800_000_000)])))
    for shown, trusted, quorum in (
        (proof, [SECOND.key], 1),
        (proof, [FIRST.key, SECOND.key], 2),
        (proof, [], 1),
        (doubled, [FIRST.key, twin.key], 2),
        (proof, [LOG.key], 1),
    ):
        with pytest.raises(NoteError, match="are asked for"):
            check(shown, LEAVES[3], [LOG.key], trusted, quorum)


GOOD = write(proof_of(3, b"x"))
BAD = [
    GOOD.replace(b"v1", b"v2"),
    b"\n" + GOOD,
    GOOD.replace(b"index 3\n", b""),
    GOOD.replace(b"index 3", b"index 03"),
    GOOD.replace(b"index 3", b"index  3"),
    GOOD.replace(b"extra eA==", b"extra eA"),
    GOOD.replace(b"extra eA==", b"extra eA==\nextra eA=="),
    GOOD.replace(b"index 3", b"index 3\nshort="),
    GOOD.replace(b"index 3", b"index 3\n" + to_base64(bytes(31)).encode()),
    GOOD.replace(b"index 3", b"index 3" + f"\n{to_base64(bytes(32))}".encode() * 64),
    GOOD.replace(b"index 3", "index ３".encode()),
    GOOD.partition(b"\n\n")[0],
    GOOD.replace(b"\n", b"\r\n"),
    b"",
]


@pytest.mark.parametrize("raw", BAD, ids=range(len(BAD)))
def test_a_malformed_proof_is_refused(raw: bytes) -> None:
    with pytest.raises(NoteError):
        read(raw)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_no_changed_byte_goes_unseen(place: int, change: int) -> None:
    """But for `extra`, and the lines of witnesses who are not asked for: nothing vouches for those."""
    raw = bytearray(write(proof_of(3)))
    place %= raw.index("— witness".encode())
    raw[place] ^= change
    with pytest.raises((NoteError, ProofError)):
        check(read(bytes(raw)), LEAVES[3], [LOG.key])
