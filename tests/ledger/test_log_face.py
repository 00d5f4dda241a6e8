"""What the log shows over HTTP is checked by what strangers have: our pure functions, keys and openssl, and no database."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from app.access.roles import Role
from app.kit import clock
from app.ledger import reading
from app.ledger.models import Checkpoint, LedgerEntry, Timestamp
from app.ledger.notes import Key, open_checkpoint, parse_checkpoint, parse_key, parse_note, verify
from app.ledger.proofs import check, read
from app.ledger.tree import root_of, verify_consistency
from tests.ledger.attested import attesting, grow, kept, trust
from tests.ledger.authority import authority, openssl
from tests.ledger.small_witness import small_witness
from tests.support.world import World
from tests.web.test_office_pages import text_of


@pytest.fixture
async def auditor(world: World) -> AsyncIterator[httpx.AsyncClient]:
    clock.set_to(clock.machine())
    async with await world.sign_in(Role.AUDITOR) as browser:
        yield browser


async def got(browser: httpx.AsyncClient, path: str, kind: str = "text/plain; charset=utf-8") -> bytes:
    answer = await browser.get(f"/v1/ledger/{path}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind), answer.text
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    return answer.content


async def keys(browser: httpx.AsyncClient) -> list[Key]:
    return [parse_key(line) for line in (await got(browser, "key")).decode().splitlines()]


async def every_leaf(browser: httpx.AsyncClient, size: int) -> list[bytes]:
    """All leaves' hashes, out of the tiles of level 0."""
    found = b""
    for index in range(0, size, 256):
        width = min(256, size - index)
        found += await got(browser, f"tile/0/{index // 256}?width={width}", "application/octet-stream")
    return [found[at : at + 32] for at in range(0, len(found), 32)]


async def test_a_stranger_checks_the_whole_log_with_its_key_alone(world: World, auditor: httpx.AsyncClient) -> None:
    newest = await grow(world, 600)
    checkpoint, _ = open_checkpoint(await got(auditor, "checkpoint"), await keys(auditor))
    assert (checkpoint.size, checkpoint.root) == (newest.size, newest.root)
    leaves = await every_leaf(auditor, checkpoint.size)
    assert root_of(leaves) == checkpoint.root
    above = await got(auditor, "tile/1/0?width=2", "application/octet-stream")
    assert above == root_of(leaves[:256]) + root_of(leaves[256:512])
    assert (await auditor.get("/v1/ledger/tile/1/0?width=3")).status_code == 404
    assert (await auditor.get("/v1/ledger/tile/0/2")).status_code == 404, "not full yet"


async def test_each_earlier_checkpoint_is_the_beginning_of_the_newest(world: World, auditor: httpx.AsyncClient) -> None:
    for count in (3, 300, 1):
        await grow(world, count)
    async with world.context.database.begin(read_only=True) as tx:
        rows = (await tx.execute(select(Checkpoint).where(Checkpoint.organization_id == world.union.id))).scalars().all()
    newest = max(rows, key=lambda row: row.size)
    for row in rows:
        assert parse_checkpoint(parse_note(await got(auditor, f"checkpoint?size={row.size}")).text).root == row.root
        proof = (await got(auditor, f"consistency?old={row.size}&new={newest.size}")).decode().splitlines()
        verify_consistency(row.size, row.root, newest.size, newest.root, [base64.b64decode(line) for line in proof])
    assert (await auditor.get(f"/v1/ledger/checkpoint?size={newest.size + 1}")).status_code == 404
    assert (await auditor.get(f"/v1/ledger/consistency?old=1&new={newest.size + 1}")).status_code == 409
    assert (await auditor.get("/v1/ledger/consistency?old=2&new=1")).status_code == 422
    assert await got(auditor, "consistency?old=0&new=0") == b""


async def test_an_entrys_proof_holds_by_itself_with_its_witness(world: World, auditor: httpx.AsyncClient) -> None:
    await grow(world, 20)
    async with small_witness() as witness:
        await trust(world, witness)
        assert await attesting(world, witnesses={"notary": witness}).cosign() >= 1
    async with world.context.database.begin(read_only=True) as tx:
        query = select(LedgerEntry.id).where(LedgerEntry.organization_id == world.union.id).order_by(LedgerEntry.id.desc())
        for entry_id in (await tx.execute(query.limit(3))).scalars():
            leaf = await reading.place_of(tx, world.union.id, entry_id)
            proof = read(await got(auditor, f"entries/{entry_id}/proof"))
            shown = check(proof, leaf.hash, await keys(auditor), [parse_key(witness.key)], quorum=1)
            assert proof.index == leaf.position < shown.checkpoint.size


async def test_an_entry_that_waits_or_is_anothers_has_no_proof(world: World, auditor: httpx.AsyncClient) -> None:
    await grow(world, organization_id=world.other.id)
    async with world.context.database.begin(read_only=True) as tx:
        others = select(LedgerEntry.id).where(LedgerEntry.organization_id == world.other.id).order_by(LedgerEntry.id.desc())
        theirs = (await tx.execute(others.limit(1))).scalar_one()
    assert (await auditor.get(f"/v1/ledger/entries/{theirs}/proof")).status_code == 404
    assert (await world.deliver({"id": "a-1"})).status_code == 202
    async with world.context.database.begin(read_only=True) as tx:
        own = select(LedgerEntry.id).where(LedgerEntry.organization_id == world.union.id).order_by(LedgerEntry.id.desc())
        waits = (await tx.execute(own.limit(1))).scalar_one()
    assert (await auditor.get(f"/v1/ledger/entries/{waits}/proof")).status_code == 404
    await world.workers.drain()
    assert (await auditor.get(f"/v1/ledger/entries/{waits}/proof")).status_code == 200


async def test_a_saved_timestamp_is_over_the_text_of_a_saved_checkpoint(
    world: World, auditor: httpx.AsyncClient, tmp_path: Path
) -> None:
    newest = await grow(world, 50)
    async with authority(tmp_path / "authority") as stamps:
        assert await attesting(world, {"stamps.example": stamps}).stamp() >= 1
    answer = await got(auditor, f"timestamps/{newest.size}/stamps.example", "application/timestamp-reply")
    assert answer == (await kept(world, Timestamp))[0].response
    note = await got(auditor, f"checkpoint?size={newest.size}")
    (tmp_path / "answer").write_bytes(answer)
    (tmp_path / "text").write_bytes(note.partition(b"\n\n")[0] + b"\n")
    files = ("-data", tmp_path / "text", "-in", tmp_path / "answer", "-CAfile", stamps.roots)
    assert (await openssl("ts", "-verify", *files))[0] == 0
    assert hashlib.sha256((tmp_path / "text").read_bytes()).digest() in answer
    assert (await auditor.get(f"/v1/ledger/timestamps/{newest.size}/nobody")).status_code == 404
    async with await world.sign_in(Role.AUDITOR, tenant=world.other) as stranger:
        for row in await kept(world, Timestamp, world.other.id):
            theirs = await got(stranger, f"timestamps/{row.size}/stamps.example", "application/timestamp-reply")
            assert theirs == row.response != answer
        assert (await stranger.get(f"/v1/ledger/timestamps/{newest.size}/stamps.example")).status_code == 404


async def test_every_cosignature_is_in_the_checkpoint(world: World, auditor: httpx.AsyncClient) -> None:
    await grow(world)
    async with small_witness() as one, small_witness(name="witness.example/w2") as two:
        await trust(world, one, two)
        await attesting(world, witnesses={"one": one, "two": two}).cosign()
    _, note = open_checkpoint(await got(auditor, "checkpoint"), await keys(auditor))
    assert len(verify(note, [parse_key(one.key), parse_key(two.key)])) == 2


async def test_the_page_says_in_plain_words_who_has_confirmed_what(
    world: World, auditor: httpx.AsyncClient, tmp_path: Path
) -> None:
    newest = await grow(world, 1000)
    read_first = text_of((await auditor.get("/ledger")).text)
    assert f"{newest.size:,}" in read_first
    assert "Nobody yet: so far only this service vouches for it." in read_first
    async with small_witness() as witness, authority(tmp_path / "authority") as stamps:
        await trust(world, witness)
        at_work = attesting(world, {"stamps.example": stamps}, {"notary": witness})
        assert await at_work.cosign() >= 1
        assert await at_work.stamp() >= 1
    assert f"witness.example/w1 has cosigned the state of all {newest.size:,} entries" in text_of(
        (await auditor.get("/ledger")).text
    )
    later = await grow(world, 2)
    html = (await auditor.get("/ledger")).text
    assert f"witness.example/w1 has cosigned the state of the first {newest.size:,} of {later.size:,} entries" in text_of(html)
    assert f"stamps.example has stamped the state of the first {newest.size:,} of {later.size:,} entries" in text_of(html)
    for link in ("/v1/ledger/checkpoint", "/v1/ledger/key", f"/v1/ledger/timestamps/{newest.size}/stamps.example"):
        assert f'href="{link}"' in html
        assert (await auditor.get(link)).status_code == 200
