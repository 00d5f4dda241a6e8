"""A fake Enzoic on real HTTP: pushes what it finds about people whom it monitors, under HTTP Basic."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from connectors.sandboxing import Happening, Sandbox, basic, zulu
from connectors.vocabulary import AlertKind

BASIC = "invented-key:invented-pw"
FOUND: Mapping[AlertKind, tuple[str, ...]] = {
    AlertKind.EXPOSURE_SSN: ("firstName", "lastName", "governmentID"),
    AlertKind.EXPOSURE_FINANCIAL: ("creditCards",),
    AlertKind.EXPOSURE_CONTACT: ("emails", "phoneNumbers", "address1"),
}


class EnzoicSandbox(Sandbox):
    """Tells of finds about people whom it monitors: identities by their tag, addresses by their custom data."""

    name = "enzoic"

    def __init__(self, now: Any, seed: int = 0) -> None:
        """See `Sandbox`."""
        super().__init__(now, seed)
        self._found = 0

    @property
    def webhook_secret(self) -> str:
        """`webhook key:webhook secret`."""
        return BASIC

    def tell(self, happening: Happening) -> str | None:
        """Find something of somebody's: the exposure's id. What is no exposure is not told here."""
        if happening.reference not in self.people:
            return None
        if happening.kind is not AlertKind.EXPOSURE_CREDENTIALS and happening.kind not in FOUND:
            return None
        self._found += 1
        exposure = f"{self.seed * 1_000_000 + self._found:024x}"
        self.unsent.append(_body(exposure, happening))
        return exposure

    def made_up(self, number: int) -> bytes:
        """A find about somebody whom nobody monitors."""
        return _body(f"{900_000 + number:024x}", Happening(f"nobody-{number}", AlertKind.EXPOSURE_SSN, self.now()))

    def headers(self, body: bytes, *, forged: bool = False) -> Mapping[str, str]:
        """By HTTP Basic."""
        return {"content-type": "application/json", "authorization": basic("invented-key:guessed" if forged else BASIC)}


def _body(exposure: str, happening: Happening) -> bytes:
    stamp = zulu(happening.at)
    if happening.kind is AlertKind.EXPOSURE_CREDENTIALS:
        found: dict[str, Any] = {"username": "invented@example.org", "passwordHash": "$2a$invented", "passwordType": "BCrypt"}
        return json.dumps({"date": stamp, "exposureID": exposure, **found, "customData": happening.reference}).encode()
    items = {name: {"foundValue": "Invented", "monitoredValue": "INVENTED"} for name in FOUND[happening.kind]}
    body = {"type": "piiAlert", "tag": happening.reference, "id": f"{1:024x}", "date": stamp, "exposureID": exposure}
    return json.dumps({**body, "matchedMonitoredItems": items, "snippet": "Invented text around it"}).encode()


sandbox = EnzoicSandbox
