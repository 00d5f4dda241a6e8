"""What connectors that read a mailbox share: each mail is handed on to `mail`, with the address that it came to."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from connectors.asking import NOTHING_ASKED, Asked, Left
from connectors.contract import (
    Connector,
    ConnectorConfig,
    ForAPerson,
    HandOn,
    Malformed,
    Meaning,
    Normalised,
    NotAnAlert,
    Notice,
    RawEvent,
)
from connectors.fields import binary
from connectors.mail.message import address
from connectors.mail.parts import headers_of

MAIL, LEFT = "mail", "left"
RECIPIENT = ("delivered-to", "x-original-to", "envelope-to")
"""Headers in which mail servers write the envelope's recipient; they put theirs above whatever is there."""

ENVELOPE_SENDER = ("return-path",)
HEADER, WHY, UID, SIZE, ANSWER = "header", "left", "uid", "size", "answer"
SHOWN = ("From", "Subject", "Date", "Message-ID")
LONGEST_SHOWN = 300
_MEGABYTE = 1024 * 1024


def _header(text: str) -> str:
    name = text.strip().lower()
    if name and not (name.isascii() and name.replace("-", "").isalnum()):
        raise ValueError("not the name of a header, such as X-Original-To")
    return name


class PolledMailConfig(ConnectorConfig):
    """What every mailbox is told about."""

    recipient_header: Annotated[str, AfterValidator(_header)] = Field(
        default="",
        description="The header in which your mail server writes to which address a mail was sent. Empty: the first that is there"
        " of Delivered-To, X-Original-To, Envelope-To",
    )


class PolledMail(Connector):
    """Base of the connectors that read a mailbox. A body is one mail, byte for byte, or the header of one that was left there."""

    hands_on_to = "mail"
    events: ClassVar[Mapping[str, Meaning]] = {MAIL: Notice.HAND_ON, LEFT: Notice.AS_IT_SAYS}

    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent]:
        """One event: the mail, whatever is in it."""
        if WHY in asked:
            return [RawEvent(LEFT, asked.get(UID, ""), {"head": base64.b64encode(body).decode()}, asked)]
        if not body.strip():
            raise Malformed("$")
        return [RawEvent(MAIL, hashlib.sha256(body).hexdigest(), {"raw": base64.b64encode(body).decode()}, asked)]

    def normalise(self, event: RawEvent) -> Normalised:
        """The mail itself, for `mail`, which asks a person where nobody knows to whom it came; or a question to a person."""
        if event.event_type == LEFT:
            return _left(event.asked, _headers(binary(event.body, "head")))
        if event.event_type != MAIL:
            raise Malformed("type")
        raw = binary(event.body, "raw")
        wanted = event.asked.get(HEADER)
        told = {
            "to": _first(raw, (wanted,) if wanted else RECIPIENT),
            "from": _first(raw, ENVELOPE_SENDER),
            "via": self.name,
        }
        return HandOn("mail", raw, {name: word for name, word in told.items() if word})

    def shown(self, event: RawEvent) -> Mapping[str, str]:
        """By what a person finds a mail that was left in its mailbox: a few lines of its header, as far as there are any."""
        if event.event_type != LEFT:
            return {}
        known = {name.lower(): name for name in SHOWN}
        found = reversed(_headers(binary(event.body, "head")))
        lines = {known[name]: _text(value)[:LONGEST_SHOWN] for name, value in found if name in known}
        return {"Mail": event.asked.get(UID, ""), **lines}


def beside(header: str) -> dict[str, str]:
    """What a mail's body is asked with: the header that is looked at, where the settings name one."""
    return {HEADER: header} if header else {}


def beside_left(left: Left, uid: str) -> dict[str, str]:
    """What goes with the header of a mail that is left where it is; `uid` is its id there."""
    size = {SIZE: str(left.size)} if left.size else {}
    return {WHY: left.why, UID: uid, **size}


def _left(asked: Asked, header: Sequence[object]) -> Normalised:
    if '"not_an_alert"' in asked.get(ANSWER, ""):
        return NotAnAlert("a person saw to it")
    size = asked.get(SIZE, "")
    megabytes = f", {int(size) / _MEGABYTE:.0f} MB" if size.isascii() and size.isdigit() and len(size) < 16 else ""
    why = {"too large": "too large", "empty": "without a content"}.get(asked.get(WHY, ""), "not handed over by its server")
    return ForAPerson(f"{'A' if header else 'An unknown'} mail is {why}{megabytes}: it was left in the mailbox")


def _first(raw: bytes, wanted: tuple[str, ...]) -> str:
    """The one address in the topmost header of the first of these names that is there; "" when it is none, or several."""
    headers = _headers(raw)
    for name in wanted:
        values = [value for given, value in headers if given == name]
        if values:
            return address(_text(values[0]).strip())[0]
    return ""


def _headers(raw: bytes) -> tuple[tuple[str, bytes], ...]:
    try:
        return headers_of(raw, 0, len(raw))[0]
    except Malformed:
        return ()  # too many of them: `mail` says so, whose it is


def _text(value: bytes) -> str:
    return " ".join(value.decode("utf-8", "replace").replace("\x00", " ").split())
