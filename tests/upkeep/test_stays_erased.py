"""A backup that is older than an erasure brings nothing of that member back, whatever the backup holds."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from app.access import providers
from app.access.models import ApiToken, IdentityProvider, Session, SignInLink
from app.access.roles import Role
from app.connections import managing
from app.connections.models import Connection, ConnectionSecret
from app.intake.models import Receipt
from app.kit import clock
from app.kit.context import Context
from app.kit.errors import Problem
from app.ledger.deletions import Gone
from app.ledger.models import Deletion
from app.members.service import consents_to
from app.upkeep import journal
from app.upkeep.journal import Journal, JournalBroken
from tests.access.scene import Scene
from tests.members.test_consent import NEW, SECRET, answer, enroll
from tests.members.test_erasure import BOTH, erase, everything_that_opens
from tests.support.rows import contents
from tests.support.world import NOW, Filled, make_world
from tests.upkeep.places import Places, top_key_of


async def restored_world(places: Places) -> str:
    """All that any key opens in what was restored."""
    known = Filled(top_key_of(places.world.context.keyring), (places.world.union, places.world.other))
    async with make_world(places.empty_url, known) as other:
        return await everything_that_opens(other, known.top_key)


async def erased_since(places: Places) -> tuple[object, list[journal.Record]]:
    """A backup, an erasure after it, and what the journal says then."""
    await places.world.deliver(BOTH)
    await places.world.workers.drain()
    backup = await places.back_up()
    assert await erase(places.world) == 204
    kept = places.journal
    assert await journal.keep(places.world.context.database, kept) >= 2
    return backup, kept.read()


@pytest.mark.long
async def test_nothing_of_who_was_erased_since_can_be_opened(places: Places) -> None:
    backup, records = await erased_since(places)
    done = await places.restore(backup)
    assert done.applied.members == 1
    assert done.applied.keys >= 2
    opened = await restored_world(places)
    assert "Words about the other" in opened
    assert "Canary words" not in opened
    assert opened.count("Avery Invented") == 1, "the other organization's member of that name, and nobody else"
    assert {record.what for record in records} == {"member", "keys"}


@pytest.mark.long
async def test_without_the_list_they_would_be_back(places: Places) -> None:
    """What the test above shows is the list's doing: the keys are in the backup."""
    backup, _ = await erased_since(places)
    await places.restore(backup, [])
    opened = await restored_world(places)
    assert "Canary words" in opened
    assert opened.count("Avery Invented") == 2


async def test_every_row_about_them_is_gone_as_after_the_erasure_itself(places: Places) -> None:
    backup, _ = await erased_since(places)
    await places.restore(backup)
    member_id = str(places.world.union.members["M-1"])
    assert await tables_that_name(places.restored(), member_id) == await tables_that_name(places.world.context, member_id)


async def tables_that_name(context: Context, member_id: str) -> set[str]:
    found = await contents(context.database)
    await context.database.close()
    return {name for name, rows in found.items() if any(member_id in str(row) for row in rows)}


async def test_a_hold_that_stood_in_the_backup_and_was_released_since_changes_nothing(places: Places) -> None:
    world = places.world
    await world.deliver(BOTH)
    await world.workers.drain()
    member_id = str(world.union.members["M-1"])
    async with await world.sign_in(Role.COUNSEL) as counsel:
        placed = await counsel.post("/v1/holds", json={"reason": "r", "member_id": member_id})
        backup = await places.back_up()
        assert (await counsel.delete(f"/v1/holds/{placed.json()['id']}")).status_code == 204
    assert await erase(world) == 204
    await journal.keep(world.context.database, places.journal)
    assert (await places.restore(backup)).applied.members == 1
    assert "Canary words" not in await restored_world(places)


@pytest.mark.long
@pytest.mark.parametrize("why", ["refused", "expired"])
async def test_what_nobody_agreed_to_stays_destroyed(places: Places, why: str) -> None:
    """Not only members: keys that were destroyed because somebody said no, or nobody said yes in time."""
    world = places.world
    await enroll(world)
    await world.deliver(NEW)
    await world.workers.drain()
    backup = await places.back_up()
    if why == "refused":
        await answer(world, given=False)
    else:
        clock.set_to(NOW + timedelta(days=90))
        await world.workers.sweep()
    await journal.keep(world.context.database, places.journal)
    assert [record.reason for record in places.journal.read()] == [why]
    clock.set_to(NOW)
    assert (await places.restore(backup)).applied.keys == 2
    assert SECRET not in await restored_world(places)


async def test_a_consent_that_was_taken_back_since_stays_so(places: Places) -> None:
    world, connection_id = places.world, places.world.union.connection.connection.id
    backup = await places.back_up()
    await answer(world, given=False, number="M-1")
    await journal.keep(world.context.database, places.journal)
    assert [record.what for record in places.journal.read()] == [Gone.CONSENT]
    await places.restore(backup)
    context = places.restored()
    async with context.database.begin(read_only=True) as tx:
        given = {who: await consents_to(tx, world.union.members[who], connection_id, NOW) for who in ("M-1", "M-2")}
    await context.database.close()
    assert given == {"M-1": False, "M-2": True}


async def test_a_yes_that_is_newer_than_a_no_stands(places: Places) -> None:
    world, connection_id = places.world, places.world.union.connection.connection.id
    await answer(world, given=False, number="M-1")
    clock.set_to(NOW + timedelta(days=1))
    await answer(world, given=True, number="M-1")
    backup = await places.back_up()
    await places.restore(backup)
    context = places.restored()
    async with context.database.begin(read_only=True) as tx:
        assert await consents_to(tx, world.union.members["M-1"], connection_id, clock.now())
    await context.database.close()


async def test_a_term_that_was_set_for_a_connection_since_is_in_force_again(places: Places) -> None:
    world, connection_id = places.world, places.world.union.connection.connection.id
    await world.deliver(BOTH)
    await world.workers.drain()
    backup = await places.back_up()
    async with await world.sign_in(Role.ADMIN) as admin:
        for days in (30, 7):
            assert (await admin.patch(f"/v1/connections/{connection_id}", json={"raw_days": days})).status_code == 200
    await journal.keep(world.context.database, places.journal)
    assert [(record.what, record.count) for record in places.journal.read()] == [(Gone.TERM, 30), (Gone.TERM, 7)]
    clock.set_to(NOW + timedelta(days=8))
    await places.restore(backup)
    context = places.restored()
    async with context.database.begin(read_only=True) as tx:
        assert (await tx.get_one(Connection, connection_id)).raw_days == 7
        assert (await tx.execute(select(Receipt.wrapped_key))).scalars().all() == [None]
    await context.database.close()


async def test_a_secret_that_leaked_and_a_connection_that_was_closed_since_are_not_taken_again(places: Places) -> None:
    world = places.world
    leaked, keyring = world.union.connection, world.context.keyring
    backup = await places.back_up()
    async with world.context.database.begin() as tx:
        await managing.rotate_secret(tx, keyring, world.union.id, leaked.connection.id, overlap_hours=0)
        await managing.close(tx, keyring, world.other.id, world.other.connection.connection.id)
    await journal.keep(world.context.database, places.journal)
    await places.restore(backup)
    known = Filled(top_key_of(keyring), (world.union, world.other))
    async with make_world(places.empty_url, known) as restored:
        assert (await restored.deliver(BOTH, secret=leaked.secret)).status_code == 401
        assert (await restored.deliver(BOTH, tenant=restored.other)).status_code == 410
        async with restored.context.database.begin(read_only=True) as tx:
            closed = await tx.get_one(Connection, world.other.connection.connection.id)
            kept = (await tx.execute(select(ConnectionSecret.sealed))).scalars().all()
        assert (closed.config_sealed, set(kept)) == (None, {b""})


@pytest.mark.long
async def test_an_own_sign_in_that_was_removed_since_lets_nobody_in_again(places: Places) -> None:
    world, keyring = places.world, places.world.context.keyring
    scene = Scene(world)
    removed, kept = [await scene.own_sign_in(tenant) for tenant in (world.union, world.other)]
    backup = await places.back_up()
    async with world.context.database.begin() as tx:
        await providers.remove(tx, keyring, await scene.principal(Role.ADMIN))
    await journal.keep(world.context.database, places.journal)
    assert [record.what for record in places.journal.read()] == [Gone.PROVIDER]
    await places.restore(backup)
    context = places.restored()
    async with context.database.begin(read_only=True) as tx:
        table = IdentityProvider.__table__.c
        rows = {row.id: row for row in (await tx.execute(select(table.id, table.secret_sealed, table.removed_at))).all()}
    await context.database.close()
    assert (rows[removed].secret_sealed, rows[removed].removed_at is None) == (None, False)
    assert (rows[kept].secret_sealed is None, rows[kept].removed_at) == (False, None)


async def test_everybody_is_signed_out(places: Places) -> None:
    world = places.world
    async with await world.sign_in(Role.MEMBER) as browser:
        token = {"label": "x", "scopes": ["timeline:read"], "days": 1}
        assert (await browser.post("/v1/tokens", json=token)).status_code == 201
    backup = await places.back_up()
    assert (await places.restore(backup, [])).applied.signed_out >= 2
    context = places.restored()
    async with context.database.begin(read_only=True) as tx:
        assert (await tx.execute(select(Session.id).where(Session.ended_at.is_(None)))).all() == []
        assert (await tx.execute(select(SignInLink.id).where(SignInLink.spent_at.is_(None)))).all() == []
        assert (await tx.execute(select(ApiToken.id).where(ApiToken.revoked_at.is_(None)))).all() == []
    await context.database.close()


async def test_a_list_that_is_older_than_the_backup_is_refused(places: Places) -> None:
    world = places.world
    assert await erase(world, "M-2") == 204
    backup = await places.back_up()
    with pytest.raises(Problem, match="too old or another"):
        await places.restore(backup, [])
    await places.restore(backup)


@pytest.mark.long
async def test_the_next_backup_knows_what_this_one_was_told(places: Places) -> None:
    """What was done again is in the restored database's own table, under the same ids."""
    backup, records = await erased_since(places)
    await places.restore(backup)
    context = places.restored()
    async with context.database.begin(read_only=True) as tx:
        ids = set((await tx.execute(select(Deletion.id))).scalars())
    await context.database.close()
    assert {record.id for record in records} <= ids


async def test_the_list_is_written_once_and_by_several_hands(places: Places) -> None:
    database = places.world.context.database
    assert await erase(places.world, "M-1") == 204
    one, other = places.journal, places.journal
    written = await journal.keep(database, one)
    assert await journal.keep(database, one) == 0
    assert await journal.keep(database, other) == 0, "another process finds them there"
    assert await erase(places.world, "M-2") == 204
    assert await journal.keep(database, other) >= 1
    assert await journal.keep(database, one) == 0
    assert len(places.journal.read()) > written
    assert places.journal.path.stat().st_mode & 0o077 == 0


async def test_a_list_that_was_changed_is_refused_and_a_torn_end_is_not(places: Places) -> None:
    database = places.world.context.database
    for who in ("M-1", "M-2", "M-3"):
        assert await erase(places.world, who) == 204
    await journal.keep(database, places.journal)
    path, whole = places.journal.path, places.journal.path.read_text()
    lines = whole.splitlines(keepends=True)
    assert len(lines) >= 3
    for broken in (
        "".join(lines[:1] + lines[2:]),
        "".join([lines[1], lines[0], *lines[2:]]),
        whole.replace('"erasure"', '"mistake"', 1),
        "x\n" + whole,
        whole.replace('"hash"', '"hush"', 1),
        whole.replace('"erasure"', '"\udcff"', 1),
        "[]\n" + whole,
        "[" * 100_000 + "\n" + whole,
    ):
        path.write_text(broken, errors="surrogateescape")
        with pytest.raises(JournalBroken, match=r"Line [12] of"):
            places.journal.read()
    path.write_text(whole[:-20])
    assert len(places.journal.read()) == len(lines) - 1
    assert await journal.keep(database, Journal(path)) == 1, "the one that was torn is written again"
    assert path.read_text() == whole
