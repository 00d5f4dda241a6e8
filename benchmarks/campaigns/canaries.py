"""Many canaries: values put in through every door are found in no log, error, mail, database or other person's answer.

`./run campaign canaries [--people 450]` runs tests/api/test_canaries.py with so many members, once on each database, and
adds how many values were looked for, and on which the test failed, to docs/campaigns/canaries.json. It ends with 1 when one
did.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "campaigns" / "canaries.json"
DATABASES = ("sqlite", "postgresql")
TEST = "tests/api/test_canaries.py::test_a_thousand_canaries_stay_where_they_belong"


def looked_for(kind: str, people: int) -> int | None:
    """How many values were put in and looked for on one kind of database; None when one was found where it must not be."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-m", "", f"--junitxml={report}", f"{TEST}[{kind}]"]
        done = subprocess.run(command, cwd=ROOT, env=os.environ | {"HARMLINE_CANARY_PEOPLE": str(people)}, check=False)
        if done.returncode != 0:
            return None
        (found,) = ElementTree.parse(report).iterfind(".//property[@name='canaries']")
        return int(found.attrib["value"])


def main(people: int, results_file: Path) -> int:
    """Run it on each database; the exit code says whether every value stayed where it belongs."""
    looked = {kind: looked_for(kind, people) for kind in DATABASES}
    failed = [kind for kind, number in looked.items() if number is None]
    results = {"command": f"./run campaign canaries --people {people}", "looked_for": looked, "failed": failed}
    results_file.write_text(json.dumps(results, indent=2) + "\n")
    return int(bool(failed))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="What is put in stays where it belongs.")
    arguments.add_argument("--people", type=int, default=450)
    arguments.add_argument("--results", type=Path, default=RESULTS)
    given = arguments.parse_args()
    sys.exit(main(given.people, given.results))
