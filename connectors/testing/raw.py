"""Fixtures that are no JSON, broken and drifted: by their lines (a form's fields) and their bytes.

Whatever is made up holds MARK, as in `drifting`.
"""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from connectors.testing.cases import Case

MARK = "QzJx7"
ROWS = (".csv", ".ndjson")
"""Formats with one event on each line; a table's first line is its head."""

MOST_LINES = 120
PLACES = 24
GARBAGE = (b"\x00\xff\xfe", b"\r\n\r\n", b'"', b"--", b"=?utf-8?q?=", b"\xc3\x28", b"%zz&", b"\n\nFrom \n")
_WORDS = (
    MARK.encode(),
    f" {MARK} ".encode(),
    f"{MARK}: {MARK}\r\n".encode(),
    f"\x00{MARK}".encode(),
    f"\u202e{MARK}\u200b\u0301".encode(),
    f"<script>{MARK}</script>".encode(),
    f"=cmd|'{MARK}'!A0".encode(),
    f"=?utf-8?b?{MARK}?=".encode(),
    MARK.encode("utf-16"),
    b"\xff" + MARK.encode(),
    MARK.encode() * 2000,
)
Change = Callable[[list[bytes], int, random.Random], bytes]


def lines(case: Case, body: bytes) -> list[bytes]:
    """A body cut where its format cuts it, each piece with what ends it: a form at its ampersands, all else at its lines."""
    end = b"&" if case.path.suffix == ".form" else b"\n"
    pieces = body.split(end)
    return [piece + end for piece in pieces[:-1]] + [piece for piece in pieces[-1:] if piece]


def broken(case: Case) -> Iterator[tuple[str, str, bytes]]:
    """The fixture broken on purpose: the place, what was done there, and the body.

    Each line (of a long body some, evenly) is dropped, doubled, cut, emptied and blanked; the body is cut at places, and garbage
    is put in at them.
    """
    pieces = lines(case, case.body)
    for at in _evenly(len(pieces), MOST_LINES):
        for what, wrong in _broken_line(pieces[at]).items():
            yield f"line {at}", what, b"".join([*pieces[:at], wrong, *pieces[at + 1 :]])
    for at in _evenly(len(case.body), PLACES):
        yield f"byte {at}", "cut", case.body[:at]
        for garbage in GARBAGE:
            yield f"byte {at}", repr(garbage), case.body[:at] + garbage + case.body[at:]


def _broken_line(line: bytes) -> dict[str, bytes]:
    inner = line.rstrip(b"\r\n&")
    end = line[len(inner) :]
    return {
        "dropped": b"",
        "doubled": line + line,
        "cut": inner[: len(inner) // 2] + end,
        "emptied": end,
        "blanked": b" " * len(inner) + end,
    }


def _evenly(whole: int, most: int) -> list[int]:
    return sorted({at * whole // most for at in range(most)}) if whole else []


def with_rows(case: Case, junk: Any) -> Iterator[bytes]:
    """The fixture with a bad row before, between and behind its good ones."""
    pieces, head = lines(case, case.body), 1 if case.path.suffix == ".csv" else 0
    row = json.dumps(junk)
    if head:
        cell = io.StringIO()
        csv.writer(cell, lineterminator="").writerow([row])
        row = cell.getvalue()
    for at in range(head, len(pieces) + 1):
        yield b"".join([*pieces[:at], row.encode() + b"\n", *pieces[at:]])


def drifted(case: Case, dice: random.Random) -> bytes:
    """The fixture after one to three changes of its lines or bytes."""
    body = case.body
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        pieces = lines(case, body)
        body = dice.choice(_CHANGES)(pieces, dice.randrange(len(pieces)), dice) if pieces else MARK.encode()
    return body


def _with(pieces: list[bytes], at: int, *instead: bytes) -> bytes:
    return b"".join([*pieces[:at], *instead, *pieces[at + 1 :]])


def _break(pieces: list[bytes], at: int, dice: random.Random) -> bytes:
    return _with(pieces, at, dice.choice(list(_broken_line(pieces[at]).values())))


def _insert(pieces: list[bytes], at: int, dice: random.Random) -> bytes:
    line = pieces[at]
    place = dice.randrange(len(line) + 1)
    return _with(pieces, at, line[:place] + dice.choice(_WORDS) + line[place:])


def _instead(pieces: list[bytes], at: int, dice: random.Random) -> bytes:
    """What stands behind the first mark of a line becomes another thing: the value of a header, of a field, of a cell."""
    line = pieces[at]
    inner = line.rstrip(b"\r\n&")
    name, mark, _ = inner.partition(dice.choice((b":", b"=", b",", b'"')))
    return _with(pieces, at, (name + mark if mark else b"") + dice.choice(_WORDS) + line[len(inner) :])


def _rename(pieces: list[bytes], at: int, _: random.Random) -> bytes:
    return _with(pieces, at, MARK.encode() + pieces[at])


def _recase(pieces: list[bytes], at: int, dice: random.Random) -> bytes:
    line = pieces[at]
    return _with(pieces, at, dice.choice((line.upper(), line.lower(), line.title(), line[::-1])))


def _swap(pieces: list[bytes], at: int, dice: random.Random) -> bytes:
    other = dice.randrange(len(pieces))
    moved = list(pieces)
    moved[at], moved[other] = moved[other], moved[at]
    return b"".join(moved)


def _another_line(pieces: list[bytes], at: int, dice: random.Random) -> bytes:
    return _with(pieces, at, dice.choice(_WORDS) + dice.choice((b"\r\n", b"\n", b"&")), pieces[at])


def _other_ends(pieces: list[bytes], _: int, dice: random.Random) -> bytes:
    body = b"".join(pieces).replace(b"\r\n", b"\n")
    return body if dice.random() < 0.5 else body.replace(b"\n", dice.choice((b"\r\n", b"\r")))


def _cut_off(pieces: list[bytes], at: int, dice: random.Random) -> bytes:
    return b"".join([*pieces[:at], pieces[at][: dice.randrange(len(pieces[at]) + 1)]])


def _flipped(pieces: list[bytes], _: int, dice: random.Random) -> bytes:
    body = b"".join(pieces)
    place = dice.randrange(len(body))
    return body[:place] + bytes([dice.randrange(256)]) + body[place + 1 :]


def _as_a_whole(pieces: list[bytes], _: int, dice: random.Random) -> bytes:
    body = b"".join(pieces)
    return dice.choice(
        (
            b"",
            b" \n",
            b"\xef\xbb\xbf" + body,
            body + b"\n" + body,
            body.decode("latin-1").encode("utf-16"),
            b"<!doctype html>" + body,
            b"{}",
            b"\x00" * 1000,
            MARK.encode(),
        )
    )


_CHANGES: tuple[Change, ...] = (
    _break,
    _break,
    _insert,
    _insert,
    _instead,
    _instead,
    _instead,
    _rename,
    _recase,
    _swap,
    _another_line,
    _other_ends,
    _cut_off,
    _flipped,
    _as_a_whole,
)
