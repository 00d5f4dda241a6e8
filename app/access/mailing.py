"""Sends the one-time links that were asked for. Runs behind the outbox, so that asking takes the same time for everybody."""

import re
import unicodedata
from collections.abc import Sequence

import structlog

from app.access import repository, service
from app.access.models import Account
from app.access.roles import Role
from app.kit.context import Context
from app.kit.database import Transaction
from app.kit.keyring import Lane
from app.kit.outbox import Consumer, Message

log = structlog.get_logger(__name__)

_TEXT = """\
Somebody, probably you, asked to sign in to Harmline.

Open this link and press the button. It works once, for 15 minutes:

{link}

If you did not ask for it, you can leave this mail alone: nothing happens.
"""

_PLAIN = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9-]+(\.[a-z0-9-]+)+")


def mailbox(email: str) -> str | None:
    """The one mailbox behind an address as mail servers read it, domain in ASCII; None for anything but a plain address.

    What could be read as a list, a comment or a name with an address would get past the held domains.
    """
    local, _, domain = email.strip().rpartition("@")
    try:
        ascii_domain = unicodedata.normalize("NFKC", domain).rstrip(".").lower().encode("idna").decode("ascii")
    except UnicodeError:
        return None
    plain = f"{local}@{ascii_domain}"
    return plain if _PLAIN.fullmatch(plain) else None


async def _send(tx: Transaction, context: Context, account: Account, role: Role) -> None:
    if account.email_sealed is None:
        return
    where = ("account", "email_sealed", account.id)
    typed = await context.keyring.unseal(tx, account.organization_id, Lane.FACTUAL, account.email_sealed, *where)
    email = mailbox(typed)
    if email is None:
        log.warning("no link sent: not a plain address", account=str(account.id))
        return
    if await repository.is_held(tx, account.organization_id, email.rpartition("@")[2]):
        log.warning("link held back: the address belongs to the defendant", account=str(account.id))
        return
    token = await service.create_link(tx, account.id, role)
    link = f"{context.settings.origin}/sign-in/{token}"
    await context.mailer.send(email, "Your sign-in link", _TEXT.format(link=link))


def consumer(context: Context) -> Consumer:
    """The worker that mails links; nothing is mailed to the defendant's domains."""

    async def handle(tx: Transaction, messages: Sequence[Message]) -> None:
        for message in messages:
            index = bytes.fromhex(message.payload["email_index"])
            for account, role in await repository.accounts_by_email(tx, index):
                await _send(tx, context, account, Role(role))

    return Consumer("access.links", frozenset({service.SIGN_IN_REQUESTED}), handle)
