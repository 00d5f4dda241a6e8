"""What people sign in by is put under a new index key: everybody gets in as before, and every guess still counts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select

from app import sign_in_indexes
from app.access import service as access
from app.access import ways_in
from app.access.models import Account, Guesses, ProviderLink
from app.access.roles import Role
from app.kit import clock, indexes
from app.kit.acting import WORKER
from app.kit.outbox import Message
from app.ledger.models import LedgerEntry
from app.ledger.service import Act
from app.members.models import Member
from tests.access.entering import PASSWORD, code_of, first_password, type_in
from tests.access.fake_provider import Connected, connect, serving, signed_in
from tests.keys.hanging import keyring_of
from tests.support.world import World

EMAIL = "avery@example.org"


async def moved(world: World) -> None:
    """Both kinds, as another process does it."""
    keyring, said = keyring_of(world.context), list[str]()
    await sign_in_indexes.move_addresses(world.context.database, keyring, [world.union.id], said.append)
    await sign_in_indexes.move_subjects(world.context.database, keyring, world.union.id, said.append)
    assert len(said) == 2


async def stored(world: World, column: Any) -> list[bytes]:
    async with world.context.database.begin(read_only=True) as tx:
        return list((await tx.execute(select(column).where(column.is_not(None)).order_by(column))).scalars())


async def counted(world: World) -> dict[bytes, int]:
    async with world.context.database.begin(read_only=True) as tx:
        return {row.key: row.count for row in (await tx.execute(select(Guesses))).scalars()}


async def require_versions(world: World, version: int) -> None:
    for column in (Account.email_index, Guesses.key, ProviderLink.subject_index):
        assert {indexes.version_of(one) for one in await stored(world, column)} <= {version}, column
    async with world.context.database.begin(read_only=True) as tx:
        assert await sign_in_indexes.status_of_all(tx, keyring_of(world.context)) == {
            sign_in_indexes.ADDRESSES: {"version": version, "left": 0}
        }
        assert await sign_in_indexes.status(tx, keyring_of(world.context), world.union.id) == {
            sign_in_indexes.SUBJECTS: {"version": version, "left": 0}
        }


async def next_code(secret: str) -> str:
    clock.set_to(clock.now() + ways_in.GUESSES_WITHIN / 10_000)
    return code_of(secret)


@pytest.mark.long
async def test_everybody_gets_in_by_password_as_before_and_every_guess_counts(world: World) -> None:
    secret = await first_password(world)
    async with world.browser() as own:
        assert (await type_in(own, EMAIL, PASSWORD, await next_code(secret))).status_code == 303
        await own.post("/sign-out")
        for _ in range(3):
            await type_in(own, EMAIL, "wrong", "000000")
        async with world.browser() as stranger:
            for _ in range(2):
                await type_in(stranger, EMAIL, "wrong", "000000")
                await type_in(stranger, "nobody@example.org", "wrong", "000000")
            for version in (2, 3):
                before = await counted(world)
                await moved(world)
                await require_versions(world, version)
                assert sorted((await counted(world)).values()) == sorted(before.values()) == [version, version, version + 1]
                await type_in(own, EMAIL, "wrong", "000000")
                await type_in(stranger, EMAIL, "wrong", "000000")
                await type_in(stranger, "nobody@example.org", "wrong", "000000")
            async with world.context.database.begin() as tx:
                for row in (await tx.execute(select(Guesses))).scalars():
                    row.count = ways_in.MOST_GUESSES
            await moved(world)
            assert (await type_in(stranger, EMAIL, PASSWORD, await next_code(secret))).status_code == 401, "even if it is right"
            async with world.context.database.begin() as tx:
                for row in (await tx.execute(select(Guesses))).scalars():
                    row.count = 1
            assert (await type_in(own, EMAIL, PASSWORD, await next_code(secret))).status_code == 303
            assert len(await counted(world)) == 2, "what was counted against the known browser is forgotten"


async def test_whoever_guessed_before_and_is_right_after_is_forgotten(world: World) -> None:
    secret, context = await first_password(world), world.context
    async with context.database.begin() as tx:
        attempt = await ways_in.begin_attempt(tx, context, EMAIL, "")
    found = await ways_in.compare(attempt, PASSWORD, await next_code(secret))
    assert found is not None
    await moved(world)
    async with context.database.begin() as tx:
        assert await ways_in.finish_attempt(tx, context, attempt, found) is not None
    assert await counted(world) == {}


async def test_a_link_that_was_asked_for_before_is_sent_after(world: World) -> None:
    context = world.context
    async with context.database.begin() as tx:
        await access.request_link(tx, context.keyring, EMAIL)
        await access.request_link(tx, context.keyring, "nobody@example.org")
    async with context.database.begin(read_only=True) as tx:
        query = select(Message).where(Message.topic == access.SIGN_IN_REQUESTED).order_by(Message.id)
        told = [bytes.fromhex(one.payload["email_index"]) for one in (await tx.execute(query)).scalars()]
        (account,) = (
            await tx.execute(
                select(Account.id)
                .join(Member, Member.id == Account.member_id)
                .where(Account.email_index == told[0], Account.organization_id == world.union.id)
            )
        ).scalars()
    await moved(world)
    async with context.database.begin(read_only=True) as tx:
        after = [bytes.fromhex(one.payload["email_index"]) for one in (await tx.execute(query)).scalars()]
        assert [await access.as_it_counts(tx, context.keyring, one) for one in told] == after
        assert await access.email_index(tx, context.keyring, EMAIL) == after[0]
        assert (await tx.get_one(Account, account)).email_index == after[0]
    assert {indexes.version_of(one) for one in after} == {2}
    async with await world.sign_in(Role.ADMIN) as admin:
        before = await count_of(world, Account)
        invited = {"email": "new@example.org", "role": "caseworker"}
        for _ in range(2):
            assert (await admin.post("/v1/accounts", json=invited)).status_code == 201
            await moved(world)
        assert await count_of(world, Account) == before + 1, "who was invited before is known again"


async def count_of(world: World, table: Any) -> int:
    async with world.context.database.begin(read_only=True) as tx:
        return (await tx.execute(select(func.count()).select_from(table))).scalar_one()


async def test_people_come_in_by_their_organizations_own_sign_in_as_before(world: World) -> None:
    async with serving() as provider:
        own: Connected = await connect(world, provider)
        async with world.browser() as browser:
            assert (await own.sign_in(browser)).status_code == 303
        for version in (2, 3):
            await moved(world)
            await require_versions(world, version)
            async with world.browser() as browser:
                assert (await own.sign_in(browser)).status_code == 303
                assert signed_in(world, browser)
            async with world.browser() as browser:
                assert (await own.sign_in(browser, "subject-2")).status_code == 403, "another subject with the same address"
        assert await count_of(world, ProviderLink) == 1


async def test_it_is_in_the_ledger_and_nothing_of_before_is_left(world: World) -> None:
    before = await stored(world, Account.email_index)
    await moved(world)
    after = await stored(world, Account.email_index)
    assert len(after) == len(before)
    assert not {one[-32:] for one in after} & set(before)
    async with world.context.database.begin(read_only=True) as tx:
        keys = await keyring_of(world.context).unchanging_of_all(tx)
        entries = (await tx.execute(select(LedgerEntry.organization_id).where(LedgerEntry.kind == Act.KEY))).scalars().all()
    assert sorted(keys.raised(access.EMAIL, one)[-1] for one in before) == after
    assert entries.count(world.union.id) == entries.count(world.other.id) + 2


async def test_whoever_signs_in_meanwhile_waits(world: World, database_kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = await first_password(world)
    inside, go_on, real = asyncio.Event(), asyncio.Event(), sign_in_indexes.move_messages

    async def held(*where: Any) -> None:
        await real(*where)
        inside.set()
        await go_on.wait()

    monkeypatch.setattr(sign_in_indexes, "move_messages", held)
    moving = asyncio.create_task(moved(world))
    await inside.wait()
    code = await next_code(secret)
    async with world.browser() as browser:
        signing = asyncio.create_task(type_in(browser, EMAIL, PASSWORD, code))
        await asyncio.sleep(0.3)
        assert not signing.done()
        go_on.set()
        assert (await signing).status_code == 303
    await moving
    await require_versions(world, 2)
    async with world.context.database.begin(acting=WORKER) as tx:
        assert (await tx.execute(select(func.count()).select_from(Guesses))).scalar_one() == 0
