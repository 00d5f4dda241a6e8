"""NordStellar: a hash that is monitored was found, as one delivery a hit. Nobody's number leaves us: hashes are monitored.

What stands in a leak is a breach record; what malware took from somebody's own device is an alert.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from connectors import strict_json
from connectors.asking import NOTHING_ASKED, Asked
from connectors.claimed import interval
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
from connectors.fields import LONGEST_ID, identifier, text
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
    **dict.fromkeys(("address", "city", "zip", "postal_code"), DataElement.ADDR),
    **dict.fromkeys(("dob", "date_of_birth", "birth_date"), DataElement.DOB),
    **dict.fromkeys(("phone", "phone_number"), DataElement.PHONE),
    "email": DataElement.EMAIL,
    "password": DataElement.PASSWORD,
    "nin": DataElement.SSN,
    "ssn": DataElement.SSN,
    "credit_card": DataElement.CARD,
}
"""What stands beside it. Three of these names are documented, the others supposed; a name that is not here says nothing."""


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
        published = _moment(item, "published_date")
        if event.event_type == LOG:
            incident = pick(item, "data.metadata", dict) if "data" in item else {}
            return Alert(
                kind=AlertKind.EXPOSURE_INFOSTEALER,
                member_ref=whose,
                identity=identity,
                summary="What malware took from a device holds data of this person.",
                occurred=_moment(incident, "incident_date"),
                reported=published,
            )
        named = identifier(item, "identifier") if event.event_type == DATABASE else None
        return BreachRecord(
            member_ref=whose,
            identity=identity,
            breach_name=named or f"{event.event_type}:{identity[2]}",
            elements=frozenset({FOUND[sort], *_beside(event.event_type, item)}),
            published=None if published is None else Interval(latest=published.latest),
        )


def _items(name: str, items: Any, about: Mapping[str, Any]) -> Iterator[RawEvent | BrokenEvent]:
    """What is no list holds nothing; an item without an id is broken."""
    for at, item in enumerate(items if isinstance(items, list) else []):
        found = item.get("id") if isinstance(item, dict) and not strict_json.flawed(item, above=2) else None
        if not isinstance(found, str) or not found.strip() or len(found) > LONGEST_ID:
            yield BrokenEvent(f"{name}[{at}].id")
        else:
            yield RawEvent(name, found, {**about, "item": item})


def _beside(sort: str, item: Mapping[str, Any]) -> Iterator[DataElement]:
    if sort == LIST:
        yield DataElement.PASSWORD
        return
    for entry in item["data"] if isinstance(item.get("data"), list) else []:
        key = entry.get("key") if isinstance(entry, dict) else None
        if isinstance(key, str) and key in KEYS:
            yield KEYS[key]


def _moment(body: Mapping[str, Any], name: str) -> Interval | None:
    claim = text(body, name)
    try:
        return None if claim is None else interval(claim)
    except ValueError:
        raise Malformed(name) from None
