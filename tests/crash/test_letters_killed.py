"""Who sends letters is killed by SIGKILL at any step: what must arrive arrives, and what may go out once never goes out twice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from app.access.roles import Role
from app.kit import clock, letters
from app.kit.ids import uuid7
from app.kit.letters import LEASE, Letter, LetterState
from app.notices.service import ALARM_HOOK, ALARM_MAIL, CONSENT, NOBODY
from connectors.sandboxing import serving
from tests.crash.killed import AFTER_COMMIT, BEFORE_COMMIT, COMMIT_SENT, HOOK_SECRET, LETTER_SENT, Launcher, launcher
from tests.crash.test_asking_killed import KILLED
from tests.crash.test_rotation_killed import Rotating
from tests.notices.mailed import Mailed, mailed_world
from tests.notices.test_webhook import Receiver
from tests.support.world import Filled

pytestmark = pytest.mark.slow

DEATHS = {BEFORE_COMMIT, COMMIT_SENT, AFTER_COMMIT, LETTER_SENT, "before UPDATE letter", "after UPDATE letter"}


@pytest.fixture(scope="module")
def forks() -> Iterator[Launcher]:
    with launcher() as started:
        yield started


@dataclass
class Office:
    """A world with a mail server and a webhook, and an alarm that is open in it."""

    mailed: Mailed
    receiver: Receiver
    hook: str
    alarm_id: UUID

    @property
    def arrived(self) -> int:
        """How many letters ever came, by either way."""
        return len(self.mailed.post.mails) + len(self.receiver.taken)

    def address(self, kind: str) -> str:
        """Where letters of a kind go to."""
        smtp = self.mailed.world.context.settings.smtp_url
        assert smtp is not None
        return self.hook if kind == ALARM_HOOK else smtp.get_secret_value()

    async def post(self, kind: str) -> UUID:
        """One more letter, due now."""
        union, alarm = self.mailed.world.union, {"alarm_id": self.alarm_id, "change": "opened"}
        recipient, payload = {
            ALARM_MAIL: (union.accounts[Role.ADMIN], alarm),
            ALARM_HOOK: (NOBODY, alarm),
            CONSENT: (union.accounts["M-1"], {"member_id": union.members["M-1"], "connection_id": uuid7()}),
        }[kind]
        async with self.mailed.world.context.database.begin() as tx:
            made = await letters.post(tx, kind, union.id, recipient, str(uuid7()), payload)
        assert made is not None
        return made

    async def row(self, letter_id: UUID) -> Letter:
        async with self.mailed.world.context.database.begin(read_only=True) as tx:
            return await tx.get_one(Letter, letter_id)


@pytest.fixture
async def office(filled_database: tuple[str, Filled]) -> AsyncIterator[Office]:
    receiver = Receiver()
    async with serving(receiver) as base_url:
        hook = f"{base_url}/hooks/alarms"
        async with mailed_world(filled_database, alarm_webhook_url=hook, alarm_webhook_secret=HOOK_SECRET) as mailed:
            await mailed.world.deliver(b"junk")
            await mailed.world.workers.drain()
            await mailed.watch(minutes=1)
            (alarm,) = await mailed.alarms()
            yield Office(mailed, receiver, hook, alarm.id)


@pytest.mark.parametrize("kind", [ALARM_MAIL, ALARM_HOOK, CONSENT])
async def test_whoever_sends_letters_may_die_at_any_step(office: Office, forks: Launcher, tmp_path: Path, kind: str) -> None:
    """An alarm comes again where nobody knows whether it came, under the same id; what a member is asked does not."""
    world, met = office.mailed.world, dict[str, set[tuple[str, int]]]()
    rig = Rotating(world, forks, tmp_path, office.address(kind), world.union.connection.connection.id)
    while not rig.codes[0]:
        letter_id, before = await office.post(kind), office.arrived
        died_at = await rig.rotate(rig.codes[KILLED] + 1, work="letters")
        left, came = (await office.row(letter_id)).state, office.arrived - before
        clock.set_to(clock.now() + LEASE)
        await world.workers.send_letters()
        ended, times = await office.row(letter_id), office.arrived - before
        lost_track = left == LetterState.SENDING
        if kind == CONSENT and lost_track:
            assert (ended.state, times) == (LetterState.UNSURE, came), died_at
        else:
            assert (ended.state, times) == (LetterState.SENT, came + (left != LetterState.SENT)), died_at
        for step in died_at:
            met.setdefault(step, set()).add((left, came))
        await world.workers.send_letters()
        assert office.arrived - before == times
        if kind == ALARM_HOOK:
            assert {headers["webhook-id"] for headers, _ in office.receiver.taken[-times:]} == {str(letter_id)}
        if kind == ALARM_MAIL:
            assert {mail["Message-ID"] for _, mail in office.mailed.post.mails[-times:]} == {f"<{letter_id}@harmline>"}
    assert met.keys() >= DEATHS
    assert met[LETTER_SENT] == {(LetterState.SENDING, 1)}, "handed over, and not written down"
    assert rig.codes[KILLED] >= len(DEATHS)
