"""Guard the guards: each known mistake, made in a copy of the tree, is caught by the tests that are said to catch it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
PARTS = ("app", "connectors", "migrations", "tests", "docs", "benchmarks", "alembic.ini", "pyproject.toml", "run")
CAUGHT = 1  # what pytest ends with when tests ran and some failed; 2 to 5 mean that nothing was tried
SECONDS = 240


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the tests need, to be changed."""
    copy = tmp_path_factory.mktemp("mutants") / "tree"
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, copy / part)
    subprocess.run(["git", "init", "--quiet"], cwd=copy, check=True)  # the rules of tests/repo ask git what there is
    return copy


def tried(tree: Path, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Run some tests in the copy, with a PostgreSQL of their own if they need one."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-m", "", *arguments]
    known = {name: value for name, value in os.environ.items() if name != "HARMLINE_TEST_SHARED" and "PYTEST" not in name}
    environment = {**known, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS)


def test_there_are_ten_at_least_and_each_says_where() -> None:
    assert len(MUTANTS) >= 10
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    for mutant in MUTANTS:
        assert (ROOT / mutant.file).read_text().count(mutant.old) == 1, f"point it elsewhere: {mutant.name}"


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_each_is_caught(tree: Path, mutant: Mutant) -> None:
    path = tree / mutant.file
    sound = path.read_text()
    path.write_text(sound.replace(mutant.old, mutant.new))
    try:
        done = tried(tree, mutant.tests)
    finally:
        path.write_text(sound)
    assert done.returncode == CAUGHT, f"{mutant.name} lives:\n{done.stdout[-3000:]}{done.stderr[-1000:]}"
    assert "failed" in done.stdout
