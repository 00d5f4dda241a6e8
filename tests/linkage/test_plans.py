"""What the workers ask for each batch is found by an index to the end, on SQLite too: no new alert costs what its member has."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event

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
    assert len(await world.timeline()) == 3, "all of it was done in this step"
    by_member_alone, whole = [], []
    async with world.context.database.begin(read_only=True) as tx:
        for statement, values in asked.items():
            plan = await (await tx.connection()).exec_driver_sql("EXPLAIN QUERY PLAN " + statement, tuple(values))
            for line in (row[3] for row in plan):
                name = line.split()[1]
                # Institutions are few words of an index for each alert: there SQLite does read those of the member.
                if name in BIG and line.endswith("(member_id=?)") and "institution_index) IN" not in statement:
                    by_member_alone.append((line, statement))
                if name in BIG and line.startswith("SCAN"):
                    whole.append((line, statement))
    assert any("FROM member_event" in statement for statement in asked)
    assert by_member_alone == []
    assert whole == []
