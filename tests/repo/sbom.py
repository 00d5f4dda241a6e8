"""`./run sbom`: the bill of materials of what is shipped, from the lock and the vendored files, and a report of licences.

Writes `var/sbom/harmline.cdx.json` (CycloneDX) and `var/sbom/licences.md`; ends with 1 when a licence does not fit.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from tests.repo.tree import ROOT, VENDORED
from tests.repo.tree_rules import licences_amiss, licences_of, locked_here

LOCK = ROOT / "requirements.lock"
OUT = ROOT / "var" / "sbom"


def _from_lock() -> dict[str, Any]:
    """What cyclonedx-py makes of the lock: every package with version and hashes, by the schema's own validator."""
    program = Path(sys.executable).with_name("cyclonedx-py")
    arguments = ["requirements", str(LOCK), "--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible"]
    done = subprocess.run([str(program), *arguments], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def vendored() -> list[dict[str, Any]]:
    """Our copies of others' files, as components."""
    listed = tomllib.loads((ROOT / VENDORED / "VENDOR.toml").read_text(encoding="utf-8"))["file"]
    return [
        {
            "type": "file",
            "bom-ref": f"vendored-{one['path']}",
            "name": one["name"],
            "version": one["version"],
            "hashes": [{"alg": "SHA-256", "content": one["sha256"]}],
            "licenses": [{"license": {"id": one["licence"]}}],
        }
        for one in listed
    ]


def bill(found: dict[str, Any], licences: dict[str, str]) -> dict[str, Any]:
    """The bill with the licences of what is installed here, and with the vendored files."""
    for component in found["components"]:
        licence = licences.get(component["name"])
        if licence:
            component["licenses"] = [{"license": {"name": licence}}]
        component["description"] = ""
    found["components"] += vendored()
    return found


def report(licences: dict[str, str]) -> str:
    """Every package with its licence."""
    rows = [f"| {name} | {licence or 'states none'} |" for name, licence in sorted(licences.items())]
    files = [f"| {one['name']} {one['version']} | {one['licenses'][0]['license']['id']} |" for one in vendored()]
    return "\n".join(["# Licences of what is shipped", "", "| package | licence |", "|---|---|", *rows, *files, ""])


def main() -> int:
    """Write both; 1 when a licence does not fit, with the names of the packages."""
    names = locked_here(LOCK.read_text(encoding="utf-8"))
    licences = licences_of(names)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "harmline.cdx.json").write_text(json.dumps(bill(_from_lock(), licences), indent=1) + "\n", encoding="utf-8")
    (OUT / "licences.md").write_text(report(licences), encoding="utf-8")
    amiss = licences_amiss(names)
    print(*amiss or [f"{OUT / 'harmline.cdx.json'} and licences.md: {len(licences)} packages, no GPL and no AGPL"], sep="\n")
    return 1 if amiss else 0


if __name__ == "__main__":
    sys.exit(main())
