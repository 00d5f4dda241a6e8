"""Scheduler processes for the tests of leases: each asks whoever is due until it is killed or alone. Real clock, real database.

`python -m tests.intake.scheduler COUNT ...` imports everything once, forks so many, says their ids and keeps them until its
input ends.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from sqlalchemy.exc import OperationalError

from app.intake import polling
from app.intake.asker import Asker
from app.kit.config import Settings
from app.kit.context import open_context
from connectors.asking import PollPlan
from connectors.http import sandbox_allowed
from tests.intake.witness import testify
from tests.support.paged import Paged, paged_registered


async def main(database_url: str, key_file: str, base_url: str, every: str, lease: str, folder: str) -> None:
    """Say in `folder` that we are ready, then ask until we are killed, or whoever started us is gone."""
    parent = os.getppid()
    gc.freeze()
    Paged.poll = PollPlan(every=timedelta(seconds=float(every)), requests_per_minute=600_000, overlap=timedelta(hours=1))
    polling.LEASE = timedelta(seconds=float(lease))
    testify()
    context = open_context(Settings(database_url=database_url, key_file=Path(key_file)))
    asker = Asker(context)
    with sandbox_allowed(base_url), paged_registered():
        (Path(folder) / f"ready-{os.getpid()}").touch()
        while os.getppid() == parent:
            with suppress(OSError, OperationalError):  # a store that is held up by a stopped process: the next tick tries again
                await asker.run_due()
            await asyncio.sleep(0.01)


def fork(count: int, arguments: list[str]) -> list[int]:
    """So many processes that do what `main` does; their ids. Who is killed leaves nothing behind."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    made = []
    for _ in range(count):
        child = os.fork()
        if child == 0:
            asyncio.run(main(*arguments))
            os._exit(0)
        made.append(child)
    return made


if __name__ == "__main__":
    print(json.dumps(fork(int(sys.argv[1]), sys.argv[2:])), flush=True)
    sys.stdin.read()
