"""Mails of an invented monitoring service, as people hand them in: as they are, inside another mail, or several in a file.

There is no provider to be asked and none that pushes: the carriers' sandboxes bring the same mails by their own ways.
"""

from __future__ import annotations

import hashlib
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

from connectors.mail.samples import alert_mail
from connectors.sandboxing import Happening, Sandbox

DOMAIN = "alerts.example.org"


class MailSandbox(Sandbox):
    """A member's mailbox. A reference is the forwarding address that the mails were sent to."""

    name = "mail"

    def __init__(self, now: Any, seed: int = 0) -> None:
        """See `Sandbox`."""
        super().__init__(now, seed)
        self._told = 0

    def settings(self, base_url: str) -> dict[str, Any]:
        """The domain of the forwarding addresses."""
        return {"domain": DOMAIN}

    def tell(self, happening: Happening) -> str | None:
        """A mail about it: a number. One third is forwarded as an attachment, another lies in a file of mails."""
        if happening.reference not in self.people:
            return None
        number = self.seed * 1_000_000 + self._told + 1
        mail = alert_mail(happening.kind, happening.reference, happening.at, number, happening.institution, happening.last_four)
        if mail is None:
            return None
        self._told += 1
        self.unhanded.append((_carried(mail, happening.reference, self._told), {"to": happening.reference}))
        return str(number)


def _carried(mail: bytes, to: str, number: int) -> bytes:
    match number % 3:
        case 0:
            return attached(mail, to)
        case 1:
            return b"From MAILER-DAEMON Thu Jan  1 00:00:00 1970\n" + mail + b"\n"
    return mail


def attached(mail: bytes, to: str) -> bytes:
    """The mail, byte for byte, attached to one that a member writes to their forwarding address."""
    name = hashlib.sha256(mail).hexdigest()[:24]
    cover = EmailMessage(policy=SMTP)
    cover["From"] = "Avery Invented <avery.invented@example.net>"
    cover["To"] = to
    cover["Subject"] = "For you"
    cover["Message-ID"] = f"<cover-{name}@example.net>"
    head = cover.as_bytes().rstrip(b"\r\n")
    mark = f"=_cover_{name}"
    return (
        head
        + f'\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="{mark}"\r\n\r\n'.encode()
        + f"--{mark}\r\nContent-Type: text/plain\r\n\r\nThis came today.\r\n".encode()
        + f"--{mark}\r\nContent-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\n".encode()
        + mail
        + f"\r\n--{mark}--\r\n".encode()
    )


sandbox = MailSandbox
