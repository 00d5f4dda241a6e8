"""One file tests every connector, the database half: through the real core, on both databases.

No connector brings test code. What comes in here is a fixture of the connector's folder: signed as its verifier wants it and
posted, or kept as polling keeps an answer.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from typing import Any

import pytest
from sqlalchemy import func, select

from app.intake.models import Event, LookUp, LookUpState, Receipt, ReceiptState
from app.intake.understanding import FOR_A_PERSON
from connectors.contract import Alert, Connector, ForAPerson
from connectors.registry import folders, registry
from connectors.testing.breaking import JUNK, UNKNOWN, breakages, is_batch, retyped, with_neighbours
from connectors.testing.cases import PUSHED, Case
from connectors.testing.drifting import drifts
from connectors.testing.following import handed_on
from connectors.testing.reading import UNSPLITTABLE, accounted, read_by
from connectors.testing.suite import DRIFTED
from tests.connectors.desk import Desk, in_the_end, open_desk
from tests.connectors.suite import cases
from tests.intake.counting import all_refusals, books
from tests.support.rows import contents, counts, grown
from tests.support.world import World

CONNECTORS = [registry()[name] for name in folders()]
TOLD = {"alert", "breach_record"}
UNKNOWN_TYPE = "unknown event type"
SOME = 60  # bodies of each connector that the quick run tries, others on each database; the slow run tries every one
MOST = 1000
"""Broken bodies of one connector that the slow run brings into the core on each database, spread evenly over all: mail alone has
five thousand, and its own half of the suite reads each of them."""

LEAST_TELLING = 6
each_connector = pytest.mark.parametrize("connector", CONNECTORS, ids=lambda connector: connector.name)
few_and_all = pytest.mark.parametrize(
    "few", [pytest.param(True, marks=pytest.mark.sample), pytest.param(False, marks=pytest.mark.slow)], ids=["some", "all"]
)


def identities(entries: list[dict[str, Any]], word: str) -> set[str]:
    return {json.dumps(entry[word]["identity"]) for entry in entries if word in entry}


@each_connector
async def test_what_comes_in_is_what_the_fixtures_say_once_however_often(world: World, connector: Connector) -> None:
    """Step by step: sealed, understood, on the timeline; then all of it again, beside bad neighbours, and unknown types."""
    desk = await open_desk(world, connector)
    for case in cases(connector.name):
        assert not await desk.bring(case), str(case)
    await require_nothing_in_plain(world, connector)
    await require_as_expected(desk)
    before_events, before = await desk.events(), await counts(world.context.database)
    repeats = (await books(world))["repeats"]
    for case in cases(connector.name):
        assert await desk.bring(case), "the same again is a repeat"
    assert await desk.events() == before_events
    assert await counts(world.context.database) == before
    assert (await books(world))["repeats"] - repeats == len(cases(connector.name))
    assert repeats == 0 or connector.hands_on_to, "what two bring is handed on twice"
    await require_no_harm_from_neighbours(desk)
    await require_unknown_set_aside(desk)


async def require_nothing_in_plain(world: World, connector: Connector) -> None:
    """Nothing of a fixture can be read in the database before somebody's it is known to be."""
    words: set[str] = set()
    for case in cases(connector.name):
        said = [value for entry in case.expected for value in entry.values() if isinstance(value, dict)]
        words |= {value[name] for value in said for name in ("summary", "member_ref", "title") if value.get(name)}
        beside = [entry["hand_on"]["asked"] for entry in case.expected if "hand_on" in entry]
        words |= {word for asked in (case.asked, *beside) for word in asked.values()} - {connector.name}
    telling = [word for word in words if len(word) >= LEAST_TELLING]
    assert telling
    rows = str(await contents(world.context.database))
    assert [word for word in telling if word in rows] == []


async def require_as_expected(desk: Desk) -> None:
    """Every event as the fixtures say, in order, and every alert on its member's timeline."""
    expected = [entry for case in cases(desk.connector.name) for entry in case.expected]
    events, finally_said = await desk.events(), in_the_end(desk.connector)
    word = {"new": "alert", "sighting": "alert", "revision": "alert", "breach_record": "breach_record"}
    assert [{word[e["outcome"]]: e["alert"]} for e in events if e["outcome"] in word] == [
        entry for entry in expected if entry.keys() & TOLD
    ]
    assert {e["outcome"] for e in events} <= {*word, "non_alert", "handed_on", "quarantined"}
    assert {e["path"] for e in events if e["outcome"] == "quarantined"} <= {FOR_A_PERSON}
    assert len(events) == len(expected)
    assert len([e for e in events if e["outcome"] == "handed_on"]) == len([e for e in expected if "hand_on" in e])
    found, left = await books(desk.world), [said for said in finally_said if isinstance(said, ForAPerson)]
    assert (found["quarantined"], found["unsplittable"], found["unmatched"]) == (len(left), 0, {})
    assert found["alerts"] == len({said.identity for said in finally_said if isinstance(said, Alert)})
    assert sum(entry["alerts"] for entry in await desk.world.timeline()) == found["alerts"]
    async with desk.world.context.database.begin(read_only=True) as tx:
        look_ups = (
            await tx.execute(select(func.count()).select_from(LookUp).where(LookUp.state == LookUpState.DUE))
        ).scalar_one()
    assert look_ups == len(identities(expected, "go_and_look"))


async def require_no_harm_from_neighbours(desk: Desk) -> None:
    """Batches with a bad item in them bring what the good items say, and nothing twice."""
    batches = [case for case in cases(desk.connector.name) if is_batch(case)]
    before = await books(desk.world)
    await desk.bring_all((case, body) for case in batches for junk in JUNK for body in with_neighbours(case, junk))
    expected = [entry for case in cases(desk.connector.name) for entry in case.expected]
    told = {json.dumps(e["alert"], sort_keys=True) for e in await desk.events() if e["alert"]}
    assert told == {json.dumps(entry[word], sort_keys=True) for entry in expected for word in entry.keys() & TOLD}
    after = await books(desk.world)
    assert (after["unsplittable"], after["alerts"]) == (0, before["alerts"])
    assert (after["quarantined"] > before["quarantined"]) == bool(batches)


async def require_unknown_set_aside(desk: Desk) -> None:
    """A type that nobody declared waits for a person."""
    before = len([e for e in await desk.events() if e["reason"] == UNKNOWN_TYPE])
    known = [(case, new) for case in cases(desk.connector.name) if (new := retyped(case, UNKNOWN)) is not None]
    sent = [(case, new) for case, new in known if desk.as_kept(case, new.body) is not None]
    for case, new in sent:
        await desk.bring(case, new.body, new.asked)
    aside = [e for e in await desk.events() if e["reason"] == UNKNOWN_TYPE]
    assert {(e["outcome"], e["path"]) for e in aside} <= {("quarantined", "type")}
    assert len(aside) - before >= len(sent)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@each_connector
async def test_what_comes_in_another_order_tells_the_same(world: World, connector: Connector) -> None:
    """Forgeries among it leave a count and nothing else."""
    desk = await open_desk(world, connector)
    if desk.foreign is not None:
        await require_forgeries_refused(desk)
    known, dice = cases(connector.name), random.Random(connector.name)
    for case in dice.sample(known, len(known)):
        await desk.bring(case)
        if dice.random() < 0.5:
            await world.workers.drain()
    told = {json.dumps(e["alert"], sort_keys=True) for e in await desk.events() if e["alert"]}
    expected = [entry for case in known for entry in case.expected]
    assert told == {json.dumps(entry[word], sort_keys=True) for entry in expected for word in entry.keys() & TOLD}
    assert (await books(world))["alerts"] == len({said.identity for said in in_the_end(connector) if isinstance(said, Alert)})


async def require_forgeries_refused(desk: Desk) -> None:
    """By a foreign secret and by none: one identical answer."""
    before = await counts(desk.world.context.database)
    answers, pushed = set(), [case for case in cases(desk.connector.name) if case.way == PUSHED]
    for case in pushed:
        answers.add((await desk.post(case, case.body, desk.foreign)).content)
        plain = {"content-type": case.media_type}
        answers.add((await desk.world.client.post(desk.connection.path, content=case.body, headers=plain)).content)
    assert len(answers) == 1
    assert await all_refusals(desk.world) == {"not_authentic": 2 * len(pushed)}
    assert set(grown(before, await counts(desk.world.context.database))) == {"refusal"}


@few_and_all
@each_connector
async def test_what_is_broken_or_has_drifted_is_kept_and_never_an_error(world: World, connector: Connector, few: bool) -> None:
    """In the slow run fields broken six ways, and 10,000 drifted bodies of all connectors, half on each database: all kept."""
    known, seed = cases(connector.name), world.context.database.url[:6]
    every = [(case, body) for case in known for _, _, body in breakages(case)][world.context.database.is_sqlite :: 2]
    broken = every[:: -(-len(every) // MOST)]
    count = (SOME if few else DRIFTED // 2 // len(CONNECTORS)) // len(known) + 1
    drifted = [(case, body) for case in known for body in drifts(case, count, seed)]
    some = random.Random(seed).sample(broken, min(SOME, len(broken)))
    await require_accounted(world, connector, [*(some if few else broken), *drifted])


def accounted_elsewhere(kept: Iterable[tuple[Case, bytes]]) -> list[list[dict[str, Any]]]:
    """How what is handed on is accounted for by whom it is for, each message once, and what is inside of it too."""
    waiting = [message for case, body in kept for message in handed_on(case.connector, body, case.asked)]
    seen: set[tuple[str, str, bytes]] = set()
    found = []
    while waiting:
        message = waiting.pop()
        place = (message.to, json.dumps(dict(message.asked), sort_keys=True), message.body)
        if place not in seen:
            seen.add(place)
            found.append(read_by(registry()[message.to], message.body, message.asked))
            waiting += handed_on(registry()[message.to], message.body, message.asked)
    return found


async def require_accounted(world: World, connector: Connector, brought: list[tuple[Case, bytes]]) -> None:
    """Bring it all in: every receipt is kept, every event that the connector cuts out has one outcome, nothing failed."""
    desk = await open_desk(world, connector)
    sent = [(case, kept) for case, body in brought if (kept := desk.as_kept(case, body)) is not None]
    assert len(sent) > len(brought) / 4, "most of what is broken could be sent by somebody honest"
    repeats = await desk.bring_all(sent)
    found = await books(world)
    kept = {(case.way, json.dumps(dict(case.asked)), body): (case, body) for case, body in sent}
    assert found["deliveries"] == len(sent)
    assert repeats.count(False) == found["receipts"] == len(kept)
    await world.workers.drain()
    found = await books(world)
    assert found["waiting"] == 0
    cut = [accounted(case, body) for case, body in kept.values()] + accounted_elsewhere(kept.values())
    unsplittable = [entries for entries in cut if any(UNSPLITTABLE in entry for entry in entries)]
    assert found["unsplittable"] == len(unsplittable)
    assert found["events"] == sum(map(len, cut)) - len(unsplittable)
    assert found["quarantined"] + found["unsplittable"] > 0
    async with world.context.database.begin(read_only=True) as tx:
        failed = Receipt.reason.like("handling failed%") | Receipt.reason.like("connector failed%")
        assert (await tx.execute(select(Receipt.reason).where(failed))).all() == []
        assert (await tx.execute(select(Event.reason).where(Event.reason.like("connector failed%")))).all() == []
        aside = (await tx.execute(select(Event).where(Event.outcome == "quarantined"))).scalars()
        assert all(event.reason and event.path for event in aside)
        states = set((await tx.execute(select(Receipt.state))).scalars())
    assert states <= {ReceiptState.HANDLED, ReceiptState.UNSPLITTABLE}
