"""The auditor on tables small enough to bound by hand."""

from app.statistics.audit import audit
from app.statistics.cubes import ALL, Cell, Scope, Span

WHOLE, JAN, FEB, MAR = Span(0, 2), Span(0, 0), Span(1, 1), Span(2, 2)


def cell(span: Span, kind: str = ALL, scope: Scope = Scope.ANY) -> Cell:
    return Cell(scope, kind, span)


def test_what_is_left_of_a_total_is_known_to_whoever_believes_that_nobody_is_counted_twice() -> None:
    finding = audit({cell(WHOLE): 90, cell(JAN): 40, cell(FEB): 20}, {}, [cell(MAR)], 714)
    assert finding.narrow == (cell(MAR),)
    assert finding.narrowest == 0


def test_two_hidden_parts_hide_each_other_only_if_they_share_eleven() -> None:
    for whole, passed in ((50, False), (51, True)):
        finding = audit({cell(WHOLE): whole, cell(JAN): 40}, {}, [cell(FEB), cell(MAR)], 714)
        assert finding.passed is passed
        assert finding.narrowest == whole - 40


def test_parts_that_exceed_their_whole_refute_the_belief_and_bound_nothing() -> None:
    finding = audit({cell(WHOLE): 60, cell(JAN): 40, cell(FEB): 40}, {}, [cell(MAR)], 714)
    assert finding.passed


def test_a_part_can_be_no_larger_than_its_whole() -> None:
    shown = {cell(WHOLE): 12, cell(JAN): 11, cell(FEB): 12}
    assert audit(shown, {}, [cell(MAR)], 714).narrowest == 12


def test_a_disowned_part_bounds_the_whole_cell_from_below() -> None:
    shown = {cell(WHOLE): 40, cell(JAN, scope=Scope.NOT_ME): 31}
    finding = audit(shown, {}, [cell(JAN), cell(FEB), cell(MAR)], 714)
    assert cell(JAN) in finding.narrow
    assert finding.narrowest == 9


def test_kinds_bound_their_family_and_the_family_its_kinds() -> None:
    shown = {cell(WHOLE): 100, cell(WHOLE, "takeover.card"): 30}
    others = [cell(WHOLE, kind) for kind in ("takeover.bank", "takeover.phone", "takeover.email_social", "takeover")]
    assert audit(shown, {}, others, 714).passed
    known = {**shown, cell(WHOLE, "takeover"): 35}
    assert set(audit(known, {}, others[:3], 714).narrow) == set(others[:3])


def test_the_only_hidden_family_is_not_lost_among_the_folded_ones() -> None:
    finding = audit({cell(WHOLE): 12}, {}, [cell(WHOLE, "tax"), cell(WHOLE, "medical")], 714)
    assert finding.passed
    assert finding.narrowest == 12


def test_an_earlier_edition_bounds_what_this_one_hides() -> None:
    growing, before = cell(Span(0, 1)), cell(JAN)
    assert audit({growing: 60}, {}, [cell(FEB)], 714).passed
    assert audit({growing: 60}, {before: 52}, [cell(FEB)], 714).narrow == (cell(FEB),)


def test_this_edition_bounds_what_an_earlier_one_hid() -> None:
    assert audit({cell(WHOLE): 40, cell(JAN): 38}, {}, [cell(Span(0, 1))], 714).narrow == (cell(Span(0, 1)),)


def test_an_earlier_number_that_the_world_has_outgrown_is_set_aside() -> None:
    finding = audit({cell(JAN): 80}, {cell(WHOLE): 40}, [cell(FEB), cell(MAR)], 714)
    assert finding.passed


def test_the_roster_bounds_everything() -> None:
    assert audit({cell(JAN): 30}, {}, [cell(WHOLE)], 40).narrow == (cell(WHOLE),)
    assert audit({cell(JAN): 30}, {}, [cell(WHOLE)], 41).narrowest == 11


def test_where_nothing_is_shown_nothing_is_learnt() -> None:
    assert audit({}, {}, [cell(WHOLE)], 5).passed
    assert audit({cell(WHOLE): 40}, {}, [], 714).narrowest is None
