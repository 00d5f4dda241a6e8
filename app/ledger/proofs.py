"""A `.tlog-proof` (c2sp.org/tlog-proof@v1): one file that proves without any network that an entry is in a log. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.ledger.notes import (
    LARGEST_NOTE,
    Checkpoint,
    Key,
    Kind,
    NoteError,
    from_base64,
    hash_from,
    number_from,
    open_checkpoint,
    to_base64,
    verify,
)
from app.ledger.tree import verify_inclusion

HEADER = "c2sp.org/tlog-proof@v1"
MOST_HASHES = 63
"""A log of 2^63 leaves has no longer proof."""


@dataclass(frozen=True, slots=True)
class LogProof:
    """What the file holds. `hashes`: from the leaf's neighbour upwards; `checkpoint`: the signed note; `extra`: unproven."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None


def write(proof: LogProof) -> bytes:
    """The file's bytes."""
    extra = [] if proof.extra is None else [f"extra {to_base64(proof.extra)}"]
    lines = [HEADER, *extra, f"index {proof.index}", *map(to_base64, proof.hashes), ""]
    return "".join(f"{line}\n" for line in lines).encode() + proof.checkpoint


def read(raw: bytes) -> LogProof:
    """Read such a file; raises NoteError. Nothing in it may be believed before `check`."""
    head, gap, checkpoint = raw.partition(b"\n\n")
    if not gap or len(head) > LARGEST_NOTE:
        raise NoteError("a proof is not some lines, an empty line and a checkpoint")
    try:
        header, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise NoteError("a proof holds what is no ASCII") from None
    if header != HEADER:
        raise NoteError(f"a proof does not begin with {HEADER}")
    extra = from_base64(lines.pop(0).removeprefix("extra ")) if lines and lines[0].startswith("extra ") else None
    if not lines or not lines[0].startswith("index "):
        raise NoteError("a proof does not say which entry it is of")
    index, hashes = number_from(lines[0].removeprefix("index ")), tuple(map(hash_from, lines[1:]))
    if len(hashes) > MOST_HASHES:
        raise NoteError("a proof has more hashes than any log needs")
    return LogProof(index, hashes, checkpoint, extra)


@dataclass(frozen=True, slots=True)
class Proven:
    """What a proof showed: the checkpoint that the log signed, and which witnesses cosigned it (seconds since 1970)."""

    checkpoint: Checkpoint
    witnesses: dict[Key, int]


def check(proof: LogProof, leaf: bytes, log_keys: Sequence[Key], witnesses: Sequence[Key] = (), quorum: int = 0) -> Proven:
    """Check that the leaf with this hash is in the log of one of these keys, and at least `quorum` of the witnesses saw it.

    Raises NoteError or ProofError with the reason. A witness counts once, by its public key, under however many names.
    """
    checkpoint, note = open_checkpoint(proof.checkpoint, log_keys)
    verify_inclusion(leaf, proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    watching = [key for key in witnesses if key.kind is Kind.COSIGNATURE]
    seen = {key: seconds for key, seconds in verify(note, watching).items() if seconds is not None}
    if len({key.public for key in seen}) < quorum:
        raise NoteError(f"{len(seen)} of the trusted witnesses cosigned this checkpoint; {quorum} are asked for")
    return Proven(checkpoint, seen)
