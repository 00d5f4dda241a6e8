"""A packet as one ZIP, against the standard library's reader and `unzip`; files that lie sealed."""

from __future__ import annotations

import io
import subprocess
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.evidence import zipping
from app.evidence.folder import Folder, Sealed
from app.evidence.zipping import WORTH_SENDING, gathered, length, zipped
from app.kit import crypto
from app.kit.crypto import Unreadable

NAMES = st.lists(st.from_regex(r"\A[a-z0-9]{1,8}(/[a-zA-Z0-9._-]{1,8}){0,3}\Z"), unique=True, max_size=8)


def made(files: dict[str, bytes]) -> bytes:
    sizes = [(name, len(content)) for name, content in files.items()]
    raw = b"".join(gathered(zipped(sizes, files.__getitem__)))
    assert len(raw) == length(sizes), "the length is known before"
    return raw


@given(names=NAMES, content=st.binary(max_size=200))
def test_any_files_are_there_again(names: list[str], content: bytes) -> None:
    files = {name: content * number for number, name in enumerate(names)}
    with zipfile.ZipFile(io.BytesIO(made(files))) as read:
        assert read.testzip() is None
        assert {one.filename: read.read(one) for one in read.infolist()} == files
        assert all(one.date_time == (1980, 1, 1, 0, 0, 0) for one in read.infolist())


def test_the_tool_of_other_people_agrees(tmp_path: Path) -> None:
    (tmp_path / "packet.zip").write_bytes(made({"p/a.txt": b"", "p/b/c.bin": bytes(range(256)) * 5000}))
    tested = subprocess.run(["unzip", "-t", str(tmp_path / "packet.zip")], capture_output=True, text=True, timeout=60)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_more_files_than_the_old_format_can_count(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"p/{number}": b"x" for number in range(66_000)}
    with zipfile.ZipFile(io.BytesIO(made(files))) as read:
        assert len(read.infolist()) == len(files)
        assert read.read("p/65999") == b"x"


def test_a_file_that_begins_further_than_the_old_format_can_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if 32 bits were 1,000: whoever reads it finds the ZIP64 field, which says the same."""
    monkeypatch.setattr(zipping, "_MOST_32", 1_000)
    files = {"p/a": b"a" * 900, "p/b": b"b" * 900, "p/c": b"c" * 10}
    raw = made(files)
    last = raw.index(b"PK\x01\x02", raw.index(b"PK\x01\x02", raw.index(b"PK\x01\x02") + 1) + 1)
    offset = int.from_bytes(raw[last + 46 + 3 + 4 : last + 46 + 3 + 12], "little")
    assert raw[offset : offset + 4] == b"PK\x03\x04"
    assert b"PK\x06\x06" in raw


def test_pieces_are_worth_sending_and_never_many_files(tmp_path: Path) -> None:
    files = {f"p/{number}": b"x" * 1000 for number in range(2000)}
    pieces = list(gathered(zipped([(name, 1000) for name in files], files.__getitem__)))
    assert len(pieces) < 12
    assert max(map(len, pieces)) < WORTH_SENDING + 200_000


def test_a_file_that_is_not_as_long_as_was_told_breaks_it_off() -> None:
    with pytest.raises(ValueError, match="not as long"):
        list(zipped([("a", 2)], lambda _: b"x"))


@given(content=st.binary(max_size=300))
def test_what_lies_sealed_is_told_by_its_own_size_and_hash(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    root, key = tmp_path_factory.mktemp("sealed"), crypto.new_key()
    sealed, plain = Folder(root / "s", Sealed(key, "one")).within("w"), Folder(root / "p")
    for folder in (sealed, plain):
        folder.write("data/a.json", content)
    for told in ("size", "sha256", "read"):
        assert getattr(sealed, told)("data/a.json") == getattr(plain, told)("data/a.json")
    assert list(sealed.paths()) == list(plain.paths()) == ["data/a.json"]
    raw = (sealed.root / "data/a.json").read_bytes()
    assert len(content) < 4 or content not in raw


def test_a_sealed_file_passes_for_no_other_and_for_no_other_folder(tmp_path: Path) -> None:
    key = crypto.new_key()
    folder = Folder(tmp_path / "s", Sealed(key, "one"))
    folder.write("a", b"first")
    folder.write("b", b"second")
    (tmp_path / "s/b").write_bytes((tmp_path / "s/a").read_bytes())
    for whose, path in ((Sealed(key, "one"), "b"), (Sealed(key, "two"), "a"), (Sealed(crypto.new_key(), "one"), "a")):
        with pytest.raises(Unreadable):
            Folder(tmp_path / "s", whose).read(path)
    assert folder.read("a") == b"first"


def test_half_a_file_is_none(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write("data/a", b"whole")
    (tmp_path / "data/.b.new").write_bytes(b"ha")
    assert list(folder.paths()) == ["data/a"]
