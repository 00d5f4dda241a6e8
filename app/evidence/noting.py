"""What is written down of a packet: whose data it holds, that it is built, by which number, that somebody takes it along.

Each once for each packet, however often its build was broken off: the rows of the packet say what was written down already.
"""

from uuid import UUID

from app.access.roles import Principal, Role
from app.evidence import packet_rows
from app.evidence.models import Packet, PacketMember, PacketTaken, State
from app.evidence.ordering import Order
from app.evidence.outlining import Outline
from app.evidence.planning import Plan
from app.kit import clock
from app.kit.database import Transaction
from app.kit.errors import Problem
from app.kit.keyring import Keyring, Lane
from app.kit.rows import insert_rows
from app.ledger.service import SYSTEM, Act, Actor, Entry, Sight, append, append_many
from app.members.service import all_consents_to

_CLAIM = ("packet", "claim_sealed")


def wanted(order: Order) -> dict[str, object]:
    """An order as a packet's row keeps it: JSON values. A claim's reference is kept beside it: counsel's words are sealed."""
    members = [str(one) for one in order.chosen]
    return {"variant": order.variant.value, "prefix": order.prefix, "size": order.size, "members": members}


async def sealed_claim(tx: Transaction, keyring: Keyring, organization_id: UUID, packet_id: UUID, order: Order) -> bytes | None:
    """The reference of the claim that a packet is for, as its row keeps it; not counsel's alone, for it stands in the packet."""
    if order.claim is None:
        return None
    return await keyring.seal(tx, organization_id, Lane.FACTUAL, order.claim, *_CLAIM, packet_id)


async def claim_of(tx: Transaction, keyring: Keyring, row: Packet) -> str | None:
    """The reference of the claim that a packet is for."""
    if row.claim_sealed is None:
        return None
    return await keyring.unseal(tx, row.organization_id, Lane.FACTUAL, row.claim_sealed, *_CLAIM, row.id)


async def built_outside(tx: Transaction, keyring: Keyring, made: Plan, packet_id: UUID) -> None:
    """A packet that a command builds into a folder of whoever runs the service."""
    if await tx.get(Packet, packet_id) is None:
        row = Packet(
            id=packet_id,
            organization_id=made.organization_id,
            matter_id=made.order.matter_id,
            wanted=wanted(made.order),
            claim_sealed=await sealed_claim(tx, keyring, made.organization_id, packet_id, made.order),
            state=State.OUTSIDE,
            asked_at=clock.now(),
        )
        tx.add(row)
        await tx.flush()
    await members_seen(tx, keyring, made, packet_id, SYSTEM)


async def members_seen(tx: Transaction, keyring: Keyring, made: Plan, packet_id: UUID, actor: Actor) -> None:
    """Each member of a packet whose data is about to be read for it: the ledger says so, and they can see it.

    Who was erased since a build began that was broken off, is not in it.
    """
    known = await packet_rows.members_in(tx, packet_id)
    there = {one.member_id: sorted(map(str, one.connections)) for one in made.chapters if not one.erased}
    await packet_rows.leave_out(tx, packet_id, known)
    new = sorted(there.keys() - known)
    subjects = {"matter": made.order.matter_id, "packet": packet_id}
    facts = {"what": Sight.PACKET}
    entries = [Entry(made.organization_id, Act.EXPORT, facts, subjects, actor, member_id=one) for one in new]
    await append_many(tx, keyring, entries)
    same = {"packet_id": packet_id, "organization_id": made.organization_id}
    rows = [{"member_id": one, "connections": there[one], **same} for one in sorted(there)]
    await insert_rows(tx, PacketMember, rows)


async def agree(tx: Transaction, packet_id: UUID, member_id: UUID | None = None) -> bool:
    """Whether a member, or everybody in a packet, agrees now to its being kept and shown what the packet shows of them."""
    asked = await packet_rows.shown_in(tx, packet_id, member_id)
    return all((await all_consents_to(tx, asked, clock.now())).values())


async def is_readable(tx: Transaction, packet_id: UUID) -> bool:
    """Whether nobody in a packet was erased, nor took back what they had agreed to, since its build began."""
    return await agree(tx, packet_id) and not await packet_rows.holds_erased(tx, packet_id)


async def require_readable(tx: Transaction, packet_id: UUID) -> None:
    """Raises a 409 Problem when a packet that was just built must not be read."""
    if not await is_readable(tx, packet_id):
        raise Problem(409, "Somebody in it was erased while it was built, or no longer agrees. Build it again: it says so then.")


async def number_given(tx: Transaction, keyring: Keyring, packet_id: UUID, number: str, said: Outline) -> None:
    """A packet is whole: its number stands for every byte of it."""
    row = await tx.get_one(Packet, packet_id)
    if row.number is not None:
        return
    row.number, row.outline, row.done, row.of_all = number, said.stored(), said.exhibits, said.exhibits
    row.ready_at = clock.now()
    facts = {"packet": number, **row.wanted, "size": said.size}
    where, actor = row.organization_id, actor_of(row)
    await append(tx, keyring, where, Act.EXPORT, facts=facts, actor=actor, matter=row.matter_id, packet=packet_id)


def actor_of(row: Packet) -> Actor:
    """For whom a packet is built."""
    return SYSTEM if row.ordered_by is None else Actor(row.ordered_by, Role.COUNSEL)


async def taken(tx: Transaction, keyring: Keyring, caller: Principal, row: Packet) -> None:
    """Somebody is about to take a packet along: the ledger says so of each member in it, and the packet's own list does."""
    subjects = {"matter": row.matter_id, "packet": row.id}
    where, facts = row.organization_id, {"what": Sight.DOWNLOAD}
    members = sorted(await packet_rows.members_in(tx, row.id))
    entries = [Entry(where, Act.EXPORT, facts, subjects, caller.actor, member_id=one) for one in members]
    entries.append(Entry(where, Act.EXPORT, {**facts, "packet": row.number}, subjects, caller.actor))
    await append_many(tx, keyring, entries)
    tx.add(PacketTaken(packet_id=row.id, organization_id=where, account_id=caller.account_id, at=clock.now()))
