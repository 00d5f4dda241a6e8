"""What "the original" shows: long numbers keep their last four, addresses are covered, dates and amounts stay legible."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.timeline.masking import mask, mask_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("SSN 987-65-4321.", "SSN •••-••-4321."),
        ("987654321", "•••••4321"),
        ("987 65 4321", "••• •• 4321"),
        ("987.65.4321", "•••.••.4321"),
        ("card 4111 1111 1111 1111", "card •••• •••• •••• 1111"),
        ("licence D1234567", "licence D•••4567"),
        ("passport 123456789", "passport •••••6789"),
        ("account 000123456789", "account ••••••••6789"),
        ("call (510) 555-0100", "call (•••) •••-0100"),
        ("write to pat@example.org now", "write to •••@••• now"),
        ("pat.987654321@example.org", "•••@•••"),
        ("seen 2023-03-20", "seen 2023-03-20"),
        ("at 2023-03-20T10:11:12-05:00", "at 2023-03-20T10:11:12-05:00"),
        ("$2500.00 at 11:30", "$2500.00 at 11:30"),
        ("2023-03-20987654321", "••••-••-•••••••4321"),
        ("on 03/20/2023 at 11:30:05", "on 03/20/2023 at 11:30:05"),
        ("on March 20, 2023", "on March 20, 2023"),
        ("$1,250,000.00, then 2500.00.", "$1,250,000.00, then 2500.00."),
        ("card 4321, opened 2023-03-20", "card 4321, opened 2023-03-20"),
        ("987654321.00", "•••••••21.00"),
        ("between 2023-03-01 and 2023-03-20, 2500.00 USD", "between 2023-03-01 and 2023-03-20, 2500.00 USD"),
        ("four digits 4321", "four digits 4321"),
        ("１２３４５６７８９", "•••••６７８９"),
        ("٠١٢٣٤٥٦٧٨", "•••••٥٦٧٨"),
        ("", ""),
    ],
)
def test_a_text(text: str, shown: str) -> None:
    assert mask_text(text) == shown


@pytest.mark.parametrize(
    "joined",
    [
        "987-65-4321",
        "987–65–4321",
        "987_65_4321",
        "9 8 7 6 5 4 3 2 1",
        "987\u00a065\u00a04321",
        "98765\u200b4321",
        "987--65--4321",
        "987\n65\n4321",
    ],
)
def test_a_number_in_pieces_keeps_four_digits_at_the_most(joined: str) -> None:
    assert sum(letter.isdigit() for letter in mask_text(f"number {joined} seen")) <= 4


def digits(value: Any) -> str:
    return "".join(letter for letter in json.dumps(value, ensure_ascii=False) if letter.isdigit())


@given(st.integers(10**8, 10**16), st.sampled_from(["", "-", " ", ".", "/"]), st.text(alphabet="abc xyz,;:", max_size=10))
def test_no_long_number_survives(number: int, between: str, around: str) -> None:
    text = str(number)
    written = between.join([text[:3], text[3:5], text[5:]])
    shown = mask_text(f"{around} {written} {around}")
    assert text not in shown.replace(between, "")
    assert digits(shown) == text[-4:]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(json_values)
def test_any_json_keeps_its_shape_and_is_stable(value: Any) -> None:
    shown = mask(value)
    assert type(shown) is type(value) or isinstance(value, int | float)
    if isinstance(value, dict):
        assert len(shown) == len(value)
    assert mask(shown) == shown
    json.dumps(shown)


def test_numbers_and_keys_are_masked_like_texts() -> None:
    assert mask({"ssn": 987654321}) == {"ssn": "•••••4321"}
    assert mask({"ssn": 987654321.0})["ssn"] != 987654321.0
    assert mask([{"list": [-987654321]}]) == [{"list": ["•••••4321"]}] or mask([{"list": [-987654321]}]) == [
        {"list": ["-•••••4321"]}
    ]
    assert "987654321" not in json.dumps(mask({"987-65-4321": "x", "987654321": "y"}))
    assert mask({"amount": 2500, "flag": True, "none": None}) == {"amount": 2500, "flag": True, "none": None}
