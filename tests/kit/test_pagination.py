"""A cursor is ours or it is refused: no other text does anything."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.kit.errors import Problem
from app.kit.pagination import decode_cursor, decode_id_cursor, encode_cursor
from app.timeline.service import before

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9), lambda v: st.lists(v, max_size=3)
)


def spelled(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=4))
def test_a_cursor_gives_its_keys_back(keys: list[str]) -> None:
    assert decode_cursor(encode_cursor(*keys), len(keys)) == keys


@given(st.uuids())
def test_an_id_cursor_gives_its_id_back(row: UUID) -> None:
    assert decode_id_cursor(encode_cursor(row.hex)) == row
    assert decode_id_cursor(None) == UUID(int=0)


@given(st.text(max_size=60) | JSON.map(spelled) | st.binary(max_size=40).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
@example("")
@example("====")
@example("\u0130")
@example(spelled("a"))
@example(spelled(["0001-01-01T00:00:00+23:59", UUID(int=1).hex]))
@example(spelled(["9999-12-31T23:59:59-23:59", UUID(int=1).hex]))
@example(spelled(["2023-01-01T00:00:00", UUID(int=1).hex]))
@example("W" * 199)
def test_any_other_text_is_refused_and_never_an_error_of_ours(cursor: str) -> None:
    def timeline_cursor(text: str) -> None:
        moment, _ = before(text) or pytest.fail("a cursor was left out")
        assert moment.utcoffset() == timedelta(0), "the database could not take it"

    for read in (lambda text: decode_cursor(text, 2), decode_id_cursor, timeline_cursor):
        refused = None
        try:
            read(cursor)
        except Problem as problem:
            refused = problem
        assert refused is None or (refused.status, refused.errors[0].field) == (422, "query.cursor")


@pytest.mark.parametrize("keys", [[], ["a", "b"], [1], [None], [["a"]], {"a": "b"}, "a", None, 7])
def test_a_cursor_of_another_shape_is_refused(keys: Any) -> None:
    with pytest.raises(Problem) as refused:
        decode_cursor(spelled(keys), 1)
    assert refused.value.status == 422
    assert "not a cursor" in str(refused.value.detail)
