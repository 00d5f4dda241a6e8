"""What comes back from where others had it: sealed bytes, backups, packets, timestamps; documents and texts that people write."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
import tempfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import rfc8785

from app.evidence.verifier import verify
from app.intake.confirmations import HOSTS, question_in
from app.kit import crypto, escrow
from app.kit.crypto import Unreadable
from app.kit.errors import Problem
from app.kit.keyring import Keyring
from app.kit.slot import Slot, SlotKey
from app.ledger import notes, proofs, timestamping
from app.ledger.tree import EMPTY_ROOT
from app.timeline import masking
from app.upkeep import journal, manifest
from benchmarks.campaigns._fuzz_promises import Finding, Fuzzed, finished, require
from connectors.contract import Malformed, storable
from connectors.file.columns import columns_of
from connectors.file.glimpse import glimpse
from connectors.mail import rules
from connectors.verifiers import Grade

NOW = datetime(2026, 3, 2, tzinfo=UTC)
KEY, WHERE = bytes(range(32)), crypto.place("receipt", "key", "1")
SEALED = (crypto.Sealer(KEY), crypto.Sealer(KEY, 3), crypto.Sealer(KEY, 3, crypto.FOR_DOOR))
SLOT = SlotKey(KEY)
PLAINTEXT = b"what was sealed"
RING = Keyring(KEY)
LOG = notes.Signer("log.example/ledger/1", notes.Kind.SIGNATURE, bytes(32))
LOG_KEY = verify.parse_key(str(LOG.key), verify.LOG_KEY)


def read_sealed(data: bytes) -> None:
    """Unreadable, or what was sealed there, as it was; a version; a key out of its shares, or EscrowError."""
    for opens in (*SEALED, SLOT):
        with contextlib.suppress(Unreadable):
            require(opens.unseal(data, WHERE) == PLAINTEXT, "what nobody sealed")
    with contextlib.suppress(Unreadable):
        begins = crypto.header_of(data)
        require(data.startswith(begins) and 0 <= crypto.version_of(data) < 2**16, "a version that does not stand there")
    with contextlib.suppress(escrow.EscrowError):
        require(escrow.key_of(data.decode("utf-8", "replace").splitlines()) == KEY, "a key of nobody's")


def sealed() -> Fuzzed:
    """Sealed in every form, at the right place; and two shares of three."""
    forms = [one.seal(PLAINTEXT, WHERE) for one in SEALED]
    shares = escrow.shares_of(KEY, 3, 2)
    return Fuzzed(
        read_sealed, (*forms, Slot(SLOT.public, 3).put(PLAINTEXT, WHERE), "\n".join(shares[:2]).encode(), shares[0].encode())
    )


@cache
def _place() -> tempfile.TemporaryDirectory[str]:
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(prefix="harmline-fuzz-", dir=memory if memory.is_dir() else None)


def _folder() -> Path:
    """Where a backup lies, in memory where the system has such a place: it is written a million times."""
    return Path(_place().name)


def read_backup(data: bytes) -> None:
    """A backup's description: a Problem, or the one that we wrote. The list of what stays erased: JournalBroken, or records."""
    folder = _folder()
    (folder / manifest.NAME).write_bytes(data)
    with contextlib.suppress(Problem):
        require(finished(manifest.read_manifest(folder, RING)) == _manifest(), "a description that nobody wrote")
    with contextlib.suppress(journal.JournalBroken):
        journal.Journal(folder / manifest.NAME).read()


def _manifest() -> manifest.Manifest:
    ledger = manifest.LedgerEnd(entries=1, last="1", commitment="00")
    census = manifest.Census(tables={"receipt": 3}, accounts={"o": {"in": 3}}, ledger=ledger)
    return manifest.Manifest(
        made_at=NOW,
        kind="sqlite",
        schema_revision="r",
        key=manifest.fingerprint(RING),
        files={"data.db": "ab" * 32},
        census=census,
    )


def _erasure(number: int) -> journal.Record:
    told = {"what": "member", "count": number, "reason": "asked", "subjects": {"member": "1"}, "at": NOW}
    return journal.Record(id=UUID(int=number), organization_id=None, actor_id=None, actor_role=None, **told)  # type: ignore[arg-type]


def backups() -> Fuzzed:
    """A description, and a list of two erasures."""
    folder, listed = _folder(), _folder() / "erasures"
    finished(manifest.write_manifest(folder, _manifest(), RING))
    listed.unlink(missing_ok=True)
    journal.Journal(listed).add([_erasure(1), _erasure(2)])
    return Fuzzed(read_backup, ((folder / manifest.NAME).read_bytes(), listed.read_bytes()))


STAMPED_TEXT = "log.example/ledger/1\n0\nroot\n"
STAMPED = base64.b64decode(
    """
    MIIDWzADAgEAMIIDUgYJKoZIhvcNAQcCoIIDQzCCAz8CAQMxDzANBglghkgBZQMEAgEFADB4BgsqhkiG9w0BCRABBKBpBGcwZQIBAQYJKwYBBAGDsgMBMDEw
    DQYJYIZIAWUDBAIBBQAEINNdqh8/U1LUyrceSQh5+LlZYTdX2EQCSQXQvBrCbSUJAgECGA8yMDI2MTEyODAyMzYwOVowAwIBAQIJAMb7R3EUJsRvoIIBZTCC
    AWEwggEHoAMCAQICFBa9ZgV8ek6b4qNJjZ+wkrGdRmMKMAoGCCqGSM49BAMCMBgxFjAUBgNVBAMMDUludmVudGVkIFJvb3QwIBcNMjYxMTI4MDEzNjA5WhgP
    MjEyNjExMDQwMjM2MDlaMB0xGzAZBgNVBAMMEkludmVudGVkIEF1dGhvcml0eTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABCi1Aswsr1KnLqjyRgSYtoD0
    lEgH+CO4YNN2oOEsZjIxhfzxjRlGj0A6Oz3W1J0g+2DwHwGjYkdQ4bhfbNZWznejKDAmMAwGA1UdEwEB/wQCMAAwFgYDVR0lAQH/BAwwCgYIKwYBBQUHAwgw
    CgYIKoZIzj0EAwIDSAAwRQIgacClKc2dE0rCUS5kI/122wyjg6FwLlnzRDpPLgSjQn0CIQCzCLTLyGdDW1Mtvumq7f99xV7OHmiI7MdqEqxa1GHLaDGCAUQw
    ggFAAgEBMDAwGDEWMBQGA1UEAwwNSW52ZW50ZWQgUm9vdAIUFr1mBXx6Tpvio0mNn7CSsZ1GYwowDQYJYIZIAWUDBAIBBQCggaQwGgYJKoZIhvcNAQkDMQ0G
    CyqGSIb3DQEJEAEEMBwGCSqGSIb3DQEJBTEPFw0yNjExMjgwMjM2MDlaMC8GCSqGSIb3DQEJBDEiBCAqHUFIPC8d/H79vhLsxqqoDTAE9g8IcIr7uhHYglHj
    4jA3BgsqhkiG9w0BCRACLzEoMCYwJDAiBCAZffN5EQkJRv5RudZ3bZGpYz6QKcSjvqbxbZV5jdypBTAKBggqhkjOPQQDAgRHMEUCIH3ItSvtdnLD/Qoz9h6T
    hhm9FkYzyYcFyCXpB7hv3MC7AiEA8JDCz7m5PenJnN4EcHJBtVOw5e6rgC7irz3Ph2OXQqQ=
    """
)
"""The answer of an invented authority, which `openssl ts` gave for this text."""


def read_stamp(data: bytes) -> None:
    """What an authority of time answers: NotStamped, or a moment, which the verifier of packets reads likewise if at all."""
    with contextlib.suppress(timestamping.NotStamped):
        at = timestamping.stamped_at(data)
        require(at.tzinfo is UTC, "a moment of no place")
    require(timestamping.is_over(data, STAMPED_TEXT.encode()) in (True, False), "no answer")
    with contextlib.suppress(timestamping.NotStamped):
        timestamping.verified(timestamping.query(STAMPED_TEXT), STAMPED_TEXT, data, [], NOW)
        raise Finding("stamped by nobody")
    with contextlib.suppress(verify.Refused):
        imprint, read = verify.parse_timestamp(data)
        require(imprint in data and read.tzinfo is not None, "a moment of no place")


def read_packet(data: bytes) -> None:
    """The files of a packet, by the program that comes with it: Refused, or what is written again as it was read."""
    text = data.decode("utf-8", "replace")
    for reads in (verify.parse_proof, verify.parse_growth, verify.parse_manifest):
        with contextlib.suppress(verify.Refused):
            reads(data)
    for kind in (verify.LOG_KEY, verify.WITNESS_KEY):
        with contextlib.suppress(verify.Refused):
            key = verify.parse_key(text, kind)
            verify.signed_by(verify.parse_checkpoint(data), key)
    with contextlib.suppress(verify.Refused):
        require(verify.signed_by(verify.parse_checkpoint(data), LOG_KEY) in (None, 0), "a log that is a witness")
    with contextlib.suppress(verify.Refused):
        tree = verify.load(data)
        written = verify.canonical(tree)
        require(verify.load_canonical(written) == tree and written == rfc8785.dumps(tree), "another canonical form")
        verify.parse_packet(tree)
    require(storable(verify.plain(text).replace("\n", "")), "what a terminal would obey")


def read_document(data: bytes) -> None:
    """What an admin writes for a connection to read by: ValueError, or what it means. And a file that is looked at: Malformed."""
    text = data.decode("utf-8", "replace")
    with contextlib.suppress(ValueError):
        require(bool(columns_of({"columns": text}).needed), "columns of nobody")
    with contextlib.suppress(ValueError):
        rules.read_rules({"own": text})
    with contextlib.suppress(Malformed):
        seen = glimpse(io.BytesIO(data))
        require(all(map(storable, seen.columns)) and seen.words.keys() <= set(seen.columns), "columns that cannot be kept")


def documents() -> Fuzzed:
    """Columns, the shipped rules, tags of YAML, and a file."""
    columns = b"member: M\nkind: {column: Type, words: {New: new_account.credit_card}}\nopened: {column: O, written: YYYYMMDD}\n"
    tagged = b"&a member: !!str x\nkind: !!bool y\nid: !!int 0x1\nopened: !!timestamp 2026-03-02\n<<: *a\n"
    shipped = [text.encode() for text in list(rules.shipped().values())[:4]]
    return Fuzzed(read_document, (columns, tagged, *shipped, b"Member;ID;Type\r\n1;2;New\r\n", b'{"member": "1", "id": 2}\n'))


def read_text(data: bytes) -> None:
    """A text in the original: no long number shows in it. And a link that is offered leads to one of the hosts that are known."""
    text = data.decode("utf-8", "replace")
    for masks in (masking.mask_text, masking.mask_letter):
        shown = masks(text)
        require(re.search(r"(?<![0-9.:,/-])[0-9]{8,}(?![0-9.:,/-])", shown) is None, "a long number shows")
    mail: Any = SimpleNamespace(received_at=NOW, grade=Grade.THIRD_PARTY)
    link = question_in(text, mail).link
    require(link is None or link.startswith(tuple(f"https://{host}/" for host in HOSTS)), "a link into elsewhere")
    with contextlib.suppress(ValueError, RecursionError):
        tree = json.loads(data)
        with contextlib.suppress(RecursionError):
            json.dumps(masking.mask(tree))


def targets() -> dict[str, Fuzzed]:
    """These targets by name."""
    checkpoint = notes.Checkpoint(LOG.key.name, 0, EMPTY_ROOT)
    note = bytes(notes.Note(checkpoint.text, (LOG.sign(checkpoint.text),)))
    proof = proofs.write(proofs.LogProof(3, (bytes(32), bytes(32)), note))
    packet = b'{"a":[1,-0.5,1e+21,"\xc3\xa9"],"b":{"c":null,"d":true}}'
    lists = b"ab" * 32 + b"  data/packet.json\n" + b"cd" * 32 + b"  bagit.txt\n"
    texts = (
        b"Card 4111 1111 1111 1111 on 2026-03-02 for 1,200.50, see https://a.example/b?c=1 or a@b.example",
        b"https://mail.google.com/mail/vf-1",
        b'{"ssn": "123-45-6789", "n": 4111111111111111}',
    )
    return {
        "sealed": sealed(),
        "backups": backups(),
        "timestamps": Fuzzed(read_stamp, (STAMPED,)),
        "packets": Fuzzed(read_packet, (note, proof, str(LOG.key).encode(), packet, lists)),
        "documents": documents(),
        "texts": Fuzzed(read_text, texts),
    }
