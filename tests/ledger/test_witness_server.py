"""A witness over real HTTP: it cosigns growth, refuses the rest, forgets nothing when it is killed, and never forks."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from app.ledger.notes import Note, parse_checkpoint, parse_note, parse_signature, verify
from app.ledger.tree import leaf_hash, root_of
from app.ledger.witness import Witness
from app.ledger.witnessing import LARGEST_OFFER, Offer, write_request
from tests.ledger.test_witnessing import ELSEWHERE, FORKED, KEYS, LEAVES, LOG, STRANGER, offered
from tests.repo.tree import ROOT

NAME = "witness.local17.example"
FLUSHES = 4
"""Of one checkpoint: the newest and the copy, each a file and its folder."""
DIES_AT = """
import os, signal, sys
flushed, left = os.fsync, int(sys.argv.pop(1))
def fsync(handle):
    global left
    flushed(handle)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
os.fsync = fsync
from app.witness_commands import commands
commands()
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def running(state: Path, dies_at: int = 0) -> Iterator[str]:
    """A witness in a process of its own; gives its address. `dies_at`: killed when it has flushed so many files and folders."""
    port = free_port()
    program = ["-c", DIES_AT, str(dies_at)] if dies_at else ["-m", "app.witness_commands"]
    logs = [part for key in KEYS for part in ("--log", str(key))]
    arguments = [sys.executable, *program, "serve", "--state", str(state), *logs, "--name", NAME, "--port", str(port)]
    process = subprocess.Popen(arguments, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/add-checkpoint"
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        process.wait(10)


def send(url: str, offer: Offer) -> httpx.Response:
    return httpx.post(url, content=write_request(offer.old, offer.hashes, bytes(offer.note)), timeout=30)


def cosigned(answer: httpx.Response, offer: Offer, state: Path) -> int:
    """When an answer's cosignature says that it was made, in seconds since 1970."""
    assert answer.status_code == 200, answer.text
    key = Witness(state, KEYS, NAME).key
    note = Note(offer.note.text, (parse_signature(answer.text.removesuffix("\n")),))
    seconds = verify(note, [key])[key]
    assert seconds is not None
    return seconds


def test_growth_is_cosigned_and_every_refusal_has_its_status(tmp_path: Path) -> None:
    started = int(time.time())
    with running(tmp_path) as url:
        for old, new in ((0, 3), (3, 3), (3, 20), (20, 64)):
            offer = offered(old, new)
            answer = send(url, offer)
            assert started <= cosigned(answer, offer, tmp_path) <= time.time()
            assert answer.headers["content-type"].startswith("text/plain")
        refused = {
            404: offered(64, 64, signer=ELSEWHERE),
            403: offered(64, 64, signer=STRANGER),
            400: offered(64, 20),
            422: Offer(64, (bytes(32),), offered(64, 64).note, offered(64, 64).checkpoint),
        }
        assert {status: send(url, offer).status_code for status, offer in refused.items()} == {
            status: status for status in refused
        }
        stale = send(url, offered(20, 64))
        assert (stale.status_code, stale.headers["content-type"], stale.text) == (409, "text/x.tlog.size", "64\n")
        assert not (tmp_path / "refused").exists()
        fork = send(url, offered(64, 64, FORKED))
        assert (fork.status_code, "two different histories of 64" in fork.text) == (409, True)
        assert httpx.post(url, content=b"old 64\n\n").status_code == 400
        assert httpx.post(url, content=b"x" * (LARGEST_OFFER + 1)).status_code == 413
        assert httpx.get(url).status_code == 405
        assert httpx.post(f"{url}/more").status_code == 404
    (evidence,) = (tmp_path / "refused").iterdir()
    told = evidence.read_text()
    assert offered(64, 64).checkpoint.text in told
    assert str(offered(64, 64, FORKED).note) in told


def test_what_is_kept_is_the_log_s_own_word_and_the_witness_s_alone(tmp_path: Path) -> None:
    offer = offered(0, 5)
    crowd = offer.note.with_lines([STRANGER.sign(offer.note.text)])
    with running(tmp_path) as url:
        cosigned(send(url, Offer(0, (), crowd, offer.checkpoint)), offer, tmp_path)
    note = parse_note(next(tmp_path.glob("*/5.note")).read_bytes())
    key = Witness(tmp_path, KEYS).key
    assert set(verify(note, [LOG.key, key])) == {LOG.key, key}
    assert len(note.signatures) == 2


def test_requests_at_the_same_time_never_make_it_fork(tmp_path: Path) -> None:
    with running(tmp_path) as url, ThreadPoolExecutor(16) as crowd:
        cosigned(send(url, offered(0, 3)), offered(0, 3), tmp_path)
        offers = [offered(3, size, leaves) for size in range(4, 12) for leaves in (LEAVES, FORKED)] * 2
        answers = list(crowd.map(lambda offer: send(url, offer), offers))
        statuses = {answer.status_code for answer in answers}
        assert statuses <= {200, 409}
        won = {offer.checkpoint for offer, answer in zip(offers, answers, strict=True) if answer.status_code == 200}
        (one,) = won
        assert send(url, offered(one.size, one.size, LEAVES if one.root == root_of(LEAVES[: one.size]) else FORKED)).is_success
    assert sorted(path.name for path in tmp_path.glob("*/[0-9]*.note")) == sorted(["3.note", f"{one.size}.note"])


@pytest.mark.long
def test_two_processes_on_one_folder_are_one_witness(tmp_path: Path) -> None:
    with running(tmp_path) as first, running(tmp_path) as second, ThreadPoolExecutor(8) as crowd:
        assert send(first, offered(0, 4)).is_success
        rewritten = [leaf_hash(b"rewritten"), *LEAVES[1:]]
        for size in range(8, 24, 4):
            offers = [offered(size - 4, size, leaves) for leaves in (LEAVES, rewritten)] * 4
            answers = list(crowd.map(send, [first, first, second, second] * 2, offers))
            won = [offer for offer, answer in zip(offers, answers, strict=True) if answer.is_success]
            assert [offer.checkpoint for offer in won] == [offered(size, size).checkpoint]


def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as url:
        cosigned(send(url, offered(0, 9)), offered(0, 9), tmp_path)
    with running(tmp_path) as url:
        assert send(url, offered(9, 9, FORKED)).status_code == 409
        assert send(url, offered(0, 9, FORKED)).status_code == 409
        assert send(url, offered(9, 12, FORKED)).status_code == 422
        cosigned(send(url, offered(9, 12)), offered(9, 12), tmp_path)


@pytest.mark.share
@pytest.mark.parametrize("dies_at", range(1, 6))
def test_killed_between_the_disk_and_the_answer_it_stands_where_it_was_or_one_further(tmp_path: Path, dies_at: int) -> None:
    with running(tmp_path) as url:
        cosigned(send(url, offered(0, 9)), offered(0, 9), tmp_path)
    with running(tmp_path, dies_at) as url:
        told = None
        with suppress(httpx.TransportError):
            told = send(url, offered(9, 12))
    with running(tmp_path) as url:
        known = Witness(tmp_path, KEYS).known(LOG.key.name)
        assert known in (offered(9, 9).checkpoint, offered(9, 12).checkpoint)
        assert (told is None) == (dies_at <= FLUSHES)
        assert (known.size == 12) == (dies_at >= 2)
        if known.size == 12:
            assert send(url, offered(12, 12, FORKED)).status_code == 409
            stale = send(url, offered(9, 12))
            assert (stale.status_code, stale.text) == (409, "12\n")
        retried = offered(known.size, 12)
        cosigned(send(url, retried), retried, tmp_path)
    copy = parse_note(next(tmp_path.glob("*/12.note")).read_bytes())
    assert parse_checkpoint(copy.text) == offered(9, 12).checkpoint
    assert all(path.suffix == ".note" for path in next(tmp_path.glob("*/newest.note")).parent.glob("[!.]*"))


@pytest.mark.slow
def test_senders_who_do_not_send_hold_nobody_up(tmp_path: Path) -> None:
    body = b"POST /add-checkpoint HTTP/1.1\r\nhost: a\r\ncontent-length: 500\r\n\r\nold "
    with running(tmp_path) as url, ExitStack() as held:
        for begun in (body, body[:20], b"") * 30:
            one = held.enter_context(socket.create_connection(("127.0.0.1", httpx.URL(url).port), timeout=60))
            one.sendall(begun)
        cosigned(send(url, offered(0, 9)), offered(0, 9), tmp_path)
        waiting = []
        for begun, answer in ((body, b"HTTP/1.1 408 Request Timeout"), (body[:20], b""), (b"", b"")):
            one = held.enter_context(socket.create_connection(("127.0.0.1", httpx.URL(url).port), timeout=60))
            one.sendall(begun)
            waiting.append((one, answer))
        for one, answer in waiting:
            assert one.recv(28) == answer
