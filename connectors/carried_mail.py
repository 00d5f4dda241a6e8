"""What services share that post mails: each mail is handed on to `mail`, once for each person whom it was sent to."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from connectors.contract import BrokenEvent, Connector, ForAPerson, HandOn, Malformed, Normalised, NotAnAlert, RawEvent, pick
from connectors.fields import binary
from connectors.mail.message import address

MAIL, PARSED = "mail", "parsed"
LARGEST_BODY = 30 * 1024 * 1024
MOST_RECIPIENTS = 100
MOST_COPIES = 128 * 1024 * 1024
"""Bytes of one delivery's mail, counted once for each recipient: a small request must not become a large memory."""

LONGEST_SHOWN = 1000
_ANSWER, _NO_ALERT = "answer", '"not_an_alert"'


class CarriedMail(Connector):
    """Base of the connectors that are posted mails. `left`: the event types that a person is to see to, each with the reason.

    `questions`: those among them that are about nobody, by which the service asks something of the admin who connects it.
    """

    hands_on_to = "mail"
    left: ClassVar[Mapping[str, str]] = {}
    questions: ClassVar[frozenset[str]] = frozenset()

    def each(self, raw: bytes, recipients: Sequence[object], sender: str, path: str) -> Iterable[RawEvent | BrokenEvent]:
        """The mail for each of the envelope's recipients, who stand at `path`. Malformed when there are none, or too many."""
        if not raw.strip():
            raise Malformed("the mail")
        if not 0 < len(recipients) <= MOST_RECIPIENTS or len(raw) * len(recipients) > MOST_COPIES:
            raise Malformed(path)
        name, written = hashlib.sha256(raw).hexdigest(), base64.b64encode(raw).decode()
        for at, one in enumerate(recipients):
            if isinstance(one, str):
                yield RawEvent(MAIL, name, {"to": address(one)[0], "from": address(sender)[0], "raw": written})
            else:
                yield BrokenEvent(f"{path}[{at}]")

    def normalise(self, event: RawEvent) -> Normalised:
        """The mail itself, for `mail`, which asks a person where nobody knows to whom it came; or a question to a person."""
        if event.event_type in self.left:
            done = _NO_ALERT in event.asked.get(_ANSWER, "")
            return NotAnAlert("a person saw to it") if done else ForAPerson(self.left[event.event_type])
        if self.events.get(event.event_type, MAIL) is None:
            return NotAnAlert("a word of the service about itself")
        if event.event_type != MAIL:
            raise Malformed("type")
        raw = binary(event.body, "raw")
        if not raw:
            raise Malformed("raw")
        told = {"to": pick(event.body, "to", str), "from": pick(event.body, "from", str), "via": self.name}
        return HandOn("mail", raw, {name: word for name, word in told.items() if word})

    def shown(self, event: RawEvent) -> Mapping[str, str]:
        """By what a person finds it where it came from: what the event's body says, in a few words each."""
        if event.event_type not in self.left:
            return {}
        said = {name: value for name, value in event.body.items() if isinstance(value, str)}
        return {
            name: " ".join(value.replace("\x00", " ").split())[:LONGEST_SHOWN] for name, value in said.items() if value.strip()
        }
