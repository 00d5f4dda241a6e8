"""A fake NordStellar on real HTTP: pushes hits on the hashes that are monitored, under HTTP Basic."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from connectors.sandboxing import Happening, Sandbox, basic, zulu
from connectors.vocabulary import AlertKind

BASIC = "harmline:invented-pw"
SORTS: Mapping[AlertKind, tuple[str, str]] = {
    AlertKind.EXPOSURE_SSN: ("nin-argon2id", "databases"),
    AlertKind.EXPOSURE_FINANCIAL: ("cc-argon2id", "databases"),
    AlertKind.EXPOSURE_CONTACT: ("email-sha256", "databases"),
    AlertKind.EXPOSURE_CREDENTIALS: ("email-sha256", "credential_lists"),
    AlertKind.EXPOSURE_INFOSTEALER: ("email-sha256", "malware_logs"),
}


class NordStellarSandbox(Sandbox):
    """Tells of hits on hashes that it knows; one delivery a hit."""

    name = "nordstellar"

    def __init__(self, now: Any, seed: int = 0) -> None:
        """See `Sandbox`."""
        super().__init__(now, seed)
        self._hits = 0

    @property
    def webhook_secret(self) -> str:
        """`user:password` of the subscription endpoint."""
        return BASIC

    def tell(self, happening: Happening) -> str | None:
        """Find a hash somewhere: the find's id. What is no exposure is not told here."""
        if happening.kind not in SORTS or happening.reference not in self.people:
            return None
        self._hits += 1
        found = f"{self.seed * 1_000_000 + self._hits:024x}"
        self.unsent.append(_hit(found, happening))
        return found

    def made_up(self, number: int) -> bytes:
        """A hit on a hash that nobody monitors."""
        return _hit(f"{900_000 + number:024x}", Happening(f"nobody-{number}", AlertKind.EXPOSURE_SSN, self.now()))

    def headers(self, body: bytes, *, forged: bool = False) -> Mapping[str, str]:
        """By HTTP Basic."""
        return {"content-type": "application/json", "authorization": basic("harmline:guessed" if forged else BASIC)}


def _hit(found: str, happening: Happening) -> bytes:
    sort, where = SORTS[happening.kind]
    stamp = zulu(happening.at)
    contents: dict[str, dict[str, Any]] = {
        "databases": {"identifier": f"invented_{found}", "data": [{"key": "password", "value": ["invented"]}]},
        "credential_lists": {"passwords": ["invented"], "combos": []},
        "malware_logs": {"identifier": "invented", "type": "invented", "data": {"metadata": {"incident_date": stamp}}},
    }
    item = {"id": found, "published_date": stamp, **contents[where]}
    lists: dict[str, list[Any]] = {"databases": [], "credential_lists": [], "malware_logs": []}
    lists[where].append(item)
    about = {"document_type": sort, "document_identifier": happening.reference, "operation_type": "insert"}
    return json.dumps({"subscription_id": f"{1:024x}", **about, **lists}).encode()


sandbox = NordStellarSandbox
