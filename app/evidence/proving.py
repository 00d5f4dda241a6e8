"""The proofs of a packet: the checkpoint with all who vouch for it, and for each act its leaf and the way to the root."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.evidence import repository
from app.evidence.folder import Folder
from app.kit.database import Transaction
from app.ledger import notes, proofs
from app.ledger.leaves import leaf_bytes
from app.ledger.models import LedgerEntry
from app.ledger.reading import checkpoint_at, consistency, inclusion, log_keys, signed_note

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
    """Write `data/log/`: the checkpoint, and those before it that others have vouched for last, with what they said."""
    note = await signed_note(tx, await checkpoint_at(tx, organization_id, size))
    checkpoint = notes.parse_checkpoint(notes.parse_note(note).text)
    out.write("data/log/checkpoint", note)
    older = await repository.vouched_before(tx, organization_id, size)
    for one in older:
        folder = f"data/log/older/{one}"
        out.write(f"{folder}/checkpoint", await signed_note(tx, await checkpoint_at(tx, organization_id, one)))
        hashes = [notes.to_base64(found) for found in await consistency(tx, organization_id, one, size)]
        out.write(f"{folder}/growth", "".join(f"{line}\n" for line in (f"old {one}", *hashes, "")).encode() + note)
    said = {
        "checkpoint": {"origin": checkpoint.origin, "size": checkpoint.size, "root": notes.to_base64(checkpoint.root)},
        "older": older,
        "log_keys": [str(one) for one in await log_keys(tx, organization_id) if one.name == checkpoint.origin],
        **await _write_vouchers(tx, organization_id, [*older, size], size, out),
    }
    return Tree(organization_id, size, note, said)


async def _write_vouchers(
    tx: Transaction, organization_id: UUID, sizes: Sequence[int], newest: int, out: Folder
) -> dict[str, list[dict[str, Any]]]:
    """Write the answers of time-stamp authorities; who cosigned and who stamped the checkpoints of which sizes."""
    cosigned: dict[str, list[int]] = {}
    stamped: dict[str, list[int]] = {}
    for size in sizes:
        folder = "data/log" if size == newest else f"data/log/older/{size}"
        lines, stamps = await repository.vouched(tx, organization_id, size)
        for line in lines:
            if _is_key(line.witness):
                cosigned.setdefault(line.witness, []).append(size)
        for stamp in stamps:
            name = _NO_NAME.sub("-", stamp.authority)[:90].strip("-._")
            out.write(f"{folder}/timestamps/{name}.tsr", stamp.response)
            stamped.setdefault(name, []).append(size)
    return {
        "witnesses": [{"vkey": vkey, "sizes": found} for vkey, found in sorted(cosigned.items())],
        "authorities": [{"name": name, "sizes": found} for name, found in sorted(stamped.items())],
    }


def _is_key(witness: str) -> bool:
    """Whether a witness is known by its key: without it a stranger cannot check its line, which stands there all the same."""
    try:
        return notes.parse_key(witness).kind is notes.Kind.COSIGNATURE
    except notes.NoteError:
        return False


async def write_entry(tx: Transaction, tree: Tree, position: int, entry: LedgerEntry, folder: str, out: Folder) -> None:
    """Write an act's leaf, and the proof that it is in the log at this place."""
    out.write(f"{folder}/entry.json", leaf_bytes({name: getattr(entry, name) for name in _COLUMNS}))
    hashes = await inclusion(tx, tree.organization_id, position, tree.size)
    out.write(f"{folder}/proof.tlog-proof", proofs.write(proofs.LogProof(position, tuple(hashes), tree.note)))
