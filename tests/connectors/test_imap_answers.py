"""What a mail server says is taken apart: whatever it says, nothing is raised but a ProviderError."""

from __future__ import annotations

import base64
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import imap_answers as imap
from connectors.asking import NotAllowed, ProviderError
from connectors.imap_answers import Part, Text

WORDS = [
    *(
        b"* ",
        b"SEARCH ",
        b"1 ",
        b"FETCH (",
        b"UID 9 ",
        b"BODY[]<0> ",
        b'"a\\"b" ',
        b"(",
        b")",
        b"\\",
        b'"',
        b"NIL ",
        b"RFC822.SIZE 4 ",
    ),
    *(b"OK ", b"NO ", b"[UIDVALIDITY 7] ", b"[", b"] ", b"BYE ", b"99999999999 ", b"\xff\x00", b"{3}"),
]
lines = st.lists(st.sampled_from(WORDS) | st.binary(max_size=4), max_size=9).map(b"".join)
pieces = st.lists(lines, min_size=1, max_size=5)


@given(st.lists(pieces, max_size=4), st.integers(0, 2**32))
def test_whatever_is_said_is_read_or_refused(told: list[list[bytes]], uid: int) -> None:
    assert imap.validity(told) is None or isinstance(imap.validity(told), int)
    found = imap.part(told, uid)
    assert found is None or isinstance(found.body, bytes)
    with suppress(ProviderError):
        assert all(one > uid for one in imap.uids(told, uid))
    for one in told:
        imap.words(one)
        with suppress(ProviderError):
            imap.said(one[0])


@given(st.binary(max_size=60), st.integers(1, 2**32 - 1), st.booleans())
def test_a_mail_is_the_bytes_of_its_literal_whatever_is_in_them(body: bytes, uid: int, last: bool) -> None:
    """Brackets, quotes, and what looks like an answer."""
    known = b"UID %d FLAGS (\\Seen $Junk) RFC822.SIZE 77" % uid
    told = [b"* 1 FETCH (%s BODY[]<0> " % known, body, b")"] if last else [b"* 1 FETCH (BODY[]<0> ", body, b" %s)" % known]
    assert imap.part([[b"* 1 FETCH (UID 0 BODY[]<0> NIL)"], told], uid) == Part(body, 77)


@given(st.text(max_size=40))
def test_a_word_is_sent_so_that_it_is_that_word(text: str) -> None:
    try:
        sent = imap.argument(text)
    except NotAllowed:
        assert re.search("[\r\n\x00]", text)
        return
    if isinstance(sent, Text):
        assert sent.value == text.encode("utf-8", "surrogatepass")
        return
    assert imap.words([sent]) == [Text(text.encode())]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_a_folder_of_any_name_has_one_in_plain_letters(name: str) -> None:
    """And it can be read back: see RFC 3501, 5.1.3."""
    sent = imap.folder_name(name)
    assert sent.isascii()
    assert sent.isprintable() or not sent
    parts = re.split("&([^-]*)-", sent)
    back = [_read(part) if at % 2 else part for at, part in enumerate(parts)]
    assert "".join(back) == name


def _read(coded: str) -> str:
    if not coded:
        return "&"
    padded = coded.replace(",", "/") + "=" * (-len(coded) % 4)
    return base64.b64decode(padded).decode("utf-16-be")


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("INBOX", "INBOX"),
        ("Alertes é", "Alertes &AOk-"),
        ("A & B", "A &- B"),
        ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
    ],
)
def test_folders_of_the_rfc(name: str, sent: str) -> None:
    assert imap.folder_name(name) == sent


def test_a_header_is_kept_up_to_its_end_or_as_much_as_may_be() -> None:
    assert imap.head(b"A: b\r\nC: d\r\n\r\nbody") == b"A: b\r\nC: d\r\n\r\n"
    assert imap.head(b"A: b") == b"A: b"
    assert len(imap.head(b"x" * 100_000)) == imap.LONGEST_HEAD
