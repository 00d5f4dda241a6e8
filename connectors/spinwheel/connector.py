"""Spinwheel: debts that are new in somebody's Equifax file, pushed under a header of our choice.

The documented example ends inside the first card; what follows from there is read leniently. See the README.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Any, ClassVar

from pydantic import Field

from connectors import strict_json
from connectors.asking import NOTHING_ASKED, Asked
from connectors.contract import (
    Alert,
    BrokenEvent,
    Connector,
    ConnectorConfig,
    Malformed,
    Meaning,
    NotAnAlert,
    RawEvent,
    WebhookPlan,
    pick,
)
from connectors.fields import LONGEST_ID, LONGEST_TEXT, identifier, last_digits, text
from connectors.verifiers import StaticHeader
from connectors.vocabulary import AlertKind, Bureau

REPORTED = "NEW_LIABILITIES_REPORTED"
UNKNOWN = f"{REPORTED}.other"
LISTS: Mapping[str, tuple[AlertKind, str]] = {
    "creditCards": (AlertKind.NEW_ACCOUNT_CREDIT_CARD, "A credit card"),
    "studentLoans": (AlertKind.NEW_ACCOUNT_STUDENT_LOAN, "A student loan"),
    "autoLoans": (AlertKind.NEW_ACCOUNT_AUTO, "A car loan"),
    "personalLoans": (AlertKind.NEW_ACCOUNT_PERSONAL_LOAN, "A personal loan"),
    "homeLoans": (AlertKind.NEW_ACCOUNT_MORTGAGE, "A home loan"),
    "miscellaneousLiabilities": (AlertKind.NEW_ACCOUNT_UNKNOWN, "A debt"),
}
"""The lists under `data`. Only the first is documented; a list of another name holds debts all the same."""

HARMLESS = (
    "USER_CREDIT_PROFILE_TRANSACTION",
    "USER_CREDIT_PROFILE_TRANSACTION_FAILED",
    "REFRESH_TRANSACTION_STATUS",
    "USER_LIABILITIES_CONNECTED",
    "USER_LIABILITIES_CONNECTION_FAILED",
    "USER_LIABILITY_ACCOUNT_TRANSITION",
    "USER_DEBT_PROFILE_UPDATED",
)


class SpinwheelConfig(ConnectorConfig):
    """Where deliveries come from."""

    sources: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(),
        description="Addresses from which deliveries come; none: any address. The provider documents 44.232.30.137 and "
        "3.230.55.249, for its sandbox 34.203.72.127, 52.2.114.95 and 52.12.60.65; they may change",
    )


class Spinwheel(Connector):
    """One delivery tells of one person's new debts; each of them is an alert."""

    name = "spinwheel"
    title = "Spinwheel"
    config = SpinwheelConfig
    webhook = WebhookPlan(StaticHeader("x-harmline-secret"), sources="sources")
    one_shape = True
    events: ClassVar[Mapping[str, Meaning]] = {
        **{f"{REPORTED}.{name}": kind for name, (kind, _) in LISTS.items()},
        UNKNOWN: AlertKind.NEW_ACCOUNT_UNKNOWN,
        **dict.fromkeys(HARMLESS),
    }

    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        """One event for each debt of every list, or the one event that is about no debt."""
        tree = strict_json.parse(body)
        if not isinstance(tree, dict) or strict_json.flawed({**tree, "data": None}):
            return [BrokenEvent("$")]
        word = tree.get("eventType")
        if not isinstance(word, str) or not word.strip() or len(word) > LONGEST_ID:
            return [BrokenEvent("eventType", None if strict_json.flawed(tree) else tree)]
        if word != REPORTED:
            return [BrokenEvent("$") if strict_json.flawed(tree) else RawEvent(word, "", tree)]
        lists = tree.get("data")
        if not isinstance(lists, dict):
            return [BrokenEvent("data")]
        return list(_debts(tree, lists))

    def normalise(self, event: RawEvent) -> Alert | NotAnAlert:
        """One new debt, as far as it is told."""
        if event.event_type not in self.events:
            raise Malformed("eventType")
        kind = self.events[event.event_type]
        if not isinstance(kind, AlertKind):
            return NotAnAlert("nothing new in the file")
        debt, name = pick(event.body, "debt", dict), pick(event.body, "list", str)
        whose, debt_id = identifier(event.body, "userId"), _id(name, debt)
        if debt_id is None:
            raise Malformed("data")
        _, what = LISTS.get(name, LISTS["miscellaneousLiabilities"])
        shown, profile = text(debt, "displayName"), debt.get("cardProfile")
        return Alert(
            kind=kind,
            member_ref=whose,
            identity=("debt", whose, name, debt_id),
            summary=f"{what} is new in the credit file{'' if shown is None else f': {shown}'}"[:LONGEST_TEXT],
            bureau=Bureau.EQUIFAX,
            last_four=last_digits(text(profile, "creditCardNumberMasked")) if isinstance(profile, Mapping) else None,
        )


def _debts(tree: Mapping[str, Any], lists: Mapping[str, Any]) -> Iterator[RawEvent | BrokenEvent]:
    """Each item with whose it is. What may hold debts and is no list of them is broken, and so is a delivery without any."""
    found = 0
    for name, items in lists.items():
        path = f"data.{name}" if name in LISTS else "data.*"
        if not isinstance(items, list):
            if items is not None and (name in LISTS or isinstance(items, dict) or strict_json.flawed(items, above=2)):
                found += 1
                yield BrokenEvent(path)
            continue
        for at, item in enumerate(items):
            found += 1
            debt_id = _id(name, item) if isinstance(item, dict) and not strict_json.flawed(item, above=3) else None
            if debt_id is None:
                yield BrokenEvent(f"{path}[{at}]")
                continue
            word = f"{REPORTED}.{name}" if name in LISTS else UNKNOWN
            yield RawEvent(word, debt_id, {"userId": tree.get("userId"), "list": name, "debt": item})
    if not found:
        yield BrokenEvent("data")


def _id(name: str, debt: Mapping[str, Any]) -> str | None:
    """The debt's own id: `creditCardId` of a card, and of others the field that is called after their list in the same way."""
    one = f"{name[:-3]}y" if name.endswith("ies") else name.removesuffix("s")
    found = debt.get(f"{one}Id")
    return found.strip() if isinstance(found, str) and 0 < len(found.strip()) <= LONGEST_ID else None
