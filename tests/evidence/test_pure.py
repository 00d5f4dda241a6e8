"""The pure pieces: load files that can be read again, cells that calculate nothing, manifests, pages of hostile text."""

from __future__ import annotations

import csv
import io
import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.evidence import bagit, bates, certificates, pdf
from app.evidence.production import FIELDS, NEWLINE, QUOTE, SEPARATOR, Paged, dat, opt
from app.evidence.spreadsheet import AS_TEXT, cell, table
from app.evidence.wording import in_third_person, title
from app.kit.errors import Problem
from connectors.vocabulary import AlertKind

STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\x00", "＝", "＋", "－", "＠", "|", "%", "−", "﹢", "﹣", "﹦", "﹫")
BEFORE = ("", " ", '"', "'", "''", " \u00a0", "\u200b", "\ufeff", "\u202e", "\u2060", "«", '" ', "\u3000", "`")
PAYLOADS = ("1+1", "cmd|' /C calc'!A0", 'HYPERLINK("http://x.example","click")', "SUM(1)")
FORMULAS = [f"{before}{start}{rest}" for before in BEFORE for start in STARTS for rest in PAYLOADS]
HARMLESS = ("Invented Bank", "2023-03-20", "120.50 USD", "a=b", "Ö & Söhne", "(555) 12", "", "7 cards", "日本")


def test_no_cell_of_a_thousand_can_be_a_formula() -> None:
    assert len(FORMULAS) >= 500
    raw = table(("a", "b"), [(one, "x") for one in FORMULAS])
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(raw[3:].decode(), newline="")))
    assert len(rows) == len(FORMULAS) + 1, "no payload made a row of its own"
    for (first, second), payload in zip(rows[1:], FORMULAS, strict=True):
        assert first == AS_TEXT + payload.replace("\x00", "\ufffd"), f"{payload!r} may be calculated with"
        assert second == "x"


def test_what_is_harmless_stays_as_it_is() -> None:
    assert [cell(one) for one in HARMLESS] == list(HARMLESS)


@given(st.text())
def test_whatever_is_written_the_first_sign_that_shows_begins_no_formula(text: str) -> None:
    shown = cell(text)
    visible = [one for one in unicodedata.normalize("NFKC", shown) if unicodedata.category(one)[0] not in "CZ"]
    assert not visible or visible[0] not in "=+-@"
    assert shown.removeprefix(AS_TEXT) in (text.replace("\x00", "\ufffd"), text.removeprefix(AS_TEXT).replace("\x00", "\ufffd"))


def read_dat(raw: bytes) -> list[dict[str, str]]:
    """A DAT file read as a review platform does."""
    lines = raw.removeprefix(b"\xef\xbb\xbf").decode().split("\r\n")
    assert lines.pop() == ""
    cut = [[one[1:-1] for one in line.split(SEPARATOR)] for line in lines]
    assert all(one.startswith(QUOTE) and one.endswith(QUOTE) for line in lines for one in line.split(SEPARATOR))
    return [dict(zip(cut[0], row, strict=True)) for row in cut[1:]]


@given(st.lists(st.dictionaries(st.sampled_from(FIELDS), st.text()), max_size=4))
def test_a_load_file_can_be_read_again_whatever_stands_in_it(rows: list[dict[str, str]]) -> None:
    read = read_dat(dat(rows))
    assert len(read) == len(rows)
    for row, again in zip(rows, read, strict=True):
        assert tuple(again) == FIELDS
        for name, value in row.items():
            plain = not any(one < " " or one in "\x85\u2028\u2029þÞ®" or "\ud800" <= one <= "\udfff" for one in value)
            assert not plain or again[name] == value


def test_a_load_file_writes_lines_and_its_own_signs_in_another_way() -> None:
    (row,) = read_dat(dat([{"CUSTODIAN": "a\nb\r\nc þ ® \x14 d"}]))
    assert row["CUSTODIAN"] == f"a{NEWLINE}b{NEWLINE}c th (R)   d"
    with pytest.raises(KeyError):
        dat([{"NO_FIELD": "x"}])


def test_the_image_file_names_each_document_with_its_pages() -> None:
    raw = opt([Paged("OPOA-0000003", "data/members/x/pages.pdf", 7)], "OPOA")
    assert raw == b"\xef\xbb\xbfOPOA-0000003,OPOA,data/members/x/pages.pdf,Y,,,7\r\n"


def test_a_manifest_is_sorted_and_its_paths_cannot_make_lines() -> None:
    assert bagit.manifest({"data/b": "2", "data/a\n": "1"}) == b"1  data/a%0A\n2  data/b\n"
    assert bagit.info([("Name", "a\nPayload-Oxum: 9.9")]) == b"Name: a Payload-Oxum: 9.9\n"
    assert bagit.oxum([3, 4]) == "7.2"


@pytest.mark.parametrize("prefix", ["", "O", "opoa", "OPOA-1", "1OPOA", "OP OA", "A" * 13, "ÖPOA"])
def test_a_prefix_that_is_none_is_refused(prefix: str) -> None:
    with pytest.raises(Problem):
        bates.require_prefix(prefix)


@pytest.mark.parametrize("kind", list(AlertKind))
def test_what_an_alert_says_is_said_about_the_member(kind: AlertKind) -> None:
    words = title(kind).lower().replace("'", " ").split()
    assert not {"you", "your", "yours"} & set(words), title(kind)
    assert in_third_person("Somebody applied for credit in your name") == "Somebody applied for credit in the member's name"


HOSTILE = (
    '#eval("1")',
    "*bold* _i_ $x$ @a <b> \\ `c` ~ = h",
    "日本 😀 \u202e \x00 \x07 e\u0301",
    "#" * 500,
    "word" * 300,
    "]" * 9,
)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_and_never_obeyed(text: str) -> None:
    data = page(text)
    made = pdf.render("sheet", data, datetime(2026, 1, 1, tzinfo=UTC))
    assert made.startswith(b"%PDF-1.7")
    assert b"<pdfaid:part>3<" in made, "it says that it is PDF/A-3"
    assert pdf.pages(made) >= 2
    assert made == pdf.render("sheet", data, datetime(2026, 1, 1, tzinfo=UTC)), "the same values give the same bytes"


def test_every_letter_that_is_printed_as_itself_is_in_the_fonts() -> None:
    letters = "".join(chr(code) for code in range(0x20, 0x3000) if pdf.printable(chr(code)) == chr(code))
    assert len(letters) > 400
    assert pdf.render("sheet", page(letters), datetime(2026, 1, 1, tzinfo=UTC))
    assert pdf.printable("\u202ea日") == "[U+202E]a[U+65E5]"


def page(text: str) -> dict[str, object]:
    """The values of a page in which every foreign text is this one."""
    told = dict.fromkeys(("bates", "received", "source", "summary", "proof"), text)
    row = dict.fromkeys(("exhibit", "received", "claimed", "what", "provider", "institution", "last_four", "amount"), text)
    sheet = dict.fromkeys(("number", "title", "institution", "last_four", "amount", "bureaus", "claimed", "first_received"), text)
    loss = dict.fromkeys(("incurred_on", "incident", "head", "amount", "reimbursed", "net", "note"), text)
    wave = dict.fromkeys(("title", "order", "exposure", "needed", "present", "missing"), text)
    link = {"breach": text, "waves": [wave], "sides": [{"side": text, "facts": [text]}, {"side": text, "facts": []}]}
    more = {"told": [told], "answers": [{"given": text, "answer": text, "shown": text}], "losses": [{**loss, "counts": True}]}
    names = ("title", "organization", "edition", "bates", "breach", "defendant", "claim", "as_of", "log", "range", "kind")
    return {
        **dict.fromkeys(names, text),
        "member": {"name": text, "number": text},
        "parts": dict.fromkeys(("timeline", "links", "losses", "custody"), text),
        "rows": [{**row, "incident": text, "answer": text}],
        "incidents": [{**sheet, **more, "answer": text, "remark": text, "links": [link]}],
        "losses": [{**loss, "counts": False}],
        "totals": [{"amount": text, "reimbursed": text, "net": text}],
        "custody": [dict.fromkeys(("bates", "at", "index", "by", "what"), text)],
        "withheld": [text],
        "assumptions": [text],
    }


def test_drafts_are_filled_with_facts_and_signed_by_nobody() -> None:
    facts = certificates.Facts(
        organization="Union",
        software="Harmline 0",
        origin="log.example/1",
        size=7,
        root="cm9vdA==",
        at="2026-01-01T00:00:00.000000Z",
        first="OPOA-0000001",
        last="OPOA-0000009",
        exhibits=9,
        originals=[("OPOA-0000001", "ab" * 32, "2026-01-01T00:00:00.000000Z")],
        withheld={"because": 2},
    )
    drafts = certificates.drafts(facts)
    assert sorted(drafts) == ["evidence-code-1271-1561", "fre-902-11", "fre-902-13", "fre-902-14"]
    for text in drafts.values():
        assert text.startswith("DRAFT - NOT SIGNED")
        assert f"Signature: {certificates.BLANK}" in text
        assert f"I, {certificates.BLANK}, declare" in text
        assert "log.example/1" in text
        assert "2: because" in text
    assert "ab" * 32 in drafts["fre-902-14"]
