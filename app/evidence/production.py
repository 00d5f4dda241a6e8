"""The load files by which a review platform takes a production in: Concordance DAT, and OPT for what has pages. Pure.

DAT: fields between thorns (U+00FE) with U+0014 between them, a newline inside a field is U+00AE; the names of the fields come
first. OPT: one line for each document that has pages. Source: domain.md 5.4; UTF-8 with a byte order mark. The receiving party's
own specification comes before this: always confirm it.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
SEPARATOR, QUOTE, NEWLINE = "\x14", "\u00fe", "\u00ae"
FIELDS = (
    *("BEGBATES", "ENDBATES", "BEGATTACH", "ENDATTACH", "CUSTODIAN", "DOCTYPE", "FILENAME", "FILEEXT", "FILESIZE"),
    *("DATESENT", "TIMESENT", "DATERCVD", "DATECREATED", "SHA256HASH", "MD5HASH", "NATIVEPATH", "TEXTPATH", "PAGECOUNT"),
    *("CONFIDENTIALITY", "REDACTED", "PRIVLOG_ID", "TLOG_INDEX", "SOURCE_PROVIDER"),
)
_LINES = ("\r\n", "\r", "\n", "\u2028", "\u2029", "\x0b", "\x0c", "\x85")


def _field(text: str) -> str:
    """A value between thorns. What the format uses for itself is written in another way: it has no means to quote it."""
    for written, instead in ((NEWLINE, "(R)"), (QUOTE, "th"), ("\u00de", "Th"), (SEPARATOR, " ")):
        text = text.replace(written, instead)
    for ending in _LINES:
        text = text.replace(ending, NEWLINE)
    return QUOTE + "".join(max(letter, " ") for letter in text) + QUOTE


def dat(rows: Iterable[Mapping[str, str]]) -> bytes:
    """The whole DAT file; each row holds some of FIELDS. Raises KeyError for a field that is none."""
    lines = [SEPARATOR.join(_field(name) for name in FIELDS)]
    for row in rows:
        unknown = set(row) - set(FIELDS)
        if unknown:
            raise KeyError(min(unknown))
        lines.append(SEPARATOR.join(_field(row.get(name, "")) for name in FIELDS))
    return BYTE_ORDER_MARK + "".join(f"{line}\r\n" for line in lines).encode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Paged:
    """A document with pages: its Bates number, where it is in the packet, how many pages it has."""

    bates: str
    path: str
    pages: int


def opt(documents: Sequence[Paged], volume: str) -> bytes:
    """The whole OPT file: a line for each document. `volume`: the name of the production."""
    lines = [f"{one.bates},{volume},{one.path},Y,,,{one.pages}\r\n" for one in documents]
    return BYTE_ORDER_MARK + "".join(lines).encode()


def hashes_of(path: str, content: bytes, sha256: str) -> dict[str, str]:
    """What the load file says of a file of the packet. MD5 is what old platforms compare by; nothing here rests on it."""
    name = path.rpartition("/")[2]
    return {
        "FILENAME": name,
        "FILEEXT": name.rpartition(".")[2],
        "FILESIZE": str(len(content)),
        "SHA256HASH": sha256,
        "MD5HASH": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        "NATIVEPATH": path,
    }
