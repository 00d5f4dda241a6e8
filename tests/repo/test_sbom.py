"""The bill of materials names all that is shipped, each with its hash; a licence that does not fit ends the report with 1."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.repo import sbom
from tests.repo import tree_rules as tree
from tests.repo.tree import ROOT


@pytest.mark.slow
def test_the_bill_has_every_locked_package_and_every_vendored_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sbom, "OUT", tmp_path)
    assert sbom.main() == 0
    found = json.loads((tmp_path / "harmline.cdx.json").read_text())
    assert (found["bomFormat"], found["metadata"]["component"]["name"]) == ("CycloneDX", "harmline")
    by_name = {component["name"]: component for component in found["components"]}
    here = tree.locked_here((ROOT / "requirements.lock").read_text())
    assert set(here) <= set(by_name)
    for name in here:
        assert by_name[name]["version"]
        assert any(reference.get("hashes") for reference in by_name[name]["externalReferences"]), name
        assert by_name[name]["licenses"], name
    assert by_name["Swagger UI"]["hashes"][0]["content"]
    assert by_name["pyrage"]["licenses"] == [{"license": {"name": "MIT"}}], "from the licence that it ships"
    told = (tmp_path / "licences.md").read_text()
    assert all(f"| {name} |" in told for name in here)
    assert str(ROOT) not in (tmp_path / "harmline.cdx.json").read_text()


@pytest.mark.parametrize("licence", ["GPL-3.0-only", "AGPL-3.0-or-later", ""])
def test_a_licence_that_does_not_fit_ends_it(licence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sbom, "OUT", tmp_path)
    monkeypatch.setattr(sbom, "_from_lock", lambda: {"components": []})
    real = tree.licence_of
    monkeypatch.setattr("tests.repo.tree_rules.licence_of", lambda *facts: licence if facts[0] == "MIT" else real(*facts))
    assert sbom.main() == 1
