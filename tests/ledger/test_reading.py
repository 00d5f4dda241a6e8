"""Every proof out of the stored rows proves what it should, for every leaf and every older size, and nothing else."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, select

from app.kit.ids import uuid7
from app.ledger import models, notes, proofs, reading, sequencing
from app.ledger.nodes import Missing
from app.ledger.tree import ProofError, verify_consistency, verify_inclusion
from tests.ledger.test_sequencing import lengthen, noted
from tests.support.world import NOW, World


async def grown(world: World, sizes: tuple[int, ...]) -> None:
    """A log of 256 * 2 + some leaves, with a checkpoint after each lot."""
    await world.workers.drain()
    for count in sizes:
        await noted(world, count)
        await lengthen(world)


async def test_every_leaf_is_proven_under_every_checkpoint_and_each_is_the_beginning_of_the_next(world: World) -> None:
    await grown(world, (1, 2, 60, 190, 1, 7, 300))
    own = world.union.id
    async with world.context.database.begin(read_only=True) as tx:
        rows = (
            (
                await tx.execute(
                    select(models.Checkpoint).where(models.Checkpoint.organization_id == own).order_by(models.Checkpoint.size)
                )
            )
            .scalars()
            .all()
        )
        leaves = (
            (await tx.execute(select(models.Leaf).where(models.Leaf.organization_id == own).order_by(models.Leaf.position)))
            .scalars()
            .all()
        )
        for before, row in zip([None, *rows], rows, strict=False):
            for leaf in leaves[max(0, row.size - 20) : row.size : 3]:
                hashes = await reading.inclusion(tx, own, leaf.position, row.size)
                verify_inclusion(leaf.hash, leaf.position, row.size, hashes, row.root)
            if before is not None:
                hashes = await reading.consistency(tx, own, before.size, row.size)
                verify_consistency(before.size, before.root, row.size, row.root, hashes)
        last = rows[-1]
        for leaf in leaves[::9]:
            verify_inclusion(
                leaf.hash, leaf.position, last.size, await reading.inclusion(tx, own, leaf.position, last.size), last.root
            )
        assert await reading.tile(tx, own, 0, 1) == [leaf.hash for leaf in leaves[256:512]]
        assert len(await reading.tile(tx, own, 1, 0, last.size // 256)) == last.size // 256
        with pytest.raises(Missing):
            await reading.tile(tx, own, 0, last.size // 256)
        first = await reading.checkpoint_covering(tx, own, 0)
        assert first.size == rows[0].size
        with pytest.raises(reading.NotThere):
            await reading.checkpoint_covering(tx, own, last.size)
        with pytest.raises(reading.NotThere):
            await reading.checkpoint_at(tx, own, last.size + 1)


async def test_the_proof_of_an_entry_needs_no_database(world: World) -> None:
    await grown(world, (3, 5))
    own = world.union.id
    witness = notes.Signer("w.example", notes.Kind.COSIGNATURE, bytes(range(32)))
    async with world.context.database.begin() as tx:
        newest = await reading.checkpoint_at(tx, own)
        line = witness.sign(notes.parse_note(newest.note).text, 1_700_000_000).line
        row = {"organization_id": own, "size": newest.size, "witness": "w.example", "line": line, "at": NOW}
        await tx.execute(insert(models.Cosignature).values(**row))
    async with world.context.database.begin(read_only=True) as tx:
        leaves = (await tx.execute(select(models.Leaf).where(models.Leaf.organization_id == own))).scalars().all()
        keys = await reading.log_keys(tx, own)
        for leaf in leaves:
            told = await reading.tlog_proof(tx, own, leaf.entry_id)
            proven = proofs.check(proofs.read(told.encode()), leaf.hash, keys, [witness.key], quorum=1)
            assert proven.checkpoint.size == len(leaves)
            assert proven.witnesses == {witness.key: 1_700_000_000}
        with pytest.raises(ProofError):
            await reading.tlog_proof(tx, own, max(leaves, key=lambda one: one.position).entry_id, len(leaves) - 5)
        with pytest.raises(reading.NotThere):
            await reading.tlog_proof(tx, world.other.id, leaves[0].entry_id)
        with pytest.raises(reading.NotThere):
            await reading.tlog_proof(tx, own, uuid7())
    assert sequencing.origin_of("h", own) == f"h/ledger/{own}"
