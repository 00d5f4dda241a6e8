"""What a witness decides when it is shown a checkpoint, and the request that shows it (c2sp.org/tlog-witness). No I/O.

A witness cosigns what continues the last checkpoint that it cosigned, and nothing else: so no log can show two histories, or
take entries back, without one of the two lacking the witness's name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.ledger.notes import (
    Checkpoint,
    Key,
    Kind,
    Note,
    NoteError,
    hash_from,
    number_from,
    parse_checkpoint,
    parse_note,
    to_base64,
    verify,
)
from app.ledger.proofs import MOST_HASHES
from app.ledger.tree import EMPTY_ROOT, ProofError, verify_consistency

LARGEST_OFFER = 256 * 1024
"""Bytes of a request: a checkpoint with more signatures than anybody needs."""

LONGEST_NAME = 200
"""Letters of a stranger's name that are told."""


class Outcome(StrEnum):
    """What became of an offered checkpoint. GROWN and SAME are cosigned, nothing else is."""

    GROWN = "grown"
    SAME = "same"
    UNKNOWN_LOG = "unknown log"
    UNSIGNED = "unsigned"
    MALFORMED = "malformed"
    OUT_OF_DATE = "out of date"
    ROLLED_BACK = "rolled back"
    FORKED = "forked"
    UNPROVEN = "unproven"


COSIGNED = frozenset({Outcome.GROWN, Outcome.SAME})
AGAINST = frozenset({Outcome.UNKNOWN_LOG, Outcome.UNSIGNED, Outcome.ROLLED_BACK, Outcome.FORKED, Outcome.UNPROVEN})
"""What speaks against a log that was asked itself. Of what others send, a fork alone does: the rest may be their own doing."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A checkpoint, and the proof (RFC 6962) that its log begins with the log as it was when it had `old` entries."""

    old: int
    hashes: tuple[bytes, ...]
    note: Note
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a witness decided. `size`: of the last checkpoint that it had cosigned, 0 for none; `reason`: in plain words."""

    outcome: Outcome
    size: int
    reason: str


def offer_of(old: int, hashes: Sequence[bytes], note: bytes) -> Offer:
    """Take a signed checkpoint's bytes apart; raises NoteError."""
    parsed = parse_note(note)
    return Offer(old, tuple(hashes), parsed, parse_checkpoint(parsed.text))


def proof_from(lines: Sequence[str]) -> tuple[bytes, ...]:
    """The hashes of a proof, one on each line; raises NoteError."""
    if len(lines) > MOST_HASHES:
        raise NoteError("a proof has more hashes than any log needs")
    return tuple(map(hash_from, lines))


def write_request(old: int, hashes: Sequence[bytes], note: bytes) -> bytes:
    """The body of an `add-checkpoint` request. `note`: the signed checkpoint."""
    return "".join(f"{line}\n" for line in (f"old {old}", *map(to_base64, hashes), "")).encode() + note


def read_request(raw: bytes) -> Offer:
    """Read the body of an `add-checkpoint` request; raises NoteError."""
    head, gap, note = raw.partition(b"\n\n")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise NoteError("the lines before the checkpoint are no ASCII") from None
    if not gap or not first.startswith("old "):
        raise NoteError("a request is an old size, a proof, an empty line and a checkpoint")
    return offer_of(number_from(first.removeprefix("old ")), proof_from(lines), note)


def judge(known: Checkpoint | None, offer: Offer, keys: Sequence[Key]) -> Verdict:
    """Decide on an offered checkpoint. `known`: the last one cosigned for this origin; `keys`: of the logs that are watched."""
    size = known.size if known else 0
    outcome, reason = _judge(known, size, offer, keys)
    return Verdict(outcome, size, reason)


def _judge(known: Checkpoint | None, size: int, offer: Offer, keys: Sequence[Key]) -> tuple[Outcome, str]:
    shown = offer.checkpoint
    own = keys_of(shown.origin, keys)
    if not own:
        return Outcome.UNKNOWN_LOG, f"no log of the name {shown.origin[:LONGEST_NAME]!a} is watched here"
    try:
        if not verify(offer.note, own):
            return Outcome.UNSIGNED, "none of this log's keys that are trusted here has signed the checkpoint"
    except NoteError as error:
        return Outcome.UNSIGNED, str(error)
    if offer.old > shown.size:
        if offer.old == size:
            return Outcome.ROLLED_BACK, f"the log had {size} entries and now says that it has {shown.size}"
        return Outcome.MALFORMED, "the old size is larger than the new one"
    if offer.old != size:
        return Outcome.OUT_OF_DATE, f"the last checkpoint cosigned had {size} entries, not {offer.old}"
    root = known.root if known else EMPTY_ROOT
    if known and shown.size == size and shown.root != root:
        return Outcome.FORKED, f"the log has shown two different histories of {size} entries"
    try:
        verify_consistency(size, root, shown.size, shown.root, offer.hashes)
    except ProofError as error:
        return Outcome.UNPROVEN, str(error)
    if known and shown.size == size:
        return Outcome.SAME, f"the log still has {size} entries"
    return Outcome.GROWN, f"the log has grown from {size} to {shown.size} entries"


def keys_of(origin: str, keys: Sequence[Key]) -> list[Key]:
    """Those of the keys by which this log signs: a key counts for the log of its name only."""
    return [key for key in keys if key.name == origin and key.kind is Kind.SIGNATURE]
