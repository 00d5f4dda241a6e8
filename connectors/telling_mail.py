"""What fake services share that bring mails: those of an invented monitoring service, which the rule `example` understands."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from connectors.mail.samples import DOMAIN, alert_mail
from connectors.sandboxing import Happening, Sandbox
from connectors.vocabulary import AlertKind

SENDER = f"notices@{DOMAIN}"
"""Who stands in the envelope."""


class TellsByMail(Sandbox):
    """Base of such sandboxes. A reference is the address that a mail is sent to."""

    def __init__(self, now: Any, seed: int = 0) -> None:
        """See `Sandbox`."""
        super().__init__(now, seed)
        self.brought = 0

    @abstractmethod
    def bring(self, mail: bytes, to: str) -> None:
        """A mail to somebody has come in."""

    def tell(self, happening: Happening) -> str | None:
        """A mail about it comes in: a number. Only to somebody whom it knows."""
        if happening.reference not in self.people:
            return None
        number = self.seed * 1_000_000 + self.brought + 1
        mail = alert_mail(happening.kind, happening.reference, happening.at, number, happening.institution, happening.last_four)
        if mail is None:
            return None
        self.brought += 1
        self.bring(mail, happening.reference)
        return str(number)

    def nobodys(self, number: int) -> tuple[bytes, str]:
        """A mail to somebody whom nobody knows, and their address."""
        to = f"nobody-{number}@example.org"
        return alert_mail(AlertKind.INQUIRY_HARD, to, self.now(), number, "Invented Bank", None) or b"", to
