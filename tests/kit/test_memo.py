"""What is remembered by identity: computed once for each object, and never another one's."""

from __future__ import annotations

import pytest

from app.kit import memo
from app.kit.memo import by_identity


def test_each_object_is_asked_once_and_equal_ones_are_two() -> None:
    asked: list[list[int]] = []

    @by_identity
    def total(value: list[int]) -> int:
        asked.append(value)
        return sum(value)

    one, other = [1, 2], [1, 2]
    assert [total(one), total(one), total(other), total(one)] == [3, 3, 3, 3]
    assert len(asked) == 2


def test_of_several_each_counts_and_their_order() -> None:
    asked: list[tuple[list[int], list[int]]] = []

    @by_identity
    def joined(first: list[int], second: list[int]) -> list[int]:
        asked.append((first, second))
        return first + second

    one, other = [1], [2]
    assert [joined(one, other), joined(one, other), joined(other, one), joined(one, one)] == [[1, 2], [1, 2], [2, 1], [1, 1]]
    assert len(asked) == 3


def test_no_more_are_held_than_allowed_and_none_is_taken_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo, "MOST", 3)

    @by_identity
    def first(value: list[int]) -> int:
        return value[0]

    assert [first([number]) for number in range(50)] == list(range(50))
