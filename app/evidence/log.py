"""The face of an organization's log for whoever checks it: checkpoints, keys, tiles, proofs (as C2SP has them), timestamps."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.kit.database import Transaction
from app.kit.errors import FieldError, Problem, not_found
from app.ledger import attestations, reading
from app.ledger.nodes import Missing
from app.ledger.notes import to_base64
from app.ledger.reading import NotThere
from app.ledger.timestamping import NotStamped, stamped_at


async def checkpoint(tx: Transaction, organization_id: UUID, size: int | None = None) -> tuple[int, bytes]:
    """A checkpoint of this size, or the newest: its size, and its signed note with every cosignature. Raises Problem 404."""
    try:
        row = await reading.checkpoint_at(tx, organization_id, size)
    except NotThere:
        raise not_found() from None
    return row.size, await reading.signed_note(tx, row)


async def consistency(tx: Transaction, organization_id: UUID, old: int, new: int) -> bytes:
    """The proof that the log of `new` entries begins with that of `old`: a hash on each line. Raises Problem 409 and 422."""
    newest = await reading.latest_checkpoint(tx, organization_id)
    if new > (newest.size if newest else 0):
        raise Problem(409, "The log is not that long yet: `new` is larger than its newest checkpoint.")
    if old > new:
        raise Problem(422, errors=[FieldError(field="old", message="A log does not get shorter: not larger than new.")])
    hashes = await reading.consistency(tx, organization_id, old, new)
    return "".join(f"{to_base64(one)}\n" for one in hashes).encode()


async def tile(tx: Transaction, organization_id: UUID, level: int, index: int, width: int) -> bytes:
    """`width` hashes of a C2SP tile, 32 bytes each. Raises Problem 404 where the log is not that long yet."""
    try:
        return b"".join(await reading.tile(tx, organization_id, level, index, width))
    except Missing:
        raise not_found() from None


async def proof(tx: Transaction, organization_id: UUID, entry_id: UUID) -> bytes:
    """The `.tlog-proof` of an entry under the newest checkpoint. Raises Problem 404, also while the entry waits for its place."""
    try:
        return (await reading.tlog_proof(tx, organization_id, entry_id)).encode()
    except NotThere:
        raise not_found() from None


async def keys(tx: Transaction, organization_id: UUID) -> bytes:
    """Every key that the log was ever signed with, oldest first: a vkey on each line. Raises Problem 404 before the first."""
    found = await reading.log_keys(tx, organization_id)
    if not found:
        raise not_found()
    return "".join(f"{one}\n" for one in found).encode()


async def timestamp(tx: Transaction, organization_id: UUID, size: int, authority: str) -> bytes:
    """What an authority answered about a checkpoint, as it came. Raises Problem 404."""
    found = await attestations.timestamp(tx, organization_id, size, authority)
    if found is None:
        raise not_found()
    return found.response


@dataclass(frozen=True, slots=True)
class Attested:
    """How much of the log somebody outside has attested. `at`: when we heard it; `said`: the moment that an authority names."""

    by: str
    size: int
    at: datetime
    said: datetime | None = None


@dataclass(frozen=True, slots=True)
class State:
    """The newest state of a log, for a page. `root` in hex."""

    size: int
    root: str
    at: datetime
    witnesses: list[Attested]
    authorities: list[Attested]


async def state(tx: Transaction, organization_id: UUID) -> State | None:
    """What there is to say about a log; None before its first checkpoint."""
    newest = await reading.latest_checkpoint(tx, organization_id)
    if newest is None:
        return None
    cosigned = await attestations.newest_cosignatures(tx, organization_id)
    stamped = await attestations.newest_timestamps(tx, organization_id)
    return State(
        size=newest.size,
        root=newest.root.hex(),
        at=newest.at,
        witnesses=[Attested(one.witness, one.size, one.at) for one in cosigned],
        authorities=[Attested(one.authority, one.size, one.at, _said(one.response)) for one in stamped],
    )


def _said(response: bytes) -> datetime | None:
    try:
        return stamped_at(response)
    except NotStamped:  # somebody has been at it: the page is there all the same, and `ledger verify` tells
        return None
