"""Enzoic: somebody's data was found in a leak, as a delivery for each find. See the README for what is not documented.

An exposure is no fraud: it is kept as a breach record, and weighs as another way in which the same data may have got out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from connectors import strict_json
from connectors.asking import NOTHING_ASKED, Asked
from connectors.contract import (
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

IDENTITY, USER = "piiAlert", "user"
ELEMENTS: Mapping[str, DataElement] = {
    **dict.fromkeys(("firstName", "lastName"), DataElement.NAME),
    **dict.fromkeys(("address1", "address2"), DataElement.ADDR),
    "governmentID": DataElement.SSN,
    "emails": DataElement.EMAIL,
    "phoneNumbers": DataElement.PHONE,
    "creditCards": DataElement.CARD,
    "dateOfBirth": DataElement.DOB,
    "bankAccounts": DataElement.BANKACCT,
    "driversLicense": DataElement.DL,
    "passport": DataElement.PASSPORT,
}
"""What a monitored item is. The last four names are supposed: the list in the documents is cut off. Other names say nothing,
nor does a town alone.
"""

_PASSWORD = ("password", "passwordHash")


class Enzoic(Connector):
    """One delivery tells of one find about one person."""

    name = "enzoic"
    title = "Enzoic"
    webhook = WebhookPlan(Basic())
    events: ClassVar[Mapping[str, Meaning]] = dict.fromkeys((IDENTITY, USER), AlertKind.EXPOSURE_BREACH_LISTING)

    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        """The one find. Finds about an address and its password name no type; they are known by their exposure."""
        tree = strict_json.parse(body)
        if not isinstance(tree, dict) or strict_json.flawed(tree):
            return [BrokenEvent("$")]
        exposure, word = tree.get("exposureID"), tree.get("type", USER)
        if not isinstance(word, str) or not word.strip() or len(word) > LONGEST_ID:
            return [BrokenEvent("type", tree)]
        if not isinstance(exposure, str) or not exposure.strip() or len(exposure) > LONGEST_ID:
            return [BrokenEvent("exposureID", tree)]
        return [RawEvent(word, exposure, tree)]

    def normalise(self, event: RawEvent) -> BreachRecord:
        """Whose data was found, in which exposure, and which sorts of data."""
        if event.event_type not in self.events:
            raise Malformed("type")
        whose = identifier(event.body, "tag" if event.event_type == IDENTITY else "customData")
        exposure, found = identifier(event.body, "exposureID"), moment(event.body, "date")
        return BreachRecord(
            member_ref=whose,
            identity=(event.event_type, whose, exposure),
            breach_name=exposure,
            elements=_monitored(event.body) if event.event_type == IDENTITY else _of_user(event.body),
            published=Interval(latest=found.latest) if found else None,
        )


def _monitored(body: Mapping[str, Any]) -> frozenset[DataElement] | None:
    return frozenset(ELEMENTS[name] for name in pick(body, "matchedMonitoredItems", dict) if name in ELEMENTS) or None


def _of_user(body: Mapping[str, Any]) -> frozenset[DataElement]:
    """An address was found; a password beside it, if there is one in whatever form."""
    with_password = any(body.get(name) for name in _PASSWORD)
    return frozenset({DataElement.EMAIL, DataElement.PASSWORD} if with_password else {DataElement.EMAIL})
