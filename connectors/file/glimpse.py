"""A first look at a file: its columns, and the words of those that have few, for whoever is to say what they mean."""

from __future__ import annotations

import codecs
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal

from connectors.contract import storable
from connectors.file.columns import told_apart
from connectors.file.rows import CSV, MOST_COLUMNS, READ_AT_ONCE, Row, cut, form_of, header_of, rows_of

ROWS_LOOKED_AT = 1_000
MOST_WORDS = 100
LONGEST_WORD = 80
LONGEST_NAME = 128

Encoding = Literal["utf-8", "windows-1252"]


@dataclass(frozen=True, slots=True)
class Glimpse:
    """A file's columns in their order, and of each the words that stand in it, by column; without those that have many."""

    columns: list[str]
    words: dict[str, list[str]] = field(repr=False)
    encoding: Encoding = "utf-8"


def glimpse(file: BinaryIO, delimiter: str | None = None) -> Glimpse:
    """The columns and words of a file's first rows. Raises Malformed for one without a header that can be read."""
    encoding = _encoding_of(file)
    file.seek(0)
    form, header = form_of(file.read(READ_AT_ONCE)), 0
    names: list[str] = []
    if form == CSV:
        names, delimiter, header = header_of(file, delimiter, encoding)
    rows = itertools.islice(_rows(file, form, header, names, delimiter or ",", encoding), ROWS_LOOKED_AT)
    values = [row.values for row in rows if row.values is not None]
    if form != CSV:
        names = list(dict.fromkeys(itertools.chain.from_iterable(values)))[:MOST_COLUMNS]
    fitting = [name for name in names if 0 < len(name.strip()) <= LONGEST_NAME and storable(name)]
    found = {name: _words(values, name) for name in fitting}
    return Glimpse(fitting, {name: words for name, words in found.items() if words}, encoding)


def _encoding_of(file: BinaryIO) -> Encoding:
    """UTF-8 if all of it is; else it is taken for what Excel writes."""
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while more := file.read(READ_AT_ONCE):
            decoder.decode(more)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "windows-1252"
    return "utf-8"


def _rows(file: BinaryIO, form: str, header: int, names: list[str], delimiter: str, encoding: str) -> Iterator[Row]:
    for body, _, _ in cut(file, form, 0, header):
        yield from rows_of(body, form, 1, names, delimiter, encoding)


def _words(rows: list[dict[str, Any]], column: str) -> list[str]:
    """The words in one column, each once, as it is first written; none where there are too many, or one is no word."""
    found: dict[str, str] = {}
    for row in rows:
        value = row.get(column)
        if value is None or value == "":
            continue
        if not isinstance(value, str) or len(value) > LONGEST_WORD or not storable(value):
            return []
        found.setdefault(told_apart(value), value.strip())
        if len(found) > MOST_WORDS:
            return []
    return [word for word in found.values() if word]
