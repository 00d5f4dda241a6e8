"""Files are cut into pieces of whole rows, and nothing of them is lost or read in another way for that."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import Alert, BrokenEvent, ForAPerson, Malformed, NotAnAlert, RawEvent
from connectors.file import rows
from connectors.file.columns import OURS, Written, columns_of
from connectors.file.connector import File

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from('",;\n\r\t'), max_size=20)
ROWS = st.lists(st.lists(TEXT, min_size=3, max_size=3), max_size=20)
NAMES = ["member", "id", "type"]
DOCUMENT = """
member: Member No.
kind:
  column: What
  words: {New Card: new_account.credit_card, Score: ignore}
institution: Lender
amount: {column: Sum, currency: USD}
opened: {column: Since, written: MM/DD/YYYY}
"""


def written(table: list[list[str]], delimiter: str = ",") -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([NAMES, *table])
    return text.getvalue().encode()


def read(file: bytes, *, connector: File | None = None) -> list[RawEvent | BrokenEvent]:
    """All events of a file, piece by piece; the pieces together are the file's own bytes behind its header."""
    connector, found, kept = connector or File(), [], b""
    place, start = 0, 0
    for piece in connector.pieces(io.BytesIO(file), {}):
        start = start or (piece.end - len(piece.body))
        kept += piece.body
        place = piece.end
        found += list(connector.split(piece.body, piece.asked))
    assert not place or (place, kept) == (len(file), file[start:])
    return found


@given(ROWS, st.sampled_from(rows.DELIMITERS), st.integers(1, 5))
def test_what_a_program_writes_is_read_back_row_by_row(table: list[list[str]], delimiter: str, most: int) -> None:
    file = written(table, delimiter)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "MOST_ROWS", most)
        connector = File(OURS.model_copy(update={"delimiter": delimiter}))
        events = read(file, connector=connector)
    values = [list(event.body.values()) for event in events if isinstance(event, RawEvent)]
    assert values == table
    assert [event.asked["row"] for event in events if isinstance(event, RawEvent)] == [str(n + 2) for n in range(len(table))]


@given(
    st.lists(st.dictionaries(TEXT.filter(bool), TEXT | st.integers(-9, 9) | st.none(), max_size=4), max_size=12), st.booleans()
)
def test_arrays_and_lines_of_json_are_the_same_rows(table: list[dict[str, Any]], spaced: bool) -> None:
    array = json.dumps(table, indent=1 if spaced else None).encode()
    lines = b"".join(json.dumps(row).encode() + b"\n" for row in table)
    from_array = read(array) if table else []
    from_lines = read(lines) if table else []
    assert [getattr(event, "body", None) for event in from_array] == [getattr(event, "body", None) for event in from_lines]
    assert len(from_array) == len(table)


@given(st.binary(max_size=300) | st.binary(max_size=100).map(lambda more: written([["a", "b", "c"]]) + more))
def test_whatever_a_file_is_nothing_but_malformed_is_raised_and_no_byte_is_lost(file: bytes) -> None:
    with suppress(Malformed):
        read(file)


def test_a_row_that_cannot_be_read_is_named_and_spares_its_neighbours() -> None:
    file = b'member,id,type\r\na,1,ssn.use\r\nb,2\r\nc,3,"ssn"x,use\r\n\r\nd,4,\xff\r\ne,5,ssn.use\r\n'
    assert [event.path if isinstance(event, BrokenEvent) else event.body["member"] for event in read(file)] == [
        "a",
        "row 3: 2 columns instead of 3",
        "row 4: a quotation mark is left open",
        "row 6: not utf-8",
        "e",
    ]


@pytest.mark.parametrize("behind", [0, 3, 20_000])
def test_a_quotation_mark_that_is_left_open_costs_its_own_line(behind: int) -> None:
    events = read(b'member,id,type\r\nx,"open,y\r\n' + b"m,1,ssn.use\r\n" * behind)
    assert [event.path for event in events if isinstance(event, BrokenEvent)] == ["row 2: a quotation mark is left open"]
    assert len(events) == behind + 1
    assert [event.asked["row"] for event in events[1:] if isinstance(event, RawEvent)] == [str(n + 3) for n in range(behind)]


def test_one_that_is_closed_later_costs_what_lies_between() -> None:
    events = read(b'member,id,type\r\nx,"open,y\r\nm,1,ssn.use\r\nz",2,w\r\nm,3,ssn.use\r\n')
    assert [getattr(event, "path", "read") for event in events] == ["row 2: 4 columns instead of 3", "read"]


def test_a_value_among_objects_is_broken_alone() -> None:
    events = read(b'[{"member": "a"}, 5, "x", null, [1], {"member": "b"}]')
    assert [event.body for event in events if isinstance(event, RawEvent)] == [{"member": "a"}, {"member": "b"}]
    assert len(events) == 6


@pytest.mark.parametrize("head", [b"", b"\n", b"a,a\n", b"a,,b\n", b"\xff\xfe,b\n", b"no,such,columns\n"])
def test_a_header_that_says_nothing_is_refused(head: bytes) -> None:
    with pytest.raises(Malformed, match="header"):
        list(File().pieces(io.BytesIO(head + b"1,2,3\n"), {}))


def outcomes(document: str, *lines: str) -> Iterator[Any]:
    connector = File().reading_by({"columns": document})
    file = "\n".join(["Member No.,What,Lender,Sum,Since", *lines, ""]).encode()
    for piece in connector.pieces(io.BytesIO(file), {}):
        for event in connector.split(piece.body, piece.asked):
            assert isinstance(event, RawEvent)
            try:
                yield connector.normalise(event)
            except Malformed as error:
                yield str(error)


def test_the_document_says_what_each_column_means() -> None:
    card, score, unknown, sum_, since = outcomes(
        DOCUMENT,
        'M1, new card ,Bank,"$1,250.00",03/04/2023',
        "M1,SCORE,,,",
        "M1,Something else,,,",
        "M1,New Card,,12.345,",
        "M1,New Card,,,13/13/2023",
    )
    assert isinstance(card, Alert)
    assert (card.kind, card.institution, str(card.amount), card.currency) == ("new_account.credit_card", "Bank", "1250.00", "USD")
    assert card.opened is not None
    assert isinstance(score, NotAnAlert)
    assert unknown == ForAPerson("its word for what happened has no meaning yet", "M1")
    assert (sum_, since) == ("row 5, column 'Sum'", "row 6, column 'Since'")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("member: [", "line"),
        ("kind: ssn.use", "member: field required"),
        ("{member: M, kind: nonsense}", "kind"),
        ("{member: M, kind: ssn.use, colour: red}", "colour"),
        ("{member: M, kind: ssn.use, opened: {column: X, written: MM.DD}}", "opened.written"),
        ("{member: M, kind: ssn.use, amount: {column: X, currency: dollars}}", "amount.currency"),
        ("just words", "the document"),
        ("member: !!bool perhaps", "! of YAML"),
        ("member: !!timestamp never", "! of YAML"),
        ("member: !!int ''", "! of YAML"),
        (f"member: 1{':59' * 200}.0", "a number that is too large"),
        ("member: " + "[" * 50 + "]" * 50, "nested deeper"),
        ("".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 9)), "& and \\* of YAML"),
    ],
)
def test_a_document_that_means_nothing_is_refused_with_its_field(document: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        columns_of({"columns": document})


def test_there_is_one_document_and_no_other() -> None:
    assert columns_of({}) == OURS
    with pytest.raises(ValueError, match="no place for 'other'"):
        columns_of({"columns": DOCUMENT, "other": DOCUMENT})


def test_the_days_of_a_column_are_as_it_writes_them() -> None:
    day = columns_of({"columns": DOCUMENT}).opened
    assert day is not None
    same = {
        Written.AMERICAN: "03/04/2023",
        Written.EUROPEAN: "04/03/2023",
        Written.TOGETHER: "20230304",
        Written.ISO: "2023-03-04",
    }
    assert len({str(day.model_copy(update={"written": form}).read(text)) for form, text in same.items()}) == 1


@pytest.mark.slow
def test_ten_times_the_rows_take_no_more_memory() -> None:
    peaks = []
    for count in (20_000, 200_000):
        with io.BytesIO() as file:
            file.write(b"member,id,type\n")
            file.writelines(b"m-%d,%d,ssn.use\n" % (n, n) for n in range(count))
            tracemalloc.start()
            connector, events = File(), 0
            for piece in connector.pieces(file, {}):
                events += sum(1 for _ in connector.split(piece.body, piece.asked))
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert events == count
    assert peaks[1] < 1.2 * peaks[0]
