"""The suite itself: one class for each connector. No provider is known here; what is declared is held against the fixtures."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
from pydantic import SecretStr

from connectors.asking import Retention
from connectors.contract import BreachRecord, Connector, Malformed, Meaning, Notice, RawEvent
from connectors.docs import BEGIN, END
from connectors.testing.breaking import JUNK, UNKNOWN, altered, at, batch_place, breakages, is_batch, retyped, with_neighbours
from connectors.testing.cases import FETCHED, HANDED, PUSHED, Case, cases_of, described, outcome, outcomes
from connectors.testing.drifting import changed, drifts, shared, written
from connectors.testing.reading import QUARANTINED, UNSPLITTABLE, accounted, readable
from connectors.testing.round_trip import require_round_trip
from connectors.testing.signing import proven, secrets_for
from connectors.verifiers import TOLERANCE, Grade, NotSigned, Outcome, Secret, Verifier
from connectors.vocabulary import AlertKind

NOW = datetime(2026, 3, 2, 16, tzinfo=UTC)
DRIFTED = 10_000
"""Mutated payloads for each connector, over all its fixtures."""

DRIFTED_ITEMS = 200
"""Batches for each fixture that has one, with one drifted item each."""

SECRET_WORDS = ("secret", "token", "password", "key")
_Test = TypeVar("_Test", bound=Callable[..., None])


def _only_where(applies: Callable[[Connector], bool]) -> Callable[[_Test], _Test]:
    """A test that is not there at all for a connector to which it does not apply: nothing is skipped."""

    def mark(test: _Test) -> _Test:
        test.applies = applies  # type: ignore[attr-defined]
        return test

    return mark


def _is_signed(connector: Connector) -> bool:
    return connector.webhook is not None and not isinstance(connector.webhook.verifier, NotSigned)


class ConnectorSuite:
    """All tests of one connector: derive a class named Test…, and say which connector it is and where its folder lies."""

    connector: ClassVar[Connector]
    folder: ClassVar[Path]

    def __init_subclass__(cls, **named: Any) -> None:
        """Leave out the tests that do not apply."""
        super().__init_subclass__(**named)
        for name, test in inspect.getmembers(cls, inspect.isfunction):
            applies = getattr(test, "applies", None)
            if applies is not None and hasattr(cls, "connector") and not applies(cls.connector):
                setattr(cls, name, None)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test for each fixture, and for each sort of junk."""
        if "case" in metafunc.fixturenames:
            found = self.cases()
            if not found:
                raise pytest.Collector.CollectError(f"{self.connector.name} has no fixtures in {self.folder / 'fixtures'}")
            metafunc.parametrize("case", found, ids=str)
        if "junk" in metafunc.fixturenames:
            metafunc.parametrize("junk", JUNK, ids=json.dumps)

    def cases(self) -> list[Case]:
        """The connector's fixtures."""
        return cases_of(self.connector, self.folder)

    @property
    def verifier(self) -> Verifier:
        """What proves its deliveries; asked for only where something does."""
        assert self.connector.webhook is not None
        assert not isinstance(self.connector.webhook.verifier, NotSigned)
        return self.connector.webhook.verifier

    def proven(self, case: Case, secret: Secret) -> tuple[bytes, dict[str, str]]:
        """A fixture as its honest sender would send it now: the body, and the headers."""
        sent = proven(self.verifier, secret, case.body, NOW)
        assert sent is not None, "a fixture is what an honest sender sends"
        return sent

    def test_a_fixture_becomes_what_it_should(self, case: Case) -> None:
        """Every event of it, in order."""
        assert described(case.connector, case.body, case.asked) == case.expected
        assert case.expected, "a fixture that becomes nothing at all tests nothing"
        assert case.event in {event.event_type for event in case.events() if isinstance(event, RawEvent)}

    def test_the_same_in_gives_the_same_out_and_leaves_the_event_alone(self, case: Case) -> None:
        """Blanks around JSON change nothing, nor does a second reading by another instance."""
        once, twice = case.events(), case.events()
        assert once == twice
        before = json.dumps([event.body for event in once])
        if case.is_json:
            assert outcomes(case.connector, once) == outcomes(case.connector, case.events(b" " + case.body + b"\n"))
        assert outcomes(case.connector, once) == outcomes(type(case.connector)(), twice)
        assert json.dumps([event.body for event in once]) == before

    def test_a_broken_field_is_malformed_and_nothing_else(self, case: Case) -> None:
        """Every field, six ways; of what is no JSON every line, and bytes."""
        refused = 0
        for _, _, body in breakages(case):
            refused += readable(case, body) != case.expected
        assert refused, "no breakage changed anything: the fixture's fields are not read"

    def test_an_event_handed_over_broken_is_malformed_and_nothing_else(self, case: Case) -> None:
        """A stored event may be replayed by newer code, which never saw it split."""
        for event in case.events():
            assert isinstance(event, RawEvent)
            bodies: tuple[dict[str, Any], ...] = (
                {},
                {"id": {"deep": []}},
                {**event.body, "never heard of": 1},
                dict.fromkeys(event.body),
            )
            for body in bodies:
                for asked in (event.asked, {}):
                    with contextlib.suppress(Malformed):
                        case.connector.normalise(RawEvent(event.event_type, event.external_id, body, asked))

    def test_a_bad_neighbour_costs_nothing(self, junk: Any) -> None:
        """In a batch, before, between and behind the good ones. Where several come in one body, a fixture must show it.

        What is handed on is no list: one message for several people, or a file of messages.
        """
        batches = [case for case in self.cases() if is_batch(case)]
        assert batches or self.connector.hands_on_to or max(len(case.events()) for case in self.cases()) == 1
        for case in batches:
            for body in with_neighbours(case, junk):
                assert readable(case, body) == case.expected

    def test_an_unknown_type_is_handed_back_as_it_is(self) -> None:
        """It is an event for the core to set aside, not one to drop, nor one to be guessed at."""
        for case in self.cases():
            new = retyped(case, UNKNOWN)
            if new is None:
                continue
            events = list(self.connector.split(new.body, new.asked))
            unknown = [e for e in events if isinstance(e, RawEvent) and e.event_type == new.event_type]
            assert unknown, f"{case}: an unknown type was not handed back as {new.event_type!r}"
            assert len(events) == len(case.events())
            for event in unknown:
                with pytest.raises(Malformed):
                    self.connector.normalise(event)

    def test_every_declared_type_becomes_its_kind(self) -> None:
        """By a fixture of its own, or where all look alike (`one_shape`) by one of the same dialect and family."""
        own = {case.event: case for case in self.cases()}
        assert set(own) <= set(self.connector.events), "a fixture shows a type that is not declared"
        standing_in = {_sort(name, self.connector.events[name]): case for name, case in reversed(own.items())}
        for event_type, meaning in self.connector.events.items():
            case = own.get(event_type)
            if case is None and self.connector.one_shape:
                case = standing_in.get(_sort(event_type, meaning))
            assert case, f"no fixture for {event_type}"
            new = retyped(case, event_type)
            body, asked = (new.body, new.asked) if new else (case.body, case.asked)
            events = [e for e in self.connector.split(body, asked) if isinstance(e, RawEvent) and e.event_type == event_type]
            assert events, f"{case} does not come out as {event_type}"
            for event in events:
                require_meaning(outcome(self.connector, event), meaning)

    def test_the_declaration_is_whole(self) -> None:
        """Titles, media types, limits, secrets that are secrets; and a page that says how to set it up."""
        connector = self.connector
        assert connector.title.strip()
        assert all(isinstance(meaning, AlertKind | Notice | None) for meaning in connector.events.values())
        readme = (self.folder / "README.md").read_text(encoding="utf-8")
        assert readme.startswith("# ")
        assert readme.count(BEGIN) == readme.count(END) == 1
        if connector.webhook is not None:
            assert isinstance(connector.webhook.verifier.grade, Grade)
            assert all(kind == kind.lower() and "/" in kind for kind in connector.webhook.media_types)
            assert 1024 <= connector.webhook.largest_body <= 64 * 1024 * 1024
            assert all(header == header.lower() for header in connector.webhook.verifier.headers)
        if connector.poll is not None:
            assert timedelta(minutes=1) <= connector.poll.every <= connector.poll.sweep_every
            assert connector.poll.requests_per_minute > 0
        for name, field in connector.config.model_fields.items():
            secret = any(word in name for word in SECRET_WORDS)
            assert not secret or field.annotation is SecretStr, f"{name} must be a SecretStr"
        assert connector.retention is None or (isinstance(connector.retention, Retention) and connector.retention.source.strip())
        assert connector.poll is not None or not connector.names_strangers, "who is enrolled later is asked about"

    def test_the_folder_holds_what_it_should(self) -> None:
        """The parts of a connector, and of each fixture: body, what was asked, what it becomes; no file that nothing reads."""
        present = {path.name for path in self.folder.iterdir()}
        assert {"__init__.py", "connector.py", "README.md", "fixtures", "sandbox.py"} <= present
        fixtures = [path.name for path in (self.folder / "fixtures").iterdir()]
        assert len(fixtures) == sum(len(case.files) for case in self.cases()), "two fixtures of one name share what they become"
        assert set(fixtures) == {name for case in self.cases() for name in case.files}
        ways = {case.way for case in self.cases()}
        assert (PUSHED in ways) == (self.connector.webhook is not None), "a delivery is shown where deliveries come"
        assert (FETCHED in ways) == (self.connector.poll is not None or self.connector.looks_up), "an answer, where it asks"
        assert (HANDED in ways) == self.connector.by_hand, "what is handed in, where people hand in"

    def test_drifted_payloads_are_accounted_for(self) -> None:
        """10,000 of them: whatever a provider changes, nothing is raised but Malformed, and every event comes out somewhere."""
        known = self.cases()
        words: set[str] = set()
        for case in known:
            for body in drifts(case, shared(DRIFTED, len(known)), "suite"):
                words |= {word for entry in accounted(case, body) for word in entry}
        aside = {UNSPLITTABLE, QUARANTINED}
        trees = any(case.is_json and case.way != HANDED for case in known)
        read = aside <= words if trees else words & {*aside, "for_a_person"}
        assert read, "the drift broke nothing: the fields are not read"

    def test_a_drifted_item_takes_no_neighbour_along(self) -> None:
        """Whatever becomes of one item of a batch, it is one event still at least, and the others are as before."""
        dice = random.Random(self.connector.name)
        for case in self.cases():
            place = batch_place(case)
            if place is None:
                continue
            tree, honest = json.loads(case.body), accounted(case, case.body)
            for _ in range(DRIFTED_ITEMS):
                which = dice.randrange(len(honest))
                item = changed(at(tree, (*place, which)), dice)
                found = accounted(case, written(altered(tree, (*place, which), item)))
                assert len(found) >= len(honest), item
                assert found[:which] + found[len(found) - len(honest) + which + 1 :] == honest[:which] + honest[which + 1 :]

    def test_what_its_fake_provider_tells_comes_in(self) -> None:
        """Over real HTTP, pushed, looked up and polled: one alert for each thing told, none twice, and about the right person."""
        asyncio.run(require_round_trip(self.connector, NOW))

    @_only_where(_is_signed)
    def test_an_honest_delivery_is_authentic_under_the_new_and_the_old_secret(self, case: Case) -> None:
        """While both are valid."""
        new, old, foreign = secrets_for(self.verifier)
        for secret in (new, old):
            found = self.verifier.check(*self.proven(case, secret), [foreign, new, old], NOW)
            assert (found.outcome, found.key_id) == (Outcome.AUTHENTIC, secret.key_id)
            assert found.grade is not Grade.UNVERIFIABLE

    @_only_where(_is_signed)
    def test_a_forged_delivery_is_refused(self, case: Case) -> None:
        """With a foreign secret, without any, or with something like one."""
        new, old, foreign = secrets_for(self.verifier)
        body, good = self.proven(case, new)
        forgeries: list[tuple[bytes, dict[str, str], list[Any]]] = [
            (*self.proven(case, foreign), [new, old]),
            (case.body, {}, [new, old]),
            (body, good, []),
            (case.body, dict.fromkeys(good, ""), [new, old]),
            (body if good else body.swapcase(), {name: value.swapcase() for name, value in good.items()}, [new, old]),
        ]
        for sent, headers, secrets in forgeries:
            assert self.verifier.check(sent, headers, secrets, NOW).outcome is Outcome.REFUSED

    @_only_where(_is_signed)
    def test_a_replayed_delivery_is_stale_never_refused(self, case: Case) -> None:
        """A provider may be late; what it signed is set aside for a person, not thrown away."""
        new, *_ = secrets_for(self.verifier)
        body, headers = self.proven(case, new)
        beyond = getattr(self.verifier, "tolerance", TOLERANCE) + timedelta(seconds=1)
        for later in (beyond, timedelta(days=400), -beyond):
            found = self.verifier.check(body, headers, [new], NOW + later)
            dated = found.signed_at is not None
            assert found.outcome is (Outcome.STALE if dated else Outcome.AUTHENTIC)
            assert found.key_id == "new"


def require_meaning(entry: dict[str, Any], meaning: Meaning) -> None:
    """A declared kind comes out as an alert of that kind, or, where only its family is declared, of one of the family.

    A breach record is an exposure; what is declared as no alert is none; a notice is to be looked up.
    """
    (word,) = entry
    if meaning is Notice.AS_IT_SAYS:
        assert word in {"alert", "breach_record", "not_an_alert", "hand_on", "for_a_person"}
    elif not isinstance(meaning, AlertKind):
        assert word == ("not_an_alert" if meaning is None else meaning.value)
    elif word == "breach_record":
        BreachRecord.model_validate(entry[word])
        assert meaning.family == "exposure"
    else:
        kind = AlertKind(entry["alert"]["kind"])
        assert kind is meaning or (meaning is AlertKind.NEW_ACCOUNT_UNKNOWN and kind.family == meaning.family)


def _sort(event_type: str, meaning: Meaning) -> tuple[str, str]:
    dialect, dot, _ = event_type.partition(".")
    return (dialect if dot else ""), (meaning.family if isinstance(meaning, AlertKind) else str(meaning))
