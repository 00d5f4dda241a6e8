"""What the workers ask for each batch is found by an index to the end, on SQLite too, and is not read of all that a member has.

One thing is: the entries of the index of institutions.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import event, func, select

from app.linkage.models import Link
from tests.support.world import World, alert

BIG = ("receipt", "event", "alert", "member_alert", "member_event", "incident", "incident_alert", "link", "ledger_entry")


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_nothing_is_read_of_all_that_a_member_has(world: World) -> None:
    asked: dict[str, Any] = {}

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            asked[statement] = values

    for number in range(3):
        await world.deliver(alert(id=f"a-{number}", institution=f"Bank {number}"))
    engine = world.context.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    await world.workers._take_in()
    event.remove(engine, "before_cursor_execute", note)
    by_member_alone, whole = [], []
    async with world.context.database.begin(read_only=True) as tx:
        linked = select(func.count()).select_from(Link).where(Link.member_id == world.union.members["M-1"])
        assert (await tx.execute(linked)).scalar_one() >= 3, "all of it was done in this step"
        for statement, values in asked.items():
            plan = await (await tx.connection()).exec_driver_sql("EXPLAIN QUERY PLAN " + statement, tuple(values))
            for line in (row[3] for row in plan):
                name = re.sub(r"_\d+$", "", line.split()[1])
                if name in BIG and "(member_id=?)" in line and "institution_index) IN" not in statement:
                    by_member_alone.append((line, statement))
                if name in BIG and line.startswith("SCAN"):
                    whole.append((line, statement))
    for form in ("LEFT OUTER JOIN member_event", "completes IS NOT NULL"):
        assert any(form in statement for statement in asked), form
    assert by_member_alone == []
    assert whole == []
