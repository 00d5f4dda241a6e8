"""Files of alerts, handed in by a person: CSV, JSON or JSON lines, read by a document that says what the columns mean."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, ClassVar

from connectors.asking import NOTHING_ASKED, Asked
from connectors.contract import (
    Alert,
    BrokenEvent,
    Connector,
    ForAPerson,
    Malformed,
    Meaning,
    NotAnAlert,
    Notice,
    Piece,
    RawEvent,
    validated,
)
from connectors.fields import LONGEST_ID, last_digits
from connectors.file.columns import OURS, Columns, Kinds, columns_of
from connectors.file.reading import ROW, Reading
from connectors.file.rows import CSV, FORMS, READ_AT_ONCE, cut, form_of, header_of, rows_of
from connectors.verifiers import Grade, Outcome, Verification
from connectors.vocabulary import AlertKind

HANDED_IN = Verification(
    Outcome.AUTHENTIC, "handed in", None, "somebody of the organization handed it in", None, Grade.ORGANIZATION
)


class File(Connector):
    """Reads exports of any service, once somebody has said what their columns mean."""

    name = "file"
    title = "Files of alerts"
    by_hand = True
    events: ClassVar[Mapping[str, Meaning]] = {ROW: Notice.AS_IT_SAYS}

    def __init__(self, columns: Columns = OURS) -> None:
        """`columns`: what the columns mean; without a word those of our own schema."""
        self.columns = columns

    def reading_by(self, documents: Mapping[str, str]) -> File:
        """With the columns that the document `columns` tells of."""
        return File(columns_of(documents))

    def proof_of(self, body: bytes, asked: Asked) -> Verification:
        """That somebody of the organization handed it in, and no more."""
        return HANDED_IN

    def pieces(self, file: BinaryIO, told: Asked, *, start: int = 0, rows: int = 0) -> Iterator[Piece]:
        """Some hundred rows each, with the columns' names beside them."""
        file.seek(0)
        form, header = form_of(file.read(READ_AT_ONCE)), 0
        beside = {**told, "form": form}
        if form == CSV:
            names, delimiter, header = header_of(file, self.columns.delimiter, self.columns.encoding)
            missing = [name for name in self.columns.needed if name not in names]
            if missing:
                raise Malformed(f"header: there is no column {missing[0]!r}")
            beside |= {"columns": json.dumps(names), "delimiter": delimiter}
        for body, count, end in cut(file, form, start, header):
            first = rows + 1 + (form == CSV)
            yield Piece(body, {**beside, "first": str(first)}, end, count)
            rows += count

    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        """One event a row; one that cannot be read has its number and what is wrong with it."""
        form, first, names = _told(asked)
        for row in rows_of(body, form, first, names, asked.get("delimiter", ","), self.columns.encoding):
            if row.values is None:
                yield BrokenEvent(f"row {row.number}: {row.wrong}")
            else:
                yield RawEvent(ROW, _digest(row.values), row.values, {ROW: str(row.number)})

    def normalise(self, event: RawEvent) -> Alert | NotAnAlert | ForAPerson:
        """What a row says, by its columns. Raises Malformed with the row's number and the column."""
        if event.event_type != ROW:
            raise Malformed("type")
        row = Reading(event, self.columns)
        whose = row.needed(self.columns.member)
        kind = row.kind(event.asked)
        if kind == "ignore":
            return NotAnAlert("its word is one to be ignored")
        if not isinstance(kind, AlertKind):
            return ForAPerson("its word for what happened has no meaning yet", whose)
        shown = row.text(self.columns.summary)
        amount, currency = row.amount(self.columns.amount)
        alert_id = row.needed(self.columns.id) if self.columns.id else _digest(event.body)
        return validated(
            Alert,
            {
                "kind": kind,
                "member_ref": whose,
                "identity": (whose, alert_id),
                "summary": shown or f"A file says: {kind.value.replace('.', ', ').replace('_', ' ')}",
                "bureau": row.bureau(self.columns.bureau),
                "institution": row.text(self.columns.institution),
                "last_four": last_digits(row.text(self.columns.last_four)),
                "amount": amount,
                "currency": currency,
                **{name: row.day(getattr(self.columns, name)) for name in ("occurred", "opened", "reported")},
            },
        )

    def shown(self, event: RawEvent) -> Mapping[str, str]:
        """The columns that the document names, and the word that has no meaning yet."""
        row = Reading(event, self.columns)
        kind = self.columns.kind
        told = {"What happened": row.text(kind.column) if isinstance(kind, Kinds) else None}
        told |= {"Institution": row.text(self.columns.institution), "Summary": row.text(self.columns.summary)}
        return {name: text for name, text in told.items() if text}


def _told(asked: Asked) -> tuple[str, int, list[str]]:
    """The form of a piece, the number of its first row, and its columns. Raises Malformed."""
    form, first = asked.get("form", ""), asked.get("first", "")
    try:
        names = json.loads(asked.get("columns", "[]"))
    except ValueError:
        raise Malformed("columns") from None
    if form not in FORMS or not first.isascii() or not first.isdigit() or not isinstance(names, list):
        raise Malformed("form")
    return form, int(first[:LONGEST_ID]), [str(name) for name in names]


def _digest(row: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(row, sort_keys=True, default=str).encode()).hexdigest()
