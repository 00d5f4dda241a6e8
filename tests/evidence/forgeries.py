"""Changes to a good packet by somebody who also writes its lists of files anew: what fails then, and why."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from tests.evidence import packets
from tests.evidence.packets import Files

CHECKPOINT, PACKET = "data/log/checkpoint", "data/packet.json"
FIRST, SECOND = "data/exhibits/EX-0000001", "data/exhibits/EX-0000002"
TIMESTAMP = f"timestamps/{packets.AUTHORITY}.tsr"
OLDER = "data/log/older/100"
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


def renamed(files: Files) -> None:
    """Another original, and everything that names its hash changed along: only the log knows better."""
    path, body = f"{FIRST}/original.json", packets.WEBHOOK.replace(b"Invented", b"Invested")
    hashes = [hashlib.sha256(one).hexdigest().encode() for one in (files[path], body)]
    files[path] = body
    for named in (PACKET, f"{FIRST}/exhibit.json"):
        files[named] = files[named].replace(*hashes)


def _of_entries() -> Iterator[Forgery]:
    proof = f"{FIRST}/proof.tlog-proof"
    yield "original", swap(f"{FIRST}/original.json", b"Invented", b"Invested"), "originals", "SHA-256 or its length"
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
    yield "grade", swap(view, b'"grade":"shared_secret"', b'"grade":"sworn"'), "exhibits", "none of the words"


def forgeries() -> Iterator[Forgery]:
    """Every one."""
    yield from _of_entries()
    yield from _of_the_log()
    yield from _of_views()
