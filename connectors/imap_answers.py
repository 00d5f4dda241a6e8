"""What an IMAP server says, taken apart (RFC 3501). Pure: bytes in, numbers and words out; no message holds any of them.

A response is a list of pieces: a line, the literal that it ends with, the next line, and so on; it begins and ends with a line.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from connectors.asking import CredentialsRefused, NotAllowed, ProviderError, TryLater, UnexpectedAnswer

LONGEST_HEAD = 64 * 1024
"""Bytes. What is kept of a mail's header, where nothing else is."""

LITERAL = re.compile(rb"\{([0-9]{1,20})\+?\}\Z")
_TOKEN = re.compile(rb'[()]|"(?:[^"\\]|\\["\\])*"|[^\s()"]+')
_CODE = re.compile(rb"\[([A-Za-z0-9-]{1,40})(?: ([^\]]{0,1000}))?\]")
_UID = re.compile(rb"[0-9]{1,10}")
_PLAIN = re.compile(r"[\x20-\x7e]*")
_ASCII_RUN = re.compile(r"([\x20-\x7e]+)")
_WHO = frozenset({b"AUTHENTICATIONFAILED", b"AUTHORIZATIONFAILED", b"EXPIRED", b"CONTACTADMIN", b"NOPERM"})
_LATER = frozenset({b"UNAVAILABLE", b"INUSE", b"LIMIT", b"OVERQUOTA", b"SERVERBUG"})
GENERAL = _WHO | _LATER - {b"SERVERBUG"} | {b"REFERRAL"}
"""Response codes (RFC 5530, RFC 2221) that are never about one mail alone. An error inside the server can be."""

Pieces = Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Text:
    """A quoted string or a literal: never a bracket or a word of the protocol, whatever is in it."""

    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended: OK, NO or BAD, with the response code if there is one, and all that was said before."""

    status: bytes
    code: bytes
    told: Sequence[Pieces] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a mail; `size`: of the whole mail, as the server says, if it does."""

    body: bytes = field(repr=False)
    size: int | None


def said(rest: bytes, told: Sequence[Pieces] = ()) -> Said:
    """What stands behind a tag, or behind the star of a greeting. UnexpectedAnswer if it is no status."""
    word, _, text = rest.partition(b" ")
    status = word.upper()
    if status not in {b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"}:
        raise UnexpectedAnswer("The mail server answered with what is no IMAP")
    found = _CODE.match(text)
    return Said(status, found[1].upper() if found else b"", told)


def refusal(answer: Said, otherwise: ProviderError) -> ProviderError:
    """Why a command was refused, by the response code; `otherwise` where it says nothing that is known."""
    if answer.code in _WHO:
        return CredentialsRefused("The mail server does not accept our user name and password")
    if answer.code in _LATER:
        return TryLater("The mail server has a fault of its own, or asks for patience")
    if answer.code == b"REFERRAL":
        return UnexpectedAnswer("The mail server refers us to another one, which is never followed")
    return TryLater("The mail server ended the session") if answer.status == b"BYE" else otherwise


def validity(told: Sequence[Pieces]) -> int | None:
    """The folder's UIDVALIDITY among the answers to EXAMINE."""
    for pieces in told:
        found = _CODE.match(pieces[0].removeprefix(b"* OK "))
        if found and found[1].upper() == b"UIDVALIDITY" and _UID.fullmatch(found[2] or b""):
            return int(found[2])
    return None


def uids(told: Sequence[Pieces], after: int) -> list[int]:
    """The ids of a SEARCH that are above `after`, upwards: a range that begins behind the last mail holds the last mail.

    UnexpectedAnswer when the server says nothing about it: that would look like "no mail" for ever.
    """
    lines = [pieces[0][9:] for pieces in told if pieces[0][:9].upper().rstrip() == b"* SEARCH" and len(pieces) == 1]
    words = [word for line in lines for word in line.split()]
    if not lines or not all(map(_UID.fullmatch, words)):
        raise UnexpectedAnswer("The mail server does not say which mails there are")
    return sorted({uid for uid in map(int, words) if uid > after})


def part(told: Sequence[Pieces], uid: int) -> Part | None:
    """The part of this mail that was asked for; None: the server says nothing of it, so it is there no longer."""
    for pieces in told:
        items = _items(words(pieces))
        if _number(items.get(b"UID")) != uid:
            continue
        for name, value in items.items():
            if name.startswith(b"BODY[]"):
                return Part(value.value if isinstance(value, Text) else b"", _number(items.get(b"RFC822.SIZE")))
    return None


def words(pieces: Pieces) -> list[bytes | Text]:
    """Brackets and atoms as bytes, strings as Text."""
    found: list[bytes | Text] = []
    for at, piece in enumerate(pieces):
        if at % 2:
            found.append(Text(piece))
            continue
        found += [Text(_unescaped(word)) if word[:1] == b'"' else word for word in _TOKEN.findall(piece)]
    return found


def head(body: bytes | bytearray) -> bytes:
    """The header of a mail, up to the empty line, or as much of it as is kept."""
    end = body.find(b"\r\n\r\n", 0, LONGEST_HEAD)
    return bytes(body[:LONGEST_HEAD] if end < 0 else body[: end + 4])


def argument(text: str) -> bytes | Text:
    """A user name, a password, a folder, as it is sent: quoted, or where it is not plain ASCII as a literal. NotAllowed."""
    if any(letter in "\r\n\x00" for letter in text):
        raise NotAllowed("A secret or setting holds a character that cannot be sent, perhaps a line's end")
    if _PLAIN.fullmatch(text):
        return b'"' + text.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'
    return Text(text.encode("utf-8", "surrogatepass"))


def folder_name(name: str) -> str:
    """A folder's name in modified UTF-7 (RFC 3501, 5.1.3), as servers know it."""
    return "".join(run.replace("&", "&-") if _PLAIN.fullmatch(run) else _shifted(run) for run in _ASCII_RUN.split(name))


def _shifted(run: str) -> str:
    coded = base64.b64encode(run.encode("utf-16-be", "surrogatepass")).decode().rstrip("=").replace("/", ",")
    return f"&{coded}-"


def _unescaped(quoted: bytes) -> bytes:
    return re.sub(rb"\\(.)", rb"\1", quoted[1:-1])


def _items(found: Sequence[bytes | Text]) -> Mapping[bytes, bytes | Text]:
    """Name -> value of `* n FETCH (...)`; lists are passed over. Empty for any other response."""
    if len(found) < 5 or found[3] != b"(" or not isinstance(found[2], bytes) or found[2].upper() != b"FETCH":
        return {}
    items: dict[bytes, bytes | Text] = {}
    name, depth = b"", 0
    for word in found[4:]:
        if word == b"(":
            depth += 1
        elif word == b")":
            depth -= 1
            name = b""
            if depth < 0:
                break
        elif depth == 0 and name:
            items[name], name = word, b""
        elif depth == 0 and isinstance(word, bytes):
            name = word.upper()
    return items


def _number(word: bytes | Text | None) -> int | None:
    return int(word) if isinstance(word, bytes) and _UID.fullmatch(word) else None
