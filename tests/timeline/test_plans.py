"""What a member's page asks stays driven by indexes, with the second wall in every plan: nothing reads everybody's rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from app.access.roles import Role
from app.access.walls import COUNSEL, MEMBER
from app.kit.acting import WORKER, Acting
from app.kit.database import Database
from tests.support.crowd import crowd
from tests.support.world import World, alert

LARGE = {"member", "receipt", "member_event", "member_alert", "incident", "incident_alert", "link", "exposure", "enrollment"}
LARGE |= {"ledger_entry", "event"}


@contextmanager
def noted(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """The SELECTs that run while this is open, with their values."""
    found: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.lstrip().startswith("SELECT") and "set_config" not in statement:
            found.append((statement, values))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    yield found
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)


async def looked_through(database: Database, me: Acting, asked: list[tuple[str, Any]]) -> set[tuple[str, str]]:
    """The large tables that a statement reads from beginning to end, with the statement's beginning."""
    found = set()
    for statement, values in asked:
        async with database.begin(acting=me) as tx:
            connection = await tx.connection()
            plan = "\n".join(row[0] for row in await connection.exec_driver_sql("EXPLAIN " + statement, values))
        for table in re.findall(r"Seq Scan on (\w+)", plan):
            if table in LARGE:
                found.add((table, f"{statement[:60]}\n{plan}"))
    return found


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
async def test_no_page_of_a_member_or_of_counsel_reads_everybodys_rows(world: World) -> None:
    for number in range(3):
        assert (await world.deliver(alert(id=f"a-{number}", institution=f"Bank {number}"))).status_code == 202
    await world.workers.drain()
    await crowd(world.owner_url, world.union.id, world.union.connection.connection.id, members=1500, each=4)
    database = world.context.database
    async with await world.sign_in(Role.MEMBER) as browser, await world.sign_in(Role.COUNSEL) as counsel:
        with noted(database) as asked:
            items = (await browser.get("/v1/me/timeline")).json()["items"]
            detail = (await browser.get(f"/v1/incidents/{items[0]['id']}")).json()
            assert (await browser.get("/v1/me/visits?own=true")).json()["items"]
            assert (await browser.get("/v1/me/consents")).status_code == 200
        with noted(database) as asked_by_counsel:
            assert (await counsel.get(f"/v1/incidents/{items[0]['id']}")).status_code == 200
    assert len(items) == 3
    assert detail["sources"][0]["events"][0]["original_sha256"]
    me = Acting(MEMBER, world.union.id, world.union.accounts["M-1"], world.union.members["M-1"])
    assert len([one for one in asked if "FROM incident" in one[0]]) >= 2
    control = [("SELECT id FROM incident WHERE kind = 'x'", ())]
    assert {table for table, _ in await looked_through(database, WORKER, control)} == {"incident"}, "it would be seen"
    assert await looked_through(database, me, [one for one in asked if _is_the_roles_own(one[0])]) == set()
    them = Acting(COUNSEL, world.union.id, world.union.accounts[Role.COUNSEL])
    assert await looked_through(database, them, [one for one in asked_by_counsel if _is_the_roles_own(one[0])]) == set()


def _is_the_roles_own(statement: str) -> bool:
    """Finding out who asks is done before, as somebody else."""
    return "FROM session" not in statement
