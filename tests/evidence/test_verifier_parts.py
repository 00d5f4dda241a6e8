"""The verifier's own arithmetic agrees with the standards' vectors and with the libraries of the product."""

import base64
import hashlib
import json
import math
import random
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from app.evidence.verifier import verify
from app.ledger import tree
from app.ledger.service import commitment
from tests.evidence import packets
from tests.evidence.packets import Stamper

VECTORS = json.loads((Path(__file__).parent / "rfc8032.json").read_text())["vectors"]
ORDER = 2**252 + 27742317777372353535851937790883648493


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_signatures_of_rfc_8032(vector: dict[str, str]) -> None:
    public, message, signature = (bytes.fromhex(vector[name]) for name in ("public", "message", "signature"))
    assert verify.is_signed(public, message, signature)
    assert not verify.is_signed(public, message + b"!", signature)
    for place in (0, 31, 32, 63):
        broken = bytearray(signature)
        broken[place] ^= 1
        assert not verify.is_signed(public, message, bytes(broken))
    raised = int.from_bytes(signature[32:], "little") + ORDER
    assert not verify.is_signed(public, message, signature[:32] + raised.to_bytes(32, "little"))
    assert not verify.is_signed(public[:-1], message, signature)
    assert not verify.is_signed(public, message, signature[:-1])


def test_signatures_are_judged_as_the_library_judges_them() -> None:
    chance = random.Random(8032)
    for _ in range(150):
        key = Ed25519PrivateKey.from_private_bytes(chance.randbytes(32))
        message = chance.randbytes(chance.randrange(80))
        public, signature = bytearray(key.public_key().public_bytes_raw()), bytearray(key.sign(message))
        where = chance.choice((None, public, signature))
        if where is not None:
            where[chance.randrange(len(where))] ^= 1 << chance.randrange(8)
        try:
            Ed25519PublicKey.from_public_bytes(bytes(public)).verify(bytes(signature), message)
            accepted = True
        except InvalidSignature:
            accepted = False
        assert verify.is_signed(bytes(public), message, bytes(signature)) is accepted is (where is None)


def test_keys_that_are_no_point_are_refused() -> None:
    for encoded in (b"\x02" + b"\0" * 31, b"\xff" * 32, (2**255 - 19).to_bytes(32, "little"), b"\x01" + b"\0" * 30 + b"\x80"):
        assert not verify.is_signed(encoded, b"", b"\0" * 64)


def test_every_inclusion_proof_of_small_logs_verifies_and_no_other() -> None:
    leaves = [tree.leaf_hash(b"%d" % number) for number in range(34)]
    for size in range(1, 34):
        root = tree.root_of(leaves[:size])
        for index in range(size):
            hashes = [tree.root_of(leaves[start:end]) for start, end in tree.inclusion_ranges(index, size)]
            verify.check_inclusion(leaves[index], index, size, hashes, root)
            for other in ((index + 1) % size, size):
                if other != index:
                    refuses(verify.check_inclusion, leaves[index], other, size, hashes, root)
            refuses(verify.check_inclusion, leaves[index], index, size, [*hashes, root], root)
            refuses(verify.check_inclusion, leaves[33], index, size, hashes, root)
            if hashes:
                refuses(verify.check_inclusion, leaves[index], index, size, hashes[:-1], root)


def test_every_growth_of_small_logs_verifies_and_no_other() -> None:
    leaves = [tree.leaf_hash(b"%d" % number) for number in range(34)]
    roots = [tree.root_of(leaves[:size]) for size in range(35)]
    for new in range(35):
        for old in range(new + 1):
            hashes = [tree.root_of(leaves[start:end]) for start, end in tree.consistency_ranges(old, new)]
            verify.check_growth(old, roots[old], new, roots[new], hashes)
            refuses(verify.check_growth, old, b"\0" * 32, new, roots[new], hashes)
            refuses(verify.check_growth, old, roots[old], new, roots[new], [*hashes, roots[new]])
            if 0 < old < new:
                refuses(verify.check_growth, old, roots[old], new, b"\0" * 32, hashes)
                refuses(verify.check_growth, old, roots[old], new, roots[new], hashes[:-1])
                refuses(verify.check_growth, new, roots[new], old, roots[old], hashes)


def refuses(function: Any, *arguments: Any) -> None:
    with pytest.raises(verify.Refused):
        function(*arguments)


def test_canonical_json_is_the_librarys() -> None:
    chance = random.Random(8785)
    texts = ["", "a", "\u00e9", "\U0001f600", "\ufb33", '"\\\b\f\n\r\t\x01\x7f\u2028', "z" * 30]
    values: list[Any] = [None, True, False, 0, -1, 2**53 - 1, 1.5, 1e21, 1e-7, 333333333.33333329, 4.5e-5, 1.0, -0.0, 1e20]
    for _ in range(400):
        value: Any = chance.choice([*texts, *values])
        for _ in range(chance.randrange(4)):
            name, other = chance.sample(texts, 2)
            value = chance.choice(([value, chance.choice(values)], {name: value, other: chance.choice(values)}))
        written = rfc8785.dumps(value)
        assert verify.canonical(verify.load(json.dumps(value).encode())) == written
        assert verify.canonical(verify.load(written)) == written


def test_fractions_are_written_as_the_library_writes_them() -> None:
    chance = random.Random(754)
    for _ in range(3000):
        (value,) = struct.unpack("<d", chance.randbytes(8))
        for one in (value, chance.random(), float(chance.randrange(10**18)), chance.random() * 1e-6):
            if math.isfinite(one):
                assert verify.canonical(one) == rfc8785.dumps(one)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{", "no JSON"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b"NaN", "no number"),
        (b"1e999", "too large"),
        (b"9" * 5000, "too large"),
        (b'"\xff"', "no UTF-8"),
        (b"\xef\xbb\xbf{}", "no JSON"),
        (b"[" * 100 + b"]" * 100, "too deeply"),
        (b"[" * 200_000, "too deeply|no JSON"),
        (b'{"a":' * 100_000, "too deeply|no JSON"),
    ],
)
def test_json_that_means_two_things_is_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(verify.Refused, match=reason):
        verify.load(raw)


def test_half_a_character_has_no_canonical_form() -> None:
    with pytest.raises(verify.Refused, match="no text"):
        verify.canonical(verify.load(b'"\\ud800"'))


def test_a_statement_is_what_the_ledger_commits_to() -> None:
    log = packets.made_log()
    for index in (6, 7, 200):  # with and without a fraction of a second, with and without an actor
        salt, facts = log.openings[index]
        entry = verify.load(log.leaf(index))
        assert commitment(salt, verify.statement_of(entry, facts)).hex() == entry["commitment"]


def test_a_timestamp_of_openssl_is_read(stamper: Stamper) -> None:
    imprint, at = verify.parse_timestamp(stamper.stamp(b"a text"))
    assert imprint == hashlib.sha256(b"a text").digest()
    assert abs((datetime.now(UTC) - at).total_seconds()) < 600


def test_a_timestamp_over_another_kind_of_hash_is_refused(stamper: Stamper) -> None:
    with pytest.raises(verify.Refused, match="SHA-256"):
        verify.parse_timestamp(stamper.stamp(b"a text", "sha512"))


def test_a_timestamp_that_is_none_is_refused_and_never_more(stamper: Stamper) -> None:
    whole, chance = stamper.stamp(b"a text"), random.Random(3161)
    for length in range(200):
        with pytest.raises(verify.Refused):
            verify.parse_timestamp(whole[:length])
    for _ in range(2000):
        broken = bytearray(whole)
        broken[chance.randrange(220)] = chance.randrange(256)
        try:
            verify.parse_timestamp(bytes(broken))
        except verify.Refused:
            continue


def test_keys_are_read_strictly() -> None:
    vkey = str(packets.LOG.key)
    assert verify.parse_key(vkey, verify.LOG_KEY).public == packets.LOG.key.public
    name, number, raw = vkey.split("+", 2)
    wrong = (
        f"{name}+00000000+{raw}",
        f"{name}+{number}",
        f"{name}+{number}+{raw[:-4]}",
        f"+{number}+{raw}",
        f"a b+{number}+{raw}",
    )
    for one in (*wrong, str(packets.WITNESS.key), f"{name}+{number}+{raw}=", f"\ud800+{number}+{raw}"):
        refuses(verify.parse_key, one, verify.LOG_KEY)
    refuses(verify.parse_key, f"{name}+{number}+{base64.b64encode(b'x').decode()}", verify.LOG_KEY)
