"""The quick run leaves out one run of a test that has two, and nothing else."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.one_database import superfluous


class Run:
    def __init__(self, nodeid: str, kind: str | None) -> None:
        self.nodeid = nodeid
        self.callspec = SimpleNamespace(params={"database_kind": kind} if kind else {})


def left(*runs: tuple[str, str | None]) -> list[str]:
    items: list[Any] = [Run(*run) for run in runs]
    gone = superfluous(items)
    return [item.nodeid for item in items if item not in gone]


def both(test: str, case: str = "") -> list[tuple[str, str | None]]:
    return [(f"{test}[{kind}{case}]", kind) for kind in ("sqlite", "postgresql")]


def test_of_two_runs_one_is_left_and_always_the_same() -> None:
    first = left(*both("tests/web/test_a.py::test_b"))
    assert len(first) == 1
    assert left(*reversed(both("tests/web/test_a.py::test_b"))) == first


def test_each_case_of_a_test_is_left_once() -> None:
    cases = [f"-{number}" for number in range(40)]
    remaining = left(*(run for case in cases for run in both("tests/web/test_a.py::test_b", case)))
    assert sorted(name.partition("-")[2].rstrip("]") for name in remaining) == sorted(case[1:] for case in cases)
    assert 10 < sum("sqlite" in name for name in remaining) < 30, "each database has its share"


@pytest.mark.parametrize("folder", ["kit", "crash"])
def test_what_is_about_databases_runs_on_both(folder: str) -> None:
    assert len(left(*both(f"tests/{folder}/test_a.py::test_b"))) == 2


def test_a_test_without_a_second_run_is_left_alone() -> None:
    alone: list[tuple[str, str | None]] = [
        ("tests/web/test_a.py::test_b[sqlite]", "sqlite"),
        ("tests/web/test_a.py::test_c", None),
    ]
    assert len(left(*alone)) == 2
