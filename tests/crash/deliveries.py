"""What the sender sends, by number: the same number is the same bytes, so that the checker needs nothing but the numbers.

One delivery of `STRIDE` is about an alert, the others are pings, which are known and no alert: so that many can be sent
without one member having thousands of alerts. Three alerts in a row are one act against one member. Every seventh tells the one
before it again with other words (a revision), every sixth the same again in another envelope (a sighting).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

ALERTS_A_GROUP = 3


@dataclass(frozen=True)
class Script:
    """How one run's deliveries are made. `stride`: one in so many is about an alert; `members`: how many people."""

    seed: int
    stride: int = 10
    members: int = 50

    def body(self, number: int) -> bytes:
        """The exact bytes of one delivery."""
        if number % self.stride:
            return json.dumps(_ping(f"p-{self.seed}-{number}")).encode()
        place = number // self.stride
        if place % 7 == 5:
            return json.dumps({"alerts": [self._alert(place - 1), _ping(f"with-{self.seed}-{number}")]}).encode()
        if place % 7 == 6:
            return json.dumps({**self._alert(place - 2), "summary": f"Corrected in {number}."}).encode()
        return json.dumps(self._alert(place)).encode()

    def _alert(self, place: int) -> dict[str, Any]:
        group = place // ALERTS_A_GROUP
        return {
            "id": f"a-{self.seed}-{place}",
            "type": "new_account.credit_card",
            "member": f"ref-M-{group % self.members + 1}",
            "summary": "A new card was reported.",
            "institution": f"Bank {self.seed} {group}",
            "last_four": f"{group % 10_000:04d}",
            "opened": "2023-03-20",
        }

    def expected(self, numbers: Iterable[int]) -> Expected:
        """What must have become of a set of deliveries, in whatever order and however often they came."""
        contents: defaultdict[str, set[str]] = defaultdict(set)
        groups: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        told = pings = 0
        for number in numbers:
            tree = json.loads(self.body(number))
            for item in tree.get("alerts", [tree]):
                if item["type"] == "ping":
                    pings += 1
                    continue
                told += 1
                contents[item["id"]].add(json.dumps(item, sort_keys=True))
                groups[item["member"], item["institution"]].add(item["id"])
        new, versions = len(contents), sum(len(one) for one in contents.values())
        incidents = frozenset(frozenset(group) for group in groups.values())
        return Expected(incidents, new=new, revisions=versions - new, sightings=told - versions, non_alerts=pings)


@dataclass(frozen=True)
class Expected:
    """The order-free truth: which alerts are one incident, and how many events have which outcome."""

    incidents: frozenset[frozenset[str]]
    new: int
    revisions: int
    sightings: int
    non_alerts: int


def _ping(name: str) -> dict[str, Any]:
    return {"id": name, "type": "ping"}
