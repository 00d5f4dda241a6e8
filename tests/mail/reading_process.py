"""A process that reads a mailbox until it is killed: `python -m tests.mail.reading_process`, see `main`. Holds no tests."""

from __future__ import annotations

import asyncio
import ssl
import sys
from datetime import datetime
from pathlib import Path

import pytest

from app.intake import asker
from app.intake.asker import Asker
from app.kit import clock
from app.kit.config import Settings
from app.kit.context import open_context
from connectors.mailbox import MailboxClient
from tests.mail.mailbox_world import names, stand_in

PER_MINUTE = 1200.0


async def main(database_url: str, key_file: str, now: str, port: str, certificate: str) -> None:
    """Ask once whoever is due at `now`, slowly enough to be killed in the middle. The server is at a port of this machine."""
    clock.set_to(datetime.fromisoformat(now))
    tls = ssl.create_default_context(cafile=certificate)
    with pytest.MonkeyPatch.context() as patched:
        stand_in(patched, int(port))

        def client(base_url: str, *, requests_per_minute: float) -> MailboxClient:
            return MailboxClient(base_url, requests_per_minute=min(requests_per_minute, PER_MINUTE), resolver=names, tls=tls)

        patched.setattr(asker, "MailboxClient", client)
        await Asker(open_context(Settings(database_url=database_url, key_file=Path(key_file)))).run_due()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
