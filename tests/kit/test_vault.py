"""The file of the top key: in plain or encrypted, open to its owner only, replaced all at once."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pyrage
import pytest

from app.kit import crypto
from app.kit.crypto import KeysAway, Unreadable
from app.kit.vault import HeldKeys, KeyFile, KeyFileError, Lock, create_key_file, fingerprint, read_key_file, replace_key_file
from tests.repo.tree import ROOT

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))


def secret_file(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    made = pyrage.x25519.Identity.generate()
    return secret_file(tmp_path / "identity", f"# created: today\n# public key: {made.to_public()}\n{made}\n")


@pytest.mark.long
def test_a_file_encrypted_by_a_passphrase_opens_with_it_only(tmp_path: Path) -> None:
    right = Lock(passphrase=secret_file(tmp_path / "right", "invented passphrase of many words\n"))
    wrong = Lock(passphrase=secret_file(tmp_path / "wrong", "another"))
    path = tmp_path / "top.key"
    create_key_file(path, right, KEY)
    assert path.read_bytes().startswith(b"age-encryption.org/v1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key_file(path, right) == (KEY,)
    with pytest.raises(KeyFileError, match=r"top\.key does not open: it was encrypted with another passphrase"):
        read_key_file(path, wrong)
    with pytest.raises(KeyFileError, match=r"top\.key is encrypted: set HARMLINE_KEY_PASSPHRASE_FILE or"):
        read_key_file(path)
    with pytest.raises(KeyFileError, match="empty"):
        read_key_file(path, Lock(passphrase=secret_file(tmp_path / "none", "\n")))


def test_a_file_encrypted_to_an_identity_opens_with_it_only(tmp_path: Path, identity: Path) -> None:
    path = tmp_path / "top.key"
    create_key_file(path, Lock(identity=identity), KEY)
    assert read_key_file(path, Lock(identity=identity)) == (KEY,)
    other = secret_file(tmp_path / "other", str(pyrage.x25519.Identity.generate()))
    with pytest.raises(KeyFileError, match="another passphrase or to another identity"):
        read_key_file(path, Lock(identity=other))
    for no_identity in ("", "AGE-SECRET-KEY-1NONSENSE", "one\ntwo"):
        with pytest.raises(KeyFileError, match="identity"):
            read_key_file(path, Lock(identity=secret_file(tmp_path / "identity-bad", no_identity)))


def test_what_was_in_plain_is_encrypted_when_it_is_written_again(tmp_path: Path, identity: Path) -> None:
    path, lock = tmp_path / "top.key", Lock(identity=identity)
    create_key_file(path, key=KEY)
    vault = KeyFile(path, lock)
    vault.replace([OTHER, KEY])
    assert path.read_bytes().startswith(b"age-encryption.org/v1")
    assert read_key_file(path, lock) == vault.keys == (OTHER, KEY)


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602, 0o777])
@pytest.mark.parametrize("whose", ["top.key", "passphrase"])
def test_what_is_open_to_everybody_is_refused(tmp_path: Path, mode: int, whose: str) -> None:
    path = tmp_path / "top.key"
    lock = Lock(passphrase=secret_file(tmp_path / "passphrase", "invented"))
    path.write_bytes(b"age-encryption.org/v1\n")
    path.chmod(0o640)
    (tmp_path / whose).chmod(mode)
    with pytest.raises(KeyFileError, match=rf"{whose} is open to everybody on this machine: chmod 600"):
        read_key_file(path, lock)


def test_a_replacement_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "top.key"
    create_key_file(path, key=KEY)

    def fails(*_: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fails)
        with pytest.raises(OSError, match="no space"):
            replace_key_file(path, [OTHER, KEY])
    assert read_key_file(path) == (KEY,)
    replace_key_file(path, [OTHER, KEY])  # what was left lying about is in nobody's way
    assert read_key_file(path) == (OTHER, KEY)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["top.key"]


async def test_a_vault_finds_what_another_process_has_put_into_the_file(tmp_path: Path) -> None:
    path = tmp_path / "top.key"
    create_key_file(path, key=KEY)
    mine, theirs = KeyFile(path), KeyFile(path)
    old = await mine.wrap(b"x" * 32, b"here")
    theirs.replace([OTHER, KEY])
    new, name = await theirs.wrap(b"y" * 32, b"here"), theirs.newest
    assert (name, theirs.oldest, mine.newest) == (fingerprint(OTHER), fingerprint(KEY), fingerprint(KEY))
    assert await mine.unwrap(name, new, b"here") == b"y" * 32
    assert await mine.unwrap(None, old, b"here") == await mine.unwrap(fingerprint(KEY), old, b"here") == b"x" * 32
    for where, which in ((b"there", None), (b"here", name)):
        with pytest.raises(Unreadable):
            await mine.unwrap(which, old, where)
    with pytest.raises(KeysAway, match="0000 is not at hand"):
        await mine.unwrap("0000", old, b"here")
    path.unlink()
    with pytest.raises(KeysAway, match="missing"):
        await mine.unwrap("0000", old, b"here")


async def test_keys_in_memory_are_a_vault_too() -> None:
    vault = HeldKeys(KEY)
    assert await vault.unwrap(vault.newest, await vault.wrap(OTHER, b"here"), b"here") == OTHER
    assert vault.first == KEY


def test_the_name_of_a_key_tells_nothing_and_is_one_of_its_own() -> None:
    names = {fingerprint(crypto.new_key()) for _ in range(100)}
    assert {len(name) for name in names} == {16}
    assert len(names) == 100
    assert fingerprint(KEY) == fingerprint(KEY)


def test_a_writer_killed_before_the_new_file_takes_its_place_leaves_the_old_one(tmp_path: Path) -> None:
    """SIGKILL in the moment between."""
    path = tmp_path / "top.key"
    create_key_file(path, key=KEY)
    dies = (
        "import os, pathlib, signal\nfrom app.kit.vault import replace_key_file\n"
        "pathlib.Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"replace_key_file(pathlib.Path({str(path)!r}), [bytes(32), bytes(32)])\n"
    )
    ended = subprocess.run([sys.executable, "-c", dies], cwd=ROOT, check=False, capture_output=True)
    assert ended.returncode == -9, ended.stderr
    assert read_key_file(path) == (KEY,)
