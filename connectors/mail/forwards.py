"""How a mail came, and what its sender wrote: as it was sent, or quoted in somebody else's mail.

A mail that is redirected keeps its From and is read as it is. One that is forwarded by hand holds the inner mail as text, below
a mark or a block of header lines, in the manner of the program that did it. Of a forward of a forward the innermost is taken.
Where it is not clear which mail is meant, the outer one stands, marked as forwarded by hand: then a person decides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from connectors.mail import plain
from connectors.mail.letter import How, Letter
from connectors.mail.message import LONGEST_LINE, LONGEST_NAME, LONGEST_TEXT, Mail, address, moment

MOST_LINES = 20_000
"""Lines of a mail in which a forward is looked for."""

LONGEST_BLOCK = 14
"""Lines of one block of header lines, its wrapped ones counted."""

LONGEST_NOTE = 600
"""Characters that somebody who forwards a forward may have put above it. More, and it may be two mails side by side."""

_LABELS = {
    "from": ("from", "de", "desde", "remitente"),
    "date": ("date", "sent", "fecha", "enviado", "enviado el", "enviada", "enviado en", "date sent"),
    "to": ("to", "para", "a"),
    "cc": ("cc", "cco", "bcc"),
    "reply-to": ("reply-to", "responder a", "reply to"),
    "subject": ("subject", "asunto"),
}
_LABEL = {word: name for name, words in _LABELS.items() for word in words}
_LINE = re.compile(r"\*{0,2}([A-Za-z][A-Za-z -]{0,15}?) ?\*{0,2}:\*{0,2} ?(.*)")
_QUOTED = re.compile(r"(?:> ?)+")
_DASHED = re.compile(r"(-{3,20}) ?([A-Za-z ]{5,30}?) ?-{3,20}")
_RULE = re.compile(r"_{10,}|-{20,}")
_FORWARDED = frozenset({"forwarded message", "mensaje reenviado", "forwarded mail"})
_ORIGINAL = frozenset({"original message", "mensaje original", "original appointment"})
_APPLE = frozenset({"begin forwarded message:", "inicio del mensaje reenviado:", "comienzo del mensaje reenviado:"})
_GMAIL_DASHES = 10
_PREFIX = re.compile(r"(?:(?:fwd?|rv|reenv|wg)\s*:\s*)+", re.IGNORECASE)
_ANY_PREFIX = re.compile(r"(?:(?:fwd?|rv|reenv|wg|re)\s*:\s*)+", re.IGNORECASE)
_QUOTES = re.compile(r"(?:On|El) .{5,300} (?:wrote|escribió):")
MOST_QUOTED = 2
"""Lines that begin with a quotation mark which a service's own mail may have."""

_MAILTO = re.compile(r"\[mailto:([^\]\s]+)\]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reading:
    """A letter, and its sender's date as text, "" without one: the letter's own `date` is None where no offset survives."""

    letter: Letter
    dated: str


@dataclass(frozen=True, slots=True)
class _Block:
    """One quoted mail: the line of its mark, where its own text begins, its header lines, the manner."""

    mark: int
    text: int
    fields: dict[str, str] = field(repr=False)
    how: How


def reading(mail: Mail) -> Reading:
    """What the sender wrote, and how it came."""
    rows = mail.text.split("\n")[:MOST_LINES]
    bare = [_QUOTED.sub("", row, count=1).strip() if row.startswith(">") else row for row in rows]
    blocks = _blocks(bare)
    if not blocks:
        return _as_sent(mail, How.INLINE_OTHER if _holds_another(mail, rows) else How.ORIGINAL)
    inner = blocks[-1]
    if not _is_chain(bare, blocks):
        return _as_sent(mail, How.INLINE_OTHER)
    return _quoted(mail, bare, inner)


def _holds_another(mail: Mail, rows: Sequence[str]) -> bool:
    """Whether somebody forwards or answers in a manner that is not known: what they sign is their own mail, not the inner one."""
    if _PREFIX.match(mail.subject) or sum(row.startswith(">") for row in rows) > MOST_QUOTED:
        return True
    return any(_QUOTES.match(f"{row} {below}") for row, below in pairwise([*rows, ""]) if row.startswith(("On ", "El ")))


def _as_sent(mail: Mail, how: How) -> Reading:
    letter = Letter(mail.sender, mail.sender_name, mail.subject, mail.date, mail.text, mail.message_id, how)
    return Reading(letter, mail.dated)


def _quoted(mail: Mail, bare: Sequence[str], inner: _Block) -> Reading:
    given = inner.fields
    sender, name = _sender(given.get("from", ""))
    dated = plain.line(given.get("date", ""), LONGEST_NAME)
    letter = Letter(
        sender=sender,
        sender_name=name,
        subject=given.get("subject") or _PREFIX.sub("", mail.subject, count=1),
        date=moment(dated),
        text=plain.lines("\n".join(bare[inner.text :]), LONGEST_TEXT),
        message_id=None,
        how=inner.how,
    )
    return Reading(letter, dated)


def _sender(value: str) -> tuple[str, str]:
    """As programs write it: `Name <address>`, `Name [mailto:address]`, `Name (address)` or the address alone."""
    sender, name = address(_MAILTO.sub(r"<\1>", value).replace("<<", "<").replace(">>", ">").replace("*", ""))
    if sender:
        return sender, name
    return "", plain.line(value, LONGEST_NAME)


def _is_chain(bare: Sequence[str], blocks: Sequence[_Block]) -> bool:
    """Whether each mail is inside the one before: so its subject says, and above the inner stands only a short note."""
    return all(
        _forwards(outer.fields.get("subject", ""), inner.fields.get("subject", ""))
        and len("\n".join(bare[outer.text : inner.mark]).strip()) <= LONGEST_NOTE
        for outer, inner in pairwise(blocks)
    )


def _forwards(subject: str, inner: str) -> bool:
    """Whether it is the inner subject behind `Fwd:` or the like. Two alerts side by side may have one subject, but not that."""
    bare = _ANY_PREFIX.sub("", subject, count=1).strip()
    return bare != subject.strip() and bare == _ANY_PREFIX.sub("", inner, count=1).strip()


def _blocks(bare: Sequence[str]) -> list[_Block]:
    found: list[_Block] = []
    at = 0
    while at < len(bare):
        block = _block_at(bare, at)
        if block is not None:
            found.append(block)
        at = block.text if block is not None else at + 1
    return found


def _block_at(bare: Sequence[str], at: int) -> _Block | None:
    """A quoted mail whose mark, or whose first header line, is this line."""
    how = _marked(bare[at])
    if how is not None:
        begin = next((place for place in range(at + 1, min(at + 4, len(bare))) if bare[place]), None)
        fields, end = _fields(bare, begin) if begin is not None else ({}, at)
        return _Block(at, end, fields, how) if "from" in fields and ("subject" in fields or "date" in fields) else None
    if not _begins_block(bare, at):
        return None
    fields, end = _fields(bare, at)
    return _Block(at, end, fields, How.INLINE_OUTLOOK) if {"from", "date", "subject"} <= fields.keys() else None


def _marked(line: str) -> How | None:
    if len(line) > LONGEST_NAME:
        return None
    if line.lower() in _APPLE:
        return How.INLINE_APPLE
    dashed = _DASHED.fullmatch(line)
    if dashed is None:
        return None
    words = dashed[2].strip().lower()
    if words in _ORIGINAL:
        return How.INLINE_OUTLOOK
    if words not in _FORWARDED:
        return None
    return How.INLINE_GMAIL if len(dashed[1]) == _GMAIL_DASHES else How.INLINE_OTHER


def _begins_block(bare: Sequence[str], at: int) -> bool:
    """A line that says From, at the very beginning, below a rule or below an empty line: newer Outlook has no other mark."""
    labelled = _labelled(bare[at])
    return labelled is not None and labelled[0] == "from" and (at == 0 or not bare[at - 1] or bool(_RULE.fullmatch(bare[at - 1])))


def _labelled(line: str) -> tuple[str, str] | None:
    found = _LINE.fullmatch(line)
    name = _LABEL.get(" ".join(found[1].lower().split())) if found else None
    return (name, found[2].strip().removesuffix("**").strip()) if found and name else None


def _fields(bare: Sequence[str], begin: int) -> tuple[dict[str, str], int]:
    """The header lines from here on, each name once, and where the text below them begins.

    One empty line between two of them is passed over; a line without a label goes on with a long address or subject above it.
    """
    fields: dict[str, str] = {}
    last, at = "", begin
    while at < min(begin + LONGEST_BLOCK, len(bare)):
        labelled = _labelled(bare[at])
        if labelled is not None and labelled[0] not in fields:
            last = labelled[0]
            fields[last] = plain.line(labelled[1], LONGEST_LINE)
        elif bare[at] and last and _goes_on(bare, at, fields):
            fields[last] = plain.line(f"{fields[last]} {bare[at]}", LONGEST_LINE)
        elif bare[at] or not _more(bare, at + 1, fields):
            break
        at += 1
    return fields, at


def _goes_on(bare: Sequence[str], at: int, fields: dict[str, str]) -> bool:
    """Whether this line is the rest of the one above: directly below it, and with another label (or the end of all) below."""
    if not bare[at - 1] or _labelled(bare[at]) is not None:
        return False
    return _more(bare, at + 1, fields) or (
        "subject" in fields and at + 1 < len(bare) and not bare[at + 1] and _is_short(bare, at)
    )


def _is_short(bare: Sequence[str], at: int) -> bool:
    """A wrapped subject: the line above was full."""
    return len(bare[at - 1]) > 60 and len(bare[at]) < len(bare[at - 1])


def _more(bare: Sequence[str], at: int, fields: dict[str, str]) -> bool:
    labelled = _labelled(bare[at]) if at < len(bare) else None
    return labelled is not None and labelled[0] not in fields
