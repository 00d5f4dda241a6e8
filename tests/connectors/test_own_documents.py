"""Documents are told by their bytes; a report says what was typed in, and no more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.contract import Malformed, RawEvent
from connectors.own.connector import DOCUMENT, Own, beside, written
from connectors.own.documents import ENDINGS, media_type_of
from connectors.own.report import Report

MEMBER = "0190a3c5-7d1e-7c3a-9b52-5d6f1f0c9a01"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
SAMPLES = {
    "application/pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "image/jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF",
    "image/png": PNG,
    "image/heic": b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic",
    "image/tiff": b"II*\x00\x08\x00\x00\x00",
    "text/plain": "Señora Inventada,\r\n\tsu número.".encode(),
}


def test_every_sort_of_document_is_told_by_its_first_bytes() -> None:
    assert {name: media_type_of(body) for name, body in SAMPLES.items()} == {name: name for name in ENDINGS}
    assert media_type_of(b"MM\x00*\x00\x00\x00\x08") == "image/tiff"
    assert media_type_of(b"\xef\xbb\xbf\r\n%PDF-1.4") == "application/pdf"
    assert media_type_of(b"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00mif1miafheic") == "image/heic"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" \r\n\t",
        b"MZ\x90\x00\x03",
        b"PK\x03\x04\x14\x00",
        b"\x7fELF\x02\x01",
        b"GIF89a\x01\x00\x01\x00\x00",
        b"RIFF\x24\x00\x00\x00WEBPVP8 ",
        b"\x89PN",
        b"\xff\xd8",
        b"II*\x00"[:3] + b"\x01",
        b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00avifmif1",
        b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00isom",
        b"\x00\x00\x00\x10ftypmif1\x00\x00\x00\x00heic",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "Latin-1: Señora".encode("latin-1"),
        "Señora".encode("utf-16"),
        b"a text with a\x00nul",
        b"\x1b[2Jand an escape",
    ],
)
def test_what_is_none_of_them_is_not_taken(body: bytes) -> None:
    assert media_type_of(body) is None
    with pytest.raises(ValueError, match="sort"):
        beside(Report(kind="tax.fraud"), MEMBER, body)


@given(body=st.binary(max_size=80) | st.sampled_from(list(SAMPLES.values())).flatmap(lambda s: st.binary().map(lambda b: s + b)))
def test_any_bytes_are_told_or_not_and_never_an_error(body: bytes) -> None:
    assert media_type_of(body) in {None, *ENDINGS}


def test_a_name_decides_nothing_and_a_page_is_only_text() -> None:
    assert media_type_of(b"<html><script>alert(1)</script></html>") == "text/plain"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "never.heard_of"}, "kind"),
        ({"kind": None}, "kind"),
        ({"institution": "   "}, "institution"),
        ({"institution": "Invented\nBank"}, "institution"),
        ({"institution": "x" * 201}, "institution"),
        ({"last_four": "12345"}, "last_four"),
        ({"last_four": "1"}, "last_four"),
        ({"amount": "0", "currency": "USD"}, "amount"),
        ({"amount": "1.234", "currency": "USD"}, "amount"),
        ({"amount": "1.00", "currency": "usd"}, "currency"),
        ({"amount": "1.00"}, ""),
        ({"currency": "USD"}, ""),
        ({"happened_from": "2026-2-1"}, "happened_from"),
        ({"happened_to": "2026-02-30"}, "happened_to"),
        ({"found_on": "0026-02-03"}, "found_on"),
        ({"found_on": 20260203}, "found_on"),
        ({"happened_from": "2026-02-02", "happened_to": "2026-02-01"}, ""),
        ({"happened_to": "2026-02-02", "found_on": "2026-02-01"}, ""),
        ({"note": ""}, "note"),
        ({"note": "x" * 2001}, "note"),
        ({"note": "a\x00b"}, "note"),
        ({"note": "half \ud800"}, "note"),
        ({"completes": "not-an-id"}, "completes"),
        ({"member": MEMBER}, "member"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(change: dict[str, object], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Report.model_validate({"kind": "tax.fraud", **change})
    assert [".".join(map(str, error["loc"])) for error in refused.value.errors()] == [field]


def test_found_out_says_no_later_and_no_more() -> None:
    found = Report(kind="tax.fraud", found_on="2026-02-03").occurred
    assert found is not None
    assert (found.earliest, found.latest and found.latest.isoformat()) == (None, "2026-02-04T11:59:59.999999+00:00")
    assert Report(kind="tax.fraud").occurred is None
    on_that_day = Report(kind="tax.fraud", happened_from="2026-02-01", happened_to="2026-02-01", found_on="2026-02-09").occurred
    assert on_that_day is not None
    assert [end and end.isoformat() for end in (on_that_day.earliest, on_that_day.latest)] == [
        "2026-01-31T10:00:00+00:00",
        "2026-02-02T11:59:59.999999+00:00",
    ]


def _identity(report: Report, member: str = MEMBER, document: bytes | None = None) -> tuple[str, ...]:
    (event,) = Own().split(document or written(report), beside(report, member, document))
    assert isinstance(event, RawEvent)
    return Own().normalise(event).identity


def test_the_same_report_is_one_and_anything_else_is_another() -> None:
    report, other = Report(kind="tax.fraud", note="Señora"), Report(kind="tax.fraud", note="Señor")
    assert _identity(report) == _identity(report)
    different = [
        _identity(report),
        _identity(other),
        _identity(report, member="somebody else"),
        _identity(report, document=PNG),
        _identity(other, document=PNG),
        _identity(report, document=PNG + b"\x00"),
    ]
    assert len(set(different)) == len(different)


def test_a_document_that_is_not_what_is_said_beside_it_is_malformed() -> None:
    report = Report(kind="tax.fraud")
    for body, said in ((PNG, "image/jpeg"), (PNG, "text/html"), (b"\x00", "image/png"), (PNG, "")):
        (event,) = Own().split(body, {**beside(report, MEMBER, PNG), DOCUMENT: said})
        assert isinstance(event, RawEvent)
        with pytest.raises(Malformed):
            Own().normalise(event)
    (event,) = Own().split(PNG, beside(report, MEMBER, PNG))
    assert isinstance(event, RawEvent)
    for beside_it in ({"member": MEMBER, "kind": "tax.fraud"}, {**event.asked, "kind": "ssn.use"}, {**event.asked, "never": "x"}):
        with pytest.raises(Malformed):
            Own().normalise(RawEvent("report", "x", event.body, beside_it))
