"""The quick way to canonical JSON gives the library's bytes, or leaves it to the library."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from app.kit import canonical

SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text() | st.text(st.characters(max_codepoint=127))
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


class Word(StrEnum):
    """A word of ours, as ledger facts hold them."""

    RECEIPT = "receipt"


PLAIN = [{"b": 1, "a": Word.RECEIPT}, ("x", True), {"\x7f": '\x00\x1f"\\/\n\t\b\f\r'}, -0.0, 2**53 - 1]


def _either(dumps: Any, value: Any) -> bytes | type[Exception]:
    try:
        written: bytes = dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        return type(error)
    return written


@given(VALUES)
def test_the_same_bytes_or_the_same_refusal(value: Any) -> None:
    assert _either(canonical.dumps, value) == _either(rfc8785.dumps, value)


@pytest.mark.parametrize("value", [{"b": 1, "a": Word.RECEIPT}, ("x", True), {"\x7f": '\x00\x1f"\\/\n\t\b\f\r'}, -0.0, 2**53 - 1])
def test_what_the_ledger_writes(value: Any) -> None:
    assert canonical.dumps(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**53, "\ud800", {"\udfff": 1}])
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises((rfc8785.CanonicalizationError, UnicodeEncodeError)):
        canonical.dumps(value)
