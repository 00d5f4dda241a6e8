"""What is sealed opens at its own place with its own key, and nowhere else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from hypothesis import assume, given
from hypothesis import strategies as st
from sqlalchemy import delete, update

from app.kit import crypto
from app.kit.crypto import KeysAway, Unreadable
from app.kit.database import Database
from app.kit.ids import uuid7
from app.kit.keyring import Keyring, Lane, OrganizationKey
from app.kit.vault import KeyFileError, create_key_file, read_key_file
from tests.repo.tree import ROOT

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
PARTS = st.lists(st.text(max_size=8), min_size=1, max_size=4)


@given(st.binary(max_size=300), PARTS)
def test_what_is_sealed_opens_again_and_is_never_sealed_the_same_way_twice(plain: bytes, where: list[str]) -> None:
    place = crypto.place(*where)
    sealed = crypto.seal(KEY, plain, place)
    assert crypto.unseal(KEY, sealed, place) == plain
    assert crypto.seal(KEY, plain, place) != sealed
    assert len(plain) < 8 or plain not in sealed


@given(st.binary(max_size=60), st.data())
def test_one_changed_bit_is_refused(plain: bytes, data: st.DataObject) -> None:
    place = crypto.place("receipt", "sealed", 1)
    sealed = bytearray(crypto.seal(KEY, plain, place))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Unreadable):
        crypto.unseal(KEY, bytes(sealed), place)


@given(st.binary(max_size=60), st.integers(0, 90))
def test_what_is_cut_short_or_is_no_sealed_thing_at_all_is_refused(junk: bytes, kept: int) -> None:
    sealed = crypto.seal(KEY, b"the words of one person", b"here")
    assume(kept < len(sealed))
    for wrong in (sealed[:kept], junk, b"\x01" + junk, sealed + junk[:1] if junk else b""):
        with pytest.raises(Unreadable):
            crypto.unseal(KEY, wrong, b"here")


def test_another_key_another_place_and_swapped_rows_are_refused() -> None:
    places = [crypto.place("member", "sealed", n) for n in (1, 2)]
    rows = [crypto.seal(KEY, b"one", places[0]), crypto.seal(KEY, b"two", places[1])]
    for key, sealed, place in ((OTHER_KEY, rows[0], places[0]), (KEY, rows[0], places[1]), (KEY, rows[1], places[0])):
        with pytest.raises(Unreadable):
            crypto.unseal(key, sealed, place)


@given(PARTS, PARTS)
def test_two_places_are_the_same_only_when_all_their_parts_are(one: list[str], other: list[str]) -> None:
    assert (crypto.place(*one) == crypto.place(*other)) == (one == other)


@given(PARTS, PARTS)
def test_a_place_is_that_of_its_first_parts_and_then_that_of_the_others(first: list[str], others: list[str]) -> None:
    assert crypto.place(*first) + crypto.place(*others) == crypto.place(*first, *others)


def test_keys_for_two_purposes_and_hashes_under_two_keys_have_nothing_in_common() -> None:
    purposes = ["wrap", "seal", "index:a", "index:b", "ledger:salt"]
    assert len({crypto.derive(KEY, purpose) for purpose in purposes} | {KEY}) == 6
    assert crypto.keyed_hash(KEY, b"x") != crypto.keyed_hash(OTHER_KEY, b"x")
    assert crypto.keyed_hash(KEY, b"x") == crypto.keyed_hash(KEY, b"x")


def test_what_was_stored_by_earlier_code_opens_for_ever() -> None:
    """Forms and hashes as they lie in databases and backups; each was computed once, by other means where that is possible."""
    assert crypto.place("a", 12) == b"\0\0\0\x01a\0\0\0\x0212"
    assert crypto.header(258) == b"\x02\x01\x02"
    assert crypto.header(1, crypto.FOR_DOOR) == b"\x04\x00\x01"
    extracted = hmac.digest(bytes(32), KEY, "sha256")  # RFC 5869 without a salt, for one block
    assert crypto.derive(KEY, "wrap") == hmac.digest(extracted, b"wrap\x01", "sha256")
    assert crypto.keyed_hash(KEY, b"x") == hmac.new(KEY, b"x", "sha256").digest()
    ready = crypto.KeyedHash(KEY)
    for value in (b"x", b"", b"y" * 1000, b"x"):
        assert ready.of(value) == crypto.keyed_hash(KEY, value)
    assert crypto.token_hash("x") == hashlib.sha256(b"x").digest()
    nonce, place, plain = bytes(range(12)), crypto.place("member", "sealed", 1), b"words"
    for begins, bound, version in ((b"\x01", b"", None), (b"\x02\0\x07", b"\x02\0\x07", 7)):
        stored = begins + nonce + AESGCMSIV(KEY).encrypt(nonce, plain, bound + place)
        assert crypto.Sealer(KEY, version).unseal(stored, place) == plain
        assert crypto.version_of(stored) == (version or 1)
        assert crypto.Sealer(KEY, version).seal(plain, place).startswith(begins)
    assert crypto.Sealer(KEY, 7, crypto.FOR_DOOR).seal(plain, place).startswith(b"\x04\0\x07")


@pytest.mark.parametrize("begins", [b"", b"\x02", b"\x02\0", b"\x05\0\x01", b"\0\0\x01", b"\xff\0\x01"])
def test_what_begins_like_nothing_of_ours_has_no_version(begins: bytes) -> None:
    with pytest.raises(Unreadable):
        crypto.version_of(begins)


def test_what_was_drawn_before_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = crypto._Drawn(4)
    drawn.take()
    monkeypatch.setattr(os, "urandom", lambda count: b"n" * count)
    drawn.forget()
    assert drawn.take() == b"nnnn"


async def _organization(database: Database, keyring: Keyring) -> UUID:
    organization_id = uuid7()
    async with database.begin() as tx:
        await keyring.create_organization(tx, organization_id)
    return organization_id


async def test_an_organization_has_two_keys_apart_and_no_other_has_the_same(database_url: str) -> None:
    database, keyring = Database(database_url), Keyring(crypto.new_key())
    ours, theirs = [await _organization(database, keyring) for _ in range(2)]
    async with database.begin() as tx:
        keys = [(await Keyring(keyring.vault).opened(tx, who, lane)).key for who in (ours, theirs) for lane in Lane]
        assert len(set(keys)) == 4
        sealed = await keyring.seal(tx, ours, Lane.COUNSEL, "a reason", "hold", 1)
        assert await keyring.unseal(tx, ours, Lane.COUNSEL, sealed, "hold", 1) == "a reason"
        for who, lane, at in ((ours, Lane.FACTUAL, 1), (theirs, Lane.COUNSEL, 1), (ours, Lane.COUNSEL, 2)):
            with pytest.raises(Unreadable):
                await keyring.unseal(tx, who, lane, sealed, "hold", at)
        assert await keyring.index(tx, ours, "f", "v") == await keyring.index(tx, ours, "f", b"v")
        looked_up = [await keyring.index(tx, who, f, v) for who in (ours, theirs) for f in "ab" for v in "vw"]
        assert len(set(looked_up)) == 8
    await database.close()


async def test_a_wrapped_key_opens_for_its_own_row_and_organization_only(database_url: str) -> None:
    database, keyring = Database(database_url), Keyring(crypto.new_key())
    ours, theirs = [await _organization(database, keyring) for _ in range(2)]
    async with database.begin() as tx:
        key, wrapped = await keyring.wrap_new(tx, ours, "member", 1)
        assert key not in wrapped
        assert await keyring.unwrap(tx, ours, wrapped, "member", 1) == key
        for who, where in ((theirs, ("member", 1)), (ours, ("member", 2)), (ours, ("event", 1)), (ours, (1, "member"))):
            with pytest.raises(Unreadable):
                await keyring.unwrap(tx, who, wrapped, *where)
    await database.close()


async def test_the_wrong_top_key_and_swapped_rows_open_nothing(database_url: str) -> None:
    database, keyring = Database(database_url), Keyring(crypto.new_key())
    ours = await _organization(database, keyring)
    async with database.begin() as tx:
        with pytest.raises(KeysAway, match="is not at hand"):
            await Keyring(crypto.new_key()).opened(tx, ours)
        wrapped = {lane: (await tx.get_one(OrganizationKey, (ours, lane, 1))).wrapped for lane in Lane}
    for lane, other in permutations(Lane):
        async with database.begin() as tx:
            row = (OrganizationKey.organization_id == ours, OrganizationKey.lane == lane)
            await tx.execute(update(OrganizationKey).where(*row).values(wrapped=wrapped[other]))
            with pytest.raises(Unreadable):
                await Keyring(keyring.vault).opened(tx, ours, lane)
    async with database.begin() as tx:
        await tx.execute(delete(OrganizationKey))
    await database.close()


def test_a_key_file_is_for_its_owner_only_holds_a_key_and_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "top.key"
    create_key_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    (key,), written = read_key_file(path), path.read_bytes()
    assert len(key) == crypto.KEY_BYTES
    with pytest.raises(FileExistsError):
        create_key_file(path)
    assert path.read_bytes() == written
    create_key_file(tmp_path / "second.key")
    assert read_key_file(tmp_path / "second.key") != (key,)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"not base64!",
        "schl\u00fcssel".encode(),
        base64.b64encode(bytes(31)),
        base64.b64encode(bytes(33)),
        b"\xff\xfe",
    ],
)
def test_a_file_that_is_no_key_is_named_and_its_content_is_not(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "top.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match=r"top\.key is not a key: it must hold 32 bytes in base64; restore") as refused:
        read_key_file(path)
    assert not content.strip() or content.decode("latin-1") not in str(refused.value)


def test_a_missing_key_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"top\.key is missing: make one with `harmline keys create`"):
        read_key_file(tmp_path / "top.key")


def test_no_random_byte_is_given_twice() -> None:
    """More than one draw of the system's, in pieces of all sizes, by several threads at once."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        keys = list(pool.map(lambda _: crypto.new_key(), range(2000)))
    sealer = crypto.Sealer(keys[0])
    nonces = {sealer.seal(b"", b"")[1:13] for _ in range(2000)}
    pieces = {key[start : start + 8] for key in keys for start in range(0, crypto.KEY_BYTES, 8)}
    assert (len(set(keys)), len(nonces), len(pieces)) == (2000, 2000, 8000)
    assert {len(key) for key in keys} == {crypto.KEY_BYTES}


def test_every_byte_that_was_drawn_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    urandom, system = os.urandom, bytearray()

    def noted(count: int) -> bytes:
        system.extend(urandom(count))
        return bytes(system[-count:])

    monkeypatch.setattr(os, "urandom", noted)
    pieces = crypto._Drawn(5)
    taken = [pieces.take() for _ in range(3 * crypto._DRAWN_AT_ONCE)]
    assert sorted(taken) == sorted(bytes(system[at : at + 5]) for at in range(0, len(system), 5))


FORKS = """
import os
from app.kit import crypto
from app.kit.ids import uuid7
crypto.new_key(), uuid7()
child = os.fork()
os.write(1, f"{crypto.new_key().hex()} {uuid7().hex[-15:]}\\n".encode())
if child:
    os.waitpid(child, 0)
"""


def test_a_forked_process_gives_neither_the_keys_nor_the_ids_of_its_parent() -> None:
    said = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
    assert len(said) == len(set(said)) == 4
