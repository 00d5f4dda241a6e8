"""A finding in two parts: no word is lost, what is shared holds nothing of anybody's, and incidents alike share it."""

from __future__ import annotations

import hashlib
import importlib
import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.breaches.exposure import Exposure
from app.linkage.alike import Found, find
from app.linkage.attribution import attribute
from app.linkage.basis import setting
from app.linkage.findings import AlertView, BreachView, CompetingBreach, Direction, Fact, IncidentView, LinkFinding, Reference
from app.linkage.sharing import join, key_of, split
from app.linkage.stored import digest, from_json, to_json
from connectors.contract import Interval
from connectors.vocabulary import AlertKind as K
from tests.linkage.test_attribution import ALERTS, BREACH, COMPETING, EARLIER, EXPOSURES, INCIDENTS, INSIDE, OAKLAND

MIGRATION = importlib.import_module("migrations.versions.0036_shared_findings")
"""It splits what was there before in its own words, which stay as they are."""

NAMED = st.one_of(st.uuids().map("alert:{}".format), st.sampled_from(["alert:", "alert:0", "0", "matrix:1:x"]), st.text())
FACTS = st.lists(
    st.builds(
        Fact,
        st.sampled_from(Direction),
        st.sampled_from(["time.x", "prior.same_kind_before", "prior", "claim.x", "competing.same_data", "competing.none_known"]),
        st.text(),
        st.lists(NAMED.map(Reference), max_size=5).map(tuple),
        st.none() | st.text(),
    ),
    max_size=4,
).map(tuple)


STARTS = [milestone.interval(OAKLAND.zone) for milestone in (*OAKLAND.milestones, *EARLIER.milestones)]
EDGES = sorted({end for one in STARTS for end in (one.earliest, one.latest) if end is not None})
AT_AN_EDGE = st.builds(
    lambda edge, ticks: edge + timedelta(microseconds=ticks), st.sampled_from(EDGES), st.integers(min_value=-1, max_value=1)
)
"""Where a comparison turns, and one tick to either side of it."""


def _incident(alerts: tuple[AlertView, ...], ends: list[datetime], received_at: datetime, known: int) -> IncidentView:
    first, last = sorted(ends)
    return IncidentView(
        uuid4(), alerts, Interval(earliest=first if known & 1 else None, latest=last if known & 2 else None), received_at
    )


AT_EDGES = st.builds(
    _incident,
    ALERTS,
    st.lists(AT_AN_EDGE, min_size=2, max_size=2),
    AT_AN_EDGE,
    st.integers(0, 3),
)
ANY = st.one_of(INCIDENTS, AT_EDGES).filter(lambda view: len({alert.alert_id for alert in view.alerts}) == len(view.alerts))


def found_of(view: IncidentView, exposures: Sequence[Exposure] = INSIDE, competing: Sequence[CompetingBreach] = ()) -> Found:
    return find(view, BREACH, exposures, competing, setting("r", BREACH, exposures, competing))


@given(view=INCIDENTS, facts=FACTS, competing=COMPETING)
def test_split_and_joined_a_finding_is_the_same_to_the_byte(
    view: IncidentView, facts: tuple[Fact, ...], competing: list[CompetingBreach]
) -> None:
    found = attribute(view, BREACH, INSIDE, competing)
    finding: LinkFinding = replace(found, facts=(*facts[:2], *found.facts, *facts[2:]))
    data = to_json(finding)
    shared, own = json.loads(json.dumps(split(data)))
    joined = join(shared, own, finding.incident_id)
    assert joined == data
    assert from_json(joined) == finding
    assert digest(joined) == digest(data)
    assert (shared, own) == MIGRATION.split(data)
    assert MIGRATION.join(shared, own, str(finding.incident_id)) == data
    assert hashlib.sha256(MIGRATION.canonical(shared)).digest() == key_of(shared)


@given(view=ANY, exposures=EXPOSURES, competing=COMPETING)
def test_by_way_of_those_alike_an_incident_comes_to_what_it_comes_to_by_itself(
    view: IncidentView, exposures: Sequence[Exposure], competing: list[CompetingBreach]
) -> None:
    by_itself = attribute(view, BREACH, exposures, competing)
    whole, found = to_json(by_itself), found_of(view, exposures, competing)
    shared = found.kind.pattern.said()
    assert join(shared, found.own, view.incident_id) == whole
    assert (shared, found.own) == split(whole)
    assert found.kind.pattern.sha256 == key_of(shared)
    assert found.digest() == digest(whole)
    assert (found.kind.time_order, found.kind.excluded_by_time) == (by_itself.time_order.value, by_itself.excluded_by_time)
    assert found.kind.matrix_version == by_itself.matrix_version


def test_on_whichever_side_of_whichever_moment_it_lies() -> None:
    """Every pair of ends, at each moment of a breach and a tick beside it: none is taken for one that compares otherwise."""
    turns: list[datetime | None] = [edge + timedelta(microseconds=tick) for edge in EDGES for tick in (-1, 0, 1)]
    rival = CompetingBreach(BreachView(UUID(int=2), EARLIER), ())
    for first, last in itertools.product([None, *turns], repeat=2):
        if first is None or last is None or first <= last:
            for received_at in (turns[1], turns[-1]):
                assert received_at is not None
                alerts = (AlertView(UUID(int=9), K.NEW_ACCOUNT_CREDIT_CARD),)
                view = IncidentView(UUID(int=8), alerts, Interval(earliest=first, latest=last), received_at)
                by_itself = attribute(view, BREACH, INSIDE, (rival,))
                assert found_of(view, INSIDE, (rival,)).digest() == digest(to_json(by_itself)), view


@given(view=ANY, competing=COMPETING)
def test_what_is_shared_names_nobody_and_no_moment_of_an_incident(view: IncidentView, competing: list[CompetingBreach]) -> None:
    """Whoever is known by an id, an incident, an alert, stands in what is the link's own."""
    view = replace(view, incident_id=uuid4())
    said = json.dumps(split(to_json(attribute(view, BREACH, INSIDE, competing)))[0])
    assert str(view.incident_id) not in said
    assert not any(str(alert.alert_id) in said for alert in view.alerts)
    assert set(re.findall(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}", said)) <= {str(BREACH.breach_id)}, "nor another breach"
    assert not any(other.breach.spec.name in said for other in competing if other.breach.spec.key != BREACH.spec.key)
    moved = replace(view, incident_id=uuid4(), alerts=tuple(replace(alert, alert_id=uuid4()) for alert in view.alerts))
    if len({(alert.kind, alert.product) for alert in view.alerts}) == len(view.alerts):
        assert json.dumps(split(to_json(attribute(moved, BREACH, INSIDE, competing)))[0]) == said


@pytest.mark.parametrize(
    ("day", "alike"), [(datetime(2023, 3, 21, 9, tzinfo=UTC), True), (datetime(2022, 3, 21, tzinfo=UTC), False)]
)
def test_incidents_alike_share_what_is_said(day: datetime, alike: bool) -> None:
    """Whether on this day or that, both after the first publication: not what was before the theft."""

    def on(when: datetime) -> Found:
        alerts = (AlertView(uuid4(), K.NEW_ACCOUNT_CREDIT_CARD),)
        return found_of(IncidentView(uuid4(), alerts, Interval.at(when), datetime(2024, 6, 1, tzinfo=UTC)))

    this, that = on(datetime(2023, 3, 20, tzinfo=UTC)), on(day)
    assert (this.kind.pattern.sha256 == that.kind.pattern.sha256) is alike
    assert this.own != that.own
    assert this.digest() != that.digest()


def test_several_alerts_of_the_same_act_add_ids_only() -> None:
    """However many tell of it, what is shared is the same; a row stays small."""

    def told(times: int) -> Found:
        alerts = tuple(AlertView(uuid4(), K.NEW_ACCOUNT_CREDIT_CARD) for _ in range(times))
        return found_of(IncidentView(uuid4(), alerts, Interval(), datetime(2024, 6, 1, tzinfo=UTC)))

    one, many = told(1), told(7)
    assert one.kind is many.kind
    assert [len(ids) for ids in many.alerts] == [7]
    assert len(json.dumps(one.own)) < 100
    assert len(one.kind.pattern.text) > 4000
