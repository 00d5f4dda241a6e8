"""What was exposed of one member, and how it is known."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.breaches.catalogue import load_breaches
from app.breaches.exposure import (
    EmploymentInterval,
    Exposure,
    ExposureBasis,
    ExposureStatus,
    OwnEvidence,
    derive_exposures,
    weakest,
)
from app.breaches.sources import Mark
from connectors.vocabulary import DataElement as D

OAKLAND, EARLIER = load_breaches("oakland")
INSIDE = (EmploymentInterval(date(2015, 1, 1)),)
OUTSIDE = (EmploymentInterval(date(2022, 6, 1)),)


def one(exposures: tuple[Exposure, ...], wave: str, element: D) -> Exposure:
    [found] = [e for e in exposures if (e.wave, e.element) == (wave, element)]
    return found


@pytest.mark.parametrize(
    ("start", "end", "inside"),
    [
        (date(1999, 1, 1), date(2010, 6, 30), False),
        (date(1999, 1, 1), date(2010, 7, 1), True),
        (date(2022, 1, 31), None, True),
        (date(2022, 2, 1), None, False),
        (date(1995, 1, 1), None, True),
    ],
)
def test_one_shared_day_with_the_reported_population_is_inside(start: date, end: date | None, inside: bool) -> None:
    found = one(derive_exposures((EmploymentInterval(start, end),), OAKLAND), "wave-1", D.SSN)
    if inside:
        assert (found.basis, found.status) == (ExposureBasis.REPORTED_POPULATION, ExposureStatus.PROBABLE)
    else:
        assert (found.basis, found.status) == (ExposureBasis.OUTSIDE_REPORTED_POPULATION, ExposureStatus.UNPROVEN)


def test_every_wave_and_element_appears_once() -> None:
    found = [(e.wave, e.element) for e in derive_exposures(INSIDE, OAKLAND)]
    assert found == [(w.key, e.element) for w in OAKLAND.waves for e in w.elements]


def test_unknown_employment_and_unknown_population_are_unproven() -> None:
    assert {e.basis for e in derive_exposures((), OAKLAND)} == {ExposureBasis.EMPLOYMENT_UNKNOWN}
    bare = OAKLAND.model_copy(update={"population": None})
    assert {e.basis for e in derive_exposures(INSIDE, bare)} == {ExposureBasis.NO_POPULATION_REPORTED}
    assert derive_exposures(INSIDE, EARLIER) == ()


@pytest.mark.parametrize("basis", [ExposureBasis.OWN_RECORD_SEEN, ExposureBasis.NOTICE_LETTER])
def test_own_evidence_outranks_a_population_the_member_is_outside_of(basis: ExposureBasis) -> None:
    letter = OwnEvidence(basis, "wave-1", frozenset({D.SSN}), "doc-1")
    found = derive_exposures(OUTSIDE, OAKLAND, [letter])
    ssn = one(found, "wave-1", D.SSN)
    assert (ssn.basis, ssn.status, ssn.reference) == (basis, ExposureStatus.PROVEN, "doc-1")
    assert one(found, "wave-1", D.ADDR).status is ExposureStatus.UNPROVEN
    assert one(found, "wave-2", D.MEDRECORD).status is ExposureStatus.UNPROVEN


def test_a_letter_that_names_nothing_does_not_prove_what_only_we_assume() -> None:
    found = derive_exposures(OUTSIDE, OAKLAND, [OwnEvidence(ExposureBasis.NOTICE_LETTER, "wave-1", None, "doc-1")])
    assert one(found, "wave-1", D.SSN).status is ExposureStatus.PROVEN
    assert one(found, "wave-1", D.DL_IMAGE).status is ExposureStatus.PROBABLE
    assert one(found, "wave-1", D.DL_IMAGE).mark is Mark.ASSUMPTION


def test_an_element_that_only_the_own_record_shows_is_added() -> None:
    seen = OwnEvidence(ExposureBasis.OWN_RECORD_SEEN, "wave-1", frozenset({D.DOB, D.DL_IMAGE}), "record-7")
    found = derive_exposures(INSIDE, OAKLAND, [seen])
    assert one(found, "wave-1", D.DOB).status is ExposureStatus.PROVEN
    assert one(found, "wave-1", D.DL_IMAGE).mark is Mark.VERIFIED


def test_a_listing_is_probable_and_stronger_than_standing_outside() -> None:
    found = derive_exposures(OUTSIDE, OAKLAND, [OwnEvidence(ExposureBasis.HIBP, "wave-1", frozenset({D.SSN}), "hibp")])
    assert one(found, "wave-1", D.SSN).status is ExposureStatus.PROBABLE


def test_mistakes_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown wave"):
        derive_exposures(INSIDE, OAKLAND, [OwnEvidence(ExposureBasis.HIBP, "wave-9", None, "x")])
    with pytest.raises(ValueError, match="not evidence"):
        OwnEvidence(ExposureBasis.REPORTED_POPULATION, "wave-1", None, "x")
    with pytest.raises(ValueError, match="before it starts"):
        EmploymentInterval(date(2020, 1, 2), date(2020, 1, 1))


JOBS = st.builds(
    lambda start, length: EmploymentInterval(start, None if length is None else start + timedelta(days=length)),
    st.dates(date(1995, 1, 1), date(2023, 12, 31)),
    st.none() | st.integers(0, 9000),
)
EVIDENCE = st.builds(
    OwnEvidence,
    st.sampled_from([ExposureBasis.OWN_RECORD_SEEN, ExposureBasis.NOTICE_LETTER, ExposureBasis.HIBP]),
    st.sampled_from(["wave-1", "wave-2"]),
    st.none() | st.frozensets(st.sampled_from(D), max_size=4),
    st.just("doc"),
)


@given(jobs=st.lists(JOBS, max_size=3), evidence=st.lists(EVIDENCE, max_size=3), more=EVIDENCE)
def test_more_evidence_never_weakens_an_exposure(
    jobs: list[EmploymentInterval], evidence: list[OwnEvidence], more: OwnEvidence
) -> None:
    order = list(ExposureStatus)
    before = {(e.wave, e.element): e for e in derive_exposures(jobs, OAKLAND, evidence)}
    after = {(e.wave, e.element): e for e in derive_exposures(jobs, OAKLAND, [more, *evidence])}
    assert set(before) <= set(after)
    assert all(order.index(after[k].status) <= order.index(e.status) for k, e in before.items())


def test_the_weakest_of_none_is_unproven() -> None:
    assert weakest([]) is ExposureStatus.UNPROVEN
    assert weakest([ExposureStatus.PROVEN, ExposureStatus.PROBABLE]) is ExposureStatus.PROBABLE
