"""A mailbox on a real Dovecot, read by the real core: nothing is lost and nothing comes twice, whatever happens on the way."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest

from app.connections.models import PollState
from app.kit import clock
from app.kit.vault import create_key_file
from connectors.mailbox import MailboxClient
from tests.intake.counting import books
from tests.mail.dovecot import PASSWORD, Dovecot, dovecot
from tests.mail.mailbox_world import Mailed, mailed, use
from tests.support.world import World

pytestmark = pytest.mark.dovecot
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
MEGABYTE = 1024 * 1024
MANY = 30
SOME = {2, 4, 7}
"""Commands at which the server is killed in the quick run, too: at the sign-in, at the first mail, in the middle of a mail."""


@pytest.fixture
def server() -> Iterator[Dovecot]:
    with dovecot() as made:
        yield made


@pytest.fixture
async def box(world: World, server: Dovecot, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Mailed]:
    async with mailed(world, server, monkeypatch) as made:
        yield made


async def test_what_comes_into_a_mailbox_comes_in_once(box: Mailed) -> None:
    """Two at first, then one, then none; then all anew."""
    for count in (2, 1, 0):
        for _ in range(count):
            box.alert()
        await box.ask()
        await box.require_all_once()
        assert (await box.poll()).state == PollState.OK
    assert await box.kept() == {0: 3}
    await box.from_the_beginning()
    await box.require_all_once()
    assert await box.kept() == {1: 3}
    assert not list((box.server.home / "mail" / "cur").glob("*:2,*S*")), "nothing is marked as seen"


@pytest.mark.long
@on_sqlite
async def test_other_ids_lose_nothing_and_bring_nothing_twice(box: Mailed) -> None:
    """UIDVALIDITY changes, and mails come in before and behind it."""
    for _ in range(3):
        box.alert()
    await box.ask()
    before = (await box.poll()).cursor
    box.alert()
    box.server.renumber()
    box.alert()
    await box.ask()
    await box.require_all_once()
    after = (await box.poll()).cursor
    assert before is not None
    assert after is not None
    assert before.split()[0] != after.split()[0]
    assert await box.kept() == {1: 3, 0: 2}
    box.alert()
    await box.ask()
    await box.require_all_once()
    assert await box.kept() == {1: 3, 0: 3}


def with_a_file(megabytes: int) -> Any:
    """The same mail with a file of so many megabytes, as it is on the wire."""

    def make(mail: bytes) -> bytes:
        made: EmailMessage = message_from_bytes(mail, policy=SMTP)  # type: ignore[assignment]
        content = random.Random(megabytes).randbytes(megabytes * MEGABYTE * 3 // 4 * 76 // 78)
        made.add_attachment(content, maintype="application", subtype="pdf", filename="report.pdf")
        return made.as_bytes()

    return make


@pytest.mark.long
@on_sqlite
async def test_a_mail_of_20_megabytes_comes_in_and_one_that_is_too_large_is_told_to_a_person(box: Mailed) -> None:
    """And those before and behind them are read as ever."""
    box.alert()
    box.alert(with_a_file(20))
    assert 20 * MEGABYTE <= len(box.bodies[-1]) < 21 * MEGABYTE
    box.bring(b"Subject: too large\r\n\r\n" + b"x" * 76 * (31 * MEGABYTE // 76))
    box.alert()
    await box.ask()
    await box.require_all_once()
    found = await books(box.world)
    assert (found["waiting"], found["unsplittable"], found["quarantined"]) == (0, 0, 1)
    await box.from_the_beginning()
    await box.require_all_once()
    assert (await books(box.world))["quarantined"] == 1, "and told once"


@on_sqlite
async def test_a_mail_of_600_mails_inside_one_another_costs_its_neighbours_nothing(box: Mailed) -> None:
    box.alert()
    inner = b"Content-Type: text/plain\r\n\r\nA new credit card.\r\n"
    for depth in range(600):
        mark = f"b{depth}".encode()
        inner = (
            b'Content-Type: multipart/mixed; boundary="'
            + mark
            + b'"\r\n\r\n--'
            + mark
            + b"\r\n"
            + inner
            + b"\r\n--"
            + mark
            + b"--\r\n"
        )
    box.bring(b"Delivered-To: m-7fq2raven4@alerts.example.org\r\nMIME-Version: 1.0\r\n" + inner)
    box.alert()
    await box.ask()
    await box.require_all_once()
    assert (await books(box.world))["unsplittable"] == 1, "it is kept, and seen"


@on_sqlite
async def test_a_wrong_password_is_seen_and_costs_nothing_but_time(box: Mailed) -> None:
    box.alert()
    await box.ask()
    box.alert()
    box.server.lets_in("another one")
    await box.ask()
    row = await box.poll()
    assert (row.state, row.failures) == (PollState.CREDENTIALS, 1), box.server.log()
    assert await box.kept() == {0: 1}
    box.server.lets_in(PASSWORD)
    await box.ask(days=1)
    row = await box.poll()
    assert (row.state, row.error) == (PollState.OK, None), box.server.log()
    await box.require_all_once()


@on_sqlite
@pytest.mark.parametrize("at", [at if at in SOME else pytest.param(at, marks=pytest.mark.slow) for at in range(1, 16)])
async def test_a_server_that_is_killed_at_any_command_loses_nothing(
    box: Mailed, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """SIGKILL, also between two pieces of one mail."""
    for number in range(3):
        box.alert(with_a_file(3) if number == 1 else lambda mail: mail)

    class Killing(MailboxClient):
        async def _command(self, *words: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                box.server.kill()
            return await super()._command(*words)

    left = at
    use(monkeypatch, box.server, Killing)
    await box.ask()
    died = box.server.running is None
    if died:
        assert (await box.poll()).state == PollState.UNREACHABLE
        box.server.start()
    else:
        await box.require_all_once()
    use(monkeypatch, box.server)
    await box.world.workers.asker.close()
    box.alert()
    await box.ask(days=1)
    await box.require_all_once()
    assert died or at > 9


@pytest.mark.long
async def test_a_reader_that_is_killed_in_the_middle_loses_nothing(box: Mailed, tmp_path: Path) -> None:
    """SIGKILL to one process after the other, each among mails that others have read or will."""
    create_key_file(tmp_path / "top.key", key=box.world.context.keyring.vault.keys[0])
    for number in range(MANY):
        box.alert(with_a_file(2) if number % 10 == 5 else lambda mail: mail)
    for enough in (5, 15):
        clock.set_to(clock.now() + timedelta(hours=1))
        with reading(box, tmp_path / "top.key") as process:
            async with asyncio.timeout(60):
                while sum((await box.kept()).values()) < enough and process.poll() is None:  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.01)
            process.kill()
            assert process.wait() == -signal.SIGKILL, "it was still reading"
        kept = sum((await box.kept()).values())
        assert enough <= kept < MANY
    await box.ask()
    await box.require_all_once()
    assert set(await box.kept()) == {0}, "not even read twice: the cursor is where the mails are"
    assert (await box.poll()).state == PollState.OK


@contextmanager
def reading(box: Mailed, key_file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that reads the mailbox; it is killed at the end."""
    url, certificate = box.world.context.database.url, box.server.home / "server.pem"
    words = [url, str(key_file), clock.now().isoformat(), str(box.server.tls), str(certificate)]
    process = subprocess.Popen([sys.executable, "-m", "tests.mail.reading_process", *words])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@on_sqlite
async def test_starttls_reads_the_same(world: World, server: Dovecot, monkeypatch: pytest.MonkeyPatch) -> None:
    async with mailed(world, server, monkeypatch, "imap") as box:
        box.alert()
        await box.ask()
        await box.require_all_once()
    assert "TLS" in next(line for line in server.log().splitlines() if "Login:" in line)


@on_sqlite
@pytest.mark.parametrize("scheme", ["imaps", "imap"])
async def test_a_server_with_a_certificate_of_nobody_we_trust_learns_nothing(
    world: World, server: Dovecot, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    async with mailed(world, server, monkeypatch, scheme) as box:
        box.alert()
        use(monkeypatch, server, tls=None)
        await box.ask()
        assert (await box.poll()).state == PollState.UNEXPECTED
    assert "Login:" not in server.log()
    assert "alerts@union.example" not in server.log()
