"""A packet, from deliveries to a folder that proves itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.evidence.packets import built, exhibits, files, in_the_log, told
from tests.support.world import World, alert


def proven(folder: Path) -> str:
    """What the verifier says of a packet, in a Python that has nothing but itself."""
    run = subprocess.run(
        [sys.executable, "-I", "-S", str(folder / "verify.py"), str(folder)], capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


async def test_what_came_in_comes_out_with_its_proof(world: World, tmp_path: Path) -> None:
    await world.deliver(alert(id="a-1"))
    await world.deliver(alert(id="a-2", member="ref-M-2", institution="Another Bank"))
    await in_the_log(world)
    folder = tmp_path / "packet"
    made = await built(world, folder)
    packet = told(folder)
    assert made.exhibits == len(packet["exhibits"]) == 6
    assert [one["bates"] for one in packet["exhibits"]] == [f"OPOA-{number:07d}" for number in range(1, 7)]
    print(proven(folder))
    for path, raw in files(folder).items():
        print(path, len(raw))
    print(exhibits(folder)[0])
