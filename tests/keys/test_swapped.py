"""What is sealed or wrapped for one place opens at no other: not in another row, column, lane, organization or version (I1)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import pytest
from sqlalchemy import select

from app.kit import crypto
from app.kit.crypto import Unreadable
from app.kit.keyring import OpenedKeys, Unchanging
from app.sealed_places import PLACES, How
from tests.keys.hanging import keyring_of
from tests.keys.test_rotation import fill, replace_all
from tests.support.world import World

ORGANIZATIONS, LANES, VERSIONS, ROWS = (UUID(int=1), UUID(int=2)), 2, (1, 2), 7
WORDS = ("member", "receipt", "event", "account", "connection_secret", "legal_hold")


@dataclass(frozen=True)
class Spot:
    """A place, the keys that open what stands there, and how."""

    keys: OpenedKeys
    where: tuple[object, ...]
    how: How

    def put(self, key: bytes) -> bytes:
        puts = {How.WRAPPED: self.keys.wrap, How.IN_SLOT: self.keys.put_in_slot}
        puts |= {How.SEALED: self.keys.seal, How.FOR_DOOR: self.keys.seal_for_door}
        return puts[self.how](key, *self.where)

    def take(self, value: bytes) -> bytes:
        takes = {How.WRAPPED: self.keys.unwrap, How.IN_SLOT: self.keys.unwrap}
        takes |= {How.SEALED: self.keys.unseal, How.FOR_DOOR: self.keys.open_for_door}
        return takes[self.how](value, *self.where)


def spots() -> Iterator[tuple[Spot, Spot]]:
    """Every place twice: as whoever writes it has the keys (one version), and as whoever reads it has them (both)."""
    for organization in ORGANIZATIONS:
        for _ in range(LANES):
            keys = {version: crypto.new_key() for version in VERSIONS}
            for version in VERSIONS:
                writer = OpenedKeys(organization, {version: keys[version]}, Unchanging({}, bytes(32)))
                reader = OpenedKeys(organization, keys)
                for word in WORDS:
                    for row in range(ROWS):
                        how = list(How)[row % len(How)]
                        yield Spot(writer, (word, row), how), Spot(reader, (word, row), how)


def test_of_a_hundred_thousand_swaps_none_is_taken() -> None:
    all_spots = list(spots())
    values = [(writer.put(bytes([number % 256])), reader) for number, (writer, reader) in enumerate(all_spots)]
    tried = taken = 0
    for value, home in values:
        assert home.take(value)
        for _, other in values:
            if (other.keys.key, other.where) == (
                home.keys.key,
                home.where,
            ):  # the same place, as the other version's writer has it
                continue
            tried += 1
            with suppress(Unreadable):
                other.take(value)
                taken += 1
    assert tried > 100_000
    assert taken == 0


def test_a_version_does_not_pass_for_another() -> None:
    keys = OpenedKeys(ORGANIZATIONS[0], {1: bytes(32), 2: bytes(32)})  # even where the keys were the same
    sealed = keys.seal(b"x", "here")
    for header in (crypto.header(1), crypto.header(3), b"\x01", b"\x02", b"\x02\x00", b""):
        with pytest.raises(Unreadable):
            keys.unseal(header + sealed[3:], "here")
    assert keys.unseal(sealed, "here") == b"x"


async def test_no_value_of_the_database_opens_in_the_place_of_another(world: World) -> None:
    """Every value of every place under every other row's place, of both organizations, before and after a rotation."""
    await fill(world)
    await world.deliver({"id": "x"}, tenant=world.other)
    for _ in range(2):
        found: list[tuple[Spot, bytes]] = []
        async with world.context.database.begin(read_only=True) as tx:
            for tenant in (world.union, world.other):
                for place in PLACES:
                    keys = await keyring_of(world.context).refreshed(tx, tenant.id, place.lane)
                    query = select(*place.key(), place.value()).where(place.of(tenant.id), place.value().is_not(None))
                    for row in (await tx.execute(query)).mappings():
                        where = (*place.words, *(row[name] for name in place.ids))
                        found.append((Spot(keys, where, place.how), row[place.column]))
        assert len(found) > 30
        opened = 0
        for spot, _ in found:
            for _, value in found:
                with suppress(Unreadable):
                    opened += bool(spot.take(value))
        assert opened == len(found), "each in its own place"
        await replace_all(world)
