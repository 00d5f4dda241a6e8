"""Notes, checkpoints and cosignatures: what others signed is read, what we sign is what they write, the rest is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ledger import notes
from app.ledger.notes import Checkpoint, Key, Kind, NoteError, Signer, parse_checkpoint, parse_key, parse_note, verify

# golang.org/x/mod/sumdb/note, note_test.go (BSD-3-Clause)
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SEED = notes.from_base64("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PETER_LINE = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
ENOCH_LINE = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
# a real checkpoint of a public log with a real cosignature of a public witness (July 2026)
WITNESS = "witness.navigli.sunlight.geomys.org+a3e00fe2+BNy/co4C1Hn1p+INwJrfUlgz7W55dSZReusH/GhUhJ/G"
COSIGNED = """coachandhorses2026h1.staging.certificate.transparency.goog
185550722
YXAM0VmnrfvLaBCOOYSJhCaE5F10oGBOo+hkbDa1kng=

— coachandhorses2026h1.staging.certificate.transparency.goog \
MpXgsHy8ZwxXnO+WjtVrPxAzL49Rs1gWTkNVNeEa//5peAzaocRCB3qt3EaibjzY5GILLtGgBP7dBhgcSHy+JQh0OAc=
— witness.navigli.sunlight.geomys.org \
o+AP4gAAAABqb7DzNrGFRJnQ9vrJ8xpnwZytnr/ZYczDIsvwvouiSjwOjn7a72ccxBk+lKnZ7dKqkYKER1s/KxLTaVwQD7lJZTC/CQ==
"""
# the examples in c2sp.org/signed-note and tlog-cosignature
POEM = """Ognuno sta solo sul cuor della terra
trafitto da un raggio di sole:

ed è subito sera.

— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=
"""
SOFA = Checkpoint("example.com/behind-the-sofa", 20852163, notes.hash_from("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="))
LOG = Signer(SOFA.origin, Kind.SIGNATURE, bytes(32))
OTHER = Signer(SOFA.origin, Kind.SIGNATURE, bytes(31) + b"\1")
WATCHER = Signer("witness.example/w1", Kind.COSIGNATURE, bytes(31) + b"\2")
SIGNED = notes.Note(SOFA.text, (LOG.sign(SOFA.text),))


def test_what_go_signed_is_verified_and_what_we_sign_is_the_same() -> None:
    note = parse_note(f"{TEXT}\n{PETER_LINE}{ENOCH_LINE}".encode())
    peter, enoch = parse_key(PETER), parse_key(ENOCH)
    assert verify(note, [peter]) == {peter: None}
    assert verify(note, [peter, enoch]) == {peter: None, enoch: None}
    signer = Signer("PeterNeumann", Kind.SIGNATURE, PETER_SEED)
    assert (str(signer.key), signer.sign(TEXT).line) == (PETER, PETER_LINE)


def test_a_public_witness_is_understood() -> None:
    witness = parse_key(WITNESS)
    note = parse_note(COSIGNED.encode())
    assert verify(note, [witness]) == {witness: 0x6A6FB0F3}
    assert parse_checkpoint(note.text).size == 185550722
    with pytest.raises(NoteError, match=r"navigli.* is wrong"):
        verify(parse_note(COSIGNED.replace("185550722", "185550723").encode()), [witness])


def test_the_last_empty_line_ends_the_text() -> None:
    note = parse_note(POEM.encode())
    assert note.text.endswith("\n\ned è subito sera.\n")
    assert bytes(note) == POEM.encode()


def test_the_message_of_a_cosignature_is_that_of_the_specification() -> None:
    line = WATCHER.sign(SOFA.text, 1679315147)
    assert len(line.raw) == 72
    assert line.raw[:8].hex() == "00000000641850cb"
    message = f"cosignature/v1\ntime 1679315147\n{SOFA.text}"
    as_log = Signer(WATCHER.key.name, Kind.SIGNATURE, bytes(31) + b"\2")
    assert as_log.sign(message).raw == line.raw[8:]
    assert as_log.key.id != WATCHER.key.id


def test_a_checkpoint_is_opened_by_the_key_of_its_origin_alone() -> None:
    cosigned = SIGNED.with_lines([WATCHER.sign(SOFA.text, 5), WATCHER.sign(SOFA.text, 9), LOG.sign(SOFA.text)])
    assert notes.open_checkpoint(bytes(cosigned), [OTHER.key, LOG.key]) == (SOFA, cosigned)
    assert len(cosigned.signatures) == 3
    assert verify(cosigned, [WATCHER.key, LOG.key, OTHER.key]) == {WATCHER.key: 9, LOG.key: None}
    elsewhere = Signer("example.com/elsewhere", Kind.SIGNATURE, bytes(32))
    with pytest.raises(NoteError, match="another log"):
        notes.open_checkpoint(bytes(notes.Note(SOFA.text, (elsewhere.sign(SOFA.text),))), [elsewhere.key])
    with pytest.raises(NoteError, match="not signed"):
        notes.open_checkpoint(bytes(SIGNED), [OTHER.key])
    as_witness = Signer(SOFA.origin, Kind.COSIGNATURE, bytes(32))
    with pytest.raises(NoteError, match="another log"):
        notes.open_checkpoint(bytes(notes.Note(SOFA.text, (as_witness.sign(SOFA.text),))), [as_witness.key])


def test_a_wrong_signature_of_a_known_key_spoils_the_note_wherever_it_stands() -> None:
    raw = bytearray(LOG.sign(SOFA.text).raw)
    raw[5] ^= 1
    false = notes.Signature(SOFA.origin, LOG.key.id, bytes(raw))
    for lines in ((false,), (LOG.sign(SOFA.text), false), (false, LOG.sign(SOFA.text))):
        with pytest.raises(NoteError, match="is wrong"):
            verify(notes.Note(SOFA.text, lines), [LOG.key])
    assert verify(notes.Note(SOFA.text, (false, OTHER.sign(SOFA.text))), [OTHER.key]) == {OTHER.key: None}


def test_a_signature_of_one_kind_is_none_of_another() -> None:
    short = notes.Signature(WATCHER.key.name, WATCHER.key.id, WATCHER.sign(SOFA.text, 5).raw[8:])
    late = notes.Signature(WATCHER.key.name, WATCHER.key.id, b"\xff" * 8 + WATCHER.sign(SOFA.text, 5).raw[8:])
    for line in (short, late):
        with pytest.raises(NoteError, match="as long as"):
            verify(notes.Note(SOFA.text, (line,)), [WATCHER.key])
    back_dated = notes.Signature(WATCHER.key.name, WATCHER.key.id, bytes(8) + WATCHER.sign(SOFA.text, 5).raw[8:])
    with pytest.raises(NoteError, match="is wrong"):
        verify(notes.Note(SOFA.text, (back_dated,)), [WATCHER.key])


BAD_NOTES = [
    TEXT.encode(),
    f"{TEXT}\n".encode(),
    f"{TEXT}{PETER_LINE}".encode(),
    f"{TEXT}\n{PETER_LINE[:-1]}".encode(),
    f"\x01{TEXT}\n{PETER_LINE}".encode(),
    f"{TEXT}\r\n\n{PETER_LINE}".encode(),
    b"\xff" + f"{TEXT}\n{PETER_LINE}".encode(),
    f"{TEXT}\n{PETER_LINE.replace('Neumann', ' Neumann')}".encode(),
    f"{TEXT}\n{PETER_LINE.replace('Neumann', '+Neumann')}".encode(),
    f"{TEXT}\n{PETER_LINE.replace('Neumann', chr(0x2003))}".encode(),
    f"{TEXT}\n{PETER_LINE.replace('PeterNeumann', '')}".encode(),
    f"{TEXT}\n{PETER_LINE}Unexpected line.\n".encode(),
    f"{TEXT}\n{PETER_LINE.replace('—', '-')}".encode(),
    f"{TEXT}\n{PETER_LINE.replace('AM=', 'AN=')}".encode(),
    f"{TEXT}\n{PETER_LINE.replace('AM=', 'AM')}".encode(),
    f"{TEXT}\n{PETER_LINE.replace('AM=', 'AM==')}".encode(),
    f"{TEXT}\n{PETER_LINE.replace('x08', 'é08')}".encode(),
    f"{TEXT}\n— PeterNeumann x08goA==\n".encode(),
    f"{TEXT}\n{PETER_LINE * 101}".encode(),
    b"a" * 1_000_000 + f"\n\n{PETER_LINE}".encode(),
    b"",
]


@pytest.mark.parametrize("raw", BAD_NOTES, ids=range(len(BAD_NOTES)))
def test_a_malformed_note_is_refused(raw: bytes) -> None:
    with pytest.raises(NoteError):
        parse_note(raw)
    assert parse_note(f"{TEXT}\n{PETER_LINE * 100}".encode())


@given(st.binary(max_size=200) | st.text(st.sampled_from("a \n—+=A\x01é"), max_size=60).map(str.encode))
def test_any_bytes_are_a_note_that_is_written_as_it_was_read_or_are_refused(raw: bytes) -> None:
    try:
        note = parse_note(raw)
    except NoteError:
        return
    assert bytes(note) == raw


BAD_KEYS = [
    "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
    "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    PETER.replace("c74f20a3", "C74F20A3"),
    PETER.replace("c74f20a3", "c74f20a4"),
    PETER.replace("PeterNeumann", "Peter Neumann"),
    PETER.replace("PeterNeumann", "PeterN\ud800umann"),
    "PeterNeumann+c74f20a3",
    "PeterNeumann+c74f20a3+",
    "",
    f"{PETER}\n",
]


@pytest.mark.parametrize("vkey", BAD_KEYS, ids=range(len(BAD_KEYS)))
def test_a_malformed_key_is_refused(vkey: str) -> None:
    with pytest.raises(NoteError):
        parse_key(vkey)


def test_no_part_of_a_key_and_no_changed_letter_of_it_is_a_key() -> None:
    for start in range(len(PETER)):
        for end in range(start, len(PETER) + 1):
            if (start, end) != (0, len(PETER)):
                with pytest.raises(NoteError):
                    parse_key(PETER[start:end])
    for place, letter in enumerate(PETER):
        with pytest.raises(NoteError):
            parse_key(PETER[:place] + chr(ord(letter) + 1) + PETER[place + 1 :])


@given(st.binary(min_size=32, max_size=32), st.sampled_from(Kind))
def test_a_key_is_read_as_it_is_written(seed: bytes, kind: Kind) -> None:
    key = Signer("log.example/ledger/7", kind, seed).key
    assert parse_key(str(key)) == key


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u00a0b"])
def test_a_name_with_a_space_or_plus_signs_nothing(name: str) -> None:
    with pytest.raises(NoteError):
        Signer(name, Kind.SIGNATURE, bytes(32))


BAD_CHECKPOINTS = [
    "",
    "origin\n",
    "origin\n5\n",
    SOFA.text[:-1],
    SOFA.text.replace("20852163", "020852163"),
    SOFA.text.replace("20852163", "+20852163"),
    SOFA.text.replace("20852163", "-1"),
    SOFA.text.replace("20852163", "2_0"),
    SOFA.text.replace("20852163", "٣"),
    SOFA.text.replace("20852163", str(2**63)),
    SOFA.text.replace("20852163", "9" * 5000),
    SOFA.text.replace("20852163", ""),
    SOFA.text.replace("q2I=", ""),
    SOFA.text.replace("q2I=", "q2J="),
    SOFA.text.replace("CsUY", ""),
    f"\n{SOFA.text}",
    f"{SOFA.text}\n",
    f"{SOFA.text}\nmore\n",
]


@pytest.mark.parametrize("text", BAD_CHECKPOINTS, ids=range(len(BAD_CHECKPOINTS)))
def test_a_malformed_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        parse_checkpoint(text)


@given(st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32), st.lists(st.sampled_from(["x", "y z"]), max_size=2))
def test_a_checkpoint_is_read_as_it_is_written(size: int, root: bytes, extensions: list[str]) -> None:
    checkpoint = Checkpoint("a.example/ledger/0", size, root, tuple(extensions))
    assert parse_checkpoint(checkpoint.text) == checkpoint


def test_a_key_is_told_apart_by_its_kind() -> None:
    seed = bytes(32)
    log, witness = Signer("a", Kind.SIGNATURE, seed).key, Signer("a", Kind.COSIGNATURE, seed).key
    assert log != witness
    assert isinstance(log, Key)
    assert log.public == witness.public
