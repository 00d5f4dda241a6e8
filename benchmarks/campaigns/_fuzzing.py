"""One target under libFuzzer, in a process of its own: `python -m benchmarks.campaigns._fuzzing TARGET REPORT [libFuzzer's]`.

Apart from what the target itself promises: no input may take more than a second of processor time.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import atheris

LIBRARIES = ["rfc8785", "joserfc", "webauthn", "python_multipart"]
"""Of others, small, and with not much between a stranger's bytes and them."""

with atheris.instrument_imports(include=["connectors", "app", *LIBRARIES]):
    from benchmarks.campaigns._fuzz_promises import Finding
    from benchmarks.campaigns._fuzz_targets import targets

    TARGETS = targets()  # here, since this is what imports the connectors

LONGEST = 1.0
"""Seconds of processor time."""


def main(name: str, report: Path, arguments: list[str]) -> None:
    """Fuzz until libFuzzer's own limit. The slowest input is written down as it is found: nothing runs at the end."""
    run = TARGETS[name].run
    slowest = 0.0

    def one_input(data: bytes) -> None:
        nonlocal slowest
        began = time.process_time()
        run(data)
        took = time.process_time() - began
        if took > slowest:
            slowest = took
            report.write_text(json.dumps({"slowest_ms": round(took * 1000, 2)}))
        if took > LONGEST:
            raise Finding(f"took {took:.1f} s")

    atheris.Setup([sys.argv[0], *arguments], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
