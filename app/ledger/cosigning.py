"""Cosignatures of witnesses (c2sp.org/tlog-witness): what a witness is sent, and what its answer says. No I/O."""

from app.ledger.notes import Key, Kind, Note, NoteError, Signature, number_from, parse_key, parse_signature, verify

ADD = "/add-checkpoint"
SENT_AS = "text/plain"
KNOWN_SIZE = "text/x.tlog.size"
MOST_BYTES = 64 * 1024
"""Of one answer: some lines."""


class NotCosigned(Exception):
    """An answer without a good cosignature. The message is for the operator and holds nothing of the answer."""


def witness_key(name: str, vkey: str) -> Key:
    """The key of the witness with this name in the settings. Raises ValueError where it is no key of a witness."""
    try:
        key = parse_key(vkey)
    except NoteError as error:
        raise ValueError(f"HARMLINE_LEDGER_WITNESSES: {name}: {error}") from None
    if key.kind is not Kind.COSIGNATURE:
        raise ValueError(f"HARMLINE_LEDGER_WITNESSES: {name}: this is the key of a log, not of a witness")
    return key


def known_size(media_type: str, body: bytes) -> int:
    """The size that a witness says it knows, with a 409. Raises NotCosigned."""
    try:
        if media_type == KNOWN_SIZE and body.endswith(b"\n"):
            return number_from(body[:-1].decode("ascii"))
    except (NoteError, UnicodeDecodeError):
        pass
    raise NotCosigned("it refuses the checkpoint, and does not say which it knows")


def cosignature(note: Note, body: bytes, key: Key) -> Signature:
    """The witness's newest good cosignature of a note, among the lines of its answer. Raises NotCosigned.

    Lines of other keys are passed over: a witness may have several.
    """
    try:
        found = [one for line in body.decode().splitlines() if (one := parse_signature(line)).is_of(key)]
        times = {one: seconds for one in found if (seconds := verify(Note(note.text, (one,)), [key])[key]) is not None}
    except (NoteError, UnicodeDecodeError) as error:
        reason = str(error) if isinstance(error, NoteError) else "it is no text"
    else:
        if times:
            return max(times, key=lambda one: times[one])
        reason = "it holds no cosignature by the key that we know it by"
    raise NotCosigned(reason)
