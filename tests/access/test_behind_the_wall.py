"""The first wall with holes in it: without the check in Python SQLite leaks, and PostgreSQL does not.

Each hole is a known-bad change of the code. That a test fails on SQLite shows that it is one; with all of them at once
PostgreSQL passes these tests and those that look at every route.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.crash.copies import ROOT, Copy, Done
from tests.crash.mutants import Mutant
from tests.crash.test_mutants import CAUGHT, copy

__all__ = ["copy"]

NOT_YOURS = ("tests/access/test_matrix.py::test_what_is_not_yours_answers_like_what_is_not_there[{kind}]",)
TIMELINE = (
    "tests/timeline/test_break_glass.py::test_one_asks_another_approves_and_the_first_sees_one_timeline_for_an_hour[{kind}]",
)
WAITING = ("tests/web/test_queue_pages.py::test_the_member_is_asked_sees_nothing_before_and_everything_after[{kind}]",)
EVERY_ROUTE = ("tests/api/test_two_worlds.py::test_nobody_can_tell_whether_m1_has_any_data[{kind}]",)
HOLES = (
    Mutant(
        "an incident is found whoever's it is",
        "app/incidents/repository.py",
        "        query = select(Incident).where(Incident.organization_id == organization_id, Incident.id == incident_id)\n"
        "        if member_id is not None:\n            query = query.where(Incident.member_id == member_id)\n",
        "        query = select(Incident).where(Incident.id == incident_id)\n",
        NOT_YOURS,
    ),
    Mutant(
        "the timeline is of everybody",
        "app/incidents/repository.py",
        "        Incident.organization_id == organization_id, Incident.member_id == member_id, Incident.redirect_to.is_(None)\n",
        "        Incident.redirect_to.is_(None)\n",
        TIMELINE,
    ),
    Mutant(
        "a member is found whatever their organization",
        "app/members/repository.py",
        "    query = select(Member).where(Member.organization_id == organization_id, Member.id == member_id)\n",
        "    query = select(Member).where(Member.id == member_id)\n",
        NOT_YOURS,
    ),
    Mutant(
        "a connection is found whatever its organization",
        "app/connections/repository.py",
        "Connection.organization_id == organization_id, Connection.id == connection_id",
        "Connection.id == connection_id",
        NOT_YOURS,
    ),
    Mutant(
        "every matter is every counsel's",
        "app/breaches/service.py",
        "    for matter, _ in await _assigned(tx, principal):\n        if matter.id == matter_id:\n            return matter\n",
        "    matter = await tx.get(Matter, matter_id)\n    if matter is not None:\n        return matter\n",
        NOT_YOURS,
    ),
    Mutant(
        "what waits for consent is everybody's",
        "app/incidents/repository.py",
        "    query = select(Unmatched.connection_id).where(\n        Unmatched.member_id == member_id,\n",
        "    query = select(Unmatched.connection_id).where(\n",
        WAITING,
    ),
)


def test_each_hole_says_where_it_is() -> None:
    for hole in HOLES:
        assert (ROOT / hole.file).read_text().count(hole.old) == 1, f"point it elsewhere: {hole.name}"


def with_holes(copy: Copy, holes: Iterable[Mutant], tests: Iterable[str], kind: str) -> Done:
    """Run tests on one kind of database with holes in the code; the tree is whole again afterwards."""
    whole = {copy.tree / hole.file: (copy.tree / hole.file).read_text() for hole in holes}
    for hole in holes:
        path = copy.tree / hole.file
        path.write_text(path.read_text().replace(hole.old, hole.new))
    try:
        return copy.test(tuple(name.format(kind=kind) for name in tests))
    finally:
        for path, sound in whole.items():
            path.write_text(sound)


@pytest.mark.slow
@pytest.mark.parametrize("hole", HOLES, ids=[hole.name for hole in HOLES])
def test_each_hole_leaks_without_the_second_wall(copy: Copy, hole: Mutant) -> None:
    leaks = with_holes(copy, [hole], hole.tests, "sqlite")
    assert leaks.returncode == CAUGHT, leaks.stdout[-3000:]


@pytest.mark.slow
def test_with_every_hole_in_the_first_wall_the_second_holds(copy: Copy) -> None:
    tests = dict.fromkeys([*EVERY_ROUTE, *(name for hole in HOLES for name in hole.tests)])
    held = with_holes(copy, HOLES, tests, "postgresql")
    assert held.returncode == 0, held.stdout[-3000:]
    assert f"{len(tests)} passed" in held.stdout
