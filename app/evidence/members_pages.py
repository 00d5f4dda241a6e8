"""A member's timeline as a summary (FRE 1006) and their pages as PDF (an illustration, Evid. Rule 107)."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from app.evidence import repository
from app.evidence.acts import custody_line
from app.evidence.exhibits import FORMAT, ILLUSTRATION, SUMMARY, Planned, Variant
from app.evidence.folder import Folder
from app.evidence.pdf import Pen, pages, render
from app.evidence.planning import Chapter, Plan
from app.evidence.production import hashes_of
from app.evidence.records import Records
from app.evidence.sheets import COLUMNS, Person, Sheets, sheets_of
from app.evidence.spreadsheet import table
from app.evidence.withheld import WORDS, Why
from app.evidence.wording import shown
from app.kit.database import Transaction
from app.kit.keyring import Keyring
from app.members.keys import Profile

LOSSES = ("incident", "incurred_on", "head", "amount", "reimbursed", "net", "counts", "entered", "note")
EDITIONS = {Variant.SEALED: "CONFIDENTIAL - sealed edition", Variant.REDACTED: "Redacted edition (CRC 1.201)"}
KIND = (
    "These pages are an illustrative aid (Federal Rule of Evidence 107), not evidence. The same timeline as a summary under Rule "
    "1006 is {timeline}; every line of both names the exhibit that it rests on. Names, numbers and words of services stand here "
    "as they came, long numbers by their last four digits."
)
AS_OF = "{at}, the moment of the checkpoint; answers, links and losses as they stood when these pages were made"
"""Only acts have a place in the log: what was answered or entered since its checkpoint is on these pages too."""
PARTS = {
    "timeline": 'Each line is one time that a service told of something, in order of the acts. "Received" is the moment at which '
    'it reached this system, by its own clock. "Claimed" is what the service says of when the act happened; nobody has proven '
    "it.",
    "links": "Whether an act can follow from a breach is weighed by fixed rules, each fact by itself, and what speaks against it "
    'stands beside what speaks for it. Nothing here says that a breach caused anything. "You" is the member: the facts stand in '
    "the words in which the member reads them.",
    "losses": "As the member entered them. A loss counts only where the member says that the act was not theirs. Nothing is "
    "converted between currencies, and nothing is estimated.",
    "custody": "Every act on an exhibit that was in the log by its checkpoint. The number is its place in the log; the packet "
    "holds the proof of each.",
}
ASSUMPTIONS = (
    "A service's alert is a statement of that service. That it came, with these bytes, at this time, is proven; that it is "
    "true is not.",
    "Where a service does not say when an act happened, the time at which its alert was received is the latest time at which it "
    "can have happened.",
    "Several alerts are taken to be about one act when kind, institution, last four digits and time agree, by fixed rules. The "
    "sheets say which exhibits were put together.",
    "Whose alert it is follows from the service's own number for the member, under which the member was enrolled with their "
    "consent.",
    "What each breach exposed follows from the notices, filings and reports that the catalogue of breaches names; whether this "
    "member's own data was in it is known only as well as each line says.",
    "Nobody has searched the member's past before the first alert. That nothing is shown for a time does not say that nothing "
    "happened in it.",
)


async def write_pages(
    tx: Transaction,
    keyring: Keyring,
    made: Plan,
    chapter: Chapter,
    whose: tuple[bytes, Profile],
    out: Folder,
    records: Records,
    pen: Pen | None,
) -> None:
    """Write the timeline and the pages of one member, whose exhibits are all written. `pen`: who signs the pages, if anybody."""
    key, profile = whose
    person = Person(
        chapter.member_id,
        profile,
        key,
        {one.told.event_id: one.bates for one in chapter.exhibits},
        {one.told.alert_id for one in chapter.exhibits},
    )
    sheets = await sheets_of(tx, keyring, made.organization_id, person)
    folder = f"data/members/{chapter.member_id}"
    hashes = {one.bates: _sha256(records, one) for one in chapter.exhibits}
    rows = [row | {"sha256": hashes[row["exhibit"]]} for row in sheets.rows]
    out.write(f"{folder}/timeline.csv", table(COLUMNS, [[row[name] for name in COLUMNS] for row in rows]))
    out.write(f"{folder}/losses.csv", table(LOSSES, [[_cell(loss[name]) for name in LOSSES] for loss in sheets.losses]))
    said = {"format": "harmline-timeline@v1", "rows": rows, "losses": sheets.losses, "totals": sheets.totals}
    out.write_json(f"{folder}/timeline.json", said)
    sources = [one.bates for one in chapter.exhibits]
    name = profile.name
    _exhibit(out, records, chapter.timeline, SUMMARY, f"{folder}/timeline.json", (f"Timeline of {name}", name), chapter, sources)
    data = await _data(tx, made, chapter, profile, sheets, records)
    pdf = await asyncio.to_thread(render, "sheet", data, made.at)
    out.write(f"{folder}/pages.pdf", pdf if pen is None else await pen.sign(pdf))
    about = (f"Timeline, incidents, links, losses and custody of {name}", name)
    _exhibit(out, records, chapter.sheet, ILLUSTRATION, f"{folder}/pages.pdf", about, chapter, sources, pages(pdf), _signed(pen))


def _signed(pen: Pen | None) -> dict[str, str] | None:
    return None if pen is None else {"who": pen.who, "certificate": pen.certificate}


def _sha256(records: Records, one: Planned) -> str:
    file = records.exhibit(one.bates)["line"]["file"]
    return file["sha256"] if file else ""


def _cell(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


async def _data(
    tx: Transaction, made: Plan, chapter: Chapter, profile: Profile, sheets: Sheets, records: Records
) -> dict[str, Any]:
    numbers = [one.bates for one in chapter.exhibits]
    return {
        "title": f"{profile.name}: timeline, incidents, links, losses",
        "organization": made.organization,
        "edition": EDITIONS[made.order.variant],
        "bates": chapter.sheet,
        "member": {"name": profile.name, "number": profile.external_id},
        "breach": made.breach.name,
        "defendant": made.breach.defendant.name,
        "claim": made.order.claim or "",
        "as_of": AS_OF.format(at=shown(made.at)),
        "log": f"the first {made.size} acts of the log",
        "range": f"{numbers[0]} to {numbers[-1]}" if numbers else "none",
        "kind": KIND.format(timeline=chapter.timeline),
        "parts": PARTS,
        "rows": [row | {"received": row["received_at"][:16].replace("T", " ")} for row in sheets.rows],
        "incidents": [sheet | {"remark": _remark(sheet)} for sheet in sheets.incidents],
        "losses": sheets.losses,
        "totals": sheets.totals,
        "custody": await _custody(tx, made, chapter),
        "withheld": reasons_of(records, chapter),
        "assumptions": ASSUMPTIONS,
    }


def _remark(sheet: dict[str, Any]) -> str:
    said = [
        (sheet["disputed"], "The organization doubts that the service itself sent this."),
        (sheet["only_a_hint"], "The service says only that there is something; nobody has told more of it yet."),
        (sheet["needs_review"], "The member's answer was given when fewer alerts were there."),
    ]
    return " ".join(text for holds, text in said if holds)


async def _custody(tx: Transaction, made: Plan, chapter: Chapter) -> list[dict[str, str]]:
    lines = []
    for one in chapter.exhibits:
        for place, act in await repository.acts_at(tx, made.organization_id, made.custody.of(made.ids_of(one))):
            line = custody_line(place, act)
            by = line["by"] or "the system"
            lines.append({"bates": one.bates, "at": shown(act.at), "index": str(place), "by": by, "what": line["what"]})
        tx.expunge_all()
    return lines


def reasons_of(records: Records, chapter: Chapter) -> list[str]:
    """Why something of a member's exhibits is not shown; the exhibits with the same reason in one line."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in chapter.exhibits:
        for held in records.exhibit(one.bates)["withheld"]:
            found.setdefault((held["what"], held["why"]), []).append(one.bates)
    places = {one.bates: place for place, one in enumerate(chapter.exhibits)}
    return [f"{runs(numbers, places)}: {what}. {WORDS[Why(why)]}" for (what, why), numbers in sorted(found.items())]


def runs(numbers: Sequence[str], places: Mapping[str, int]) -> str:
    """Numbers as people write them: three and more that follow one another from where to where. `places`: what follows what."""
    found: list[list[str]] = []
    for one in numbers:
        if found and places[one] == places[found[-1][-1]] + 1:
            found[-1].append(one)
        else:
            found.append([one])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(run) for run in found)


def _exhibit(
    out: Folder,
    records: Records,
    bates: str,
    kind: str,
    path: str,
    about: tuple[str, str],
    chapter: Chapter,
    sources: list[str],
    count: int | None = None,
    signed_by: dict[str, str] | None = None,
) -> None:
    """Write down a document of ours as an exhibit. `about`: its title, and whose it is; `count`: its pages."""
    sha256 = out.sha256(path)
    file = {"path": path, "sha256": sha256, "size": out.size(path)}
    view = dict.fromkeys(("provider", "channel", "received_at", "grade", "proved_by", "dns", "headers", "view"))
    told = {"format": FORMAT, "bates": bates, "type": kind, "file": file, "sources": sources, "title": about[0]}
    folder = f"data/exhibits/{bates}"
    out.write_json(
        f"{folder}/exhibit.json", {**view, **told, "member": str(chapter.member_id), "custody": [], "signed_by": signed_by}
    )
    shape = {"bates": bates, "folder": folder, "type": kind, "file": file, "entry": None, "index": None, "opened": False}
    load = {
        "BEGBATES": bates,
        "ENDBATES": bates,
        "CUSTODIAN": about[1],
        "DOCTYPE": kind,
        "CONFIDENTIALITY": "CONFIDENTIAL",
        "REDACTED": "N",
        "PAGECOUNT": "" if count is None else str(count),
        **hashes_of(path, out.read(path), sha256),
    }
    records.add(bates, shape | {"sources": sources}, load, [])
