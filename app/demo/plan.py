"""What is sent: deliveries with their exact bytes, and what each item in them truly means. Plain values."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.demo.enrollment import Service


class Way(StrEnum):
    """How a delivery is made: rightly, or in one of the ways that must be refused or set aside."""

    SIGNED = "signed"
    FORGED = "forged"
    FLIPPED = "one bit flipped after signing"
    TOO_LARGE = "too large"
    WRONG_TYPE = "wrong media type"
    NO_ADDRESS = "sent to an address that does not exist"
    STALE = "signed long ago"


REFUSED = {
    Way.FORGED: "not_authentic",
    Way.FLIPPED: "not_authentic",
    Way.TOO_LARGE: "too_large",
    Way.WRONG_TYPE: "wrong_type",
    Way.NO_ADDRESS: "not_authentic",
}
"""Why each way is refused; the ways that are not here are kept."""


class Meaning(StrEnum):
    """What one item is: an alert, a known message that tells nothing, or something that nobody can read."""

    ALERT = "alert"
    NOTHING = "nothing"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a body. `alert` is the service's own id where it is one; `incident` the true one it tells of, if any."""

    body: dict[str, Any]
    meaning: Meaning = Meaning.ALERT
    incident: str | None = None

    @property
    def alert(self) -> str:
        """The service's own id of the alert."""
        return str(self.body["id"])

    @property
    def content(self) -> str:
        """What it says, in one fixed form."""
        return json.dumps(self.body, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One post. `splittable` is False for a body that nothing can be cut out of."""

    at: datetime
    service: Service
    body: bytes
    items: tuple[Item, ...]
    way: Way = Way.SIGNED
    splittable: bool = True


def single(at: datetime, service: Service, item: Item, way: Way = Way.SIGNED) -> Delivery:
    """One item as a body of its own."""
    return Delivery(at, service, json.dumps(item.body).encode(), (item,), way)


def batch(at: datetime, service: Service, items: Sequence[Item]) -> Delivery:
    """Several items in one body."""
    return Delivery(at, service, json.dumps({"alerts": [item.body for item in items]}).encode(), tuple(items))


def ping(number: str) -> Item:
    """A message that says nothing happened to anybody."""
    return Item({"id": f"ping-{number}", "type": "ping"}, Meaning.NOTHING)
