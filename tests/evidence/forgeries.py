"""Changes to a good packet by somebody who also writes its lists of files anew: what fails then, and why."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

from app.kit import canonical
from tests.evidence import packets
from tests.evidence.packets import PLACES, Files

CHECKPOINT, PACKET = "data/log/checkpoint", "data/packet.json"
FIRST, SECOND = "data/exhibits/EX-0000001", "data/exhibits/EX-0000002"
TIMESTAMP = f"timestamps/{packets.AUTHORITY}.tsr"
OLDER = "data/log/older/100"
PROVING = ("entry.json", "proof.tlog-proof", "opening.json")
OTHER = str(packets.row_id(8888))
Change = Callable[[Files], None]
Forgery = tuple[str, Change, str, str]
"""A name, the change, the check that fails, and words of its reason."""


def put(path: str, raw: bytes) -> Change:
    return lambda files: files.update({path: raw})


def swap(path: str, old: bytes, new: bytes) -> Change:
    return lambda files: files.update({path: files[path].replace(old, new, 1)})


def copy(path: str, other: str) -> Change:
    return lambda files: files.update({path: files[other]})


def drop(path: str) -> Change:
    return lambda files: files.pop(path) and None


def anew(path: str, old: bytes, new: bytes, *views: str) -> Change:
    """Another file of the same length, and everything that names its hash changed along: only the log knows better."""

    def change(files: Files) -> None:
        body = files[path].replace(old, new, 1)
        assert body != files[path]
        hashes = [hashlib.sha256(one).hexdigest().encode() for one in (files[path], body)]
        files[path] = body
        for named in (PACKET, *views):
            files[named] = files[named].replace(*hashes)

    return change


def told(path: str, change: Callable[[Any], object]) -> Change:
    """Something else in a JSON file."""

    def within(files: Files) -> None:
        value = json.loads(files[path])
        change(value)
        files[path] = canonical.dumps(value)

    return within


def custody_exchanged(files: Files) -> None:
    """Each of two exhibits tells what was done with the other."""
    views = [json.loads(files[f"{one}/exhibit.json"]) for one in (FIRST, SECOND)]
    for folder, view, other in zip((FIRST, SECOND), views, reversed(views), strict=True):
        files[f"{folder}/exhibit.json"] = canonical.dumps(view | {"custody": other["custody"]})


def exchanged(files: Files) -> None:
    """Each of two exhibits has the entry, the proof and the bytes of the other, under its own view."""
    said = json.loads(files[PACKET])
    first, second = said["exhibits"][:2]
    for one, other in ((first, second), (second, first)):
        one |= {"index": PLACES[other["bates"]], "entry": str(packets.row_id(PLACES[other["bates"]]))}
    moved = {f"{FIRST}/{name}": files[f"{SECOND}/{name}"] for name in PROVING}
    moved |= {f"{SECOND}/{name}": files[f"{FIRST}/{name}"] for name in PROVING}
    moved |= {first["file"]["path"]: files[second["file"]["path"]], second["file"]["path"]: files[first["file"]["path"]]}
    files |= moved
    for one in (first, second):
        body, facts = files[one["file"]["path"]], json.loads(files[f"{one['folder']}/opening.json"])["facts"]
        one["file"] |= {"sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}
        view, more = f"{one['folder']}/exhibit.json", {"proved_by": facts["proof"], "channel": facts["channel"]}
        at = json.loads(files[f"{one['folder']}/entry.json"])["at"]
        files[view] = canonical.dumps(json.loads(files[view]) | more | {"file": one["file"], "received_at": at})
    files[PACKET] = canonical.dumps(said)


def _of_entries() -> Iterator[Forgery]:
    proof = f"{FIRST}/proof.tlog-proof"
    yield "original", swap(f"{FIRST}/original.json", b"Invented", b"Invested"), "originals", "SHA-256 or its length"
    renamed = anew(f"{FIRST}/original.json", b"Invented", b"Invested", f"{FIRST}/exhibit.json")
    yield "original renamed", renamed, "originals", "these are not the bytes that were received"
    yield "entry", swap(f"{FIRST}/entry.json", b'"receipt"', b'"release"'), "entries", "does not lead to the root"
    yield "entry spaced", swap(f"{FIRST}/entry.json", b'"kind":', b'"kind": '), "entries", "not written in the canonical form"
    yield "entry of another", copy(f"{FIRST}/entry.json", f"{SECOND}/entry.json"), "entries", "another entry"
    yield "salt", swap(f"{FIRST}/opening.json", b'"salt":"', b'"salt":"0'), "openings", "salt is not written"
    yield "facts", swap(f"{FIRST}/opening.json", b"webhook", b"webhack"), "openings", "does not open"
    yield "no opening", drop(f"{FIRST}/opening.json"), "openings", "missing"
    yield "opening too many", put("data/exhibits/EX-0000003/opening.json", b"{}"), "openings", "said to stay closed"
    yield "proof", swap(proof, b"index 7", b"index 8"), "entries", "of place 8"
    yield "proof of another", copy(proof, f"{SECOND}/proof.tlog-proof"), "entries", "place 99"
    yield "proof cut", lambda files: files.update({proof: files[proof][:99]}), "entries", "proof is not"
    yield "summary", put("data/members/EX/timeline.json", b"{}"), "originals", "SHA-256 or its length"
    yield "a folder more", put("data/exhibits/EX-0000009/exhibit.json", b"{}"), "packet", "does not name this folder"
    yield "an original more", put("data/exhibits/EX-0000003/original.bin", b"x"), "originals", "does not name"
    yield "a second original", put(f"{FIRST}/original.pdf", b"x"), "originals", "does not name"
    yield "a second original in capitals", put(f"{FIRST}/more/ORIGINAL.json", b"x"), "originals", "does not name"
    yield "an exhibit less", drop("data/exhibits/EX-0000005/exhibit.json"), "exhibits", "missing"


def _of_the_log() -> Iterator[Forgery]:
    log = packets.made_log()
    yield "checkpoint", swap(CHECKPOINT, b"\n300\n", b"\n301\n"), "checkpoint", "is wrong"
    yield "checkpoint signer", put(CHECKPOINT, log.checkpoint(300, packets.STRANGER)), "checkpoint", "not signed"
    yield "other checkpoint", put(CHECKPOINT, log.checkpoint(299)), "checkpoint", "another checkpoint"
    yield "timestamp", copy(f"data/log/{TIMESTAMP}", f"{OLDER}/{TIMESTAMP}"), "timestamps", "something else"
    yield "no timestamp", drop(f"data/log/{TIMESTAMP}"), "timestamps", "missing"
    yield "older", swap(f"{OLDER}/checkpoint", b"\n100\n", b"\n101\n"), "growth", "is wrong"
    yield "growth", swap(f"{OLDER}/growth", b"old 100", b"old 101"), "growth", "other checkpoints"
    yield "no witness", put(f"{OLDER}/checkpoint", log.checkpoint(100)), "cosignatures", "missing"
    yield "a log file more", put("data/log/other", b"{}"), "packet", "does not name this file"


def _of_views() -> Iterator[Forgery]:
    view = f"{FIRST}/exhibit.json"
    received = b'"received_at":"2026-11-27T04:'
    yield "received", swap(view, received + b"30", received + b"20"), "exhibits", "at another time"
    yield "proved by", swap(view, b'"scheme":"hmac', b'"scheme":"none'), "exhibits", "what proved it"
    yield "act", swap(view, b'"act":"view"', b'"act":"hold"'), "custody", "something else of the act"
    yield "bates", swap(view, b'"bates":"EX-0000001"', b'"bates":"EX-0000002"'), "exhibits", "something else of bates"
    yield "member", swap(view, b'"member":"019a', b'"member":"019b'), "exhibits", "a member whom packet.json does not name"
    yield "another delivery", told(view, lambda one: one.update(receipt=OTHER)), "exhibits", "about another delivery"
    yield "exchanged", exchanged, "exhibits", "about another delivery"
    yield "custody of another", custody_exchanged, "custody", "is about something else than this exhibit"
    yield "act on another", told(view, lambda one: one.update(incidents=[OTHER])), "custody", "is about something else than"
    carried = told(f"{SECOND}/exhibit.json", lambda one: one.update(carriers=[]))
    yield "carried by another", carried, "custody", "is about something else than this exhibit"
    yield "no list of incidents", told(view, lambda one: one.pop("incidents")), "exhibits", "incidents is missing"
    yield "a carrier that is none", told(view, lambda one: one.update(carriers=["x"])), "exhibits", "holds what is no id"
    yield "told again", told(view, lambda one: one.update(again=[{}])), "exhibits", "receipt is missing"
    yield from _of_rows()
    yield "grade", swap(view, b'"grade":"shared_secret"', b'"grade":"sworn"'), "exhibits", "none of the words"


def _of_rows() -> Iterator[Forgery]:
    timeline, view = "data/members/EX/timeline.json", "data/exhibits/EX-0000005/exhibit.json"
    digest = hashlib.sha256(packets.WEBHOOK).hexdigest().encode()
    yield "row's hash", anew(timeline, digest, b"0" * 64, view), "exhibits", "gives another SHA-256 of EX-0000001 than"
    yield "row of no hash", anew(timeline, b'"sha256"', b'"sha255"', view), "exhibits", "sha256 is missing"
    other = anew(timeline, b"EX-0000001", b"EX-0000003", view)
    yield "row of another", other, "exhibits", "rests on EX-0000003, which is none of its sources"
    yield "no timeline", anew(timeline, b"timeline@v1", b"timeline@v2", view), "exhibits", "not written as harmline-timeline@v1"
    rows = told(PACKET, lambda said: said["withheld"][0].update(count=0))
    yield "nothing withheld", rows, "packet", "count is 0"


def forgeries() -> Iterator[Forgery]:
    """Every one."""
    yield from _of_entries()
    yield from _of_the_log()
    yield from _of_views()
