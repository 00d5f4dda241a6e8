"""Builds a packet: exhibit by exhibit from the stored rows into files, one at a time, so that any number fits.

Whoever is broken off goes on where they stopped: a finished exhibit is not made again. The packet appears under its name only
when it is whole. The look at what is in it is written down before a byte of it is read.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.evidence.chapters import Desk, write_chapter
from app.evidence.finishing import finish
from app.evidence.folder import Folder
from app.evidence.ordering import Order
from app.evidence.pdf import Pen
from app.evidence.planning import Plan, plan
from app.evidence.proving import write_log
from app.evidence.records import Records
from app.kit import canonical
from app.kit.context import Context
from app.kit.errors import Problem
from app.ledger.service import Act, Entry, Sight, append, append_many


@dataclass(frozen=True, slots=True)
class Built:
    """A packet that is there. `number`: SHA-256 of its tagmanifest, which stands for every byte of it."""

    number: str
    size: int
    exhibits: int
    withheld: int


async def build(context: Context, order: Order, to: Path, *, pen: Pen | None = None) -> Built:
    """Build a packet at `to`, which must not be there yet. `pen`: who signs each member's pages, if anybody. Raises a Problem."""
    if to.exists():  # noqa: ASYNC240 - one look, in a program of its own
        raise Problem(409, f"{to} is there already: a packet is never written over anything.")
    async with context.database.begin() as tx:
        made = await plan(tx, order)
        seen = [
            Entry(made.organization_id, Act.EXPORT, {"what": Sight.PACKET}, {"matter": order.matter_id}, member_id=one.member_id)
            for one in made.chapters
            if not one.erased
        ]
        await append_many(tx, context.keyring, seen)
    work = to.with_name(f"{to.name}.building")
    out = _begin(made, work, pen)
    records = Records(Folder(work / "records"))
    async with context.database.begin(read_only=True) as tx:
        tree = await write_log(tx, made.organization_id, made.size, out)
        desk = Desk(context.keyring, made, made.company, tree, out, records, pen)
        for chapter in made.chapters:
            await write_chapter(tx, desk, chapter)
    number = finish(made, tree, out, records)
    await _note(context, made, number)
    done = Built(number, made.size, len(records.exhibits()), len(made.withheld) + len(records.withheld()))
    (work / "packet").rename(to)
    shutil.rmtree(work)
    return done


def _begin(made: Plan, work: Path, pen: Pen | None) -> Folder:
    """The folder that the packet grows in; one that another packet was to grow in is emptied."""
    said = canonical.dumps(
        {
            "matter": str(made.order.matter_id),
            **_told(made.order),
            "size": made.size,
            "signed_by": None if pen is None else pen.certificate,
            "exhibits": [one.bates for chapter in made.chapters for one in chapter.exhibits],
        }
    )
    state = Folder(work)
    if not state.has("order.json") or state.read("order.json") != said:
        shutil.rmtree(work, ignore_errors=True)
        state.write("order.json", said)
    return Folder(work / "packet")


def _told(order: Order) -> dict[str, Any]:
    """An order as JSON, but for the matter and the checkpoint."""
    members = [str(one) for one in order.chosen]
    return {"variant": order.variant.value, "prefix": order.prefix, "members": members, "claim": order.claim}


async def _note(context: Context, made: Plan, number: str) -> None:
    facts: dict[str, Any] = {"packet": number, **_told(made.order), "size": made.size}
    async with context.database.begin() as tx:
        matter = made.order.matter_id
        await append(tx, context.keyring, made.organization_id, Act.EXPORT, facts=facts, matter=matter)
