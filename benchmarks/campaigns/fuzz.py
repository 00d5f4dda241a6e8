"""Coverage-guided fuzzing of everything that reads bytes of strangers, by atheris (libFuzzer), a process for each target.

`./run campaign fuzz [--seconds 120] [--only TARGET ...]` goes on from the inputs that were found before (var/fuzz/) and adds
what it did to docs/campaigns/fuzz.json. The first input that breaks a promise stops its target; it is written down there, and
the exit code says so. atheris is installed beside the environment on first use; it exists for Linux on x86-64.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.campaigns._fuzz_promises import Fuzzed
from benchmarks.campaigns._fuzz_targets import targets

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "campaigns" / "fuzz.json"
FOUND = ROOT / "var" / "fuzz"
TOOL = ROOT / ".venv" / "atheris"
REQUIREMENTS = Path(__file__).with_name("fuzz-requirements.txt")
MOST_MEMORY = 512
"""MiB of the whole process, with the interpreter, the instrumented code and the inputs found (about 200)."""

LONGEST_INPUT = 16_384
_DONE = re.compile(r"stat::(number_of_executed_units|peak_rss_mb):\s+(\d+)")
_COVERED = re.compile(r"\bcov: (\d+)")


def install() -> None:
    """Install atheris beside the environment, unless it is there."""
    if not (TOOL / "atheris").exists():
        uv = [str(ROOT / ".venv" / "bin" / "uv"), "--no-progress", "pip", "install", "--quiet", "--require-hashes"]
        subprocess.run([*uv, "--python", sys.executable, "--target", str(TOOL), "-r", str(REQUIREMENTS)], check=True)


def fuzz(name: str, fuzzed: Fuzzed, seconds: int) -> dict[str, Any]:
    """Fuzz one target for so long; what came of it."""
    corpus = FOUND / name / "inputs"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(fuzzed.seeds):
        (corpus / f"seed-{number:03}").write_bytes(seed)
    report, log = FOUND / name / "report.json", FOUND / name / "log"
    report.unlink(missing_ok=True)
    for old in (FOUND / name).glob("broken-*"):
        old.unlink()
    limits = [f"-max_total_time={seconds}", f"-rss_limit_mb={MOST_MEMORY}", f"-max_len={LONGEST_INPUT}", "-timeout=60"]
    options = [*limits, "-print_final_stats=1", f"-artifact_prefix={FOUND / name}/broken-", str(corpus)]
    command = [sys.executable, "-m", "benchmarks.campaigns._fuzzing", name, str(report), *options]
    paths = os.pathsep.join([str(ROOT), str(TOOL)])
    with log.open("wb") as out:
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": paths}, stdout=out, stderr=out, check=False)
    text = log.read_text(errors="replace")
    stats = {key: int(value) for key, value in _DONE.findall(text)}
    slowest = json.loads(report.read_text())["slowest_ms"] if report.exists() else 0.0
    broken = [path.read_bytes() for path in sorted((FOUND / name).glob("broken-*"))]
    if done.returncode and not broken:
        raise SystemExit(f"{name} did not run: see {log}\n{text[-2000:]}")
    return {
        "executions": stats.get("number_of_executed_units", 0),
        "peak_mib": stats.get("peak_rss_mb", 0),
        "inputs": len(list(corpus.iterdir())),
        "edges": max(map(int, _COVERED.findall(text)), default=0),
        "slowest_ms": slowest,
        "broken": [base64.b64encode(data).decode() for data in broken],
    }


def add(name: str, seconds: int, found: dict[str, Any]) -> None:
    """Add one run of one target to what is known of it."""
    results: dict[str, Any] = {"command": "./run campaign fuzz", "targets": {}}
    if RESULTS.exists():
        results = json.loads(RESULTS.read_text())
    known = results["targets"].setdefault(name, {"runs": 0, "seconds": 0, "executions": 0})
    known["runs"] += 1
    known["seconds"] += seconds
    known["executions"] += found["executions"]
    known["inputs"] = found["inputs"]
    for name_of in ("peak_mib", "edges", "slowest_ms"):
        known[name_of] = max(found[name_of], known.get(name_of, 0))
    known["broken"] = found["broken"]
    results["executions"] = sum(target["executions"] for target in results["targets"].values())
    results["seconds"] = sum(target["seconds"] for target in results["targets"].values())
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


def main(seconds: int, only: list[str]) -> int:
    """Fuzz every target, or some, one after the other; the exit code says whether every promise held."""
    install()
    broken = []
    for name, fuzzed in targets().items():
        if only and name not in only:
            continue
        found = fuzz(name, fuzzed, seconds)
        add(name, seconds, found)
        words = (
            f"{found['executions']} executions, {found['edges']} edges, slowest {found['slowest_ms']} ms, {found['peak_mib']} MiB"
        )
        print(f"{name}: {words}{', BROKEN' if found['broken'] else ''}", flush=True)
        broken += [name] if found["broken"] else []
    if broken:
        print(f"a promise is broken: {', '.join(broken)} (inputs in {RESULTS.relative_to(ROOT)}, logs in var/fuzz/)")
    return 1 if broken else 0


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=int, default=120)
    arguments.add_argument("--only", nargs="*", default=[])
    chosen = arguments.parse_args()
    sys.exit(main(chosen.seconds, chosen.only))
