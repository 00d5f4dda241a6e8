"""Compares what the house made of the scenario with the scenario's own truth. Every difference is one line of plain words."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from app.damages.heads import Head
from app.damages.schemas import LossView
from app.demo.check_accounts import Books, books_of, check_diary, compare_books
from app.demo.check_faces import check_faces, visible_cells
from app.demo.check_links import check_links
from app.demo.check_ways import check_ways, graded_mails
from app.demo.expected import AlertKey, Told
from app.demo.play import Played
from app.demo.reading import Found, describe, found_incidents, links_under, losses_under
from app.demo.truth import Agreement, TrueIncident
from app.incidents.identity import Answer
from app.linkage.schemas import CounselLinkView
from app.statistics.service import latest_release

SILENT = (Agreement.NEVER, Agreement.REFUSED)
"""Those of whom nothing may be read."""


@dataclass(frozen=True)
class Result:
    """The accounts of both organizations, how well incidents were put together (0 to 1), and every difference.

    `several`: how many incidents two services told of, and how many three or more. `mails`: how many of the alerts that were
    forwarded are proven how well. `outage`: see `Diary`.
    """

    books: Books
    books_elsewhere: Books
    several: tuple[int, int]
    mails: Counter[str]
    outage: tuple[tuple[int, bool], ...]
    precision: float
    recall: float
    true_incidents: int
    members_hit: int
    visible_cells: int
    narrowest: int | None
    differences: tuple[str, ...]


@dataclass(frozen=True)
class Seen:
    """One present incident as the house has it, with its links and losses."""

    found: Found
    links: tuple[CounselLinkView, ...]
    losses: tuple[LossView, ...]


async def check(played: Played, least_cells: int = 8) -> Result:
    """Compare everything. `least_cells`: how many numbers the last edition of the statistics must show at least."""
    script = played.script
    ours, theirs = await books_of(played), await books_of(played, elsewhere=True)
    seen = await _seen(played)
    wanted = {frozenset(script.told.incidents[i.key]) for i in script.truth.readable()}
    made = {frozenset(one.found.alerts) for shelf in seen.values() for one in shelf}
    silent = {member for member, consent in script.truth.consents.items() if consent.agreement in SILENT}
    async with played.context.database.begin(read_only=True) as tx:
        release = await latest_release(tx, played.union.id)
    differences = [
        *compare_books("the union", script.told, ours),
        *compare_books("the other organization", script.told_elsewhere, theirs),
        *check_diary(played, ours.astray),
        *compare_incidents(script.told, script.truth.incidents, seen, silent),
        *check_links(script, {member: [(one.found, one.links) for one in shelf] for member, shelf in seen.items()}),
        *check_ways(script, [[one.found for one in shelf] for shelf in seen.values()]),
        *await check_faces(played, least_cells),
    ]
    return Result(
        books=ours,
        books_elsewhere=theirs,
        several=_several(made),
        mails=graded_mails([one.found for shelf in seen.values() for one in shelf]),
        outage=tuple(played.diary.outage),
        precision=len(wanted & made) / max(1, len(made)),
        recall=len(wanted & made) / max(1, len(wanted)),
        true_incidents=len(wanted),
        members_hit=len({i.member for i in script.truth.readable()}),
        visible_cells=visible_cells(release) if release else 0,
        narrowest=release.audit.narrowest_width if release else None,
        differences=tuple(differences),
    )


def _several(made: Iterable[frozenset[AlertKey]]) -> tuple[int, int]:
    tellers = [len({service for service, _ in alerts}) for alerts in made]
    return tellers.count(2), sum(count > 2 for count in tellers)


async def _seen(played: Played) -> dict[str, list[Seen]]:
    """What every member of the union has in the end, by external id; those without anything are left out."""
    shelves: dict[str, list[Seen]] = {}
    async with played.context.database.begin(read_only=True) as tx:
        for member, member_id in played.union.members.items():
            found = await found_incidents(tx, played.context, played.union, member_id)
            for one in found:
                links = await links_under(tx, played.union, one.row)
                losses = await losses_under(tx, played.context, played.union, one.row)
                shelves.setdefault(member, []).append(Seen(one, tuple(links), tuple(losses)))
    return shelves


def compare_incidents(
    told: Told, incidents: Sequence[TrueIncident], seen: dict[str, list[Seen]], silent: set[str]
) -> Iterator[str]:
    """Every true incident against what its member has: its alerts once each, together, with its kind, answer and losses."""
    owner: dict[AlertKey, str] = {}
    for member, alert in ((m, a) for m, shelf in seen.items() for one in shelf for a in one.found.alerts):
        if alert in owner:
            yield f"{describe({alert})} is with {owner[alert]} and with {member}, or twice with one of them."
        owner[alert] = member
    for incident in incidents:
        alerts = told.incidents[incident.key]
        if incident.member in silent and alerts & owner.keys():
            yield f"{describe(alerts & owner.keys())} can be read, and {incident.member} has not agreed."
        lost = {alert for alert in alerts if owner.get(alert) != incident.member}
        if incident.member not in silent and lost:
            yield f"{incident.key}: {describe(lost)} is not with {incident.member}."
    expected = {frozenset(told.incidents[i.key]): i for i in incidents if i.member not in silent}
    for one in (one for shelf in seen.values() for one in shelf):
        match = expected.pop(frozenset(one.found.alerts), None)
        if match is None:
            yield f"{describe(set(one.found.alerts))} is one incident and should not be."
        else:
            yield from _compare(match, one)
    yield from (f"{incident.key} is not one incident: {describe(alerts)}." for alerts, incident in expected.items())


def _compare(true: TrueIncident, seen: Seen) -> Iterator[str]:
    row = seen.found.row
    if row.kind != true.kind:
        yield f"{true.key} is called {row.kind} and is {true.kind.value}."
    if row.answer != true.answer:
        yield f"{true.key} has the answer {row.answer} and the member said {true.answer.value}."
    wanted = sorted((c.head, c.amount, sum((b.amount for b in c.back), Decimal(0))) for c in true.costs)
    entered = sorted((Head(loss.head), loss.amount, loss.reimbursed) for loss in seen.losses)
    if wanted != entered:
        yield f"{true.key} has losses {entered} and the member entered {wanted}."
    if any(loss.counts != (true.answer is Answer.NOT_ME) for loss in seen.losses):
        yield f"{true.key}: losses count only after the answer not_me."
