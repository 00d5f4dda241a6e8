"""An admin marks a stretch of time of one connection as disputed, and takes the mark back: what is taken, refused and kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from app.access.roles import Role
from app.connections.disputing import checked_range
from app.connections.models import DisputedRange
from app.kit import clock
from app.kit.errors import Problem
from app.kit.ids import uuid7
from app.ledger.models import LedgerEntry
from tests.support.rows import contents
from tests.support.world import NOW, World

WHY = "The password of the account was found in a paste: zqreason."
MARK: dict[str, Any] = {"received_from": "2023-05-01T00:00:00Z", "received_until": "2023-05-04T00:00:00Z", "reason": WHY}
FAR = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))


def place(world: World) -> str:
    return f"/v1/connections/{world.union.connection.connection.id}/disputes"


async def send(world: World, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
    async with await world.sign_in(Role.ADMIN) as admin:
        return await admin.post(path, json=body)


async def listed(world: World) -> list[dict[str, Any]]:
    async with await world.sign_in(Role.ADMIN) as admin:
        found: list[dict[str, Any]] = (await admin.get(place(world))).json()
    return found


async def entries(world: World, dispute_id: str) -> list[dict[str, Any]]:
    async with world.context.database.begin(read_only=True) as tx:
        about = LedgerEntry.subjects["dispute"].as_string() == dispute_id
        found = (await tx.execute(select(LedgerEntry).where(about).order_by(LedgerEntry.id))).scalars().all()
    return [{"kind": row.kind, "role": row.actor_role, **row.subjects} for row in found]


async def test_a_mark_is_made_listed_withdrawn_and_each_act_is_in_the_ledger_once(world: World) -> None:
    made = (await send(world, place(world), MARK)).json()
    assert {name: made[name] for name in MARK} == MARK
    assert (made["created_at"], made["withdrawn_at"]) == (NOW.isoformat().replace("+00:00", "Z"), None)
    assert await listed(world) == [made]
    for _ in range(2):
        answer = await send(world, f"{place(world)}/{made['id']}/withdraw")
        assert answer.status_code == 200
    assert await listed(world) == [answer.json()]
    assert answer.json()["withdrawn_at"] is not None
    act = {"kind": "connection", "role": "admin", "connection": place(world).split("/")[3], "dispute": made["id"]}
    assert await entries(world, made["id"]) == [act, act]


async def test_the_reason_is_nowhere_in_plain(world: World) -> None:
    await send(world, place(world), MARK)
    assert "zqreason" not in str(await contents(world.context.database))


async def test_a_removed_connection_can_be_disputed_and_the_mark_withdrawn(world: World) -> None:
    assert (await send(world, place(world).replace("disputes", "close"))).status_code == 200
    made = await send(world, place(world), MARK)
    assert made.status_code == 201
    assert (await send(world, f"{place(world)}/{made.json()['id']}/withdraw")).status_code == 200


async def test_overlapping_marks_stand_beside_each_other_and_the_same_one_is_refused(world: World) -> None:
    endless = {name: value for name, value in MARK.items() if name != "received_until"}
    for body in (MARK, endless, {**MARK, "received_from": "2023-05-02T00:00:00Z"}):
        assert (await send(world, place(world), body)).status_code == 201
        again = await send(world, place(world), {**body, "reason": "Other words."})
        assert (again.status_code, "marked already" in again.json()["detail"]) == (409, True)
    newest, *others = await listed(world)
    assert (await send(world, f"{place(world)}/{newest['id']}/withdraw")).status_code == 200
    assert (await listed(world))[1:] == others
    assert (await send(world, place(world), {**MARK, "received_from": newest["received_from"]})).status_code == 201


WRONG = (
    ("received_from", {"received_from": "2023-05-01T00:00:00"}),
    ("received_from", {"received_from": "2023-06-01T12:00:01Z", "received_until": None}),
    ("received_from", {"received_from": "0001-01-01T00:00:00+14:00"}),
    ("received_from", {"received_from": "soon"}),
    ("received_from", {"received_from": 1682899200}),
    ("received_from", {"received_from": "1682899200"}),
    ("received_from", {"received_from": "2023-05-01T00Z"}),
    ("received_until", {"received_until": 1683072000.5}),
    ("received_until", {"received_until": "2023-05-03 00:00Z"}),
    ("received_until", {"received_until": "2023-05-04T00:00:00"}),
    ("received_until", {"received_until": "2023-05-01T00:00:00Z"}),
    ("received_until", {"received_until": "2023-05-01T01:00:00+02:00"}),
    ("received_until", {"received_until": "9999-12-31T23:59:59-14:00"}),
    ("reason", {"reason": "  "}),
    ("reason", {"reason": "x" * 2001}),
    ("reason", {"reason": "a\0b"}),
)


async def test_what_cannot_be_meant_is_refused_by_its_field_and_nothing_happens(world: World) -> None:
    async with await world.sign_in(Role.ADMIN) as admin:
        before = await contents(world.context.database)
        for field, change in WRONG:
            answer = await admin.post(place(world), json={**MARK, **change})
            assert answer.status_code == 422, change
            assert [error["field"] for error in answer.json()["errors"]] == [f"body.{field}"], change
        assert (await admin.post(place(world), json={**MARK, "zqname": 1})).status_code == 422
        assert await contents(world.context.database) == before


async def test_what_is_anothers_is_not_there(world: World) -> None:
    made = (await send(world, place(world), MARK)).json()
    foreign = place(world).replace(str(world.union.connection.connection.id), str(world.other.connection.connection.id))
    async with await world.sign_in(Role.ADMIN, tenant=world.other) as other:
        assert (await other.get(place(world))).status_code == 404
        assert (await other.post(place(world), json=MARK)).status_code == 404
        for path in (place(world), foreign):
            assert (await other.post(f"{path}/{made['id']}/withdraw")).status_code == 404, "nor by way of one's own connection"
    assert (await send(world, f"{place(world)}/{uuid7()}/withdraw")).status_code == 404
    async with world.context.database.begin(read_only=True) as tx:
        (row,) = (await tx.execute(select(DisputedRange))).scalars()
    assert (row.id, row.organization_id, row.withdrawn_at) == (UUID(made["id"]), world.union.id, None)


MOMENTS = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))]))


@given(MOMENTS, st.none() | MOMENTS)
def test_a_range_that_is_taken_has_a_past_beginning_before_its_end_in_utc(first: datetime, last: datetime | None) -> None:
    try:
        start, end = checked_range(first, last, NOW)
    except Problem as problem:
        (error,) = problem.errors
        wrong = first if error.field == "body.received_from" else last
        assert wrong is not None
        assert first > NOW or (last is not None and last <= first) or wrong.year in (1, 9999)
    else:
        assert start == first <= NOW
        assert start.tzinfo is UTC
        assert end == last
        assert end is None or (end > start and end.tzinfo is UTC)


@pytest.mark.parametrize("ends", [(datetime(2023, 5, 1), None), (FAR, None), (NOW - timedelta(days=1), datetime(2023, 6, 1))])  # noqa: DTZ001 - that it is naive is the point
def test_a_moment_that_cannot_be_placed_is_refused(ends: tuple[datetime, datetime | None]) -> None:
    with pytest.raises(Problem) as refused:
        checked_range(*ends, clock.now())
    assert refused.value.status == 422
