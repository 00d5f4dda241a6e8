"""docs/reliability.md says what shows each requirement: what it names is there, nothing is left out, and each rule fires."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.mutants import MUTANTS, Mutant
from tests.repo import page_rules as rules
from tests.repo.tree import ROOT

IDS = {"A": range(1, 16), "B": range(1, 16), "D": range(1, 14), "I": (1, 3, 4, 5, 6)}
"""The requirements that the page has a row for, by letter."""

CAUGHT = Mutant("a mistake", "app/a.py", "x", "y", ("tests/room/test_a.py", "-k", "one and sqlite"))


@pytest.fixture(scope="module")
def page() -> str:
    return (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")


def test_what_the_page_names_is_there(page: str) -> None:
    assert page.count("::test_") > 100
    assert rules.not_there(page, ROOT) == []


def test_each_requirement_has_one_row_with_a_test_or_a_reason(page: str) -> None:
    assert rules.ids_amiss(page, IDS) == []
    assert rules.rows_without_a_test(page, ROOT) == []


def test_the_table_of_mutants_is_the_mutants(page: str) -> None:
    assert rules.mutants_amiss(page, MUTANTS) == []


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two tests, one of them in a class, and one campaign."""
    for path, text in (
        ("tests/room/test_a.py", "def test_one():\n    pass\n\n\nclass Suite:\n    async def test_two(self):\n        pass\n"),
        ("connectors/suite.py", "def test_three():\n    pass\n\n\ndef helper():\n    pass\n"),
        ("benchmarks/campaigns/long.py", ""),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("`room/test_a.py::test_one`, `::test_two`; `tests/room/test_a.py`", []),
        ("`connectors/suite.py::test_three`, campaign `long`, `./run campaign long --seed 3`", []),
        ("`room/test_b.py`", ["room/test_b.py"]),
        ("`room/test_b.py::test_one`", ["room/test_b.py::test_one"]),
        ("`room/test_a.py::test_on`", ["room/test_a.py::test_on"]),
        ("`room/test_a.py::test_o…`", ["room/test_a.py::test_o…"]),
        ("`room/test_a.py::test_one`, `::test_three`", ["::test_three"]),
        ("`…::test_one`", ["…::test_one"]),
        ("`connectors/suite.py::helper`", ["connectors/suite.py::helper"]),
        ("`room/test_a.py`\n`::test_one`", ["::test_one"]),
        ("campaigns `long` (at length) and `wide`", ["campaign wide"]),
        ("`./run campaign wide`", ["campaign wide"]),
    ],
)
def test_what_is_not_there_is_found(tree: Path, text: str, missing: list[str]) -> None:
    assert rules.not_there(text, tree) == missing


def table(*rows: str, head: str = "| | what must hold | shown by |") -> str:
    return "\n".join(["Words.", "", head, "|---|---|---|", *rows, "", "More words."])


def test_a_requirement_without_a_row_or_with_two_is_found() -> None:
    text = table("| A1 | x | y |", "| A2, A3 | x | y |", "| A3 | x | y |", "| A5 | x | y |")
    assert rules.ids_amiss(text, {"A": range(1, 5)}) == ["A3", "A4", "A5"]
    assert rules.ids_amiss(text, {"A": range(1, 4)}) == ["A3", "A5"]


def test_a_row_that_names_no_test_is_found(tree: Path) -> None:
    text = table(
        "| A1 | x | `room/test_a.py::test_one` |",
        "| A2 | x | the same |",
        "| A3 | x | `room/test_a.py` |",
        "| A4 | x | the same |",
        "| A5 | x | **not tried**: it needs a machine |",
        "| A6 | x | `room/test_a.py::test_gone` |",
    )
    assert rules.rows_without_a_test(text, tree) == ["A3", "A4", "A6"]
    assert rules.rows_without_a_test(table("| what | `room/test_a.py` |", head="| what is held | by |"), tree) == ["what"]


@pytest.mark.parametrize(
    ("row", "amiss"),
    [
        ("| a mistake (`app/a.py`) | `tests/room/test_a.py`, one and sqlite |", []),
        ("| a mistake (`app/b.py`) | `tests/room/test_a.py`, one and sqlite |", ["not told", "of none"]),
        ("| a mistake (`app/a.py`) | `tests/room/test_a.py` |", ["not told", "of none"]),
        ("| another (`app/a.py`) | `tests/room/test_a.py`, one and sqlite |", ["not told", "of none"]),
        ("", ["not told"]),
    ],
)
def test_a_mutant_that_is_told_of_otherwise_is_found(row: str, amiss: list[str]) -> None:
    found = rules.mutants_amiss(table(*filter(None, [row]), head="| mistake | caught by |"), [CAUGHT])
    assert [complaint.partition(":")[0] for complaint in found] == amiss
