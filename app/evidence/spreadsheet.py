"""CSV that a spreadsheet opens as text: no cell of it can be a formula. Pure. The JSON beside it is the master, and stays true.

Source: RFC 4180; security requirement H9 (leading `= + - @`, tab, return, newline and NUL, full-width forms, also behind quotes,
blanks and signs that take no room). Every cell is quoted; the file begins with a byte order mark, so that it is read as UTF-8.
"""

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BEGINS_FORMULA = frozenset("=+-@|%")
_BEFORE = frozenset("\"'`´’‘“”«»")
_INVISIBLE = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp", "Mn", "Me", "Co", "Cn", "Cs"})
_DASHES = frozenset("−‐‑‒–—―⁃˗➖﹣－")
AS_TEXT = "'"
"""What a spreadsheet reads as "the rest is text"."""


def cell(text: str) -> str:
    """The text as a cell may hold it: the same, or with an apostrophe before it where a program could calculate with it."""
    shown = text.replace("\x00", "\ufffd")
    for letter in text:
        if letter in _DASHES or (unicodedata.normalize("NFKC", letter)[:1] in _BEGINS_FORMULA):
            return AS_TEXT + shown
        if letter in "\t\r\n\x00":
            return AS_TEXT + shown
        if letter not in _BEFORE and unicodedata.category(letter) not in _INVISIBLE:
            return shown
    return shown


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """A whole file: the names of the columns, then the rows; lines end with CR LF."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow([cell(name) for name in columns])
    for row in rows:
        writer.writerow([cell(value) for value in row])
    return BYTE_ORDER_MARK + out.getvalue().encode("utf-8", "replace")
