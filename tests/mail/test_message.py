"""Hostile mail: bounds are kept before anything is parsed, what is broken is read with replacement, only Malformed is raised."""

import base64
import json
import sys
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.contract import Malformed, RawEvent, storable
from connectors.mail import connector, forwards, message, parts, plain, signed, visible
from connectors.mail.message import LONGEST_TEXT, read

FROM = b"From: Example Monitor <notices@alerts.monitor.example>\r\n"
FRAGMENTS = [
    FROM,
    b"Subject: =?utf-8?q?=41=c3?= =?utf-8?q?=a9?= =?zip?b?////?=\r\n",
    b'From: "a\\" <x@y.example>" <b@c.example>, d@e.example\r\n',
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b'Content-Type: multipart/digest; boundary="b"\n',
    b"Content-Type: message/rfc822\r\n",
    b"Content-Type: text/html; charset=punycode\r\n",
    b"Content-Type: text/plain; charset=utf-16; name*=utf-8''%ff%00\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: quoted-printable\r\n",
    b"Content-Disposition: attachment; filename=x.eml\r\n",
    b"DKIM-Signature: v=1; a=rsa-sha256; d=monitor.example; s=s; h=from; bh=AAAA; b=AAAA\r\n",
    b"Date: Mon, 32 Foo 99999 25:61:61 +9999\r\n",
    b"Message-ID: <a b>\r\nMessage-ID: <\x00>\r\n",
    b"\r\n",
    b"\n",
    b"--b\r\n",
    b"--b--\r\n",
    b"From nobody\n",
    b"---------- Forwarded message ---------\nFrom: a <b@c.example>\nDate: x\nSubject: y\n\n",
    b"<p style='display:none'>",
    b"<![foo",
    b"<!--",
    b"</p></b><script>",
    b"&#x110000;&#0;",
    b"\x00\xff\xfe",
    b"\xe2\x80\xae",
    b" folded\r\n",
    b"QUJD=\r\n",
]
HOSTILE = st.one_of(
    st.binary(max_size=500),
    st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=20)), max_size=25).map(b"".join),
)


def mail(body: bytes, headers: bytes = b"") -> bytes:
    return FROM + headers + b"\r\n" + body


def nest(deep: int) -> bytes:
    """So many multiparts inside one another, and a line in the innermost."""
    out = FROM + b"Content-Type: multipart/mixed; boundary=b0\r\n\r\n"
    for number in range(1, deep):
        out += b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (number - 1, number)
    return out + b"--b%d\r\n\r\nhere\r\n" % (deep - 1)


@given(HOSTILE)
@example(b"")
@example(b"\r\n\r\n")
@example(FROM + b"Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n--b--")
def test_nothing_is_raised_but_malformed_and_what_comes_out_is_bounded_and_can_be_kept(raw: bytes) -> None:
    signed.keys_needed(raw)
    assert signed.proof_of(raw, {}).reason
    with suppress(Malformed):
        found = read(raw)
        letter = forwards.reading(found).letter
        assert len(letter.text) <= LONGEST_TEXT
        assert len(found.attached) + len(found.files) <= parts.MOST_PARTS
        assert sum(map(len, found.attached)) <= len(raw)
        for text in (letter.sender, letter.sender_name, letter.subject, letter.text, letter.message_id or "", *found.files):
            assert storable(text)
            assert not any(unicodedata.category(sign) in ("Cc", "Cf", "Cs") for sign in text.replace("\n", ""))


@given(HOSTILE, st.dictionaries(st.sampled_from(["to", "from", "inside", "depth", "answer"]), st.text(max_size=12)))
def test_every_event_of_a_hostile_mail_is_understood_or_malformed(raw: bytes, asked: dict[str, str]) -> None:
    with suppress(Malformed):
        for event in connector().split(raw, asked):
            if isinstance(event, RawEvent):
                json.dumps([event.body, dict(event.asked)])
                with suppress(Malformed):
                    connector().normalise(event)
                with suppress(Malformed):
                    assert all(isinstance(text, str) for text in connector().shown(event).values())


def calls(act: Callable[[], Any]) -> int:
    """How many calls it takes, of Python and of C."""
    count = 0

    def note(frame: Any, event: str, arg: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        with suppress(Malformed):
            act()
    finally:
        sys.setprofile(None)
    return count


def test_a_nest_of_600_costs_no_more_than_the_bound() -> None:
    for deep in (600, parts.DEEPEST + 1):
        with pytest.raises(Malformed, match="nesting"):
            read(nest(deep))
    assert calls(lambda: read(nest(600))) == calls(lambda: read(nest(parts.DEEPEST + 1)))
    assert read(nest(parts.DEEPEST)).text == "here"


@pytest.mark.parametrize(
    ("raw", "bound"),
    [
        (FROM + b"\r\n" + b"x" * parts.LARGEST, "size"),
        (mail(b"--b\r\n\r\n" * 300, b"Content-Type: multipart/mixed; boundary=b\r\n"), "parts"),
        (b"X: y\r\n" * 1100 + b"\r\n", "headers"),
        (b"X: y\r\n" + b" z\r\n" * 200_000 + b"\r\n", "headers"),
        (b"{}", "headers"),
        (b"", "headers"),
        (b"\r\nno headers at all", "headers"),
        (b"<!doctype html><p>:</p>", "headers"),
    ],
)
def test_what_breaks_a_bound_is_malformed_with_its_name(raw: bytes, bound: str) -> None:
    with pytest.raises(Malformed, match=f"^{bound}$"):
        read(raw)


@pytest.mark.parametrize(
    "piece", [b"<", b"<div>", b"<!--", b"<![x", b"</p>", b"<a b='", b"&#", b"<td style='display:none'>", b"<i>x</b>"]
)
def test_work_on_html_grows_with_its_length(piece: bytes) -> None:
    """Twice the page is at most about twice the calls."""
    once, twice = (calls(lambda n=n: read(mail(piece * n, b"Content-Type: text/html\r\n"))) for n in (500, 1000))
    assert twice <= 2.2 * once + 200


def test_bombs_come_out_no_larger_than_what_is_shown() -> None:
    base64_bomb = mail(b"QUFB" * 2_000_000, b"Content-Transfer-Encoding: base64\r\n")
    words = mail(b"", b"Subject: " + b"=?utf-8?q?=41=42?= " * 20_000 + b"\r\n")
    assert len(read(base64_bomb).text) == LONGEST_TEXT
    assert 0 < len(read(words).subject) <= message.LONGEST_LINE


@pytest.mark.parametrize(
    ("charset", "body", "text"),
    [
        ("utf-8", b"caf\xc3\xa9", "caf\xe9"),
        ("utf-8", b"caf\xe9", "caf\ufffd"),
        ("", b"caf\xe9", "caf\xe9"),
        ("iso-8859-1", b"caf\xe9", "caf\xe9"),
        ("no-such-charset", b"caf\xe9", "caf\xe9"),
        ("unicode_escape", b"\\x41", "\\x41"),
        ("zip", b"caf\xe9", "caf\xe9"),
        ("punycode", b"a" * 9 + b"-", "a" * 9 + "-"),
        ("gb18030", "中文".encode("gb18030"), "中文"),
        ("utf-16", b"\x00", "\ufffd"),
        ("../../etc/passwd", b"x", "x"),
    ],
)
def test_charsets_are_read_with_replacement_and_only_tables(charset: str, body: bytes, text: str) -> None:
    assert read(mail(body, f'Content-Type: text/plain; charset="{charset}"\r\n'.encode())).text == text


def test_signs_that_hide_or_turn_round_are_gone_from_what_is_shown() -> None:
    found = read(mail("pay\u202e123\u200b\x00 \u2066x\u2069\ufeff".encode(), "Subject: a\u202eb\x07c\r\n".encode()))
    assert (found.text, found.subject) == ("pay123 x", "abc")


def test_no_sign_that_cannot_be_seen_is_overlooked() -> None:
    """Of those that Unicode assigns: controls, formats and halves of pairs, but for the blanks."""
    for code in range(0x110000):
        sign = chr(code)
        if unicodedata.category(sign) in ("Cc", "Cf", "Cs"):
            assert plain.line(f"a{sign}b", 9) in ("ab", "a b"), hex(code)


def test_html_becomes_its_visible_text() -> None:
    page = (
        "<html><head><title>no</title><style>p{}</style></head><body><!-- no --><script>no()</script>"
        "<div style='DISPLAY : none'>no<div>no</div></div><p hidden>no<p>One &amp; <a href='https://x.example'>two</a></p>"
        "<![if mso]><table><tr><td>three</td><td>four</td></tr></table><![endif]><span style='font-size:0px'>no</span>five<br>six"
        "<img src=x alt=no><hr>seven<textarea>no</textarea> a < b <noscript>no</noscript></body>"
    )
    assert plain.lines(visible.text_of(page), 999).replace("\n\n", "\n").split("\n") == [
        "One & two",
        "three four",
        "five",
        "six",
        visible.RULE,
        "seven a < b",
    ]


@pytest.mark.parametrize(
    "style", ["display:none!important", "color:red;visibility:hidden", "mso-hide:all", "opacity:0", "max-height:0"]
)
def test_what_an_inline_style_hides_is_not_read(style: str) -> None:
    assert plain.lines(visible.text_of(f'<b style="{style}">no</b><i style="opacity:0.9;font-size:10px">yes</i>'), 99) == "yes"


def test_plain_text_goes_before_html_unless_it_only_says_that_there_is_html() -> None:
    def alternative(text: str, page: str) -> str:
        body = f"--b\r\n\r\n{text}\r\n--b\r\nContent-Type: text/html\r\n\r\n{page}\r\n--b--\r\n"
        return read(mail(body.encode(), b"Content-Type: multipart/alternative; boundary=b\r\n")).text

    assert alternative("A card was opened.", "<p>A page.</p>") == "A card was opened."
    assert alternative("See the HTML.", "<p>" + "A card was opened. " * 20 + "</p>").startswith("A card was opened.")
    assert alternative(" ", "<p>A page.</p>") == "A page."


def test_attachments_are_named_and_not_opened_but_for_mails() -> None:
    inner = b"From: x@y.example\nSubject: inner\n\n>From here\n"
    pieces = [
        b"Content-Type: text/plain\r\n\r\nmine",
        b"Content-Type: message/rfc822\r\n\r\n" + inner,
        b"Content-Type: application/octet-stream; name=a.EML\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.b64encode(inner),
        b'Content-Type: text/calendar; name="=?utf-8?q?invite=2Eics?="\r\n\r\nBEGIN:VCALENDAR',
        b"Content-Type: application/zip\r\nContent-Disposition: attachment; filename*=utf-8''n%C3%A9.zip\r\n\r\nPK",
        b"Content-Type: application/x-msdownload\r\n\r\nMZ",
        b"Content-Type: text/html\r\nContent-Disposition: attachment; filename=page.html\r\n\r\n<b>not read</b>",
        b"Content-Type: image/png\r\nContent-ID: <logo>\r\n\r\nPNG",
    ]
    body = b"".join(b"--b\r\n" + piece + b"\r\n" for piece in pieces) + b"--b--\r\n"
    found = read(mail(body, b"Content-Type: multipart/mixed; boundary=b\r\n"))
    assert found.text == "mine"
    assert found.attached == (inner, inner)
    assert found.files == ("invite.ics", "n\xe9.zip", "application/x-msdownload", "page.html")


@pytest.mark.parametrize(
    ("value", "sender", "name"),
    [
        ("Example <A@Monitor.example>", "a@monitor.example", "Example"),
        ('"a@experian.com" <x@evil.example>', "x@evil.example", "a@experian.com"),
        ("a@b.example", "a@b.example", ""),
        ("a@b.example (Somebody)", "a@b.example", ""),
        ("=?utf-8?q?Jos=C3=A9?= <j@b.example>", "j@b.example", "Jos\xe9"),
        ("=?utf-8?q?=3Ca=40experian=2Ecom=3E?= <x@evil.example>", "x@evil.example", "<a@experian.com>"),
        ("a@b.example, c@d.example", "", ""),
        ("a@experian.com, B <x@evil.example>", "", ""),
        ("<a@experian.com> <x@evil.example>", "", ""),
        ("a@experian.com <x@evil.example> <y@evil.example>", "", ""),
        ("group: a@b.example;", "", ""),
        ("a@b@c.example", "", ""),
        ("(" * 5000, "", ""),
        ("a\x00b@c.example", "", ""),
        ("", "", ""),
    ],
)
def test_a_sender_is_one_address_or_none(value: str, sender: str, name: str) -> None:
    assert message.address(value) == (sender, name)


def test_two_senders_are_none() -> None:
    assert read(FROM + FROM + b"\r\n").sender == ""


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Mon, 02 Mar 2026 09:14:00 -0800", datetime(2026, 3, 2, 17, 14, tzinfo=UTC)),
        ("Mon, 02 Mar 2026 09:14:00 -0000", datetime(2026, 3, 2, 9, 14, tzinfo=UTC)),
        ("Mon, 02 Mar 2026 09:14:00 GMT", datetime(2026, 3, 2, 9, 14, tzinfo=UTC)),
        ("Mon, 02 Mar 2026 09:14:00", None),
        ("Mon, Mar 2, 2026 at 9:14 AM", None),
        ("Monday, March 2, 2026 9:14 AM", None),
        ("2 de marzo de 2026, 9:14:00 a.m. PST", None),
        ("lun, 2 mar 2026 a las 9:14", None),
        ("Fri, 31 Dec 9999 23:59:59 -2300", None),
        ("yesterday", None),
    ],
)
def test_a_date_needs_its_offset(text: str, moment: datetime | None) -> None:
    assert message.moment(text) == moment
