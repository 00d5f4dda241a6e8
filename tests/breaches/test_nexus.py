"""The element-nexus matrix: its rows, its algebra, the cases it was made for."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.breaches.nexus import Matrix, NexusStatus, assess, close, load_matrix
from connectors.vocabulary import AlertKind as K
from connectors.vocabulary import DataElement as D

ELEMENTS = st.frozensets(st.sampled_from(D))
KINDS = st.sampled_from(K)
RANK = {NexusStatus.NOT_ENABLED: 0, NexusStatus.PARTLY: 1, NexusStatus.ENABLED: 2}
ROWS_OF_THE_SOURCE = {
    "cc_new", "loan_new", "bank_new", "bank_existing", "cc_existing", "phone_new", "utilities_new", "sim_swap", "phone_ato",
    "tax_refund", "employment_wage", "benefits_unemployment", "gov_id_forged", "payroll_diversion", "medical", "insurance",
    "ato_email_social", "change_of_address", "synthetic", "lease_tenancy", "criminal_impersonation", "doxxing",
}  # fmt: skip


def test_every_row_of_the_source_is_there() -> None:
    rows = load_matrix().rows
    assert {name for row in rows for name in (row.code, *row.aliases)} >= ROWS_OF_THE_SOURCE


@pytest.mark.parametrize("kind", K)
def test_every_kind_has_a_row_or_a_reason(kind: K) -> None:
    row, reason = load_matrix().row_for(kind, None)
    assert (row is None) == bool(reason)


@pytest.mark.parametrize(
    ("kind", "exposed", "status", "fraction"),
    [
        (K.NEW_ACCOUNT_CREDIT_CARD, {D.NAME, D.ADDR, D.DOB, D.SSN}, NexusStatus.ENABLED, Fraction(1)),
        (K.NEW_ACCOUNT_CREDIT_CARD, {D.NAME, D.ADDR, D.SSN}, NexusStatus.PARTLY, Fraction(3, 4)),
        (K.NEW_ACCOUNT_CREDIT_CARD, {D.NAME, D.DL}, NexusStatus.NOT_ENABLED, Fraction(1, 4)),  # Antman v. Uber
        (K.NEW_ACCOUNT_CREDIT_CARD, {D.NAME, D.DL_IMAGE, D.BANKACCT}, NexusStatus.NOT_ENABLED, Fraction(3, 4)),
        (K.TAKEOVER_CARD, {D.SSN, D.DL_IMAGE, D.ADDR}, NexusStatus.NOT_ENABLED, Fraction(0)),
        (K.TAKEOVER_PHONE, {D.PHONE, D.NAME, D.DL}, NexusStatus.ENABLED, Fraction(1)),
        (K.TAKEOVER_PHONE, {D.PHONE, D.NAME}, NexusStatus.NOT_ENABLED, Fraction(2, 3)),
        (K.TAKEOVER_BANK, {D.NAME, D.DIRECT_DEPOSIT_FORM}, NexusStatus.ENABLED, Fraction(1)),
        (K.TAKEOVER_BANK, {D.SSN, D.NAME}, NexusStatus.NOT_ENABLED, Fraction(1, 2)),
        (K.NEW_ACCOUNT_BANK, {D.PASSPORT_IMAGE, D.SSN}, NexusStatus.ENABLED, Fraction(1)),
        (K.TAX_FRAUD, {D.PAYROLL_FORM, D.PASSPORT_IMAGE}, NexusStatus.ENABLED, Fraction(1)),
        (K.GOVERNMENT_DRIVERS_LICENSE, {D.PASSPORT}, NexusStatus.NOT_ENABLED, Fraction(0)),
        (K.COURT_CRIMINAL, {D.DL_BARCODE}, NexusStatus.ENABLED, Fraction(1)),
        (K.PAYROLL_DIVERSION, {D.NAME}, NexusStatus.PARTLY, Fraction(1, 3)),
    ],
)
def test_known_answers(kind: K, exposed: set[D], status: NexusStatus, fraction: Fraction) -> None:
    nexus = assess(kind, None, exposed)
    assert (nexus.status, nexus.fraction) == (status, fraction)


def test_the_birth_date_comes_from_the_licence_and_the_step_is_shown() -> None:
    nexus = assess(K.NEW_ACCOUNT_CREDIT_CARD, None, {D.ADDR, D.SSN, D.DL_IMAGE})
    assert nexus.status is NexusStatus.ENABLED
    [step] = nexus.derived_steps
    assert (step.rule, step.source) == ("licence_image", D.DL_IMAGE)
    assert D.DOB in step.gives
    assert D.ADDR not in step.gives  # it was exposed in its own right


def test_a_chain_of_derivations_is_followed_and_shown_whole() -> None:
    data = load_matrix().model_dump()
    packet = {"rule": "packet", "source": D.PERSONNEL_FILE, "gives": [D.DL_IMAGE], "says": "x", "mark": "A"}
    chained = Matrix.model_validate({**data, "derivations": [*data["derivations"], packet]})
    nexus = assess(K.COURT_CRIMINAL, None, {D.PERSONNEL_FILE}, chained)
    assert nexus.status is NexusStatus.ENABLED
    assert [step.rule for step in nexus.derived_steps] == ["packet", "licence_image"]


def test_a_licence_number_alone_gives_no_birth_date() -> None:
    assert close({D.DL, D.PASSPORT}).elements == {D.DL, D.PASSPORT}


def test_medical_fraud_carries_a_caution_until_medical_data_is_exposed() -> None:
    without = assess(K.MEDICAL_SERVICES, None, {D.NAME, D.DOB, D.SSN})
    assert (without.status, bool(without.caution)) == (NexusStatus.ENABLED, True)
    assert assess(K.MEDICAL_SERVICES, None, {D.NAME, D.DOB, D.SSN, D.MEDRECORD}).caution is None


def test_an_inquiry_takes_the_sets_of_its_product() -> None:
    exposed = {D.NAME, D.SSN, D.DOB, D.ADDR}
    for kind in (K.INQUIRY_HARD, K.INQUIRY_BLOCKED):
        assert assess(kind, K.NEW_ACCOUNT_AUTO, exposed) == assess(K.NEW_ACCOUNT_AUTO, None, exposed)
        assert assess(kind, None, exposed).status is NexusStatus.NOT_ASSESSABLE
        assert "not known" in (assess(kind, None, exposed).reason or "")
        assert assess(kind, K.INQUIRY_HARD, exposed).status is NexusStatus.NOT_ASSESSABLE


@given(exposed=ELEMENTS)
def test_closure_is_idempotent_and_keeps_what_it_had(exposed: frozenset[D]) -> None:
    once = close(exposed)
    again = close(once.elements)
    assert again.elements == once.elements >= exposed
    assert again.steps == ()


@given(exposed=ELEMENTS, more=ELEMENTS)
def test_closure_is_monotone(exposed: frozenset[D], more: frozenset[D]) -> None:
    assert close(exposed).elements <= close(exposed | more).elements


@given(kind=KINDS, product=st.none() | KINDS, exposed=ELEMENTS, more=ELEMENTS)
def test_more_exposure_never_means_less_nexus(kind: K, product: K | None, exposed: frozenset[D], more: frozenset[D]) -> None:
    small, large = assess(kind, product, exposed), assess(kind, product, exposed | more)
    if small.status is NexusStatus.NOT_ASSESSABLE:
        assert large == small
        return
    assert small.fraction is not None
    assert large.fraction is not None
    assert small.fraction <= large.fraction
    assert RANK[small.status] <= RANK[large.status]


@given(kind=KINDS, exposed=ELEMENTS)
def test_an_answer_is_consistent_in_itself(kind: K, exposed: frozenset[D]) -> None:
    nexus = assess(kind, None, exposed)
    if nexus.status is NexusStatus.NOT_ASSESSABLE:
        assert nexus.reason
        return
    assert nexus.present | nexus.missing == nexus.best_set
    assert not nexus.present & nexus.missing
    assert nexus.fraction == Fraction(len(nexus.present), len(nexus.best_set))
    assert (nexus.status is NexusStatus.ENABLED) == (not nexus.missing)
    assert nexus.present - exposed <= {e for step in nexus.derived_steps for e in step.gives}


def test_a_table_that_forgets_a_kind_is_refused() -> None:
    data = load_matrix().model_dump()
    del data["kinds"][K.TAX_FRAUD]
    with pytest.raises(ValidationError, match="exactly once"):
        Matrix.model_validate(data)


def test_a_table_with_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError, match="extra"):
        Matrix.model_validate({**load_matrix().model_dump(), "surprise": 1})
