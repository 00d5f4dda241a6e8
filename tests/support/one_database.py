"""The quick run of the whole suite: each test on one of the two databases, which its name decides. See docs/decisions/0023."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePath
from zlib import crc32

import pytest

ON_BOTH = frozenset({"crash", "kit", "ledger", "migrations", "support"})
"""Folders of tests/ that are about the databases themselves."""


def kind_of(item: pytest.Item) -> str | None:
    """The kind of database that a test runs on; None for one without."""
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("database_kind") if callspec else None


def name_without_kind(item: pytest.Item, kind: str) -> str:
    """The same for both runs of one test."""
    test, _, cases = item.nodeid.partition("[")
    return f"{test}[{'-'.join(case for case in cases.rstrip(']').split('-') if case != kind)}]"


def superfluous(items: Iterable[pytest.Item]) -> set[pytest.Item]:
    """One run of each test that has two, on different databases: where a test has one run only, it is kept."""
    runs: defaultdict[str, dict[str, pytest.Item]] = defaultdict(dict)
    for item in items:
        kind = kind_of(item)
        if kind and PurePath(item.nodeid).parts[1] not in ON_BOTH:
            runs[name_without_kind(item, kind)][kind] = item
    twice = {name: found for name, found in runs.items() if len(found) > 1}
    return {found[sorted(found)[crc32(name.encode()) % 2]] for name, found in twice.items()}
