"""What a native exhibit holds: the bytes as they came, what proved them, and what was understood of them.

One exhibit is one event of an alert: the first that told of it, or one that told it otherwise. The same told again is a line in
it. Read one at a time: nothing of it stays in memory.
"""

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from app.connections.models import Connection
from app.evidence.repository import Told
from app.evidence.withheld import Why
from app.evidence.wording import moment, title
from app.incidents import repository as incidents
from app.incidents.matching import sealed_at
from app.incidents.models import MemberEvent
from app.intake import repository as intake
from app.intake.models import Event, EventOutcome, Receipt
from app.intake.sealing import open_asked, open_headers, open_whole
from app.kit.database import Transaction
from app.kit.keyring import Keyring
from app.ledger.models import LedgerEntry
from app.ledger.service import binds
from app.members.keys import open_json
from app.timeline.masking import mask
from app.timeline.wording import grade_text
from connectors.mail.connector import KEYS
from connectors.mail.signed import keys_in
from connectors.own.documents import ENDINGS, media_type_of
from connectors.verifiers import Grade
from connectors.vocabulary import AlertKind

FORMAT = "harmline-exhibit@v1"
NATIVE, SUMMARY, ILLUSTRATION = "native", "summary_1006", "illustrative_107"
_MAILS = frozenset({"mail", "imap", "jmap"})


class Variant(StrEnum):
    """SEALED: whole, for counsel and for filing under seal. REDACTED: without originals, numbers by their last four."""

    SEALED = "sealed"
    REDACTED = "redacted"


@dataclass(frozen=True, slots=True)
class Planned:
    """One native exhibit that is to be. `again`: when the same was told again, with the same content."""

    bates: str
    told: Told
    again: tuple[Told, ...] = ()

    @property
    def ids(self) -> set[UUID]:
        """By what an act of the log can name it."""
        return {self.told.receipt_id, self.told.alert_id, self.told.event_id, *(one.receipt_id for one in self.again)}


@dataclass(slots=True)
class Native:
    """One native exhibit. `view`: its exhibit.json, all but `file`, `custody`, `incidents` and `carriers`.

    `opening`: what opens the ledger entry.

    `original`: the bytes as they came, where they may be shown, with the ending of their file; `item`: the provider's own item
    cut out of them. `why`: why something is not shown.
    """

    view: dict[str, Any]
    original: bytes | None = field(default=None, repr=False)
    ending: str = "bin"
    opening: dict[str, Any] | None = field(default=None, repr=False)
    item: Any = field(default=None, repr=False)
    why: Why | None = None


@dataclass(frozen=True, slots=True)
class Company:
    """Who is in the packet: what a delivery may hold besides one member's own. `references`: with their connections.

    `others`: of which deliveries it is known already whether they hold anybody else.
    """

    variant: Variant
    alerts: frozenset[UUID]
    references: frozenset[tuple[UUID, bytes]]
    others: dict[UUID, bool] = field(default_factory=dict)


async def read(
    tx: Transaction, keyring: Keyring, one: Planned, entry: LedgerEntry, member_key: bytes | None, company: Company
) -> Native:
    """Read one exhibit. `entry`: of its receipt; `member_key`: None when its member is erased. Raises LookupError."""
    variant = company.variant
    found = await intake.receipt(tx, one.told.receipt_id)
    event = await intake.event(tx, one.told.connection_id, one.told.event_id)
    if found is None or event is None:
        raise LookupError(f"the receipt of {one.bates} is gone")
    receipt, connection = found
    native = Native(_frame(one, receipt, connection))
    row = await incidents.event_of_member(tx, one.told.member_id, one.told.event_id)
    if member_key is None or row is None:
        native.why = Why.ERASED
        return native
    copy = open_json(member_key, row.sealed, *sealed_at(row.member_id, row.event_id))
    native.view |= _understood(row, event, copy["alert"], variant)
    native.item = copy["body"] if variant is Variant.SEALED else mask(copy["body"])
    native.why = await _why_not(tx, receipt, company)
    if receipt.wrapped_key is not None:
        native.view |= await _what_proved(tx, keyring, receipt, variant)
    if native.why is None:
        await _open(tx, keyring, native, receipt, connection, entry)
    return native


def _frame(one: Planned, receipt: Receipt, connection: Connection) -> dict[str, Any]:
    """What is known of every exhibit, of one whose content is gone too."""
    return {
        "format": FORMAT,
        "bates": one.bates,
        "type": NATIVE,
        "sources": [],
        "title": "A delivery whose content is gone",
        "member": str(one.told.member_id),
        "alert": str(one.told.alert_id),
        "event": str(one.told.event_id),
        "receipt": str(receipt.id),
        "connection": str(connection.id),
        "provider": connection.title,
        "connector": connection.connector,
        "channel": receipt.channel,
        "received_at": moment(receipt.received_at),
        "grade": None,
        "proved_by": None,
        "dns": None,
        "headers": None,
        "view": None,
        "again": [{"receipt": str(told.receipt_id), "received_at": moment(told.received_at)} for told in one.again],
    }


def _understood(row: MemberEvent, event: Event, alert: dict[str, Any], variant: Variant) -> dict[str, Any]:
    kind = title(AlertKind(row.kind))
    shown = alert if variant is Variant.SEALED else mask(alert)
    return {
        "title": f"{kind} (told otherwise than before)" if row.outcome == EventOutcome.REVISION else kind,
        "view": {"code_version": event.normaliser, "alert": shown},
        "grade": {"grade": row.grade, "reason": grade_text(Grade(row.grade), own=False)},
    }


async def _why_not(tx: Transaction, receipt: Receipt, company: Company) -> Why | None:
    """Why the bytes as they came may not be shown; None when they may."""
    if receipt.wrapped_key is None:
        return Why.TERM if receipt.remains_sealed is not None else Why.ERASED
    if receipt.id not in company.others:
        company.others[receipt.id] = await _holds_others(tx, receipt, company)
    if company.others[receipt.id]:
        return Why.OTHER_PEOPLE
    return Why.REDACTED if company.variant is Variant.REDACTED else None


async def _holds_others(tx: Transaction, receipt: Receipt, company: Company) -> bool:
    """Whether a delivery says anything of anybody who is not in the packet, or of whom it cannot be told."""
    events = await intake.events_of(tx, receipt.connection_id, receipt.id)
    about = (receipt.connection_id, receipt.about_index) in company.references

    def is_theirs(event: Event) -> bool:
        if event.alert_id is not None:
            return event.alert_id in company.alerts
        if event.reference_index is None:
            return about or len(events) == 1
        return (event.connection_id, event.reference_index) in company.references

    return not all(is_theirs(event) for event in events)


async def _what_proved(tx: Transaction, keyring: Keyring, receipt: Receipt, variant: Variant) -> dict[str, Any]:
    asked = await open_asked(tx, keyring, receipt)
    headers = await open_headers(tx, keyring, receipt) if variant is Variant.SEALED else None
    return {
        "proved_by": receipt.verification,
        "dns": keys_in(asked.get(KEYS, "")) or None,
        "headers": headers or None,
    }


async def _open(
    tx: Transaction, keyring: Keyring, native: Native, receipt: Receipt, connection: Connection, entry: LedgerEntry
) -> None:
    """Put the bytes into the exhibit with what opens the ledger entry, if that entry binds these very bytes."""
    salt, body = await open_whole(tx, keyring, receipt)
    facts = {
        "body_sha256": hashlib.sha256(body).hexdigest(),
        "size": len(body),
        "channel": receipt.channel,
        "proof": receipt.verification,
    }
    if not binds(entry, salt, facts):
        native.why = Why.UNPROVEN
        return
    native.original, native.ending = body, ending_of(body, connection.connector)
    native.opening = {"salt": salt.hex(), "facts": facts}


def ending_of(body: bytes, connector: str) -> str:
    """How the name of a file with these bytes ends, told by the bytes and by which connector took them in."""
    if connector in _MAILS and body.lstrip()[:1] not in (b"{", b"["):
        return "eml"
    if connector == "file":
        return "csv"
    try:
        json.loads(body)
    except ValueError:
        return ENDINGS.get(media_type_of(body) or "", "bin")
    return "json"
