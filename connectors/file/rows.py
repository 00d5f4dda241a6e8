"""Files cut into pieces of whole rows, and pieces into rows, with the bytes as they are and every row's own number."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from connectors import strict_json
from connectors.contract import Malformed, storable

MOST_ROWS = 256
LARGEST_PIECE = 256 * 1024
LONGEST_ROW = 64 * 1024
READ_AT_ONCE = 64 * 1024
MOST_COLUMNS = 500
DELIMITERS = ",;\t|"
CSV, JSON_LINES, JSON = FORMS = ("csv", "ndjson", "json")
_BOM = b"\xef\xbb\xbf"
_PACKED = (b"\x1f\x8b", b"PK\x03\x04")
"""How gzip begins, and ZIP, which a workbook is too."""
_BLANK = b" \t\r\n"
_BETWEEN = _BLANK + b",[]"
"""What stands around the items of a JSON array."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number in the file (the first is 1, a header counts), and its values by column; `wrong`: why it has none."""

    number: int
    values: dict[str, Any] | None
    wrong: str = ""


@dataclass
class _Cutter:
    """Reads a file onwards from `place`, cutting whole rows off its front. `ends`: where the first row of a buffer ends, or 0."""

    file: BinaryIO
    place: int
    ends: Callable[[bytes], int]
    buffer: bytes = b""
    is_over: bool = False

    def row(self) -> bytes:
        """The next row with its line end, or a part of one that is too long; nothing at the end of the file."""
        while True:
            end = self.ends(self.buffer)
            if not end and (self.is_over or len(self.buffer) > LONGEST_ROW):
                end = self.buffer.find(b"\n") + 1 or len(self.buffer)  # it has no end: its first line is all that it costs
            if end or self.is_over:
                found, self.buffer = self.buffer[:end], self.buffer[end:]
                self.place += len(found)
                return found
            more = self.file.read(READ_AT_ONCE)
            self.buffer, self.is_over = self.buffer + more, not more


def form_of(head: bytes) -> str:
    """What a file is by its first bytes: an array is JSON, an object is JSON lines, all else is CSV."""
    first = head.removeprefix(_BOM).lstrip(_BLANK)[:1]
    return {b"[": JSON, b"{": JSON_LINES}.get(first, CSV)


def cut(file: BinaryIO, form: str, start: int, header: int) -> Iterator[tuple[bytes, int, int]]:
    """Pieces of whole rows from a byte on: `(bytes, rows, the byte behind them)`. `header`: the byte at which rows begin."""
    file.seek(max(start, header))
    cutter = _Cutter(file, max(start, header), _ENDS[form])
    piece, rows = b"", 0
    while row := cutter.row():
        if piece and (rows >= MOST_ROWS or len(piece) + len(row) > LARGEST_PIECE):
            yield piece, rows, cutter.place - len(row)
            piece, rows = b"", 0
        piece += row
        rows += 1
    if piece:
        yield piece, rows, cutter.place


def header_of(file: BinaryIO, delimiter: str | None, encoding: str) -> tuple[list[str], str, int]:
    """The names of a CSV file's columns, its delimiter, and the byte at which the rows begin. Raises Malformed."""
    file.seek(0)
    line = _Cutter(file, 0, _csv_ends).row()
    if line.startswith(_PACKED):
        raise Malformed("header: it is packed, or a workbook; unpack it, or save it as CSV")
    text = _decoded(line.removeprefix(_BOM), encoding)
    if text is None or len(line) > LONGEST_ROW:
        raise Malformed(f"header: it is not {encoding}" if text is None else "header: it is longer than a row can be")
    found = delimiter or max(DELIMITERS, key=text.count)
    (names, *_) = _records(text, found) or [[]]
    names = [name.strip() for name in names]
    wrong = _wrong_names(names)
    if wrong is not None:
        raise Malformed(f"header: {wrong}")
    return names, found, len(line)


def _wrong_names(names: list[str]) -> str | None:
    """What keeps these from being the names of columns."""
    if not 0 < len(names) <= MOST_COLUMNS:
        return f"a file has 1 to {MOST_COLUMNS} columns"
    if not all(names):
        return f"column {names.index('') + 1} has no name"
    twice = next((number for number, name in enumerate(names) if name in names[:number]), None)
    return None if twice is None else f"columns {names.index(names[twice]) + 1} and {twice + 1} have the same name"


def rows_of(body: bytes, form: str, first: int, columns: list[str], delimiter: str, encoding: str) -> Iterator[Row]:
    """The rows of a piece. A row that cannot be read has its number and why; its neighbours go on."""
    number = first
    cutter = _Cutter(io.BytesIO(body), 0, _ENDS[form])
    while raw := cutter.row():
        value = raw.strip(_BETWEEN if form == JSON else _BLANK)
        if value:
            yield _csv_row(raw, number, columns, delimiter, encoding) if form == CSV else _json_row(value, number)
        number += 1


def _csv_row(raw: bytes, number: int, columns: list[str], delimiter: str, encoding: str) -> Row:
    text = _decoded(raw, encoding)
    if text is None:
        return Row(number, None, f"not {encoding}")
    if len(raw) > LONGEST_ROW:
        return Row(number, None, "longer than a row can be; is a quotation mark left open?")
    records = _records(text, delimiter)
    if len(records) != 1:
        return Row(number, None, "a quotation mark is left open" if not records else "quotation marks in the wrong places")
    if len(records[0]) != len(columns):
        return Row(number, None, f"{len(records[0])} columns instead of {len(columns)}")
    return Row(number, dict(zip(columns, records[0], strict=True)))


def _json_row(value: bytes, number: int) -> Row:
    try:
        tree = strict_json.parse(value)
    except Malformed:
        return Row(number, None, "no JSON")
    if not isinstance(tree, dict) or strict_json.flawed(tree):
        return Row(number, None, "no object, or one that can be read in two ways")
    return Row(number, tree)


def _decoded(raw: bytes, encoding: str) -> str | None:
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        return None
    return text if storable(text) else None


def _records(text: str, delimiter: str) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error:
        return []


def _csv_ends(buffer: bytes) -> int:
    """Behind the first line end that stands outside quotation marks."""
    at = 0
    while at := buffer.find(b"\n", at) + 1:
        if buffer.count(b'"', 0, at) % 2 == 0:
            return at
        if at > LONGEST_ROW:
            return 0
    return 0


def _line_ends(buffer: bytes) -> int:
    return buffer.find(b"\n") + 1


def _item_ends(buffer: bytes) -> int:
    """Behind the first whole value of an array. What stands between values goes with the one behind it."""
    item = buffer.lstrip(_BETWEEN)
    try:
        text = item.decode("utf-8", "surrogateescape")
        _, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return 0
    if end == len(text) and not text.endswith(("}", '"')):
        return 0  # a number may go on
    return len(buffer) - len(item) + len(text[:end].encode("utf-8", "surrogateescape"))


_DECODER = json.JSONDecoder()
_ENDS: dict[str, Callable[[bytes], int]] = {CSV: _csv_ends, JSON_LINES: _line_ends, JSON: _item_ends}
