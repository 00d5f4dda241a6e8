"""In the real core: whatever order alerts come in, however often, and in whatever bodies, the timeline is the same."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from app.incidents.correlation import AlertFacts, AlertNode, components
from app.incidents.institutions import canonical_institution
from app.incidents.models import Incident, IncidentAlert, MemberAlert, MemberEvent, Verdict
from app.intake.models import AlertRow, Event, Receipt
from app.intake.sealing import open_event
from app.linkage.models import Link
from connectors.contract import RawEvent
from connectors.standard.connector import Standard
from tests.support.world import NOW, World, alert

DAYS = ["2023-01-05", "2023-02-10", "2023-03-20", "2023-04-25", "2023-08-01"]
ITEMS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["new_account.credit_card", "new_account.unknown", "inquiry.hard"]),
        "institution": st.sampled_from(["Bank A", "Bank A", "Bank B", None]),
        "last_four": st.sampled_from(["4321", "21", "9999", None]),
        "opened": st.sampled_from([*DAYS, None]),
        "occurred": st.sampled_from([*DAYS, None]),
    }
)
Shape = set[tuple[frozenset[str], str, str, str]]


def bodies(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each item as an alert of its own."""
    return [alert(id=f"a-{n}", amount=None, currency=None, **item) for n, item in enumerate(items)]


def modelled(sent: list[dict[str, Any]]) -> set[frozenset[str]]:
    """Which alerts the pure rule puts together."""
    nodes = []
    for order, body in enumerate(sent):
        told: Any = Standard().normalise(RawEvent(body["type"], body["id"], body))
        name = canonical_institution(told.institution) if told.institution else None
        facts = AlertFacts(told.kind, NOW, name, told.last_four, told.occurred, told.opened, told.reported)
        nodes.append(AlertNode(UUID(int=order), order, frozenset({facts})))
    return {frozenset(f"a-{alert_id.int}" for alert_id in component.alert_ids) for component in components(nodes)}


async def shape(world: World) -> Shape:
    """Every incident as the provider's own alert ids, with its kind and when it is said to have happened."""
    async with world.context.database.begin() as tx:
        names: dict[UUID | None, str] = {}
        for event in (await tx.execute(select(Event))).scalars():
            copy = await open_event(tx, world.context.keyring, event)
            names[event.alert_id] = copy["id"] if copy else "sealed"
        rows = {row.id: row for row in (await tx.execute(select(Incident))).scalars()}
        held: dict[UUID, set[str]] = {}
        for row in (await tx.execute(select(IncidentAlert))).scalars():
            held.setdefault(row.incident_id, set()).add(names[row.alert_id])
    assert all((row.redirect_to is None) == (row.id in held) for row in rows.values())
    return {
        (frozenset(alerts), rows[i].kind, str(rows[i].occurred_earliest), str(rows[i].occurred_latest))
        for i, alerts in held.items()
    }


async def played(world: World, deliveries: list[list[dict[str, Any]]], pauses: set[int]) -> Shape:
    """What comes of bodies of one or more alerts, posted in this order, with work done at some points between them."""
    async with world.context.database.begin() as tx:
        for table in (Link, Verdict, IncidentAlert, Incident, MemberEvent, MemberAlert, Event, AlertRow, Receipt):
            await tx.execute(delete(table))
    for at, batch in enumerate(deliveries):
        assert (await world.deliver({"alerts": batch})).status_code == 202
        if at in pauses:
            await world.workers.drain()
    await world.workers.drain()
    return await shape(world)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(items=st.lists(ITEMS, min_size=2, max_size=6), data=st.data())
async def test_any_order_any_repetition_and_any_packing_give_the_same_timeline(
    world: World, items: list[dict[str, Any]], data: st.DataObject
) -> None:
    sent = bodies(items)
    plain = await played(world, [[body] for body in sent], set())
    assert {alerts for alerts, *_ in plain} == modelled(sent)
    shuffled = data.draw(st.permutations(sent))
    again = data.draw(st.lists(st.sampled_from(sent), max_size=6))
    cuts = data.draw(st.sets(st.integers(0, len(shuffled) + len(again)), max_size=4))
    mixed, deliveries = [*shuffled, *again], []
    for first, last in zip([0, *sorted(cuts)], [*sorted(cuts), len(mixed)], strict=True):
        deliveries.append(mixed[first:last])
    pauses = data.draw(st.sets(st.integers(0, len(deliveries))))
    assert await played(world, deliveries, pauses) == plain
