"""The measuring instruments and the long experiments work, each once and short; how fast anything is, is not judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from app.intake import gateway
from benchmarks.campaigns import forgeries, overload, soak
from benchmarks.pipeline import sustained
from benchmarks.support import harmline, route
from benchmarks.support.child import Child
from benchmarks.support.filling import Cache, at_work
from benchmarks.support.rough import Rough
from benchmarks.support.running import growth
from benchmarks.support.wire import Wire, alert_body, request, signature
from connectors.standard.connector import Standard
from connectors.standard.sandbox import sign
from tests.support.postgres import PostgresServer
from tests.support.world import NOW

ROOT = Path(__file__).parents[2]


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def last_line(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_what_the_clients_send_is_what_a_provider_sends() -> None:
    body, secret, moment = alert_body("a-1", "ref-M-1", 7), "whsec_" + "A" * 43 + "=", int(NOW.timestamp())
    right = sign(secret, body, at=NOW, message_id="msg-1")
    assert signature(secret, "msg-1", moment, body) == right["webhook-signature"]
    raw = request(80, "/webhooks/x", secret, "msg-1", body, moment)
    head, _, sent = raw.partition(b"\r\n\r\n")
    assert sent == body
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        assert f"\r\n{name}: {right[name]}".encode() in head
    (event,) = Standard().split(body)
    assert Standard().normalise(event).identity == ("a-1",)  # type: ignore[union-attr]


def test_answers_are_read_however_they_are_cut() -> None:
    whole = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\nretry-after: 5\r\n\r\nbusy"
    for cut in range(1, len(whole)):
        seen: list[tuple[int, bytes]] = []
        wire = Wire(lambda wire, status, head, seen=seen: seen.append((status, wire.body)), lambda _wire: None)
        wire.data_received(whole[:cut])
        assert not seen
        wire.data_received(whole[cut:])
        assert seen == [(503, b"busy")]


def test_memory_that_grows_is_seen() -> None:
    flat = [{"at": 5.0 * n, "web_rss_mb": 100 + n % 3} for n in range(120)]
    rising = [{"at": 5.0 * n, "web_rss_mb": 100 + n / 10} for n in range(120)]
    assert abs(growth(flat, "web_rss_mb", 120) or 0) < 0.02
    assert (growth(rising, "web_rss_mb", 120) or 0) > 0.05
    assert growth(flat[:5], "web_rss_mb", 0) is None


@pytest.mark.parametrize("kind", ["repeat", "forged", "good"])
def test_what_is_put_off_is_not_counted_as_done(tmp_path: Path, kind: str) -> None:
    """A repeat that was told to come again is none in the accounts; nor does a busy service look at what is forged."""
    job = {"run": "r", "members": 1, "faults": 0, "book": str(tmp_path / "book")}
    sender, wire = Rough(job), Wire(lambda *_: None, lambda _: None)
    wire.number = 7
    sender._kinds[7], sender._repeats[7], sender._due[wire] = kind, 3, 0.0
    sender._answered(wire, 503, b"HTTP/1.1 503\r\nRetry-After: 2\r\n")
    assert (sender._told(1)["done"], sender._told(1)["amiss"]) == ({"put off": 1}, {})


def soaked(**change: Any) -> dict[str, Any]:
    """What a soak finds when all is well, but for one thing."""
    accounts = {"deliveries": 12, "receipts": 10, "repeats": 1, "refused": {"not_authentic": 1}, "waiting": 0}
    accounts |= {"events": 9, "unsplittable": 1, **dict.fromkeys(soak.EVENTS, 0), "new": 9, **change.get("accounts", {})}
    held = {"lost": 0, "one_receipt_for_two_bodies": 0, "stored": 10, "stored_twice": 0, "stored_without_an_answer_read": 1}
    seen = {"amiss": {}, "unanswered": 0, "done": {"forged": 1, "repeat": 1, "cut_off": 1}, **change.get("sender", {})}
    return {
        "sender": seen,
        "books": {**held, **change.get("books", {}), "accounts": accounts},
        "before": {"web_files": 20},
        "at_rest": {"web_files": 30, "db_connections": 12, "db_stuck_in_transaction": 0, **change.get("at_rest", {})},
        "growth": {"web": 0.01, **change.get("growth", {})},
    }


@pytest.mark.parametrize(
    "change",
    [
        {"books": {"lost": 1}},
        {"books": {"stored_twice": 1}},
        {"books": {"stored_without_an_answer_read": 2}},
        {"books": {"one_receipt_for_two_bodies": 1}},
        {"sender": {"amiss": {"forged and not refused": 1}}},
        {"sender": {"unanswered": 1}},
        {"accounts": {"deliveries": 13}},
        {"accounts": {"waiting": 1}},
        {"accounts": {"refused": {}, "deliveries": 11}},
        {"accounts": {"repeats": 0, "deliveries": 11}},
        {"accounts": {"events": 8}},
        {"accounts": {"new": 8}},
        {"at_rest": {"web_files": 60}},
        {"at_rest": {"db_stuck_in_transaction": 1}},
        {"growth": {"web": 0.06}},
        {"growth": {"db_connections": 0.2}},
    ],
    ids=str,
)
def test_a_soak_sees_what_is_broken(change: dict[str, Any]) -> None:
    assert soak.broken(soaked(), 600) == []
    assert len(soak.broken(soaked(**change), 600)) >= 1


def flooded(**change: Any) -> dict[str, Any]:
    """What an overload finds when all is well, but for one thing."""
    flood = {"amiss": {}, "acknowledged": 10, "accepted_p99_s": 1.0, **change.get("flood", {})}
    held = {"lost": 0, "stored_twice": 0, "one_receipt_for_two_bodies": 0, **change.get("books", {})}
    after = {"amiss": {}, "statuses": {"202": 5}, **change.get("after", {})}
    return {"flood": flood, "books": held, "calm_after": after, "offered_over_calm": change.get("times", 11)}


@pytest.mark.parametrize(
    "change",
    [
        {"flood": {"amiss": {"hung": 1}}},
        {"flood": {"acknowledged": 0}},
        {"times": 9.9},
        {"flood": {"accepted_p99_s": 2.5}},
        {"books": {"lost": 1}},
        {"books": {"stored_twice": 1}},
        {"after": {"statuses": {"202": 5, "503": 1}}},
    ],
    ids=str,
)
def test_an_overload_sees_what_is_broken(change: dict[str, Any]) -> None:
    assert overload.broken(flooded(), 2.0, 10) == []
    assert len(overload.broken(flooded(**change), 2.0, 10)) == 1


def forged(**change: Any) -> dict[str, Any]:
    """What a flood of forgeries finds when all is well, but for one thing."""
    during = {"acknowledged": 50, "refused": {}, "unanswered": 0, "answer_p99_s": 0.2, **change.get("good", {})}
    flood = {"acknowledged": 0, "amiss": {}, "statuses": {"401": 7, "429": 70}, **change.get("forged", {})}
    refused = {"not_authentic": 7, "too_fast": 70, **change.get("refused", {})}
    held = {"stored": 60 + change.get("more", 0), "accounts": {"refused": refused}}
    return {"calm": {"acknowledged": 10}, "good": during, "forged": flood, "books": held}


@pytest.mark.parametrize(
    "change",
    [
        {"forged": {"acknowledged": 1}},
        {"forged": {"amiss": {"hung": 1}}},
        {"good": {"refused": {"429": 1}}},
        {"good": {"unanswered": 1}},
        {"good": {"answer_p99_s": 1.5}},
        {"more": 1},
        {"refused": {"not_authentic": 6}},
        {"refused": {"too_fast": 69}},
    ],
    ids=str,
)
def test_a_flood_of_forgeries_sees_what_is_broken(change: dict[str, Any]) -> None:
    assert forgeries.broken(forged(), 1.0) == []
    assert len(forgeries.broken(forged(**change), 1.0)) == 1


@pytest.mark.slow
def test_a_few_seconds_of_forgeries(tmp_path: Path) -> None:
    results = tmp_path / "forgeries.json"
    # How long the good ones wait is for the campaign to judge, on a machine of its own.
    arguments = ("--minutes", "0.1", "--connections", "100", "--rate", "20", "--slowest", "20", "--results", str(results))
    done = run("benchmarks.campaigns.forgeries", *arguments)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (found,) = json.loads(results.read_text())["runs"]
    assert found["forged"]["statuses"].keys() == {"401", "429"}


def test_the_route_is_measured_and_not_the_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "PREFIX", gateway.PREFIX)  # and put back after the test
    monkeypatch.setattr(harmline, "create_app", FastAPI)
    delivery = {"type": "http", "method": "POST", "path": "/webhooks/a/b"}
    assert gateway._addressed(delivery) == ("a", "b")
    route.create_app()
    assert gateway._addressed(delivery) is None


@pytest.mark.slow
def test_the_bench_of_intake_counts_what_it_measured() -> None:
    done = run("benchmarks.intake", "--quick", "--rounds", "1", "--seconds", "0.5", "--route")
    found = last_line(done)
    assert found.keys() == {"sqlite", "postgresql"}
    assert all(said["vs_route"] > 0 for said in found.values())
    assert found["postgresql"].keys() >= {"vs_naive", "vs_bare", "p99_vs_naive_p50", "at_256_vs_64"}
    assert "Every body that was acknowledged is stored once." in done.stdout


@pytest.mark.slow
def test_the_bench_of_connectors_reads_and_hands_in() -> None:
    found = last_line(
        run("benchmarks.connectors", "--connector", "file", "--seconds", "0.01", "--rows", "3000", "--database", "sqlite")
    )
    assert found["connectors"]["file"]["events_per_s"] > 0
    assert found["import"]["sqlite"]["rows"] == 3000


@pytest.mark.slow
def test_two_versions_are_compared_act_by_act() -> None:
    found = last_line(run("benchmarks.before", "--base", "HEAD", "--turns", "1", "--database", "sqlite"))
    assert found["sqlite"].keys() == {"incident", "intake_64_at_once", "intake_alone", "timeline", "timeline_page"}
    assert all(each["ratio"] > 0 for each in found["sqlite"].values())


@pytest.mark.slow
def test_a_database_of_copies_takes_new_alerts_about_any_of_its_members(tmp_path: Path, postgres: PostgresServer) -> None:
    """Copying speaks for nobody but the owner: no other role may see the tables that help it."""
    cache = Cache(tmp_path, postgres)
    try:
        few = cache.small(40)
        for block in (few, cache.small(4, few.union.members)):
            copies = cache.large(block, 2)
            assert (copies.union.stored, copies.union.members) == (2 * block.union.stored, 4)
            with at_work(copies) as workers:  # it raises when one of them does not come to its timeline
                assert sustained(copies, workers, 12, "more")["per_s"] > 0
    finally:
        for name in ("40", "80", "4_of_2", "8_of_4"):
            cache.drop(f"filled_{name}")


def test_a_version_that_is_not_there_is_named() -> None:
    done = run("benchmarks.before", "--base", "0" * 40, "--database", "sqlite")
    assert done.returncode == 1
    assert "does not have the commit 0000" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
def test_a_few_seconds_of_soak(tmp_path: Path, database: str) -> None:
    results = tmp_path / "soak.json"
    arguments = ("--minutes", "0.2", "--rate", "40", "--database", database, "--seed", "7", "--results", str(results))
    done = run("benchmarks.campaigns.soak", *arguments)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (found,) = json.loads(results.read_text())["runs"]
    assert found["books"]["acknowledged"] > 50
    assert found["seed"] == 7
    assert database == "sqlite" or found["at_rest"]["db_connections"] > 0, "else what stays open there is not seen"


@pytest.mark.slow
@pytest.mark.parametrize("where", [("--store-delay", "0"), ("--store-delay", "0.1"), ("--database", "sqlite")])
def test_a_few_seconds_of_overload(tmp_path: Path, where: tuple[str, str]) -> None:
    results = tmp_path / "overload.json"
    # How long they wait is for the campaign to judge, on a machine of its own: here other tests run beside it.
    judged = ("--slowest", "20", "--times", "0")
    arguments = ("--minutes", "0.15", "--connections", "700", *judged, *where, "--results", str(results))
    done = run("benchmarks.campaigns.overload", *arguments)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (found,) = json.loads(results.read_text())["runs"]
    assert found["flood"]["answers"] > found["flood"]["acknowledged"] > 0


def test_a_child_that_is_stopped_ends_in_order_although_it_watches_for_its_parent(tmp_path: Path) -> None:
    """What it does at its end (a server writes what it refused in the last second) is part of what is measured."""
    done = tmp_path / "done"
    told = (
        "import signal, sys, time, pathlib\n"
        "from benchmarks.support.child import end_with_parent, say\n"
        "def ended(*_):\n"
        f"    time.sleep(0.3); pathlib.Path({str(done)!r}).touch(); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, ended)\n"
        "end_with_parent(); say({'ready': True}); time.sleep(60)\n"
    )
    (tmp_path / "slow_to_end.py").write_text(told)
    child = Child("slow_to_end", log=tmp_path / "log", environment={"PYTHONPATH": str(tmp_path)})
    child.hear()
    child.stop()
    assert done.exists()
