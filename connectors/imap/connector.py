"""Reads a mailbox over IMAP (RFC 3501), and hands each mail on to `mail`."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from connectors.asking import Left, Mailbox, Page, PollPlan, Speaks, Subject, TryLater
from connectors.contract import require_storable
from connectors.polled_mail import PolledMail, PolledMailConfig, beside, beside_left

MOST_REFUSED = 3
"""So many mails, one behind the other, that a server does not hand over are the server's fault, and none is passed by."""

_CURSOR = re.compile(r"([0-9]{1,10}) ([0-9]{1,10})", re.ASCII)
_Word = Annotated[str, AfterValidator(require_storable)]


class ImapConfig(PolledMailConfig):
    """How the mailbox is reached."""

    base_url: str = Field(description="Address of the mail server: imaps://imap.example.org, or imap:// where it wants STARTTLS")
    user: Annotated[_Word, Field(min_length=1)] = Field(description="User name, often the whole e-mail address")
    password: SecretStr = Field(description="Password; a password for apps where the service has such")
    folder: Annotated[_Word, Field(min_length=1)] = Field(default="INBOX", description="Folder that the alerts come into")


class Imap(PolledMail):
    """The cursor is the folder's UIDVALIDITY and the last UID. With another one all is read anew, and known by its bytes."""

    name = "imap"
    title = "Mailbox (IMAP)"
    config = ImapConfig
    poll = PollPlan(every=timedelta(minutes=5), requests_per_minute=600, speaks=Speaks.IMAP, fresh_within=timedelta(hours=1))

    async def pages(
        self, mailbox: Mailbox, config: ImapConfig, cursor: str | None, subjects: Sequence[Subject]
    ) -> AsyncIterator[Page]:
        """One mail a page, and the cursor behind it. Mails that are refused wait for one that is not."""
        try:
            validity = await mailbox.open(config.user, config.password.get_secret_value(), config.folder)
            last, refused = _last(cursor, validity), list[Page]()
            for uid in await mailbox.uids(last):
                found = await mailbox.mail(uid)
                page = _page(found, config, uid, validity)
                if isinstance(found, Left) and found.why == "refused":
                    refused.append(page)
                    if len(refused) == MOST_REFUSED:
                        raise TryLater("The mail server does not hand over its mails")
                    continue
                for one in (*refused, page):
                    yield one
                refused.clear()
            for one in refused:
                yield one
        finally:
            mailbox.leave()


def _page(found: bytes | Left | None, config: ImapConfig, uid: int, validity: int) -> Page:
    here = f"{validity} {uid}"
    if isinstance(found, Left):
        return Page(found.head, here, beside_left(found, f"{uid} (UIDVALIDITY {validity})"))
    return Page(found, here, beside(config.recipient_header))


def _last(cursor: str | None, validity: int) -> int:
    """The UID of the last mail that was read; 0 where ids are not those of before, or nothing was read."""
    known = _CURSOR.fullmatch(cursor or "")
    return int(known[2]) if known and int(known[1]) == validity else 0
