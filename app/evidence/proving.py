"""The proofs of a packet: the checkpoint with all who vouch for it, and for each act its leaf and the way to the root."""

import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.evidence import repository
from app.evidence.folder import Folder
from app.kit.database import Transaction
from app.ledger import notes, proofs
from app.ledger.leaves import leaf_bytes
from app.ledger.models import LedgerEntry
from app.ledger.reading import checkpoint_at, inclusion, log_keys, signed_note

_COLUMNS = tuple(column.name for column in LedgerEntry.__table__.columns)
_NO_NAME = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True, slots=True)
class Tree:
    """The tree that every proof leads to. `note`: its checkpoint with all cosignatures; `said`: what packet.json says of it."""

    organization_id: UUID
    size: int
    note: bytes
    said: dict[str, Any]


async def write_log(tx: Transaction, organization_id: UUID, size: int, out: Folder) -> Tree:
    """Write `data/log/`: the checkpoint, and what time-stamp authorities answered about it."""
    stored = await checkpoint_at(tx, organization_id, size)
    note = await signed_note(tx, stored)
    checkpoint = notes.parse_checkpoint(notes.parse_note(note).text)
    out.write("data/log/checkpoint", note)
    lines, stamps = await repository.vouched(tx, organization_id, size)
    names = [_NO_NAME.sub("-", one.authority)[:90].strip("-.") for one in stamps]
    for name, one in zip(names, stamps, strict=True):
        out.write(f"data/log/timestamps/{name}.tsr", one.response)
    said = {
        "checkpoint": {"origin": checkpoint.origin, "size": checkpoint.size, "root": notes.to_base64(checkpoint.root)},
        "older": [],
        "log_keys": [str(one) for one in await log_keys(tx, organization_id) if one.name == checkpoint.origin],
        "witnesses": [{"vkey": one.witness, "sizes": [size]} for one in lines],
        "authorities": [{"name": name, "sizes": [size]} for name in names],
    }
    return Tree(organization_id, size, note, said)


async def write_entry(tx: Transaction, tree: Tree, position: int, entry: LedgerEntry, folder: str, out: Folder) -> None:
    """Write an act's leaf, and the proof that it is in the log at this place."""
    out.write(f"{folder}/entry.json", leaf_bytes({name: getattr(entry, name) for name in _COLUMNS}))
    hashes = await inclusion(tx, tree.organization_id, position, tree.size)
    out.write(f"{folder}/proof.tlog-proof", proofs.write(proofs.LogProof(position, tuple(hashes), tree.note)))
