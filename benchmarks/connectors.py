"""How many events a second each connector reads on one core, and how fast a file of alerts is handed in.

`./run bench connectors` reads every connector's own fixtures again and again, cut and understood as the core does, and sets
beside it, in the same run, what it costs only to parse the same bytes (JSON by json.loads, else to hash them): rates on a
machine say little, the ratio more. Then it hands in a file of `--rows` rows on a database that flushes every commit, and tells
rows a second and the memory at its height, beside those of a file a tenth as long. The last line is JSON: see docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from app.intake.understanding import Unsplittable, split, understand
from benchmarks.support.child import Child
from benchmarks.support.machine import facts
from benchmarks.support.postgres import bench_folder, durable_postgres
from connectors.docs import folder_of
from connectors.registry import folders, registry
from connectors.testing.cases import Case, cases_of

ROUNDS = 5
TENTH = 10


def spent(work: Callable[[], int], seconds: float) -> float:
    """Seconds of processor time for one unit of what `work` does: it says how many units one call is."""
    units, begun = 0, time.process_time()
    while (took := time.process_time() - begun) < seconds:
        units += work()
    return took / units


def read_all(cases: list[Case]) -> int:
    """Read every fixture as the core does; how many events that were."""
    count = 0
    for case in cases:
        try:
            events = split(case.connector, case.body, case.asked)
        except Unsplittable:
            continue
        for event in events:
            understand(case.connector, event)
        count += len(events)
    return count


def parse_all(cases: list[Case], events: int) -> int:
    """Only parse, or hash, the same bytes; counted as the same number of events."""
    for case in cases:
        if case.is_json:
            json.loads(case.body)
        else:
            hashlib.sha256(case.body).digest()
    return events


def of_connector(name: str, seconds: float) -> dict[str, Any]:
    """Events a second and core, and how many times as long as parsing that takes: the median of some rounds in turn."""
    connector = registry()[name]
    cases = cases_of(connector, folder_of(connector))
    events = read_all(cases)
    each = [
        (spent(lambda: read_all(cases), seconds), spent(lambda: parse_all(cases, events), seconds / 2)) for _ in range(ROUNDS)
    ]
    reading, ratio = median(one for one, _ in each), median(one / other for one, other in each)
    return {
        "events": events,
        "events_per_s": round(1 / reading),
        "us_each": round(reading * 1e6, 1),
        "vs_parsing": round(ratio, 1),
    }


def written(path: Path, rows: int) -> Path:
    """A file of alerts about a thousand people."""
    with path.open("w", encoding="utf-8") as file:
        file.write("id,member,type,institution,amount,opened\n")
        for n in range(rows):
            file.write(
                f"x-{n},ref-{n % 1000},new_account.credit_card,Invented Bank {n % 50},{n % 900}.50,2023-03-{1 + n % 28:02}\n"
            )
    return path


def of_import(url: str, rows: int, folder: Path) -> dict[str, Any]:
    """Hand a file in, in a process of its own: rows a second, and the memory at its height in megabytes."""
    found: dict[str, Any] = {}
    for name, count in (("tenth", rows // TENTH), ("whole", rows)):
        path = written(folder / f"{name}.csv", count)
        child = Child("benchmarks.support.importing", url, str(path), log=folder / "import.log")
        try:
            found[name] = child.hear()
        finally:
            child.stop()
            path.unlink()
    if [found["tenth"]["rows"], found["whole"]["rows"]] != [rows // TENTH, rows]:
        raise RuntimeError("not every row was kept")
    whole = found["whole"]
    return {**whole, "memory_vs_tenth": round(whole["peak_mb"] / found["tenth"]["peak_mb"], 3)}


def main(given: argparse.Namespace) -> int:
    """Measure and print."""
    home = bench_folder()
    print(json.dumps(facts(home)))
    names = given.connector or folders()
    readings = {}
    for name in names:
        readings[name] = of_connector(name, given.seconds)
        print(json.dumps({name: readings[name]}), flush=True)
    imports: dict[str, Any] = {}
    if given.rows:
        for kind in given.database or ("sqlite", "postgresql"):
            with ExitStack() as stack:
                folder = home / f"import-{kind}"
                folder.mkdir(exist_ok=True)
                url = f"sqlite+aiosqlite:///{folder}/import.db"
                (folder / "import.db").unlink(missing_ok=True)
                if kind == "postgresql":
                    server = stack.enter_context(durable_postgres(folder / "postgres"))
                    url = asyncio.run(server.create_database("harmline_import"))
                imports[kind] = of_import(url, given.rows, folder)
                print(json.dumps({kind: imports[kind]}), flush=True)
    print(json.dumps({"connectors": readings, "import": imports}))
    return 0


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="What each connector costs, and how fast a file is handed in.")
    arguments.add_argument("--connector", action="append", choices=folders(), help="only this one; may come often")
    arguments.add_argument("--seconds", type=float, default=0.5, help="how long each is read in one round")
    arguments.add_argument("--rows", type=int, default=1_000_000, help="rows of the file; 0: none is handed in")
    arguments.add_argument("--database", action="append", choices=("sqlite", "postgresql"))
    sys.exit(main(arguments.parse_args()))
