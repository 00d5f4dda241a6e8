"""What members are told: once for each incident, without content, and never at the defendant's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select

from app.access import service as access
from app.access.models import Account
from app.access.roles import Role
from app.incidents.models import Incident
from app.intake.workers import handle_waiting
from app.kit import clock
from app.kit.letters import LEASE, Letter, LetterState
from app.kit.outbox import ConsumerState
from app.kit.pulling import Worker
from app.members import erasing
from app.notices import service
from app.notices.models import ConsentRequest, MemberNotice
from app.notices.wording import DETAILS_SUBJECT, NEWS_SUBJECT
from app.notices.workers import teller
from app.operations import replay
from connectors.standard.connector import Standard
from tests.incidents.reports import FOUND, hinted, reported
from tests.incidents.test_verdicts_and_merges import BRIDGE, EARLY, LATE
from tests.members.test_consent import NEW, answer, enroll
from tests.notices.mailed import Mailed, mailed_world, on_sqlite
from tests.support.rows import contents
from tests.support.world import NOW, Filled, alert

AVERY, PAT = "avery@example.org", "m-9@example.org"
WORDS = ("Avery", "Pat", "M-1", "Union", "Other", "incident", "alert", "breach", "fraud", "Oakland", "Bank", "card", "experian")


@pytest.fixture
async def mailed(filled_database: tuple[str, Filled]) -> AsyncIterator[Mailed]:
    async with mailed_world(filled_database) as made:
        yield made


async def test_each_new_incident_is_told_of_once_however_often_it_changes(mailed: Mailed) -> None:
    world = mailed.world
    await world.deliver(EARLY)
    await world.workers.drain()
    await world.deliver(LATE)
    await world.workers.drain()
    assert mailed.count == {AVERY: 2}
    for again in ({**EARLY, "summary": "A correction"}, {"alerts": [EARLY, LATE]}, alert(id="a-9", opened="2023-03-21")):
        clock.set_to(clock.now() + timedelta(hours=1))
        await world.deliver(again)
        await world.workers.drain()
    assert len(await world.timeline()) == 2
    assert mailed.count == {AVERY: 2}


@on_sqlite
async def test_a_consumer_that_starts_again_tells_nobody_twice(mailed: Mailed) -> None:
    await mailed.world.deliver({"alerts": [EARLY, LATE]})
    await mailed.world.workers.drain()
    before = mailed.count
    async with mailed.world.context.database.begin() as tx:
        state = await tx.get_one(ConsumerState, "notices.tell")
        state.position, state.lease_until = 0, None
    assert await Worker(mailed.world.context.database, teller()).run() > 0
    await mailed.world.workers.drain()
    assert mailed.count == before == {AVERY: 2}


@on_sqlite
async def test_a_notice_has_no_content_and_no_way_in(mailed: Mailed) -> None:
    await enroll(mailed.world)
    await mailed.world.deliver({"alerts": [alert(), NEW]})
    await mailed.world.workers.drain()
    assert mailed.count == {AVERY: 1, PAT: 1}
    for _, mail in mailed.post.mails:
        text = mail.get_content().replace("\r\n", "\n") + str(mail["Subject"])
        assert "http://localhost:8000/sign-in\n" in text
        assert "sign-in/" not in text
        assert [word for word in WORDS if word.lower() in text.lower()] == []
    stored = str((await contents(mailed.world.context.database))["letter"])
    assert [word for word in ("@", "Avery", "example", "http") if word in stored] == []


async def test_a_notice_says_that_details_are_wanted_and_still_not_of_what(mailed: Mailed) -> None:
    await hinted(mailed.world)
    await mailed.world.deliver(alert(member="ref-M-2"))
    await mailed.world.workers.drain()
    subjects = {mail["To"]: str(mail["Subject"]) for _, mail in mailed.post.mails}
    assert subjects == {AVERY: DETAILS_SUBJECT, "blake@example.org": NEWS_SUBJECT}
    for _, mail in mailed.post.mails:
        text = mail.get_content().replace("\r\n", "\n") + str(mail["Subject"])
        assert "http://localhost:8000/sign-in\n" in text
        assert "sign-in/" not in text
        assert [word for word in (*WORDS, "Monitor", "inquiry", "credit") if word.lower() in text.lower()] == []


async def test_what_was_told_before_the_notice_left_is_not_asked_for(mailed: Mailed) -> None:
    mailed.post.closed = True
    hint = await hinted(mailed.world)
    await reported(mailed.world, {**FOUND, "completes": hint["wanting"][0]})
    mailed.post.closed = False
    clock.set_to(NOW + timedelta(minutes=5))
    await mailed.world.workers.drain()
    assert [str(mail["Subject"]) for _, mail in mailed.post.mails] == [NEWS_SUBJECT]


async def test_what_a_merge_folded_away_before_sending_is_not_told_of(mailed: Mailed) -> None:
    world = mailed.world
    mailed.post.closed = True
    for one in (EARLY, LATE, BRIDGE):
        await world.deliver(one)
        await world.workers.drain()
        clock.set_to(clock.now() + timedelta(seconds=1))
    mailed.post.closed = False
    clock.set_to(NOW + timedelta(minutes=5))
    await world.workers.drain()
    assert mailed.count == {AVERY: 1}
    states = sorted(letter.state for letter in await mailed.letters())
    assert states == [LetterState.DROPPED, LetterState.SENT]
    async with world.context.database.begin() as tx:
        await tx.execute(delete(MemberNotice))
        await tx.execute(delete(Letter))
        assert await service.tell_members(tx, [world.union.members["M-1"]]) == 1, "nor is one that was merged before it was seen"


@on_sqlite
async def test_of_incidents_that_are_named_just_those_are_told_of(mailed: Mailed) -> None:
    """The worker knows from its messages which incidents are new; the rest of a long timeline need not be looked at."""
    world = mailed.world
    member_id = world.union.members["M-1"]
    for number in range(3):
        await world.deliver(alert(id=f"a-{number}", institution=f"Bank {number}"))
    await handle_waiting(world.context.database, world.context.keyring, world.workers._bring)
    async with world.context.database.begin(read_only=True) as tx:
        query = select(Incident.id).where(Incident.member_id == member_id).order_by(Incident.id)
        first, second, _ = (await tx.execute(query)).scalars()
    async with world.context.database.begin() as tx:
        assert await service.tell_members(tx, [member_id], {member_id: [first, second]}) == 2
        assert await service.tell_members(tx, [member_id], {member_id: [first]}) == 0
        assert await service.tell_members(tx, [member_id]) == 1


async def test_a_crash_between_sending_and_noting_sends_no_second_notice(mailed: Mailed, monkeypatch: pytest.MonkeyPatch) -> None:
    world = mailed.world
    await world.deliver(alert())
    await world.workers.tick()
    real, sent = world.context.mailer.send, asyncio.Event()

    async def send_and_die(*mail: Any) -> bool:
        await real(*mail)
        sent.set()
        await asyncio.Event().wait()
        return True

    monkeypatch.setattr(world.context.mailer, "send", send_and_die)
    dying = asyncio.create_task(world.workers.send_letters())
    await asyncio.wait_for(sent.wait(), 60)
    dying.cancel()
    with suppress(asyncio.CancelledError):
        await dying
    monkeypatch.undo()
    clock.set_to(NOW + LEASE)
    await world.workers.drain()
    assert mailed.count == {AVERY: 1}
    assert [letter.state for letter in await mailed.letters()] == [LetterState.UNSURE]


@on_sqlite
async def test_a_mail_server_that_is_away_loses_no_notice(mailed: Mailed) -> None:
    mailed.post.closed = True
    await mailed.world.deliver(alert())
    await mailed.world.workers.drain()
    assert mailed.count == {}
    mailed.post.closed = False
    clock.set_to(NOW + timedelta(minutes=1))
    await mailed.world.workers.drain()
    assert mailed.count == {AVERY: 1}


@on_sqlite
@pytest.mark.parametrize("why", ["held", "erased", "no address"])
async def test_nothing_goes_to_who_may_not_be_written_to(mailed: Mailed, why: str) -> None:
    world, keyring = mailed.world, mailed.world.context.keyring
    mailed.post.closed = True
    await world.deliver(alert())
    await world.workers.drain()
    async with world.context.database.begin() as tx:
        account = await tx.get_one(Account, world.union.accounts["M-1"])
        if why == "erased":
            await erasing.erase(tx, keyring, world.union.id, world.union.members["M-1"], access.SYSTEM)
        else:
            await access.set_email(tx, keyring, account, "avery@OAKLANDCA.gov." if why == "held" else None)
    mailed.post.closed = False
    clock.set_to(NOW + timedelta(minutes=1))
    await world.workers.drain()
    assert mailed.count == {}
    assert [letter.state for letter in await mailed.letters()] == [LetterState.DROPPED]
    if why == "erased":
        async with world.context.database.begin(read_only=True) as tx:
            assert (await tx.execute(select(MemberNotice))).first() is None


async def test_a_replay_years_later_tells_each_member_once_and_not_once_for_each(
    mailed: Mailed, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = mailed.world
    months = [alert(id=f"old-{month}", opened=f"2021-{month:02}-01") for month in (1, 4, 7, 10)]
    theirs = alert(id="b-1", member="ref-M-2", opened="2021-01-01")
    monkeypatch.setattr(Standard, "events", {})
    for one in (*months, theirs):
        await world.deliver(one)
    await world.workers.drain()
    monkeypatch.undo()
    clock.set_to(NOW + timedelta(days=700))
    await replay(world.context, world.union.id)
    assert len(await world.timeline()) == 4
    assert mailed.count == {}, "they are gathered first"
    clock.set_to(clock.now() + timedelta(hours=1))
    await world.workers.drain()
    assert mailed.count == {AVERY: 1, "blake@example.org": 1}


async def test_four_tellers_at_once_take_each_notice_once(mailed: Mailed) -> None:
    world = mailed.world
    for number in range(6):
        await world.deliver(alert(id=f"a-{number}", opened=f"20{10 + number}-01-01"))
    mailed.post.closed = True
    await world.workers.drain()
    async with world.context.database.begin() as tx:
        await tx.execute(delete(MemberNotice))
        await tx.execute(delete(Letter))

    async def tell() -> int:
        async with world.context.database.begin() as tx:
            return await service.tell_members(tx, [world.union.members["M-1"]])

    assert sum(await asyncio.gather(*(tell() for _ in range(4)))) == 6
    mailed.post.closed = False
    await world.workers.drain()
    assert mailed.count == {AVERY: 6}


async def test_who_was_never_asked_is_asked_once_a_week_while_something_waits(mailed: Mailed) -> None:
    world = mailed.world
    await enroll(world)
    for number in range(3):
        await world.deliver({**NEW, "id": f"c-{number}"})
        await world.workers.drain()
    assert mailed.count == {PAT: 1}
    assert "whether it may be kept" not in mailed.to(AVERY)
    clock.set_to(NOW + timedelta(days=6, hours=23))
    await world.deliver({**NEW, "id": "c-8"})
    await world.workers.drain()
    assert mailed.count == {PAT: 1}
    clock.set_to(NOW + timedelta(days=7))
    await world.deliver({**NEW, "id": "c-9"})
    await world.workers.drain()
    assert mailed.count == {PAT: 2}
    await answer(world, given=True)
    clock.set_to(NOW + timedelta(days=30))
    await world.deliver({**NEW, "id": "c-10"})
    await world.workers.drain()
    asked = [text for text in mailed.to(PAT) if "may be kept" in text]
    assert len(asked) == 2, "whoever has answered is asked no more"
    assert len(mailed.to(PAT)) > 2, "and is told of what waited"


@on_sqlite
async def test_who_answers_before_the_question_is_sent_gets_no_question(mailed: Mailed) -> None:
    world = mailed.world
    await enroll(world)
    mailed.post.closed = True
    await world.deliver(NEW)
    await world.workers.drain()
    await answer(world, given=False)
    mailed.post.closed = False
    clock.set_to(NOW + timedelta(minutes=1))
    await world.workers.drain()
    assert mailed.count == {}
    async with world.context.database.begin(read_only=True) as tx:
        assert (await tx.execute(select(ConsentRequest))).scalar_one().asked_at == NOW


@on_sqlite
async def test_who_lost_the_role_is_not_told(mailed: Mailed) -> None:
    world = mailed.world
    mailed.post.closed = True
    await world.deliver(alert())
    await world.workers.drain()
    async with world.context.database.begin() as tx:
        await access.repository.revoke_grants(tx, world.union.accounts["M-1"], Role.MEMBER, clock.now())
    mailed.post.closed = False
    clock.set_to(NOW + timedelta(minutes=1))
    await world.workers.drain()
    assert mailed.count == {}
