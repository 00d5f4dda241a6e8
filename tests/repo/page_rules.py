"""What docs/reliability.md must keep true: each requirement has its row, and what a row names is there to be looked up."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from tests.crash.mutants import Mutant

REASONS = ("not tried", "changed by the design")
"""What a row may say in place of a test."""

SHOWN = ("shown by", "by")
"""How the column is headed that names the tests."""

_SPAN = re.compile(r"`([^`]+)`")
_FILE = re.compile(r"[\w./-]+\.(?:py|json|md)")
_IDS = re.compile(r"[A-Z]\d+(?:, [A-Z]\d+)*")
_CAMPAIGN = re.compile(r"(?:\./run campaign |[Cc]ampaigns? `)(\w+)")
_OTHER_CAMPAIGN = re.compile(r"[Cc]ampaigns `[^.;|]*? and `(\w+)`")
Row = list[str]


def tables(text: str) -> Iterator[tuple[Row, list[Row]]]:
    """Each table of a page: the cells of its head, and of its rows."""
    for block in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines())
        yield head, rows


@lru_cache
def tests_of(file: Path) -> frozenset[str]:
    """The names of all test functions of a file, also of those in a class."""
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    functions = (node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(name for name in functions if name.startswith("test_"))


def _named(line: str, root: Path) -> Iterator[tuple[str, str, Path | None]]:
    """The files and tests that a line names: as written, the test or "", the file. `::test` alone is of the file before it."""
    file: Path | None = None
    for span in _SPAN.findall(line):
        path, separator, test = span.partition("::")
        if not separator and not _FILE.fullmatch(path):
            continue
        if path:
            file = next((place for place in (root / path, root / "tests" / path) if place.is_file()), None)
        yield span, test, file


def not_there(text: str, root: Path) -> list[str]:
    """Files, tests and campaigns that a page names and that do not exist. A test is named in full."""
    found = []
    for line in text.splitlines():
        for span, test, file in _named(line, root):
            if file is None or (test and test not in tests_of(file)):
                found.append(span)
    campaigns = {*_CAMPAIGN.findall(text), *_OTHER_CAMPAIGN.findall(text)}
    missing = [name for name in sorted(campaigns) if not (root / "benchmarks" / "campaigns" / f"{name}.py").is_file()]
    return [*found, *(f"campaign {name}" for name in missing)]


def ids_amiss(text: str, last: Mapping[str, Sequence[int]]) -> list[str]:
    """Requirements without a row or with two, and rows of none: by letter, the numbers that there are."""
    told = Counter(one for _, rows in tables(text) for row in rows if _IDS.fullmatch(row[0]) for one in row[0].split(", "))
    wanted = {f"{letter}{number}" for letter, numbers in last.items() for number in numbers}
    return sorted({*(wanted - set(told)), *(set(told) - wanted), *(one for one, times in told.items() if times > 1)})


def rows_without_a_test(text: str, root: Path) -> list[str]:
    """Rows that name no test that exists and give no reason; "the same" is what the row above names."""
    found = []
    for head, rows in tables(text):
        above = False
        for row, cell in ((row, row[head.index(word)]) for word in SHOWN if word in head for row in rows):
            here = any(file and test in tests_of(file) for _, test, file in _named(cell, root) if test)
            above = here or any(reason in cell for reason in REASONS) or (above and cell.startswith("the same"))
            if not above:
                found.append(row[0])
    return found


def mutants_amiss(text: str, mutants: Sequence[Mutant]) -> list[str]:
    """Rows that the table of mutants lacks, and rows that are of none."""
    told = [" | ".join(row) for head, rows in tables(text) if head == ["mistake", "caught by"] for row in rows]
    wanted = [f"{mutant.name} (`{mutant.file}`) | {_caught_by(mutant)}" for mutant in mutants]
    return [*(f"not told: {row}" for row in wanted if row not in told), *(f"of none: {row}" for row in told if row not in wanted)]


def _caught_by(mutant: Mutant) -> str:
    files = ", ".join(f"`{one}`" for one in mutant.tests if one.endswith(".py"))
    words = mutant.tests[mutant.tests.index("-k") + 1] if "-k" in mutant.tests else ""
    return f"{files}, {words}" if words else files
