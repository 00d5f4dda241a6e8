"""A raw mail cut into its parts by offsets, with every bound checked before anything is parsed.

Sources: RFC 5322, 2045, 2046, 2231. No byte is changed: an attached mail can be handed on exactly as it is held.
The standard library's parser is not used for this: it takes time that is quadratic in the nesting, and re-writes what it read.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from connectors.contract import Malformed

LARGEST = 30 * 1024 * 1024
"""Bytes of one mail."""

LONGEST_HEADERS = 512 * 1024
"""Bytes of one part's headers together."""

MOST_HEADERS = 1000
DEEPEST = 12
"""Multiparts inside multiparts."""

MOST_PARTS = 200
LONGEST_VALUE = 8 * 1024
"""Bytes of one header's value that are looked at; the rest of a longer one is left alone."""

LONGEST_BOUNDARY = 200
DEFAULT_TYPE = "text/plain"
_END_OF_HEADERS = re.compile(rb"\n\r?\n")
_HEADER = re.compile(rb"([\x21-\x39\x3b-\x7e]{1,200}):")
_TYPE = re.compile(r"\A\s*+([a-z0-9!#$&^_.+-]{1,80}/[a-z0-9!#$&^_.+-]{1,80})\s*+(?:;|\Z)")
_PARAMETER = re.compile(r""";\s*([a-z0-9*_-]{1,40})\s*=\s*("(?:[^"\\]|\\.)*"|[^;\s]*)""", re.IGNORECASE)
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")


@dataclass(frozen=True, slots=True)
class Part:
    """One leaf, or a multipart with its `children`. `body`: from `start` to `end` in `raw`, still encoded."""

    raw: bytes = field(repr=False)
    headers: tuple[tuple[str, bytes], ...] = field(repr=False)
    start: int
    end: int
    media_type: str = DEFAULT_TYPE
    children: tuple[Part, ...] = ()

    def values(self, name: str) -> list[str]:
        """The values of a header, topmost first, unfolded and cut to LONGEST_VALUE; encoded words are left as they are."""
        return [_unfolded(value) for given, value in self.headers if given == name]

    def parameters(self, name: str) -> dict[str, str]:
        """The parameters of the first such header, by lower-case name. Of one that is given twice the first counts."""
        return _parameters(next(iter(self.values(name)), ""))

    @property
    def disposition(self) -> str:
        """`inline`, `attachment` or whatever it says, lower case; "" when it says nothing."""
        return next(iter(self.values("content-disposition")), "").partition(";")[0].strip().lower()

    @property
    def file_name(self) -> str:
        """What it is to be called as a file, as declared and untouched; "" when it has no name."""
        named = (self.parameters("content-disposition").get("filename"), self.parameters("content-type").get("name"))
        return next((name for name in named if name), "")

    def decoded(self, most: int) -> bytes:
        """At most so many bytes of the body, out of base64 or quoted-printable. What is broken in it is skipped."""
        coding = next(iter(self.values("content-transfer-encoding")), "").strip().lower()
        if coding == "base64":
            return _from_base64(self.raw[self.start : min(self.end, self.start + 2 * most)])[:most]
        if coding == "quoted-printable":
            return binascii.a2b_qp(self.raw[self.start : min(self.end, self.start + 4 * most)])[:most]
        return self.raw[self.start : min(self.end, self.start + most)]


def cut(raw: bytes) -> Part:
    """The whole mail. Raises Malformed with the bound that is broken: "size", "headers", "nesting" or "parts"."""
    if len(raw) > LARGEST:
        raise Malformed("size")
    headers, _ = headers_of(raw, 0, len(raw))
    if not headers:
        raise Malformed("headers")
    return _Cutter(raw).part(0, len(raw), 0, DEFAULT_TYPE)


def headers_of(raw: bytes, start: int, end: int) -> tuple[tuple[tuple[str, bytes], ...], int]:
    """The headers, names in lower case, values still folded; and where the body starts. Lines that are no header are left out.

    Raises Malformed when there are too many, or too much of them.
    """
    if raw.startswith((b"\n", b"\r\n"), start, end):
        return (), start + (1 if raw.startswith(b"\n", start) else 2)
    found = _END_OF_HEADERS.search(raw, start, min(end, start + LONGEST_HEADERS))
    if found is None and end - start > LONGEST_HEADERS:
        raise Malformed("headers")
    headers: list[tuple[str, bytes]] = []
    for line in raw[start : found.start() if found else end].split(b"\n"):
        named = _HEADER.match(line)
        if named is not None:
            headers.append((named[1].decode("ascii").lower(), line[named.end() :].removesuffix(b"\r")))
        elif line[:1] in (b" ", b"\t") and headers:
            name, value = headers[-1]
            if len(value) < LONGEST_VALUE:
                headers[-1] = (name, value + b"\n" + line.removesuffix(b"\r"))
        if len(headers) > MOST_HEADERS:
            raise Malformed("headers")
    return tuple(headers), found.end() if found else end


class _Cutter:
    """Counts over one mail: parts and depth."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._parts = 0

    def part(self, start: int, end: int, deep: int, default: str) -> Part:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise Malformed("parts")
        headers, body = headers_of(self._raw, start, end)
        alone = Part(self._raw, headers, body, end)
        said = next(iter(alone.values("content-type")), "")
        media_type = found[1] if (found := _TYPE.match(said.lower())) else (DEFAULT_TYPE if said.strip() else default)
        children: tuple[Part, ...] = ()
        if media_type.startswith("multipart/"):
            if deep >= DEEPEST:
                raise Malformed("nesting")
            inner = "message/rfc822" if media_type == "multipart/digest" else DEFAULT_TYPE
            boundary = _parameters(said).get("boundary", "")
            children = tuple(self.part(a, b, deep + 1, inner) for a, b in self._between(body, end, boundary))
        return Part(self._raw, headers, body, end, media_type, children)

    def _between(self, start: int, end: int, boundary: str) -> Iterator[tuple[int, int]]:
        """Where the parts of a multipart lie: behind a line `--boundary`, up to the line break before the next."""
        if not 0 < len(boundary) <= LONGEST_BOUNDARY:
            return
        mark = re.escape(boundary.encode("latin-1", "replace"))
        opened: int | None = None
        # From the line break before the body on, which a boundary in the first line needs.
        for found in re.compile(rb"\n--" + mark + rb"(--)?[ \t]*\r?(?=\n|\Z)").finditer(self._raw, max(start - 1, 0), end):
            if opened is not None:
                yield opened, max(opened, found.start() - (self._raw[found.start() - 1 : found.start()] == b"\r"))
            if found[1]:
                return
            opened = min(found.end() + 1, end)
        if opened is not None:
            yield opened, end


def _unfolded(value: bytes) -> str:
    """One line of text. What is not UTF-8 is taken for Latin-1, so that no byte is lost."""
    line = value[:LONGEST_VALUE].replace(b"\r", b"").replace(b"\n", b"")
    try:
        return line.decode("utf-8").strip()
    except UnicodeDecodeError:
        return line.decode("latin-1").strip()


def _parameters(value: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _PARAMETER.finditer(value):
        name, text = match[1].lower(), match[2]
        if text.startswith('"'):
            text = re.sub(r"\\(.)", r"\1", text[1:-1])
        if name.endswith("*"):
            name, text = name[:-1], unquote(text.rpartition("'")[2], errors="replace")
        found.setdefault(name, text)
    return found


def _from_base64(text: bytes) -> bytes:
    kept = _NOT_BASE64.sub(b"", text)
    kept = kept[: len(kept) - (len(kept) % 4 == 1)]
    return binascii.a2b_base64(kept + b"=" * (-len(kept) % 4))
