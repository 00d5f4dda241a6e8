"""A slot: what is put in comes out for the private half only, at its place, unchanged; no process puts in by another's pair."""

from __future__ import annotations

import hmac
import os
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from hypothesis import given
from hypothesis import strategies as st

from app.kit import crypto, slot
from app.kit.crypto import Unreadable
from app.kit.slot import Slot, SlotKey, shared_secret

KEY_OF = st.binary(min_size=32, max_size=32)
WHERE = crypto.place("organization", "receipt", "row")
ENC = slice(3, 35)


def drawn(version: int = 1, private: bytes = bytes(range(32))) -> tuple[SlotKey, Slot]:
    key = SlotKey(private)
    return key, Slot(key.public, version)


def test_the_shared_secret_is_the_one_of_rfc_9180() -> None:
    """Appendix A.1.1: DHKEM(X25519, HKDF-SHA256), base mode."""
    ours = X25519PrivateKey.from_private_bytes(bytes.fromhex("52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736"))
    theirs = bytes.fromhex("3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d")
    enc = bytes.fromhex("37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431")
    assert ours.public_key().public_bytes_raw() == enc
    found = shared_secret(ours.exchange(X25519PublicKey.from_public_bytes(theirs)), enc, theirs)
    assert found.hex() == "fe0e18c9f024ce43799ae393c7e8fe8fce9d218875e8227b0187c04e7d2ea1fc"


def expand(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA-256 of RFC 5869 for 32 bytes, by hand."""
    return hmac.digest(hmac.digest(salt, secret, "sha256"), info + b"\x01", "sha256")


def test_what_is_put_in_opens_by_a_computation_of_its_own() -> None:
    key, where = os.urandom(32), WHERE
    private = X25519PrivateKey.from_private_bytes(bytes(range(32)))
    public = private.public_key().public_bytes_raw()
    put = Slot(public, 7).put(key, where)
    assert put[:3] == b"\x03\x00\x07"
    enc, nonce, body = put[ENC], put[35:47], put[47:]
    dh = private.exchange(X25519PublicKey.from_public_bytes(enc))
    suite = b"HPKE-v1" + b"KEM" + bytes([0, 32])
    shared = expand(suite + b"eae_prk" + dh, bytes(32), bytes([0, 32]) + suite + b"shared_secret" + enc + public)
    purpose = expand(shared, bytes(32), b"key in a slot")
    assert AESGCMSIV(purpose).decrypt(nonce, body, put[:35] + where) == key


@given(KEY_OF, st.binary(max_size=80), st.integers(0, 65535), KEY_OF)
def test_what_is_put_in_comes_out(key: bytes, where: bytes, version: int, private: bytes) -> None:
    opens, puts = drawn(version, private)
    put = puts.put(key, where)
    assert crypto.version_of(put) == version
    assert opens.unseal(put, where) == key


@given(st.data())
def test_what_was_moved_changed_or_cut_does_not(data: st.DataObject) -> None:
    opens, puts = drawn()
    put = puts.put(bytes(32), WHERE)
    with pytest.raises(Unreadable):
        opens.unseal(put, data.draw(st.binary(max_size=80).filter(lambda other: other != WHERE)))
    place = data.draw(st.integers(0, len(put) - 1))
    flipped = bytearray(put)
    flipped[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Unreadable):
        opens.unseal(bytes(flipped), WHERE)
    with pytest.raises(Unreadable):
        opens.unseal(put[:place], WHERE)
    with pytest.raises(Unreadable):
        drawn(private=data.draw(KEY_OF.filter(lambda one: _clamped(one) != _clamped(bytes(range(32))))))[0].unseal(put, WHERE)


def _clamped(private: bytes) -> bytes:
    """What X25519 makes of 32 bytes."""
    return bytes([private[0] & 248]) + private[1:31] + bytes([private[31] & 127 | 64])


def test_a_version_and_a_form_do_not_pass_for_another() -> None:
    opens, puts = drawn(version=2)
    put = puts.put(bytes(32), WHERE)
    for begins in (b"\x03\x00\x01", b"\x02\x00\x02", b"\x04\x00\x02", b"\x01", b"\x05\x00\x02", b""):
        with pytest.raises(Unreadable):
            opens.unseal(begins + put[3:], WHERE)


def test_a_point_that_gives_nothing_away_is_refused() -> None:
    """A public half of small order makes the same secret whatever the private half is."""
    opens, puts = drawn()
    put = puts.put(bytes(32), WHERE)
    for point in (bytes(32), (1).to_bytes(32, "little")):
        with pytest.raises(Unreadable):
            opens.unseal(put[:3] + point + put[35:], WHERE)


def test_a_pair_is_used_for_so_many_keys_and_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slot, "MOST_KEYS", 3)
    opens, puts = drawn()
    put = [puts.put(bytes(32), WHERE) for _ in range(7)]
    assert [len({one[ENC] for one in put[n : n + 3]}) for n in (0, 3)] == [1, 1]
    assert len({one[ENC] for one in put}) == 3
    assert len({one[35:47] for one in put}) == 7, "a nonce of its own each"
    later = time.monotonic() + slot.LONGEST
    monkeypatch.setattr(time, "monotonic", lambda: later)
    put.append(puts.put(bytes(32), WHERE))
    assert put[-1][ENC] != put[-2][ENC]
    assert {opens.unseal(one, WHERE) for one in put} == {bytes(32)}


def test_whoever_takes_out_remembers_so_many_and_opens_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slot, "MOST_KEYS", 1)
    monkeypatch.setattr(slot, "REMEMBERED", 4)
    opens, puts = drawn()
    put = [puts.put(bytes([n]) * 32, WHERE) for n in range(9)]
    for _ in range(2):
        assert [opens.unseal(one, WHERE)[0] for one in put] == list(range(9))
    assert len(opens._known) == 4


def test_what_was_taken_out_last_costs_no_exchange_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slot, "MOST_KEYS", 1)
    monkeypatch.setattr(slot, "REMEMBERED", 2)
    opens, puts = drawn()
    first, second, third = (puts.put(bytes([n]) * 32, WHERE) for n in range(3))
    exchanged: list[bytes] = []
    whole = slot._cipher
    monkeypatch.setattr(slot, "_cipher", lambda dh, enc, public: exchanged.append(enc) or whole(dh, enc, public))
    for one in (first, first, second, first, third, first, third, second):
        opens.unseal(one, WHERE)
    assert exchanged == [one[ENC] for one in (first, second, third, second)], "the one that waited longest is forgotten"


def test_a_forked_process_draws_a_pair_of_its_own() -> None:
    opens, puts = drawn()
    before = puts.put(bytes(32), WHERE)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, puts.put(b"c" * 32, WHERE))
        os._exit(0)
    os.waitpid(child, 0)
    put = os.read(read, 1000)
    assert opens.unseal(put, WHERE) == b"c" * 32
    assert put[ENC] != before[ENC]
    assert puts.put(bytes(32), WHERE)[ENC] == before[ENC], "the parent goes on with its own"


def test_the_child_of_a_child_draws_a_pair_of_its_own_too() -> None:
    opens, puts = drawn()
    used = []
    for name in (b"p", b"c", b"g"):
        put = puts.put(name * 32, WHERE)
        assert opens.unseal(put, WHERE) == name * 32
        used.append(put[ENC])
        slot._forked()  # what each fork runs
    assert len(set(used)) == 3
