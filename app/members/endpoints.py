"""Routes of the roster, erasure and legal holds."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, File, UploadFile

from app.access.gate import Caller
from app.kit.context import Ctx, Tx
from app.kit.errors import FieldError, Problem
from app.kit.keyring import Lane
from app.kit.pagination import Cursor, Limit, Page, decode_id_cursor, encode_cursor
from app.ledger.service import Act, Sight, append
from app.members import erasing, repository, service
from app.members.keys import open_profile
from app.members.roster import parsed, read_roster
from app.members.schemas import HoldView, ImportReport, MemberView, NewHold

router = APIRouter(prefix="/v1", tags=["members"])

Upload = Annotated[UploadFile, File(description="A CSV file, UTF-8.")]

LARGEST_FILE = 20 * 1024 * 1024


async def csv_text(file: UploadFile) -> str:
    """An uploaded CSV as text. Raises a 413 or 422 Problem."""
    raw = await file.read(LARGEST_FILE + 1)
    if len(raw) > LARGEST_FILE:
        raise Problem(413, "The file is larger than 20 MB: split it.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        message = "The file is not UTF-8 text: save it as CSV UTF-8 and send it again."
        raise Problem(422, message, errors=[FieldError(field="body.file", message=message)]) from None


@router.post("/members/import")
async def import_members(caller: Caller, context: Ctx, tx: Tx, file: Upload, dry_run: bool = False) -> ImportReport:
    """Import a roster from CSV; with any bad row nothing changes, and every bad row is named."""
    entries, problems = parsed(await csv_text(file), read_roster)
    return await service.import_roster(
        tx, context.keyring, caller.organization_id, entries, problems, actor=caller.actor, dry_run=dry_run
    )


@router.get("/members")
async def list_members(caller: Caller, context: Ctx, tx: Tx, cursor: Cursor = None, limit: Limit = 50) -> Page[MemberView]:
    """The roster. Each page seen is in the ledger."""
    after = decode_id_cursor(cursor)
    rows = await repository.members_after(tx, caller.organization_id, after, limit + 1)
    items = []
    for row in rows[:limit]:
        if row.erased_at is None:
            profile = await open_profile(tx, context.keyring, row)
            items.append(MemberView(id=row.id, erased_at=None, **profile.model_dump()))
            await append(
                tx,
                context.keyring,
                caller.organization_id,
                Act.VIEW,
                facts={"what": Sight.ROSTER},
                actor=caller.actor,
                member_id=row.id,
            )
        else:
            items.append(MemberView(id=row.id, external_id=None, name=None, email=None, erased_at=row.erased_at))
    return Page(items=items, next=encode_cursor(rows[limit - 1].id.hex) if len(rows) > limit else None)


@router.post("/members/{member_id}/erasure", status_code=204)
async def erase_member(member_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> None:
    """Erase a member: their key is destroyed, and with it everything sealed under it. A legal hold prevents it."""
    await erasing.erase(tx, context.keyring, caller.organization_id, member_id, caller.actor)


@router.get("/holds")
async def list_holds(caller: Caller, context: Ctx, tx: Tx) -> list[HoldView]:
    """The legal holds that are on, with counsel's reasons."""
    views = []
    for hold in await repository.holds(tx, caller.organization_id):
        where = ("legal_hold", hold.id)
        reason = await context.keyring.unseal(tx, caller.organization_id, Lane.COUNSEL, hold.reason_sealed, *where)
        views.append(
            HoldView(id=hold.id, member_id=hold.member_id, reason=reason, placed_by=hold.placed_by, placed_at=hold.placed_at)
        )
    return views


@router.post("/holds", status_code=201)
async def place_hold(body: NewHold, caller: Caller, context: Ctx, tx: Tx) -> HoldView:
    """Order that everything of a member, or of everybody, is kept."""
    hold = await service.place_hold(tx, context.keyring, caller, body.member_id, body.reason)
    return HoldView(id=hold.id, member_id=hold.member_id, reason=body.reason, placed_by=hold.placed_by, placed_at=hold.placed_at)


@router.delete("/holds/{hold_id}", status_code=204)
async def release_hold(hold_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> None:
    """End a hold."""
    await service.release_hold(tx, context.keyring, caller, hold_id)
