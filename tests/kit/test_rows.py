"""Many rows by one statement, on both databases: every kind of column comes back as it went in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, select

from app.kit import rows as kit_rows
from app.kit.database import Database
from app.kit.ids import uuid7
from app.kit.letters import Letter
from app.kit.outbox import Failure, Message
from app.kit.rows import among, chosen, insert_missing, insert_rows, update_rows

NOW = datetime(2023, 6, 1, 12, 30, 1, 250, tzinfo=UTC)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    made = Database(database_url)
    yield made
    await made.close()


def rows(number: int) -> list[dict[str, Any]]:
    return [
        {
            "id": uuid7(),
            "position": at if at % 2 else None,
            "topic": f"it's {at}",
            "organization_id": UUID(int=at),
            "payload": {"a": [1, None, "é"], "at": at} if at % 3 else {},
            "created_at": NOW,
        }
        for at in range(number)
    ]


async def stored(database: Database) -> list[dict[str, Any]]:
    names = list(Message.__table__.columns.keys())
    async with database.begin(read_only=True) as tx:
        found = (await tx.execute(select(*Message.__table__.columns).order_by(Message.id))).all()
        return [dict(zip(names, row, strict=True)) for row in found]


async def test_rows_come_back_as_they_went_in(database: Database) -> None:
    given = rows(700)
    async with database.begin() as tx:
        await insert_rows(tx, Message, [])
        await insert_rows(tx, Message, given)
    assert await stored(database) == given


@pytest.mark.parametrize("count", [kit_rows.MANY - 1, kit_rows.MANY, 300])
@pytest.mark.parametrize("payload", [{}, {"a": [1, None, "é"]}])
async def test_what_is_the_same_in_all_rows_comes_back_in_each(database: Database, count: int, payload: dict[str, Any]) -> None:
    same = {"position": None, "topic": "it's", "organization_id": UUID(int=1), "payload": payload, "created_at": NOW}
    given = [{"id": uuid7(), **same} for _ in range(count)]
    async with database.begin() as tx:
        assert await insert_missing(tx, Message, given[:-1]) == given[:-1]
        await insert_rows(tx, Message, given, unless_there=True)
    assert await stored(database) == given


async def test_what_only_begins_and_ends_alike_comes_back_as_it_was(database: Database) -> None:
    given = rows(2 * kit_rows.MANY)
    for name in ("position", "topic", "payload"):
        given[-1][name] = given[0][name]
    async with database.begin() as tx:
        await insert_rows(tx, Message, given)
    assert await stored(database) == given


async def test_many_rows_that_are_one_row_are_written_once(database: Database) -> None:
    given = rows(1) * kit_rows.MANY
    async with database.begin() as tx:
        await insert_rows(tx, Message, given, unless_there=True)
    assert await stored(database) == given[:1]


async def test_a_row_that_is_there_is_left_as_it_is_or_is_told_apart(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    given, asked, holding = rows(10), list[int](), kit_rows._holding

    def noted(columns: Any, wanted: Any) -> Any:
        asked.append(len(wanted))
        return holding(columns, wanted)

    monkeypatch.setattr(kit_rows, "_holding", noted)
    async with database.begin() as tx:
        await insert_rows(tx, Message, given[:5])
        again = [{**row, "topic": "other"} for row in given]
        monkeypatch.setattr(kit_rows, "CHOSEN_AT_ONCE", 2)
        assert await insert_missing(tx, Message, again[3:8]) == again[5:8]
        assert asked == ([2, 2, 1] if database.is_sqlite else []), "SQLite takes only so many values at a time"
        assert await insert_missing(tx, Message, []) == []
        await insert_rows(tx, Message, again, unless_there=True)
    assert [row["topic"] for row in await stored(database)] == [f"it's {at}" for at in range(5)] + ["other"] * 5


async def test_changes_are_written_to_the_rows_with_those_keys_only(database: Database) -> None:
    given = rows(6)
    async with database.begin() as tx:
        await insert_rows(tx, Message, given)
        await update_rows(tx, Message, [])
        await update_rows(tx, Message, [{"id": row["id"], "position": None, "payload": {"b": 2}} for row in given[:3]])
    found = await stored(database)
    assert [row["payload"] for row in found[:3]] == [{"b": 2}] * 3
    assert {row["position"] for row in found[:3]} == {None}
    assert found[3:] == given[3:]


async def test_any_number_of_values_is_one_question(database: Database) -> None:
    given = rows(1200)
    async with database.begin() as tx:
        await insert_rows(tx, Message, given)
        found = (await tx.execute(select(Message.id).where(among(tx, Message.id, [row["id"] for row in given[:1100]])))).all()
        none = (await tx.execute(select(Letter.id).where(among(tx, Letter.id, [])))).all()
    assert (len(found), none) == (1100, [])


async def test_rows_are_chosen_by_what_columns_hold_together(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by each column alone: of two that are wanted the first half of one and the second of the other make no third."""
    monkeypatch.setattr(kit_rows, "CHOSEN_AT_ONCE", 2)
    given = rows(7)
    async with database.begin() as tx:
        await insert_rows(tx, Message, given)
        query, columns = select(Message.topic).order_by(Message.id), (Message.organization_id, Message.topic)
        places = [(row["organization_id"], row["topic"]) for row in given]
        crossed = [(places[0][0], places[1][1]), (UUID(int=99), places[2][1])]
        found = await chosen(tx, query, columns, [*places[:5], *crossed])
        assert [row[0] for row in found] == [topic for _, topic in places[:5]]
        assert await chosen(tx, query, columns, []) == []
        assert await chosen(tx, query, columns, crossed) == []


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_what_columns_hold_together_is_found_by_index(database: Database) -> None:
    """For a mere list of pairs SQLite reads the whole table, for each batch of the workers."""
    given = [{"consumer": "one", "message_id": uuid7(), "attempts": 1, "next_attempt_at": NOW, "error": "x"} for _ in range(3)]
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.startswith("SELECT outbox_failure"):
            asked.append((statement, values))

    async with database.begin() as tx:
        await insert_rows(tx, Failure, given[:1])
        event.listen(database.engine.sync_engine, "before_cursor_execute", note)
        assert await insert_missing(tx, Failure, given) == given[1:]
        key = (Failure.consumer, Failure.message_id)
        places = [(row["consumer"], row["message_id"]) for row in given]
        assert len(await chosen(tx, select(Failure.attempts), key, [*places, places[0]])) == 3
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)
        for statement, values in asked:
            plan = (await (await tx.connection()).exec_driver_sql("EXPLAIN QUERY PLAN " + statement, tuple(values))).all()
            assert "(consumer=? AND message_id=?)" in " ".join(row[3] for row in plan), plan
    assert len(asked) == 2


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_two_lists_in_one_statement_stay_apart(database: Database) -> None:
    given = rows(3)
    columns = (Message.organization_id, Message.topic)
    one, other = ([(row["organization_id"], row["topic"])] for row in given[:2])
    async with database.begin() as tx:
        await insert_rows(tx, Message, given)
        query = select(Message.topic).where(kit_rows._holding(columns, one) | kit_rows._holding(columns, other))
        assert {row[0] for row in (await tx.execute(query)).all()} == {row["topic"] for row in given[:2]}


async def test_a_row_that_breaks_a_rule_breaks_all_of_them(database: Database) -> None:
    given = rows(4)
    with pytest.raises(Exception, match=r"(?i)unique"):
        async with database.begin() as tx:
            await insert_rows(tx, Message, [*given, given[0]])
    assert await stored(database) == []
