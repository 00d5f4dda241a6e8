"""The file that is handed in: its rows are what the plan says, by the document that says what its columns mean."""

import io
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from app.demo.draw import draw_truth
from app.demo.enrollment import Service, draw_enrollments
from app.demo.expected import Told
from app.demo.expected_by_hand import expect_by_hand
from app.demo.export import DOCUMENT, NUMBER, OTHER_ROWS, ROWS, HandIn, Row, hand_ins
from app.demo.one_way import EXPORTED
from app.demo.plan import Meaning
from app.demo.population import draw_people
from app.demo.truth import Heard, Truth
from app.incidents.institutions import canonical_institution
from connectors.contract import Alert, Malformed, NotAnAlert, RawEvent
from connectors.file import connector


@given(st.integers(0, 2**32))
@examples(max_examples=10)
def test_each_row_is_what_the_plan_says(seed: int) -> None:
    people = draw_people(seed, 60)
    truth = draw_truth(seed, people)
    book = draw_enrollments(seed, people, truth)
    first, again = hand_ins(truth, book)
    assert (first.at, again.again, again.file) == (EXPORTED, True, first.file)
    reader = connector().reading_by({"columns": DOCUMENT})
    (piece,) = reader.pieces(io.BytesIO(first.file), {})
    events = list(reader.split(piece.body, piece.asked))
    assert len(events) == len(first.rows) <= ROWS
    incidents = {incident.key: incident for incident in truth.incidents}
    owner = {one.reference: one.external_id for one in book.enrolled[Service.EXPORT]}
    assert {incident.key for incident in truth.heard(Heard.EXPORT)} <= {row.incident for row in first.rows}
    for event, row in zip(events, first.rows, strict=True):
        assert isinstance(event, RawEvent)
        assert event.body[NUMBER] == row.name
        if row.meaning is Meaning.UNREADABLE:
            with pytest.raises(Malformed, match="row 5"):
                reader.normalise(event)
            continue
        found = reader.normalise(event)
        assert isinstance(found, NotAnAlert if row.meaning is Meaning.NOTHING else Alert)
        if isinstance(found, Alert):
            incident = incidents[row.incident or ""]
            assert incident.institution is not None
            assert owner[found.member_ref] == incident.member
            assert (found.kind, found.last_four, found.amount) == (incident.kind, incident.last_four, incident.amount)
            assert canonical_institution(found.institution or "") == canonical_institution(incident.institution.name)


def test_rows_are_counted_by_hand() -> None:
    first = Row("N-1", ("x", "N-1"), incident="T-1")
    rows = (first, Row("N-2", ("x", "N-2"), Meaning.UNREADABLE), Row("N-3", ("x", "N-3"), Meaning.NOTHING), first)
    told = expect_by_hand(Told(), [HandIn(EXPORTED, rows), HandIn(EXPORTED, rows, again=True)], Truth((), (), {}, ""))
    file = told.services[Service.EXPORT]
    assert (file.deliveries, file.receipts) == (1, 1)
    assert file.events == Counter(new=1, quarantined=1, non_alert=1, sighting=1)
    assert sum(file.events.values()) - 1 == OTHER_ROWS
    assert told.incidents == {"T-1": {(Service.EXPORT, "N-1")}}
    assert told.first == {"T-1": EXPORTED}
