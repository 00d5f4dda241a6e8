"""The pairwise rule and its components."""

import time
from datetime import UTC, datetime, timedelta
from itertools import combinations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.incidents.correlation import WINDOW, AlertFacts, AlertNode, claimed_occurrence, completed, components, same_incident
from connectors.contract import Interval
from connectors.vocabulary import AlertKind as K

DAY0 = datetime(2023, 3, 1, tzinfo=UTC)


def on(day: float) -> Interval:
    return Interval.at(DAY0 + timedelta(days=day))


def card(day: float = 0, **changes: object) -> AlertFacts:
    base = {
        "kind": K.NEW_ACCOUNT_CREDIT_CARD,
        "received_at": DAY0 + timedelta(days=200),
        "institution": "CHASE",
        "last_four": "1234",
        "opened": on(day),
    }
    return AlertFacts(**{**base, **changes})  # type: ignore[arg-type]


def late(days: float) -> AlertFacts:
    return card(opened=None, received_at=DAY0 + timedelta(days=days))


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (card(), card(45), True),
        (card(), card(45.001), False),
        (card(), card(kind=K.NEW_ACCOUNT_UNKNOWN), True),
        (card(), card(kind=K.INQUIRY_HARD), False),
        (card(), card(institution="CITIBANK"), False),
        (card(institution=None), card(institution=None), False),
        (card(), card(last_four="9999"), False),
        (card(), card(last_four=None), True),
        (card(), card(last_four="34"), True),
        (card(), card(last_four="12"), False),
        (card(), card(opened=None, occurred=on(40)), True),
        (card(300), card(300, opened=on(0), occurred=on(290)), True),
        (card(), card(opened=Interval(earliest=DAY0 + timedelta(days=40), latest=DAY0 + timedelta(days=90))), True),
        (card(), card(opened=Interval(latest=DAY0 + timedelta(days=90))), False),
        (card(), card(opened=None, reported=on(30)), True),
        (card(), card(opened=None, reported=on(60)), False),
        (card(), card(opened=Interval(), reported=on(30)), True),
        (card(), late(20), True),
        (late(20), late(80), False),
    ],
)
def test_the_pairwise_rule(a: AlertFacts, b: AlertFacts, same: bool) -> None:
    assert same_incident(a, b) is same_incident(b, a) is same


def node(number: int, *versions: AlertFacts, order: int | None = None) -> AlertNode:
    return AlertNode(UUID(int=number), order if order is not None else number, frozenset(versions))


def groups(nodes: list[AlertNode]) -> set[frozenset[int]]:
    return {frozenset(a.int for a in c.alert_ids) for c in components(nodes)}


def test_a_chain_is_one_incident_and_the_earliest_commit_leads_it() -> None:
    found = components([node(3, card(80)), node(1, card(40), order=9), node(2, card(0), order=4)])
    assert [(c.survivor.int, len(c.alerts)) for c in found] == [(3, 3)]


def test_any_version_can_join() -> None:
    unknown, revised = card(institution=None), card()
    assert groups([node(1, unknown), node(2, card())]) == {frozenset({1}), frozenset({2})}
    assert groups([node(1, unknown, revised), node(2, card())]) == {frozenset({1, 2})}


def test_an_alert_without_versions_stands_alone() -> None:
    assert groups([node(1), node(2, card())]) == {frozenset({1}), frozenset({2})}


def test_many_unrelated_and_many_like_alerts_are_quick() -> None:
    many = [node(i, card(100 * i)) for i in range(1, 3000)] + [node(i, card(i / 1e4)) for i in range(3000, 9000)]
    start = time.process_time()
    assert len(components(many)) == 3000
    assert time.process_time() - start < 5


DAYS = st.integers(0, 300)
STRETCHES = st.builds(lambda d, n: Interval(earliest=on(d).earliest, latest=on(d + n).latest), DAYS, st.integers(0, 60))
FACTS = st.builds(
    AlertFacts,
    kind=st.sampled_from([K.NEW_ACCOUNT_CREDIT_CARD, K.NEW_ACCOUNT_BANK, K.INQUIRY_HARD]),
    received_at=DAYS.map(lambda d: DAY0 + timedelta(days=d)),
    institution=st.sampled_from([None, "CHASE", "CITIBANK"]),
    last_four=st.sampled_from([None, "1234", "34", "77"]),
    occurred=st.none() | STRETCHES,
    opened=st.none() | DAYS.map(on),
    reported=st.none() | DAYS.map(lambda d: Interval(latest=on(d).latest)),
    completes=st.none() | st.none() | st.integers(1, 13).map(lambda number: UUID(int=number)),
)
NODES = st.lists(
    st.tuples(st.integers(1, 12), st.frozensets(FACTS, min_size=1, max_size=2)), max_size=12, unique_by=lambda t: t[0]
).map(lambda rows: [AlertNode(UUID(int=i), 20 - i, versions) for i, versions in rows])


def brute_force(nodes: list[AlertNode]) -> set[frozenset[UUID]]:
    found = [{n.alert_id} for n in nodes]
    for a, b in combinations(nodes, 2):
        if completed(a, b) or any(same_incident(v, w) for v in a.versions for w in b.versions):
            left = next(g for g in found if a.alert_id in g)
            right = next(g for g in found if b.alert_id in g)
            if left is not right:
                left |= right
                found.remove(right)
    return {frozenset(g) for g in found}


@given(nodes=NODES)
def test_components_are_those_of_the_pairwise_rule(nodes: list[AlertNode]) -> None:
    assert {c.alert_ids for c in components(nodes)} == brute_force(nodes)


@given(nodes=NODES, data=st.data())
def test_order_and_repetition_do_not_matter(nodes: list[AlertNode], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(nodes))
    repeated = shuffled + (data.draw(st.lists(st.sampled_from(nodes), max_size=4)) if nodes else [])
    assert components(repeated) == components(nodes)


@given(nodes=NODES)
def test_the_versions_of_an_alert_may_come_one_by_one(nodes: list[AlertNode]) -> None:
    single = [AlertNode(n.alert_id, n.committed_order, frozenset({v})) for n in nodes for v in n.versions]
    assert components(reversed(single)) == components(nodes)


def told_more(of: int, **changes: object) -> AlertFacts:
    return card(kind=K.TAX_FRAUD, institution=None, last_four=None, opened=None, completes=UUID(int=of), **changes)


def test_what_tells_more_of_an_alert_is_one_incident_with_it_whatever_else_it_says() -> None:
    hint, other = card(kind=K.OTHER_UNCLASSIFIED, institution=None), card(institution="CITIBANK")
    nodes = [node(1, hint), node(2, other), node(3, told_more(1)), node(4, told_more(3), told_more(9))]
    assert groups(nodes) == groups(nodes[::-1]) == {frozenset({1, 3, 4}), frozenset({2})}
    assert completed(nodes[0], nodes[2])
    assert completed(nodes[2], nodes[0])
    assert not completed(nodes[0], nodes[3])
    assert groups([node(1, hint), node(2, told_more(1), card()), node(5, card())]) == {frozenset({1, 2, 5})}


def test_what_completes_nothing_that_is_there_or_itself_stands_alone() -> None:
    assert groups([node(1, told_more(7)), node(2, told_more(2)), node(3, told_more(7))]) == {
        frozenset({1}),
        frozenset({2}),
        frozenset({3}),
    }


@given(nodes=NODES)
def test_whoever_tells_more_of_an_alert_is_in_its_incident(nodes: list[AlertNode]) -> None:
    home = {alert_id: group for group in components(nodes) for alert_id in group.alert_ids}
    for one in nodes:
        for version in one.versions:
            if version.completes in home:
                assert home[version.completes] is home[one.alert_id]


@given(nodes=NODES, versions=st.frozensets(FACTS, min_size=1, max_size=2))
def test_one_more_alert_only_merges(nodes: list[AlertNode], versions: frozenset[AlertFacts]) -> None:
    after = [c.alert_ids for c in components([*nodes, AlertNode(UUID(int=99), 99, versions)])]
    for group in components(nodes):
        assert any(group.alert_ids <= larger for larger in after)


@given(nodes=NODES)
def test_the_survivor_is_the_earliest_commit(nodes: list[AlertNode]) -> None:
    order = {n.alert_id: n.committed_order for n in nodes}
    for group in components(nodes):
        assert order[group.survivor] == min(order[a] for a in group.alert_ids)


def test_an_incident_reaches_over_the_claims_of_its_alerts() -> None:
    told = [card(5), card(opened=None, occurred=on(2)), card(opened=None, reported=on(90)), late(1)]
    assert claimed_occurrence(told) == Interval(earliest=on(2).earliest, latest=on(5).latest)
    assert claimed_occurrence([late(3)]) == Interval()
    half_open = card(opened=Interval(latest=DAY0 + timedelta(days=9)))
    assert claimed_occurrence([card(5), half_open]) == Interval(latest=DAY0 + timedelta(days=9))
    assert timedelta(days=45) == WINDOW
