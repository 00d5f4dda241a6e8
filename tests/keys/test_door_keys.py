"""What the door has: it opens no body, is not to be slipped in, and is handed over again whenever it is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from sqlalchemy import delete, event, insert, select, update
from sqlalchemy.engine import Engine

from app import rotation, upkeep_commands
from app.connections import managing
from app.connections import service as connections
from app.connections.service import Created
from app.handing_over import hand_over, replace_door
from app.intake.models import Receipt
from app.kit import crypto
from app.kit.crypto import KeysAway, Unreadable
from app.kit.door_keys import DoorKey, DoorKeys, Handed, place_of
from app.kit.keyring import Keyring, Lane, OpenedKeys, OrganizationKey
from app.kit.slot import SlotKey
from app.kit.vault import HeldKeys, KeyFile, read_key_file
from connectors.contract import Sender
from tests.keys.doors import as_it_was_before, elsewhere, held, ring_of, serving
from tests.keys.hanging import bodies, hanging, keyring_of
from tests.keys.test_rotation import replace_all, with_key_file
from tests.support.world import Tenant, World

BODY, NEXT = b'{"id": "one"}', b'{"id": "two"}'
SOMEBODY = UUID(int=11)


async def rows(world: World) -> list[DoorKey]:
    async with world.context.database.begin(read_only=True) as tx:
        return list((await tx.execute(select(DoorKey).order_by(DoorKey.organization_id, DoorKey.version))).scalars())


async def taken_by_the_door_alone(world: World, body: bytes, tenant: Tenant | None = None) -> int:
    """What a process says to a delivery that has the door's key and no other."""
    async with serving(elsewhere(world)) as web:
        return (await web.deliver(tenant or world.union, body)).status_code


async def from_array(world: World, *sources: str) -> Created:
    """A connection that takes deliveries from some addresses only."""
    async with world.context.database.begin() as tx:
        settings = {"client_token": "invented", "sources": list(sources)}
        return await connections.create_connection(
            tx, world.context.keyring, world.union.id, connector="array", title="A", sender=Sender.PROVIDER, settings=settings
        )


async def knock(world: World, made: Created) -> int:
    """What a door alone on this machine says to a notice of such a connection."""
    async with serving(elsewhere(world)) as web:
        answer = await web.client.post(made.path, content=b"{}", headers={"content-type": "application/json"})
    return answer.status_code


async def handed(world: World, tenant: Tenant) -> Handed:
    """What an organization has handed over, as whoever has the door's key reads it."""
    (row,) = [row for row in await rows(world) if row.organization_id == tenant.id]
    raw = await ring_of(world).vault.unwrap(row.door, row.wrapped, place_of(tenant.id, row.version))
    return msgspec.json.decode(raw, type=Handed)


PURPOSES = ("wrap", "seal", "slot", "door", "door's key", "unchanging", "key in a slot", "ledger:salt", "fingerprint")


def all_made_of(secrets: list[bytes]) -> Iterator[bytes]:
    """Every key, and what this code would derive of each."""
    for secret in secrets:
        yield secret
        yield from (crypto.derive(secret, purpose) for purpose in PURPOSES)


def opened_by(secret: bytes, receipt: Receipt) -> bool:
    """Whether a key of 32 bytes opens a receipt's own key, or its body, in any way that this code knows."""
    value, here = receipt.wrapped_key or b"", crypto.place(receipt.organization_id, "receipt", receipt.id)
    for take in (SlotKey(secret).unseal, crypto.Sealer(secret, 1).unseal):
        with suppress(Unreadable):
            take(value, here)
            return True
    with suppress(Unreadable):
        crypto.unseal(secret, receipt.sealed, crypto.place("receipt", "sealed", receipt.id))
        return True
    with suppress(InvalidTag):
        AESGCMSIV(secret).decrypt(value[35:47], value[47:], value[:35] + here)
        return True
    return False


async def test_whoever_has_the_doors_key_and_the_database_opens_no_body(world: World) -> None:
    assert await taken_by_the_door_alone(world, BODY) == 202
    assert (await world.deliver(NEXT)).status_code == 202
    has = [held(world)[1]]
    for tenant in (world.union, world.other):
        found = await handed(world, tenant)
        has += [found.sealing, found.public, *found.indexes.values()]
    async with world.context.database.begin(read_only=True) as tx:
        receipts = (await tx.execute(select(Receipt))).scalars().all()
        keys = await keyring_of(world.context).opened(tx, world.union.id)
    assert len(receipts) == 2
    for receipt in receipts:
        assert receipt.wrapped_key is not None
        assert receipt.wrapped_key[:1] == crypto.IN_SLOT
        assert not any(opened_by(secret, receipt) for secret in all_made_of(has))
        assert opened_by(crypto.derive(keys.key, "slot"), receipt), "this test would notice"
    assert await bodies(world) == {BODY, NEXT}


async def test_what_was_handed_over_is_what_is_needed_and_no_more(world: World) -> None:
    found = await handed(world, world.union)
    async with world.context.database.begin(read_only=True) as tx:
        keys = await keyring_of(world.context).opened(tx, world.union.id)
    assert set(found.indexes) == {"receipt.body"}
    private = X25519PrivateKey.from_private_bytes(crypto.derive(keys.key, "slot"))
    assert found.public == private.public_key().public_bytes_raw()
    assert keys.key not in (found.sealing, *found.indexes.values())


async def slip_in(world: World, wrapped: bytes) -> None:
    async with world.context.database.begin() as tx:
        await tx.execute(update(DoorKey).where(DoorKey.organization_id == world.union.id).values(wrapped=wrapped))


@pytest.mark.long
async def test_who_writes_the_database_slips_in_no_public_key(world: World) -> None:
    """Their own, another organization's, one with a flipped bit: nothing is sealed to it, with the top key or without."""
    good = {row.organization_id: row.wrapped for row in await rows(world)}
    own = replace_public(await handed(world, world.union), SlotKey(bytes(32)).public)
    own_wrapped = await HeldKeys(bytes(32)).wrap(own, place_of(world.union.id, 1))
    flipped = bytes([*good[world.union.id][:-1], good[world.union.id][-1] ^ 1])
    for number, wrapped in enumerate((own_wrapped, good[world.other.id], flipped, b"", good[world.union.id][:40])):
        await slip_in(world, wrapped)
        body = b'{"id": "%d"}' % number
        assert await taken_by_the_door_alone(world, body) == 503
        async with serving(elsewhere(world, HeldKeys(held(world)[0]))) as web:
            assert (await web.deliver(world.union, body)).status_code == 202
    assert len(await bodies(world)) == 5, "each opens by the organization's own key"
    await slip_in(world, good[world.union.id])
    assert await taken_by_the_door_alone(world, BODY) == 202


def replace_public(found: Handed, public: bytes) -> bytes:
    return msgspec.json.encode(Handed(found.sealing, public, found.indexes))


async def test_a_version_that_is_gone_keeps_nothing_whoever_brings_its_row_back(world: World) -> None:
    (old,) = [row for row in await rows(world) if row.organization_id == world.union.id]
    await replace_all(world)
    assert [(row.version, row.door) for row in await rows(world)] == [(2, old.door), (2, old.door)]
    async with world.context.database.begin() as tx:
        await tx.execute(delete(DoorKey).where(DoorKey.organization_id == world.union.id))
        values = {name: getattr(old, name) for name in ("organization_id", "version", "wrapped", "door", "created_at")}
        await tx.execute(insert(DoorKey).values(**values))
    assert await taken_by_the_door_alone(world, BODY) == 503
    assert await bodies(world) == set()


async def test_an_organization_whose_key_is_destroyed_has_nothing_left_to_read(world: World) -> None:
    assert await taken_by_the_door_alone(world, BODY) == 202
    async with world.context.database.begin() as tx:
        mine = OrganizationKey.organization_id == world.union.id
        await tx.execute(update(OrganizationKey).where(mine, OrganizationKey.lane == Lane.FACTUAL).values(wrapped=None))
    with pytest.raises((Unreadable, ValueError)):
        await bodies(world)


async def test_after_a_rotation_the_door_goes_on_by_the_new_version(world: World) -> None:
    old = await from_array(world, "127.0.0.1/32")
    assert await taken_by_the_door_alone(world, BODY) == 202
    assert await knock(world, old) == 202
    before = await hanging(world.context, world.union.id)
    assert await rotation.begin(world.context.database, keyring_of(world.context), world.union.id, Lane.FACTUAL) == (2, True)
    async with serving(elsewhere(world)) as web:
        assert (await web.deliver(world.union, b"{}")).status_code == 202, "with secrets under the version before"
        await replace_all(world)
        assert (await web.deliver(world.union, NEXT)).status_code == 202, "one that was there all the time"
        assert (await web.deliver(world.union, BODY)).json()["repeat"] is True
    assert await knock(world, old) == 202
    after = await hanging(world.context, world.union.id)
    assert {place: after[place] for place in before} == before
    async with world.context.database.begin(read_only=True) as tx:
        wrapped = (await tx.execute(select(Receipt.wrapped_key).where(Receipt.organization_id == world.union.id))).scalars()
        assert {(one or b"")[:3] for one in wrapped} == {crypto.header(2, crypto.IN_SLOT)}


async def test_who_has_not_the_doors_key_replaces_no_key_behind_its_back(world: World) -> None:
    without = Keyring(world.context.keyring.vault)
    with pytest.raises(KeysAway, match="HARMLINE_DOOR_KEY_FILE"):
        await rotation.begin(world.context.database, without, world.union.id, Lane.FACTUAL)
    assert [row.version for row in await rows(world)] == [1, 1]
    assert await taken_by_the_door_alone(world, BODY) == 202


async def test_who_has_another_key_than_the_door_hands_over_nothing_unless_told_to(world: World) -> None:
    """A second machine whose file was made there, and not carried over: what it would hand over the door could not open."""
    top_key, _ = held(world)
    stranger = Keyring(top_key, HeldKeys(bytes(range(32))))
    with pytest.raises(KeysAway, match="HARMLINE_DOOR_KEY_FILE"):
        await rotation.begin(world.context.database, stranger, world.union.id, Lane.FACTUAL)
    async with world.context.database.begin() as tx:
        await stranger.create_organization(tx, SOMEBODY)
    before = [(row.organization_id, row.door) for row in await rows(world)]
    assert SOMEBODY not in {organization_id for organization_id, _ in before}
    assert await hand_over(world.context.database, stranger) == 0
    assert [(row.organization_id, row.door) for row in await rows(world)] == before
    assert await hand_over(world.context.database, world.context.keyring) == 1, "who has the door's key does it"
    assert len({row.door for row in await rows(world)}) == 1
    assert await hand_over(world.context.database, stranger, anew=True) == 3
    assert await taken_by_the_door_alone(world, BODY) == 503
    assert await hand_over(world.context.database, world.context.keyring, anew=True) == 3
    assert await taken_by_the_door_alone(world, BODY) == 202


async def test_a_connection_that_is_gone_holds_up_no_rotation(world: World) -> None:
    """What its secret was is destroyed: there is nothing to be put under the new version."""
    async with world.context.database.begin() as tx:
        await managing.close(tx, world.context.keyring, world.union.id, world.union.connection.connection.id)
    await replace_all(world)


async def test_an_installation_from_before_goes_on_and_hands_over(world: World) -> None:
    made = await from_array(world, "127.0.0.1/32")
    closed = await from_array(world, "192.0.2.0/24")
    assert (await world.deliver(BODY)).status_code == 202
    before = await hanging(world.context, world.union.id)
    await as_it_was_before(world)
    sources = [place for place in before if place[0] == "connection.sources_sealed"]
    assert len(sources) == 2
    assert await hanging(world.context, world.union.id) == {place: before[place] for place in before if place not in sources}
    assert await taken_by_the_door_alone(world, NEXT) == 503
    async with serving(elsewhere(world, HeldKeys(held(world)[0]))) as web:
        assert (await web.deliver(world.union, NEXT)).status_code == 202, "by the top key"
        assert (await web.deliver(world.union, BODY)).json()["repeat"] is True
    assert await hand_over(world.context.database, world.context.keyring) == 2
    assert await hand_over(world.context.database, world.context.keyring) == 0
    assert await taken_by_the_door_alone(world, b"{}") == 202
    assert await taken_by_the_door_alone(world, b"{}", world.other) == 202
    assert (await knock(world, made), await knock(world, closed)) == (202, 401)
    after = await hanging(world.context, world.union.id)
    assert {place: after[place] for place in before} == before
    assert await bodies(world) >= {BODY, NEXT, b"{}"}


class Killed(Exception):
    """The process ends here."""


async def test_whoever_hands_over_may_be_stopped_at_any_step(world: World) -> None:
    await from_array(world, "127.0.0.1/32")
    assert (await world.deliver(BODY)).status_code == 202
    before = await hanging(world.context, world.union.id)
    await as_it_was_before(world)
    steps, die_at = 0, 1

    def step(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        nonlocal steps
        if not connection.get_execution_options().get("read_only") and not statement.startswith(("SELECT set_config", "PRAGMA")):
            steps += 1
            if steps == die_at:
                raise Killed

    engine: Engine = world.context.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", step)
    try:
        while True:
            steps = 0
            try:
                await hand_over(world.context.database, world.context.keyring)
                break
            except Killed:
                die_at += 1
            event.remove(engine, "before_cursor_execute", step)
            found = await hanging(world.context, world.union.id)
            assert {place: found[place] for place in before if place in found} == {
                place: value for place, value in before.items() if place in found
            }
            event.listen(engine, "before_cursor_execute", step)
    finally:
        event.remove(engine, "before_cursor_execute", step)
    assert die_at > 8
    assert await hanging(world.context, world.union.id) == before
    assert await taken_by_the_door_alone(world, NEXT) == 202


async def test_the_doors_key_is_replaced_under_everybody(world: World, tmp_path: Path) -> None:
    with_key_file(world, tmp_path)
    path = tmp_path / "door.key"
    old = read_key_file(path)
    idle = replace(world.context, keyring=Keyring(HeldKeys(), KeyFile(path)))
    async with serving(idle) as web:
        assert (await web.deliver(world.union, BODY)).status_code == 202
        rotator = Keyring(world.context.keyring.vault, KeyFile(path))
        assert await replace_door(world.context.database, rotator) == 2
        (new,) = read_key_file(path)
        assert new != old[0]
        assert (await web.deliver(world.union, NEXT)).status_code == 202
        assert (await web.deliver(world.other, NEXT)).status_code == 202, "which it had not heard of"
    assert len({row.door for row in await rows(world)}) == 1
    stale = replace(world.context, keyring=Keyring(HeldKeys(), HeldKeys(*old)))
    async with serving(stale) as web:
        assert (await web.deliver(world.union, b"{}")).status_code == 503, "the old key is worth nothing"


async def test_whoever_replaces_the_doors_key_may_be_stopped(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_key_file(world, tmp_path)
    path, real = tmp_path / "door.key", KeyFile.replace

    def stopped(self: KeyFile, keys: Any) -> None:
        if len(keys) == 1:
            raise Killed
        real(self, keys)

    with monkeypatch.context() as patched:
        patched.setattr(KeyFile, "replace", stopped)
        with pytest.raises(Killed):
            await replace_door(world.context.database, world.context.keyring)
    two = read_key_file(path)
    assert len(two) == 2
    context = replace(world.context, keyring=Keyring(HeldKeys(), KeyFile(path)))
    async with serving(context) as web:
        assert (await web.deliver(world.union, BODY)).status_code == 202
    assert await replace_door(world.context.database, world.context.keyring) == 0
    assert read_key_file(path) == two[:1]


async def test_a_restored_database_hands_over_to_the_key_that_is_here_now(world: World) -> None:
    """The door's key was on the machine that is lost."""
    door = HeldKeys(bytes(range(32)))
    here = replace(world.context, keyring=Keyring(world.context.keyring.vault, door))
    assert await hand_over(world.context.database, here.keyring) == 0, "nobody takes another machine's door by starting"
    await upkeep_commands.finish(here, world.context.database.url)
    async with serving(elsewhere(world, door=door)) as web:
        assert (await web.deliver(world.union, BODY)).status_code == 202
    assert await taken_by_the_door_alone(world, NEXT) == 503


async def test_what_never_was_committed_is_handed_over_to_nobody(world: World) -> None:
    """Who makes an organization and fails leaves no row of the door's, either."""
    before = len(await rows(world))
    with suppress(ZeroDivisionError):
        async with world.context.database.begin() as tx:
            await world.context.keyring.create_organization(tx, SOMEBODY)
            raise ZeroDivisionError
    assert len(await rows(world)) == before


def test_the_door_opens_only_what_was_made_for_it() -> None:
    keys = OpenedKeys(SOMEBODY, {1: bytes(32), 2: bytes(range(32))})
    door = DoorKeys(SOMEBODY, keys.handed())
    sealed = keys.seal_for_door(b"secret", "here")
    assert door.open_for_door(sealed, "here") == keys.open_for_door(sealed, "here") == b"secret"
    with pytest.raises(Unreadable):
        door.open_for_door(sealed, "there")
    for other in (keys.seal(b"x", "here"), keys.wrap(bytes(32), "here"), crypto.seal(bytes(32), b"x", b"")):
        with pytest.raises(KeysAway):
            door.open_for_door(other, "here")
    for field in ("member.external_id", "receipt.page"):
        with pytest.raises(KeysAway):
            door.index(field, b"x")
    assert door.index("receipt.body", b"x") == keys.index("receipt.body", b"x")
    assert keys.unwrap(door.put_in_slot(b"k" * 32, "here"), "here") == b"k" * 32
