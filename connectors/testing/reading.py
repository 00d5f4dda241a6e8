"""Read a body as the core does, and hold the connector to what the core relies on."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from connectors.asking import Asked
from connectors.contract import (
    Alert,
    BreachRecord,
    BrokenEvent,
    Connector,
    ForAPerson,
    GoAndLook,
    HandOn,
    Malformed,
    NotAnAlert,
    RawEvent,
    storable,
)
from connectors.testing.cases import Case, outcome
from connectors.testing.raw import MARK

LONGEST_PATH = 300
UNSPLITTABLE = "unsplittable"
QUARANTINED = "quarantined"


def readable(case: Case, body: bytes) -> list[dict[str, Any]]:
    """What a body that may be wrong becomes, its broken and unknown events left out. Only Malformed may be raised on the way."""
    return [entry for entry in accounted(case, body) if UNSPLITTABLE not in entry and QUARANTINED not in entry]


def accounted(case: Case, body: bytes) -> list[dict[str, Any]]:
    """One entry for each event of a body: as `outcome` says, or {"quarantined": path}; one {"unsplittable": path} for none.

    Fails when the core could not keep what the connector says, or when a message quotes what came in.
    """
    return read_by(case.connector, body, case.asked)


def read_by(connector: Connector, body: bytes, asked: Asked) -> list[dict[str, Any]]:
    """The same, of any body that a connector reads."""
    try:
        events = list(connector.split(body, asked))
    except Malformed as error:
        return [{UNSPLITTABLE: _quoting_nothing(str(error))}]
    return [_accounted(connector, event) for event in events]


def _accounted(connector: Connector, event: RawEvent | BrokenEvent) -> dict[str, Any]:
    assert isinstance(event, RawEvent | BrokenEvent), f"split gave a {type(event).__name__}"
    if isinstance(event, BrokenEvent):
        json.dumps(event.body)
        return {QUARANTINED: _quoting_nothing(event.path)}
    assert isinstance(event.event_type, str)
    assert isinstance(event.external_id, str)
    json.dumps([dict(event.body), dict(event.asked)])
    if event.event_type not in connector.events:
        return {QUARANTINED: "type"}
    try:
        return _sound(connector, event)
    except Malformed as error:
        return {QUARANTINED: _quoting_nothing(str(error))}


def _sound(connector: Connector, event: RawEvent) -> dict[str, Any]:
    said = connector.normalise(event)
    assert isinstance(said, Alert | BreachRecord | NotAnAlert | GoAndLook | HandOn | ForAPerson), (
        f"normalise gave a {type(said).__name__}"
    )
    if isinstance(said, NotAnAlert | ForAPerson):
        _quoting_nothing(said.reason)
    if isinstance(said, HandOn):
        assert said.to == connector.hands_on_to, "it is handed on to whom the declaration names"
        told = (*said.asked, *said.asked.values())
        assert all(isinstance(word, str) and storable(word) for word in told), "what goes with a message cannot be kept"
        assert isinstance(said.body, bytes)
        assert said.body
    if isinstance(said, GoAndLook):
        parts: Iterable[str] = (said.member_ref, *said.identity, *said.asked, *said.asked.values())
        assert said.identity
        assert all(isinstance(part, str) and storable(part) for part in parts), "a notice holds what cannot be kept"
        assert said.member_ref
        assert all(said.identity)
    return outcome(connector, event)


def _quoting_nothing(path: str) -> str:
    assert path, "a refusal names a field"
    assert len(path) < LONGEST_PATH, "a path names fields, so it is short"
    assert MARK not in path, "a message quotes what came in"
    return path
