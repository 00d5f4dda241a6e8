"""A connector of another package: found by its entry point in a process of its own, listed, and never in another's place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from connectors.registry import GROUP
from tests.connectors.elsewhere import LANTERN, PACKAGE, site

ROOT = Path(__file__).parents[2]


def python(code: str, paths: list[str]) -> subprocess.CompletedProcess[str]:
    """A process that sees these folders as installed packages."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_it_is_found_by_its_entry_point_and_is_not_there_without(tmp_path: Path) -> None:
    listing = "from connectors.registry import folders, registry; print(*registry(), *folders(), registry()['standard'].title)"
    found, without = python(listing, site(tmp_path / "site")), python(listing, [])
    assert found.returncode == without.returncode == 0, found.stderr + without.stderr
    assert found.stdout.split().count(LANTERN) == 1, "it is a connector, and no folder of ours"
    assert LANTERN not in without.stdout
    assert [word for word in found.stdout.split() if word != LANTERN] == without.stdout.split()


def test_it_cannot_take_the_name_of_one_that_is_there(tmp_path: Path) -> None:
    paths = site(tmp_path / "site")
    (entries,) = (tmp_path / "site").glob("*.dist-info/entry_points.txt")
    for taken in ("standard", "testing"):
        entries.write_text(f"[{GROUP}]\n{taken} = harmline_lantern:connector\n")
        refused = python("from connectors.registry import registry; registry()", paths)
        assert refused.returncode == 1
        assert (
            f"RegistryError: connector '{taken}': harmline_lantern:connector has a name that is already taken" in refused.stderr
        )


def test_its_class_of_the_suite_is_all_the_test_code_there_is() -> None:
    """The example is an example: one class, two lines."""
    (test,) = (PACKAGE / "tests").glob("test_*.py")
    assert "def " not in test.read_text(encoding="utf-8")
