"""Whoever has the whole database, but no key, and tries numbers, finds none that is in it (I6).

Ten thousand are tried here, 200,000 with `--all`, hashed in every way that somebody without a key could think of. All billion
would show no more: every index is an HMAC under a key that is not in the database (`test_indexes.py`), and where a number stands
in plain, or hashed without a key, one number is enough to be found: the true one is among those tried.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.engine import make_url

from app.access.roles import Role
from app.members import service as members
from app.members.roster import EnrollmentEntry, Job, RosterEntry
from app.tables import metadata
from tests.keys.test_rotation import replace_all
from tests.support.world import World, alert

SPACE = [f"900-00-{number:04d}" for number in range(10_000)]
"""All numbers of an invented kind: no area of real ones begins with a nine."""

MORE = [f"9{number // 10_000:02d}-00-{number % 10_000:04d}" for number in range(10_000, 200_000)]
"""With those, twenty areas of such numbers."""

TRUE = "900-00-7351"
WINDOW = 8
HASHES = ("md5", "sha1", "sha256", "sha512", "blake2b")
_HEX, _BASE64 = re.compile(rb"[0-9a-fA-F]{16,}"), re.compile(rb"[0-9A-Za-z+/_-]{12,}")


async def put_in(world: World, number: str) -> None:
    """The number as the roster's id, in an address, as the provider's reference, in what was reported, asked and said."""
    context, union, connection = world.context, world.union, world.union.connection.connection
    entry = RosterEntry(2, number, "Drew Invented", f"{number}@example.org", {Job(date(2012, 1, 1), None)})
    async with context.database.begin() as tx:
        await members.import_roster(tx, context.keyring, union.id, [entry], ())
        enrolled = EnrollmentEntry(2, number, number, True, None, None)
        await members.import_enrollments(tx, context.keyring, union.id, connection.id, [enrolled], ())
        member = await members.find_member(tx, context.keyring, union.id, number)
    assert member is not None
    reported = alert(id=number, member=number, summary=f"Opened with {number}.", institution=number)
    assert (await world.deliver(reported)).status_code == 202
    assert (await world.deliver(number.encode(), headers={"content-type": "application/json"})).status_code == 202
    assert (await world.deliver(alert(id=f"{number}/2", member=f"nobody {number}"))).status_code == 202
    await world.workers.drain()
    async with await world.sign_in(Role.COUNSEL) as counsel:
        assert (await counsel.post("/v1/holds", json={"reason": number})).status_code == 201


async def stolen(world: World) -> bytes:
    """Every value of every table, one after the other, and what stands in them in hexadecimal and base64; SQLite's files too."""
    parts: list[bytes] = []
    async with world.context.database.begin(read_only=True) as tx:
        for table in metadata.sorted_tables:
            for row in (await tx.execute(select(table))).all():
                parts += [_raw(value) for value in row]
    url = make_url(world.context.database.url)
    if url.database and world.context.database.is_sqlite:
        parts += [path.read_bytes() for path in Path(url.database).parent.glob(Path(url.database).name + "*")]
    plain = b"\0".join(parts)
    hexadecimal = [bytes.fromhex(found.decode()[: len(found) // 2 * 2]) for found in _HEX.findall(plain)]
    coded = [base64.urlsafe_b64decode(found[: len(found) // 4 * 4].translate(_URL_SAFE)) for found in _BASE64.findall(plain)]
    return b"\0".join([plain, *hexadecimal, *coded])


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _raw(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return value.bytes if isinstance(value, UUID) else str(value).encode()


def spellings(number: str) -> Iterator[bytes]:
    """How a number may be written."""
    yield from (number.encode(), number.replace("-", "").encode())


def guesses(number: str, known: list[bytes]) -> Iterator[bytes]:
    """What may be made of a number by whoever knows the code and every id there is, but no key."""
    for text in spellings(number):
        for before in (b"", *known):
            message = before + text
            for name in HASHES:
                yield hashlib.new(name, message).digest()[:WINDOW]
        for key in (b"harmline", *known):
            yield hmac.digest(key, text, "sha256")[:WINDOW]
            yield hmac.digest(key, known[1] + text, "sha256")[:WINDOW]


@pytest.mark.parametrize(
    ("rotated", "more", "database_kind"),
    [
        (False, [], "sqlite"),
        (False, [], "postgresql"),
        pytest.param(True, [], "sqlite", marks=pytest.mark.slow),
        pytest.param(True, [], "postgresql", marks=pytest.mark.slow),
        pytest.param(False, MORE, "postgresql", marks=pytest.mark.slow),  # the places to look are those above
    ],
    ids=["first keys-sqlite", "first keys-postgresql", "replaced-sqlite", "replaced-postgresql", "many more-postgresql"],
    indirect=["database_kind"],
)
async def test_a_dictionary_of_numbers_finds_nothing_without_a_key_and_the_one_with_it(
    world: World, rotated: bool, more: list[str]
) -> None:
    await put_in(world, TRUE)
    if rotated:
        await replace_all(world)
    database = await stolen(world)
    assert len(database) > 50_000
    windows = {database[start : start + WINDOW] for start in range(len(database) - WINDOW)}
    union, connection = world.union.id, world.union.connection.connection.id
    known = [union.bytes, connection.bytes, str(union).encode(), str(connection).encode(), bytes(32)]
    for number in (*SPACE, *more):
        for text in spellings(number):
            assert number != TRUE or text not in database
        hits = [guess for guess in guesses(number, known) if guess in windows]
        assert hits == [], number
    async with world.context.database.begin(read_only=True) as tx:
        keys = await world.context.keyring.opened(tx, union)
    with_the_key = {
        field: [number for number in SPACE if keys.index(field, before + number.encode())[:WINDOW] in windows]
        for field, before in (("member.external_id", b""), ("enrollment.reference", connection.bytes))
    }
    assert with_the_key == {field: [TRUE] for field in with_the_key}, "the search itself finds what is there to be found"
