"""A fake Postmark: an inbound stream that includes the raw mail, under HTTP Basic. Everything in it is invented."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping

from connectors.sandboxing import basic
from connectors.telling_mail import SENDER, TellsByMail

BASIC = "harmline:invented-pw"


class PostmarkSandbox(TellsByMail):
    """Each mail in a delivery of its own."""

    name = "postmark"

    @property
    def webhook_secret(self) -> str:
        """`user:password`, as they stand in the address that Postmark posts to."""
        return BASIC

    def bring(self, mail: bytes, to: str) -> None:
        """It is posted."""
        self.unsent.append(_body(mail, to))

    def made_up(self, number: int) -> bytes:
        """A mail to somebody whom nobody knows."""
        return _body(*self.nobodys(number))

    def headers(self, body: bytes, *, forged: bool = False) -> Mapping[str, str]:
        """By HTTP Basic."""
        return {"content-type": "application/json", "authorization": basic("harmline:guessed" if forged else BASIC)}


def _body(mail: bytes, to: str) -> bytes:
    body = {
        "FromName": "Example Monitor",
        "From": SENDER,
        "FromFull": {"Email": SENDER, "Name": "Example Monitor", "MailboxHash": ""},
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
        "Headers": [{"Name": "Return-Path", "Value": f"<{SENDER}>"}, {"Name": "X-Spam-Status", "Value": "No"}],
        "Attachments": [],
        "RawEmail": mail.decode(),
    }
    return json.dumps(body).encode()


sandbox = PostmarkSandbox
