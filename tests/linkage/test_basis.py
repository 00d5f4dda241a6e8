"""What a link is based on: the hash differs wherever the finding may differ, and nothing is found again where it does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from app.breaches.catalogue import load_breaches
from app.breaches.exposure import EmploymentInterval, derive_exposures
from app.linkage.attribution import (
    AlertView,
    BreachView,
    CompetingBreach,
    IncidentView,
)
from app.linkage.basis import basis, setting
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


def hashed(incident: IncidentView = INCIDENT, breach: BreachView = BREACH, **changed: object) -> bytes:
    given = {"rules": "r", "exposures": EXPOSURES, "competing": (CompetingBreach(OTHER, ()),)} | changed
    return basis(incident, setting(given.pop("rules"), breach, **given))  # type: ignore[arg-type]


OTHERS = {
    "rules": hashed(rules="r2"),
    "exposures": hashed(exposures=EXPOSURES[1:]),
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
