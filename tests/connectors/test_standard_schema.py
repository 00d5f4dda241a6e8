"""The standard schema: what its JSON Schema allows and what the connector takes are the same."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from connectors.claimed import interval
from connectors.contract import Alert, BrokenEvent, Interval, Malformed, NotAnAlert, RawEvent
from connectors.standard.connector import Standard
from connectors.standard.schema import json_schema
from connectors.vocabulary import AlertKind
from tests.connectors.suite import Case, cases

STANDARD = Standard()
SCHEMA = Draft202012Validator(json_schema())
GOOD: dict[str, Any] = {"id": "a", "type": "inquiry.hard", "member": "m", "summary": "s"}


def takes(body: Any) -> bool:
    """Whether every event of the body is cut out and normalised."""
    try:
        events = list(STANDARD.split(json.dumps(body).encode()))
        for event in events:
            if isinstance(event, BrokenEvent):
                return False
            STANDARD.normalise(event)
    except Malformed:
        return False
    return True


def test_the_schema_is_a_valid_one_and_describes_every_field() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)
    for name, field in schema["$defs"]["StandardAlert"]["properties"].items():
        assert field["description"].endswith("."), name
        assert field["examples"], name
        for example in field["examples"]:
            pair = {"amount": {"currency": "USD"}, "currency": {"amount": "1"}}.get(name, {})
            assert takes({**GOOD, **pair, name: example}), (name, example)
    assert not any(d.get("additionalProperties", False) for d in schema["$defs"].values())
    assert schema["$defs"]["AlertKind"]["enum"] == [kind.value for kind in AlertKind]
    assert json_schema() == schema


@pytest.mark.parametrize("case", cases("standard"), ids=str)
def test_every_fixture_is_valid(case: Case) -> None:
    SCHEMA.validate(json.loads(case.body))


GOOD_BODIES: list[Any] = [
    GOOD,
    {"alerts": []},
    {"alerts": [GOOD, {"id": "p", "type": "ping"}]},
    {"id": "p", "type": "ping"},
    {**GOOD, "bureau": None, "institution": None, "last_four": None, "product": None, "occurred": None},
    {**GOOD, "amount": None, "currency": None},
    {**GOOD, "amount": None},
    {**GOOD, "amount": "0", "currency": "USD"},
    {**GOOD, "amount": "999999999999.99", "currency": "EUR"},
    {**GOOD, "last_four": "12"},
    {**GOOD, "product": "new_account.auto", "bureau": "chexsystems"},
    {**GOOD, "occurred": "2026-03-02"},
    {**GOOD, "occurred": "2026-03-02T10:11:12Z"},
    {**GOOD, "occurred": "2026-03-02T10:11:12.123456789+05:30"},
    {**GOOD, "occurred": {"earliest": "2026-03-02", "latest": "2026-03-02T10:00:00Z"}},
    {**GOOD, "occurred": {"earliest": "2026-03-02", "latest": None}},
    {**GOOD, "occurred": {"latest": "2026-03-02"}},
    {**GOOD, "id": "x" * 255, "member": "é日本", "summary": "x" * 2000},
    {**GOOD, "summary": "<script>alert(1)</script> {{7*7}} '; --\u202e"},
]
BAD_BODIES: list[Any] = [
    {},
    [],
    [GOOD],
    "text",
    7,
    None,
    {"alerts": {}},
    {"alerts": None},
    {"alerts": GOOD},
    {"alerts": [GOOD], "more": 1},
    {"alerts": [GOOD, 7]},
    {"alerts": [GOOD, [GOOD]]},
    {"alerts": [{"alerts": [GOOD]}]},
    *[{key: value for key, value in GOOD.items() if key != gone} for gone in GOOD],
    *[{**GOOD, key: wrong} for key in GOOD for wrong in (None, 7, True, "", " ", [], {}, ["a"])],
    {**GOOD, "id": "x" * 256},
    {**GOOD, "member": "x" * 201},
    {**GOOD, "summary": "x" * 2001},
    {**GOOD, "type": "never.heard.of"},
    {**GOOD, "type": "INQUIRY.HARD"},
    {**GOOD, "type": "INQUIRY_HARD"},
    {**GOOD, "type": "ping"},
    {"id": "p", "type": "ping", "more": 1},
    {**GOOD, "more": 1},
    {**GOOD, "Member": "m"},
    {**GOOD, "bureau": "Equifax"},
    {**GOOD, "bureau": ""},
    {**GOOD, "institution": ""},
    {**GOOD, "last_four": 4417},
    {**GOOD, "last_four": "1"},
    {**GOOD, "last_four": "12345"},
    {**GOOD, "last_four": "12a4"},
    {**GOOD, "last_four": "١٢٣٤"},
    {**GOOD, "product": "car"},
    {**GOOD, "amount": "1"},
    {**GOOD, "currency": "USD"},
    {**GOOD, "amount": None, "currency": "USD"},
    *[
        {**GOOD, "amount": a, "currency": "USD"}
        for a in (1, 1.5, "", "-1", "+1", "1e3", "NaN", "1.234", "1,000", ".5", "1.", " 1")
    ],
    {**GOOD, "amount": "1234567890123", "currency": "USD"},
    *[{**GOOD, "amount": "1", "currency": c} for c in ("usd", "US", "USDD", "", 7)],
    *[
        {**GOOD, "occurred": t}
        for t in (
            "",
            7,
            1772467200,
            True,
            [],
            {},
            "today",
            "2026-03-02T10:11:12",
            "2026-03-02 10:11:12Z",
            "2026-03-02T10:11Z",
            "20260302",
            "20260302T101112Z",
            "2026-3-2",
            "2026-W10-1",
            "+2026-03-02",
            "10000-01-01",
            "2026-03-02T10:11:12+0500",
            "2026-03-02T10:11:12z",
            "٢٠٢٦-٠٣-٠٢",
            {"earliest": None},
            {"earliest": None, "latest": None},
            {"earliest": 7},
            {"earliest": "2026-03-02", "more": 1},
            {"earliest": {"earliest": "2026-03-02"}},
            {"earliest": "2026-03-02T10:11:12"},
        )
    ],
]


@pytest.mark.parametrize("body", GOOD_BODIES, ids=lambda b: json.dumps(b)[-50:])
def test_what_the_schema_allows_is_taken(body: Any) -> None:
    SCHEMA.validate(body)
    assert takes(body)


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda b: json.dumps(b)[-50:])
def test_what_the_schema_forbids_is_not_taken(body: Any) -> None:
    assert not SCHEMA.is_valid(body)
    assert not takes(body)


@pytest.mark.parametrize(
    "claim",
    [
        "2026-02-30",
        "2026-13-01",
        "0000-01-01",
        "0001-01-01",
        "9999-12-31",
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59-05:00",
        "2026-03-02T24:00:00Z",
        "2026-03-02T10:11:60Z",
        "2026-03-02T10:11:12+24:00",
        {"earliest": "2026-03-03T00:00:00Z", "latest": "2026-03-02T00:00:00Z"},
    ],
    ids=str,
)
def test_what_no_calendar_knows_is_not_taken(claim: Any) -> None:
    """Beyond what a JSON Schema can say: shaped like a time, but none."""
    with pytest.raises(Malformed, match=r"^occurred$"):
        STANDARD.normalise(RawEvent("inquiry.hard", "a", {**GOOD, "occurred": claim}))


@given(place=st.sampled_from(GOOD_BODIES[2:]), data=st.data())
def test_schema_and_connector_agree_on_any_change(place: dict[str, Any], data: st.DataObject) -> None:
    body = copy.deepcopy(place)
    values: list[Any] = [None, "", "a", 7, 1.5, True, [], {}, "2026-03-02", "USD", "12.50", "4417", "ping", "equifax"]
    names = [*GOOD, "amount", "currency", "occurred", "opened", "bureau", "last_four", "product", "more"]
    body[data.draw(st.sampled_from(names))] = data.draw(st.sampled_from(values))
    assert takes(body) == SCHEMA.is_valid(body)


def test_paths_name_fields_and_never_values_or_unknown_names() -> None:
    body = {**GOOD, "member": 123456789, "occurred": "078-05-1120", "078-05-1120": "x", "last_four": "078-05-1120"}
    with pytest.raises(Malformed) as error:
        STANDARD.normalise(RawEvent("inquiry.hard", "a", body))
    assert str(error.value) == "*, last_four, member, occurred"
    assert error.value.__cause__ is None
    assert error.value.__context__ is None


def broken_paths(body: bytes) -> list[str]:
    return [event.path for event in STANDARD.split(body) if isinstance(event, BrokenEvent)]


@pytest.mark.parametrize(
    ("item", "path"),
    [
        (b"7", "alerts[1]"),
        (b"null", "alerts[1]"),
        (b"{}", "alerts[1].id"),
        (b'{"id": 5, "type": "ping"}', "alerts[1].id"),
        (b'{"id": " ", "type": "ping"}', "alerts[1].id"),
        (b'{"id": "x"}', "alerts[1].type"),
        (b'{"id": "x", "type": []}', "alerts[1].type"),
        (b'{"id": "' + b"x" * 256 + b'", "type": "ping"}', "alerts[1].id"),
        (b'{"id": "x", "type": "' + b"x" * 256 + b'"}', "alerts[1].type"),
        (b'{"id": "x", "type": "ping", "more": ' + b"[" * 30 + b"]" * 30 + b"}", "alerts[1]"),
        (b'{"id": "x", "id": "x", "type": "ping"}', "alerts[1]"),
        (b'{"id": "x", "type": "ping", "more": NaN}', "alerts[1]"),
        (b'{"id": "\\ud800", "type": "ping"}', "alerts[1]"),
        (b'{"id": "x", "type": "ping", "more": ' + b"9" * 5000 + b"}", "alerts[1]"),
        (b'{"id": "x", "type": "ping", "more": ' + b"[" * 40 + b"]" * 40 + b"}", "alerts[1]"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_broken_item_is_named_and_its_neighbours_go_on(item: bytes, path: str) -> None:
    good = json.dumps(GOOD).encode()
    body = b'{"alerts": [' + good + b", " + item + b", " + good + b"]}"
    events = list(STANDARD.split(body))
    assert [type(event) for event in events] == [RawEvent, BrokenEvent, RawEvent]
    assert broken_paths(body) == [path]


def test_a_broken_item_alone_is_named_too() -> None:
    assert broken_paths(b'{"type": "ping"}') == ["id"]
    assert broken_paths(b'{"id": "x"}') == ["type"]
    for deep, paths in ((31, []), (32, ["$"])):
        assert broken_paths(b'{"id": "x", "type": "ping", "more": ' + b"[" * deep + b"]" * deep + b"}") == paths
    for deep, paths in ((29, []), (30, ["alerts[0]"])):
        item = b'{"id": "x", "type": "ping", "more": ' + b"[" * deep + b"]" * deep + b"}"
        assert broken_paths(b'{"alerts": [' + item + b"]}") == paths
    assert broken_paths(b'{"id": "x", "type": "ping", "more": NaN}') == ["$"]


@pytest.mark.parametrize(
    "body", [b"", b"nothing", b"[]", b"null", b'{"alerts": 1}', b'{"alerts": [], "alerts": []}', b"[" * 100_000]
)
def test_where_nothing_can_be_cut_out_the_whole_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed, match=r"^(\$|alerts)$"):
        STANDARD.split(body)


def test_something_beside_the_alerts_is_set_aside_and_the_alerts_go_on() -> None:
    events = list(STANDARD.split(json.dumps({"alerts": [GOOD], "extra": 1}).encode()))
    assert [type(event) for event in events] == [RawEvent, BrokenEvent]


@given(st.binary(max_size=200))
def test_any_bytes_are_cut_or_malformed(body: bytes) -> None:
    try:
        events = list(STANDARD.split(body))
    except Malformed:
        return
    assert all(isinstance(event, RawEvent | BrokenEvent) for event in events)


def test_an_alert_says_what_was_sent() -> None:
    sent = {**GOOD, "amount": "4200.50", "currency": "USD", "product": "new_account.auto", "bureau": "equifax"}
    told = STANDARD.normalise(RawEvent("inquiry.hard", "a", sent))
    assert isinstance(told, Alert)
    assert (told.kind, told.member_ref, told.identity) == (AlertKind.INQUIRY_HARD, "m", ("a",))
    assert (told.amount, told.currency, told.product) == (Decimal("4200.50"), "USD", AlertKind.NEW_ACCOUNT_AUTO)
    assert told.occurred is None
    assert STANDARD.normalise(RawEvent("ping", "p", {"id": "p", "type": "ping"})) == NotAnAlert("ping")


def test_a_plain_date_is_that_day_anywhere_on_earth() -> None:
    assert interval("2026-03-02") == Interval(
        earliest=datetime(2026, 3, 1, 10, tzinfo=UTC),
        latest=datetime(2026, 3, 3, 12, tzinfo=UTC) - timedelta(microseconds=1),
    )
    moment = datetime(2026, 3, 2, 15, 11, 12, tzinfo=UTC)
    assert interval("2026-03-02T10:11:12-05:00") == Interval.at(moment)
    assert interval({"earliest": "2026-03-02T10:11:12-05:00"}) == Interval(earliest=moment)


@given(st.datetimes(timezones=st.just(UTC)).filter(lambda d: 1 < d.year < 9999), st.integers(-12 * 60, 14 * 60))
def test_a_plain_date_holds_every_moment_of_that_day_in_every_zone(local: datetime, offset: int) -> None:
    moment = local - timedelta(minutes=offset)
    whole = interval(local.date().isoformat())
    assert whole.earliest is not None
    assert whole.latest is not None
    assert whole.earliest <= moment <= whole.latest
