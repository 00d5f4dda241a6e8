"""Every table has its term; what is over goes, with a row that says so; what is held stays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from app.access.models import Account, ApiToken, Session, SignInLink
from app.access.roles import Role
from app.connections import managing
from app.connections.models import ConnectionSecret
from app.intake.models import Refusal
from app.kit import clock
from app.kit.ids import uuid7
from app.kit.letters import Letter, LetterState
from app.kit.outbox import KEPT_FOR, Message
from app.ledger.deletions import Gone
from app.ledger.models import Deletion
from app.ledger.service import SYSTEM
from app.notices.models import Alarm, AlarmKind, MemberNotice
from app.tables import metadata
from app.upkeep.retention import KEPT, TERMS, WITH_SOMETHING_ELSE, Term, delete_by_age
from app.upkeep.retention_page import PAGE, written
from tests.support.world import NOW, World, alert

BY_CLASS = {term.what: term for term in TERMS}


def test_every_table_stands_in_it_once() -> None:
    named = [term.model.__tablename__ for term in TERMS]
    for tables, _ in (*WITH_SOMETHING_ELSE.values(), *KEPT.values()):
        named += tables
    assert sorted(named) == sorted(metadata.tables)


def test_the_page_shows_the_table() -> None:
    assert written(PAGE.read_text()) == PAGE.read_text(), "run .venv/bin/python -m app.upkeep.retention_page"


async def one_of(world: World, what: Gone, at: Any) -> None:
    """One row of a class whose age is counted from `at`, of member M-1 where it is anybody's."""
    own, account = world.union.id, world.union.accounts["M-1"]
    who = {"account_id": account, "role": Role.MEMBER}
    once = {"token_hash": uuid7().bytes, "created_at": NOW}
    rows: dict[Gone, tuple[Any, dict[str, Any]]] = {
        Gone.SESSION: (Session, {**who, **once, "standing": "full", "last_seen_at": NOW, "ended_at": at}),
        Gone.SIGN_IN_LINK: (SignInLink, {**who, **once, "expires_at": at}),
        Gone.API_TOKEN: (ApiToken, {**who, **once, "label": "x", "scopes": [], "expires_at": NOW, "revoked_at": at}),
        Gone.LETTER: (
            Letter,
            {"organization_id": own, "kind": "x", "recipient": account, "about": str(uuid7()), "payload": {}, "created_at": NOW}
            | {"state": LetterState.SENT, "ended_at": at, "attempts": 1},
        ),
        Gone.ALARM: (
            Alarm,
            {"organization_id": own, "kind": AlarmKind.DISK, "opened_at": NOW, "last_seen_at": NOW, "closed_at": at},
        ),
        Gone.REFUSAL: (
            Refusal,
            {"connection_id": uuid7(), "day": at.date(), "reason": "too_large", "organization_id": own, "count": 3},
        ),
    }
    model, values = rows[what]
    async with world.context.database.begin() as tx:
        await tx.execute(insert(model).values(**values))


async def left(world: World, term: Term) -> int:
    async with world.context.database.begin(read_only=True) as tx:
        return (await tx.execute(select(func.count()).select_from(term.model))).scalar_one()


async def noted(world: World, what: Gone) -> list[Deletion]:
    async with world.context.database.begin(read_only=True) as tx:
        return list((await tx.execute(select(Deletion).where(Deletion.what == what))).scalars())


@pytest.mark.parametrize("what", BY_CLASS)
async def test_what_is_over_goes_and_not_a_day_earlier(world: World, what: Gone) -> None:
    term = BY_CLASS[what]
    before = await left(world, term)
    await one_of(world, what, NOW)
    clock.set_to(NOW + term.after - timedelta(hours=13))
    await delete_by_age(world.context.database, [term])
    assert (await left(world, term), await noted(world, what)) == (before + 1, [])
    clock.set_to(NOW + term.after + timedelta(days=1))
    done = await delete_by_age(world.context.database, [term])
    assert await left(world, term) == before + 1 - done[what]
    assert done[what] >= 1
    rows = await noted(world, what)
    assert sum(row.count for row in rows) == done[what]
    assert {(row.actor_id, row.at) for row in rows} == {(None, clock.now())}
    assert all(str(term.after.days) in row.reason for row in rows)
    assert world.union.id in {row.organization_id for row in rows}
    assert (await delete_by_age(world.context.database, [term]))[what] == 0


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("what", BY_CLASS)
async def test_a_hold_keeps_them_until_it_is_released(world: World, what: Gone, whole: bool) -> None:
    term = BY_CLASS[what]
    await one_of(world, what, NOW)
    body = {"reason": "r"} if whole else {"reason": "r", "member_id": str(world.union.members["M-1"])}
    async with await world.sign_in(Role.COUNSEL) as counsel:
        placed = (await counsel.post("/v1/holds", json=body)).json()
        clock.set_to(NOW + term.after + timedelta(days=1))
        await delete_by_age(world.context.database, [term])
        somebodys = term.account is not None
        async with world.context.database.begin(read_only=True) as tx:
            assert bool(await ours(tx, world, term, old=True)) is (whole or somebodys), "of one person what is that person's"
    async with await world.sign_in(Role.COUNSEL) as counsel:
        assert (await counsel.delete(f"/v1/holds/{placed['id']}")).status_code == 204
    await delete_by_age(world.context.database, [term])
    async with world.context.database.begin(read_only=True) as tx:
        assert await ours(tx, world, term, old=True) == 0


async def ours(tx: Any, world: World, term: Term, *, old: bool = False) -> int:
    """How many rows of a class are M-1's, or nobody's of their organization; `old`: those that are over."""
    query = select(func.count()).select_from(term.model)
    if term.account is not None:
        query = query.join(Account, Account.id == term.account).where(Account.id == world.union.accounts["M-1"])
    else:
        query = query.where(term.organization == world.union.id)
    if old:
        over: Any = clock.now() - term.after
        query = query.where(term.counted_from < (over.date() if term.model is Refusal else over))
    return int((await tx.execute(query)).scalar_one())


async def test_a_letter_that_told_of_an_incident_goes_and_the_notice_stays(world: World) -> None:
    await world.deliver(alert())
    await world.workers.drain()
    async with world.context.database.begin() as tx:
        notice = (await tx.execute(select(MemberNotice))).scalars().first()
        assert notice is not None
        letter = await tx.get_one(Letter, notice.letter_id)
        letter.state, letter.ended_at, letter.due_at = LetterState.SENT, NOW, None
    clock.set_to(NOW + BY_CLASS[Gone.LETTER].after + timedelta(days=1))
    await delete_by_age(world.context.database)
    async with world.context.database.begin(read_only=True) as tx:
        left_over = (await tx.execute(select(MemberNotice))).scalars().all()
    assert [one.letter_id for one in left_over] == [None]


async def test_a_secret_that_is_no_longer_taken_is_destroyed(world: World) -> None:
    connection_id, keyring = world.union.connection.connection.id, world.context.keyring
    async with world.context.database.begin() as tx:
        await managing.rotate_secret(tx, keyring, world.union.id, connection_id, overlap_hours=1, actor=SYSTEM)
    await delete_by_age(world.context.database)
    assert await noted(world, Gone.SECRET) == []
    clock.set_to(NOW + timedelta(hours=1))
    await delete_by_age(world.context.database)
    async with world.context.database.begin(read_only=True) as tx:
        query = select(ConnectionSecret).where(ConnectionSecret.connection_id == connection_id)
        kept = {one.retired_at is None: one.sealed for one in (await tx.execute(query)).scalars()}
    assert kept[False] == b""
    assert kept[True] != b""
    (row,) = await noted(world, Gone.SECRET)
    assert row.subjects["connection"] == str(connection_id)


async def test_the_sweep_does_it_and_writes_down_what_the_outbox_forgot(world: World) -> None:
    await one_of(world, Gone.SESSION, NOW)
    await world.deliver(alert())
    await world.workers.drain()
    clock.set_to(NOW + max(KEPT_FOR, BY_CLASS[Gone.SESSION].after) + timedelta(days=1))
    async with world.context.database.begin(read_only=True) as tx:
        messages = (await tx.execute(select(func.count()).select_from(Message))).scalar_one()
    await world.workers.sweep()
    assert await noted(world, Gone.SESSION)
    assert sum(row.count for row in await noted(world, Gone.MESSAGE)) == messages > 0
