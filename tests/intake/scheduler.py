"""One scheduler process for the tests of leases: asks whoever is due until it is killed or alone. Real clock, real database."""

from __future__ import annotations

import asyncio
import os
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


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
