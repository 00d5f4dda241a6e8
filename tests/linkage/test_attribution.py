"""Links: time order, excluded only when wholly before, facts for and against."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.breaches.catalogue import BreachSpec, load_breaches
from app.breaches.exposure import EmploymentInterval, ExposureBasis, ExposureStatus, OwnEvidence, derive_exposures
from app.breaches.nexus import NexusStatus
from app.linkage.attribution import (
    AlertView,
    BreachView,
    CompetingBreach,
    Direction,
    Fact,
    IncidentView,
    LinkFinding,
    TimeOrder,
    attribute,
)
from app.linkage.findings import History, PriorIncident
from app.linkage.priors import prior_facts, with_priors
from connectors.contract import Interval
from connectors.vocabulary import AlertKind as K

OAKLAND, EARLIER = load_breaches("oakland")
BREACH = BreachView(UUID(int=1), OAKLAND)
OLD = BreachView(UUID(int=2), EARLIER)
INSIDE = derive_exposures([EmploymentInterval(date(2015, 1, 1))], OAKLAND)
OUTSIDE = derive_exposures([EmploymentInterval(date(2022, 6, 1))], OAKLAND)
THEFT = datetime(2023, 2, 6, 8, tzinfo=UTC)
NO_HISTORY = History()


def at(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, 12, tzinfo=UTC)


def incident(
    kind: K,
    earliest: datetime | None,
    latest: datetime | None = None,
    *,
    received: datetime | None = None,
    product: K | None = None,
) -> IncidentView:
    occurred = Interval(earliest=earliest, latest=latest or earliest)
    alerts = (AlertView(UUID(int=100), kind, product),)
    return IncidentView(UUID(int=50), alerts, occurred, received or at(2024, 6, 1))


def link(view, exposures=INSIDE, history=NO_HISTORY, competing=(), breach=BREACH) -> LinkFinding:  # type: ignore[no-untyped-def]
    """What is found as it is read, with what the member's other incidents say."""
    found = attribute(view, breach, exposures, competing)
    return replace(found, facts=tuple(with_priors(found.facts, prior_facts(view, breach, history))))


def fact(finding: LinkFinding, code: str, wave: str | None = None) -> Fact:
    [found] = [f for f in finding.facts if f.code == code and f.wave == wave]
    return found


def codes(finding: LinkFinding) -> set[str]:
    return {f.code for f in finding.facts}


def test_a_march_fraud_that_needs_a_wave_two_element_is_not_excluded_but_not_yet_published_stands_against_it() -> None:
    finding = link(incident(K.PAYROLL_DIVERSION, at(2023, 3, 20)))
    one, two = finding.waves
    assert not finding.excluded_by_time
    assert one.nexus.status is NexusStatus.PARTLY
    assert (two.nexus.status, two.time_order) == (NexusStatus.ENABLED, TimeOrder.BETWEEN)
    against = fact(finding, "time.stolen_not_yet_published", "wave-2")
    assert against.direction is Direction.AGAINST
    assert "milestone:published:wave-2" in against.rests_on
    assert fact(finding, "time.after_publication", "wave-1").direction is Direction.FOR
    assert "time.stolen_not_yet_published" not in {f.code for f in finding.facts if f.wave == "wave-1"}


def test_a_fraud_wholly_before_the_theft_is_excluded_and_told_as_a_fact() -> None:
    finding = link(incident(K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 1, 10)))
    assert finding.excluded_by_time
    assert finding.time_order is TimeOrder.BEFORE_THEFT
    assert {w.time_order for w in finding.waves} == {TimeOrder.BEFORE_THEFT}
    told = fact(finding, "time.before_theft")
    assert told.direction is Direction.AGAINST
    assert "6 February 2023" in told.text


@pytest.mark.parametrize(
    ("earliest", "latest", "received", "expected", "code"),
    [
        (at(2023, 2, 1), at(2023, 2, 20), None, TimeOrder.UNKNOWN, "time.may_be_before_theft"),
        (at(2023, 2, 1), THEFT, None, TimeOrder.UNKNOWN, "time.may_be_before_theft"),
        (THEFT, THEFT, None, TimeOrder.BETWEEN, "time.stolen_not_yet_published"),
        (at(2023, 2, 12), at(2023, 2, 20), None, TimeOrder.BETWEEN, "time.theft_day_uncertain"),
        (at(2023, 2, 20), at(2023, 3, 20), None, TimeOrder.UNKNOWN, "time.overlaps_publication"),
        (at(2023, 3, 3), None, None, TimeOrder.UNKNOWN, "time.overlaps_publication"),
        (at(2023, 5, 1), at(2023, 5, 2), None, TimeOrder.AFTER_PUBLICATION, "time.after_publication"),
        (None, None, None, TimeOrder.UNKNOWN, "time.not_dated"),
        (None, None, at(2023, 1, 1), TimeOrder.BEFORE_THEFT, "time.latest_inferred_from_receipt"),
        (None, None, at(2023, 2, 20), TimeOrder.UNKNOWN, "time.not_yet_published"),
        (at(2023, 5, 1), None, at(2023, 1, 1), TimeOrder.BEFORE_THEFT, "time.clocks_disagree"),
    ],
)
def test_time_order_to_the_first_wave(
    earliest: datetime | None, latest: datetime | None, received: datetime | None, expected: TimeOrder, code: str
) -> None:
    finding = link(incident(K.NEW_ACCOUNT_CREDIT_CARD, earliest, latest, received=received))
    assert finding.waves[0].time_order is expected
    assert code in codes(finding)
    assert finding.excluded_by_time == (expected is TimeOrder.BEFORE_THEFT)


def test_without_a_day_of_theft_the_intrusion_counts_and_without_both_nothing_is_excluded() -> None:
    def without(*kinds: str) -> BreachView:
        kept = tuple(m for m in OAKLAND.milestones if m.kind not in kinds)
        return BreachView(UUID(int=1), OAKLAND.model_copy(update={"milestones": kept}))

    early = incident(K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 1, 10))
    assert link(early, breach=without("exfiltrated")).excluded_by_time
    bare = link(early, breach=without("exfiltrated", "intrusion"))
    assert not bare.excluded_by_time
    assert {"time.theft_day_not_known", "prior.theft_day_not_known"} <= codes(bare)


def test_the_birth_date_is_shown_as_derived_and_what_it_rests_on_as_assumed() -> None:
    finding = link(incident(K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 4, 20)))
    assert finding.waves[0].nexus.status is NexusStatus.ENABLED
    derived = fact(finding, "elements.derived", "wave-1")
    assert "date of birth" in derived.text
    assert derived.rests_on == ("exposure:wave-1:DL_IMAGE", "derivation:licence_image")
    assert fact(finding, "elements.assumed", "wave-1").direction is Direction.NOT_ASSESSABLE
    assert fact(finding, "elements.key_not_listed", "wave-2").direction is Direction.AGAINST


def test_an_existing_card_is_not_enabled_by_any_wave() -> None:
    finding = link(incident(K.TAKEOVER_CARD, at(2023, 5, 1)))
    assert {w.nexus.status for w in finding.waves} == {NexusStatus.NOT_ENABLED}
    assert "elements.all_listed" not in codes(finding)


def test_an_inquiry_goes_by_its_product_and_without_one_is_not_assessable() -> None:
    known = link(incident(K.INQUIRY_HARD, at(2023, 5, 1), product=K.NEW_ACCOUNT_CREDIT_CARD))
    assert known.waves[0].nexus.status is NexusStatus.ENABLED
    unknown = link(incident(K.INQUIRY_HARD, at(2023, 5, 1)))
    assert fact(unknown, "elements.not_assessable", "wave-1").direction is Direction.NOT_ASSESSABLE


def test_someone_outside_the_reported_population_reads_a_fact_and_is_not_excluded() -> None:
    finding = link(incident(K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 4, 20)), OUTSIDE)
    told = fact(finding, "exposure.outside_reported_population", "wave-1")
    assert told.direction is Direction.AGAINST
    assert "can be incomplete" in told.text
    assert not finding.excluded_by_time
    assert finding.waves[0].exposure_status is ExposureStatus.UNPROVEN
    assert finding.waves[0].nexus.status is NexusStatus.ENABLED


def test_the_exposure_status_is_that_of_the_weakest_element_relied_on() -> None:
    letter = OwnEvidence(ExposureBasis.NOTICE_LETTER, "wave-1", None, "doc")
    exposures = derive_exposures([EmploymentInterval(date(2022, 6, 1))], OAKLAND, [letter])
    card = link(incident(K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 4, 20)), exposures)
    assert card.waves[0].exposure_status is ExposureStatus.PROBABLE  # the licence picture is assumed
    ssn = link(incident(K.SSN_USE, at(2023, 4, 20)), exposures)
    assert ssn.waves[0].exposure_status is ExposureStatus.PROVEN


def test_unknown_exposure_is_not_the_same_as_no_exposure() -> None:
    finding = link(incident(K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 4, 20)), ())
    assert {w.nexus.status for w in finding.waves} == {NexusStatus.NOT_ASSESSABLE}
    assert fact(finding, "exposure.not_known", "wave-1").direction is Direction.NOT_ASSESSABLE


def prior(number: int, when: Interval, family: str = "new_account", received: datetime | None = None) -> PriorIncident:
    return PriorIncident(UUID(int=number), frozenset({family}), when, received or at(2024, 1, 1))


@pytest.mark.parametrize(
    ("history", "direction", "code"),
    [
        (NO_HISTORY, Direction.NOT_ASSESSABLE, "prior.no_look_back"),
        (History((), THEFT - timedelta(days=400)), Direction.NOT_ASSESSABLE, "prior.short_look_back"),
        (History((), THEFT - timedelta(days=730)), Direction.FOR, "prior.none_in_look_back"),
        (History([prior(60, Interval.at(at(2022, 5, 1)))]), Direction.AGAINST, "prior.same_kind_before"),
        (History([prior(60, Interval())]), Direction.NOT_ASSESSABLE, "prior.date_unclear"),
        (History([prior(60, Interval(), received=at(2021, 1, 1))]), Direction.AGAINST, "prior.same_kind_before"),
        (History([prior(60, Interval.at(at(2022, 5, 1)), "tax")]), Direction.NOT_ASSESSABLE, "prior.no_look_back"),
        (History([prior(60, Interval.at(at(2023, 5, 1)))]), Direction.NOT_ASSESSABLE, "prior.no_look_back"),
        (History([prior(50, Interval.at(at(2022, 5, 1)))]), Direction.NOT_ASSESSABLE, "prior.no_look_back"),
    ],
)
def test_what_came_before(history: History, direction: Direction, code: str) -> None:
    finding = link(incident(K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 4, 20)), history=history)
    [found] = [f for f in finding.facts if f.topic == "prior"]
    assert (found.direction, found.code) == (direction, code)


def rival(spec: BreachSpec = OAKLAND, **changes: object) -> CompetingBreach:
    other = spec.model_copy(update={"key": "rival", "name": "a shop, 2022", **changes})
    exposures = derive_exposures([EmploymentInterval(date(2015, 1, 1))], other)
    return CompetingBreach(BreachView(UUID(int=9), other), exposures)


@pytest.mark.parametrize(
    ("kind", "competing", "direction", "code"),
    [
        (K.NEW_ACCOUNT_CREDIT_CARD, [], Direction.NOT_ASSESSABLE, "competing.none_known"),
        (K.NEW_ACCOUNT_CREDIT_CARD, [rival()], Direction.AGAINST, "competing.same_data_same_defendant"),
        (K.TAKEOVER_CARD, [rival()], Direction.NEUTRAL, "competing.other_data_same_defendant"),
        (K.NEW_ACCOUNT_UNKNOWN, [rival()], Direction.NOT_ASSESSABLE, "competing.not_assessable_same_defendant"),
        (
            K.NEW_ACCOUNT_CREDIT_CARD,
            [CompetingBreach(OLD, ())],
            Direction.AGAINST,
            "competing.contents_unknown_same_defendant",
        ),
    ],
)
def test_other_breaches(kind: K, competing: list[CompetingBreach], direction: Direction, code: str) -> None:
    finding = link(incident(kind, at(2023, 4, 20)), competing=competing)
    found = fact(finding, code)
    assert found.direction is direction
    assert {f.code for f in finding.facts if f.topic == "competing"} == {code}


def test_a_breach_that_came_later_is_no_rival_and_one_elsewhere_is_not_called_the_same_place() -> None:
    elsewhere = rival(defendant=OAKLAND.defendant.model_copy(update={"key": "shop", "name": "a shop"}))
    same_day = link(incident(K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 4, 20)), competing=[elsewhere])
    assert "same place" not in fact(same_day, "competing.same_data").text
    early = link(incident(K.NEW_ACCOUNT_CREDIT_CARD, at(2023, 1, 1)), competing=[elsewhere])
    assert fact(early, "competing.later").direction is Direction.NEUTRAL


def test_the_claim_of_another_group_is_on_the_page() -> None:
    claim = fact(link(incident(K.TAX_FRAUD, at(2023, 4, 20))), "claim.other_actor")
    assert claim.direction is Direction.NEUTRAL
    assert "LockBit" in claim.text


def test_an_incident_needs_an_alert() -> None:
    with pytest.raises(ValueError, match="at least one"):
        IncidentView(UUID(int=1), (), Interval(), at(2023, 1, 1))


MOMENTS = st.datetimes(datetime(2021, 1, 1), datetime(2024, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - Hypothesis wants naive bounds


def stretch(a: datetime, b: datetime, open_start: bool, open_end: bool) -> Interval:
    return Interval(earliest=None if open_start else min(a, b), latest=None if open_end else max(a, b))


INTERVALS = st.builds(stretch, MOMENTS, MOMENTS, st.booleans(), st.booleans())
ALERTS = st.lists(
    st.builds(AlertView, st.uuids(), st.sampled_from(K), st.none() | st.sampled_from(K)), min_size=1, max_size=3
).map(tuple)
INCIDENTS = st.builds(IncidentView, st.just(UUID(int=50)), ALERTS, INTERVALS, MOMENTS)
EXPOSURES = st.sampled_from([INSIDE, OUTSIDE, (), INSIDE[:3]])
HISTORIES = st.builds(
    History,
    st.lists(st.builds(prior, st.integers(60, 99), INTERVALS, st.sampled_from(["new_account", "tax"]), MOMENTS), max_size=3),
    st.none() | MOMENTS,
)
COMPETING = st.lists(st.sampled_from([rival(), CompetingBreach(OLD, ())]), max_size=2)


@given(view=INCIDENTS)
def test_excluded_exactly_when_the_whole_time_is_before_the_theft(view: IncidentView) -> None:
    latest = min(view.occurred.latest or view.received_at, view.received_at)
    assert link(view).excluded_by_time == (latest < THEFT)


@given(view=INCIDENTS, earlier=st.timedeltas(timedelta(0)), later=st.timedeltas(timedelta(0), timedelta(days=5000)))
def test_a_wider_time_is_never_newly_excluded(view: IncidentView, earlier: timedelta, later: timedelta) -> None:
    start, end = view.occurred.earliest, view.occurred.latest
    wide = Interval(earliest=start - min(earlier, timedelta(days=5000)) if start else None, latest=end + later if end else None)
    wider = IncidentView(view.incident_id, view.alerts, wide, view.received_at)
    assert link(view).excluded_by_time or not link(wider).excluded_by_time


@given(view=INCIDENTS, exposures=EXPOSURES, history=HISTORIES, competing=COMPETING)
def test_every_topic_is_spoken_of_in_plain_words_for_every_wave(view, exposures, history, competing) -> None:  # type: ignore[no-untyped-def]
    finding = link(view, exposures, history, competing)
    assert {"time", "elements", "exposure", "prior", "competing"} <= {f.topic for f in finding.facts}
    for wave in finding.waves:
        assert {"elements", "exposure"} <= {f.topic for f in finding.facts if f.wave == wave.wave}
    topics = [f.topic for f in finding.facts]
    assert topics == sorted(topics, key=["time", "elements", "exposure", "prior", "competing", "claim"].index)
    for told in finding.facts:
        assert told.text.strip()
        assert not re.search(r"exclud|caus|percent|%|\bprove|likelihood|fault|[A-Z]{2,}_", told.text, re.IGNORECASE)


@given(view=INCIDENTS, exposures=EXPOSURES, competing=COMPETING)
def test_the_order_of_what_comes_in_does_not_matter(view, exposures, competing) -> None:  # type: ignore[no-untyped-def]
    turned = IncidentView(view.incident_id, view.alerts[::-1], view.occurred, view.received_at)
    assert link(turned, exposures[::-1], competing=competing[::-1]) == link(view, exposures, competing=competing)
