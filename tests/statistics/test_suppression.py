"""The rules of hiding one by one, on tables small enough to work out by hand. `test_release_rules.py` tries them together."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from app.statistics.cubes import ALL, FAMILIES, Cell, Scope, Span
from app.statistics.lattice import Lattice, Row, build_lattice
from app.statistics.release import THRESHOLD, Told
from app.statistics.suppression import (
    SURFACE,
    Offer,
    Shown,
    _cheapest,
    _companions,
    _subtractions,
    _uncovered,
    nearly_whole,
    offer,
    protect,
)

WHOLE, JAN, FEB, MAR, APR = Span(0, 3), Span(0, 0), Span(1, 1), Span(2, 2), Span(3, 3)
MONTHS = (JAN, FEB, MAR, APR)
ROSTER = 714


def cell(span: Span, kind: str = ALL, scope: Scope = Scope.ANY) -> Cell:
    return Cell(scope, kind, span)


def shown(told: Told | None = None, *, roster: int = ROSTER, **more: object) -> Shown:
    made = Shown(roster, told or Told())
    for name, value in more.items():
        setattr(made, name, value)
    return made


def told(last: Mapping[str, tuple[Cell, int | None]], facts: Mapping[Cell, int] | None = None, *hidden: Cell) -> Told:
    """What an earlier edition told of labels that are all of any incident of all kinds."""
    return Told(dict(facts or {}), set(hidden), {(Scope.ANY, ALL, label): one for label, one in last.items()})


@pytest.mark.parametrize(("count", "value"), [(0, None), (10, None), (11, 11), (300, 300)])
def test_a_new_number_is_offered_from_the_threshold_on(count: int, value: int | None) -> None:
    assert offer(cell(JAN), "2023-01", count, shown()) == Offer(value, None)


@pytest.mark.parametrize(
    ("count", "value"), [(29, None), (30, None), (40, None), (41, 41), (20, None), (19, 19), (11, 11)], ids=lambda at: str(at)
)
def test_a_number_stands_until_it_has_moved_by_the_threshold_either_way(count: int, value: int | None) -> None:
    """It stands all the same: what was told once tells nothing new."""
    before = told({"all": (cell(JAN), 30)}, {cell(JAN): 30})
    assert offer(cell(Span(0, 1)), "all", count, shown(before)) == Offer(value, (cell(JAN), 30))


def test_a_number_that_fell_below_the_threshold_neither_stands_nor_comes_back() -> None:
    before = told({"all": (cell(JAN), 30)}, {cell(JAN): 30})
    assert offer(cell(Span(0, 1)), "all", 10, shown(before)) == Offer(None, None)
    low = told({"all": (cell(JAN), 15)}, {cell(JAN): 15})
    assert offer(cell(Span(0, 1)), "all", 10, shown(low)) == Offer(None, (cell(JAN), 15)), "it has not moved far enough to tell"


def test_the_same_cell_under_another_label_stands_by_its_own_number() -> None:
    before = told({"all": (cell(Span(0, 2)), 90)}, {cell(JAN): 30, cell(Span(0, 2)): 90})
    assert offer(cell(JAN), "all", 35, shown(before)) == Offer(None, (cell(JAN), 30))


@pytest.mark.parametrize(("count", "value"), [(11, None), (20, None), (21, 21)])
def test_what_was_hidden_before_appears_only_once_it_must_have_moved(count: int, value: int | None) -> None:
    by_label = told({"all": (cell(JAN), None)})
    assert offer(cell(Span(0, 1)), "all", count, shown(by_label)) == Offer(value, None)
    by_cell = told({}, None, cell(JAN))
    assert offer(cell(JAN), "2023-01", count, shown(by_cell)) == Offer(value, None)
    assert offer(cell(FEB), "2023-02", count, shown(by_cell)) == Offer(count, None), "another cell was never hidden"
    assert SURFACE == 21


def test_what_is_hidden_in_this_edition_is_not_offered() -> None:
    before = told({"2023-01": (cell(JAN), 30)}, {cell(JAN): 30})
    assert offer(cell(JAN), "2023-01", 90, shown(before, hidden={cell(JAN)})) == Offer(None, None)


def test_in_the_dark_nothing_new_is_offered_and_the_old_stands() -> None:
    before = told({"2023-01": (cell(JAN), 30)}, {cell(JAN): 30})
    assert offer(cell(JAN), "2023-01", 90, shown(before, dark=True)) == Offer(None, (cell(JAN), 30))
    assert offer(cell(FEB), "2023-02", 90, shown(before, dark=True)) == Offer(None, None)


def test_of_a_number_shown_twice_the_newest_counts() -> None:
    both = shown(Told({cell(JAN): 30, cell(FEB): 20}), fresh={cell(JAN): 50})
    assert both.facts() == {cell(JAN): 50, cell(FEB): 20}


def test_all_that_any_edition_hides_is_hidden() -> None:
    some = shown(Told(hidden={cell(JAN)}), hidden={cell(FEB)})
    assert some.all_hidden() == {cell(JAN), cell(FEB)}
    assert some.all_hidden([cell(MAR)]) == {cell(JAN), cell(FEB), cell(MAR)}


def test_the_audit_is_of_all_that_was_and_would_be_shown_and_hidden() -> None:
    """What is left of the whole is January's 5; each of its parts is told in another way, and hidden in another."""
    numbers = {cell(WHOLE): 105, cell(FEB): 40, cell(MAR): 40, cell(APR): 20}
    before = {one: numbers[one] for one in (cell(FEB), cell(MAR))}
    for hidden in (Told(before, {cell(JAN)}), Told(before)):
        some = shown(hidden, fresh={cell(APR): 20}, hidden=set() if hidden.hidden else {cell(JAN)})
        assert some.audit({cell(WHOLE): 105}, ()).narrow == (cell(JAN),)
        assert some.audit({}, ()).passed
    assert shown(Told(before), fresh={cell(APR): 20}).audit({cell(WHOLE): 105}, [cell(JAN)]).narrow == (cell(JAN),)


def test_the_largest_roster_of_all_editions_bounds_what_is_hidden() -> None:
    assert shown(roster=40).audit({cell(JAN): 30}, [cell(WHOLE)]).narrow == (cell(WHOLE),)
    assert shown(Told(population=41), roster=40).audit({cell(JAN): 30}, [cell(WHOLE)]).narrowest == THRESHOLD


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (cell(JAN), cell(WHOLE)),
        (cell(WHOLE), cell(JAN)),
        (cell(WHOLE, "takeover"), cell(WHOLE)),
        (cell(WHOLE, "takeover.card"), cell(WHOLE, "takeover")),
        (cell(JAN, "takeover.card"), cell(WHOLE)),
        (cell(WHOLE, scope=Scope.NOT_ME), cell(WHOLE)),
        (cell(JAN, "tax", Scope.NOT_ME), cell(WHOLE)),
    ],
)
def test_a_small_difference_between_what_lies_in_what_hides_it(one: Cell, other: Cell) -> None:
    for value, hidden in ((40, True), (50, True), (51, False), (30, True), (29, False)):
        assert nearly_whole({one: 40}, {other: value}, ROSTER) == ({one} if hidden else set()), value


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (cell(JAN), cell(FEB)),
        (cell(Span(0, 1)), cell(Span(1, 2))),
        (cell(WHOLE, "takeover.card"), cell(WHOLE, "takeover.bank")),
        (cell(WHOLE, "tax"), cell(WHOLE, "takeover")),
        (cell(JAN, "takeover"), cell(FEB)),
        (cell(WHOLE, scope=Scope.NOT_ME), cell(JAN)),
        (cell(WHOLE, "takeover"), cell(JAN, "takeover.card", Scope.NOT_ME)._replace(kind="tax.fraud")),
        (cell(WHOLE, "tax", Scope.NOT_ME), cell(WHOLE, "takeover")),
        (cell(WHOLE, "file_change"), cell(WHOLE, "file")),
        (cell(JAN), cell(JAN)),
    ],
)
def test_what_does_not_lie_in_the_other_may_differ_by_little(one: Cell, other: Cell) -> None:
    assert nearly_whole({one: 40}, {other: 41}, ROSTER) == set()
    assert nearly_whole({other: 40}, {one: 41}, ROSTER) == set()


def test_a_cell_that_nearly_all_the_roster_is_in_is_hidden() -> None:
    assert nearly_whole({cell(JAN): 90, cell(FEB): 89}, {}, 100) == {cell(JAN)}


def protected(own: Mapping[Cell, int], *hidden: Cell, spare: tuple[Cell, ...] = (), least: int = 0, by: Shown | None = None):
    """The months, or other cells, that `protect` leaves visible; None when it gives up."""
    left = protect(own, hidden, spare, by or shown(fresh={cell(WHOLE): sum(own.values()) + 5}), least)
    return None if left is None else dict(left)


def test_a_lone_hidden_part_takes_the_cheapest_with_it() -> None:
    own = {cell(JAN): 30, cell(FEB): 20, cell(MAR): 50}
    assert protected(own, cell(APR)) == {cell(JAN): 30, cell(MAR): 50}


def test_of_two_that_cost_the_same_the_first_goes() -> None:
    own = {cell(JAN): 30, cell(FEB): 20, cell(MAR): 20}
    assert protected(own, cell(APR)) == {cell(JAN): 30, cell(MAR): 20}


def test_a_lone_hidden_part_takes_another_with_it_however_large_it_is() -> None:
    own = {cell(JAN): 30, cell(FEB): 20, cell(MAR): 50}
    assert protected(own, cell(APR), by=shown(fresh={cell(WHOLE): 400})) == {cell(JAN): 30, cell(MAR): 50}


def test_what_stands_for_many_is_not_alone() -> None:
    """Of all families but one nothing was ever shown: any of them may be empty."""
    own = {cell(WHOLE, "takeover"): 40}
    others = [cell(WHOLE, family) for family in FAMILIES if family != "takeover"]
    assert protected(own, *others, by=shown(fresh={cell(WHOLE): 100})) == own


def test_where_all_is_shown_nothing_goes() -> None:
    own = {cell(JAN): 30, cell(FEB): 20, cell(MAR): 50, cell(APR): 40}
    assert protected(own) == own


@pytest.mark.parametrize(("rest", "left"), [(10, 2), (11, 3), (12, 3)])
def test_two_hidden_parts_that_share_too_few_take_a_third_with_them(rest: int, left: int) -> None:
    months = [Span(at, at) for at in range(5)]
    own = {cell(months[0]): 30, cell(months[1]): 20, cell(months[2]): 50}
    by = shown(fresh={cell(Span(0, 4)): 100 + rest})
    found = protected(own, cell(months[3]), cell(months[4]), by=by)
    assert found is not None
    assert len(found) == left
    assert found.keys() >= {cell(months[0]), cell(months[2])}


@pytest.mark.parametrize(("over", "left"), [(9, 2), (10, 1), (11, 3)])
def test_parts_that_exceed_the_whole_by_far_bound_nothing(over: int, left: int) -> None:
    """Members are counted in several; a few such would explain a small excess, so that is treated like a small remainder.

    With February hidden too 11 or 10 are left for both, and 10 take January with them.
    """
    own = {cell(JAN): 30, cell(FEB): 20, cell(MAR): 50}
    found = protected(own, cell(APR), by=shown(fresh={cell(WHOLE): 100 - over}))
    assert found is not None
    assert len(found) == left


def test_fewer_than_are_wanted_are_none() -> None:
    own = {cell(JAN): 30, cell(FEB): 20, cell(MAR): 50}
    assert protected(own, cell(APR), least=2) is not None
    assert protected(own, cell(APR), least=3) is None


def test_what_stays_visible_by_an_earlier_number_counts_as_visible_and_is_not_hidden() -> None:
    own = {cell(JAN): 30, cell(FEB): 20, cell(MAR): 50}
    earlier = shown(told({}, {cell(FEB): 9 + 20}), fresh={cell(WHOLE): 105})
    assert protected(own, cell(APR), spare=(cell(FEB),), least=3, by=earlier) == {cell(JAN): 30, cell(MAR): 50}


def test_a_hidden_whole_whose_parts_are_all_shown_loses_one() -> None:
    """Whoever believes that nobody is counted twice would add the parts up."""
    own = {cell(JAN): 30, cell(FEB): 20, cell(MAR): 50, cell(APR): 40}
    found = protected(own, cell(WHOLE), by=shown())
    assert found == {cell(JAN): 30, cell(MAR): 50, cell(APR): 40}


def test_if_no_part_is_there_to_be_hidden_the_whole_is() -> None:
    by = shown(fresh={cell(JAN): 30, cell(FEB): 20, cell(MAR): 50})
    assert protected({cell(WHOLE): 105}, cell(APR), by=by) == {}


def test_what_is_neither_ones_own_nor_to_be_hidden_is_left_alone() -> None:
    """April could be worked out from what was shown before, and nothing that is offered now changes that."""
    by = shown(fresh={cell(WHOLE): 105, cell(JAN): 30, cell(FEB): 20, cell(MAR): 50})
    assert protected({cell(Span(5, 5)): 40}, cell(APR), by=by) is None


def test_a_hidden_family_is_opened_into_its_kinds() -> None:
    """Takeovers are hidden, but its four kinds are not: with the taxes they are all but 5 of the whole."""
    kinds = {cell(WHOLE, f"takeover.{kind}"): 20 for kind in ("card", "bank", "phone", "email_social")}
    others = [cell(WHOLE, family) for family in ("new_account", "inquiry", "freeze", "ssn", "file_change", "government")]
    others += [cell(WHOLE, family) for family in ("payroll", "medical", "court", "consequence", "exposure", "other")]
    known = dict.fromkeys(others[:-1], 30)
    by = shown(fresh={**known, cell(WHOLE): 80 + 30 * len(known) + 20 + 5})
    own = {**kinds, cell(WHOLE, "tax"): 20}
    found = protected(own, cell(WHOLE, "takeover"), others[-1], by=by)
    assert found is not None
    assert len(found) < len(own)
    assert shown_is_safe(by, found, cell(WHOLE, "takeover"), others[-1], *(own.keys() - found.keys()))


def shown_is_safe(by: Shown, left: Mapping[Cell, int], *hidden: Cell) -> bool:
    return by.audit(left, hidden).passed


def test_what_only_the_audit_sees_takes_the_cheapest_beside_it() -> None:
    """January's takeovers lie between what was disowned of them and what January had: no subtraction, and yet narrow."""
    narrow = cell(JAN, "takeover")
    by = shown(fresh={cell(WHOLE): 200, cell(JAN): 45})
    own = {cell(JAN, "takeover", Scope.NOT_ME): 35, cell(FEB, "takeover", Scope.NOT_ME): 30}
    assert not by.audit(own, [narrow]).passed
    found = protected(own, narrow, by=by)
    assert found == {cell(FEB, "takeover", Scope.NOT_ME): 30} or found == {}
    assert found is None or shown_is_safe(by, found, narrow, *(own.keys() - found.keys()))


A, B, C, D, E, F, G = (cell(Span(at, at)) for at in range(10, 17))


def lattice_of(rows: tuple[Row, ...], *targets: int) -> Lattice:
    """The cells A to G, with these rows between them; the targets are hidden and stand for themselves."""
    nodes = (A, B, C, D, E, F, G)
    return Lattice(nodes, rows, (), frozenset(), {at: (nodes[at],) for at in targets})


def test_what_was_hidden_for_one_row_is_looked_at_in_the_rows_before() -> None:
    """C goes because of E, which stands alone with it in D; then A less B is too small for what is left: B goes too."""
    lattice = lattice_of((Row(0, (1, 2)), Row(3, (2, 4))), 4)
    facts = {A: 65, B: 60, C: 40, D: 70}
    assert _uncovered(lattice, facts, {B: 60, C: 40}) == {B, C}
    assert _uncovered(lattice, {**facts, A: 71}, {B: 60, C: 40}) == {C}


def test_a_row_that_another_has_mended_costs_nothing() -> None:
    """B is the cheapest in both rows: with it hidden, D is alone in neither, and G is not."""
    lattice = lattice_of((Row(0, (1, 2, 3)), Row(4, (1, 5, 6))), 3, 6)
    facts = {A: 130, B: 20, C: 80, E: 130, F: 80}
    assert _uncovered(lattice, facts, {B: 20, C: 80, F: 80}) == {B}


def test_of_a_row_its_cheapest_own_part_goes_and_the_whole_only_where_there_is_none() -> None:
    row, values = Row(0, (1, 2, 3)), {0: 15, 1: 30, 2: 20, 3: 11}
    assert _cheapest(row, {0, 1, 2}, values) == 2
    assert _cheapest(row, {0}, values) == 0
    assert _cheapest(row, {0, 1}, {0: 15}) == 0, "a part that is hidden cannot be hidden again"
    assert _cheapest(row, {0}, {1: 30}) is None
    assert _cheapest(row, set(), values) is None


def test_every_row_is_subtracted_and_once_more_with_hidden_families_opened() -> None:
    whole, inquiries = cell(WHOLE), cell(WHOLE, "inquiry")
    kinds = {cell(WHOLE, f"inquiry.{kind}"): 20 for kind in ("hard", "blocked")}
    others = [cell(WHOLE, family) for family in FAMILIES if family != "inquiry"]
    facts = {whole: 400, **kinds, **dict.fromkeys(others, 20)}

    def told(hidden: Cell | None) -> list[tuple[Cell, frozenset[Cell]]]:
        known = {one: value for one, value in facts.items() if one != hidden} | ({} if hidden else {inquiries: 40})
        lattice = build_lattice(known, [inquiries])
        values = {at: known[one] for at, one in enumerate(lattice.nodes) if one in known}
        rows = _subtractions(lattice, values)
        return sorted((lattice.nodes[row.parent], frozenset(lattice.nodes[at] for at in row.children)) for row in rows)

    plain = [(whole, frozenset({inquiries, *others})), (inquiries, frozenset(kinds))]
    assert sorted(told(None)) == sorted(plain), "a family that is shown is not opened"
    assert sorted(told(inquiries)) == sorted([*plain, (whole, frozenset({*kinds, *others}))])


TAKEN_OVER = {cell(JAN, "takeover"): 12, cell(FEB, "takeover"): 13}
"""Cheap, and beside nothing that is asked for."""


@pytest.mark.parametrize(
    ("narrow", "goes"),
    [
        ({cell(APR)}, {cell(MAR)}),
        ({cell(WHOLE)}, {cell(MAR)}),
        ({cell(FEB)}, {cell(MAR)}),
        ({cell(APR), cell(FEB)}, {cell(MAR)}),
        ({cell(Span(20, 20))}, {cell(JAN, "takeover")}),
        (set(), {cell(JAN, "takeover")}),
    ],
    ids=["a part", "the whole", "a part that was shown until just now", "two that share it", "unknown", "none"],
)
def test_the_cheapest_beside_what_is_too_narrow_goes_or_else_the_cheapest_of_all(narrow: set[Cell], goes: set[Cell]) -> None:
    own = {cell(JAN): 30, cell(MAR): 20, **TAKEN_OVER}
    known = {cell(FEB): 40, **own, cell(WHOLE, "takeover"): 60}
    assert _companions(build_lattice(known, [cell(APR), cell(WHOLE)]), narrow, own) == goes


def test_of_all_the_cheapest_goes_and_not_the_first() -> None:
    own = {cell(JAN, "takeover"): 15, cell(FEB, "takeover"): 13}
    assert _companions(build_lattice(own, []), set(), own) == {cell(FEB, "takeover")}
    assert _companions(build_lattice(own, []), set(), {}) == set()


def test_what_is_beside_a_cell_that_stands_for_many_is_beside_each_of_them() -> None:
    own = {cell(WHOLE, "takeover"): 40, cell(WHOLE, "new_account"): 20, cell(JAN, "takeover"): 12}
    others = [cell(WHOLE, family) for family in FAMILIES if cell(WHOLE, family) not in own]
    lattice = build_lattice({cell(WHOLE): 100, **own}, others)
    assert _companions(lattice, {cell(WHOLE, "tax")}, own) == {cell(WHOLE, "new_account")}
