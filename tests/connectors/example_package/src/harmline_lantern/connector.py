"""Lantern Watch: pushes each alert, signed, and lists them all when asked. One alert is one alert, whichever way it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from pydantic import Field, SecretStr

from connectors import strict_json
from connectors.asking import NOTHING_ASKED, Asked, Http, Page, PollPlan, Subject, UnexpectedAnswer
from connectors.contract import (
    Alert,
    BrokenEvent,
    Connector,
    ConnectorConfig,
    Interval,
    Malformed,
    Meaning,
    NotAnAlert,
    RawEvent,
    WebhookPlan,
    pick,
    storable,
    when,
)
from connectors.verifiers import HmacSha256
from connectors.vocabulary import AlertKind

LONGEST = 200
WORDS = {
    "account_opened": "An account was opened.",
    "report_pulled": "Somebody asked for a credit report.",
    "address_changed": "An address was changed.",
}


class LanternConfig(ConnectorConfig):
    """How the provider is asked."""

    base_url: str = Field(default="https://api.lantern.example", description="Address of the provider")
    api_key: SecretStr = Field(description="Your API key")


class Lantern(Connector):
    """A delivery is one alert; a list is asked for from the last number seen, a hundred at a time."""

    name = "lantern"
    title = "Lantern Watch"
    config = LanternConfig
    webhook = WebhookPlan(HmacSha256("x-lantern-signature", "x-lantern-time"))
    poll = PollPlan(every=timedelta(hours=6), requests_per_minute=120)
    events: ClassVar[Mapping[str, Meaning]] = {
        "account_opened": AlertKind.NEW_ACCOUNT_UNKNOWN,
        "report_pulled": AlertKind.INQUIRY_HARD,
        "address_changed": AlertKind.FILE_CHANGE_ADDRESS,
        "test": None,
    }

    async def pages(
        self, http: Http, config: LanternConfig, cursor: str | None, subjects: Sequence[Subject]
    ) -> AsyncIterator[Page]:
        """Lists everything after the cursor, which is the number of the last alert listed."""
        after, more = cursor or "0", True
        while more:
            key = {"x-api-key": config.api_key.get_secret_value()}
            answer = await http.get("/alerts", params={"after": after}, headers=key)
            tree = strict_json.parse(answer.body)
            if not isinstance(tree, dict) or not isinstance(tree.get("last"), str):
                raise UnexpectedAnswer("the list does not say where it ends")
            after, more = tree["last"], bool(tree.get("more"))
            yield Page(answer.body if tree.get("alerts") else None, cursor=after)

    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        """The alert of a delivery, or the alerts of a list."""
        tree = strict_json.parse(body)
        if isinstance(tree, dict) and "alerts" in tree:
            if not isinstance(tree["alerts"], list):
                raise Malformed("alerts")
            return [_cut(item, f"alerts[{at}]", above=2) for at, item in enumerate(tree["alerts"])]
        return [_cut(tree, "$", above=0)]

    def normalise(self, event: RawEvent) -> Alert | NotAnAlert:
        """What happened to whom, as far as it is said."""
        if event.event_type not in self.events:
            raise Malformed("event")
        kind = self.events[event.event_type]
        if not isinstance(kind, AlertKind):
            return NotAnAlert("a test")
        seen = when(event.body, "seen")
        return Alert(
            kind=kind,
            member_ref=_word(event.body, "person"),
            identity=(_word(event.body, "number"),),
            summary=WORDS[event.event_type],
            institution=_word(event.body, "company") if event.body.get("company") is not None else None,
            reported=_reported(seen) if seen else None,
        )


def _cut(item: Any, path: str, above: int) -> RawEvent | BrokenEvent:
    if not isinstance(item, dict) or strict_json.flawed(item, above):
        return BrokenEvent(path)
    try:
        return RawEvent(_word(item, "event"), _word(item, "number"), item)
    except Malformed as error:
        return BrokenEvent(f"{path}.{error}", item)


def _word(body: Mapping[str, Any], name: str) -> str:
    value = pick(body, name, str)
    if not value.strip() or len(value) > LONGEST or not storable(value):
        raise Malformed(name)
    return value


def _reported(seen: datetime) -> Interval:
    try:
        return Interval.at(seen)
    except (ValueError, OverflowError):
        raise Malformed("seen") from None
