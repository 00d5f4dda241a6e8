"""Packets for counsel: pick one and see what will be in it, order it, take it along. Only counsel of the matter."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from app.access.roles import Principal
from app.breaches.service import require_matter
from app.evidence import noting, packet_rows
from app.evidence.building import PACKET
from app.evidence.exhibits import Variant
from app.evidence.folder import Folder, Sealed
from app.evidence.models import Packet, PacketTaken, State
from app.evidence.ordering import Order, require_order
from app.evidence.outlining import Outline
from app.evidence.schemas import HeldBackView, NewPacket, OutlineView, PacketView, TakenView
from app.evidence.withheld import WORDS, Why
from app.evidence.zipping import Sizes, length
from app.kit import clock
from app.kit.config import Settings
from app.kit.context import Context
from app.kit.database import Transaction
from app.kit.errors import Problem, not_found
from app.kit.ids import uuid7
from app.kit.keyring import Keyring
from app.ledger.service import Act, append

KEPT_FOR = timedelta(days=14)
"""How long a finished packet can be downloaded: it is a copy, and another one is made from the same rows at any time."""

MOST_AT_ONCE = 3
"""Packets of one matter that may be under way: each reads everything that there is of it."""

GONE = {
    "age": f"Its {KEPT_FOR.days} days were over.",
    "erased": "Somebody whose data was in it was erased since.",
    "consent": "Somebody whose data was in it no longer agrees to its being kept and shown.",
    "term": "The contract with a service says that its own text, which was in it, has to go.",
}
"""Why a packet that was whole can no longer be downloaded. A new one says instead what is held back."""

AGAIN = "Order it again: the new one has the same numbers, and says what is held back."


def wrapped_at(packet_id: UUID) -> tuple[object, ...]:
    """To what the key of a packet's files is bound."""
    return ("packet", "wrapped_key", packet_id)


def place_of(settings: Settings, packet_id: UUID) -> Path:
    """The folder of a packet's files."""
    return settings.packet_folder / str(packet_id)


async def order_of(tx: Transaction, keyring: Keyring, row: Packet) -> Order:
    """What was asked for. Once it was shown what will be in it, it is built over the same checkpoint."""
    size = row.wanted["size"] if row.outline is None else row.outline["size"]
    members = tuple(UUID(one) for one in row.wanted["members"])
    claim = await noting.claim_of(tx, keyring, row)
    return Order(row.matter_id, Variant(row.wanted["variant"]), row.wanted["prefix"], size, members, claim)


async def ask(tx: Transaction, context: Context, caller: Principal, matter_id: UUID, new: NewPacket) -> Packet:
    """Have looked up what a packet would hold. Raises a 404, 409 or 422 Problem."""
    matter = await require_matter(tx, caller, matter_id)
    wanted = Order(matter.id, new.variant, new.prefix, new.checkpoint, tuple(new.member_ids), new.claim)
    require_order(wanted)
    if await packet_rows.count_under_way(tx, matter.id) >= MOST_AT_ONCE:
        raise Problem(409, f"{MOST_AT_ONCE} packets of this matter are under way already: wait until one is done.")
    packet_id = uuid7()
    row = Packet(
        id=packet_id,
        organization_id=caller.organization_id,
        matter_id=matter.id,
        wanted=noting.wanted(wanted),
        claim_sealed=await noting.sealed_claim(tx, context.keyring, caller.organization_id, packet_id, wanted),
        state=State.LOOKING,
        asked_by=caller.account_id,
        asked_at=clock.now(),
    )
    tx.add(row)
    await tx.flush()
    where, facts = caller.organization_id, {"what": "packet outline"}
    await append(tx, context.keyring, where, Act.VIEW, facts=facts, actor=caller.actor, matter=matter.id, packet=row.id)
    return row


async def order(tx: Transaction, caller: Principal, matter_id: UUID, packet_id: UUID) -> Packet:
    """Have a packet built as it was shown. Raises a 404 or 409 Problem."""
    row = await found(tx, caller, matter_id, packet_id)
    if not await packet_rows.order(tx, row.id, caller.account_id, clock.now()):
        raise Problem(409, "This packet was ordered already, or what will be in it is not looked up yet. Open its page again.")
    await tx.refresh(row)
    return row


async def found(tx: Transaction, caller: Principal, matter_id: UUID, packet_id: UUID) -> Packet:
    """One packet of a matter that this counsel is assigned to. Raises a 404 Problem for every other."""
    matter = await require_matter(tx, caller, matter_id)
    row = await packet_rows.one(tx, caller.organization_id, matter.id, packet_id)
    if row is None:
        raise not_found()
    return row


@dataclass(frozen=True)
class Parcel:
    """A packet on its way out: the files of its ZIP by name, with their sizes, and what reads one of them."""

    name: str
    files: Sizes
    size: int
    read: Callable[[str], bytes] = field(repr=False)


async def take(tx: Transaction, context: Context, caller: Principal, matter_id: UUID, packet_id: UUID) -> Parcel:
    """Take a finished packet along. It is written down before a byte leaves. Raises a 404 or 409 Problem."""
    row = await found(tx, caller, matter_id, packet_id)
    if row.state == State.OUTSIDE:
        raise Problem(409, "Whoever runs the service built this packet into a folder of theirs: ask them for it.")
    if row.state == State.EXPIRED:
        raise Problem(409, f"This packet is no more. {GONE[row.why_gone or 'age']} {AGAIN}")
    if row.state != State.READY or row.wrapped_key is None or row.number is None or row.ready_at is None:
        raise Problem(409, "This packet is not built yet. Its page says how far it is.")
    if await packet_rows.holds_erased(tx, row.id):
        raise Problem(409, f"This packet is no more. {GONE['erased']} {AGAIN}")
    if not await noting.agree(tx, row.id):
        raise Problem(409, f"This packet is no more. {GONE['consent']} {AGAIN}")
    if clock.now() >= row.ready_at + KEPT_FOR:
        raise Problem(409, f"This packet is no more. {GONE['age']} {AGAIN}")
    key = await context.keyring.unwrap(tx, row.organization_id, row.wrapped_key, *wrapped_at(row.id))
    folder = Folder(place_of(context.settings, row.id), Sealed(key, row.id)).within(PACKET)
    parcel = await asyncio.to_thread(parcel_of, row.wanted, row.number, folder)
    if parcel.size != row.zip_size:
        raise Problem(409, "The files of this packet are no longer whole. Order it again, and tell whoever runs the service.")
    await noting.taken(tx, context.keyring, caller, row)
    return parcel


def parcel_of(wanted: Mapping[str, object], number: str, folder: Folder) -> Parcel:
    """The ZIP of a finished packet: everything in one folder that is named after its number. `wanted`: the order."""
    name = f"{wanted['prefix']}-{wanted['variant']}-{number[:12]}"
    sizes = {f"{name}/{path}": folder.size(path) for path in folder.paths()}
    files = list(sizes.items())
    return Parcel(f"{name}.zip", files, length(files), lambda one: folder.read(one.removeprefix(f"{name}/")))


async def listed(tx: Transaction, keyring: Keyring, caller: Principal, matter_id: UUID) -> list[PacketView]:
    """Every packet of a matter, the newest first. Raises a 404 Problem."""
    matter = await require_matter(tx, caller, matter_id)
    return await views(tx, keyring, await packet_rows.of_matter(tx, caller.organization_id, matter.id))


async def views(tx: Transaction, keyring: Keyring, rows: Sequence[Packet]) -> list[PacketView]:
    """Packets as counsel sees them."""
    taken: dict[UUID, list[PacketTaken]] = {}
    for one in await packet_rows.takings(tx, [row.id for row in rows]):
        taken.setdefault(one.packet_id, []).append(one)
    return [_view(row, await noting.claim_of(tx, keyring, row), taken.get(row.id, [])) for row in rows]


def _view(row: Packet, claim: str | None, taken: Sequence[PacketTaken]) -> PacketView:
    return PacketView(
        id=row.id,
        state=State(row.state),
        variant=Variant(row.wanted["variant"]),
        prefix=row.wanted["prefix"],
        members=[UUID(one) for one in row.wanted["members"]],
        claim=claim,
        asked_by=row.asked_by,
        asked_at=row.asked_at,
        ordered_by=row.ordered_by,
        ordered_at=row.ordered_at,
        outline=None if row.outline is None else _outline(Outline.of(row.outline)),
        done=row.done,
        of_all=row.of_all,
        number=row.number,
        size=row.zip_size,
        ready_at=row.ready_at,
        until=row.ready_at + KEPT_FOR if row.state == State.READY and row.ready_at else None,
        gone_at=row.gone_at,
        gone=GONE[row.why_gone] if row.why_gone else None,
        error=row.error,
        taken=[TakenView(by=one.account_id, at=one.at) for one in taken],
    )


def _outline(said: Outline) -> OutlineView:
    held = [HeldBackView(why=Why(why), count=count, text=WORDS[Why(why)]) for why, count in said.withheld.items()]
    return OutlineView(
        checkpoint=said.size,
        at=said.at,
        members=said.members,
        erased=said.erased,
        exhibits=said.exhibits,
        originals=said.originals,
        withheld=held,
    )
