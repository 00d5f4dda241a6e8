"""A fake Spinwheel on real HTTP: pushes a person's new debts under the header that was set up with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from connectors.sandboxing import Happening, Sandbox
from connectors.vocabulary import AlertKind

SECRET = "invented-header-of-the-sandbox"  # noqa: S105 - not a secret: the fake provider's own
LISTS: Mapping[AlertKind, tuple[str, str]] = {
    AlertKind.NEW_ACCOUNT_CREDIT_CARD: ("creditCards", "creditCardId"),
    AlertKind.NEW_ACCOUNT_STUDENT_LOAN: ("studentLoans", "studentLoanId"),
    AlertKind.NEW_ACCOUNT_AUTO: ("autoLoans", "autoLoanId"),
    AlertKind.NEW_ACCOUNT_PERSONAL_LOAN: ("personalLoans", "personalLoanId"),
    AlertKind.NEW_ACCOUNT_MORTGAGE: ("homeLoans", "homeLoanId"),
}


class SpinwheelSandbox(Sandbox):
    """Tells of new debts of people whom it knows; one delivery a debt."""

    name = "spinwheel"

    def __init__(self, now: Any, seed: int = 0) -> None:
        """See `Sandbox`."""
        super().__init__(now, seed)
        self._told = 0

    @property
    def webhook_secret(self) -> str:
        """What the header holds."""
        return SECRET

    def tell(self, happening: Happening) -> str | None:
        """Find a new debt in somebody's file: its id. Nothing else than debts is told."""
        if happening.kind not in LISTS or happening.reference not in self.people:
            return None
        self._told += 1
        debt_id = str(UUID(int=self.seed * 1_000_000 + self._told))
        self.unsent.append(self._delivery(self._told, debt_id, happening))
        return debt_id

    def made_up(self, number: int) -> bytes:
        """A card of somebody who does not exist."""
        invented = Happening(f"nobody-{number}", AlertKind.NEW_ACCOUNT_CREDIT_CARD, self.now())
        return self._delivery(900_000 + number, str(UUID(int=number)), invented)

    def headers(self, body: bytes, *, forged: bool = False) -> Mapping[str, str]:
        """The secret itself stands in a header."""
        return {"content-type": "application/json", "x-harmline-secret": "guessed" if forged else SECRET}

    def _delivery(self, number: int, debt_id: str, happening: Happening) -> bytes:
        name, id_field = LISTS[happening.kind]
        debt: dict[str, Any] = {id_field: debt_id, "displayName": happening.institution or "Invented Lender"}
        if name == "creditCards":
            debt["logoUrl"] = "http://logos.example/card.png"
            debt["cardProfile"] = {"creditCardNumberMasked": f"400000******{happening.last_four or '0000'}"}
        body = {
            "webhookId": f"{int(happening.at.timestamp() * 1000)}-{number}",
            "subscriptionId": str(UUID(int=self.seed)),
            "eventType": "NEW_LIABILITIES_REPORTED",
            "userId": happening.reference,
            "data": {name: [debt]},
        }
        return json.dumps(body).encode()


sandbox = SpinwheelSandbox
