"""Checks what people get to see over HTTP: each role its own, nobody another's, and no name in the statistics."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC
from typing import Any
from uuid import UUID

from app.access.policy import scopes_of
from app.access.roles import Principal, Role
from app.access.service import create_token
from app.demo.acts import RELEASES
from app.demo.enrollment import Service
from app.demo.play import Played
from app.demo.reading import found_incidents
from app.demo.truth import Agreement
from app.statistics.release import THRESHOLD, Release
from app.statistics.repository import releases

MOST = 200
STRAY_REASONS = ("no_enrollment", "several_members")


class _Reader:
    """Asks the running application as somebody."""

    def __init__(self, played: Played) -> None:
        self._played = played

    async def get(self, caller: Principal, path: str) -> tuple[int, Any, str]:
        """Status, JSON and text of an answer."""
        async with self._played.context.database.begin() as tx:
            keyring, scopes = self._played.context.keyring, scopes_of(caller.role)
            token, _ = await create_token(tx, keyring, caller, "the scenario's check", scopes, 1)
        answer = await self._played.stage.http.get(path, headers={"authorization": f"Bearer {token}"})
        return answer.status_code, answer.json(), answer.text


async def check_faces(played: Played, least_cells: int) -> list[str]:
    """Every difference between what roles are shown and what they may and must be shown."""
    reader = _Reader(played)
    differences = [line async for line in _timelines(played, reader)]
    differences += [line async for line in _strangers(played, reader)]
    differences += [line async for line in _queues(played, reader)]
    differences += [line async for line in _editions(played)]
    status, body, text = await reader.get(played.union.official(Role.STAFF), "/v1/statistics/incidents")
    if status != 200:
        return [*differences, f"Staff asked for the statistics and got {status}."]
    return [*differences, *check_release(played, Release.model_validate(body), text, least_cells)]


async def _timelines(played: Played, reader: _Reader) -> AsyncIterator[str]:
    """The star sees every one of their incidents; who has not agreed sees nothing, and is only asked."""
    truth = played.script.truth
    path = f"/v1/me/timeline?limit={MOST}"
    _, body, _ = await reader.get(played.union.member(truth.star), path)
    wanted = sum(incident.member == truth.star for incident in truth.incidents)
    if len(body["items"]) != wanted:
        yield f"The star's timeline has {len(body['items'])} incidents and should have {wanted}."
    for member, consent in truth.consents.items():
        _, body, _ = await reader.get(played.union.member(member), path)
        silent = consent.agreement is not Agreement.LATE
        if silent == bool(body["items"]):
            yield f"{member}, who {consent.agreement.value}, sees {len(body['items'])} incidents."


async def _strangers(played: Played, reader: _Reader) -> AsyncIterator[str]:
    """Nobody reaches an incident that is not theirs: not by another's number, not from another organization."""
    truth, union, neighbour = played.script.truth, played.union, played.neighbour
    incident = await _an_incident(played, truth.star)
    path = f"/v1/incidents/{incident}"
    stranger = next(i.member for i in truth.readable() if i.member != truth.star)
    namesake = next(iter(neighbour.members))
    askers = {
        "another member": (union.member(stranger), 404),
        "a member of the other organization": (neighbour.member(namesake), 404),
        "the other organization's counsel": (neighbour.official(Role.COUNSEL), 404),
        "staff": (union.official(Role.STAFF), 403),
        "a caseworker": (union.official(Role.CASEWORKER), 403),
        "an admin": (union.official(Role.ADMIN), 403),
        "the member": (union.member(truth.star), 200),
        "counsel of the matter": (union.official(Role.COUNSEL), 200),
    }
    for who, (caller, wanted) in askers.items():
        status, _, _ = await reader.get(caller, path)
        if status != wanted:
            yield f"A request by {who} for the star's incident was answered {status} and not {wanted}."


async def _an_incident(played: Played, member: str) -> UUID:
    async with played.context.database.begin(read_only=True) as tx:
        found = await found_incidents(tx, played.context, played.union, played.union.members[member])
        return found[0].row.id


async def _queues(played: Played, reader: _Reader) -> AsyncIterator[str]:
    """The caseworker's queues hold what nobody could place, and nothing else."""
    told, total = played.script.told, played.script.told.total
    for_people = told.services[Service.MAIL].events["quarantined"]
    wanted = {
        "unmatched": sum(told.unmatched.get(reason, 0) for reason in STRAY_REASONS),
        "quarantined": total.events["quarantined"] - for_people,
        "reviews": for_people,
        "set-aside": total.stale + total.unsplittable,
    }
    for queue, count in wanted.items():
        _, body, _ = await reader.get(played.union.official(Role.CASEWORKER), f"/v1/queues/{queue}")
        if len(body["items"]) != count:
            yield f"The queue {queue} holds {len(body['items'])} and should hold {count}."


async def _editions(played: Played) -> AsyncIterator[str]:
    """Every edition, not the newest alone: each passed its audit, hides well, counts nobody too many, and names nobody."""
    async with played.context.database.begin(read_only=True) as tx:
        editions = await releases(tx, played.union.id)
    if [one.number for one in editions] != list(range(1, len(RELEASES) + 2)):
        yield f"The statistics have {len(editions)} editions and should have {len(RELEASES) + 1}."
    for one in editions:
        for line in check_edition(played, Release.model_validate(one.body), json.dumps(one.body)):
            yield f"Edition {one.number}: {line}"


def members_until(played: Played, last_month: str, first_month: str = "") -> int:
    """Distinct members with an incident whose first word came in these months (as 2023-03), by the truth."""
    first = played.script.told.first
    return len(
        {
            i.member
            for i in played.script.truth.readable()
            if first_month <= first[i.key].astimezone(UTC).strftime("%Y-%m") <= last_month
        }
    )


def check_release(played: Played, release: Release, text: str, least_cells: int) -> Iterator[str]:
    """The newest edition: its total is the truth's, it shows enough, hides well, and names nobody."""
    total = next(cell for cube in release.cubes if cube.name == "total" for cell in cube.cells)
    everybody = members_until(played, "9999")
    if total.value is not None and total.value != members_until(played, total.last_month, total.first_month):
        yield f"The statistics count {total.value} members until {total.last_month}, and the truth does not."
    if least_cells and total.value != everybody:
        yield f"The statistics count {total.value} members in all, and the truth {everybody}."
    if (visible := visible_cells(release)) < least_cells:
        yield f"The statistics show {visible} numbers and should show at least {least_cells}."
    yield from check_edition(played, release, text)


def check_edition(played: Played, release: Release, text: str) -> Iterator[str]:
    """What holds for every edition. An older one may count fewer than the truth: somebody agreed only later."""
    total = next(cell for cube in release.cubes if cube.name == "total" for cell in cube.cells)
    if total.value is not None and total.value > members_until(played, total.last_month, total.first_month):
        yield f"The statistics count {total.value} members until {total.last_month}, more than the truth."
    narrow = release.audit.narrowest_width
    if not release.audit.passed or (narrow is not None and narrow < THRESHOLD):
        yield f"A hidden cell of the statistics can be bounded within {narrow} members."
    for person in played.script.people:
        if person.name in text or person.external_id in text or person.email in text:
            yield f"The statistics name {person.external_id}."


def visible_cells(release: Release) -> int:
    """How many numbers an edition shows."""
    return sum(cell.value is not None for cube in release.cubes for cell in cube.cells)
