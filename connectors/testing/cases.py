"""A connector's fixtures: what its provider sends or answers, or a person hands in, beside what that is to become.

`webhook__NAME.json` is a delivery, `fetched__NAME.json` an answer, `handed__NAME.json` what is handed in; with the latter two
stands `….asked.json`, what was asked or told with it. Each has `….expected.json`: one entry an event, in order. NAME is the
event type; behind a `~` stands what tells two of one type apart. What is no JSON ends in what it is: see `ENDINGS`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from connectors.asking import NOTHING_ASKED, Asked
from connectors.contract import Alert, BreachRecord, BrokenEvent, Connector, ForAPerson, GoAndLook, HandOn, NotAnAlert, RawEvent
from connectors.forms import media_type

PUSHED, FETCHED, HANDED = WAYS = ("webhook", "fetched", "handed")
JSON = ".json"
ENDINGS = {
    JSON: "application/json",
    ".eml": "message/rfc822",
    ".mbox": "application/mbox",
    ".form": "application/x-www-form-urlencoded",
    ".multipart": "multipart/form-data",
    ".csv": "text/csv",
    ".ndjson": "application/x-ndjson",
    ".pdf": "application/pdf",
    ".txt": "text/plain",
}
"""How a fixture's name ends -> the media type of its body."""

FIXTURES = "fixtures"
_BESIDE = (".expected.json", ".asked.json")


@dataclass(frozen=True)
class Case:
    """One fixture: what came in, and what it is to become."""

    connector: Connector
    path: Path

    @property
    def way(self) -> str:
        """PUSHED, FETCHED or HANDED."""
        return self.path.name.partition("__")[0]

    @property
    def is_json(self) -> bool:
        """Whether its body is a tree, so that fields of it can be changed; else it is lines and bytes."""
        return self.path.suffix == JSON

    @property
    def media_type(self) -> str:
        """What a sender says that its body is, where the connector takes that; else what the connector takes."""
        takes = self.connector.webhook.media_types if self.connector.webhook else frozenset()
        said = media_type(self.body) if self.path.suffix in {".form", ".multipart"} else ENDINGS[self.path.suffix]
        return said if said.partition(";")[0] in takes else min(takes)

    @property
    def event(self) -> str:
        """The event type that it shows."""
        return self.path.stem.partition("__")[2].partition("~")[0]

    @cached_property
    def body(self) -> bytes:
        """What came in, byte for byte."""
        return self.path.read_bytes()

    @cached_property
    def asked(self) -> Asked:
        """What it was asked with; nothing for a delivery."""
        return NOTHING_ASKED if self.way == PUSHED else _read(self.path.with_suffix(".asked.json"))

    @cached_property
    def expected(self) -> list[dict[str, Any]]:
        """One entry an event, in order, each of one key: see `outcome`."""
        whole: list[dict[str, Any]] = _read(self.path.with_suffix(".expected.json"))
        return whole

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """The alerts alone, as `Alert.model_dump(mode="json", exclude_none=True)`."""
        return [entry["alert"] for entry in self.expected if "alert" in entry]

    @property
    def files(self) -> set[str]:
        """The names of the files that it is made of."""
        return {self.path.name, *(self.path.with_suffix(end).name for end in _BESIDE[: 1 if self.way == PUSHED else 2])}

    def events(self, body: bytes | None = None) -> list[RawEvent | BrokenEvent]:
        """Its events, or those of another body that answers the same question. Raises Malformed."""
        return list(self.connector.split(self.body if body is None else body, self.asked))

    def __str__(self) -> str:
        return f"{self.connector.name}:{self.path.name.removesuffix(JSON)}"


def cases_of(connector: Connector, folder: Path) -> list[Case]:
    """Every fixture of a connector's folder, by name."""
    paths = [path for path in sorted((folder / FIXTURES).glob("*__*")) if path.suffix in ENDINGS]
    return [Case(connector, path) for path in paths if not path.name.endswith(_BESIDE) and path.name.startswith(WAYS)]


def outcome(connector: Connector, event: RawEvent) -> dict[str, Any]:
    """One event normalised, as one entry: its key says what it became. Raises Malformed.

    {"alert"}, {"breach_record"}, {"not_an_alert": reason}, {"go_and_look"}, {"hand_on"} with the hash of what is handed on, or
    {"for_a_person": reason}.
    """
    match connector.normalise(event):
        case Alert() as alert:
            return {"alert": alert.model_dump(mode="json", exclude_none=True)}
        case BreachRecord() as record:
            return {"breach_record": record.model_dump(mode="json", exclude_none=True)}
        case NotAnAlert(reason):
            return {"not_an_alert": reason}
        case GoAndLook(member_ref, identity, asked):
            return {"go_and_look": {"member_ref": member_ref, "identity": list(identity), "asked": dict(asked)}}
        case HandOn(to, body, asked):
            return {"hand_on": {"to": to, "sha256": hashlib.sha256(body).hexdigest(), "asked": dict(asked)}}
        case ForAPerson(reason):
            return {"for_a_person": reason}


def described(connector: Connector, body: bytes, asked: Asked = NOTHING_ASKED) -> list[dict[str, Any]]:
    """Every event of a body that is right throughout, as `Case.expected`. A broken one fails the assertion."""
    return outcomes(connector, connector.split(body, asked))


def outcomes(connector: Connector, events: Iterable[RawEvent | BrokenEvent]) -> list[dict[str, Any]]:
    """What each event becomes. A broken one fails the assertion."""
    found = list(events)
    broken = [event for event in found if not isinstance(event, RawEvent)]
    assert not broken, broken
    return [outcome(connector, event) for event in found if isinstance(event, RawEvent)]


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
