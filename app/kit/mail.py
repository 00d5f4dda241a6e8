"""Outgoing mail over SMTP. Texts carry no content of any alert: only that there is something, and where to look."""

import asyncio
from contextlib import suppress
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from urllib.parse import unquote, urlsplit
from uuid import UUID

import aiosmtplib
import structlog
from pydantic import SecretStr

from app.kit import clock
from app.kit.letters import NotSent, Refused

log = structlog.get_logger(__name__)

_SECONDS = 20
_FAREWELL_SECONDS = 2
_FOR_GOOD = 500
_DOMAIN = "harmline"


class NotTaken(NotSent, aiosmtplib.SMTPException):
    """The server did not take the mail. The message names the failure's type, never an address."""


class AddressRefused(Refused, NotTaken):
    """The server will never take mail for this address."""


class Mailer:
    """Sends one plain-text mail at a time. Without a mail server it sends nothing and says so in the log."""

    def __init__(self, smtp_url: SecretStr | None, sender: str) -> None:
        """`smtp_url`: smtp://user:password@host:port, smtps:// for TLS from the first byte; None for no mail."""
        self._url = urlsplit(smtp_url.get_secret_value()) if smtp_url else None
        self._sender = sender

    @property
    def ready(self) -> bool:
        """Whether there is a mail server."""
        return self._url is not None

    async def send(self, to: str, subject: str, text: str, known_as: UUID | None = None) -> bool:
        """Hand one mail to the server; True when it took it, False without a server.

        `known_as`: by it whoever gets the same mail twice can tell; None for a mail that is like no other.

        Raises NotTaken when it surely did not; any other SMTPException leaves that open.
        """
        if self._url is None:
            log.warning("mail not sent: set HARMLINE_SMTP_URL to a mail server")
            return False
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._sender, to, subject
        message["Date"] = format_datetime(clock.now())
        message["Message-ID"] = f"<{known_as}@{_DOMAIN}>" if known_as else make_msgid(domain=_DOMAIN)
        message.set_content(text)
        client = aiosmtplib.SMTP(
            hostname=self._url.hostname,
            port=self._url.port,
            username=unquote(self._url.username) if self._url.username else None,
            password=unquote(self._url.password) if self._url.password else None,
            use_tls=self._url.scheme == "smtps",
            timeout=_SECONDS,
        )
        try:
            await _hand_over(client, message)
        finally:
            client.close()
        return True


async def _hand_over(client: aiosmtplib.SMTP, message: EmailMessage) -> None:
    """Connect, hand over, and leave. What fails before the mail is on its way, or by the server's own word, is NotTaken."""
    failure: Exception
    try:
        await client.connect()
    except (aiosmtplib.SMTPException, OSError) as error:
        failure = NotTaken(type(error).__name__)
    else:
        try:
            await client.send_message(message)
        except aiosmtplib.SMTPRecipientsRefused as error:
            for_good = all(one.code >= _FOR_GOOD for one in error.recipients)
            failure = (AddressRefused if for_good else NotTaken)(type(error).__name__)
        except (aiosmtplib.SMTPResponseException, aiosmtplib.SMTPNotSupported) as error:
            failure = NotTaken(type(error).__name__)
        else:
            # The mail is taken: how the farewell goes changes nothing.
            with suppress(aiosmtplib.SMTPException, OSError):
                async with asyncio.timeout(_FAREWELL_SECONDS):
                    await client.quit()
            return
    # Outside of the handlers: what was caught holds the address, and would travel along.
    raise failure
