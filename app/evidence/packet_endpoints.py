"""Routes of a matter's packets. Ordering and downloading are for somebody who has just shown who they are."""

from uuid import UUID

from fastapi import APIRouter, Response
from starlette.responses import StreamingResponse

from app.access.gate import Caller
from app.evidence import packets
from app.evidence.models import Packet
from app.evidence.packets import Parcel
from app.evidence.schemas import NewPacket, PacketView
from app.evidence.zipping import gathered, zipped
from app.kit.context import Context, Ctx, Tx
from app.kit.database import Transaction

router = APIRouter(prefix="/v1/matters/{matter_id}/packets", tags=["evidence"])

ZIP = "application/zip"
TO_BE_SAVED = "sandbox; default-src 'none'; frame-ancestors 'none'"
"""What a packet may do if a browser shows it after all: nothing."""


def leaving(parcel: Parcel) -> Response:
    """A packet as an answer that leaves piece by piece, never more than a few files of it in memory."""
    headers = {
        "Content-Disposition": f'attachment; filename="{parcel.name}"',
        "Content-Length": str(parcel.size),
        "Content-Security-Policy": TO_BE_SAVED,
    }
    return StreamingResponse(gathered(zipped(parcel.files, parcel.read)), media_type=ZIP, headers=headers)


async def _view(tx: Transaction, context: Context, row: Packet) -> PacketView:
    return (await packets.views(tx, context.keyring, [row]))[0]


@router.get("")
async def list_packets(matter_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> list[PacketView]:
    """Every packet of one of your matters, the newest first: how far it is, and who took it along."""
    return await packets.listed(tx, context.keyring, caller, matter_id)


@router.post("", status_code=201)
async def ask_for_packet(matter_id: UUID, body: NewPacket, caller: Caller, context: Ctx, tx: Tx) -> PacketView:
    """Have looked up what a packet would hold. Within seconds it is `shown`, with its `outline`; nothing is built yet."""
    return await _view(tx, context, await packets.ask(tx, context, caller, matter_id, body))


@router.get("/{packet_id}")
async def one_packet(matter_id: UUID, packet_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> PacketView:
    """One packet: what is in it, how far it is, and who took it along."""
    return await _view(tx, context, await packets.found(tx, caller, matter_id, packet_id))


@router.post("/{packet_id}/order")
async def order_packet(matter_id: UUID, packet_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> PacketView:
    """Have a packet built as its outline says. The members in it can see that."""
    return await _view(tx, context, await packets.order(tx, caller, matter_id, packet_id))


@router.post(
    "/{packet_id}/download",
    response_class=Response,
    responses={200: {"content": {ZIP: {"schema": {"type": "string", "format": "binary"}}}, "description": "The packet."}},
)
async def download_packet(matter_id: UUID, packet_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> Response:
    """A finished packet as a ZIP. That you take it along is written down first; the members in it can see that."""
    return leaving(await packets.take(tx, context, caller, matter_id, packet_id))
