"""A fake Postmark: an inbound stream that includes the raw mail, under HTTP Basic. Everything in it is invented."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any

from connectors.mail.samples import DOMAIN, alert_mail
from connectors.sandboxing import Happening, Sandbox, basic
from connectors.vocabulary import AlertKind

BASIC = "harmline:invented-pw"


class PostmarkSandbox(Sandbox):
    """A reference is the address that a mail is sent to."""

    name = "postmark"

    def __init__(self, now: Any, seed: int = 0) -> None:
        """See `Sandbox`."""
        super().__init__(now, seed)
        self._told = 0

    @property
    def webhook_secret(self) -> str:
        """`user:password`, as they stand in the address that Postmark posts to."""
        return BASIC

    def tell(self, happening: Happening) -> str | None:
        """A mail about it comes in: a number. Only to somebody whom it knows."""
        if happening.reference not in self.people:
            return None
        number = self.seed * 1_000_000 + self._told + 1
        mail = alert_mail(happening.kind, happening.reference, happening.at, number, happening.institution, happening.last_four)
        if mail is None:
            return None
        self._told += 1
        self.unsent.append(_body(mail, happening.reference))
        return str(number)

    def made_up(self, number: int) -> bytes:
        """A mail to somebody whom nobody knows."""
        to = f"nobody-{number}@example.org"
        return _body(alert_mail(AlertKind.INQUIRY_HARD, to, self.now(), number, "Invented Bank", None) or b"", to)

    def headers(self, body: bytes, *, forged: bool = False) -> Mapping[str, str]:
        """By HTTP Basic."""
        return {"content-type": "application/json", "authorization": basic("harmline:guessed" if forged else BASIC)}


def _body(mail: bytes, to: str) -> bytes:
    sender = f"notices@{DOMAIN}"
    body = {
        "FromName": "Example Monitor",
        "From": sender,
        "FromFull": {"Email": sender, "Name": "Example Monitor", "MailboxHash": ""},
        "To": to,
        "ToFull": [{"Email": to, "Name": "", "MailboxHash": ""}],
        "CcFull": [],
        "BccFull": [],
        "OriginalRecipient": to,
        "Subject": "An alert",
        "MessageID": str(uuid.UUID(bytes=hashlib.sha256(mail).digest()[:16])),
        "ReplyTo": "",
        "MailboxHash": "",
        "TextBody": "An alert",
        "HtmlBody": "",
        "StrippedTextReply": "",
        "Tag": "",
        "Headers": [{"Name": "Return-Path", "Value": f"<{sender}>"}, {"Name": "X-Spam-Status", "Value": "No"}],
        "Attachments": [],
        "RawEmail": mail.decode(),
    }
    return json.dumps(body).encode()


sandbox = PostmarkSandbox
