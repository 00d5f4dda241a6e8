"""What a link is based on: the hash differs wherever the finding may differ, and nothing is found again where it does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.breaches.catalogue import load_breaches
from app.breaches.exposure import EmploymentInterval, derive_exposures
from app.linkage.attribution import (
    AlertView,
    BreachView,
    CompetingBreach,
    History,
    IncidentView,
    PriorIncident,
    attribute,
    bearing,
)
from app.linkage.basis import basis
from connectors.contract import Interval
from connectors.vocabulary import AlertKind as K

SPECS = load_breaches("oakland")
BREACH, OTHER = (BreachView(UUID(int=at), spec) for at, spec in enumerate(SPECS[:2], 1))
EXPOSURES = tuple(derive_exposures([EmploymentInterval(date(2012, 1, 1), None)], BREACH.spec, []))
INCIDENT = IncidentView(
    UUID(int=10),
    (AlertView(UUID(int=11), K.NEW_ACCOUNT_CREDIT_CARD),),
    Interval.at(datetime(2023, 3, 20, tzinfo=UTC)),
    datetime(2023, 4, 1, tzinfo=UTC),
)


def prior(at: int, year: int, family: str = "new_account") -> PriorIncident:
    moment = datetime(year, 1, 1, tzinfo=UTC)
    return PriorIncident(UUID(int=at), frozenset({family}), Interval.at(moment), moment)


def hashed(incident: IncidentView = INCIDENT, breach: BreachView = BREACH, **changed: object) -> bytes:
    given = {"rules": "r", "exposures": EXPOSURES, "history": History(), "competing": (CompetingBreach(OTHER, ()),)} | changed
    return basis(given.pop("rules"), incident, breach, **given)  # type: ignore[arg-type]


OTHERS = {
    "rules": hashed(rules="r2"),
    "exposures": hashed(exposures=EXPOSURES[1:]),
    "an earlier incident": hashed(history=History((prior(20, 2020),))),
    "an undated one": hashed(history=History((replace(prior(20, 2024), occurred=Interval()),))),
    "a look back": hashed(history=History((), datetime(2020, 1, 1, tzinfo=UTC))),
    "no other breach": hashed(competing=()),
    "contents of the other": hashed(competing=(CompetingBreach(OTHER, EXPOSURES[:1]),)),
    "another breach": hashed(breach=OTHER),
    "another alert": hashed(replace(INCIDENT, alerts=(*INCIDENT.alerts, AlertView(UUID(int=12), K.INQUIRY_HARD)))),
    "another kind": hashed(replace(INCIDENT, alerts=(AlertView(UUID(int=11), K.NEW_ACCOUNT_BANK),))),
    "a product": hashed(replace(INCIDENT, alerts=(AlertView(UUID(int=11), K.NEW_ACCOUNT_CREDIT_CARD, K.NEW_ACCOUNT_AUTO),))),
    "another time": hashed(replace(INCIDENT, occurred=Interval())),
    "another receipt": hashed(replace(INCIDENT, received_at=datetime(2023, 4, 2, tzinfo=UTC))),
    "another incident": hashed(replace(INCIDENT, incident_id=UUID(int=13))),
}


@pytest.mark.parametrize("what", OTHERS)
def test_whatever_bears_on_a_finding_is_in_the_hash(what: str) -> None:
    assert OTHERS[what] != hashed()
    assert len(set(OTHERS.values())) == len(OTHERS)


@pytest.mark.parametrize("at", [prior(20, 2024), prior(20, 2020, "takeover")])
def test_another_incident_that_bears_on_nothing_changes_neither_the_finding_nor_the_hash(at: PriorIncident) -> None:
    history = History((at,))
    assert attribute(INCIDENT, BREACH, EXPOSURES, history) == attribute(INCIDENT, BREACH, EXPOSURES, History())
    assert hashed(history=history) == hashed()


MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2025, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
PRIORS = st.builds(
    lambda at, family, ends, received: PriorIncident(
        UUID(int=at), frozenset({family}), Interval(earliest=min(ends, default=None), latest=max(ends, default=None)), received
    ),
    st.integers(10, 60),
    st.sampled_from(["new_account", "takeover"]),
    st.lists(MOMENTS, max_size=2),
    MOMENTS,
)


@given(st.lists(PRIORS, max_size=8, unique_by=lambda prior: prior.incident_id))
def test_what_bears_on_a_breach_is_all_of_a_history_that_does(told: list[PriorIncident]) -> None:
    """The incident itself may be in it: it is no prior of its own."""
    history = History(tuple(told))
    less = bearing(history, BREACH)
    assert set(less.incidents) <= set(told)
    assert attribute(INCIDENT, BREACH, EXPOSURES, less) == attribute(INCIDENT, BREACH, EXPOSURES, history)
    assert hashed(history=less) == hashed(history=history)
