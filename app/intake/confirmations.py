"""A mailbox asks whether mails may be forwarded to an address here: its question comes as a mail, and its member must see it.

Nobody else does. Mail is hostile: it is shown as text, and a link is one only where the mailbox service's own signature is on
the mail and the link leads into that service.
"""

import re
from datetime import timedelta
from urllib.parse import urlsplit

from app.access.roles import Principal
from app.connections.models import Connection
from app.intake import repository
from app.intake.models import EventOutcome, Receipt
from app.intake.schemas import ForwardingConfirmation
from app.intake.sealing import open_asked, open_body
from app.intake.understanding import Unsplittable, split, understand
from app.kit import clock
from app.kit.context import Context
from app.kit.database import Transaction
from app.ledger.service import Act, Sight, append
from connectors.contract import Connector, Malformed, RawEvent
from connectors.registry import registry
from connectors.verifiers import Grade

REASON = "confirmation of forwarding"
"""What the shipped rules say of such a mail."""

SHOWN_FOR = timedelta(days=7)
MOST_OPENED = 20
"""Mails to one address, the newest, among which such a question is looked for."""

LARGEST = 256 * 1024
LONGEST_TEXT = 4_000
HOSTS = frozenset({"mail.google.com", "mail-settings.google.com"})
"""Where the one service that asks has its links lead."""

_CODE = re.compile(r"\bconfirmation code:?\s{0,3}([0-9]{6,12})\b", re.IGNORECASE)
_LINK = re.compile(r"https://[A-Za-z0-9.-]{1,100}/[^\s<>\"']{1,500}")


async def confirmations_of(
    tx: Transaction, context: Context, caller: Principal, connection: Connection, index: bytes
) -> list[ForwardingConfirmation]:
    """What mailboxes asked of the calling member's address lately, newest first; the look is written down where there is any."""
    receipts = await repository.receipts_about(tx, connection.id, index, clock.now() - SHOWN_FOR, MOST_OPENED)
    found = [one for receipt in receipts if (one := await _confirmation(tx, context, connection, receipt)) is not None]
    if found:
        where = (tx, context.keyring, caller.organization_id, Act.VIEW)
        facts = {"what": Sight.MAIL}
        await append(*where, facts=facts, actor=caller.actor, member_id=caller.member_id, connection=connection.id)
    return found


async def _confirmation(
    tx: Transaction, context: Context, connection: Connection, receipt: Receipt
) -> ForwardingConfirmation | None:
    if len(receipt.sealed) > LARGEST:
        return None
    body = await open_body(tx, context.keyring, receipt)
    if body is None:
        return None
    asked, connector = await open_asked(tx, context.keyring, receipt), registry()[connection.connector]
    shown = next((shown for event in _events(connector, body, asked) if (shown := _as_question(connector, event))), None)
    return None if shown is None else question_in(shown, receipt)


def _events(connector: Connector, body: bytes, asked: dict[str, str]) -> list[RawEvent]:
    try:
        return [event for event in split(connector, body, asked) if isinstance(event, RawEvent)]
    except Unsplittable:
        return []


def _as_question(connector: Connector, event: RawEvent) -> str | None:
    understood = understand(connector, event)
    if understood.outcome is not EventOutcome.NON_ALERT or understood.reason != REASON:
        return None
    try:
        return connector.shown(event).get("Text")
    except Malformed:
        return None


def question_in(text: str, receipt: Receipt) -> ForwardingConfirmation:
    """The question as it is shown: its code, and its link where the signature holds and it leads where such links do."""
    checked = receipt.grade == Grade.THIRD_PARTY
    code = _CODE.search(text)
    links = [link for link in _LINK.findall(text) if leads_home(link)] if checked else []
    return ForwardingConfirmation(
        received_at=receipt.received_at,
        checked=checked,
        code=code.group(1) if code else None,
        link=links[0] if links else None,
        text=text[:LONGEST_TEXT],
    )


def leads_home(link: str) -> bool:
    """Whether a link leads to a host of `HOSTS`, by https, on its own port, with nobody's name in it."""
    try:
        parts = urlsplit(link)
        return (parts.scheme, parts.netloc) in {("https", host) for host in HOSTS}
    except ValueError:
        return False
