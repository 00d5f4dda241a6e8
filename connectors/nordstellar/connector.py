"""NordStellar: a hash that is monitored was found, as one delivery a hit. Nobody's number leaves us: hashes are monitored.

What stands in a leak is a breach record; what malware took from somebody's own device is an alert.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from connectors import strict_json
from connectors.asking import NOTHING_ASKED, Asked
from connectors.contract import (
    Alert,
    BreachRecord,
    BrokenEvent,
    Connector,
    Interval,
    Malformed,
    Meaning,
    RawEvent,
    WebhookPlan,
    pick,
)
from connectors.fields import LONGEST_ID, identifier, moment
from connectors.verifiers import Basic
from connectors.vocabulary import AlertKind, DataElement

DATABASE, LIST, LOG = "databases", "credential_lists", "malware_logs"
FOUND: Mapping[str, DataElement] = {
    "email-sha256": DataElement.EMAIL,
    "phone-sha256": DataElement.PHONE,
    "cc-argon2id": DataElement.CARD,
    "cc-sha1": DataElement.CARD,
    "nin-argon2id": DataElement.SSN,
    "nin-sha1": DataElement.SSN,
}
"""What was found, by the sort of hash that was monitored."""

KEYS: Mapping[str, DataElement] = {
    **dict.fromkeys(("name", "first_name", "last_name", "surname", "full_name"), DataElement.NAME),
    "address": DataElement.ADDR,
    **dict.fromkeys(("dob", "date_of_birth", "birth_date"), DataElement.DOB),
    **dict.fromkeys(("phone", "phone_number"), DataElement.PHONE),
    "email": DataElement.EMAIL,
    "password": DataElement.PASSWORD,
    "nin": DataElement.SSN,
    "ssn": DataElement.SSN,
    "credit_card": DataElement.CARD,
}
"""What stands beside it. Documented are `password`, `nin`, `surname`, `email` and `name`; the others are supposed. A name that is
not here says nothing.
"""


class NordStellar(Connector):
    """One event for each leak, list and log in which a hash was found."""

    name = "nordstellar"
    title = "NordStellar"
    webhook = WebhookPlan(Basic(), largest_body=8 * 1024 * 1024)
    events: ClassVar[Mapping[str, Meaning]] = {
        **dict.fromkeys((DATABASE, LIST), AlertKind.EXPOSURE_BREACH_LISTING),
        LOG: AlertKind.EXPOSURE_INFOSTEALER,
    }

    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        """The items of the three lists, each with what was monitored."""
        tree = strict_json.parse(body)
        if not isinstance(tree, dict):
            return [BrokenEvent("$")]
        about = {name: tree.get(name) for name in ("document_type", "document_identifier")}
        if strict_json.flawed(about):
            return [BrokenEvent("document_identifier")]
        lists = {name: tree.get(name) for name in (DATABASE, LIST, LOG)}
        events = [event for name, items in lists.items() for event in _items(name, items, about)]
        return events or [BrokenEvent(", ".join(lists))]

    def normalise(self, event: RawEvent) -> Alert | BreachRecord:
        """Whose it is, what it was found in, and what stood beside it."""
        if event.event_type not in self.events:
            raise Malformed("document_type")
        whose, sort = identifier(event.body, "document_identifier"), identifier(event.body, "document_type")
        if sort not in FOUND:
            raise Malformed("document_type")
        item = pick(event.body, "item", dict)
        identity = (event.event_type, whose, identifier(item, "id"))
        identifier(item, "published_date")  # every sort of find is documented to have it
        published = moment(item, "published_date")
        if event.event_type == LOG:
            return Alert(
                kind=AlertKind.EXPOSURE_INFOSTEALER,
                member_ref=whose,
                identity=identity,
                summary="What malware took from a device holds data of this person.",
                occurred=_incident(item),
                reported=published,
            )
        named = identifier(item, "identifier") if event.event_type == DATABASE else f"{event.event_type}:{identity[2]}"
        return BreachRecord(
            member_ref=whose,
            identity=identity,
            breach_name=named,
            elements=frozenset({FOUND[sort], *(KEYS[key] for key in pick(item, "keys", list) if key in KEYS)}),
            published=Interval(latest=published.latest) if published else None,
        )


def _items(name: str, items: Any, about: Mapping[str, Any]) -> Iterator[RawEvent | BrokenEvent]:
    """Of each item what is read of it; the rest can be very long. What is no list is broken, and so is an item without an id."""
    if items is None:
        return
    if not isinstance(items, list):
        yield BrokenEvent(name)
        return
    for at, item in enumerate(items):
        kept = _read(name, item) if isinstance(item, dict) else {}
        found = kept.get("id")
        if not isinstance(found, str) or not found.strip() or len(found) > LONGEST_ID or strict_json.flawed(kept, above=2):
            yield BrokenEvent(f"{name}[{at}]")
        else:
            yield RawEvent(name, found, {**about, "item": kept})


def _read(sort: str, item: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: item.get(name) for name in ("id", "identifier", "published_date")}
    data = item.get("data")
    if sort == LIST:
        return {**kept, "keys": ["password"] if item.get("passwords") or item.get("combos") else []}
    if sort == LOG:
        metadata = data.get("metadata") if isinstance(data, dict) else None
        return {**kept, "incident_date": metadata.get("incident_date") if isinstance(metadata, dict) else None}
    entries = [entry for entry in data if isinstance(entry, dict) and entry.get("value")] if isinstance(data, list) else []
    named = {key for entry in entries if isinstance(key := entry.get("key"), str) and key in KEYS}
    return {**kept, "keys": sorted(named)}


def _incident(item: Mapping[str, Any]) -> Interval | None:
    """When the device was infected, where that can be read: how it is written is not documented."""
    try:
        return moment(item, "incident_date")
    except Malformed:
        return None
