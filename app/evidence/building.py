"""Builds a packet: exhibit by exhibit from the stored rows into files, one at a time, so that any number fits.

Whoever is broken off goes on where they stopped: a finished exhibit is not made again. The packet appears under its name only
when it is whole. The look at what is in it is written down before a byte of it is read, once, however often it was broken off.
"""

import asyncio
import json
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from app.evidence import noting
from app.evidence.chapters import OURS, Desk, Progress, write_chapter
from app.evidence.finishing import finish
from app.evidence.folder import Folder
from app.evidence.ordering import Order
from app.evidence.outlining import Outline
from app.evidence.pdf import Pen
from app.evidence.planning import Plan, plan
from app.evidence.proving import Tree, write_log
from app.evidence.records import Records
from app.kit import canonical
from app.kit.context import Context
from app.kit.errors import Problem
from app.kit.ids import uuid7

PACKET, RECORDS, STATE = "packet", "records", "order.json"
"""Names in the folder in which a packet grows: itself, what is remembered of it, and which it is."""


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
    work = Folder(to.with_name(f"{to.name}.building"))
    async with context.database.begin() as tx:
        made = await plan(tx, order)
        packet_id = begin(made, work, pen=pen)
        await noting.built_outside(tx, context.keyring, made, packet_id)
    number, said = await write(context, made, work, Progress(), pen)
    try:
        async with context.database.begin() as tx:
            await noting.require_readable(tx, packet_id)
            await noting.number_given(tx, context.keyring, packet_id, number, said)
    except Problem:
        shutil.rmtree(work.root)  # it lies in plain, and holds what nobody may read any more
        raise
    (work.root / PACKET).rename(to)
    shutil.rmtree(work.root)
    return Built(number, made.size, said.exhibits, sum(said.withheld.values()))


def begin(made: Plan, work: Folder, packet_id: UUID | None = None, pen: Pen | None = None) -> UUID:
    """Make the folder ready in which a packet grows: what another packet has left there goes. The id of the one that grows there.

    `packet_id`: which it has to be; else it is the one that began there, if that was the same, or a new one.
    """
    said = {
        "matter": str(made.order.matter_id),
        **noting.wanted(made.order),
        "claim": made.order.claim,
        "size": made.size,
        "signed_by": None if pen is None else pen.certificate,
        "exhibits": [one.bates for chapter in made.chapters for one in chapter.exhibits],
        "pages": [[chapter.timeline, chapter.sheet] for chapter in made.chapters],
        "erased": [str(chapter.member_id) for chapter in made.chapters if chapter.erased],
    }
    before = json.loads(work.read(STATE)) if work.has(STATE) else {}
    if before.get("said") == said and packet_id in (None, UUID(before["packet"])):
        return UUID(before["packet"])
    shutil.rmtree(work.root, ignore_errors=True)
    chosen = packet_id or uuid7()
    work.write(STATE, canonical.dumps({"packet": str(chosen), "said": said}))
    return chosen


async def write(context: Context, made: Plan, work: Folder, progress: Progress, pen: Pen | None = None) -> tuple[str, Outline]:
    """Write what is not there yet, all of it as of one moment; the packet's number, and what is in it."""
    out, records = work.within(PACKET), Records(work.within(RECORDS))
    progress.done, progress.of_all = 0, exhibits_of(made)
    async with context.database.begin(read_only=True) as tx:
        tree = await write_log(tx, made.organization_id, made.size, out)
        desk = Desk(context.keyring, made, made.company, tree, out, records, progress, pen)
        for chapter in made.chapters:
            await write_chapter(tx, desk, chapter)
    return await asyncio.to_thread(_finish, made, tree, out, records)


def _finish(made: Plan, tree: Tree, out: Folder, records: Records) -> tuple[str, Outline]:
    number = finish(made, tree, out, records)
    lines = records.exhibits()
    held = Counter(one["why"] for one in records.withheld()) + Counter(one.why.value for one in made.withheld)
    erased = sum(chapter.erased for chapter in made.chapters)
    originals = sum(one["type"] == "native" and one["file"] is not None for one in lines)
    return number, Outline(made.size, made.at, len(made.chapters), erased, len(lines), dict(sorted(held.items())), originals)


def exhibits_of(made: Plan) -> int:
    """How many exhibits a packet has when it is whole."""
    return sum(len(chapter.exhibits) + (0 if chapter.erased else OURS) for chapter in made.chapters)
