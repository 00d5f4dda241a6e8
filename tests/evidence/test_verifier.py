"""A good packet verifies on a bare Python; whatever else somebody makes of it is refused, with the right reason."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.evidence.verifier import verify
from app.kit import canonical
from app.ledger.notes import Kind, Signer
from tests.evidence import packets
from tests.evidence.forgeries import CHECKPOINT, FIRST, PACKET, forgeries
from tests.evidence.packets import Files, Stamper


def run(folder: Path, *more: str) -> tuple[int, str]:
    """What a stranger sees: the packet's own verifier, on a Python without anything, in a folder without Harmline."""
    command = [sys.executable, "-I", "-S", str(folder / "verify.py"), str(folder), *more]
    done = subprocess.run(command, cwd=folder.parent, env={"PATH": ""}, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return done.returncode, done.stdout


def report(folder: Path, **known: Any) -> verify.Report:
    return verify.verify(str(folder), verify.Asked(**known))


def failures(folder: Path, **known: Any) -> dict[str, list[str]]:
    """What fails, by check."""
    found: dict[str, list[str]] = {}
    for check, path, reason in report(folder, **known).failures:
        found.setdefault(check, []).append(f"{path}: {reason}")
    return found


def changed(good: Files, tmp_path: Path, change: Callable[[Files], None]) -> Path:
    """A packet that somebody changed who also wrote its lists of files anew."""
    files = dict(good)
    change(files)
    return packets.write(packets.bagged(files), tmp_path / "changed")


def told(good: Files, tmp_path: Path, change: Callable[[Any], None], path: str = PACKET) -> Path:
    """A packet with something else in one of its JSON files, and fitting lists of files."""

    def within(files: Files) -> None:
        value = json.loads(files[path])
        change(value)
        files[path] = canonical.dumps(value)

    return changed(good, tmp_path, within)


def test_a_good_packet_verifies_on_a_bare_python(folder: Path) -> None:
    status, said = run(folder)
    assert status == verify.PROVEN
    assert "ALL PROVEN, as far as a packet can vouch for itself." in said
    assert "the key was taken from the packet itself" in said
    for line in ("What this proves", "What it does not prove", "2 of 2 originals", "Withheld: 1 x the original (erased)"):
        assert line in said
    number = hashlib.sha256((folder / "tagmanifest-sha256.txt").read_bytes()).hexdigest()
    assert said.startswith(f"The packet's number: {number}\n")


def test_a_machine_reads_the_same(folder: Path) -> None:
    status, said = run(folder, "--json")
    found = json.loads(said)
    assert (status, found["proven"], found["failures"], found["trust"]) == (0, True, [], "itself")
    assert {one["check"]: one["count"] for one in found["checks"]} == {
        "files": 39, "packet": 1, "checkpoint": 1, "growth": 1, "cosignatures": 1, "timestamps": 2, "entries": 6, "openings": 4,
        "originals": 2, "exhibits": 5, "custody": 9, "trust": 0,
    }  # fmt: skip


def test_a_redacted_packet_verifies_and_tells_no_hash(stamper: Stamper, tmp_path: Path) -> None:
    files = packets.make(stamper, "redacted")
    assert failures(packets.write(files, tmp_path / "redacted")) == {}
    digests = [hashlib.sha256(body).hexdigest().encode() for body in (packets.WEBHOOK, packets.MAIL)]
    assert not any(digest in raw for digest in digests for raw in files.values())


def test_the_command_that_it_prints_checks_the_authoritys_signature(folder: Path, stamper: Stamper) -> None:
    """With roots that did not come with the packet: whoever makes one up makes up an authority, too."""
    commands = [one.partition("this does it: ")[2] for one in report(folder).remarks if "openssl" in one]
    assert len(commands) == 2
    for command in commands:
        assert command.endswith(" -CAfile ROOTS.pem")
        done = subprocess.run([*command.split()[:-1], str(stamper.roots)], cwd=folder, capture_output=True, text=True)
        assert "Verification: OK" in done.stdout + done.stderr


def test_what_differs_from_what_is_known_from_elsewhere_fails(folder: Path, good: Files) -> None:
    fork = packets.made_log()
    fork.rows[3]["kind"] = "erasure"
    stranger = Signer("witness.example/w2", Kind.COSIGNATURE, b"x" * 32)
    log = packets.made_log()
    growth = log.growth(200, 300, good[CHECKPOINT])
    for known, reason in (
        ({"key": str(packets.STRANGER.key)}, "not signed this checkpoint by any key that is trusted"),
        ({"key": "nonsense"}, "name+id+key"),
        ({"key": str(packets.WITNESS.key)}, "not the Ed25519 key of a log"),
        ({"witness": str(stranger.key)}, "cosigned no checkpoint"),
        ({"number": "0" * 64}, "should have"),
        ({"checkpoint": fork.checkpoint(300)}, "rewritten or forked"),
        ({"checkpoint": fork.checkpoint(100)}, "rewritten or forked"),
        ({"checkpoint": log.checkpoint(200)}, "give the growth"),
        ({"checkpoint": fork.checkpoint(200), "growth": growth}, "does not begin with"),
        ({"checkpoint": log.checkpoint(200, packets.STRANGER)}, "not signed by this log's key"),
        ({"checkpoint": b"nonsense"}, "not a text, an empty line"),
        ({"checkpoint": log.checkpoint(200), "growth": b"nonsense"}, "growth is not some lines"),
    ):
        found = failures(folder, **known)
        assert reason in str(found), (known, found)
        assert set(found) <= {"trust", "checkpoint"}


def test_a_newer_checkpoint_from_elsewhere_is_compared(good: Files, folder: Path) -> None:
    log = packets.made_log()
    log.add("match", {})
    newer = log.checkpoint(301)
    assert failures(folder, checkpoint=newer, growth=log.growth(300, 301, newer)) == {}
    log.rows[5]["kind"] = "erasure"
    newer = log.checkpoint(301)
    assert "does not begin" in str(failures(folder, checkpoint=newer, growth=log.growth(300, 301, newer)))


def test_a_log_that_was_made_up_anew_shows_against_a_key_from_elsewhere_alone(good: Files, tmp_path: Path) -> None:
    """The whole log rewritten and signed by another key: consistent in itself, which is why the report never says more."""

    def forge(files: Files) -> None:
        log = packets.made_log()
        for path in files:
            files[path] = _signed_anew(log, path, files[path], files)
        said = json.loads(files[PACKET])
        files[PACKET] = canonical.dumps(
            said | {"log_keys": [str(packets.STRANGER.key)], "witnesses": [], "older": [], "authorities": []}
        )
        for path in [path for path in files if path.startswith(("data/log/older", "data/log/timestamps"))]:
            del files[path]

    folder = changed(good, tmp_path, forge)
    assert failures(folder) == {}
    assert verify.UNPINNED in report(folder).does_not_prove
    assert "key that is trusted" in str(failures(folder, key=str(packets.LOG.key)))
    assert "key" in str(failures(folder, checkpoint=good[CHECKPOINT]))
    assert "cosigned no checkpoint" in str(failures(folder, witness=str(packets.WITNESS.key)))


def _signed_anew(log: packets.Log, path: str, raw: bytes, files: Files) -> bytes:
    forged = log.checkpoint(packets.SIZE, packets.STRANGER)
    if path == CHECKPOINT:
        return forged
    if path.endswith(".tlog-proof"):
        return raw.partition(b"\n\n")[0] + b"\n\n" + forged
    return raw


@pytest.mark.parametrize(("change", "check", "reason"), [pytest.param(*one[1:], id=one[0]) for one in forgeries()])
def test_a_careful_forger_is_found_by_what_the_log_binds(
    good: Files, tmp_path: Path, change: Callable[[Files], None], check: str, reason: str
) -> None:
    found = failures(changed(good, tmp_path, change))
    assert "files" not in found
    assert reason in str(found.get(check)), found


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda said: said.update(kind="novel"), "kind is none"),
        (lambda said: said.update(kind="claim"), "about names a claim, and only a packet for a claim does"),
        (lambda said: said["about"].update(claim="24-1"), "about names a claim, and only a packet for a claim does"),
        (lambda said: said.update(kind="claim") or said["about"].update(claim=7), "claim is missing or is no text"),
        (lambda said: said.update(kind="claim") or said["about"].update(claim="24-1", members=[]), "does not name the members"),
        (lambda said: said.update(kind="member") or said["about"]["members"].append(str(packets.row_id(1))), "of this kind"),
        (lambda said: said["about"]["members"].append(str(packets.MEMBER)), "a member twice"),
        (lambda said: said["about"].update(members=["Avery"]), "what is no member"),
        (lambda said: said["about"].update(members=[]), "about a member whom packet.json does not name"),
        (lambda said: said["about"].pop("members"), "members is missing"),
        (lambda said: said.update(counts={}), "counts are not"),
        (lambda said: said.update(custody=said["custody"][:1]) or said["counts"].update(custody=True), "counts are not"),
        (lambda said: said.pop("exhibits"), "exhibits is missing"),
        (lambda said: said["exhibits"].append(said["exhibits"][0]), "counts are not"),
        (lambda said: said["exhibits"][0].update(folder="data/../x"), "folder of EX-0000001"),
        (lambda said: said["exhibits"][0].update(entry="x"), "entry is not written"),
        (lambda said: said["exhibits"][0].update(index=True), "index is missing or is no whole"),
        (lambda said: said["exhibits"][0].update(file={"path": "../../x", "sha256": "0" * 64, "size": 1}), "not in its folder"),
        (lambda said: said["exhibits"].__setitem__(0, 7), "bates is missing"),
        (lambda said: said["exhibits"][4].update(index=5), "no original and has an entry"),
        (lambda said: said.update(older=[100, 100]), "does not rise"),
        (lambda said: said.update(log_keys=["x"]), "name+id+key"),
        (lambda said: said["checkpoint"].update(size=-1), "size is missing"),
        (lambda said: said["withheld"][0].update(why="no reason"), "why is none"),
        (lambda said: said["withheld"][0].update(exhibit="EX-0000001"), "does not say why"),
        (lambda said: said["withheld"][0].update(exhibit="EX-0000077"), "no exhibit of it"),
        (lambda said: said["exhibits"][0].update(opened=False), "is opened"),
        (lambda said: said.update(variant="redacted"), "a redacted packet holds no original"),
        (lambda said: said["witnesses"][0].update(sizes=[100, 300]), "cosignature of witness.example/w1 is missing"),
        (lambda said: said["witnesses"][0].update(sizes=[55]), "no good checkpoint of size 55"),
        (lambda said: said["authorities"][0].update(name="../x"), "name is not written"),
        (lambda said: said.update(format="harmline-packet@v2"), "written as harmline-packet@v2"),
        (lambda said: said["custody"].reverse() or said.update(custody=said["custody"][:1] * 2), "twice"),
    ],
)
def test_packet_json_is_read_strictly(good: Files, tmp_path: Path, change: Callable[[Any], None], reason: str) -> None:
    folder = told(good, tmp_path, change)
    if "@v2" in reason:
        with pytest.raises(verify.Unreadable, match=reason):
            report(folder)
    else:
        assert reason in str(failures(folder))


def test_what_the_packet_itself_calls_unproven_is_said_first(good: Files, tmp_path: Path) -> None:
    folder = told(good, tmp_path, lambda said: said["withheld"][1].update(why="unproven"))
    assert report(folder).proven
    assert report(folder).does_not_prove[0] == f"{verify.UNPROVEN}: 1."


def test_a_file_of_an_operating_system_is_told_of_and_passed_over(folder: Path) -> None:
    (folder / ".DS_Store").write_bytes(b"x")
    found = report(folder)
    assert found.proven
    assert any(".DS_Store" in one for one in found.remarks)


def test_what_an_operating_system_leaves_is_a_file_and_no_place_to_hide_others(folder: Path) -> None:
    (folder / "data" / "Thumbs.db").mkdir()
    (folder / "data" / "Thumbs.db" / "more.txt").write_bytes(b"x")
    (folder / "desktop.ini").symlink_to(folder / "verify.py")
    said = str(failures(folder)["files"])
    assert "data/Thumbs.db/more.txt: the file is in no list" in said
    assert "desktop.ini: this is a link to somewhere else" in said


def test_a_list_names_its_own_files_and_no_others(folder: Path, good: Files) -> None:
    listed = packets.manifest({path: raw for path, raw in good.items() if path.startswith("data/") or path == "verify.py"})
    (folder / "manifest-sha256.txt").write_bytes(listed)
    assert "verify.py: the file is in the wrong list" in str(failures(folder)["files"])


def test_the_parts_of_a_packet_that_are_no_files_are_refused(folder: Path) -> None:
    outside = folder.parent / "outside"
    outside.write_bytes((folder / f"{FIRST}/original.json").read_bytes())
    (folder / f"{FIRST}/original.json").unlink()
    (folder / f"{FIRST}/original.json").symlink_to(outside)
    (folder / "data/loop").symlink_to(folder, target_is_directory=True)
    os.mkfifo(folder / "data/pipe")
    said = str(failures(folder)["files"])
    assert said.count("this is a link to somewhere else") == 2
    assert "neither a file nor a folder" in said


@pytest.mark.parametrize(
    "name", ["a b", "-rf", "x\n", "\u202etxt", ".hidden", "end.", "a" * 101, "c:x", b"\xff".decode(errors="surrogateescape")]
)
def test_names_that_mean_something_elsewhere_are_refused(folder: Path, name: str) -> None:
    (folder / "data" / name).write_bytes(b"")
    status, said = run(folder)
    assert status == verify.FAILED
    assert "this is a name that no packet holds" in said
    assert said.isascii()


def test_names_that_differ_in_capital_letters_are_refused(folder: Path) -> None:
    (folder / "data" / "Packet.json").write_bytes(b"")
    assert "in capital letters only" in str(failures(folder)["files"])


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "data/../../x", "data//x", "data\\x", "./data/x", "C:/x"])
def test_lists_that_lead_out_of_the_packet_are_refused(folder: Path, path: str) -> None:
    with (folder / "manifest-sha256.txt").open("ab") as file:
        file.write(f"{'0' * 64}  {path}\n".encode())
    assert "a path within the packet" in str(failures(folder)["files"])


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        (PACKET, b"[" * 1_000_000),
        (PACKET, b'{"a":' * 1_000_000),
        (PACKET, b'"' + b"a" * 20_000_000),
        (PACKET, b"\xff\xfe\x00"),
        (PACKET, b"null"),
        (PACKET, b"[]"),
        (PACKET, b""),
        (f"{FIRST}/exhibit.json", b"[" * 1_000_000),
        (f"{FIRST}/exhibit.json", b"{" * 17_000_000),
        (f"{FIRST}/exhibit.json", b"[]"),
        (f"{FIRST}/exhibit.json", b"\xff"),
        (f"{FIRST}/exhibit.json", b'{"format":"\\ud800"}'),
        (f"{FIRST}/entry.json", b"7"),
        (f"{FIRST}/entry.json", b'{"at": [], "id": {}}'),
        (f"{FIRST}/opening.json", b"[]"),
        (f"{FIRST}/opening.json", b'{"salt": 7, "facts": []}'),
        (f"{FIRST}/proof.tlog-proof", b"\n" * 1_000_000),
        (f"{FIRST}/proof.tlog-proof", b"c2sp.org/tlog-proof@v1\nindex 99999999999999999999\n\nx"),
        (CHECKPOINT, b"\n\n\n"),
        (CHECKPOINT, b"\xff"),
        (CHECKPOINT, b"a" * 2_000_000),
        (f"data/log/timestamps/{packets.AUTHORITY}.tsr", b"\x30\x84\xff\xff\xff\xff"),
        ("bag-info.txt", b"\xff\x00"),
        ("manifest-sha256.txt", b"\xff"),
        ("tagmanifest-sha256.txt", b""),
    ],
    ids=lambda one: one.rpartition("/")[2] if isinstance(one, str) else str(one[:12]),
)
def test_whatever_stands_in_a_file_it_is_refused_with_a_sentence(folder: Path, path: str, raw: bytes) -> None:
    (folder / path).write_bytes(raw)
    status, said = run(folder)
    assert status == verify.FAILED
    assert path in said
    assert "did not expect" not in said


@pytest.mark.long
def test_every_kind_of_file_cut_off_is_refused(folder: Path, good: Files) -> None:
    for path in good:
        if path.endswith(("timeline.csv", ".DAT", "verify.py", "verify.html")):
            continue
        for length in (0, len(good[path]) // 2, len(good[path]) - 1):
            (folder / path).write_bytes(good[path][:length])
            assert path in str(failures(folder)["files"]), (path, length)
        (folder / path).write_bytes(good[path])
    assert failures(folder) == {}


def test_every_missing_file_is_named(folder: Path, good: Files) -> None:
    for path in good:
        (folder / path).unlink()
        assert f"{path}: the file is missing" in str(failures(folder)["files"])
        (folder / path).write_bytes(good[path])


def test_what_cannot_be_read_is_said_so(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a file").write_bytes(b"")
    (tmp_path / "link").symlink_to(folder)
    for path in ("empty", "a file", "nowhere", "link"):
        command = [sys.executable, "-I", "-S", str(packets.VERIFIER / "verify.py"), str(tmp_path / path)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (verify.UNREADABLE, "")
        assert done.stdout.startswith("CANNOT BE READ: ")
    status, said = run(folder, "--checkpoint", "/nowhere", "--json")
    assert status == verify.UNREADABLE
    assert json.loads(said)["proven"] is False
