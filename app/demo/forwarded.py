"""Mails of an invented monitoring service that members forward, and everything that a mailbox brings besides. Plain values."""

import email
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from enum import StrEnum
from itertools import cycle
from random import Random

from app.demo.enrollment import MAIL_DOMAIN, Book, Service
from app.demo.plan import Meaning
from app.demo.truth import END, Heard, TrueIncident, Truth
from connectors.mail.samples import SENDER, WORDS, alert_mail
from connectors.mail.sandbox import attached
from connectors.vocabulary import AlertKind

LAST_WRITTEN = END - timedelta(days=3)
MOST_OF_ONE = 2
"""Mails that one member forwards of what other services tell of, too."""


class Forwarding(StrEnum):
    """How a mail comes from its member."""

    REDIRECTED = "redirected, as it was sent"
    ATTACHED = "attached to a mail of the member's own"
    INLINE = "as text in a mail of the member's own"


class Brought(StrEnum):
    """How often the carrier brings it, and whether it is the carrier."""

    ONCE = "once"
    TWICE = "twice, because our answer was lost"
    FORGED = "by somebody else in its name"


@dataclass(frozen=True, slots=True)
class Mailed:
    """One mail that comes to somebody's forwarding address.

    `written`: what its sender wrote, byte for byte; `signed`: whether the sender's server signs it. `name`: by what the alert is
    known: its Message-ID, or where that is lost the address and the date as the forward has it.
    """

    at: datetime
    to: str
    written: bytes
    name: str
    forwarding: Forwarding = Forwarding.REDIRECTED
    signed: bool = False
    meaning: Meaning = Meaning.ALERT
    incident: str | None = None
    brought: Brought = Brought.ONCE
    is_nobodys: bool = False

    @property
    def is_proven(self) -> bool:
        """Whether what the sender signed comes through."""
        return self.signed and self.forwarding is not Forwarding.INLINE


MANNERS = (
    (Forwarding.REDIRECTED, True),
    (Forwarding.INLINE, True),
    (Forwarding.ATTACHED, True),
    (Forwarding.REDIRECTED, False),
)


def write_mails(seed: int, truth: Truth, book: Book) -> tuple[Mailed, ...]:
    """Every mail, in order; always the same for a seed, a truth and a book."""
    mails = list(_alerts(Random(f"{seed}:mails"), truth, book))
    plain = next(place for place, mail in enumerate(mails) if mail.forwarding is Forwarding.REDIRECTED and not mail.signed)
    mails[plain] = replace(mails[plain], brought=Brought.TWICE)
    mails += list(_others(mails))
    return tuple(sorted(mails, key=lambda mail: (mail.at, mail.name)))


def _alerts(rng: Random, truth: Truth, book: Book) -> Iterator[Mailed]:
    """What only a mail tells of at once, some of what other services tell of, too, a few days later."""
    addresses = {one.external_id: one.reference for one in book.enrolled[Service.MAIL]}
    only = truth.heard(Heard.MAIL, Heard.HINT)
    also = [i for i in truth.heard(Heard.SERVICES) if i.member in addresses and i.institution is not None and i.kind in WORDS]
    also = [i for place, i in enumerate(also) if sum(other.member == i.member for other in also[:place]) < MOST_OF_ONE]
    for number, (incident, (forwarding, signed)) in enumerate(zip((*only, *also), cycle(MANNERS)), 1):
        days, seconds = rng.randint(1, 6), rng.randint(0, 9000)
        later = timedelta(days=days, seconds=seconds) if incident.heard is Heard.SERVICES else timedelta()
        at = min(incident.noticed + later, LAST_WRITTEN)
        mail = _about(incident, addresses[incident.member], at.replace(microsecond=0), number)
        yield replace(_named(mail, forwarding), signed=signed)


def _about(incident: TrueIncident, to: str, at: datetime, number: int) -> Mailed:
    """A hint whose member looks says nothing at all, any other at least what sort of thing it is."""
    hint = incident.heard is Heard.HINT
    kind = AlertKind.OTHER_UNCLASSIFIED if incident.looked else incident.kind
    spellings = incident.institution.spellings if incident.institution and not hint else ()
    place = spellings[number % len(spellings)] if spellings else None
    written = alert_mail(kind, _home(incident.member), at, number, place, None if hint else incident.last_four) or b""
    return Mailed(at, to, written, "", incident=incident.key)


def _home(member: str) -> str:
    """Where a member has their mail."""
    return f"{member.lower()}@example.org"


def _named(mail: Mailed, forwarding: Forwarding) -> Mailed:
    """The same, forwarded so, with the name that it then has."""
    name = f"{mail.to} {_date_as_text(mail.written)}" if forwarding is Forwarding.INLINE else message_id(mail.written)
    return replace(mail, forwarding=forwarding, name=name)


def message_id(written: bytes) -> str:
    """The Message-ID of a mail."""
    return str(email.message_from_bytes(written)["message-id"]).strip("<>")


def _date_as_text(written: bytes) -> str:
    """The date as a mail program writes it into a forward: without an offset."""
    date = email.message_from_bytes(written, policy=SMTP)["date"].datetime
    return f"{date:%a, %b} {date.day}, {date:%Y} at {date:%I:%M %p}".replace("at 0", "at ")


def _others(mails: list[Mailed]) -> Iterator[Mailed]:
    """The first by a second way, too; advertising, a sender whom no rule knows, a stranger, a forgery."""
    first = next(mail for mail in mails if mail.forwarding is Forwarding.REDIRECTED and mail.signed)
    soon = first.at + timedelta(hours=5)
    yield replace(first, at=soon, forwarding=Forwarding.ATTACHED)
    offer = _letter(first, str(SENDER), "Example Monitor offer: two years for one", "We watch over you for less.")
    yield replace(offer, at=soon + timedelta(hours=1), meaning=Meaning.NOTHING, signed=True)
    notice = _letter(first, "Quiet Harbor <post@quiet-harbor.example>", "Please read", "A card was ordered in your name.")
    yield replace(notice, at=soon + timedelta(hours=1, minutes=30), meaning=Meaning.UNREADABLE)
    stray = f"m-{'a' * 26}@{MAIL_DOMAIN}"
    nobodys = alert_mail(AlertKind.INQUIRY_HARD, "nobody@example.org", soon, 901, "Copper Kite Bank", None) or b""
    yield Mailed(soon + timedelta(hours=2), stray, nobodys, message_id(nobodys), is_nobodys=True)
    yield Mailed(soon + timedelta(hours=3), first.to, nobodys, message_id(nobodys), brought=Brought.FORGED)


def _letter(beside: Mailed, sender: str, subject: str, text: str) -> Mailed:
    """Another mail to the same member, redirected like that one."""
    mark = hashlib.sha256(f"{subject} {beside.name}".encode()).hexdigest()[:32]
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"], mail["Subject"] = sender, str(email.message_from_bytes(beside.written)["to"]), subject
    mail["Date"], mail["Message-ID"] = beside.at, f"<{mark}@{sender.rpartition('@')[2].strip('>')}>"
    mail.set_content(f"{text}\n")
    return Mailed(beside.at, beside.to, mail.as_bytes(), message_id(mail.as_bytes()))


def as_it_comes(mail: Mailed, written: bytes) -> bytes:
    """The mail as it reaches the forwarding address; `written`: what its sender wrote, perhaps signed."""
    match mail.forwarding:
        case Forwarding.REDIRECTED:
            return f"Received: from a mailbox of {mail.to} by example.org; {_stamp(mail.at)}\r\n".encode() + written
        case Forwarding.ATTACHED:
            return attached(written, mail.to)
    return _inline(mail, written)


def report_after(incident: TrueIncident) -> dict[str, str]:
    """What a member types in who logged in where a mail told them to, by the names of a report's fields."""
    where = f" at {incident.institution.name}" if incident.institution else ""
    typed = {
        "kind": incident.kind.value,
        "institution": incident.institution.name if incident.institution else "",
        "last_four": incident.last_four or "",
        "amount": str(incident.amount or ""),
        "happened_from": incident.happened_on.isoformat(),
        "happened_to": incident.happened_on.isoformat(),
        "note": f"I logged in on {incident.looked:%d %B %Y}. It says: {WORDS[incident.kind]}{where}.",
    }
    return {name: text for name, text in typed.items() if text}


def _stamp(at: datetime) -> str:
    return f"{at:%a, %d %b %Y %H:%M:%S} +0000"


def _inline(mail: Mailed, written: bytes) -> bytes:
    """As Gmail does it: the inner mail's headers and its text, below a mark."""
    inner = email.message_from_bytes(written, policy=SMTP)
    text = inner.get_body(("plain",))
    outer = EmailMessage(policy=SMTP)
    outer["From"], outer["To"] = str(inner["to"]), mail.to
    outer["Subject"], outer["Date"] = f"Fwd: {inner['subject']}", mail.at
    outer["Message-ID"] = f"<forward-{hashlib.sha256(written).hexdigest()[:24]}@example.org>"
    lines = (
        "---------- Forwarded message ---------",
        f"From: {inner['from']}",
        f"Date: {_date_as_text(written)}",
        f"Subject: {inner['subject']}",
        f"To: <{inner['to']}>",
        "",
        "",
        str(text.get_content()) if text else "",
    )
    outer.set_content("\n".join(lines))
    return outer.as_bytes()
