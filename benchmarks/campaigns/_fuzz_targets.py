"""What is fuzzed: every function that reads bytes of strangers, each with what it may do. Whatever else it does is a finding.

A target takes any bytes. It raises `Finding`, or whatever the code raised, when a promise is broken.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import rfc8785
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.connections.settings import checked
from app.damages.schemas import NewLoss
from app.intake.understanding import Unsplittable, identity_bytes, split, to_keep, understand
from app.kit.buckets import source_of
from app.kit.errors import Problem
from app.kit.pagination import decode_cursor, decode_id_cursor, encode_cursor
from app.ledger import notes, proofs, witnessing
from app.ledger.tree import EMPTY_ROOT
from app.members.roster import parsed, read_enrollments, read_roster
from app.web.forms import Posted, consent_of, loss_of, verdict_of
from benchmarks.campaigns import _fuzz_browsers, _fuzz_polled, _fuzz_servers, _fuzz_stored
from benchmarks.campaigns._fuzz_promises import Fuzzed, require
from connectors import claimed, strict_json
from connectors.answers import Body, patience, refusal, require_meaning
from connectors.asking import NotAllowed, ProviderError
from connectors.contract import Connector, Malformed, RawEvent, storable
from connectors.egress import base_of
from connectors.registry import registry
from connectors.testing.cases import cases_of
from connectors.verifiers import (
    Basic,
    BearerList,
    HmacSha256,
    Outcome,
    Secret,
    StampedHmacSha256,
    StandardWebhooks,
    StaticHeader,
    Verifier,
)
from connectors.verifiers_mail import LEAST_RSA_BITS, SIGNED, SignedForm, SignedP256, SnsMessage

NOW = datetime(2026, 3, 2, 16, tzinfo=UTC)
LOG = notes.Signer("log.example/ledger/1", notes.Kind.SIGNATURE, bytes(32))
FOLDERS = Path(__file__).parents[2] / "connectors"


def connector(one: Connector) -> Fuzzed:
    """Split and normalise, behind what the core puts around them: nothing may fail, and all that comes of it can be kept."""
    cases = cases_of(one, FOLDERS / one.name)
    asked = [dict(text) for text in sorted({tuple(sorted(case.asked.items())) for case in cases})]
    seeds = tuple(bytes([asked.index(dict(case.asked))]) + case.body for case in cases)

    def run(data: bytes) -> None:
        question = asked[data[0] % len(asked)] if data else {}
        try:
            events = split(one, data[1:], question)
        except Unsplittable as error:
            require(not str(error).startswith("connector failed"), f"split: {error}")
            require(storable(str(error)), "a path that cannot be kept")
            return
        for event in events:
            meaning = understand(one, event)
            require(not (meaning.reason or "").startswith("connector failed"), f"normalise: {meaning.reason}")
            require(storable(meaning.path or "") and len(meaning.path or "") <= 200, "a path that cannot be kept")
            rfc8785.dumps(to_keep(event, meaning)) if isinstance(event, RawEvent) else None
            if meaning.alert is not None:
                identity_bytes(bytes(16), meaning.alert.identity)

    return Fuzzed(run, seeds)


def read_json(data: bytes) -> None:
    """Nothing but Malformed; what is read without a flaw is what any other reader reads, and has one canonical form."""
    try:
        tree = strict_json.parse(data)
    except Malformed:
        return
    if not strict_json.flawed(tree):
        require(repr(tree) == repr(json.loads(data)), "read otherwise than by another reader")
        rfc8785.dumps(tree)


TOPIC = "arn:aws:sns:us-east-1:123456789012:mails"


def _public(key: Any) -> str:
    """A public key as its owner shows it. Nobody keeps the other half."""
    return base64.b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


VERIFIERS: tuple[tuple[Verifier, tuple[str, ...]], ...] = (
    (StandardWebhooks(), ("whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=", "whpk_" + "A" * 42 + "E=")),
    (HmacSha256("x-signature"), ("k" * 32,)),
    (HmacSha256("x-signature", "x-timestamp", prefix="sha256=", encoding="base64"), ("k" * 32,)),
    (StampedHmacSha256("stripe-signature"), ("k" * 32, "j" * 32)),
    (Basic(), ("user:" + "p" * 32,)),
    (BearerList(), ("t" * 32, "u" * 32)),
    (StaticHeader("x-secret"), ("s" * 32,)),
    (SignedForm("the key"), ("k" * 32,)),
    (SignedP256("x-signature", "x-timestamp", "the key"), (_public(ec.generate_private_key(ec.SECP256R1())),)),
    (SnsMessage("the topic"), (f"{TOPIC} {_public(rsa.generate_private_key(65537, LEAST_RSA_BITS))}",)),
)


def verify(data: bytes) -> None:
    """One line a header in any order, then the body. Never raises, and nobody guesses a secret."""
    verifier, values = VERIFIERS[(data[0] if data else 0) % len(VERIFIERS)]
    head, _, body = data[1:].partition(b"\n\n")
    pairs = [line.partition(b": ") for line in head.split(b"\n")]
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, _, value in pairs}
    found = verifier.check(body, headers, [Secret("k", value) for value in values], NOW)
    require(found.outcome is Outcome.REFUSED, f"{verifier.scheme} took it")
    wild = Secret("k", data.decode("utf-8", "surrogateescape"))
    if verifier.usable(wild):
        verifier.check(body, headers, [wild], NOW)


def verifying() -> Fuzzed:
    """Headers of every scheme, nearly right."""
    stamp = str(int(NOW.timestamp()))
    heads = (
        f"webhook-id: m\nwebhook-timestamp: {stamp}\nwebhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4= v1a,AA==",
        "x-signature: " + "ab" * 32,
        f"x-signature: sha256=K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=\nx-timestamp: {stamp}",
        f"stripe-signature: t={stamp},v1={'ab' * 32},v0=x",
        "authorization: Basic dXNlcjpwYXNz",
        "authorization: Bearer ttt",
        "x-secret: sss",
    )
    seeds = [head.encode() + b'\n\n{"a": 1}' for head in heads]
    seeds.append(b"\n\n" + urlencode({"timestamp": stamp, "token": "t" * 50, "signature": "ab" * 32}).encode())
    seeds.append(
        f"x-signature: {base64.b64encode(bytes.fromhex('3006020101020101')).decode()}\nx-timestamp: {stamp}\n\n".encode()
    )
    told = dict.fromkeys(SIGNED["Notification"], "x") | {"Type": "Notification", "TopicArn": TOPIC, "SignatureVersion": "2"}
    signed = {"Signature": "AA==", "SigningCertURL": "https://sns.us-east-1.amazonaws.com/a.pem", "Timestamp": NOW.isoformat()}
    seeds.append(b"\n\n" + json.dumps(told | signed).encode())
    return Fuzzed(verify, tuple(bytes([n]) + seed for n, seed in enumerate(seeds)))


def read_answer(data: bytes) -> None:
    """Retry-After, the body in pieces, packed or not, and what it means: a wait within a day, a body in bounds, or an error."""
    head, _, rest = data.partition(b"\n\n")
    texts = [line.decode("latin-1") for line in head.split(b"\n")]
    retry, date, packing, kind = [*texts[:4], *[""] * (4 - len(texts[:4]))]
    waits = patience([retry], date or None, NOW)
    require(waits is None or 0 <= waits <= 86400, "a wait without bounds")
    status = 200 + len(rest) % 400
    refusal(status, waits, may_miss=True)
    with contextlib.suppress(ProviderError):
        body = Body([packing], wire=64 * 1024, inflated=256 * 1024)
        for start in range(0, len(rest), 7):
            body.feed(rest[start : start + 7])
        whole = body.whole()
        require(len(whole) <= 256 * 1024, "more than is allowed")
        require_meaning(200, kind, whole)


def answering() -> Fuzzed:
    """Answers as providers give them."""
    packed = bytes.fromhex("1f8b0800000000000003ab5632b43256aa0500f4a29c2c07000000")
    heads = (
        f"120\n{format_datetime(NOW, usegmt=True)}\n\napplication/json",
        f"{format_datetime(NOW, usegmt=True)}\n\ngzip\ntext/html",
    )
    return Fuzzed(read_answer, (heads[0].encode() + b'\n\n{"a": [1, 2.5e3, null]}', heads[1].encode() + b"\n\n" + packed))


def read_cursor(data: bytes) -> None:
    """A 422 Problem, or keys as they were given out."""
    text = data.decode("utf-8", "replace")
    for count in (1, 2, 3):
        with contextlib.suppress(Problem):
            keys = decode_cursor(text, count)
            require(len(keys) == count and decode_cursor(encode_cursor(*keys), count) == keys, "keys that do not come back")
    with contextlib.suppress(Problem):
        decode_id_cursor(text)


def _posted(text: str) -> Posted | None:
    try:
        return Posted(parse_qs(text, keep_blank_values=True, max_num_fields=600, errors="strict"))
    except ValueError:
        return None


def read_form(data: bytes) -> None:
    """What a browser posts, and a connector's settings: a Problem, or a draft that says what to mend."""
    posted = _posted(data.decode("ascii", "ignore"))
    if posted is None:
        return
    loss, draft = loss_of(posted)
    require(isinstance(loss, NewLoss) or bool(draft.errors), "neither a loss nor what is wrong with it")
    for reads in (verdict_of, consent_of):
        with contextlib.suppress(Problem):
            reads(posted)
    for one in registry().values():
        with contextlib.suppress(Problem):
            checked(one, {name: posted.text(name) for name in posted.names()})


def read_table(data: bytes) -> None:
    """A roster or an enrollment file: entries, and each bad row with its line."""
    text = data.decode("utf-8", "replace")
    for reads in (read_roster, read_enrollments):
        entries, problems = parsed(text, reads)  # type: ignore[arg-type, var-annotated]
        require(all(problem.line > 0 for problem in problems), "a problem without a line")
        require(len(entries) <= text.count("\n") + text.count("\r") + 1, "more people than lines")


def read_claim(data: bytes) -> None:
    """When something happened: an interval in order, or ValueError. And an address to be asked: NotAllowed."""
    text = data.decode("utf-8", "replace")
    for reads in (claimed.interval, claimed.bureau_interval):
        with contextlib.suppress(ValueError):
            found = reads(text)
            require(found.earliest is not None and found.latest is not None and found.earliest <= found.latest, "no interval")
    with contextlib.suppress(NotAllowed):
        base_of(text)
    require(len(source_of(text)) <= 39, "no address of that length is one")


def read_log(data: bytes) -> None:
    """A signed note, a checkpoint, a key, a proof, what a witness is sent: NoteError, or what is written again as it was read."""
    for reads, written in ((notes.parse_note, bytes), (proofs.read, proofs.write)):
        with contextlib.suppress(notes.NoteError):
            require(written(reads(data)) == data, "what was read is written otherwise")  # type: ignore[operator, arg-type]
    with contextlib.suppress(notes.NoteError):
        offer = witnessing.read_request(data)
        require(witnessing.judge(None, offer, [LOG.key]).outcome in witnessing.Outcome, "no verdict")
    text = data.decode("utf-8", "replace")
    with contextlib.suppress(notes.NoteError):
        require(notes.parse_checkpoint(text).text == text, "another checkpoint than was read")
    with contextlib.suppress(notes.NoteError):
        require(str(notes.parse_key(text)) == text, "another key than was read")


def _log_seeds() -> Iterator[bytes]:
    checkpoint = notes.Checkpoint(LOG.key.name, 0, EMPTY_ROOT)
    note = bytes(notes.Note(checkpoint.text, (LOG.sign(checkpoint.text),)))
    yield from (note, checkpoint.text.encode(), str(LOG.key).encode(), witnessing.write_request(0, (), note))
    yield proofs.write(proofs.LogProof(3, (bytes(32), bytes(32)), note))


def _json_seeds() -> Iterator[bytes]:
    for one in registry().values():
        yield from (case.body for case in cases_of(one, FOLDERS / one.name)[:3])
    yield from (b'{"a": 1, "\\u0061": 2}', b"[NaN, 1e400, -0, 0.1]", b'["\\ud800", "\\u0000"]', b"[" * 40 + b"]" * 40)


def _tables() -> Iterator[bytes]:
    out = io.StringIO()
    rows: list[list[Any]] = [
        ["external_id", "name", "email", "employed_from", "employed_to"],
        ["1", "A, B", "a@b.example", "2012-01-01", ""],
    ]
    csv.writer(out).writerows(rows)
    yield out.getvalue().encode()
    yield b"external_id,reference,consent\n1,ref,yes\n"


def targets() -> dict[str, Fuzzed]:
    """Every target by name."""
    form = urlencode({"head": "time", "amount": "$1,200.50", "incurred_on": "2023-03-30", "given": "yes", "answer": "not_me"})
    claims = (
        b"2026-03-02T10:11:12-05:00",
        b"2026-03-02",
        b"03/02/2026",
        b"20260302",
        b"https://api.example.com/v1",
        b"2001:db8::1",
    )
    return {
        **{f"connector_{name}": connector(one) for name, one in sorted(registry().items())},
        "strict_json": Fuzzed(read_json, tuple(_json_seeds())),
        "verifiers": verifying(),
        "answers": answering(),
        "cursors": Fuzzed(read_cursor, (encode_cursor("a").encode(), encode_cursor("0" * 32).encode(), b"WyJhIiwgImIiXQ")),
        "forms": Fuzzed(read_form, (form.encode(),)),
        "tables": Fuzzed(read_table, tuple(_tables())),
        "claims": Fuzzed(read_claim, claims),
        "log": Fuzzed(read_log, tuple(_log_seeds())),
        "polled": _fuzz_polled.polled(),
        **_fuzz_servers.targets(),
        **_fuzz_browsers.targets(),
        **_fuzz_stored.targets(),
    }
