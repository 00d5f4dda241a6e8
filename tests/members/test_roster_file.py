"""Reading rosters and enrollment lists: every bad row is named with its line, its column and what to do, never its value."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.members.roster import EnrollmentEntry, Job, RowProblem, parsed, read_enrollments, read_roster

HEADING = "external_id,name,email,employed_from,employed_to\n"
GOOD = "7,Pat Example,pat@example.org,2012-01-01,\n"
LIST = "external_id,reference,consent,consent_from,consent_until\n"
CANARY = "Canary4417"


def wrong_with(text: str) -> list[tuple[int, str, str]]:
    return [(problem.line, problem.column, problem.message) for problem in read_roster(text)[1]]


@pytest.mark.parametrize(
    ("row", "column", "message"),
    [
        (",Pat,,2012-01-01,", "external_id", "is empty: fill it in"),
        ("8,,,2012-01-01,", "name", "is empty: fill it in"),
        ("8, \t ,,2012-01-01,", "name", "is empty: fill it in"),
        ("8,Pat,,,", "employed_from", "is empty: fill it in"),
        (f"8,Pat,,{CANARY},", "employed_from", "is not a date: write it as 2019-07-31"),
        ("8,Pat,,2019-02-29,", "employed_from", "is not a date: write it as 2019-07-31"),
        ("8,Pat,,07/31/2019,", "employed_from", "is not a date: write it as 2019-07-31"),
        ("8,Pat,,2019-07-31,soon", "employed_to", "is not a date: write it as 2019-07-31"),
        ("8,Pat,,2019-07-31,2019-07-30", "employed_to", "is before employed_from: check both dates"),
        (f"8,Pat,{CANARY},2019-07-31,", "email", "is not an e-mail address: write it as name@example.org, or leave it empty"),
        ("8,Pat,@example.org,2019-07-31,", "email", "is not an e-mail address: write it as name@example.org, or leave it empty"),
        ("8,Pat,pat@localhost,2019-07-31,", "email", "is not an e-mail address: write it as name@example.org, or leave it empty"),
        (
            "8,Pat,p t@example.org,2019-07-31,",
            "email",
            "is not an e-mail address: write it as name@example.org, or leave it empty",
        ),
        (f"8,{CANARY * 41},,2019-07-31,", "name", "is longer than 400 characters: shorten it"),
        ("8,Pat\x00,,2019-07-31,", "name", "holds a character that cannot be shown: type it anew"),
        ("8,Pat\u202egnp.exe,,2019-07-31,", "name", "holds a character that cannot be shown: type it anew"),
        ('8,"Pat\nExample",,2019-07-31,', "name", "holds a character that cannot be shown: type it anew"),
        ("8,Pat,,2019-07-31", "row", "has 4 fields and needs 5: check commas and quotes"),
        ("8,Pat,Example,,2019-07-31,", "row", "has 6 fields and needs 5: check commas and quotes"),
        (
            "7,Other,pat@example.org,2020-01-01,",
            "external_id",
            "stands on line 2 with another name or address: make them the same",
        ),
        ("7,Pat Example,,2020-01-01,", "external_id", "stands on line 2 with another name or address: make them the same"),
        ("7,Pat Example,pat@example.org,2012-01-01,2015-01-01", "employed_from", "stands on line 2 with another end: keep one"),
    ],
)
def test_a_bad_row_is_named_with_line_column_and_what_to_do(row: str, column: str, message: str) -> None:
    text = f"{HEADING}{GOOD}\n{row}\n9,Sam,,2013-01-01,\n"
    problems = wrong_with(text)
    assert problems == [(4, column, message)]
    assert CANARY not in str(problems)
    assert parsed(text, read_roster)[0] == [], "half a file is never imported"


def test_every_bad_row_is_named_and_every_wrong_field_of_it() -> None:
    text = f"{HEADING},,bad,never,\n{GOOD}8,Pat,,2012-01-01,2011-01-01\n"
    assert [(line, column) for line, column, _ in wrong_with(text)] == [
        (2, "external_id"),
        (2, "name"),
        (2, "email"),
        (2, "employed_from"),
        (4, "employed_to"),
    ]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", [(1, "external_id"), (1, "name"), (1, "employed_from")]),
        ("\n", [(1, "external_id"), (1, "name"), (1, "employed_from")]),
        ("name,employed_from\n", [(1, "external_id")]),
        (f"{HEADING.strip()},{CANARY}\n", [(1, "column 6")]),
        ("external_id,name,name,employed_from\n", [(1, "heading")]),
        (
            "external_id;name;employed_from\n7;Pat;2012-01-01\n",
            [(1, "external_id"), (1, "name"), (1, "employed_from"), (1, "column 1")],
        ),
    ],
)
def test_a_wrong_heading_is_named_and_no_row_is_read(text: str, problems: list[tuple[int, str]]) -> None:
    entries, found = read_roster(text)
    assert entries == []
    assert [(problem.line, problem.column) for problem in found] == problems
    assert CANARY not in str(found)


@pytest.mark.parametrize(
    "text",
    [
        HEADING + GOOD,
        "\ufeff" + HEADING + GOOD,
        (HEADING + GOOD).replace("\n", "\r\n"),
        (HEADING + GOOD).replace("\n", "\r"),
        HEADING + GOOD.strip(),
        HEADING + "\n , , , , \n" + GOOD + "\n\n",
        " External_ID , NAME,email,Employed_From,employed_to\n" + GOOD,
        "employed_from,name,external_id,email,employed_to\n2012-01-01,Pat Example,7,pat@example.org,\n",
        HEADING + '"7","Pat Example",pat@example.org,"2012-01-01",""\n',
        HEADING + "7,  Pat Example  ,pat@example.org, 2012-01-01 ,\n",
    ],
)
def test_a_roster_may_be_written_as_spreadsheets_write_it(text: str) -> None:
    (entry,), problems = read_roster(text)
    assert problems == []
    assert (entry.external_id, entry.name, entry.email) == ("7", "Pat Example", "pat@example.org")
    assert entry.jobs == {Job(date(2012, 1, 1), None)}


def test_commas_and_quotes_inside_quotes_are_part_of_a_name_and_lines_are_still_counted() -> None:
    text = f'{HEADING}7,"Example, ""Pat"" Jr.",,2012-01-01,\n8,"two\nlines",,2012-01-01,\n9,Sam,,never,\n'
    entries, problems = read_roster(text)
    assert entries[0].name == 'Example, "Pat" Jr.'
    assert [(problem.line, problem.column) for problem in problems] == [(3, "name"), (5, "employed_from")]


def test_a_quote_that_is_never_closed_is_a_problem_and_not_a_person() -> None:
    entries, problems = read_roster(f'{HEADING}{GOOD}8,"Pat,,2012-01-01,\n9,Sam,,2013-01-01,\n')
    assert [entry.external_id for entry in entries] == ["7"]
    assert [(problem.line, problem.column) for problem in problems] == [(3, "row")]
    _, problems = read_roster(f'{HEADING}8,"{"x" * 200_000}\n')
    assert [(problem.column, problem.message) for problem in problems] == [("row", "cannot be read as CSV: check the quotes")]


def test_two_rows_for_one_person_are_two_intervals_and_the_same_row_twice_is_one() -> None:
    (entry,), problems = read_roster(f"{HEADING}{GOOD}7,Pat Example,pat@example.org,2020-01-01,2021-12-31\n{GOOD}")
    assert problems == []
    assert entry.line == 2
    assert entry.jobs == {Job(date(2012, 1, 1), None), Job(date(2020, 1, 1), date(2021, 12, 31))}


@given(st.text(max_size=200))
def test_no_text_at_all_makes_the_reader_fail(text: str) -> None:
    for whole in (text, HEADING + text):
        entries, problems = read_roster(whole)
        assert all(entry.external_id and entry.name and entry.jobs for entry in entries)
        assert all(problem.line >= 1 and problem.column and problem.message for problem in problems)


@pytest.mark.parametrize(
    ("row", "column", "message"),
    [
        ("8,,yes,,", "reference", "is empty: fill it in"),
        (",ref-8,yes,,", "external_id", "is empty: fill it in"),
        ("8,ref-8,maybe,,", "consent", "is neither yes nor no: write yes or no"),
        ("8,ref-7,yes,,", "reference", "stands on line 2 for somebody else: one reference is one person"),
        ("7,ref-9,no,,", "consent", "stands on line 2 with another answer of the same person: make them the same"),
        ("7,ref-9,yes,,2030-01-01", "consent", "stands on line 2 with another answer of the same person: make them the same"),
        ("8,ref-8,yes,never,", "consent_from", "is not a date: write it as 2019-07-31"),
        ("8,ref-8,yes,2023-05-01,2023-04-30", "consent_until", "is before consent_from: check both dates"),
    ],
)
def test_a_bad_enrollment_is_named_with_line_column_and_what_to_do(row: str, column: str, message: str) -> None:
    text = f"{LIST}7,ref-7,yes,,\n{row}\n"
    assert read_enrollments(text)[1] == [RowProblem(3, column, message)]
    assert parsed(text, read_enrollments)[0] == []


@pytest.mark.parametrize(
    ("word", "consent"), [("yes", True), ("Y", True), (" TRUE ", True), ("1", True), ("no", False), ("", False)]
)
def test_yes_and_no_may_be_written_in_several_ways(word: str, consent: bool) -> None:
    (entry,), problems = read_enrollments(f"external_id,reference,consent\n7,ref-7,{word}\n")
    assert problems == []
    assert entry == EnrollmentEntry(2, "7", "ref-7", consent, None, None)


def test_one_person_may_have_several_references() -> None:
    entries, problems = read_enrollments(f"{LIST}7,ref-7,yes,2023-01-01,2024-01-01\n7,ref-8,yes,2023-01-01,2024-01-01\n")
    assert problems == []
    assert [entry.reference for entry in entries] == ["ref-7", "ref-8"]
