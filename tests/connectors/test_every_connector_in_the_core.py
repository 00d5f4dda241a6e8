"""One file tests every connector, the database half: over HTTP, through the real core, on both databases.

No connector brings test code. A delivery here is a fixture of the connector's folder, signed as its verifier wants it.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from app.connections import service as connections
from app.intake.models import Event
from app.intake.sealing import open_event
from app.kit import clock
from app.members import service as members
from app.members.roster import EnrollmentEntry
from connectors.contract import Connector, Sender, WebhookPlan
from connectors.registry import folders, registry
from connectors.verifiers import NotSigned, Secret
from tests.connectors.suite import JUNK, Case, batch_place, breakages, cases, retyped, secrets_for, signed, with_neighbours
from tests.intake.counting import all_refusals, books
from tests.support.rows import contents, counts, grown
from tests.support.world import Tenant, World

CONNECTORS = [registry()[name] for name in folders()]
each_connector = pytest.mark.parametrize("connector", CONNECTORS, ids=lambda connector: connector.name)
SOME = 120  # broken bodies of each connector that the quick run posts, others on each database; the slow run posts every one


@dataclass
class Desk:
    """One connection of one connector, with everybody whom its fixtures speak of enrolled as M-1."""

    world: World
    connector: Connector
    connection: connections.Created
    secret: Secret
    foreign: Secret

    @property
    def plan(self) -> WebhookPlan:
        assert self.connector.webhook is not None
        return self.connector.webhook

    async def post(self, body: bytes, secret: Secret | None = None, **headers: str) -> httpx.Response:
        proof = {} if isinstance(self.plan.verifier, NotSigned) else self._signed(body, secret or self.secret)
        sent = {"content-type": min(self.plan.media_types), **proof, **headers}
        return await self.world.client.post(self.connection.path, content=body, headers=sent)

    def _signed(self, body: bytes, secret: Secret) -> dict[str, str]:
        assert not isinstance(self.plan.verifier, NotSigned)
        return signed(self.plan.verifier, secret, body, clock.now())

    async def events(self) -> list[dict[str, Any]]:
        """Every event of this connection in order: outcome, reason, path, and the alert as it was normalised."""
        await self.world.workers.drain()
        async with self.world.context.database.begin() as tx:
            rows = select(Event).where(Event.connection_id == self.connection.connection.id)
            found = []
            for row in (await tx.execute(rows.order_by(Event.receipt_id, Event.position))).scalars():
                copy = await open_event(tx, self.world.context.keyring, row)
                said = {"outcome": row.outcome, "reason": row.reason, "path": row.path, "alert_id": row.alert_id}
                found.append({**said, "alert": _without_nothing(copy["alert"]) if copy else None})
            return found


def _without_nothing(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nothing(item) for name, item in value.items() if item is not None}
    return value


async def open_desk(world: World, connector: Connector) -> Desk:
    """Set up a connection and enroll M-1 under every reference that the connector's fixtures name."""
    assert connector.webhook is not None
    verifier = connector.webhook.verifier
    secret, _, foreign = (Secret("none", "x"),) * 3 if isinstance(verifier, NotSigned) else secrets_for(verifier)
    own: Tenant = world.union
    async with world.context.database.begin() as tx:
        made = await connections.create_connection(
            tx,
            world.context.keyring,
            own.id,
            connector=connector.name,
            title="Fixtures",
            sender=Sender.PROVIDER,
            secret=None if isinstance(verifier, NotSigned) else secret.value,
        )
        told = [entry for case in cases(connector.name) for entry in case.expected]
        references = {value["member_ref"] for entry in told for value in entry.values() if isinstance(value, dict)}
        entries = [EnrollmentEntry(n, "M-1", reference, True, None, None) for n, reference in enumerate(sorted(references))]
        await members.import_enrollments(tx, world.context.keyring, own.id, made.connection.id, entries, ())
    return Desk(world, connector, made, secret, foreign)


@each_connector
async def test_good_deliveries_become_what_the_fixtures_say_and_stand_on_the_timeline(world: World, connector: Connector) -> None:
    desk, expected = await open_desk(world, connector), []
    for case in cases(connector.name):
        assert (await desk.post(case.body)).status_code == 202, str(case)
        expected += case.expected
    events = await desk.events()
    word = {"new": "alert", "sighting": "alert", "revision": "alert", "breach_record": "breach_record"}
    assert [{word[e["outcome"]]: e["alert"]} for e in events if e["outcome"] in word] == [
        entry for entry in expected if "not_an_alert" not in entry
    ]
    assert {e["outcome"] for e in events} <= {*word, "non_alert"}
    found = await books(world)
    assert (found["quarantined"], found["unsplittable"], found["unmatched"]) == (0, 0, {})
    distinct = {json.dumps(entry["alert"]["identity"]) for entry in expected if "alert" in entry}
    assert found["alerts"] == len(distinct)
    assert sum(entry["alerts"] for entry in await world.timeline()) == len(distinct)


@each_connector
async def test_forged_deliveries_leave_a_count_and_nothing_else(world: World, connector: Connector) -> None:
    desk = await open_desk(world, connector)
    if isinstance(desk.plan.verifier, NotSigned):
        return
    before = await counts(world.context.database)
    answers = set()
    for case in cases(connector.name):
        answers.add((await desk.post(case.body, desk.foreign)).content)
        plain = {"content-type": min(desk.plan.media_types)}
        answers.add((await world.client.post(desk.connection.path, content=case.body, headers=plain)).content)
    assert len(answers) == 1
    assert set(grown(before, await counts(world.context.database))) == {"refusal"}
    assert await all_refusals(world) == {"not_authentic": 2 * len(cases(connector.name))}


@each_connector
async def test_replayed_and_repeated_deliveries_write_nothing_new(world: World, connector: Connector) -> None:
    desk = await open_desk(world, connector)
    for case in cases(connector.name):
        await desk.post(case.body)
    before_events, before = await desk.events(), await counts(world.context.database)
    for _ in range(2):
        for case in cases(connector.name):
            answer = await desk.post(case.body)
            assert (answer.status_code, answer.json()["repeat"]) == (202, True)
    assert await desk.events() == before_events
    assert await counts(world.context.database) == before
    assert (await books(world))["repeats"] == 2 * len(cases(connector.name))


@each_connector
async def test_deliveries_in_another_order_tell_the_same(world: World, connector: Connector) -> None:
    desk = await open_desk(world, connector)
    known = cases(connector.name)
    for case in random.Random(connector.name).sample(known, len(known)):
        await desk.post(case.body)
        if case.event < "m":
            await world.workers.drain()
    told = {json.dumps(e["alert"], sort_keys=True) for e in await desk.events() if e["alert"] and "kind" in e["alert"]}
    assert told == {json.dumps(alert, sort_keys=True) for case in known for alert in case.alerts}
    assert (await books(world))["alerts"] == len({json.dumps(a["identity"]) for case in known for a in case.alerts})


@pytest.mark.parametrize("most", [SOME, pytest.param(None, marks=pytest.mark.slow)], ids=["some", "all"])
@each_connector
async def test_every_field_broken_six_ways_is_kept_and_never_an_error(
    world: World, connector: Connector, most: int | None
) -> None:
    """What is broken is an alert still, or set aside with a path; the service answers 202 and works on."""
    desk = await open_desk(world, connector)
    broken = [body for case in cases(connector.name) for _, _, body in breakages(case)]
    bodies = random.Random(world.context.database.url[:6]).sample(broken, min(most or len(broken), len(broken)))
    assert {(await desk.post(body)).status_code for body in bodies} == {202}
    events = await desk.events()
    for event in events:
        if event["outcome"] == "quarantined":
            assert event["reason"]
            assert event["path"]
            assert not event["reason"].startswith("connector failed"), event
    found = await books(world)
    assert found["waiting"] == 0
    assert found["deliveries"] == len(bodies)
    assert found["quarantined"] + found["unsplittable"] > 0
    async with world.context.database.begin(read_only=True) as tx:
        assert not (await tx.execute(select(Event).where(Event.reason.like("handling failed%")))).first()


@each_connector
async def test_an_unknown_type_is_set_aside_and_counted(world: World, connector: Connector) -> None:
    desk = await open_desk(world, connector)
    for case in cases(connector.name):
        assert (await desk.post(retyped(case, "never.heard.of"))).status_code == 202
    events = await desk.events()
    assert {(e["outcome"], e["reason"], e["path"]) for e in events if e["outcome"] == "quarantined"} == {
        ("quarantined", "unknown event type", "type")
    }
    assert sum(e["outcome"] == "quarantined" for e in events) >= len(cases(connector.name))


def batches(connector: Connector) -> list[Case]:
    return [case for case in cases(connector.name) if batch_place(case)]


@pytest.mark.parametrize("connector", [c for c in CONNECTORS if batches(c)], ids=lambda connector: connector.name)
async def test_a_bad_neighbour_in_a_batch_costs_nothing(world: World, connector: Connector) -> None:
    desk = await open_desk(world, connector)
    sent = [body for case in batches(connector) for junk in JUNK for body in with_neighbours(case, junk)]
    for body in sent:
        assert (await desk.post(body)).status_code == 202
    events = await desk.events()
    expected = {json.dumps(alert, sort_keys=True) for case in batches(connector) for alert in case.alerts}
    told = {json.dumps(e["alert"], sort_keys=True) for e in events if e["alert"] and "kind" in e["alert"]}
    assert told == expected
    ids = {e["alert_id"] for e in events if e["alert_id"]}
    assert all(isinstance(alert_id, UUID) for alert_id in ids)
    assert len(ids) == len({json.dumps(alert["identity"]) for case in batches(connector) for alert in case.alerts})
    assert (await books(world))["unsplittable"] == 0


@each_connector
async def test_nothing_of_a_fixture_stands_in_plain_before_it_is_matched(world: World, connector: Connector) -> None:
    desk = await open_desk(world, connector)
    words = set()
    for case in cases(connector.name):
        await desk.post(case.body)
        words |= {alert[name] for alert in case.alerts for name in ("summary", "member_ref") if alert.get(name)}
    rows = str(await contents(world.context.database))
    assert [word for word in words if word in rows] == []
