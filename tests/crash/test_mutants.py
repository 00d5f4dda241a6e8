"""Guard the guards: each known mistake, made in a copy of the tree, is caught by the tests that are said to catch it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crash.copies import ROOT, Copy
from tests.crash.mutants import MUTANTS, Mutant

CAUGHT = 1  # what pytest ends with when tests ran and some failed; 2 to 5 mean that nothing was tried


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    made = Copy(tmp_path_factory.mktemp("mutants") / "tree")
    yield made
    made.close()


def test_there_are_ten_at_least_and_each_says_where() -> None:
    assert len(MUTANTS) >= 10
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    for mutant in MUTANTS:
        assert (ROOT / mutant.file).read_text().count(mutant.old) == 1, f"point it elsewhere: {mutant.name}"


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_each_is_caught(copy: Copy, mutant: Mutant) -> None:
    path = copy.tree / mutant.file
    sound = path.read_text()
    path.write_text(sound.replace(mutant.old, mutant.new))
    try:
        done = copy.test(mutant.tests)
    finally:
        path.write_text(sound)
    assert done.returncode == CAUGHT, f"{mutant.name} lives:\n{done.stdout[-3000:]}"
    assert "failed" in done.stdout
