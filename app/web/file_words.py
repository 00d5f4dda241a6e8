"""Files that are handed in, in plain words: what a trial found, row by row, and how far each file has come. No I/O."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.web.dates import plain_interval
from connectors.contract import Interval
from connectors.file.columns import Columns, Day, Kinds, Written

_ROW = re.compile(r"row (\d{1,18})(?:: (.+)|, column (.+))", re.DOTALL)
_DAY_HELP: Mapping[Written, str] = {
    Written.ISO: "Write the day as 2023-03-30.",
    Written.AMERICAN: "Write the day as 03/30/2023, the month first.",
    Written.EUROPEAN: "Write the day as 30/03/2023, the day first.",
    Written.TOGETHER: "Write the day as 20230330.",
}
_NEEDED = "This must not be empty, and no longer than a number or a name."
_TIMES = {"occurred": "happened", "opened": "opened", "reported": "reported"}
_COLUMNS_HELP = re.compile(r"(\d{1,9}) columns instead of (\d{1,9})")
_OTHER = "A part of it is not written as it should be."
SAID = {
    "columns": "Saved. From now on files are read by it. What waits of earlier ones is, too, when a caseworker tries it again."
}
"""What the page says after an act, by the act."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """One row that cannot be read: its number, the column if it is one's fault, and what to do. Empty where it is not known."""

    row: str
    column: str
    what: str


@dataclass(frozen=True, slots=True)
class Shown:
    """One alert as it would be read, masked; empty where the file does not say it."""

    whose: str
    kind: str
    summary: str
    where: tuple[str, ...]
    when: tuple[str, ...]


def first_alerts(first: Sequence[Mapping[str, Any]]) -> list[Shown]:
    """The alerts of a trial, for people."""
    return [
        Shown(
            str(one["member_ref"]),
            str(one["kind"]),
            str(one["summary"]),
            tuple(str(text) for text in _where(one) if text),
            tuple(
                f"{text} {plain_interval(Interval.model_validate(one[name]))}" for name, text in _TIMES.items() if one.get(name)
            ),
        )
        for one in first
    ]


def _where(one: Mapping[str, Any]) -> tuple[object, ...]:
    amount = f"{one['amount']} {one['currency']}" if one.get("amount") else None
    return one.get("institution"), f"ending in {one['last_four']}" if one.get("last_four") else None, amount


def wrong_rows(places: Sequence[str], columns: Columns | None) -> list[Wrong]:
    """What a trial named, in plain words. `columns`: by what the file was read, if it was a file with columns."""
    helps = {} if columns is None else _helps(columns)
    return [_wrong(place, helps) for place in places]


def _wrong(place: str, helps: Mapping[str, tuple[str, str]]) -> Wrong:
    found = _ROW.fullmatch(place)
    if found is None:
        return Wrong("", "", f"{_OTHER} ({place})")
    number, why, column = found.groups()
    if column is not None:
        return Wrong(number, *helps.get(column, (column, _OTHER)))
    several = _COLUMNS_HELP.fullmatch(why)
    if several is not None:
        return Wrong(number, "", f"It has {several[1]} columns, and the header has {several[2]}.")
    return Wrong(number, "", f"{why[:1].upper()}{why[1:]}".rstrip(".?") + ("?" if why.endswith("?") else "."))


def _helps(columns: Columns) -> Mapping[str, tuple[str, str]]:
    """Each column as the reader names it in an error, with its own name and what to do."""
    helps: dict[str, str] = {}
    for name in (columns.institution, columns.last_four, columns.summary):
        if name is not None:
            helps[name] = "Write this as ordinary text."
    if columns.amount is not None:
        helps[columns.amount.column] = "Write the amount as 1,200.50, without a minus."
    for day in (columns.occurred, columns.opened, columns.reported):
        if isinstance(day, Day):
            helps[day.column] = _DAY_HELP[day.written]
    kind = [columns.kind.column] if isinstance(columns.kind, Kinds) else []
    helps |= dict.fromkeys([name for name in (columns.member, columns.id, *kind) if name is not None], _NEEDED)
    return {repr(name): (name, text) for name, text in helps.items()}
