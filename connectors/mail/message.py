"""A raw mail read as far as it can be: who wrote it, when, about what, its text, and what is attached to it.

Mail is hostile. What is too hostile to be read is Malformed, with the name of the bound; the core keeps its bytes. Anything else
that is broken (charsets, encodings, structure) is read with replacement. Attachments are named and never opened, but for mails.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from connectors.mail import plain
from connectors.mail.parts import Part, cut
from connectors.mail.visible import text_of

LONGEST_TEXT = 200_000
"""Characters of a mail's text. Alerts are a page; what stands behind this is not read."""

MOST_BYTES = 1024 * 1024
"""Bytes of one part that are decoded to be read as text."""

LONGEST_LINE = 998
"""Characters of a subject: the longest line that RFC 5322 allows."""

LONGEST_NAME = 200
LONGEST_ADDRESS = 254
MOST_FILES = 50
STUB = 200
"""Characters. A plain text that is shorter, where the HTML beside it is much longer, only says that there is HTML."""

_ADDRESS = r"([^\s<>()\[\]\",:;\\@]{1,64}@[A-Za-z0-9.-]{1,190})"
_NAMED = re.compile(rf'\A\s*+("[^"\\]*+(?:\\.[^"\\]*+)*"\s*+|[^<>"]*+)<\s*+{_ADDRESS}\s*+>\s*+(?:\([^()]*+\)\s*)?')
_BARE = re.compile(rf"\A\s*+{_ADDRESS}\s*+(?:\([^()]*+\)\s*)?")
_MESSAGE_ID = re.compile(r"<([^<>\s]{1,250})>")
_MAILS = frozenset({"message/rfc822", "message/global"})
_MAY_BE_A_MAIL = frozenset({"application/octet-stream", "text/plain", "application/eml", "application/x-eml"})


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail. `sender` is "" when there is not exactly one in From; `dated` is the Date header's text, `date` what it says.

    `attached`: the exact bytes of each mail that is attached, decoded where it came in base64; `files`: what every other
    attachment calls itself.
    """

    whole: Part = field(repr=False)
    sender: str
    sender_name: str
    subject: str
    dated: str
    date: datetime | None
    message_id: str | None
    text: str = field(repr=False)
    attached: tuple[bytes, ...] = field(repr=False)
    files: tuple[str, ...]


def read(raw: bytes) -> Mail:
    """The mail. Raises Malformed and nothing else."""
    whole = cut(raw)
    senders = whole.values("from")
    sender, name = address(senders[0]) if len(senders) == 1 else ("", "")
    dated = plain.line(_first(whole, "date"), LONGEST_NAME)
    attached: list[bytes] = []
    files: list[str] = []
    _attachments(whole, attached, files)
    return Mail(
        whole=whole,
        sender=sender,
        sender_name=name,
        subject=plain.line(plain.words(_first(whole, "subject")), LONGEST_LINE),
        dated=dated,
        date=moment(dated),
        message_id=_message_id(whole),
        text=plain.lines(_text(whole)[1], LONGEST_TEXT),
        attached=tuple(attached),
        files=tuple(files[:MOST_FILES]),
    )


def address(value: str) -> tuple[str, str]:
    """(address in lower case, name) of one mailbox as a header writes it; ("", "") when it is not exactly one, or unclear."""
    if len(value) > LONGEST_LINE:
        return "", ""
    named = _NAMED.fullmatch(value)
    found = named or _BARE.fullmatch(value)
    if found is None:
        return "", ""
    name = named[1].strip() if named else ""
    if not name.startswith('"') and "," in name and "@" in name:
        return "", ""
    who = found[2 if named else 1].lower()
    unquoted = re.sub(r"\\(.)", r"\1", name[1:-1]) if name.startswith('"') else name
    if len(who) > LONGEST_ADDRESS or plain.line(who, LONGEST_ADDRESS) != who:
        return "", ""
    return who, plain.line(plain.words(unquoted), LONGEST_NAME)


def moment(text: str) -> datetime | None:
    """A date of RFC 5322 with its offset, UTC; None when it is none, has no offset or lies outside the calendar."""
    try:
        found = parsedate_to_datetime(text)
        if found.tzinfo is None:  # "-0000" is UTC without a word on where; no zone at all reads the same
            return found.replace(tzinfo=UTC) if text.endswith("-0000") else None
        return found.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _first(part: Part, name: str) -> str:
    return next(iter(part.values(name)), "")


def _message_id(whole: Part) -> str | None:
    """None also when there are two: which of them is its own cannot be told."""
    given = whole.values("message-id")
    found = _MESSAGE_ID.search(given[0]) if len(given) == 1 else None
    return (plain.line(found[1], LONGEST_NAME + LONGEST_NAME) or None) if found else None


def _attachments(part: Part, attached: list[bytes], files: list[str]) -> None:
    for child in part.children:
        _attachments(child, attached, files)
    if part.children or part.media_type.startswith("multipart/"):
        return
    name = plain.line(plain.words(part.file_name), LONGEST_NAME)
    if _is_mail(part, name):
        inner = part.decoded(part.end - part.start)
        if inner.strip():
            attached.append(inner)
            return
    if part.media_type.startswith("image/") and part.values("content-id"):
        return  # a picture of the page itself
    if name or part.disposition == "attachment" or not part.media_type.startswith("text/"):
        files.append(name or part.media_type)


def _is_mail(part: Part, name: str) -> bool:
    return part.media_type in _MAILS or (name.lower().endswith(".eml") and part.media_type in _MAY_BE_A_MAIL)


def _text(part: Part, root: bool = True) -> tuple[bool, str]:
    """(whether it came from text/plain, the text): of several that stand for each other the one to be read, else all of them."""
    if part.children:
        found = [_text(child, root=False) for child in part.children]
        if part.media_type == "multipart/alternative":
            return _chosen(found)
        return all(is_plain for is_plain, text in found if text), "\n\n".join(text for _, text in found if text)
    if part.media_type not in ("text/plain", "text/html") or (part.disposition == "attachment" and not root):
        return False, ""
    if part.file_name.lower().endswith(".eml"):
        return False, ""
    text = plain.read(part.decoded(MOST_BYTES), part.parameters("content-type").get("charset", ""))
    return (True, text) if part.media_type == "text/plain" else (False, text_of(text))


def _chosen(found: list[tuple[bool, str]]) -> tuple[bool, str]:
    """Plain text, unless there is none worth the name."""
    texts = [text.strip() for is_plain, text in found if is_plain and text.strip()]
    pages = [text.strip() for is_plain, text in found if not is_plain and text.strip()]
    if texts and not (len(texts[0]) < STUB and pages and len(pages[-1]) > 4 * len(texts[0])):
        return True, texts[0]
    return (False, pages[-1]) if pages else (True, "")
