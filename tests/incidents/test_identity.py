"""Incident ids and verdicts through every regrouping."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.incidents.correlation import Component
from app.incidents.identity import Answer, GivenVerdict, IncidentVerdict, carry_ids, merge_verdicts


def ids(*numbers: int) -> frozenset[UUID]:
    return frozenset(UUID(int=n) for n in numbers)


def component(*numbers: int) -> Component:
    return Component(tuple(sorted((n, UUID(int=n)) for n in numbers)))


X, Y, Z = (UUID(int=n) for n in (1001, 1002, 1003))


def test_a_merge_keeps_the_id_of_the_earliest_alert() -> None:
    result = carry_ids({X: ids(2), Y: ids(1, 3)}, [component(1, 2, 3)])
    assert [c.incident_id for c in result.carried] == [Y]
    assert result.redirects == {X: Y}
    assert result.emptied == frozenset()


def test_a_new_alert_committed_before_the_others_does_not_change_the_id() -> None:
    assert carry_ids({X: ids(5)}, [component(1, 5)]).carried[0].incident_id == X


def test_a_new_component_asks_for_a_new_id() -> None:
    assert [c.incident_id for c in carry_ids({X: ids(1)}, [component(1), component(2)]).carried] == [X, None]


def test_a_split_keeps_the_id_once_with_its_earliest_alert() -> None:
    result = carry_ids({X: ids(2, 5), Y: ids(6)}, [component(1, 5), component(2), component(6)])
    assert [c.incident_id for c in result.carried] == [None, X, Y]
    assert result.redirects == {}


def test_an_incident_whose_alerts_are_gone_is_emptied() -> None:
    assert carry_ids({X: ids(9)}, [component(1)]).emptied == {X}


ALERTS = list(range(1, 13))
PARTITION = st.lists(st.integers(0, 4), min_size=len(ALERTS), max_size=len(ALERTS))


def grouped(labels: list[int]) -> list[frozenset[UUID]]:
    groups = [ids(*(a for a, label in zip(ALERTS, labels, strict=True) if label == g)) for g in sorted(set(labels))]
    return sorted(groups, key=min)


@given(before=PARTITION, after=PARTITION, dropped=st.sets(st.sampled_from(ALERTS)))
def test_every_id_is_carried_redirected_or_emptied_exactly_once(before: list[int], after: list[int], dropped: set[int]) -> None:
    previous = {UUID(int=1000 + i): group for i, group in enumerate(grouped(before))}
    now = [group - ids(*dropped) for group in grouped(after)]
    parts = [component(*(a.int for a in group)) for group in now if group]
    result = carry_ids(previous, parts)
    carried = [c.incident_id for c in result.carried if c.incident_id]
    assert sorted([*carried, *result.redirects, *result.emptied]) == sorted(previous)
    assert set(result.redirects.values()) <= set(carried)
    assert [c.component for c in result.carried] == parts


@given(labels=PARTITION, merged=st.lists(st.integers(0, 2), min_size=5, max_size=5))
def test_when_groups_only_merge_the_earliest_alerts_incident_survives(labels: list[int], merged: list[int]) -> None:
    groups = grouped(labels)
    previous = {UUID(int=2000 - i): group for i, group in enumerate(groups)}
    joined: dict[int, frozenset[UUID]] = {}
    for group, target in zip(groups, merged, strict=False):
        joined[target] = joined.get(target, frozenset()) | group
    parts = [component(*(a.int for a in group)) for group in joined.values()]
    for entry in carry_ids(previous, parts).carried:
        assert entry.incident_id is not None
        assert entry.component.survivor in previous[entry.incident_id]


def said(answer: Answer, order: int, *shown: int) -> GivenVerdict:
    return GivenVerdict(answer, ids(*shown), order)


N, W, U = Answer.NOT_ME, Answer.WAS_ME, Answer.UNSURE


@pytest.mark.parametrize(
    ("verdicts", "alerts", "answer", "needs_review", "ask_again"),
    [
        ([], ids(1), Answer.UNANSWERED, False, False),
        ([said(N, 1, 1)], ids(1), N, False, False),
        ([said(N, 1, 1)], ids(1, 2), N, True, False),
        ([said(N, 1, 1), said(N, 2, 2)], ids(1, 2), N, False, False),
        ([said(N, 1, 1), said(W, 2, 2)], ids(1, 2), U, True, True),
        ([said(N, 1, 1), said(U, 2, 2)], ids(1, 2), U, True, True),
        ([said(N, 1, 1), said(W, 2, 2), said(N, 3, 1, 2)], ids(1, 2), N, False, False),
        ([said(N, 1, 1), said(W, 2, 1)], ids(1), W, False, False),
        ([said(N, 1, 1, 2), said(W, 2, 1)], ids(1, 2), U, True, True),
        ([said(N, 1, 1), said(W, 1, 1)], ids(1), U, True, True),
        ([said(N, 1, 1, 2)], ids(1), N, True, False),
        ([said(N, 1, 5)], ids(1), Answer.UNANSWERED, False, False),
        ([said(Answer.UNANSWERED, 1, 1), said(W, 2, 2)], ids(1, 2), W, True, False),
    ],
)
def test_verdicts(
    verdicts: list[GivenVerdict], alerts: frozenset[UUID], answer: Answer, needs_review: bool, ask_again: bool
) -> None:
    expected = IncidentVerdict(answer, needs_review, ask_again)
    assert merge_verdicts(verdicts, alerts) == merge_verdicts(reversed(verdicts), alerts) == expected


SHOWN = st.frozensets(st.sampled_from(ALERTS).map(lambda n: UUID(int=n)))
VERDICTS = st.lists(st.builds(GivenVerdict, st.sampled_from(Answer), SHOWN, st.integers(1, 9)), max_size=6)


@given(verdicts=VERDICTS, data=st.data())
def test_not_me_is_never_made_up(verdicts: list[GivenVerdict], data: st.DataObject) -> None:
    alerts = ids(*ALERTS[:6])
    result = merge_verdicts(verdicts, alerts)
    assert merge_verdicts(data.draw(st.permutations(verdicts)), alerts) == result
    if result.answer in {N, W}:
        assert any(v.answer is result.answer and v.shown & alerts for v in verdicts)
    assert result.ask_again <= result.needs_review


@given(verdicts=VERDICTS, answer=st.sampled_from([N, W, U]))
def test_an_answer_to_all_that_is_there_settles_it(verdicts: list[GivenVerdict], answer: Answer) -> None:
    alerts = ids(*ALERTS[:6])
    final = GivenVerdict(answer, alerts, 10)
    result = merge_verdicts([*verdicts, final], alerts)
    assert result == IncidentVerdict(answer, needs_review=False, ask_again=False)
