"""Events cut out of a raw mail, or out of a file of mails (mbox): what its sender wrote, and each mail that is attached to it.

What a carrier added is in no event: the same mail by two ways makes the same event.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from connectors.asking import Asked
from connectors.contract import BrokenEvent, HandOn, Malformed, Moment, RawEvent, pick, require_storable, storable, validated
from connectors.fields import binary
from connectors.mail import forwards, message
from connectors.mail.letter import How, Letter
from connectors.mail.message import LONGEST_TEXT, MOST_FILES
from connectors.mail.parts import LARGEST, headers_of

MAIL, ATTACHED = "mail", "attached"
MAILBOX_FILE = b"From "
MOST_MAILS = 20_000
"""Mails in one file."""

DEEPEST = 5
"""So often is a mail inside another handed on; one that lies deeper is left to a person."""

KEPT = ("to", "from", "via", "inside", "depth")
"""What was told beside a body and belongs to its events, too. The keys for its proof do not."""

HANDED_IN = "handed_in"
"""Stands beside a mail that a person handed in: it is handed on like one that is attached, so that its proof is asked for."""

LONGEST_TOLD = 1000
LONGEST_COVER = 600
"""Characters. A longer text above an attached mail may tell something itself."""

_ENVELOPE = ("delivered-to", "x-original-to")
_BEHIND_A_GAP = rb"(?:\A|(?<=\n\n)|(?<=\n\r\n))From "
_MAILBOX_LINE = re.compile(_BEHIND_A_GAP + rb"[^\n]{1,200}\n")
_DATED_LINE = re.compile(_BEHIND_A_GAP + rb"[^\n]{1,180}\d\d:\d\d[^\n]{0,20} \d{4}[ \r]*\n")
"""As nearly all programs write it. A file whose first line is dated is cut at dated lines only: a text may begin with `From `."""

_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
_Words = Annotated[str, AfterValidator(require_storable)]


class Written(BaseModel):
    """The body of an event `mail`: what the sender wrote. `date`: with its offset, or None; `dated`: as it stands there.

    `files`: what its attachments call themselves; `carries`: how many mails are attached to it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sender: Annotated[_Words, Field(max_length=300)]
    sender_name: Annotated[_Words, Field(max_length=1000)]
    subject: Annotated[_Words, Field(max_length=1000)]
    date: Moment | None
    dated: Annotated[_Words, Field(max_length=1000)]
    text: Annotated[_Words, Field(max_length=LONGEST_TEXT)]
    message_id: Annotated[_Words, Field(max_length=1000)] | None
    how: How
    files: Annotated[list[_Words], Field(max_length=MOST_FILES)]
    carries: Annotated[int, Field(ge=0)]

    @property
    def letter(self) -> Letter:
        """As rules are asked about it."""
        return Letter(self.sender, self.sender_name, self.subject, self.date, self.text, self.message_id, self.how)

    @property
    def is_cover(self) -> bool:
        """Whether it only carries mails, which are read by themselves."""
        return self.carries > 0 and not self.files and len(self.text) <= LONGEST_COVER

    @property
    def identity(self) -> tuple[str, ...]:
        """What makes this letter the same letter: its Message-ID, else what survives of it."""
        return ("message-id", self.message_id) if self.message_id else ("written", self.digest)

    @property
    def digest(self) -> str:
        """Of sender, date, subject and text, as hexadecimal digits."""
        parts = "\x1f".join((self.sender, self.dated, self.subject, self.text))
        return hashlib.sha256(parts.encode()).hexdigest()


def events_of(raw: bytes, asked: Asked) -> Iterator[RawEvent | BrokenEvent]:
    """The events of one mail, or of a file of mails. Raises Malformed."""
    beside = {name: asked[name] for name in KEPT if name in asked}
    if raw.startswith(MAILBOX_FILE):
        yield from _of_file(raw, beside)
        return
    if asked.get(HANDED_IN):
        yield _attached(raw, beside, _envelope(_headers(raw)))
        return
    mail = message.read(raw)
    found = forwards.reading(mail)
    letter = found.letter
    written = Written(
        sender=letter.sender,
        sender_name=letter.sender_name,
        subject=letter.subject,
        date=letter.date,
        dated=found.dated,
        text=letter.text,
        message_id=letter.message_id,
        how=letter.how,
        files=list(mail.files),
        carries=len(mail.attached),
    )
    yield RawEvent(MAIL, letter.message_id or written.digest, written.model_dump(mode="json"), beside)
    for inner in mail.attached:
        yield _attached(inner, {**beside, "inside": mail.message_id or ""}, beside.get("to", ""))


def written_in(event: RawEvent) -> Written:
    """The body of an event `mail`. Raises Malformed."""
    return validated(Written, event.body)


def handed_on(event: RawEvent) -> HandOn | None:
    """The mail in an event `attached`, with what belongs to it; None when it lies too deep. Raises Malformed."""
    raw = binary(event.body, "raw")
    if not raw:
        raise Malformed("raw")
    told = {name: _told(event.asked, name) for name in KEPT}
    depth = _depth(told.pop("depth")) + 1
    whose = told.pop("to") or pick(event.body, "to", str)
    if not storable(whose) or len(whose) > LONGEST_TOLD:
        raise Malformed("to")
    beside = {"to": whose.strip().lower(), **told, "depth": str(depth)}
    return None if depth > DEEPEST else HandOn("mail", raw, {name: word for name, word in beside.items() if word})


def recipient(event: RawEvent) -> str:
    """To whose address it came, lower case; "" when that is not known."""
    return _told(event.asked, "to").strip().lower()


def _told(asked: Mapping[str, Any], name: str) -> str:
    word = asked.get(name, "")
    if not isinstance(word, str) or not storable(word) or len(word) > LONGEST_TOLD:
        raise Malformed(name)
    return word


def _depth(text: str) -> int:
    if re.fullmatch(r"[0-9]{0,3}", text, re.ASCII) is None:
        raise Malformed("depth")
    return int(text or "0")


def _attached(raw: bytes, beside: Mapping[str, str], to: str) -> RawEvent:
    """One mail inside another, or in a file, byte for byte."""
    body = {"raw": base64.b64encode(raw).decode("ascii"), "to": to}
    return RawEvent(ATTACHED, hashlib.sha256(raw).hexdigest(), body, {name: word for name, word in beside.items() if word})


def _of_file(raw: bytes, beside: Mapping[str, str]) -> Iterator[RawEvent | BrokenEvent]:
    """Each mail of a file of mails (mboxrd: a line `>From ` of a text stands for `From `), whom it came to by its own headers."""
    if len(raw) > LARGEST:
        raise Malformed("size")
    starts = list((_DATED_LINE if _DATED_LINE.match(raw) else _MAILBOX_LINE).finditer(raw))
    if not starts or len(starts) > MOST_MAILS:
        raise Malformed("mails")
    ends = [start.start() for start in starts[1:]] + [len(raw)]
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        mail = _QUOTED_FROM.sub(rb"\1", _without_gap(raw[start.end() : end]))
        headers = _headers(mail)
        if not headers:
            yield BrokenEvent(f"mails[{number}]", base64.b64encode(mail).decode("ascii"))
            continue
        yield _attached(mail, beside, _envelope(headers))


def is_dated(line: bytes) -> bool:
    """Whether the first line of a file of mails has a date, as nearly all programs write it."""
    return _DATED_LINE.match(line) is not None


def begins_a_mail(line: bytes, *, dated: bool) -> bool:
    """Whether a line of a file of mails, behind an empty one, begins the next mail."""
    return (_DATED_LINE if dated else _MAILBOX_LINE).match(line) is not None


def _headers(mail: bytes) -> tuple[tuple[str, bytes], ...]:
    try:
        return headers_of(mail, 0, len(mail))[0]
    except Malformed:
        return ()


def _without_gap(mail: bytes) -> bytes:
    """Without the empty line that a file of mails puts behind each."""
    for gap in (b"\r\n", b"\n"):
        if mail.endswith(b"\n" + gap):
            return mail[: -len(gap)]
    return mail


def _envelope(headers: tuple[tuple[str, bytes], ...]) -> str:
    """The recipient, where a mailbox wrote it down: see decision 0037."""
    for wanted in _ENVELOPE:
        for name, value in headers:
            address = message.address(value.decode("latin-1").strip())[0] if name == wanted else ""
            if address:
                return address
    return ""
