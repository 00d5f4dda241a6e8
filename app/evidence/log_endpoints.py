"""Routes of the log's face: `/v1/ledger/...`. What they answer is made to be saved, and checked without us."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from app.access.gate import Caller
from app.evidence import log
from app.kit.context import Tx
from app.ledger.nodes import TILE_WIDTH
from app.ledger.timestamping import REPLY

router = APIRouter(prefix="/v1/ledger", tags=["evidence"])

LARGEST = 2**63 - 1
HIGHEST_LEVEL = 7
"""A subtree of level 8 would be over 2^64 leaves."""

TEXT, BYTES = "text/plain", "application/octet-stream"
Size = Annotated[int, Query(ge=0, le=LARGEST)]


def _answers(media_type: str, what: str) -> dict[int | str, dict[str, Any]]:
    content = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    return {200: {"content": content, "description": what}}


def _file(content: bytes, name: str, media_type: str = TEXT) -> Response:
    return Response(content, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})


@router.get(
    "/checkpoint", response_class=Response, responses=_answers(TEXT, "The signed note (c2sp.org/tlog-checkpoint), cosigned.")
)
async def checkpoint(
    caller: Caller, tx: Tx, size: Annotated[int | None, Query(ge=1, le=LARGEST, description="none: the newest")] = None
) -> Response:
    """How long your organization's log was at a time, its root, and who signed that: the log, and every witness so far."""
    found, note = await log.checkpoint(tx, caller.organization_id, size)
    return _file(note, f"checkpoint-{found}.txt")


@router.get("/consistency", response_class=Response, responses=_answers(TEXT, "Hashes in base64, one on each line."))
async def consistency(caller: Caller, tx: Tx, old: Size, new: Size) -> Response:
    """The proof (RFC 6962, 2.1.2) that the log of `new` entries begins with the log of `old` entries."""
    return _file(await log.consistency(tx, caller.organization_id, old, new), f"consistency-{old}-{new}.txt")


@router.get(
    "/tile/{level}/{index}", response_class=Response, responses=_answers(BYTES, "Hashes, 32 bytes each (c2sp.org/tlog-tiles).")
)
async def tile(
    level: Annotated[int, Path(ge=0, le=HIGHEST_LEVEL)],
    index: Annotated[int, Path(ge=0, le=LARGEST // TILE_WIDTH - 1)],
    caller: Caller,
    tx: Tx,
    width: Annotated[int, Query(ge=1, le=TILE_WIDTH, description="how many of its hashes, from the left")] = TILE_WIDTH,
) -> Response:
    """A tile of the log's tree: level 0 holds leaves' hashes, level L the roots over 256^L leaves. 404: not that full."""
    return _file(await log.tile(tx, caller.organization_id, level, index, width), f"tile-{level}-{index}", BYTES)


@router.get(
    "/entries/{entry_id}/proof", response_class=Response, responses=_answers(TEXT, "A .tlog-proof (c2sp.org/tlog-proof).")
)
async def proof(entry_id: UUID, caller: Caller, tx: Tx) -> Response:
    """The proof that one entry is in the log, with the newest checkpoint in it. 404 while the entry waits for its place."""
    return _file(await log.proof(tx, caller.organization_id, entry_id), f"{entry_id}.tlog-proof")


@router.get("/key", response_class=Response, responses=_answers(TEXT, "Verifier keys (c2sp.org/signed-note), one on each line."))
async def key(caller: Caller, tx: Tx) -> Response:
    """By which keys your organization's checkpoints are checked: every one that ever signed, oldest first."""
    return _file(await log.keys(tx, caller.organization_id), "ledger-key.txt")


@router.get(
    "/timestamps/{size}/{authority}", response_class=Response, responses=_answers(REPLY, "The answer (RFC 3161), as it came.")
)
async def timestamp(
    size: Annotated[int, Path(ge=1, le=LARGEST)],
    authority: Annotated[str, Path(pattern="^[a-z0-9][a-z0-9.-]{0,39}$")],
    caller: Caller,
    tx: Tx,
) -> Response:
    """What a timestamp authority answered about the checkpoint of this size. Over which bytes: decision 0054."""
    return _file(await log.timestamp(tx, caller.organization_id, size, authority), f"checkpoint-{size}-{authority}.tsr", REPLY)
