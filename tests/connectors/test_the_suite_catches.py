"""The suite is shown to fail: connectors with one mistake each, and the test that notices it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from connectors import strict_json
from connectors.asking import NOTHING_ASKED, Asked
from connectors.contract import (
    Alert,
    BrokenEvent,
    Connector,
    HandOn,
    Malformed,
    Normalised,
    NotAnAlert,
    RawEvent,
    WebhookPlan,
)
from connectors.mailgun.connector import Mailgun
from connectors.registry import folders, registry
from connectors.standard.connector import Standard
from connectors.testing import ConnectorSuite, drifting, suite
from connectors.testing.breaking import JUNK
from connectors.testing.cases import Case
from connectors.verifiers import NotSigned
from tests.connectors.suite import ROOT, cases


class DropsTheBroken(Standard):
    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        return [event for event in super().split(body, asked) if isinstance(event, RawEvent)]


class StopsAtTheBroken(Standard):
    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        events = list(super().split(body, asked))
        if any(isinstance(event, BrokenEvent) for event in events):
            raise Malformed("alerts")
        return events


class DropsTheUnknown(Standard):
    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        return [e for e in super().split(body, asked) if not isinstance(e, RawEvent) or e.event_type in self.events]


class TrustsTheFields(Standard):
    def normalise(self, event: RawEvent) -> Alert | NotAnAlert:
        said = super().normalise(event)
        return said if event.event_type == "ping" else said.model_copy(update={"summary": event.body["institution"].title()})


class QuotesWhatCame(Standard):
    def normalise(self, event: RawEvent) -> Alert | NotAnAlert:
        try:
            return super().normalise(event)
        except Malformed:
            raise Malformed(f"wrong: {str(event.body)[:200]}") from None


class LosesThePrecision(Standard):
    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        tree = strict_json.parse(body)
        items = tree.get("alerts", [tree]) if isinstance(tree, dict) else []
        return [RawEvent(str(item["type"]), str(item["id"]), item) for item in items]


class Counts(Standard):
    seen = 0

    def normalise(self, event: RawEvent) -> Alert | NotAnAlert:
        Counts.seen += 1
        said = super().normalise(event)
        return said if isinstance(said, NotAnAlert) else said.model_copy(update={"identity": (str(Counts.seen),)})


class TrustsTheBytes(Mailgun):
    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        body.decode("ascii")
        return super().split(body, asked)


class QuotesTheForm(Mailgun):
    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        try:
            return super().split(body, asked)
        except Malformed:
            raise Malformed(f"wrong: {body[:200]!r}") from None


class HandsOnToAnother(Mailgun):
    def normalise(self, event: RawEvent) -> Normalised:
        said = super().normalise(event)
        return replace(said, to="own") if isinstance(said, HandOn) else said


class SendsToTheFirstAlone(Mailgun):
    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        return list(super().split(body, asked))[:1]


class TouchesTheMail(Mailgun):
    def normalise(self, event: RawEvent) -> Normalised:
        said = super().normalise(event)
        return replace(said, body=said.body.replace(b"Message-ID", b"X-Was-Id")) if isinstance(said, HandOn) else said


class ReadsTheVisibleTo(Mailgun):
    def normalise(self, event: RawEvent) -> Normalised:
        said = super().normalise(event)
        return replace(said, asked={**said.asked, "to": "alerts@example.org"}) if isinstance(said, HandOn) else said


def suite_of(connector: Any) -> ConnectorSuite:
    return type("Suite", (ConnectorSuite,), {"connector": connector, "folder": ROOT / connector.name})()


def each_fixture(suite: ConnectorSuite) -> None:
    for case in suite.cases():
        suite.test_a_fixture_becomes_what_it_should(case)


def batch(connector: Any) -> Case:
    """A fixture with several events, as this connector reads it."""
    (found,) = [case for case in cases("standard") if len(case.expected) > 1][:1]
    return Case(connector, found.path)


@pytest.mark.share
@pytest.mark.parametrize(
    ("mistaken", "caught"),
    [
        (DropsTheBroken, lambda suite: suite.test_a_drifted_item_takes_no_neighbour_along()),
        (StopsAtTheBroken, lambda suite: suite.test_a_drifted_item_takes_no_neighbour_along()),
        (StopsAtTheBroken, lambda suite: [suite.test_a_bad_neighbour_costs_nothing(junk) for junk in JUNK]),
        (DropsTheUnknown, lambda suite: suite.test_an_unknown_type_is_handed_back_as_it_is()),
        (TrustsTheFields, lambda suite: suite.test_drifted_payloads_are_accounted_for()),
        (QuotesWhatCame, lambda suite: suite.test_drifted_payloads_are_accounted_for()),
        (LosesThePrecision, lambda suite: suite.test_drifted_payloads_are_accounted_for()),
        (Counts, lambda suite: suite.test_the_same_in_gives_the_same_out_and_leaves_the_event_alone(batch(suite.connector))),
        (Counts, lambda suite: suite.test_what_its_fake_provider_tells_comes_in()),
        (TrustsTheBytes, lambda suite: suite.test_drifted_payloads_are_accounted_for()),
        (QuotesTheForm, lambda suite: suite.test_drifted_payloads_are_accounted_for()),
        (HandsOnToAnother, lambda suite: suite.test_drifted_payloads_are_accounted_for()),
        (SendsToTheFirstAlone, each_fixture),
        (TouchesTheMail, each_fixture),
        (ReadsTheVisibleTo, lambda suite: suite.test_what_its_fake_provider_tells_comes_in()),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_mistake_is_caught(mistaken: type[Connector], caught: Callable[[ConnectorSuite], object]) -> None:
    own = mistaken.__bases__[0]
    honest, wrong = suite_of(own()), suite_of(mistaken())
    caught(honest)
    mistaken.__module__ = own.__module__  # its fake provider is the honest one's
    with pytest.raises((AssertionError, LookupError, AttributeError, TypeError, ValueError)):
        caught(wrong)


def test_what_does_not_apply_is_not_there() -> None:
    """Tests of signatures are no tests of a connector that signs nothing; nothing is skipped."""
    assert callable(suite_of(Standard()).test_a_forged_delivery_is_refused)
    unsigned = type("Unsigned", (Standard,), {"webhook": WebhookPlan(NotSigned("nothing"))})()
    assert suite_of(unsigned).test_a_forged_delivery_is_refused is None


@pytest.mark.share
@pytest.mark.parametrize("name", folders())
def test_no_connector_meets_fewer_drifted_payloads_than_is_said(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []

    def counted(case: Case, count: int, seed: str) -> Iterator[bytes]:
        counts.append(count)
        return islice(drifting.drifts(case, count, seed), 60)

    monkeypatch.setattr(suite, "drifts", counted)
    made = type("Suite", (ConnectorSuite,), {"connector": registry()[name], "folder": ROOT / name})()
    made.test_drifted_payloads_are_accounted_for()
    assert suite.DRIFTED <= sum(counts) < suite.DRIFTED + len(counts)
