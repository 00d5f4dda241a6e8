"""One member's part of a packet, written file by file: exhibits, the acts that bear on them, timeline and pages."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.evidence import repository
from app.evidence.acts import custody_line
from app.evidence.exhibits import Company, Native, Planned, Variant, read
from app.evidence.folder import Folder
from app.evidence.members_pages import write_pages
from app.evidence.pdf import Pen
from app.evidence.planning import Chapter, Plan
from app.evidence.production import hashes_of
from app.evidence.proving import Tree, write_entry
from app.evidence.records import Records
from app.evidence.withheld import Withheld
from app.incidents.models import Verdict
from app.kit.database import Transaction
from app.kit.keyring import Keyring
from app.ledger.models import LedgerEntry
from app.ledger.service import Act, salt_for
from app.members import repository as members
from app.members.keys import Profile, open_key, open_profile

OURS = 2
"""Exhibits of a member that are documents of ours: the timeline and the pages."""


@dataclass(slots=True)
class Progress:
    """How far a build is, for whoever looks on: exhibits that are done, of all."""

    done: int = 0
    of_all: int = 0


@dataclass(frozen=True, slots=True)
class Desk:
    """What every part of one packet is written with."""

    keyring: Keyring
    made: Plan
    company: Company
    tree: Tree
    out: Folder
    records: Records
    progress: Progress
    pen: Pen | None = None


async def write_chapter(tx: Transaction, desk: Desk, chapter: Chapter) -> None:
    """Write what is not there yet of one member's part."""
    member = await members.member(tx, desk.made.organization_id, chapter.member_id)
    erased = chapter.erased or member is None or member.wrapped_key is None
    key = None if erased or member is None else await open_key(tx, desk.keyring, member)
    profile = None if erased or member is None else await open_profile(tx, desk.keyring, member)
    for one in chapter.exhibits:
        if not desk.records.has(one.bates):
            await _write_native(tx, desk, one, key, profile)
            tx.expunge_all()
            await asyncio.sleep(0)  # on SQLite nothing else of this process has its turn meanwhile
        desk.progress.done += 1
    if key is not None and profile is not None:
        if not desk.records.has(chapter.sheet):
            await write_pages(tx, desk.keyring, desk.made, chapter, (key, profile), desk.out, desk.records, desk.pen)
        desk.progress.done += OURS


async def _write_native(tx: Transaction, desk: Desk, one: Planned, key: bytes | None, profile: Profile | None) -> None:
    made, out, records = desk.made, desk.out, desk.records
    came = made.custody.came[one.told.receipt_id]
    places = sorted({came, *made.custody.of(made.ids_of(one))})
    acts = dict(await repository.acts_at(tx, made.organization_id, places))
    entry, folder = acts[came], f"data/exhibits/{one.bates}"
    native = await read(tx, desk.keyring, one, entry, key, desk.company)
    file = None
    if native.original is not None:
        file = f"{folder}/original.{native.ending}"
        out.write(file, native.original)
    if native.opening is not None:
        out.write_json(f"{folder}/opening.json", native.opening)
    if native.item is not None:
        out.write_json(f"{folder}/{_item_name(made.order.variant)}", native.item)
    await write_entry(tx, desk.tree, came, entry, folder, out)
    for place, act in acts.items():
        if place != came and not records.has_act(place):
            await _write_act(tx, desk, place, act)
    described = None if file is None else {"path": file, "sha256": out.sha256(file), "size": out.size(file)}
    native.view |= {"file": described, "custody": [custody_line(place, act) for place, act in acts.items()]} | made.named(one)
    out.write_json(f"{folder}/exhibit.json", native.view)
    line = {
        "bates": one.bates,
        "folder": folder,
        "type": native.view["type"],
        "file": described,
        "entry": str(entry.id),
        "index": came,
        "opened": native.opening is not None,
        "sources": [],
    }
    held = [] if native.why is None else [Withheld(_what(native), native.why, one.bates).told()]
    records.add(one.bates, line, _load(native, line, profile, out), held)


def _item_name(variant: Variant) -> str:
    return "item.json" if variant is Variant.SEALED else "item-masked.json"


def _what(native: Native) -> str:
    if native.view["view"] is None:
        return "the delivery and all that was understood of it"
    return "the bytes as they came"


async def _write_act(tx: Transaction, desk: Desk, position: int, entry: LedgerEntry) -> None:
    """Prove an act by itself; an answer of the member is opened, so that what they answered is proven too."""
    folder = f"data/custody/{entry.id}"
    await write_entry(tx, desk.tree, position, entry, folder, desk.out)
    opened = await _opening(tx, desk.keyring, entry)
    if opened is not None:
        desk.out.write_json(f"{folder}/opening.json", opened)
    line = {"entry": str(entry.id), "index": position, "folder": folder, "opened": opened is not None}
    desk.records.add_act(position, line)


async def _opening(tx: Transaction, keyring: Keyring, entry: LedgerEntry) -> dict[str, Any] | None:
    if entry.kind != Act.VERDICT or entry.member_id is None:
        return None
    given = await tx.get(Verdict, (entry.member_id, UUID(entry.subjects["verdict"])))
    if given is None:
        return None
    facts = {"answer": given.answer, "shown": given.shown_alerts}
    salt = await salt_for(tx, keyring, entry, facts)
    return None if salt is None else {"salt": salt.hex(), "facts": facts}


def _load(native: Native, line: Mapping[str, Any], profile: Profile | None, out: Folder) -> dict[str, str]:
    """The exhibit's line in the load file."""
    file, view = line["file"], native.view
    row = {
        "BEGBATES": line["bates"],
        "ENDBATES": line["bates"],
        "CUSTODIAN": profile.name if profile else "",
        "DOCTYPE": "alert",
        "DATERCVD": view["received_at"],
        "SOURCE_PROVIDER": view["provider"],
        "CONFIDENTIALITY": "CONFIDENTIAL",
        "REDACTED": "N" if file else "Y",
        "TLOG_INDEX": str(line["index"]),
    }
    return row if file is None else row | hashes_of(file["path"], out.read(file["path"]), file["sha256"])
