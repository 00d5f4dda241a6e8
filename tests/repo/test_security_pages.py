"""The pages about security name every item once and nothing that is not there."""

from __future__ import annotations

import re

from tests.repo.tree import ROOT

LAST = {
    "1.1": 2,
    "1.2": 9,
    "1.3": 11,
    "1.4": 3,
    "1.5": 2,
    "2.1": 3,
    "2.2": 3,
    "2.3": 4,
    "2.4": 1,
    "3.2": 2,
    "3.3": 4,
    "3.4": 6,
    "3.5": 5,
    "3.7": 2,
    "4.1": 3,
    "4.2": 1,
    "4.3": 2,
    "4.4": 4,
    "5.1": 1,
    "5.2": 3,
    "5.3": 2,
    "5.4": 3,
    "6.1": 3,
    "6.2": 12,
    "6.3": 4,
    "6.4": 4,
    "6.5": 5,
    "6.6": 3,
    "6.8": 4,
    "7.1": 3,
    "7.2": 4,
    "7.3": 2,
    "7.4": 5,
    "7.5": 2,
    "7.6": 2,
    "8.1": 2,
    "8.2": 3,
    "8.3": 1,
    "8.4": 1,
    "9.1": 3,
    "9.2": 4,
    "10.1": 2,
    "10.2": 2,
    "10.3": 4,
    "10.4": 11,
    "10.5": 5,
    "10.6": 2,
    "10.7": 3,
    "11.1": 2,
    "11.2": 3,
    "11.3": 3,
    "11.4": 4,
    "11.5": 1,
    "11.6": 1,
    "12.1": 3,
    "12.2": 2,
    "12.3": 4,
    "13.1": 1,
    "13.2": 5,
    "13.3": 2,
    "13.4": 5,
    "14.1": 2,
    "14.2": 4,
    "14.3": 3,
    "15.1": 3,
    "15.2": 3,
    "15.3": 7,
    "16.1": 1,
    "16.2": 5,
    "16.3": 4,
    "16.4": 3,
    "16.5": 3,
    "17.1": 1,
    "17.2": 4,
    "17.3": 2,
}
"""The last item of levels 1 and 2 in each section of ASVS 5.0.0; all before it are of these levels, too. Source: its own CSV."""

STATES = {"yes", "part", "open", "n/a"}
PAGES = ("asvs.md", "security.md")


def rows() -> list[list[str]]:
    lines = (ROOT / "docs" / "asvs.md").read_text().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if re.match(r"\| \d", line)]


def items(cell: str) -> list[str]:
    """`1.2.6-1.2.8, 1.3.1` one by one."""
    found = []
    for part in cell.split(", "):
        first, _, last = part.partition("-")
        section, _, number = first.rpartition(".")
        until = int((last or first).rpartition(".")[2])
        assert not last or last.rpartition(".")[0] == section, cell
        found += [f"{section}.{one}" for one in range(int(number), until + 1)]
    return found


def test_every_item_of_both_levels_stands_there_once() -> None:
    told = [item for row in rows() for item in items(row[0])]
    wanted = [f"{section}.{number}" for section, last in LAST.items() for number in range(1, last + 1)]
    assert len(wanted) == 253
    assert sorted(told) == sorted(wanted)


def test_each_has_a_state_and_what_shows_it() -> None:
    for ids, what, state, where in rows():
        assert state in STATES, ids
        assert what, ids
        assert where, ids


def test_what_the_pages_name_is_there() -> None:
    for page in PAGES:
        text = (ROOT / "docs" / page).read_text()
        named = set(re.findall(r"`((?:app|connectors|tests|docs)/[\w./-]+|Dockerfile|SECURITY\.md|pyproject\.toml)`", text))
        assert named
        assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_each_promise_names_a_test() -> None:
    text = (ROOT / "docs" / "security.md").read_text().partition("## The promises")[2].partition("\n## ")[0]
    promises = [line for line in text.splitlines() if re.match(r"\| \d", line)]
    assert len(promises) >= 12
    assert [line[:40] for line in promises if "`tests/" not in line] == []
