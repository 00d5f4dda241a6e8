"""The first wall with a hole in it: without the check in Python SQLite leaks, and PostgreSQL does not.

Each hole is a known-bad change of the code. That the same tests fail on SQLite shows that it is one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.mutants import Mutant
from tests.crash.test_mutants import CAUGHT, ROOT, tree, tried

__all__ = ["tree"]

NOT_YOURS = ("tests/access/test_matrix.py", "-k", "what_is_not_yours and {kind}")
TWO_WORLDS = ("tests/api/test_two_worlds.py", "-k", "nobody_can_tell and {kind}")
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
        TWO_WORLDS,
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
        TWO_WORLDS,
    ),
)


def test_each_hole_says_where_it_is() -> None:
    for hole in HOLES:
        assert (ROOT / hole.file).read_text().count(hole.old) == 1, f"point it elsewhere: {hole.name}"


@pytest.mark.slow
@pytest.mark.parametrize("hole", HOLES, ids=[hole.name for hole in HOLES])
def test_with_a_hole_in_the_first_wall_the_second_holds(tree: Path, hole: Mutant) -> None:
    path = tree / hole.file
    whole = path.read_text()
    path.write_text(whole.replace(hole.old, hole.new))
    try:
        leaks = tried(tree, tuple(part.format(kind="sqlite") for part in hole.tests))
        assert leaks.returncode == CAUGHT, leaks.stdout[-3000:]
        held = tried(tree, tuple(part.format(kind="postgresql") for part in hole.tests))
        assert held.returncode == 0, held.stdout[-3000:]
    finally:
        path.write_text(whole)
