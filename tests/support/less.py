"""What a run leaves out because a cheaper, or a more thorough, run of the same is there. See docs/decisions/0023."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from zlib import crc32

import pytest

from tests.support.one_database import kind_of, name_without_kind, superfluous

MANY = 5
"""So many cases of one test on a database, and the quick run tries a share of them."""

ONE_IN = 4


def left_out(items: Sequence[pytest.Item], *, quick: bool) -> set[pytest.Item]:
    """Of these items, which the run is to do without. `quick`: the whole suite before a commit."""
    gone = _samples(items)
    if quick:
        gone |= {item for item in items if item.get_closest_marker("long")}
        gone |= superfluous(item for item in items if item not in gone)
        gone |= _most_cases(item for item in items if item not in gone)
    return gone


def _test_of(item: pytest.Item) -> str:
    return item.nodeid.partition("[")[0]


def _samples(items: Iterable[pytest.Item]) -> set[pytest.Item]:
    """Cases that try a part of what a slow case of the same test tries, where that one runs."""
    whole = {_test_of(item) for item in items if item.get_closest_marker("slow")}
    return {item for item in items if item.get_closest_marker("sample") and _test_of(item) in whole}


def _most_cases(items: Iterable[pytest.Item]) -> set[pytest.Item]:
    """All but a share of the cases of each test that has many of them on a database, or says that its cases take long."""
    cases: defaultdict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if kind_of(item) or item.get_closest_marker("share"):
            cases[_test_of(item)].append(item)
    return {item for many in cases.values() if len(many) >= MANY for item in sorted(many, key=_place)[len(many) // ONE_IN :]}


def _place(item: pytest.Item) -> int:
    """Where a case stands among those of its test: always the same, and the same on either database."""
    return crc32(name_without_kind(item, kind_of(item) or "").encode())
