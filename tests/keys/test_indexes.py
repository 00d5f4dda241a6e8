"""Every index in the database is an HMAC under a key of 256 bits that is not in the database: so no dictionary is large enough.

Whoever wants to try a number, be it all billion of them, must make its index, and for that must guess the key. That the columns
of indexes are all there are is held by `tests/keys/test_rotation.py`; `test_dictionary.py` tries numbers.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import pytest
from sqlalchemy import select

from app.kit import crypto
from app.tables import metadata
from tests.access.entering import first_password, type_in
from tests.access.fake_provider import connect, serving
from tests.intake.exports import connected, exported, handed
from tests.intake.looked_up import looked_up_world
from tests.keys.test_dictionary import put_in, stolen
from tests.keys.test_rotation import EQUAL_FOR_EVER
from tests.support.world import World, make_world

NOTHING = b""
"""In look_up.reference_index: a notice that names nobody."""

COPIES = {"poll_subject.reference_index": "enrollment.reference_index"}
"""Columns that are filled from another one only; the first stays empty here, as no provider is asked member by member."""


@dataclass
class Made:
    """What every HMAC of this test gave, and under which key."""

    under: dict[bytes, bytes] = field(default_factory=dict)

    def hashed(self, key: bytes, value: bytes) -> bytes:
        """HMAC-SHA-256, noted."""
        made = hmac.digest(key, value, "sha256")
        self.under[made] = key
        return made

    def ready(self, key: bytes) -> Ready:
        """The same under one key."""
        return Ready(partial(self.hashed, key))


class Ready(NamedTuple):
    """One key that is ready for many values."""

    of: Callable[[bytes], bytes]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    """Notes every index while it is made; what is made stays as it is."""
    noted, real, ready = Made(), crypto.keyed_hash, crypto.KeyedHash
    monkeypatch.setattr(crypto, "keyed_hash", noted.hashed)
    monkeypatch.setattr(crypto, "KeyedHash", noted.ready)
    yield noted
    for key in noted.under.values():
        assert real(key, b"x") == ready(key).of(b"x") == hmac.digest(key, b"x", "sha256"), "as the service makes them"


async def values_of(world: World, column: str) -> set[bytes]:
    table, name = column.split(".")
    query: Any = select(metadata.tables[table].c[name]).where(metadata.tables[table].c[name].is_not(None))
    async with world.context.database.begin(read_only=True) as tx:
        return set((await tx.execute(query)).scalars())


async def make_busy(world: World) -> None:
    """Something in every column of an index."""
    await put_in(world, "900-00-7351")
    async with looked_up_world(world) as crs:
        await crs.enroll()
        crs.happens()
        await crs.notices()
        await world.workers.ask()
    await handed(world, await connected(world), exported(1))
    await first_password(world)
    async with world.browser() as browser:
        await type_in(browser, "nobody@example.org", "wrong", "000000")
    async with serving() as provider, world.browser() as browser:
        assert (await (await connect(world, provider)).sign_in(browser)).status_code == 303


async def test_every_index_is_made_under_a_key_that_is_not_in_the_database(database_url: str, made: Made) -> None:
    async with make_world(database_url) as world:
        await make_busy(world)
        database = await stolen(world)
        used: dict[str, set[bytes]] = {}
        for column in sorted(EQUAL_FOR_EVER):
            values = await values_of(world, column) - {NOTHING}
            assert values or column in COPIES, f"nothing is in {column}"
            assert [value for value in values if value not in made.under] == [], f"{column} holds what is no HMAC of ours"
            used[column] = {made.under[value] for value in values}
        keys = set().union(*used.values())
        assert {len(key) for key in keys} == {32}
        assert [key for key in keys if key in database or key.hex().encode() in database] == []
        organizations = {world.union.id, world.other.id}
        for column, theirs in used.items():
            one_for_all = column in ("account.email_index", "guesses.key")
            assert len(theirs) <= (1 if one_for_all else len(organizations)), f"{column} has one key for each organization"
        for column, other in (
            ("member.external_index", "enrollment.reference_index"),
            ("receipt.body_hash", "event.content_hash"),
        ):
            assert not used[column] & used[other], "what is equal in two columns does not look so"
