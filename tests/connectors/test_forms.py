"""Forms as strangers post them: each field once and exactly as it came, or none; and nothing but Malformed is raised."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import Malformed
from connectors.forms import A_PIECE, MOST_FIELDS, Form, media_type, multipart

MAIL = b"From: a@x.example\r\nSubject: =?utf-8?q?=C3=BC?=\r\n\r\n--x\r\n\xff\x00 100% & more=+\r\n"


def fields(body: bytes, *names: str) -> dict[str, bytes]:
    form = Form(body, set(names))
    return {name: form.raw(name) for name in names if name in form}


@pytest.mark.parametrize("body", [urlencode({"a": "1", "mail": MAIL}).encode(), multipart({"a": "1", "mail": MAIL}, "word")])
def test_what_is_posted_comes_out_as_it_was(body: bytes) -> None:
    assert fields(body, "mail", "a", "b") == {"mail": MAIL, "a": b"1"}


@given(value=st.binary(max_size=300), other=st.text(max_size=40))
def test_any_bytes_come_out_of_both_spellings(value: bytes, other: str) -> None:
    sent = {"mail": value, "other": other.encode("utf-8", "surrogatepass")}
    assert fields(urlencode(sent).encode(), "mail", "other") == sent
    assert fields(multipart(sent, "word" * 10), "mail", "other") == sent


@pytest.mark.parametrize("tail", ["%", "%4", "%zz", "%%41", "%%", "%41%"])
def test_an_escape_at_the_edge_of_a_piece_is_whole(tail: str) -> None:
    for before in range(A_PIECE - 6, A_PIECE + 3):
        value = b"x" * before + tail.encode() + b"%2B+y"
        assert (
            fields(b"a=" + value, "a")["a"]
            == {
                "%": b"x" * before + b"%" + b"+ y",
                "%4": b"x" * before + b"%4+ y",
                "%zz": b"x" * before + b"%zz+ y",
                "%%41": b"x" * before + b"%A+ y",
                "%%": b"x" * before + b"%%+ y",
                "%41%": b"x" * before + b"A%+ y",
            }[tail]
        )


def part(head: str, value: str = "v") -> bytes:
    return f"--b\r\n{head}\r\n\r\n{value}\r\n--b--\r\n".encode()


NAMED = 'Content-Disposition: form-data; name="mail"'


@pytest.mark.parametrize(
    ("head", "named"),
    [
        (NAMED, True),
        (NAMED.lower(), True),
        (f"Content-Type: text/plain\r\n{NAMED}", True),
        (f'{NAMED}; filename="x"', True),
        ('Content-Disposition: form-data; name="other"; filename="; name="mail""', False),
        ('Content-Disposition: form-data; filename="x"; name="mail"', False),
        ("Content-Disposition: form-data; name=mail", False),
        ('Content-Disposition: attachment; name="mail"', False),
        ('X-Content-Disposition: form-data; name="mail"', False),
    ],
)
def test_a_part_has_the_name_that_stands_first(head: str, named: bool) -> None:
    assert ("mail" in Form(part(head), {"mail"})) == named


TWICE = [
    b"mail=1&mail=2",
    b"mail=1&m%61il=2",
    multipart({"mail": "1"}, "b")[: -len("\r\n--form-b--\r\n")] + b"\r\n" + multipart({"mail": "2"}, "b"),
]


@pytest.mark.parametrize("body", TWICE)
def test_a_field_that_is_there_twice_is_none(body: bytes) -> None:
    form = Form(body, {"mail"})
    assert "mail" in form
    with pytest.raises(Malformed, match=r"\Amail\Z"):
        form.raw("mail")


NO_FORM = [
    b"--",
    b"--\r\n",
    b"--b\r\n",
    b"--b\n" + NAMED.encode() + b"\n\nv\n--b--\n",
    part(NAMED)[:-7],
    part(NAMED).replace(b"\r\n\r\n", b"\r\n"),
    part(NAMED).replace(b"--b--", b"--bc"),
    b"--" + b"b" * 71 + b"\r\n",
    b"--b \r\n" + part(NAMED)[5:],
    b"&" * MOST_FIELDS,
    b"--b\r\n" + (b"\r\n\r\n\r\n--b\r\n" * (MOST_FIELDS + 1)),
    part("X: " + "x" * 9000),
    multipart({f"n{number}": "" for number in range(MOST_FIELDS + 1)}, "b"),
    b"--b\r\nX: y\r\n" + part(NAMED),
    part(NAMED)[:-7] + b"--bX\r\n" + part(NAMED)[5:],
]


@pytest.mark.parametrize("body", NO_FORM, ids=lambda body: ascii(body[:20]))
def test_what_is_no_form_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed, match=r"\A\$\Z"):
        Form(body, {"mail"})


@given(st.binary(max_size=200))
def test_nothing_else_is_raised(body: bytes) -> None:
    for lead in (b"", b"--", b"--b\r\n", part(NAMED)[:-5]):
        with suppress(Malformed):
            Form(lead + body, {"mail"}).text("mail")


def test_as_many_fields_as_are_allowed_are_read() -> None:
    sent = {f"n{number}": "" for number in range(MOST_FIELDS - 1)} | {"mail": "v"}
    assert fields(multipart(sent, "b"), "mail") == fields(urlencode(sent).encode(), "mail") == {"mail": b"v"}


def test_text_is_what_can_be_kept() -> None:
    for value in (b"%ff", b"a%00b", b"%ed%a0%80"):
        with pytest.raises(Malformed):
            Form(b"a=" + value, {"a"}).text("a")
    assert Form(b"a=%C3%BC", {"a"}).text("a") == "ü"


def test_a_value_that_is_too_long_is_not_even_read() -> None:
    with pytest.raises(Malformed, match="a"):
        Form(b"a=" + b"%41" * 400, {"a"}, 1000)


@pytest.mark.long
def test_a_large_value_takes_a_few_times_its_memory() -> None:
    body = b"a=" + b"%41" * 2_000_000
    tracemalloc.start()
    try:
        assert len(Form(body, {"a"}).raw("a")) == 2_000_000
        assert tracemalloc.get_traced_memory()[1] < 5 * len(body)
    finally:
        tracemalloc.stop()


def test_a_form_says_what_it_is() -> None:
    assert media_type(b"a=1") == "application/x-www-form-urlencoded"
    assert media_type(multipart({"a": "1"}, "word")) == "multipart/form-data; boundary=form-word"
