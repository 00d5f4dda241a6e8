"""Forms as services post them, `application/x-www-form-urlencoded` (WHATWG URL) and `multipart/form-data` (RFC 7578).

Which of the two a body is, it says itself: a multipart body begins with its delimiter, which no field of a form begins with. So
it can be read again from what is stored. Values are bytes, exactly as they came. Raises nothing but Malformed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from urllib.parse import unquote_to_bytes

from connectors.contract import Malformed, storable

MOST_FIELDS = 1000
LONGEST_NAME = 300
A_PIECE = 64 * 1024
LONGEST_HEAD = 8192
"""Bytes of the header lines of one part."""

_DELIMITER = re.compile(rb"--([0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-])\r\n")
_NAME = re.compile(rb'^content-disposition:[ \t]*form-data[ \t]*;[ \t]*name="([^"\r\n]*)"', re.IGNORECASE | re.MULTILINE)
"""With the name first, before a file's name, which is whatever its sender called it."""


class Form:
    """The wanted fields of a form. A field that is there twice has two values, and is therefore none."""

    def __init__(self, body: bytes, wanted: Set[str], longest: int | None = None) -> None:
        """Of all other fields only the name is read. Malformed("$") when it is no form, or has more fields than any.

        `longest`: bytes of a wanted value as it came; Malformed with its name for a longer one.
        """
        self._values: dict[str, list[bytes]] = {}
        for name, value in _fields(body, wanted):
            if longest is not None and len(value) > longest:
                raise Malformed(name)
            self._values.setdefault(name, []).append(value)
        if not body.startswith(b"--"):
            self._values = {name: [_unquoted(value) for value in values] for name, values in self._values.items()}

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def raw(self, name: str) -> bytes:
        """The field's value. Malformed with its name where it is missing or comes more than once."""
        values = self._values.get(name, [])
        if len(values) != 1:
            raise Malformed(name)
        return values[0]

    def text(self, name: str) -> str:
        """The field's value as UTF-8 that can be stored, or Malformed with its name."""
        raw = self.raw(name)
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = "\x00"
        if not storable(text):
            raise Malformed(name)
        return text


def multipart(fields: Mapping[str, str | bytes], word: str) -> bytes:
    """A form as `multipart/form-data`; `word` makes its boundary."""
    boundary = f"--form-{word[:40]}"
    parts = [
        f'{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode()
        + (value.encode() if isinstance(value, str) else value)
        for name, value in fields.items()
    ]
    return b"\r\n".join([*parts, f"{boundary}--\r\n".encode()])


def media_type(body: bytes) -> str:
    """What a sender says that a form is."""
    if not body.startswith(b"--"):
        return "application/x-www-form-urlencoded"
    boundary = body.partition(b"\r\n")[0][2:].decode("latin-1")
    return f"multipart/form-data; boundary={boundary}"


def _fields(body: bytes, wanted: Set[str]) -> Iterator[tuple[str, bytes]]:
    delimiter = _DELIMITER.match(body)
    if delimiter is not None:
        return _of_parts(body, delimiter, wanted)
    if body.startswith(b"--"):
        raise Malformed("$")
    return _of_pairs(body, wanted)


def _of_pairs(body: bytes, wanted: Set[str]) -> Iterator[tuple[str, bytes]]:
    pairs = body.split(b"&", MOST_FIELDS)
    if len(pairs) > MOST_FIELDS:
        raise Malformed("$")
    for pair in pairs:
        name, _, value = pair.partition(b"=")
        known = _text(unquote_to_bytes(name.replace(b"+", b" "))) if len(name) <= LONGEST_NAME else ""
        if known in wanted:
            yield known, value


def _unquoted(value: bytes) -> bytes:
    """The value without its escapes, piece by piece: all at once would take many times the memory that it has itself."""
    pieces, at = [], 0
    while at < len(value):
        end = at + A_PIECE
        while b"%" in value[end - 2 : end]:
            end += 1
        pieces.append(unquote_to_bytes(value[at:end].replace(b"+", b" ")))
        at = end
    return b"".join(pieces)


def _of_parts(body: bytes, first: re.Match[bytes], wanted: Set[str]) -> Iterator[tuple[str, bytes]]:
    """Each part from behind its delimiter to before the next one; the last delimiter ends in two dashes."""
    between = b"\r\n--" + first[1]
    at, count = first.end(), 0
    while True:
        count += 1
        end = body.find(between, at)
        head = body.find(b"\r\n\r\n", at, at + LONGEST_HEAD)
        if count > MOST_FIELDS or end < 0 or not 0 <= head <= end - len(b"\r\n\r\n"):
            raise Malformed("$")
        name = _name_of(body[at:head])
        if name in wanted:
            yield name, body[head + len(b"\r\n\r\n") : end]
        at = end + len(between)
        if body.startswith(b"--", at):
            return
        if not body.startswith(b"\r\n", at):
            raise Malformed("$")
        at += len(b"\r\n")


def _name_of(head: bytes) -> str:
    found = _NAME.search(head)
    return _text(found[1]) if found else ""


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return ""
