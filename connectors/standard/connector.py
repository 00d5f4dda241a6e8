"""Our own documented schema: for any provider that will write it, and for the organization's own reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, ClassVar

from connectors import strict_json
from connectors.asking import NOTHING_ASKED, Asked
from connectors.contract import (
    Alert,
    BrokenEvent,
    Connector,
    Malformed,
    Meaning,
    NotAnAlert,
    RawEvent,
    WebhookPlan,
    validated,
)
from connectors.standard.schema import LONGEST_ID, StandardAlert, StandardPing
from connectors.verifiers import StandardWebhooks
from connectors.vocabulary import AlertKind

PING = "ping"


class Standard(Connector):
    """One alert object a body, or {"alerts": [...]}; signed by Standard Webhooks."""

    name = "standard"
    title = "Standard alerts"
    webhook = WebhookPlan(StandardWebhooks())
    events: ClassVar[Mapping[str, Meaning]] = {**{kind.value: kind for kind in AlertKind}, PING: None}
    one_shape = True

    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        """One event an alert. What else stands beside "alerts" is handed back as broken, for the alerts to go on."""
        tree = strict_json.parse(body)
        if not isinstance(tree, dict):
            raise Malformed("$")
        if "alerts" not in tree:
            return [_cut(tree, "", above=0)]
        if not isinstance(tree["alerts"], list):
            raise Malformed("alerts")
        events = [_cut(item, f"alerts[{at}]", above=2) for at, item in enumerate(tree["alerts"])]
        return [*events, BrokenEvent("$")] if len(tree) > 1 else events

    def normalise(self, event: RawEvent) -> Alert | NotAnAlert:
        """An alert with every claim as it was made, or the ping that means nothing."""
        if event.event_type == PING:
            validated(StandardPing, event.body)
            return NotAnAlert("ping")
        if event.event_type not in self.events:
            raise Malformed("type")
        told = validated(StandardAlert, event.body)
        return Alert(
            kind=told.type,
            member_ref=told.member,
            identity=(told.id,),
            summary=told.summary,
            bureau=told.bureau,
            institution=told.institution,
            last_four=told.last_four,
            product=told.product,
            amount=None if told.amount is None else Decimal(told.amount),
            currency=told.currency,
            occurred=told.occurred,
            opened=told.opened,
            reported=told.reported,
        )


def _cut(item: Any, path: str, above: int) -> RawEvent | BrokenEvent:
    """One item as an event, or as broken with the path of what is missing. A flawed body is not handed on."""
    if strict_json.flawed(item, above) or not isinstance(item, dict):
        return BrokenEvent(path or "$")
    for name in ("id", "type"):
        if not isinstance(item.get(name), str) or not item[name].strip() or len(item[name]) > LONGEST_ID:
            return BrokenEvent(f"{path}.{name}".lstrip("."), item)
    return RawEvent(item["type"], item["id"], item)
