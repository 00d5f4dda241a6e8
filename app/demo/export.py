"""A file that the union hands in: what a service that it gave up had written down, with columns of that service's own."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from app.demo.enrollment import Book, Service
from app.demo.one_way import EXPORTED
from app.demo.plan import Meaning
from app.demo.truth import Heard, TrueIncident, Truth
from connectors.vocabulary import AlertKind

NUMBER = "Notice No."
COLUMNS = ("Card", NUMBER, "Sort", "Company", "Ends in", "Sum", "Day")
WORDS = {
    AlertKind.NEW_ACCOUNT_CREDIT_CARD: "New card",
    AlertKind.NEW_ACCOUNT_BANK: "New bank account",
    AlertKind.NEW_ACCOUNT_PERSONAL_LOAN: "New loan",
    AlertKind.NEW_ACCOUNT_AUTO: "New car loan",
    AlertKind.INQUIRY_HARD: "Inquiry",
    AlertKind.TAKEOVER_BANK: "Bank change",
    AlertKind.TAKEOVER_CARD: "Card change",
    AlertKind.CONSEQUENCE_COLLECTION: "Collection",
}
SCORE = "Score"
ROWS = 12
OTHER_ROWS = 3
"""Rows that are no alert of their own: one twice, one of a score, one with a day that no calendar has."""

DOCUMENT = "\n".join(
    (
        "# Written once by whoever handed the file in.",
        f"member: {COLUMNS[0]}",
        f"id: {NUMBER}",
        "kind:",
        f"  column: {COLUMNS[2]}",
        "  words:",
        *(f"    {word}: {kind.value}" for kind, word in WORDS.items()),
        f"    {SCORE}: ignore",
        f"institution: {COLUMNS[3]}",
        f"last_four: {COLUMNS[4]}",
        f"amount: {{column: {COLUMNS[5]}, currency: USD}}",
        f"occurred: {{column: {COLUMNS[6]}, written: MM/DD/YYYY}}",
        "",
    )
)
"""What the columns mean."""


class Row(NamedTuple):
    """One row. `name`: the service's number of it; `incident`: the true one it tells of, if any."""

    name: str
    values: tuple[str, ...]
    meaning: Meaning = Meaning.ALERT
    incident: str | None = None


@dataclass(frozen=True, slots=True)
class HandIn:
    """Somebody hands the file in. `again`: the very same file, which is then left alone."""

    at: datetime
    rows: tuple[Row, ...]
    again: bool = False

    @property
    def file(self) -> bytes:
        """The file, as CSV."""
        out = io.StringIO(newline="")
        writer = csv.writer(out)
        writer.writerows([COLUMNS, *(row.values for row in self.rows)])
        return out.getvalue().encode()


def hand_ins(truth: Truth, book: Book) -> Iterator[HandIn]:
    """The file, and the next day once more by mistake."""
    rows = tuple(_rows(truth, book))
    yield HandIn(EXPORTED, rows)
    yield HandIn(EXPORTED + timedelta(days=1), rows, again=True)


def _rows(truth: Truth, book: Book) -> Iterator[Row]:
    known = {one.external_id: one.reference for one in book.enrolled[Service.EXPORT]}
    told = [*truth.heard(Heard.EXPORT), *(i for i in truth.heard(Heard.SERVICES) if i.member in known and _fits(i))]
    rows = [_row(f"N-{number}", known[one.member], one) for number, one in enumerate(told[: ROWS - OTHER_ROWS], 301)]
    score = (known[told[0].member], "N-401", SCORE, "", "", "", "01/05/2024")
    wrong = (known[told[0].member], "N-402", WORDS[AlertKind.INQUIRY_HARD], "Copper Kite Bank", "", "", "31/12/2023")
    yield from rows[:3]
    yield Row("N-402", wrong, Meaning.UNREADABLE)
    yield from rows[3:]
    yield Row("N-401", score, Meaning.NOTHING)
    yield rows[0]


def _fits(incident: TrueIncident) -> bool:
    return incident.kind in WORDS and incident.institution is not None and incident.noticed < EXPORTED


def _row(number: str, reference: str, incident: TrueIncident) -> Row:
    place = incident.institution.spellings[-1] if incident.institution else ""
    amount = f"{incident.amount:,.2f}" if incident.amount else ""
    day = f"{incident.happened_on:%m/%d/%Y}"
    values = (reference, number, WORDS[incident.kind], place, incident.last_four or "", amount, day)
    return Row(number, values, incident=incident.key)
