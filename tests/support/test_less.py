"""What a run leaves out: long tests and most of many cases before a commit, and a sample where all of it is tried."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.less import MANY, ONE_IN, left_out

CASES = [f"case {number}" for number in range(30)]


class Item:
    def __init__(self, nodeid: str, *marks: str, kind: str | None = None) -> None:
        self.nodeid, self.marks = nodeid, marks
        self.callspec = SimpleNamespace(params={"database_kind": kind} if kind else {})

    def get_closest_marker(self, name: str) -> bool:
        return name in self.marks


def left(*items: Item, quick: bool) -> list[str]:
    found: list[Any] = list(items)
    gone = left_out(found, quick=quick)
    return [item.nodeid for item in items if item not in gone]


def on(kind: str, cases: list[str], *marks: str, folder: str = "web") -> list[Item]:
    return [Item(f"tests/{folder}/test_a.py::test_b[{kind}-{case}]", *marks, kind=kind) for case in cases]


def test_a_long_test_is_left_to_the_whole_run_and_to_who_names_it() -> None:
    items = [Item("tests/web/test_a.py::test_b", "long"), Item("tests/web/test_a.py::test_c")]
    assert left(*items, quick=True) == ["tests/web/test_a.py::test_c"]
    assert len(left(*items, quick=False)) == 2


def test_of_many_cases_the_quick_run_tries_a_quarter_always_the_same() -> None:
    both = [*on("sqlite", CASES), *on("postgresql", CASES)]
    tried = left(*both, quick=True)
    assert len(tried) == len(CASES) // ONE_IN
    assert left(*reversed(both), quick=True) == tried[::-1]
    assert len({name.partition("-")[2] for name in tried}) == len(tried), "each on one of the databases"
    assert len(left(*both, quick=False)) == len(both)


def test_a_quarter_of_the_fewest_is_one() -> None:
    assert len(left(*on("sqlite", CASES[:MANY]), quick=True)) == 1
    assert len(left(*on("sqlite", CASES[: MANY - 1]), quick=True)) == MANY - 1


def test_cases_without_a_database_are_all_tried_unless_they_say_that_they_take_long() -> None:
    items = [Item(f"tests/web/test_a.py::test_b[{case}]") for case in CASES]
    assert len(left(*items, quick=True)) == len(CASES)
    for item in items:
        item.marks = ("share",)
    assert len(left(*items, quick=True)) == len(CASES) // ONE_IN


@pytest.mark.parametrize("quick", [True, False])
def test_a_sample_is_left_out_where_all_of_it_is_tried_and_only_there(quick: bool) -> None:
    some, whole = Item("tests/web/test_a.py::test_b[some]", "sample"), Item("tests/web/test_a.py::test_b[all]", "slow")
    another = Item("tests/web/test_a.py::test_c[some]", "sample")
    assert left(some, whole, another, quick=quick) == [whole.nodeid, another.nodeid]
    assert left(some, another, quick=quick) == [some.nodeid, another.nodeid]
