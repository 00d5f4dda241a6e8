"""`harmline packet build`, as somebody types it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from app.kit.config import settings
from app.kit.context import open_context
from app.kit.ids import uuid7
from app.ledger.sequencing import integrate
from tests.evidence.test_packets import proven
from tests.support.commands import done, run


@pytest.fixture
def matter(home: Path) -> str:
    """A matter over a breach, in a service of one's own in which nobody serves."""
    done("keys", "create")
    done("migrate")
    made = done("organization", "Union", "--admin", "admin@union.example", "--counsel", "counsel@union.example")
    own = ("--organization", made["organization"])
    done("breaches", *own, "oakland")
    found: str = done("matters", "open", *own, "oakland-2023", "--title", "A matter", "--counsel", "counsel@union.example")[
        "matter"
    ]
    return found


def test_what_cannot_be_built_is_said_in_plain_words(home: Path, matter: str) -> None:
    to = str(home / "packet")
    for arguments, said in (
        (("--matter", str(uuid7())), "There is no matter with this id"),
        (("--matter", matter), "no checkpoint yet"),
        (("--matter", matter, "--prefix", "opoa"), "capital letters"),
    ):
        refused = run("packet", "build", *arguments, "--to", to)
        assert refused.exit_code == 1, refused.output
        assert said in refused.output
    assert "packet" not in os.listdir(home)


def test_a_packet_of_nothing_is_one_too(home: Path, matter: str) -> None:
    put_in_the_log()
    made = done("packet", "build", "--matter", matter, "--to", str(home / "packet"), "--variant", "redacted", "--prefix", "UN")
    assert (made["exhibits"], made["withheld"]) == (0, 0)
    assert proven(home / "packet")["number"] == made["number"]


def put_in_the_log() -> None:
    """What the service does within seconds, where nobody serves."""
    context = open_context(settings())

    async def work() -> None:
        await integrate(context.database, context.keyring, "h.example")
        await context.database.close()

    asyncio.run(work())
