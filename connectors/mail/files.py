"""Files of mails that a person hands in: one mail (`.eml`), or many (`.mbox`), in memory that does not grow with the file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from connectors.asking import Asked
from connectors.contract import Malformed, Piece
from connectors.mail.events import HANDED_IN, MAILBOX_FILE, begins_a_mail, is_dated
from connectors.mail.parts import LARGEST

MOST_MAILS = 64
LARGEST_PIECE = 1024 * 1024
"""How much of a file of mails becomes one receipt; a larger mail is one by itself."""


def pieces(file: BinaryIO, told: Asked, *, start: int = 0, rows: int = 0) -> Iterator[Piece]:
    """Some mails each, their bytes as they are. Raises Malformed for one mail that is larger than any may be."""
    file.seek(0)
    if file.read(len(MAILBOX_FILE)) != MAILBOX_FILE:
        yield from _one(file, told, start)
        return
    file.seek(0)
    dated = is_dated(file.readline(LARGEST))
    file.seek(start)
    lines: list[bytes] = []
    size = mails = 0
    place, after_a_gap = start, True
    while line := file.readline(LARGEST):
        begins = after_a_gap and begins_a_mail(line, dated=dated)
        full = size > LARGEST or (begins and (mails >= MOST_MAILS or size > LARGEST_PIECE))
        if full:  # what is larger than a mail can be is cut, and set aside as it is
            place += size
            yield Piece(b"".join(lines), told, place, mails)
            lines, size, mails = [], 0, 0
        mails += begins
        lines.append(line)
        size += len(line)
        after_a_gap = line in {b"\n", b"\r\n"}
    if lines:
        yield Piece(b"".join(lines), told, place + size, mails)


def _one(file: BinaryIO, told: Asked, start: int) -> Iterator[Piece]:
    file.seek(0)
    mail = file.read(LARGEST + 1)
    if not mail.strip() or len(mail) > LARGEST:
        raise Malformed("there is no mail in it" if not mail.strip() else "larger than a mail can be")
    if start < len(mail):
        yield Piece(mail, {**told, HANDED_IN: "yes"}, len(mail), 1)
