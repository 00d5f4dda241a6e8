"""Keys are replaced while everything runs: nothing becomes unreadable, nothing means anything else, the old keys are gone."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import LargeBinary, event, func, select, update

from app import rotation
from app.access.roles import Role
from app.connections import disputing
from app.intake.models import Event, Receipt
from app.intake.receive import Arrival, keep
from app.intake.sealing import erase_body
from app.kit import clock, crypto
from app.kit.crypto import KeysAway, Unreadable
from app.kit.keyring import NOBODY, SYSTEM_LANE, Keyring, Lane, OrganizationKey
from app.kit.vault import KeyFile, create_key_file, fingerprint, read_key_file
from app.ledger.models import LedgerEntry
from app.ledger.service import Act, Sight, sight_of
from app.members.models import Member
from app.sealed_places import PLACES
from app.tables import metadata
from connectors.verifiers import Grade, Outcome, Verification
from tests.access.entering import first_password
from tests.access.scene import Scene
from tests.keys.hanging import bodies, hanging, keyring_of
from tests.support.world import NOW, World, alert

AUTHENTIC = Verification(Outcome.AUTHENTIC, "test", None, None, None, Grade.UNVERIFIABLE)
FIRST = {"alerts": [alert(), alert(id="a-2", member="ref-M-2", institution="Another Invented Bank")]}

SEALED_UNDER_KEYS_OF_ROWS = {
    *("member.sealed", "receipt.sealed", "receipt.headers_sealed", "receipt.asked_sealed", "event.sealed"),
    *("break_glass.reason_sealed", "member_event.sealed", "loss.note_sealed", "enrollment.reference_sealed"),
}
EQUAL_FOR_EVER = {
    *("account.email_index", "member.external_index", "enrollment.reference_index", "receipt.body_hash", "receipt.about_index"),
    "handed_in.file_index",
    *("alert.dedupe_key", "alert.reference_index", "event.content_hash", "event.reference_index", "look_up.key"),
    *(
        "guesses.key",
        "provider_link.subject_index",
        "look_up.reference_index",
        "poll_subject.reference_index",
        "unmatched.reference_index",
        "member_event.institution_index",
    ),
}
NOT_BY_OUR_KEYS = {
    *("sign_in_link.token_hash", "session.token_hash", "api_token.token_hash", "connection.token_hash"),
    *("connection.previous_token_hash", "ledger_entry.commitment", "organization_key.wrapped", "link.based_on"),
    *("door_key.wrapped", "ledger_leaf.hash", "ledger_subtree.hash", "ledger_checkpoint.root", "ledger_checkpoint.note"),
    *("ledger_timestamp.response", "ledger_signer.public_key", "link.shared_sha256", "shared_finding.sha256"),
    *("known_browser.token_hash", "recovery_code.code_hash", "spent_challenge.challenge_hash"),
    *("passkey.credential_id", "passkey.public_key"),
}


async def fill(world: World) -> None:
    """Something under every place of both lanes."""
    await world.deliver(FIRST)
    await world.workers.drain()
    connection = world.union.connection.connection
    context = world.context
    async with context.database.begin() as tx:
        where = (tx, context.keyring, world.union.id, connection.id)
        await disputing.dispute(*where, received_from=NOW - timedelta(days=1), reason="Somebody else's words")
    async with await world.sign_in(Role.COUNSEL) as counsel:
        assert (await counsel.post("/v1/holds", json={"reason": "Counsel's own reason"})).status_code == 201
    async with await world.sign_in(Role.CASEWORKER) as caseworker:
        assert (await caseworker.post("/v1/break-glass", json={"external_id": "M-2", "reason": "Unreachable"})).status_code == 201
    await first_password(world)
    await Scene(world).own_sign_in(world.union)
    await Scene(world).packet(world.union, ready=True)


async def replace_all(world: World, keyring: Keyring | None = None) -> None:
    """Every key of both organizations, from end to end."""
    for tenant in (world.union, world.other):
        for lane in Lane:
            where = (world.context.database, keyring or world.context.keyring, tenant.id, lane)
            left = await rotation.replace(*where, lambda _: None)
            assert left == {}


SELDOM = {"receipt.remains_sealed", "connection.config_sealed", "connection.sources_sealed"}


async def versions(world: World) -> set[tuple[str, int, bool]]:
    async with world.context.database.begin(read_only=True) as tx:
        rows = (await tx.execute(select(OrganizationKey).where(OrganizationKey.organization_id == world.union.id))).scalars()
        return {(row.lane, row.version, row.wrapped is not None) for row in rows}


async def acts(world: World, organization_id: UUID) -> int:
    query = select(func.count()).select_from(LedgerEntry)
    query = query.where(LedgerEntry.kind == Act.KEY, LedgerEntry.organization_id == organization_id)
    async with world.context.database.begin(read_only=True) as tx:
        return (await tx.execute(query)).scalar_one()


def with_key_file(world: World, folder: Path) -> KeyFile:
    """Let the world's top key lie in a file, and the door's key in another beside it."""
    keyring = world.context.keyring
    assert keyring.door is not None
    for held, name in ((keyring.vault, "top.key"), (keyring.door.vault, "door.key")):
        create_key_file(folder / name, key=held.keys[0])  # type: ignore[attr-defined]
    vault = keyring.vault = KeyFile(folder / "top.key")
    keyring.door.vault = KeyFile(folder / "door.key")
    return vault


def test_every_column_of_bytes_is_known_here() -> None:
    """A new column that is sealed under an organization's key belongs into PLACES, or its first rotation loses it."""
    placed = {place.name for place in PLACES}
    columns = {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    known = [placed, SEALED_UNDER_KEYS_OF_ROWS, EQUAL_FOR_EVER, NOT_BY_OUR_KEYS]
    assert columns == set().union(*known)
    assert sum(map(len, known)) == len(columns), "each once"


async def test_everything_can_be_read_afterwards_and_the_keys_before_are_gone(world: World) -> None:
    await fill(world)
    before, entries = await hanging(world.context, world.union.id), await acts(world, world.union.id)
    assert {name for name, *_ in before} >= {place.name for place in PLACES} - SELDOM
    await replace_all(world)
    assert await hanging(world.context, world.union.id) == before
    lanes = {(lane.value, number, there) for lane in Lane for number, there in ((0, True), (1, False), (2, True))}
    assert await versions(world) == lanes
    assert await acts(world, world.union.id) == entries + 4, "one for each new version, one for each end"
    async with world.context.database.begin(read_only=True) as tx:
        for place in PLACES:
            held = (await tx.execute(select(place.value()).where(place.value().is_not(None)))).scalars().all()
            assert {crypto.version_of(value) for value in held} <= {2}
    await replace_all(world, keyring_of(world.context))
    assert await hanging(world.context, world.union.id) == before
    assert max(number for _, number, _ in await versions(world)) == 3


async def test_what_was_sealed_before_there_were_versions_is_under_the_first(world: World) -> None:
    await fill(world)
    async with world.context.database.begin() as tx:
        keys = await world.context.keyring.opened(tx, world.union.id)
        member = await tx.get_one(Member, world.union.members["M-1"])
        where = crypto.place(world.union.id, "member", member.id)
        key = keys.unwrap(member.wrapped_key or b"", "member", member.id)
        member.wrapped_key = crypto.seal(crypto.derive(keys.key, "wrap"), key, where)
        assert crypto.version_of(member.wrapped_key) == 1
    before = await hanging(world.context, world.union.id)
    assert key in before.values()
    await replace_all(world)
    assert await hanging(world.context, world.union.id) == before


async def test_the_same_is_the_same_before_and_after(world: World, tmp_path: Path) -> None:
    """The same body is a repeat, the same alert a sighting, the same address the same account, a look stays what it was."""
    await fill(world)
    vault = with_key_file(world, tmp_path)
    timeline = await world.timeline()
    for _ in range(2):
        await replace_all(world)
        rotation.prepare_top(vault)
        await rotation.replace_top(world.context.database, world.context.keyring, vault)
    again = await world.deliver(FIRST)
    assert (again.status_code, again.json()["repeat"]) == (202, True)
    sighting = await world.deliver({"alerts": [*FIRST["alerts"], alert(id="a-3")]})
    assert (sighting.status_code, sighting.json()["repeat"]) == (202, False)
    await world.workers.drain()
    outcomes = select(Event.outcome, func.count()).group_by(Event.outcome)
    async with world.context.database.begin(read_only=True) as tx:
        assert dict((await tx.execute(outcomes)).all()) == {"new": 3, "sighting": 2}
    assert {item["id"] for item in timeline} <= {item["id"] for item in await world.timeline()}
    async with world.context.database.begin() as tx:
        index = await keyring_of(world.context).system_index(tx, "account.email", "avery@example.org")
        found = await tx.execute(select(func.count()).where(metadata.tables["account"].c.email_index == index))
        assert found.scalar_one() == 2
    async with world.context.database.begin(read_only=True) as tx:
        query = select(LedgerEntry).where(LedgerEntry.kind == Act.VIEW).order_by(LedgerEntry.id)
        looks = (await tx.execute(query)).scalars().all()
        assert [await sight_of(tx, keyring_of(world.context), one) for one in looks] == [Sight.ROSTER, *[Sight.TIMELINE] * 2]


async def test_who_has_not_heard_of_it_goes_on_taking_in_and_writes_under_the_new_version(world: World) -> None:
    """The world's processes hold the first version in memory; somebody else replaces it."""
    await fill(world)
    other = keyring_of(world.context)
    database = world.context.database
    assert await rotation.begin(database, other, world.union.id, Lane.FACTUAL) == (2, True)
    assert (await world.deliver(alert(id="b-1"))).status_code == 202
    assert await rotation.begin(database, other, world.union.id, Lane.FACTUAL) == (2, False)
    async with database.begin(read_only=True) as tx:
        newest = (await tx.execute(select(Receipt.wrapped_key).order_by(Receipt.id.desc()).limit(1))).scalar_one()
    assert crypto.version_of(newest or b"") == 2
    await world.workers.drain()
    async for _ in rotation.move(database, other, world.union.id, Lane.FACTUAL):
        assert (await world.deliver(alert(id="b-2"))).status_code == 202
    assert await rotation.end(database, other, world.union.id, Lane.FACTUAL) == {}
    assert (await world.deliver(alert(id="b-3"))).status_code == 202
    assert {item["kind"] for item in await world.timeline()} == {"new_account.credit_card"}
    assert {json.loads(body).get("id") for body in await bodies(world)} >= {"b-1", "b-2", "b-3"}


async def test_an_end_comes_only_when_nothing_is_left(world: World) -> None:
    await fill(world)
    database, keyring = world.context.database, world.context.keyring
    await rotation.begin(database, keyring, world.union.id, Lane.FACTUAL)
    left = await rotation.end(database, keyring, world.union.id, Lane.FACTUAL)
    assert left["member.wrapped_key"] == 3
    assert (Lane.FACTUAL.value, 1, True) in await versions(world)
    async with database.begin(read_only=True) as tx:
        status = await rotation.status(tx)
    assert status[str(world.union.id)]["factual"] == {"versions": [1, 2], "left": left}
    assert status[str(world.union.id)]["counsel"] == {"versions": [1], "left": {}}


async def test_what_cannot_be_opened_is_left_and_keeps_the_old_version_alive(world: World) -> None:
    await fill(world)
    database, keyring = world.context.database, world.context.keyring
    async with database.begin() as tx:
        member = await tx.get_one(Member, world.union.members["M-2"])
        member.wrapped_key = (member.wrapped_key or b"")[:-1] + b"\x00"
    await rotation.begin(database, keyring, world.union.id, Lane.FACTUAL)
    moved = [one async for one in rotation.move(database, keyring, world.union.id, Lane.FACTUAL)]
    assert ("member.wrapped_key", 2) in {(one.place, one.moved) for one in moved}
    assert await rotation.end(database, keyring, world.union.id, Lane.FACTUAL) == {"member.wrapped_key": 1}


async def test_erased_stays_erased(world: World) -> None:
    await world.deliver(FIRST)
    await world.workers.drain()
    async with await world.sign_in(Role.ADMIN) as admin:
        assert (await admin.post(f"/v1/members/{world.union.members['M-1']}/erasure")).status_code == 204
    await world.workers.drain()
    before = await hanging(world.context, world.union.id)
    await replace_all(world)
    assert await hanging(world.context, world.union.id) == before
    async with world.context.database.begin(read_only=True) as tx:
        assert (await tx.get_one(Member, world.union.members["M-1"])).wrapped_key is None
    assert await bodies(world) == set()


async def test_what_a_contract_has_taken_keeps_its_remains(world: World) -> None:
    await fill(world)
    async with world.context.database.begin() as tx:
        await erase_body(tx, world.context.keyring, (await tx.execute(select(Receipt))).scalar_one())
    before = await hanging(world.context, world.union.id)
    assert "receipt.remains_sealed" in {name for name, *_ in before}
    await replace_all(world)
    assert await hanging(world.context, world.union.id) == before


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)  # SQLite has one writer: nobody else is in the middle
async def test_who_is_just_writing_under_the_old_version_is_waited_for(world: World) -> None:
    database, connection = world.context.database, world.union.connection.connection
    slow, other = keyring_of(world.context), keyring_of(world.context)
    async with database.begin() as tx:
        await keep(tx, slow, connection, Arrival(b"written slowly", AUTHENTIC))
        assert await rotation.begin(database, other, world.union.id, Lane.FACTUAL) == (2, True)
        async for _ in rotation.move(database, other, world.union.id, Lane.FACTUAL):
            pass
        ending = asyncio.create_task(rotation.end(database, other, world.union.id, Lane.FACTUAL))
        done, _ = await asyncio.wait([ending], timeout=0.5)
        assert not done
    assert await ending == {"receipt.wrapped_key": 1}
    await replace_all(world, other)
    assert b"written slowly" in await bodies(world)


async def test_who_goes_back_to_a_savepoint_asks_again(world: World) -> None:
    """What was held since then is held no more."""
    looks: list[str] = []
    engine = world.context.database.engine.sync_engine

    def look(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        looks.extend(["look"] if "FROM organization_key" in statement else [])

    keyring = world.context.keyring
    async with world.context.database.begin() as tx:
        await keyring.for_writing(tx, world.union.id)
    event.listen(engine, "before_cursor_execute", look)
    try:
        async with world.context.database.begin() as tx:
            savepoint = await tx.begin_nested()
            await keyring.for_writing(tx, world.union.id)
            await keyring.for_writing(tx, world.union.id)
            assert len(looks) == 1
            await savepoint.rollback()
            await keyring.for_writing(tx, world.union.id)
            await keyring.for_writing(tx, world.union.id)
            assert len(looks) == 2
            async with tx.begin_nested():
                await keyring.for_writing(tx, world.union.id)
            assert len(looks) == 2
    finally:
        event.remove(engine, "before_cursor_execute", look)


async def test_a_row_read_before_the_end_is_to_be_read_again_and_one_from_long_before_is_unreadable(world: World) -> None:
    async with world.context.database.begin(read_only=True) as tx:
        member = await tx.get_one(Member, world.union.members["M-1"])
    old = member.wrapped_key or b""
    await replace_all(world)
    new = keyring_of(world.context)
    async with world.context.database.begin(read_only=True) as tx:
        with pytest.raises(KeysAway):
            await new.unwrap(tx, world.union.id, old, "member", member.id)
        clock.set_to(NOW + timedelta(hours=1))
        with pytest.raises(Unreadable):
            await new.unwrap(tx, world.union.id, old, "member", member.id)


async def test_a_key_that_was_never_committed_is_not_remembered(world: World) -> None:
    """The canary's organization has an id that is known beforehand: its keys may be made twice, the first time in vain."""
    keyring, database, one = world.context.keyring, world.context.database, UUID(int=7)
    seen = []

    async def make(in_vain: bool, *version: int) -> None:
        with suppress(ZeroDivisionError):
            async with database.begin() as tx:
                if version:
                    await keyring.make(tx, one, Lane.FACTUAL, *version, crypto.new_key())
                else:
                    await keyring.create_organization(tx, one)
                seen.append((await keyring.opened(tx, one)).key)
                seen.append((await keyring.for_writing(tx, one)).key)
                if in_vain:
                    raise ZeroDivisionError

    for in_vain in (True, False):
        await make(in_vain)
    for in_vain in (True, False):
        await make(in_vain, 2)
    assert len(set(seen)) == 4
    async with database.begin() as tx:
        sealed = await keyring.seal(tx, one, Lane.FACTUAL, "x", "here")
        assert await keyring_of(world.context).unseal(tx, one, Lane.FACTUAL, sealed, "here") == "x"


async def test_the_top_key_is_replaced_under_everybody(world: World, tmp_path: Path) -> None:
    """Each process has a vault of its own over the same file; the others know of nothing."""
    await fill(world)
    vault = with_key_file(world, tmp_path)
    old, before = vault.keys[0], await hanging(world.context, world.union.id)
    entries = await acts(world, world.union.id)
    path, database = vault.path, world.context.database
    rotator, idle = Keyring(KeyFile(path)), Keyring(KeyFile(path))
    theirs = rotator.vault
    assert isinstance(theirs, KeyFile)
    name = rotation.prepare_top(theirs)
    assert rotation.prepare_top(theirs) == name, "once"
    assert read_key_file(path) == theirs.keys
    assert await rotation.replace_top(database, rotator, theirs) == 4
    assert read_key_file(path) == theirs.keys == (theirs.keys[0],)
    assert await hanging(world.context, world.union.id, idle) == before
    assert await hanging(world.context, world.union.id, Keyring(KeyFile(path))) == before
    async with database.begin() as tx:
        await idle.create_organization(tx, UUID(int=9))
        tops = set((await tx.execute(select(OrganizationKey.top))).scalars())
        assert tops == {name} == {fingerprint(theirs.keys[0])}
        with pytest.raises(KeysAway):
            await Keyring(old).refreshed(tx, world.union.id)
    assert await acts(world, world.union.id) == entries + 2
    assert (await world.deliver(alert(id="c-1"))).status_code == 202


async def test_who_makes_a_key_with_the_old_top_key_in_memory_takes_the_new_one(world: World, tmp_path: Path) -> None:
    vault = with_key_file(world, tmp_path)
    idle = Keyring(KeyFile(vault.path))
    rotation.prepare_top(vault)
    await rotation.replace_top(world.context.database, world.context.keyring, vault)
    async with world.context.database.begin() as tx:
        await idle.create_organization(tx, UUID(int=8))
    async with world.context.database.begin() as tx:
        assert (await Keyring(KeyFile(vault.path)).opened(tx, UUID(int=8))).version == 1


async def test_keys_wrapped_before_top_keys_had_names_are_taken_along(world: World, tmp_path: Path) -> None:
    vault = with_key_file(world, tmp_path)
    async with world.context.database.begin() as tx:
        await tx.execute(update(OrganizationKey).values(top=None, created_at=None))
    before = await hanging(world.context, world.union.id)
    rotation.prepare_top(vault)
    assert await hanging(world.context, world.union.id) == before, "with two keys in the file"
    await rotation.replace_top(world.context.database, world.context.keyring, vault)
    assert await hanging(world.context, world.union.id) == before
    async with world.context.database.begin(read_only=True) as tx:
        assert await tx.get(OrganizationKey, (NOBODY, SYSTEM_LANE, 0)) is not None
