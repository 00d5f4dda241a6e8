"""The ledger's HTTP face (what was done, when and by which role: ids and commitments only), and the packets'."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel

from app.access.gate import Caller
from app.evidence import log_endpoints, packet_endpoints
from app.kit.context import Tx
from app.kit.database import Transaction
from app.kit.pagination import Cursor, Limit, Page, decode_id_cursor, encode_cursor
from app.ledger.models import LedgerEntry
from app.ledger.repository import entries_after

_own = APIRouter(prefix="/v1", tags=["evidence"])


class EntryView(BaseModel):
    """One entry of the ledger. `commitment` is SHA-256 in hex, over a salt and the facts of the act."""

    id: UUID
    at: datetime
    kind: str
    member_id: UUID | None
    actor_id: UUID | None
    actor_role: str | None
    subjects: dict[str, str]
    commitment: str


def _view(row: LedgerEntry) -> EntryView:
    return EntryView(
        id=row.id,
        at=row.at,
        kind=row.kind,
        member_id=row.member_id,
        actor_id=row.actor_id,
        actor_role=row.actor_role,
        subjects=row.subjects,
        commitment=row.commitment.hex(),
    )


async def entries(tx: Transaction, organization_id: UUID, cursor: str | None, limit: int) -> Page[EntryView]:
    """One page of an organization's ledger, oldest first."""
    rows = await entries_after(tx, organization_id, decode_id_cursor(cursor), limit + 1)
    items = [_view(row) for row in rows[:limit]]
    return Page(items=items, next=encode_cursor(rows[limit - 1].id.hex) if len(rows) > limit else None)


@_own.get("/ledger")
async def list_entries(caller: Caller, tx: Tx, cursor: Cursor = None, limit: Limit = 50) -> Page[EntryView]:
    """Your organization's ledger, oldest first."""
    return await entries(tx, caller.organization_id, cursor, limit)


router = APIRouter()
router.include_router(_own)
router.include_router(log_endpoints.router)
router.include_router(packet_endpoints.router)
