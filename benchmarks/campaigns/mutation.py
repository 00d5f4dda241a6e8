"""Mutants by mutmut of the code that must not be wrong: verifiers, policy, sealing, suppression. How many do their tests kill?

`./run campaign mutation [TARGET ...]` changes a copy of the tree (var/mutation/), one small change at a time, runs the target's
own tests against each and writes the score and every survivor to docs/campaigns/mutation.json. It goes on where it was stopped,
and tries again what lived, in case there are new tests. docs/mutation.md says of each survivor why it may live. mutmut is
installed beside the environment on first use.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crash.copies import PARTS, copy_tree

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "campaigns" / "mutation.json"
PLACE = ROOT / "var" / "mutation"
TOOL = ROOT / ".venv" / "mutmut"
REQUIREMENTS = Path(__file__).with_name("mutation-requirements.txt")
SURVIVED, UNTRIED, TOO_LONG = 0, 33, (24, 36, 152, 255)
"""How mutmut notes what became of a mutant: its tests' exit code, that no test comes to it, or that they took too long."""


@dataclass(frozen=True)
class Target:
    """Files to change, and the tests that must notice."""

    files: tuple[str, ...]
    tests: tuple[str, ...]


TARGETS = {
    "verifiers": Target(
        ("connectors/verifiers.py",), ("tests/connectors/test_verifiers.py", "tests/connectors/test_verifier_properties.py")
    ),
    "verifiers of mail": Target(
        ("connectors/verifiers_mail.py",), ("tests/connectors/test_verifiers_mail.py", "tests/connectors/test_verifiers_sns.py")
    ),
    "policy": Target(("app/access/policy.py",), ("tests/access/test_policy.py",)),
    "sealing": Target(("app/kit/crypto.py", "app/kit/slot.py"), ("tests/kit/test_crypto_and_keys.py", "tests/kit/test_slot.py")),
    "suppression": Target(
        ("app/statistics/suppression.py",), ("tests/statistics/test_suppression.py", "tests/statistics/test_rules_version.py")
    ),
}


def install() -> None:
    """Install mutmut beside the environment, unless it is there."""
    if not (TOOL / "mutmut").exists():
        uv = [str(ROOT / ".venv" / "bin" / "uv"), "--no-progress", "pip", "install", "--quiet", "--require-hashes", "--no-deps"]
        subprocess.run([*uv, "--python", sys.executable, "--target", str(TOOL), "-r", str(REQUIREMENTS)], check=True)


def configure(folder: Path, target: Target) -> None:
    """Tell mutmut, in the copy's pyproject.toml, what to change and what to run."""
    lists = {
        "source_paths": sorted({f"{file.partition('/')[0]}/" for file in target.files}),
        "only_mutate": list(target.files),
        "pytest_add_cli_args_test_selection": list(target.tests),
        # mutmut takes the end of any child for a mutant's, also that of a PostgreSQL.
        "pytest_add_cli_args": ["-n", "0", "-m", "not slow and not browser", "-k", "not postgresql"],
        "also_copy": [part for part in PARTS if part != "pyproject.toml"] + ["pyproject.toml"],
    }
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in lists.items())
    with (folder / "pyproject.toml").open("a") as file:
        file.write(f"\n[tool.mutmut]\n{lines}")


def mutmut(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run mutmut in the copy; its own progress goes to mutmut.log beside it."""
    paths = os.pathsep.join([str(TOOL), str(folder)])
    command = [sys.executable, "-m", "mutmut", *arguments]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )


def noted(folder: Path, target: Target) -> dict[str, int | None]:
    """What became of every mutant so far, by its name."""
    found: dict[str, int | None] = {}
    for file in target.files:
        found |= json.loads((folder / "mutants" / f"{file}.meta").read_text())["exit_code_by_key"]
    return found


def forget_survivors(folder: Path, target: Target) -> None:
    """Let mutmut try again what lived, with whatever tests there are now."""
    (folder / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)
    for file in target.files:
        meta = folder / "mutants" / f"{file}.meta"
        if meta.exists():
            known = json.loads(meta.read_text())
            codes = known["exit_code_by_key"]
            known["exit_code_by_key"] = {name: None if code in (SURVIVED, UNTRIED) else code for name, code in codes.items()}
            meta.write_text(json.dumps(known))


def change(folder: Path, mutant: str) -> list[str]:
    """The lines that a mutant takes away and adds."""
    lines = mutmut(folder, "show", mutant).stdout.splitlines()
    return [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]


def tried(name: str, target: Target, children: int) -> dict[str, Any]:
    """Try every mutant of a target; the score, and each survivor with its change."""
    folder = PLACE / name
    copy_tree(folder)
    configure(folder, target)
    forget_survivors(folder, target)
    done = mutmut(folder, "run", "--max-children", str(children))
    (folder / "mutmut.log").write_text(done.stdout.replace("\r", "\n") + done.stderr)
    if done.returncode != 0:
        raise SystemExit(f"mutmut did not get through {name}: see {folder}/mutmut.log")
    codes = noted(folder, target)
    alive = {mutant: code for mutant, code in codes.items() if code in (SURVIVED, UNTRIED, None)}
    return {
        "files": target.files,
        "mutants": len(codes),
        "killed": len(codes) - len(alive),
        "by_time": sum(code in TOO_LONG for code in codes.values()),
        "score_percent": round(100 * (len(codes) - len(alive)) / len(codes), 1),
        "survivors": {mutant: change(folder, mutant) for mutant in sorted(alive)},
    }


def main(names: list[str], children: int, results_file: Path) -> int:
    """Try the targets; the exit code says whether each scored at least 95 percent."""
    install()
    results = json.loads(results_file.read_text()) if results_file.exists() else {"command": "./run campaign mutation"}
    for name in names:
        results[name] = tried(name, TARGETS[name], children)
        results_file.write_text(json.dumps(results, indent=2) + "\n")
        print(f"{name}: {results[name]['killed']} of {results[name]['mutants']} killed ({results[name]['score_percent']} %)")
    return int(any(results[name]["score_percent"] < 95 for name in names))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="How many small mistakes the tests of the most careful code notice.")
    arguments.add_argument("targets", nargs="*", choices=[[], *TARGETS], default=[])
    arguments.add_argument("--children", type=int, default=os.cpu_count() or 1)
    arguments.add_argument("--results", type=Path, default=RESULTS)
    given = arguments.parse_args()
    sys.exit(main(given.targets or list(TARGETS), given.children, given.results))
