"""One file tests every connector, the pure half: no connector brings test code of its own."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.contract import BrokenEvent, Connector, Malformed, RawEvent
from connectors.docs import BEGIN, END
from connectors.registry import folders, registry
from connectors.verifiers import Grade, NotSigned, Outcome, Verifier
from connectors.vocabulary import AlertKind
from tests.connectors.suite import (
    JUNK,
    ROOT,
    Case,
    batch_place,
    breakages,
    cases,
    described,
    outcome,
    retyped,
    secrets_for,
    signed,
    with_neighbours,
)

NOW = datetime(2026, 3, 2, 16, tzinfo=UTC)
CONNECTORS = [registry()[name] for name in folders()]
CASES = cases()
each_connector = pytest.mark.parametrize("connector", CONNECTORS, ids=lambda c: c.name)
each_case = pytest.mark.parametrize("case", CASES, ids=str)


def readable(connector: Connector, body: bytes) -> list[dict[str, Any]]:
    """What comes out of a body that may be wrong; only Malformed may be raised on the way."""
    try:
        events = list(connector.split(body))
    except Malformed:
        return []
    said = []
    for event in events:
        if isinstance(event, BrokenEvent) or event.event_type not in connector.events:
            continue
        try:
            said.append(outcome(connector, event))
        except Malformed as error:
            assert_no_value(str(error))
    return said


def assert_no_value(path: str) -> None:
    assert path
    assert len(path) < 300, "a path names fields, so it is short"


@each_case
def test_a_fixture_becomes_what_it_should(case: Case) -> None:
    assert described(case.connector, case.body) == case.expected
    assert case.expected, "a fixture that becomes nothing at all tests nothing"


@each_case
def test_the_same_in_gives_the_same_out_and_leaves_the_event_alone(case: Case) -> None:
    once, twice = list(case.connector.split(case.body)), list(case.connector.split(case.body))
    assert once == twice
    before = json.dumps([event.body for event in once])
    assert described(case.connector, case.body) == described(case.connector, case.body + b"\n")
    assert [outcome(case.connector, e) for e in once] == [outcome(type(case.connector)(), e) for e in twice]
    assert json.dumps([event.body for event in once]) == before


@each_case
def test_a_broken_field_is_malformed_and_nothing_else(case: Case) -> None:
    refused = 0
    for _, _, body in breakages(case):
        refused += readable(case.connector, body) != case.expected
    assert refused, "no breakage changed anything: the fixture's fields are not read"


@each_case
def test_an_event_handed_over_broken_is_malformed_and_nothing_else(case: Case) -> None:
    """A stored event may be replayed by newer code, which never saw it split."""
    for event in case.connector.split(case.body):
        assert isinstance(event, RawEvent)
        for body in ({}, {"id": {"deep": []}}, {**event.body, "never heard of": 1}, dict.fromkeys(event.body)):
            with contextlib.suppress(Malformed):
                case.connector.normalise(RawEvent(event.event_type, event.external_id, body))


@pytest.mark.parametrize("junk", JUNK, ids=json.dumps)
@pytest.mark.parametrize("case", [case for case in CASES if batch_place(case)], ids=str)
def test_a_bad_neighbour_costs_nothing(case: Case, junk: Any) -> None:
    for body in with_neighbours(case, junk):
        assert readable(case.connector, body) == case.expected


@each_connector
def test_a_connector_of_batches_shows_a_batch(connector: Connector) -> None:
    """Where several events come in one body, a fixture must show it, or no neighbour is ever tested."""
    sizes = [len(list(connector.split(case.body))) for case in cases(connector.name)]
    assert max(sizes) == 1 or any(batch_place(case) for case in cases(connector.name))


@each_connector
def test_an_unknown_type_is_handed_back_as_it_is(connector: Connector) -> None:
    for case in cases(connector.name):
        events = list(connector.split(retyped(case, "never.heard.of")))
        unknown = [e for e in events if isinstance(e, RawEvent) and e.event_type == "never.heard.of"]
        assert unknown, "an unknown type is an event for the core to set aside, not one to drop"
        for event in unknown:
            with pytest.raises(Malformed):
                connector.normalise(event)


@each_connector
def test_every_declared_type_becomes_its_kind(connector: Connector) -> None:
    shown = {case.event: case for case in cases(connector.name)}
    needed = connector.events
    if connector.one_shape:
        families = {event.partition(".")[0] for event in shown}
        untold = [event for event in needed if event not in shown and event.partition(".")[0] not in families]
        assert not untold, f"no fixture of the family of {untold}"
    else:
        assert set(shown) == set(needed), "every declared event type needs a fixture, and only those"
    for event_type, kind in needed.items():
        case = shown.get(event_type) or next(c for c in shown.values() if c.connector.events[c.event])
        events = [e for e in connector.split(retyped(case, event_type)) if isinstance(e, RawEvent)]
        said = [outcome(connector, event) for event in events if event.event_type == event_type]
        assert said, f"{case} holds no {event_type}"
        assert all(word == expected_word(entry, kind) for entry in said for word in entry)


def expected_word(entry: dict[str, Any], kind: AlertKind | None) -> str:
    """A declared kind comes out as an alert of just that kind (or a breach record), None as no alert."""
    if kind is None:
        return "not_an_alert"
    if "alert" in entry:
        assert entry["alert"]["kind"] == kind.value
        return "alert"
    return "breach_record"


@each_connector
def test_the_declaration_is_whole(connector: Connector) -> None:
    assert connector.name in folders()
    assert connector.title.strip()
    assert all(isinstance(kind, AlertKind | None) for kind in connector.events.values())
    readme = (ROOT / connector.name / "README.md").read_text(encoding="utf-8")
    assert readme.startswith("# ")
    assert readme.count(BEGIN) == readme.count(END) == 1
    assert connector.webhook is not None
    assert isinstance(connector.webhook.verifier.grade, Grade)
    assert all(kind == kind.lower() and "/" in kind for kind in connector.webhook.media_types)
    assert 1024 <= connector.webhook.largest_body <= 64 * 1024 * 1024
    assert all(header == header.lower() for header in connector.webhook.verifier.headers)
    for name, field in connector.config.model_fields.items():
        secret = any(word in name for word in ("secret", "token", "password", "key"))
        assert not secret or field.annotation is SecretStr, f"{name} must be a SecretStr"


@each_connector
def test_the_folder_holds_what_it_should_and_no_more(connector: Connector) -> None:
    present = {path.name for path in (ROOT / connector.name).iterdir() if path.name != "__pycache__"}
    assert {"__init__.py", "connector.py", "README.md", "fixtures", "sandbox.py"} <= present
    fixtures = {path.name for path in (ROOT / connector.name / "fixtures").iterdir()}
    pairs = {f"webhook__{c.event}{end}" for c in cases(connector.name) for end in (".json", ".expected.json")}
    assert fixtures == pairs
    assert {case.event for case in cases(connector.name)} <= set(connector.events)


def signing() -> list[tuple[Case, Verifier]]:
    plans = [(case, case.connector.webhook) for case in CASES]
    return [(c, plan.verifier) for c, plan in plans if plan is not None and not isinstance(plan.verifier, NotSigned)]


each_signed = pytest.mark.parametrize(("case", "verifier"), signing(), ids=lambda x: str(x) if isinstance(x, Case) else "")


@each_signed
def test_an_honest_delivery_is_authentic_under_the_new_and_the_old_secret(case: Case, verifier: Verifier) -> None:
    new, old, foreign = secrets_for(verifier)
    for secret in (new, old):
        found = verifier.check(case.body, signed(verifier, secret, case.body, NOW), [foreign, new, old], NOW)
        assert (found.outcome, found.key_id) == (Outcome.AUTHENTIC, secret.key_id)
        assert found.grade is not Grade.UNVERIFIABLE


@each_signed
def test_a_forged_delivery_is_refused(case: Case, verifier: Verifier) -> None:
    new, old, foreign = secrets_for(verifier)
    good = signed(verifier, new, case.body, NOW)
    forgeries: list[tuple[bytes, dict[str, str], list[Any]]] = [
        (case.body, signed(verifier, foreign, case.body, NOW), [new, old]),
        (case.body, {}, [new, old]),
        (case.body, good, []),
        (case.body, dict.fromkeys(good, ""), [new, old]),
        (case.body, {name: value.swapcase() for name, value in good.items()}, [new, old]),
    ]
    for body, headers, secrets in forgeries:
        assert verifier.check(body, headers, secrets, NOW).outcome is Outcome.REFUSED


@each_signed
def test_a_replayed_delivery_is_stale_never_refused(case: Case, verifier: Verifier) -> None:
    new, *_ = secrets_for(verifier)
    headers = signed(verifier, new, case.body, NOW)
    for later in (timedelta(seconds=301), timedelta(days=400), timedelta(seconds=-301)):
        found = verifier.check(case.body, headers, [new], NOW + later)
        dated = found.signed_at is not None
        assert found.outcome is (Outcome.STALE if dated else Outcome.AUTHENTIC)
        assert found.key_id == "new"
