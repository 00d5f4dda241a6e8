"""Counsel's pages of packets: pick one, see what will be in it, have it built, download it; and who has which."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from app.access.gate import Caller
from app.access.roles import Principal
from app.access.sessions import is_fresh
from app.breaches.service import matters_of
from app.evidence import packets
from app.evidence.models import UNDER_WAY, Packet
from app.evidence.ordering import LONGEST_CLAIM
from app.evidence.packet_endpoints import leaving
from app.evidence.schemas import MOST_MEMBERS, NewPacket
from app.kit.context import Context, Ctx, Tx
from app.kit.database import Transaction
from app.kit.errors import Problem, not_found
from app.web.forms import Draft, Form, Posted
from app.web.templating import page

router = APIRouter()

OPEN_AGAIN = "2"
"""Seconds after which a browser opens the page of a packet again that is under way."""

_HELP = {
    "prefix": "Write 2 to 12 capital letters and digits, a letter first, such as OPOA.",
    "checkpoint": "Write a whole number, as an earlier packet names it, or leave it empty.",
    "claim": f"Write one line of up to {LONGEST_CLAIM} letters, or leave it empty.",
    "variant": "Choose one of the two editions.",
    "member_ids": f"Write the ids of up to {MOST_MEMBERS:,} members, one a line, or choose them on the matter's page.",
}


def plain_size(size: int) -> str:
    """How large a file is: "850 KB", "12.3 MB", "1.2 GB"."""
    if size < 1_000_000:
        return f"{max(1, size // 1000)} KB"
    return f"{size / 1_000_000:,.1f} MB" if size < 1_000_000_000 else f"{size / 1_000_000_000:,.1f} GB"


async def _matter(tx: Transaction, context: Context, caller: Principal, matter_id: UUID) -> Any:
    mine = await matters_of(tx, context.keyring, caller)
    matter = next((one for one in mine if one.id == matter_id), None)
    if matter is None:
        raise not_found()
    return matter


async def _show(
    request: Request,
    tx: Transaction,
    context: Context,
    caller: Principal,
    matter_id: UUID,
    draft: Draft | None = None,
    status: int = 200,
    members: Sequence[UUID] = (),
) -> Response:
    found = await packets.listed(tx, context.keyring, caller, matter_id)
    last = found[0].prefix if found else ""
    return page(
        request,
        "packets.html",
        status,
        matter=await _matter(tx, context, caller, matter_id),
        packets=found,
        own=caller.account_id,
        draft=draft or Draft({"prefix": last, "variant": "sealed", "members": "\n".join(map(str, dict.fromkeys(members)))}),
        longest=LONGEST_CLAIM,
        plain_size=plain_size,
    )


@router.get("/matters/{matter_id}/packets")
async def listed(
    request: Request,
    matter_id: UUID,
    caller: Caller,
    context: Ctx,
    tx: Tx,
    member: Annotated[tuple[UUID, ...], Query(max_length=MOST_MEMBERS)] = (),
) -> Response:
    """Every packet of one of your matters, and the form that asks for another; `member`: about these members."""
    return await _show(request, tx, context, caller, matter_id, members=member)


def _wanted(form: Posted) -> tuple[NewPacket | None, Draft]:
    values = {name: form.text(name).strip() for name in ("variant", "prefix", "checkpoint", "members", "claim")}
    given: dict[str, Any] = {name: value for name, value in values.items() if value}
    given["member_ids"] = given.pop("members", "").split()
    try:
        return NewPacket.model_validate(given), Draft(values)
    except ValidationError as error:
        wrong = {str(one["loc"][0]) for one in error.errors(include_input=False, include_url=False)}
    return None, Draft(values, {name: _HELP[name] for name in sorted(wrong)})


@router.post("/matters/{matter_id}/packets")
async def pick(request: Request, matter_id: UUID, form: Form, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """Have looked up what a packet would hold."""
    new, draft = _wanted(form)
    if new is None:
        return await _show(request, tx, context, caller, matter_id, draft, 422)
    try:
        row = await packets.ask(tx, context, caller, matter_id, new)
    except Problem as problem:
        if problem.status != 422:  # else it is about the claim and its members, and nothing was written yet
            raise
        return await _show(request, tx, context, caller, matter_id, Draft(draft.values, {"claim": problem.detail or ""}), 422)
    return RedirectResponse(f"/matters/{matter_id}/packets/{row.id}", 303)


@router.get("/matters/{matter_id}/packets/{packet_id}")
async def one(request: Request, matter_id: UUID, packet_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """One packet: what is in it, how far it is, and who has it."""
    row = await packets.found(tx, caller, matter_id, packet_id)
    (shown,) = await packets.views(tx, context.keyring, [row])
    answer = page(
        request,
        "packet.html",
        matter=await _matter(tx, context, caller, matter_id),
        packet=shown,
        own=caller.account_id,
        fresh=is_fresh(caller),
        again=_again(row, shown.claim),
        plain_size=plain_size,
    )
    if row.state in UNDER_WAY:
        answer.headers["Refresh"] = OPEN_AGAIN
    return answer


def _again(row: Packet, claim: str | None) -> dict[str, object]:
    """The fields of the form that asked for it."""
    said = row.wanted
    members = " ".join(said["members"])
    same = {"variant": said["variant"], "prefix": said["prefix"], "checkpoint": said["size"] or ""}
    return {**same, "members": members, "claim": claim or ""}


@router.post("/matters/{matter_id}/packets/{packet_id}/order")
async def order(matter_id: UUID, packet_id: UUID, caller: Caller, tx: Tx) -> Response:
    """Have a packet built as it was shown."""
    try:
        await packets.order(tx, caller, matter_id, packet_id)
    except Problem as problem:
        if problem.status != 409:  # pressed twice: its page says how far it is
            raise
    return RedirectResponse(f"/matters/{matter_id}/packets/{packet_id}", 303)


@router.post("/matters/{matter_id}/packets/{packet_id}/download")
async def download(matter_id: UUID, packet_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """Take a finished packet along, as a ZIP."""
    return leaving(await packets.take(tx, context, caller, matter_id, packet_id))
