"""Canonical JSON: the fast way writes the very bytes of the slow one, or leaves it to the slow one."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from app.kit import canonical

SCALARS = st.none() | st.booleans() | st.integers(-(2**54), 2**54) | st.floats() | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


class Word(StrEnum):
    """A word of ours."""

    ONE = "one"


def by(dumps: Any, value: Any) -> Any:
    try:
        return dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        return type(error)


@given(VALUES)
@example({"\U0001f600": 1, "\ue000": 2})
@example({"b": [1, {"\x7f": "\x00\x1f\u2028</script>"}], "a": "é"})
@example(["\ud800"])
@example({"\ud800": 1})
@example(2**53)
@example(-(2**53) + 1)
@example(1.0)
@example((1, True, None))
@example({"word": Word.ONE})
def test_the_bytes_are_those_of_rfc_8785_and_so_are_the_refusals(value: Any) -> None:
    assert by(canonical.dumps, value) == by(rfc8785.dumps, value)


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(rfc8785.CanonicalizationError):
        canonical.dumps({"a": object()})
    with pytest.raises(rfc8785.CanonicalizationError):
        canonical.dumps({1: "a"})
