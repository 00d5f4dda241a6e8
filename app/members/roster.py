"""Reads a roster or an enrollment list from CSV. Pure: every bad row is named with line, column and what to do.

Roster columns: external_id, name, email, employed_from, employed_to. Several rows with one external_id give several
employment intervals. Enrollment columns: external_id, reference, consent, consent_from, consent_until.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import TypeVar

T = TypeVar("T")

ROSTER_COLUMNS = ("external_id", "name", "email", "employed_from", "employed_to")
ENROLLMENT_COLUMNS = ("external_id", "reference", "consent", "consent_from", "consent_until")
LARGEST_FIELD = 400
_YES, _NO = frozenset({"yes", "y", "true", "1"}), frozenset({"no", "n", "false", "0", ""})


@dataclass(frozen=True)
class RowProblem:
    """One thing wrong: line of the file (1 is the heading), column, and what to do. Never the value."""

    line: int
    column: str
    message: str


@dataclass(frozen=True)
class Job:
    """One employment interval, both days included; no end for who still works there."""

    started_on: date
    ended_on: date | None


@dataclass
class RosterEntry:
    """One person of the roster with every employment interval that the file gives."""

    line: int
    external_id: str
    name: str
    email: str | None
    jobs: set[Job] = field(default_factory=set)


@dataclass(frozen=True)
class EnrollmentEntry:
    """One person's id at the provider, and whether they agreed to keeping what comes."""

    line: int
    external_id: str
    reference: str
    consent: bool
    consent_from: date | None
    consent_until: date | None


class _Row:
    """One line while it is read: collects its problems, gives back typed values."""

    def __init__(self, line: int, values: dict[str, str]) -> None:
        self.line = line
        self.problems: list[RowProblem] = []
        self._values = values

    def wrong(self, column: str, message: str) -> None:
        self.problems.append(RowProblem(self.line, column, message))

    def text(self, column: str, *, required: bool) -> str:
        value = (self._values.get(column) or "").strip()
        if required and not value:
            self.wrong(column, "is empty: fill it in")
        if len(value) > LARGEST_FIELD:
            self.wrong(column, f"is longer than {LARGEST_FIELD} characters: shorten it")
        if "\x00" in value or not value.isprintable():
            self.wrong(column, "holds a character that cannot be shown: type it anew")
        return value

    def day(self, column: str, *, required: bool) -> date | None:
        value = self.text(column, required=required)
        try:
            return date.fromisoformat(value) if value else None
        except ValueError:
            self.wrong(column, "is not a date: write it as 2019-07-31")
            return None

    def email(self, column: str) -> str | None:
        value = self.text(column, required=False)
        local, at, domain = value.rpartition("@")
        if value and (not at or not local or "." not in domain or " " in value):
            self.wrong(column, "is not an e-mail address: write it as name@example.org, or leave it empty")
        return value or None

    def yes_no(self, column: str) -> bool:
        value = self.text(column, required=False).lower()
        if value not in _YES | _NO:
            self.wrong(column, "is neither yes nor no: write yes or no")
        return value in _YES


def read_roster(text: str) -> tuple[list[RosterEntry], list[RowProblem]]:
    """The people of a roster and everything that is wrong with it; a row with a problem gives nobody."""
    people: dict[str, RosterEntry] = {}
    problems: list[RowProblem] = []
    for row in _rows(text, ROSTER_COLUMNS, ("external_id", "name", "employed_from"), problems):
        external_id, name, email = row.text("external_id", required=True), row.text("name", required=True), row.email("email")
        start, end = row.day("employed_from", required=True), row.day("employed_to", required=False)
        if start and end and end < start:
            row.wrong("employed_to", "is before employed_from: check both dates")
        known = people.get(external_id)
        if known and (known.name, known.email) != (name, email):
            row.wrong("external_id", f"stands on line {known.line} with another name or address: make them the same")
        elif known and any(job.started_on == start and job.ended_on != end for job in known.jobs):
            row.wrong("employed_from", f"stands on line {known.line} with another end: keep one")
        if row.problems or start is None:
            problems.extend(row.problems)
            continue
        entry = people.setdefault(external_id, RosterEntry(row.line, external_id, name, email))
        entry.jobs.add(Job(start, end))
    return list(people.values()), problems


def read_enrollments(text: str) -> tuple[list[EnrollmentEntry], list[RowProblem]]:
    """Who is whom at a provider, and everything that is wrong with the list."""
    entries: dict[str, EnrollmentEntry] = {}
    answers: dict[str, EnrollmentEntry] = {}
    problems: list[RowProblem] = []
    for row in _rows(text, ENROLLMENT_COLUMNS, ("external_id", "reference", "consent"), problems):
        external_id, reference = row.text("external_id", required=True), row.text("reference", required=True)
        consent = row.yes_no("consent")
        start, end = row.day("consent_from", required=False), row.day("consent_until", required=False)
        known = entries.get(reference)
        if known and known.external_id != external_id:
            row.wrong("reference", f"stands on line {known.line} for somebody else: one reference is one person")
        if start and end and end < start:
            row.wrong("consent_until", "is before consent_from: check both dates")
        first = answers.get(external_id)
        if first and (first.consent, first.consent_from, first.consent_until) != (consent, start, end):
            row.wrong("consent", f"stands on line {first.line} with another answer of the same person: make them the same")
        if row.problems:
            problems.extend(row.problems)
            continue
        entries[reference] = EnrollmentEntry(row.line, external_id, reference, consent, start, end)
        answers.setdefault(external_id, entries[reference])
    return list(entries.values()), problems


def _rows(text: str, known: Iterable[str], needed: Iterable[str], problems: list[RowProblem]) -> Iterator[_Row]:
    """Every data row; a wrong heading or a row of another width is a problem and gives no row."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    heading = _next(reader, problems)
    columns = [column.strip().lower() for column in heading or []]
    missing = [column for column in needed if column not in columns]
    unknown = [number for number, column in enumerate(columns, 1) if column not in known]
    problems.extend(RowProblem(1, column, "is missing: add this column to the heading") for column in missing)
    problems.extend(RowProblem(1, f"column {n}", f"is not known: use {', '.join(known)}") for n in unknown)
    if len(set(columns)) != len(columns):
        problems.append(RowProblem(1, "heading", "names a column twice: remove one"))
    if problems:
        return
    while True:
        line = reader.line_num + 1
        cells = _next(reader, problems)
        if cells is None:
            return
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(columns):
            problems.append(RowProblem(line, "row", f"has {len(cells)} fields and needs {len(columns)}: check commas and quotes"))
            continue
        yield _Row(line, dict(zip(columns, cells, strict=True)))


def _next(reader: Iterator[list[str]], problems: list[RowProblem]) -> list[str] | None:
    try:
        return next(reader, None)
    except csv.Error:
        problems.append(RowProblem(getattr(reader, "line_num", 0), "row", "cannot be read as CSV: check the quotes"))
        return None


def parsed(text: str, read: Callable[[str], tuple[list[T], list[RowProblem]]]) -> tuple[list[T], list[RowProblem]]:
    """The entries of a file, none if anything is wrong with any row: half a file is never imported."""
    entries, problems = read(text)
    return ([] if problems else entries), problems
