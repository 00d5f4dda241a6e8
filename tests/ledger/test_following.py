"""A witness that looks at a log: it signs for growth, refuses a fork and a rollback aloud, and keeps what it saw of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.ledger.notes import parse_note, verify
from app.ledger.witness import Witness
from tests.ledger.logs import TOKEN, Log, served
from tests.ledger.test_witnessing import ELSEWHERE, FORKED, KEYS, LEAVES, LOG, NEXT_KEY, STRANGER
from tests.repo.tree import ROOT
from tests.support.commands import RUNNER, cli


@pytest.fixture
def log() -> Log:
    return Log(LOG, LEAVES, 3)


@pytest.fixture
def url(log: Log) -> Iterator[str]:
    with served(log) as address:
        yield address


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return path


def arguments(url: str, token: Path, *more: str) -> list[str]:
    logs = [part for key in KEYS for part in ("--log", str(key))]
    return ["witness", "follow", url, "--token-file", str(token), "--state", str(token.parent / "state"), *logs, *more]


def look(url: str, token: Path, *more: str) -> tuple[int, str]:
    result = RUNNER.invoke(cli.cli, arguments(url, token, "--once", *more))
    assert TOKEN not in result.output
    return result.exit_code, result.output


def copies(token: Path) -> list[str]:
    return sorted((path.name for path in token.parent.glob("state/*/[0-9]*.note")), key=lambda name: int(name[:-5]))


def evidence(token: Path) -> str:
    (kept,) = token.parent.glob("state/refused/*.txt")
    return kept.read_text()


def test_growth_is_cosigned_and_each_checkpoint_kept(log: Log, url: str, token: Path) -> None:
    for size in (3, 3, 20, 64):
        log.size = size
        code, said = look(url, token)
        assert code == 0, said
    assert "the log has grown from 20 to 64 entries" in said
    assert copies(token) == ["3.note", "20.note", "64.note"]
    key = Witness(token.parent / "state", KEYS).key
    for path in token.parent.glob("state/*/[0-9]*.note"):
        assert set(verify(parse_note(path.read_bytes()), [LOG.key, key])) == {LOG.key, key}
    assert f"signs as {key}" in said


def test_the_log_may_change_its_key(log: Log, url: str, token: Path) -> None:
    assert look(url, token)[0] == 0
    log.signer, log.size = NEXT_KEY, 20
    assert look(url, token)[0] == 0
    log.signer, log.size = STRANGER, 30
    code, said = look(url, token)
    assert (code, "none of this log's keys that are trusted here" in said) == (1, True)
    assert look(url, token, "--log", str(STRANGER.key))[0] == 0


@pytest.mark.parametrize(
    ("leaves", "size", "why"),
    [
        (FORKED, 20, "two different histories of 20 entries"),
        (FORKED, 40, "does not lead to the older root"),
        (LEAVES, 19, "the log had 20 entries and now says that it has 19"),
    ],
)
def test_a_log_that_does_not_continue_is_refused_aloud(
    log: Log, url: str, token: Path, leaves: list[bytes], size: int, why: str
) -> None:
    log.size = 20
    assert look(url, token)[0] == 0
    before = log.checkpoint().decode().partition("\n\n")[0]
    log.leaves, log.size = leaves, size
    code, said = look(url, token)
    assert code == 1
    assert "REFUSED" in said
    assert why in said
    assert copies(token) == ["20.note"]
    for part in (why, before, log.checkpoint().decode()):
        assert part in evidence(token)
    log.leaves, log.size = LEAVES, 21
    assert look(url, token)[0] == 0


def test_a_proof_that_proves_nothing_is_refused(log: Log, url: str, token: Path) -> None:
    assert look(url, token)[0] == 0
    log.size = 20
    log.proof = log.consistency(2, 20)
    code, said = look(url, token)
    assert (code, "REFUSED" in said) == (1, True)
    log.proof = None
    assert look(url, token)[0] == 0


def test_another_log_is_not_cosigned(log: Log, url: str, token: Path) -> None:
    log.signer = ELSEWHERE
    code, said = look(url, token)
    assert (code, "no log of the name 'other.example/ledger/1' is watched here" in said) == (1, True)
    assert copies(token) == []


def test_what_cannot_be_had_says_nothing_against_the_log(log: Log, url: str, token: Path) -> None:
    assert look(url, token)[0] == 0
    log.size = 20
    for proof, broken in ((None, 500), (None, 302), (None, 401), ("", 0), ("<html>", 0), ("é", 0), ("x" * 300_000, 0)):
        log.proof, log.broken = proof, broken
        code, said = look(url, token)
        assert (code, "REFUSED" in said) == (2, False), said
    assert not list(token.parent.glob("state/refused/*"))
    nobody = "http://127.0.0.1:9/v1/ledger"
    assert look(nobody, token)[0] == 2


@pytest.mark.parametrize(
    "bad", ["http://harmline.example/v1/ledger", "ftp://127.0.0.1/", "https://[", "https://", "https://a:b/", "x"]
)
def test_a_token_goes_to_no_address_that_shows_it(token: Path, bad: str) -> None:
    code, said = look(bad, token)
    assert (code, "must begin with https://" in said) == (2, True)


@pytest.mark.parametrize("content", [b"", b"a\nb", "tökén".encode(), b"\xff"])
def test_a_file_without_a_token_is_told(url: str, token: Path, content: bytes) -> None:
    token.write_bytes(content)
    code, said = look(url, token)
    assert (code, "does not hold a token" in said) == (2, True)


def test_a_key_that_is_none_of_a_log_is_told(url: str, token: Path) -> None:
    witness = Witness(token.parent / "other", []).key
    for key in ("nonsense", str(witness)):
        assert look(url, token, "--log", key)[0] == 2


@pytest.mark.long
def test_it_goes_on_looking_until_the_log_lies(log: Log, url: str, token: Path) -> None:
    program = [sys.executable, "-m", "app.witness_commands", *arguments(url, token, "--every", "1")[1:]]
    process = subprocess.Popen(program, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE)
    try:
        for size in (3, 20):
            log.size = size
            deadline = time.monotonic() + 60
            while f"{size}.note" not in copies(token) and time.monotonic() < deadline:
                time.sleep(0.1)
        log.leaves = FORKED
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1
    assert b"REFUSED: the log has shown two different histories of 20 entries" in said
    assert copies(token) == ["3.note", "20.note"]


def test_a_witness_needs_nothing_of_harmline_but_a_few_modules() -> None:
    code = "import sys, app.witness_commands; print(*sorted(name for name in sys.modules if name.startswith('app.')))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=True
    )
    loaded = set(done.stdout.decode().split())
    assert loaded == {
        *("app.kit", "app.kit.clock", "app.ledger", "app.witness_commands"),
        *(f"app.ledger.{name}" for name in ("following", "notes", "proofs", "tree", "witness", "witness_server", "witnessing")),
    }
