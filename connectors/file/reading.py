"""One row of a file, column by column."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation

from connectors.asking import Asked
from connectors.contract import Interval, Malformed, RawEvent, storable
from connectors.fields import LONGEST_ID, LONGEST_TEXT
from connectors.file.columns import Amount, Bureaus, Columns, Day
from connectors.vocabulary import AlertKind, Bureau

ROW = "row"
MOST_DIGITS = 12


class Reading:
    """One row, column by column. What is wrong is Malformed with the row's number and the column, never the value."""

    def __init__(self, event: RawEvent, columns: Columns) -> None:
        """The row of an event."""
        self._row, self._number, self._columns = event.body, event.asked.get(ROW, "?"), columns

    def _wrong(self, column: str) -> Malformed:
        return Malformed(f"row {self._number}, column {column!r}")

    def text(self, column: str | None) -> str | None:
        """A value as text; None where there is no such column, or nothing in it."""
        value = None if column is None else self._row.get(column)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if value is None or column is None:
            return None
        if not isinstance(value, str) or not storable(value):
            raise self._wrong(column)
        return value.strip()[:LONGEST_TEXT] or None

    def needed(self, column: str) -> str:
        """A value that must be there."""
        value = self.text(column)
        if value is None or len(value) > LONGEST_ID:
            raise self._wrong(column)
        return value

    def kind(self, asked: Asked) -> AlertKind | str:
        """What happened; "ignore", or "ask" where only a person can tell and none has."""
        kind = self._columns.kind
        answer = _answer(asked)
        if answer is not None:
            return answer
        if isinstance(kind, AlertKind):
            return kind
        return kind.read(self.needed(kind.column))

    def bureau(self, bureau: Bureau | Bureaus | None) -> Bureau | None:
        """Whose file it speaks of, where that is known."""
        if not isinstance(bureau, Bureaus):
            return bureau
        word = self.text(bureau.column)
        return None if word is None else bureau.read(word)

    def amount(self, amount: Amount | None) -> tuple[Decimal | None, str | None]:
        """The amount and its currency, both or neither."""
        written = self.text(amount.column) if amount else None
        if amount is None or written is None:
            return None, None
        try:
            number = Decimal(written.removeprefix("$").replace(",", "").strip())
        except InvalidOperation:
            raise self._wrong(amount.column) from None
        if not number.is_finite() or number < 0 or number != round(number, 2) or len(str(int(number))) > MOST_DIGITS:
            raise self._wrong(amount.column)
        return round(number, 2), amount.currency

    def day(self, day: Day | None) -> Interval | None:
        """When, as far as it is told."""
        written = self.text(day.column) if day else None
        if day is None or written is None:
            return None
        try:
            return day.read(written)
        except ValueError:
            raise self._wrong(day.column) from None


def _answer(asked: Asked) -> AlertKind | str | None:
    """What a person said that it is."""
    try:
        said = json.loads(asked.get("answer", "null"))
        if not isinstance(said, dict):
            return None
        return "ignore" if "not_an_alert" in said else AlertKind(str(said.get("kind")))
    except ValueError:
        raise Malformed("answer") from None
