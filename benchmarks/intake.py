"""What keeping costs: a bare handler, the naive way and Harmline, over real HTTP, in one run on one machine.

`./run bench intake` measures 1, 16, 64 and 256 connections, distinct and repeated bodies, one process and two, on SQLite and
PostgreSQL with every commit flushed. Only receiving is measured: Harmline runs without its workers. Rounds go over the three in
turn, so that a noisy machine disturbs all alike; ratios are medians of each round's own. What was acknowledged is counted in the
database at the end. The last line is JSON. `--quick` measures the cells that decide, in under a minute: see docs/benchmarks.md.
`--route` measures a fourth beside them: Harmline without its gateway, so that FastAPI's route answers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.support.child import Child
from benchmarks.support.machine import facts
from benchmarks.support.postgres import WAL_FILES, bench_folder
from benchmarks.support.servers import BARE, HARMLINE, KINDS, NAIVE, OWN, ROUTE, Stage, Target, stage

DATABASES = ("sqlite", "postgresql")
FASTEST = {BARE: 10_000, NAIVE: 3_000, HARMLINE: 10_000, ROUTE: 5_000}
"""Requests a second for which distinct bodies are prepared; a server that is faster is measured until they run out."""
WARM_UP = 0.5
READY = WAL_FILES * 2**24
"""Bytes of WAL for which files lie ready at the beginning of a round."""


@dataclass(frozen=True)
class Cell:
    """What is measured once in each round for each of the three."""

    connections: int
    bodies: str
    processes: int


DECISIVE = (Cell(64, "distinct", 1), Cell(256, "distinct", 1))
ALL_CELLS = tuple(
    Cell(connections, bodies, processes)
    for processes in (1, 2)
    for bodies in ("distinct", "repeated")
    for connections in (1, 16, 64, 256)
)


@dataclass
class Books:
    """What was acknowledged to the sender, to be found again in the database; and what was not."""

    distinct: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    acknowledged: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    refused: list[str] = field(default_factory=list)


Results = dict[tuple[Cell, str], list[dict[str, Any]]]


class Measuring:
    """One database's measurement."""

    def __init__(self, database: str, place: Stage, sender: Child, seconds: float, kinds: tuple[str, ...] = KINDS) -> None:
        self._database = database
        self._kinds = kinds
        self._stage = place
        self._sender = sender
        self._seconds = seconds
        self._runs = 0
        self._written: int | None = None
        self.books = Books()
        self.results: Results = defaultdict(list)

    def once(self, kind: str, target: Target, cell: Cell, seconds: float) -> dict[str, Any]:
        """Let the sender send for so long, and book what was acknowledged."""
        self._runs += 1
        job = {
            "run": f"{kind}-{self._runs}",
            "port": target.port,
            "path": target.path,
            "secret": self._stage.secret,
            "bodies": cell.bodies,
            "most": max(500, int(FASTEST[kind] * cell.processes * seconds)),
            "connections": cell.connections,
            "seconds": seconds,
        }
        before = target.cpu_seconds()
        self._sender.tell(job)
        result: dict[str, Any] = self._sender.hear()
        after = target.cpu_seconds()
        result["cpu_us"] = None if before is None or after is None else (after - before) / result["answers"] * 1e6
        self.books.distinct[kind] += result["distinct"]
        self.books.acknowledged[kind] += result["acknowledged"]
        if result["refused"]:
            self.books.refused.append(f"{self._database}, {kind}, {cell}: {result['refused']}")
        return result

    def measure(self, cells: tuple[Cell, ...], rounds: int) -> None:
        """Every cell in every round, the servers in turn; whoever begins changes from round to round."""
        with ExitStack() as stack:
            targets = {}
            for processes in sorted({cell.processes for cell in cells}):
                for kind in self._kinds:
                    target = targets[kind, processes] = self._stage.start(kind, processes)
                    stack.callback(target.stop)
            for (kind, processes), target in targets.items():
                target.ready()
                self.once(kind, target, Cell(16, "distinct", processes), WARM_UP)
            for number in range(rounds):
                self._begin_round()
                for cell in cells:
                    first = number % len(self._kinds)
                    for kind in self._kinds[first:] + self._kinds[:first]:
                        result = self.once(kind, targets[kind, cell.processes], cell, self._seconds)
                        self.results[cell, kind].append(result)
                        sys.stderr.write(
                            f"{self._database} round {number + 1}/{rounds} {cell.connections} {cell.bodies}"
                            f" x{cell.processes} {kind}: {result['per_s']:.0f}/s\n"
                        )

    def _begin_round(self) -> None:
        written = self._stage.begin_round()
        if written is None:
            return
        if self._written is not None and written - self._written > READY:
            sys.stderr.write(
                f"the round wrote {(written - self._written) >> 20} MiB of WAL, more than lay ready: files were made\n"
            )
        self._written = written

    def amiss(self) -> list[str]:
        """What was acknowledged and is not in the database exactly once; and what was not acknowledged though it should be."""
        found = asyncio.run(self._stage.stored())
        bodies = {NAIVE: self.books.distinct[NAIVE], HARMLINE: sum(self.books.distinct[kind] for kind in OWN)}
        wrong = [
            f"{self._database}, {kind}: {found[kind]['rows']} rows for {told} bodies acknowledged"
            for kind, told in bodies.items()
            if found[kind]["rows"] != told
        ]
        own = found[HARMLINE]
        if own["in_ledger"] != own["rows"]:
            wrong.append(f"{self._database}: {own['in_ledger']} ledger entries for {own['rows']} receipts")
        told = sum(self.books.acknowledged[kind] for kind in OWN)
        if own["deliveries"] != told:
            wrong.append(f"{self._database}: {own['deliveries']} deliveries counted, {told} acknowledged")
        return [*wrong, *self.books.refused]


def _median(results: list[dict[str, Any]], name: str) -> float:
    return float(statistics.median(result[name] for result in results))


def _ratio(above: list[dict[str, Any]], below: list[dict[str, Any]], names: tuple[str, str] = ("per_s", "per_s")) -> float:
    """The median over the rounds of each round's own ratio."""
    each = [one[names[0]] / other[names[1]] for one, other in zip(above, below, strict=True)]
    return float(round(statistics.median(each), 3))


def ratios(results: Results, processes: int) -> dict[str, float]:
    """The four numbers that decide, from the 64-connection distinct cells; `vs_route` where that was measured too."""
    at_64, at_256 = Cell(64, "distinct", processes), Cell(256, "distinct", processes)
    own = results[at_64, HARMLINE]
    return {
        "vs_naive": _ratio(own, results[at_64, NAIVE]),
        "vs_bare": _ratio(own, results[at_64, BARE]),
        "p99_vs_naive_p50": _ratio(own, results[at_64, NAIVE], ("p99_ms", "p50_ms")),
        "at_256_vs_64": _ratio(results[at_256, HARMLINE], own),
        "per_s": round(_median(own, "per_s")),
        **({"vs_route": _ratio(own, results[at_64, ROUTE])} if (at_64, ROUTE) in results else {}),
    }


def table(database: str, results: Results) -> str:
    """All cells of one database, medians over the rounds."""
    lines = [f"\n{database}", "connections bodies   processes server      per s    p50 ms    p99 ms  CPU us each"]
    for (cell, kind), found in results.items():
        processor = _median(found, "cpu_us") if found[0]["cpu_us"] is not None else float("nan")
        lines.append(
            f"{cell.connections:>11} {cell.bodies:<8} {cell.processes:>9} {kind:<9} {_median(found, 'per_s'):>7.0f}"
            f" {_median(found, 'p50_ms'):>9.2f} {_median(found, 'p99_ms'):>9.2f} {processor:>12.0f}"
        )
    return "\n".join(lines)


def main(given: argparse.Namespace) -> int:
    """Measure and print; 1 when something acknowledged is not stored exactly once."""
    cells = DECISIVE if given.quick else ALL_CELLS
    folder = Path(tempfile.mkdtemp(prefix="intake-", dir=bench_folder()))
    folder.chmod(0o755)  # PostgreSQL's user goes through it
    machine, wrong, every = facts(folder), [], []
    last: dict[str, dict[str, Any]] = {}
    print(json.dumps(machine))
    sender = Child("benchmarks.support.client", log=folder / "client.log")
    try:
        sender.hear()
        for database in given.database or DATABASES:
            place = folder / database
            place.mkdir()
            with stage(database, place) as made:
                measuring = Measuring(database, made, sender, given.seconds, (*KINDS, ROUTE) if given.route else KINDS)
                measuring.measure(cells, given.rounds)
                wrong += measuring.amiss()
            print(table(database, measuring.results))
            last[database] = ratios(measuring.results, 1)
            if not given.quick:
                last[database]["two_processes"] = ratios(measuring.results, 2)
            every += [
                {"database": database, **asdict(cell), "server": kind, "rounds": found}
                for (cell, kind), found in measuring.results.items()
            ]
    finally:
        sender.stop()
        shutil.rmtree(folder, ignore_errors=True)
    if given.save:
        given.save.write_text(json.dumps({"machine": machine, "ratios": last, "cells": every}, indent=1) + "\n")
    print(
        "\n".join(
            ["", *(f"AMISS: {line}" for line in wrong)] if wrong else ["\nEvery body that was acknowledged is stored once."]
        )
    )
    print(json.dumps(last))
    return 1 if wrong else 0


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="A bare handler, the naive way and Harmline, receiving, in one run.")
    arguments.add_argument("--quick", action="store_true", help="64 and 256 connections, distinct bodies, one process")
    arguments.add_argument(
        "--route", action="store_true", help="measure FastAPI's route too, by the same code without the gateway"
    )
    arguments.add_argument("--rounds", type=int, help="how often each cell is measured (2 if quick, else 3)")
    arguments.add_argument("--seconds", type=float, help="how long each cell is measured (1.2 if quick, else 2)")
    arguments.add_argument("--database", action="append", choices=DATABASES, help="this one only")
    arguments.add_argument("--save", type=Path, help="write every round of every cell to this JSON file")
    parsed = arguments.parse_args()
    parsed.rounds = parsed.rounds or (2 if parsed.quick else 3)
    parsed.seconds = parsed.seconds or (1.2 if parsed.quick else 2.0)
    sys.exit(main(parsed))
