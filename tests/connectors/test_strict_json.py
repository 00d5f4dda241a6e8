"""JSON that two readers could read two ways is never read one way by chance."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import Malformed
from connectors.strict_json import DEEPEST, flawed, parse, read

ONE_WAY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abcdef", max_size=4), inner),
    max_leaves=20,
)


@given(ONE_WAY)
def test_plain_json_is_read_as_it_is(tree: Any) -> None:
    assert read(json.dumps(tree).encode()) == tree
    assert read(json.dumps(tree, ensure_ascii=False).encode()) == tree


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_read_or_malformed(body: bytes) -> None:
    with contextlib.suppress(Malformed):
        read(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{} {}",
        b"{}x",
        b"{'a': 1}",
        b'{"a": 1,}',
        b"\xef\xbb\xbf{}",
        '{"a": 1}'.encode("utf-16"),
        '{"a": 1}'.encode("utf-32"),
        b'{"a": "\xc0\xaf"}',
        b'{"a": "\xed\xa0\x80"}',
        b"\xff",
        b"[" * 1_000_000,
        b'{"a":' * 100_000,
        b'"\x01"',
    ],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed, match=r"^\$$"):
        parse(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": 1, "a": 1}',
        b'{"a": 1, "\\u0061": 2}',
        '{"é": 1, "e\u0301": 2}'.encode(),
        b'[{"x": [{"b": 1, "b": 2}]}]',
        b'{"a": NaN}',
        b"[Infinity]",
        b"[-Infinity]",
        b"[1e400]",
        b"[-1e400]",
        b"[9007199254740992]",
        b"[-9007199254740992]",
        b"[" + b"9" * 5000 + b"]",
        b'["\\ud800"]',
        b'{"\\udc00": 1}',
        b'["\\u0000"]',
        b'{"a\\u0000": 1}',
        b"NaN",
    ],
    ids=lambda body: repr(body[:30]),
)
def test_a_flaw_is_found_and_does_not_touch_its_neighbour(body: bytes) -> None:
    with pytest.raises(Malformed):
        read(body)
    bad, good = parse(b"[" + body + b', {"a": 1}]')
    assert flawed(bad)
    assert not flawed(good)


def nested(deep: int) -> bytes:
    return b"[" * deep + b"1" + b"]" * deep


@pytest.mark.parametrize(("deep", "above", "expected"), [(32, 0, False), (33, 0, True), (30, 2, False), (31, 2, True)])
def test_depth_is_counted_from_the_outermost(deep: int, above: int, expected: bool) -> None:
    assert flawed(parse(nested(deep)), above) is expected
    assert flawed(parse(b'{"a":' * deep + b"[]" + b"}" * deep), above) is (deep + 1 + above > DEEPEST)


def test_the_largest_exact_numbers_are_kept() -> None:
    assert read(b"[9007199254740991, -9007199254740991, -0, 1e308]") == [2**53 - 1, 1 - 2**53, 0, 1e308]


LIMITS: dict[str, tuple[bytes, bytes]] = {
    "keys": (keys := b"{" + b",".join(b'"%d":1' % n for n in range(1000)) + b"}", keys[:-1] + b',"x":1}'),
    "a key": (b'{"' + b"k" * 128 + b'":1}', b'{"' + b"k" * 129 + b'":1}'),
    "values": (b"[" + b",".join([b"1"] * 9_999) + b"]", b"[" + b",".join([b"1"] * 10_000) + b"]"),
    "values in all": (
        b"[" + b",".join([b"[" + b",".join([b"1"] * 998) + b"]"] * 10) + b"]",
        b"[" + b",".join([b"[" + b",".join([b"1"] * 999) + b"]"] * 10) + b"]",
    ),
    "a text": (b'"' + b"x" * 256 * 1024 + b'"', b'"' + b"x" * (256 * 1024 + 1) + b'"'),
    "digits": (b"1234567890.1234567890", b"1234567890.12345678901"),
    "an exponent's digits": (b"-1.7976931348623157e+308", b"1.797693134862315700e-308"),
}


@pytest.mark.parametrize("name", LIMITS)
def test_how_much_one_item_may_hold(name: str) -> None:
    most, more = LIMITS[name]
    assert not flawed(parse(most))
    bad, good = parse(b"[" + more + b', {"a": 1}]')
    assert flawed(bad)
    assert not flawed(good)


@pytest.mark.parametrize(
    "body",
    [
        b"{" + b",".join(b'"%d":1' % n for n in range(90_000)) + b"}",
        b'{"' + "\u0300\u0316".encode() * 250_000 + b'": 1}',
        ("{" + ",".join(f'"{chr(0x300) * 60}{chr(0x316) * 60}{n:04}":1' for n in range(999)) + "}").encode(),
        b'{"a": ' + b"9" * 1_000_000 + b"}",
        b'{"a": 0.' + b"9" * 1_000_000 + b"}",
        b'{"a": "' + "\u0300\u0316".encode() * 250_000 + b'"}',
        b"[" + b"[]," * 300_000 + b"[]]",
        b'{"a":' * 31 + b"1" + b"}" * 31,
    ],
    ids=lambda body: repr(body[:16]),
)
def test_the_worst_that_one_delivery_may_bring_is_read_quickly(body: bytes) -> None:
    """Composing a long key took its length squared: this is what it is kept short for."""
    began = time.process_time()
    with contextlib.suppress(Malformed):
        flawed(parse(body))
    assert time.process_time() - began < 3
