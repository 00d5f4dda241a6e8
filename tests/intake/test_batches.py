"""Work in batches: the same as one by one, a poisoned receipt spares its batch, two processes at once do nothing twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DataError

from app.incidents.models import Incident, IncidentAlert, MemberEvent, Unmatched
from app.intake import handling, workers
from app.intake.fresh import nothing_brought
from app.intake.models import AlertRow, Event, Receipt
from app.intake.workers import handle_waiting
from app.kit import pulling
from app.kit.database import Database, Transaction
from app.ledger.models import LedgerEntry
from app.linkage.models import Link
from app.notices.models import MemberNotice
from tests.intake.counting import books, receipts
from tests.support.world import Tenant, World, alert

on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)

DELIVERIES: tuple[dict[str, Any] | bytes, ...] = (
    alert(),
    {"alerts": [alert(id="a-2", institution="Other Bank"), alert()]},
    alert(summary="The same card, told in other words."),
    {"alerts": [alert(id="a-3", member="ref-M-2"), {**alert(id="a-4"), "amount": 7}, alert(id="a-3", member="ref-M-1")]},
    alert(id="a-5", member="ref-nobody"),
    b"junk",
    {"id": "p", "type": "ping"},
    {
        "alerts": [
            alert(id="a-6", opened="2023-04-02"),
            alert(id="a-6", opened="2023-04-02"),
            alert(id="a-7", opened="2021-04-02"),
        ]
    },
    {"alerts": [alert(id="a-2", institution="Other Bank", bureau="equifax"), alert(id="a-5", member="ref-nobody")]},
    alert(id="a-8", type="no.such.type"),
    {"alerts": [alert(id="a-9", member="ref-M-3", type="inquiry.hard"), alert(id="a-2", institution="Other Bank")]},
)
"""New, sighting, revision, another person's id, a broken field, nobody's, no alert, unreadable, and several of one alert."""


async def _rows(tx: Transaction, tenant: Tenant, *columns: Any) -> list[Any]:
    table = columns[0].class_
    return list((await tx.execute(select(*columns).where(table.organization_id == tenant.id).order_by(table.id))).all())


async def story(world: World, tenant: Tenant) -> dict[str, Any]:
    """All that came of one organization's deliveries, without ids and times: two that went the same way tell the same."""
    async with world.context.database.begin(read_only=True) as tx:
        kept = await _rows(tx, tenant, Receipt.id, Receipt.state, Receipt.reason)
        place = {row[0]: at for at, row in enumerate(kept)}
        people = {member_id: name for name, member_id in tenant.members.items()}
        events = (await tx.execute(select(Event).where(Event.organization_id == tenant.id))).scalars().all()
        events = sorted(events, key=lambda event: (place[event.receipt_id], event.position))
        names = {event.alert_id: f"{place[event.receipt_id]}.{event.position}" for event in reversed(events)}
        moved = {event.id: (place[event.receipt_id], event.position) for event in events}
        brought = (await tx.execute(select(MemberEvent).where(MemberEvent.member_id.in_(people)))).scalars().all()
        held = (await tx.execute(select(IncidentAlert).where(IncidentAlert.member_id.in_(people)))).scalars().all()
        incidents = await _rows(tx, tenant, Incident.id, Incident.kind, Incident.answer, Incident.redirect_to)
        present = {row[0]: sorted(names[one.alert_id] for one in held if one.incident_id == row[0]) for row in incidents}
        links = await _rows(tx, tenant, Link.incident_id, Link.time_order, Link.superseded_at)
        waiting = (await tx.execute(select(Unmatched).where(Unmatched.organization_id == tenant.id))).scalars().all()
        told = (await tx.execute(select(MemberNotice).where(MemberNotice.organization_id == tenant.id))).scalars().all()
        return {
            "receipts": [tuple(row[1:]) for row in kept],
            "events": [(*moved[e.id], e.outcome, e.reason, e.path, names[e.alert_id], e.sealed is None) for e in events],
            "alerts": len(await _rows(tx, tenant, AlertRow.id)),
            "brought": sorted((people[e.member_id], moved[e.event_id], e.kind, e.outcome, e.institution or "") for e in brought),
            "incidents": sorted((row[1], row[2], row[3] is None, present[row[0]]) for row in incidents),
            "links": sorted((present[row[0]], row[1], row[2] is None) for row in links if row[2] is None),
            "waiting": sorted((names[row.alert_id], row.reason, row.closed_at is None) for row in waiting),
            "told": sorted(present[row.incident_id] for row in told),
            "ledger": Counter(
                row[0] for row in await _rows(tx, tenant, LedgerEntry.kind) if row[0] in ("receipt", "normalisation", "match")
            ),
        }


def batches_of(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(workers, "BATCH", size)
    monkeypatch.setattr(pulling, "BATCH", size)


@pytest.mark.long
@pytest.mark.parametrize("size", [2, 500])
async def test_what_comes_of_a_batch_is_what_comes_of_its_deliveries_one_by_one(
    world: World, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """One by one each alert is told of by a message; in batches new ones are brought to their members at once."""
    batches_of(monkeypatch, 1)
    at_once = world.workers._bring
    world.workers._bring = nothing_brought
    for body in DELIVERIES:
        assert (await world.deliver(body)).status_code == 202
        await world.workers.drain()
    batches_of(monkeypatch, size)
    world.workers._bring = at_once
    for body in DELIVERIES:
        assert (await world.deliver(body, tenant=world.other, secret=world.other.connection.secret)).status_code == 202
    await world.workers.drain()
    one_by_one, together = await story(world, world.union), await story(world, world.other)
    assert len(one_by_one["brought"]) > 5
    for name, said in one_by_one.items():
        assert together[name] == said, name


async def test_a_poisoned_receipt_in_a_batch_of_two_hundred_spares_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(200):
        answer = await world.deliver(alert(id=f"a-{number}", institution=f"Bank {number}"))
        if number == 77:
            poisoned = answer.json()["receipt"]
    attempts: list[int] = []
    inserts = handling.repository.insert_events

    async def refusing(tx: Transaction, rows: Sequence[dict[str, Any]]) -> None:
        attempts.append(len(rows))
        if poisoned in {str(row["receipt_id"]) for row in rows}:
            raise DataError("INSERT", {}, ValueError("no such value"))
        await inserts(tx, rows)

    monkeypatch.setattr(handling.repository, "insert_events", refusing)
    assert await handle_waiting(world.context.database, world.context.keyring) == 200
    states = {str(row.id): row.state for row in await receipts(world)}
    assert states.pop(poisoned) == "unsplittable"
    assert Counter(states.values()) == {"handled": 199}
    assert len(attempts) < 20, "it is looked for by halves"
    monkeypatch.undo()
    found = await books(world)
    assert (found["new"], found["events"], found["unsplittable"], found["waiting"]) == (199, 199, 1, 0)
    await world.workers.drain()
    async with world.context.database.begin(read_only=True) as tx:
        brought = await tx.execute(select(MemberEvent.event_id).where(MemberEvent.member_id.in_(world.union.members.values())))
        assert len(brought.all()) == 199


@on_postgresql
async def test_two_processes_with_batches_of_the_same_alerts_do_nothing_twice_and_never_block_for_good(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches_of(monkeypatch, 10)
    for number in range(60):
        told = [alert(id=f"a-{(number * step) % 17}", institution=f"Bank {(number * step) % 17}") for step in (1, 5, 7)]
        await world.deliver({"alerts": [*told, {"id": f"ping-{number}", "type": "ping"}]})
    others = [Database(world.context.database.url) for _ in range(2)]

    async def work(database: Database) -> int:
        done = 0
        while taken := await handle_waiting(database, world.context.keyring):
            done += taken
        return done

    assert sum(await asyncio.wait_for(asyncio.gather(*map(work, others)), 120)) == 60
    for database in others:
        await database.close()
    found = await books(world)
    assert (found["new"], found["alerts"], found["waiting"], found["unsplittable"]) == (17, 17, 0, 0)
    assert found["new"] + found["sightings"] == 180
    assert len(await world.timeline()) == 17
