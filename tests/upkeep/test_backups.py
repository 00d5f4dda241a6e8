"""A backup holds everything and tells nothing; what was changed in it is noticed; it restores into an empty database only."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from sqlalchemy import text

from app.kit import crypto
from app.kit.database import Database
from app.kit.errors import Problem
from app.kit.keyring import Keyring, Lane
from app.operations import accounts
from app.upkeep import backups, copies
from app.upkeep.manifest import NAME, Manifest, fingerprint, read_manifest, write_manifest
from tests.api.canaries import Canaries
from tests.support.rows import contents
from tests.support.world import World, alert
from tests.upkeep.places import Places, written_out


async def busy(world: World) -> None:
    await world.deliver({"alerts": [alert(), alert(id="a-2", member="ref-M-2"), alert(id="a-3", member="ref-nobody")]})
    await world.workers.drain()


async def test_a_backup_is_whole_and_says_what_is_in_it(places: Places) -> None:
    await busy(places.world)
    made = await places.back_up()
    manifest = await read_manifest(made, places.keyring())
    union = places.world.union.id
    assert manifest.census.accounts[str(union)] == await accounts(places.world.context, union)
    assert manifest.census.tables["receipt"] == 1
    assert manifest.census.ledger.entries == manifest.census.tables["ledger_entry"] > 0
    assert manifest.key == fingerprint(places.keyring())
    await places.verify(made)
    assert [path.name for path in made.parent.iterdir()] == [made.name], "neither scratch nor half of one is left"
    assert {path.stat().st_mode & 0o077 for path in [made, *made.iterdir()] if path.name != NAME} == {0}


@pytest.mark.parametrize("many", [pytest.param(500, marks=pytest.mark.sample), pytest.param(5_000, marks=pytest.mark.slow)])
async def test_neither_key_nor_content_can_be_read_in_a_backup(places: Places, many: int) -> None:
    world, canaries = places.world, Canaries()
    wanted = [
        alert(id=f"a-{n}", member=f"ref-M-{n % 4}", summary=f"{canaries.word('summary')} {canaries.number('summary')}")
        for n in range(many)
    ]
    for start in range(0, len(wanted), 250):
        assert (await world.deliver({"alerts": wanted[start : start + 250]})).status_code == 202
    await world.workers.drain()
    made = await places.back_up()
    found = await written_out(made, world.context.database)
    assert len(canaries.given) == 2 * many
    assert canaries.found_in(found) == {}
    for name in (b"Avery Invented", b"avery@example.org", b"Avery Invented".hex().encode()):
        assert name not in found
    async with world.context.database.begin(read_only=True) as tx:
        keys = [(await world.context.keyring.opened(tx, world.union.id, lane)).key for lane in Lane]
    for key in (world.context.keyring.vault.first, *keys):
        assert key is not None
        for form in (key, key.hex().encode(), base64.b64encode(key)):
            assert form not in found
    assert b"receipt" in found, "what is looked through is the backup itself"


async def _resign(backup: Path, keyring: Keyring, **change: object) -> None:
    manifest = (await read_manifest(backup, keyring)).model_dump() | change
    await write_manifest(backup, Manifest.model_validate(manifest), keyring)


async def test_what_was_changed_is_noticed(places: Places) -> None:
    await busy(places.world)
    made = await places.back_up()
    (copy,) = (path for path in made.iterdir() if path.name != NAME)
    whole, told = copy.read_bytes(), (made / NAME).read_text()

    async def refused(saying: str) -> None:
        with pytest.raises(Problem, match=saying):
            await places.verify(made)
        copy.write_bytes(whole)
        (made / NAME).write_text(told)

    copy.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    await refused("was changed, or is damaged")
    copy.unlink()
    await refused("is missing")
    (made / "more").write_text("x")
    await refused("more does not belong here")
    (made / "more").unlink()
    (made / NAME).write_text(told.replace('"receipt": 1', '"receipt": 2'))
    await refused("not as it was written")
    (made / NAME).write_text(told.replace('"receipt": 1', '"receipt": 1, "\\ud800": 1'))
    await refused("not as it was written")
    deep = "[" * 300 + "]" * 300  # so deep a reader may go, and the canonical form need not
    (made / NAME).write_text(
        json.dumps(json.loads(told) | {"manifest": json.loads(told)["manifest"] | {"more": json.loads(deep)}})
    )
    await refused("not as it was written")
    for broken in (told[:100], "[" * 100_000):
        (made / NAME).write_text(broken)
        await refused("cannot be read")
    census = json.loads(told)["manifest"]["census"]
    await _resign(made, places.keyring(), census=census | {"tables": census["tables"] | {"receipt": 2}})
    await refused("receipt: 1 rows, not 2")
    await _resign(made, places.keyring(), census=census | {"ledger": census["ledger"] | {"commitment": "00"}})
    await refused("ledger: ends with")
    union = str(places.world.union.id)
    wrong = census["accounts"] | {union: census["accounts"][union] | {"receipts": 2}}
    await _resign(made, places.keyring(), census=census | {"accounts": wrong})
    await refused(f"accounts of organization {union}")
    await _resign(made, places.keyring(), schema_revision="0001")
    await refused("not 0001")
    await places.verify(made)


async def test_another_key_opens_no_backup(places: Places) -> None:
    made = await places.back_up()
    other = Keyring(crypto.new_key())
    with pytest.raises(Problem, match="needs the key"):
        await backups.verify(made, places.world.owner_url, other)
    # Whoever writes a manifest of their own for somebody else's copy has its description, and still not its keys.
    await write_manifest(
        made, (await read_manifest(made, places.keyring())).model_copy(update={"key": fingerprint(other)}), other
    )
    with pytest.raises(Problem, match="does not open the keys"):
        await backups.verify(made, places.world.owner_url, other)


@pytest.mark.long
async def test_what_is_restored_is_what_was_backed_up(places: Places) -> None:
    await busy(places.world)
    before = await contents(places.world.context.database, without=frozenset({"outbox_consumer", "session", "sign_in_link"}))
    made = await places.back_up()
    restored = await places.restore(made, [])
    assert (restored.applied.members, restored.applied.keys) == (0, 0)
    context = places.restored()
    after = await contents(context.database, without=frozenset({"outbox_consumer", "session", "sign_in_link"}))
    await context.database.close()
    assert after == before


@pytest.mark.long
async def test_a_database_that_holds_anything_is_never_overwritten(places: Places) -> None:
    await busy(places.world)
    made = await places.back_up()
    before = await contents(places.world.context.database)
    places.empty_url, empty = places.world.context.database.url, places.empty_url
    with pytest.raises(Problem, match="is not empty"):
        await places.restore(made, [])
    assert await contents(places.world.context.database) == before
    places.empty_url = empty
    await places.restore(made, [])
    with pytest.raises(Problem, match="is not empty"):
        await places.restore(made, [])


@pytest.mark.long
async def test_a_restore_that_was_broken_off_leaves_nothing_usable_and_can_begin_again(places: Places) -> None:
    await busy(places.world)
    made = await places.back_up()

    async def dies(_: str) -> None:
        raise ConnectionError

    keyring = places.keyring()
    with pytest.raises(ConnectionError):
        await backups.restore(made, places.empty_url, keyring, [], dies)
    database = Database(places.empty_url)
    if database.is_sqlite:
        assert not copies.sqlite_path(places.empty_url).exists()
    else:
        async with database.begin(read_only=True) as tx:
            assert await copies.is_unfinished(tx)
    await places.restore(made, [])
    async with database.begin(read_only=True) as tx:
        assert not await copies.is_unfinished(tx)
        assert (await tx.execute(text("SELECT count(*) FROM receipt"))).scalar_one() == 1
    await database.close()
