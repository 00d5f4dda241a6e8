"""What others may ask a log for: checkpoints, tiles, proofs. Reading only; who may ask is the asker's business."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select

from app.kit.database import Transaction
from app.ledger import notes, proofs
from app.ledger.models import Checkpoint, Cosignature, Leaf, Signer
from app.ledger.nodes import TILE_WIDTH, level_rows, range_roots
from app.ledger.tree import consistency_ranges, inclusion_ranges


class NotThere(LookupError):
    """The log has no such checkpoint, or this entry has no place in it yet."""


async def latest_checkpoint(tx: Transaction, organization_id: UUID) -> Checkpoint | None:
    """The newest checkpoint of a log; None for a log without entries."""
    query = select(Checkpoint).where(Checkpoint.organization_id == organization_id)
    return (await tx.execute(query.order_by(Checkpoint.size.desc()).limit(1))).scalar_one_or_none()


async def checkpoint_at(tx: Transaction, organization_id: UUID, size: int | None = None) -> Checkpoint:
    """The checkpoint over so many leaves, or the newest; raises NotThere."""
    found = await (latest_checkpoint(tx, organization_id) if size is None else tx.get(Checkpoint, (organization_id, size)))
    if found is None:
        raise NotThere("there is no such checkpoint")
    return found


async def checkpoint_covering(tx: Transaction, organization_id: UUID, position: int) -> Checkpoint:
    """The first checkpoint that is over the leaf at a position; raises NotThere."""
    query = select(Checkpoint).where(Checkpoint.organization_id == organization_id, Checkpoint.size > position)
    found = (await tx.execute(query.order_by(Checkpoint.size).limit(1))).scalar_one_or_none()
    if found is None:
        raise NotThere("there is no checkpoint over this leaf")
    return found


async def signed_note(tx: Transaction, checkpoint: Checkpoint) -> bytes:
    """A checkpoint as anybody may check it: with the lines of the witnesses that have cosigned it."""
    own = (Cosignature.organization_id == checkpoint.organization_id, Cosignature.size == checkpoint.size)
    lines = (await tx.execute(select(Cosignature.line).where(*own).order_by(Cosignature.witness))).scalars().all()
    if not lines:
        return checkpoint.note
    more = [notes.parse_signature(line.removesuffix("\n")) for line in lines]
    return bytes(notes.parse_note(checkpoint.note).with_lines(more))


async def log_keys(tx: Transaction, organization_id: UUID) -> list[notes.Key]:
    """Every key that has signed for a log, the oldest first."""
    query = select(Signer.origin, Signer.public_key).where(Signer.organization_id == organization_id).order_by(Signer.number)
    return [notes.Key(origin, notes.Kind.SIGNATURE, public) for origin, public in (await tx.execute(query)).all()]


async def place_of(tx: Transaction, organization_id: UUID, entry_id: UUID) -> Leaf:
    """An entry's leaf; raises NotThere while it waits, and for an entry of another's."""
    query = select(Leaf).where(Leaf.entry_id == entry_id, Leaf.organization_id == organization_id)
    found = (await tx.execute(query)).scalar_one_or_none()
    if found is None:
        raise NotThere("this entry has no place in the log yet")
    return found


async def inclusion(tx: Transaction, organization_id: UUID, position: int, size: int) -> list[bytes]:
    """The hashes that prove that the leaf at a position is in the log of so many leaves. Raises ProofError, and Missing."""
    return await range_roots(tx, organization_id, inclusion_ranges(position, size))


async def consistency(tx: Transaction, organization_id: UUID, old: int, new: int) -> list[bytes]:
    """The hashes that prove that the log of `new` leaves begins with that of `old`. Raises ProofError, and Missing."""
    return await range_roots(tx, organization_id, consistency_ranges(old, new))


async def tile(tx: Transaction, organization_id: UUID, level: int, index: int, width: int = TILE_WIDTH) -> Sequence[bytes]:
    """The first `width` (1 to 256) hashes of one C2SP tile; raises Missing where the log has not so many."""
    start = index * TILE_WIDTH
    return await level_rows(tx, organization_id, level, start, start + width)


async def tlog_proof(tx: Transaction, organization_id: UUID, entry_id: UUID, size: int | None = None) -> str:
    """The `.tlog-proof` of one entry under the checkpoint over `size` leaves, or the newest, with its witnesses.

    Raises NotThere, ProofError for a checkpoint from before the entry, and Missing.
    """
    leaf = await place_of(tx, organization_id, entry_id)
    checkpoint = await checkpoint_at(tx, organization_id, size)
    hashes = await inclusion(tx, organization_id, leaf.position, checkpoint.size)
    return proofs.write(proofs.LogProof(leaf.position, tuple(hashes), await signed_note(tx, checkpoint))).decode()
