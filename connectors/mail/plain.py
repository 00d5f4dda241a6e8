"""Text as a person may be shown it: decoded without errors, without the signs that hide, turn round or control."""

from __future__ import annotations

import binascii
import codecs
import re

_CHARSET = re.compile(r"[a-z0-9][a-z0-9_.:-]{0,30}")
_READ = re.compile(
    r"ascii|utf-(8|16|32)(-sig|-le|-be)?|iso8859-\d+|cp\d+|koi8-[ru]|mac-\w+|gb\w+|big5\w*|euc_\w+|shift_jis\w*|iso2022_\w+|hz|tis-620"
)
"""Canonical names of the character sets that are read. Others that Python knows run code of more than a table (zip, punycode)."""

_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f]"
)
"""Controls, format characters (among them those that change the direction of writing, or have no width), halves of pairs."""

_WORD = re.compile(r"=\?([A-Za-z0-9_.:+-]{1,40})(?:\*[A-Za-z0-9-]{0,20})?\?([bBqQ])\?([^?\s]*)\?=")
_BETWEEN_WORDS = re.compile(r"(\?=)\s+(?==\?[A-Za-z0-9_.:+-]{1,40}(?:\*[A-Za-z0-9-]{0,20})?\?[bBqQ]\?[^?\s]*\?=)")


def read(raw: bytes, charset: str = "") -> str:
    """Bytes as text; what cannot be read is replaced. Without a charset that is known: UTF-8, else Windows-1252."""
    known = _known(charset)
    if known not in (None, "ascii", "utf-8"):
        return raw.decode(known or "", "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("utf-8" if known == "utf-8" else "cp1252", "replace")


def _known(charset: str) -> str | None:
    name = charset.strip().strip("\"'").lower()
    if _CHARSET.fullmatch(name) is None:
        return None
    try:
        canonical = codecs.lookup(name).name
    except LookupError:
        return None
    return canonical if _READ.fullmatch(canonical) else None


def words(value: str) -> str:
    """A header's value with its encoded words (RFC 2047) read. Parts of one text in several words are put together first."""
    pieces: list[tuple[str, bytes]] = []
    end, value = 0, _BETWEEN_WORDS.sub(r"\1", value)
    for found in _WORD.finditer(value):
        charset, coding, text = found[1].lower(), found[2].lower(), found[3].encode("utf-8", "replace")
        if found.start() > end:
            pieces.append(("", value[end : found.start()].encode("utf-8", "replace")))
        piece = _q(text) if coding == "q" else _b(text)
        if pieces and pieces[-1][0] == charset and found.start() == end:
            piece = pieces.pop()[1] + piece
        pieces.append((charset, piece))
        end = found.end()
    pieces.append(("", value[end:].encode("utf-8", "replace")))
    return "".join(read(piece, charset) for charset, piece in pieces)


def _q(text: bytes) -> bytes:
    return binascii.a2b_qp(text, header=True)


def _b(text: bytes) -> bytes:
    kept = re.sub(rb"[^A-Za-z0-9+/]", b"", text)
    kept = kept[: len(kept) - (len(kept) % 4 == 1)]
    return binascii.a2b_base64(kept + b"=" * (-len(kept) % 4))


def line(text: str, most: int) -> str:
    """One line, blanks made single, unseen signs gone, at most so long."""
    return " ".join(_UNSEEN.sub("", text).split())[:most].strip()


def lines(text: str, most: int) -> str:
    """Lines, each as `line`, never two empty ones behind each other, none at the ends; at most so long in all."""
    out: list[str] = []
    for each in _UNSEEN.sub("", text[: 4 * most]).splitlines():
        kept = " ".join(each.split())
        if kept or (out and out[-1]):
            out.append(kept)
    return "\n".join(out)[:most].strip()
