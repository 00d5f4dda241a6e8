"""Who looked at what is a member's: the member's own reading of the ledger."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from app.access.roles import Principal, Role
from app.incidents import repository as incidents
from app.kit.context import Context
from app.kit.database import Transaction
from app.kit.errors import not_found
from app.kit.pagination import Page, decode_id_cursor, encode_cursor
from app.ledger import repository
from app.ledger.models import LedgerEntry
from app.ledger.service import Sight, sight_of


class VisitView(BaseModel):
    """One look at something of yours. `by` tells the accounts of one role apart, and is no name; `yours`: it was you.

    `role` is null for the system itself, `what` for a kind of look that this version does not know, `incident_id` where it
    was not about one incident, or that is gone.
    """

    at: datetime
    role: Role | None
    by: str
    yours: bool
    what: Sight | None
    incident_id: UUID | None


async def visits_page(
    tx: Transaction, context: Context, caller: Principal, cursor: str | None, limit: int, *, own: bool
) -> Page[VisitView]:
    """One page of the looks at what is the caller's, the newest first. `own`: the caller's too."""
    if caller.member_id is None:
        raise not_found()
    before = decode_id_cursor(cursor) if cursor is not None else None
    but_by = None if own else caller.account_id
    rows = await repository.looks_before(tx, caller.organization_id, caller.member_id, before, limit + 1, but_by=but_by)
    items = [await _visit(tx, context, caller, caller.member_id, row) for row in rows[:limit]]
    return Page(items=items, next=encode_cursor(rows[limit - 1].id.hex) if len(rows) > limit else None)


async def _visit(tx: Transaction, context: Context, caller: Principal, member_id: UUID, row: LedgerEntry) -> VisitView:
    named = row.subjects.get("incident")
    found = await incidents.find_incident(tx, caller.organization_id, UUID(named), member_id) if named else None
    return VisitView(
        at=row.at,
        role=Role(row.actor_role) if row.actor_role else None,
        by=row.actor_id.hex[-6:] if row.actor_id else "",
        yours=row.actor_id == caller.account_id,
        what=await sight_of(tx, context.keyring, row),
        incident_id=found.id if found else None,
    )
