"""Outgoing mail over SMTP. Texts carry no content of any alert: only that there is something, and where to look."""

from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from urllib.parse import unquote, urlsplit

import aiosmtplib
import structlog
from pydantic import SecretStr

from app.kit import clock

log = structlog.get_logger(__name__)

_SECONDS = 20


class Mailer:
    """Sends one plain-text mail at a time. Without a mail server it sends nothing and says so in the log."""

    def __init__(self, smtp_url: SecretStr | None, sender: str) -> None:
        """`smtp_url`: smtp://user:password@host:port, smtps:// for TLS from the first byte; None for no mail."""
        self._url = urlsplit(smtp_url.get_secret_value()) if smtp_url else None
        self._sender = sender

    async def send(self, to: str, subject: str, text: str) -> bool:
        """Hand one mail to the server; True when it took it, False without a server. Raises SMTPException."""
        if self._url is None:
            log.warning("mail not sent: set HARMLINE_SMTP_URL to a mail server")
            return False
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._sender, to, subject
        message["Date"], message["Message-ID"] = format_datetime(clock.now()), make_msgid(domain="harmline")
        message.set_content(text)
        await aiosmtplib.send(
            message,
            hostname=self._url.hostname,
            port=self._url.port,
            username=unquote(self._url.username) if self._url.username else None,
            password=unquote(self._url.password) if self._url.password else None,
            use_tls=self._url.scheme == "smtps",
            timeout=_SECONDS,
        )
        return True
