"""Webhook authenticity as properties: every single bit counts, and nothing a stranger sends raises."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.verifiers import Basic, BearerList, Outcome, Secret, StandardWebhooks, StaticHeader, Verifier
from tests.connectors.suite import DATED, VERIFIERS, secrets_for, signed, signed_v1a

NOW = datetime(2026, 3, 2, 16, tzinfo=UTC)
BODY = b'{"id": "a", "type": "ping"}'
SW = StandardWebhooks()
each_verifier = pytest.mark.parametrize("verifier", VERIFIERS, ids=repr)


def flips(text: str) -> Iterator[str]:
    """The text with each of its bits flipped once, as a server would decode the bytes (Latin-1)."""
    raw = text.encode("latin-1")
    for at in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[at // 8] ^= 1 << at % 8
        yield changed.decode("latin-1")


@each_verifier
def test_any_flipped_bit_is_refused(verifier: Verifier) -> None:
    new, *_ = secrets_for(verifier)
    good = signed(verifier, new, BODY, NOW)
    read = {name: value for name, value in good.items() if name.lower() in verifier.headers}
    assert verifier.check(BODY, good, [new], NOW).outcome is Outcome.AUTHENTIC
    for name, value in read.items():
        for flipped in flips(value):
            assert verifier.check(BODY, {**good, name: flipped}, [new], NOW).outcome is Outcome.REFUSED, (name, flipped)
    for flipped in flips(new.value):
        assert verifier.check(BODY, good, [Secret("new", flipped)], NOW).outcome is Outcome.REFUSED, flipped
    if not isinstance(verifier, Basic | BearerList | StaticHeader):
        for flipped in flips(BODY.decode()):
            assert verifier.check(flipped.encode("latin-1"), good, [new], NOW).outcome is Outcome.REFUSED


def test_any_flipped_bit_of_v1a_is_refused() -> None:
    headers, public = signed_v1a(BODY, NOW)
    for name, value in headers.items():
        for flipped in flips(value):
            assert SW.check(BODY, {**headers, name: flipped}, [public], NOW).outcome is Outcome.REFUSED, (name, flipped)
    for flipped in flips(public.value):
        assert SW.check(BODY, headers, [Secret("public", flipped)], NOW).outcome is Outcome.REFUSED, flipped


@given(body=st.binary(max_size=200), at=st.integers(1_000_000_000, 4_000_000_000), data=st.data())
def test_any_flipped_bit_of_any_message_is_refused(body: bytes, at: int, data: st.DataObject) -> None:
    verifier = data.draw(st.sampled_from(DATED))
    new, *_ = secrets_for(verifier)
    now = datetime.fromtimestamp(at, UTC)
    body = body if not isinstance(verifier, StandardWebhooks) else body.hex().encode()
    good = signed(verifier, new, body, now)
    assert verifier.check(body, good, [new], now).outcome is Outcome.AUTHENTIC
    signed_parts = [part for part in sorted(verifier.headers) if part in good] + (["body"] if body else [])
    part = data.draw(st.sampled_from(signed_parts))
    text = body.decode("latin-1") if part == "body" else good[part]
    flipped = list(flips(text))[data.draw(st.integers(0, len(text) * 8 - 1))]
    if part == "body":
        assert verifier.check(flipped.encode("latin-1"), good, [new], now).outcome is Outcome.REFUSED
    else:
        assert verifier.check(body, {**good, part: flipped}, [new], now).outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    "body",
    [b'{"type": "ping", "id": "a"}', BODY + b"\r\n", BODY + b" ", b"\xef\xbb\xbf" + BODY, BODY.replace(b" ", b""), b""],
)
@pytest.mark.parametrize("verifier", [v for v in VERIFIERS if not isinstance(v, Basic | BearerList | StaticHeader)], ids=repr)
def test_only_the_exact_bytes_count(verifier: Verifier, body: bytes) -> None:
    new, *_ = secrets_for(verifier)
    assert verifier.check(body, signed(verifier, new, BODY, NOW), [new], NOW).outcome is Outcome.REFUSED


ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=[]), max_size=80)


@given(verifier=st.sampled_from(VERIFIERS), body=st.binary(max_size=100), data=st.data())
def test_nothing_that_a_stranger_sends_raises_or_passes(verifier: Verifier, body: bytes, data: st.DataObject) -> None:
    names = sorted(verifier.headers)
    headers = {name: data.draw(ANY_TEXT) for name in data.draw(st.lists(st.sampled_from(names), unique=True))}
    secrets = [Secret("odd", data.draw(ANY_TEXT)), secrets_for(verifier)[0]]
    if headers.get("webhook-id"):
        headers |= {"webhook-timestamp": "1772467200"}
    guess = isinstance(verifier, StaticHeader | BearerList) and secrets[0].value in "".join(headers.values())
    assert guess or verifier.check(body, headers, secrets, NOW).outcome is Outcome.REFUSED


@given(text=ANY_TEXT.filter(lambda text: " " not in text))
def test_no_text_after_the_scheme_raises(text: str) -> None:
    _, public = signed_v1a(BODY, NOW)
    for signature in (f"v1,{text}", f"v1a,{text}", f"{text},{text}"):
        headers = {**signed_v1a(BODY, NOW)[0], "webhook-signature": signature}
        assert SW.check(BODY, headers, [secrets_for(SW)[0], public], NOW).outcome is Outcome.REFUSED
