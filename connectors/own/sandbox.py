"""Members who report what happened to them: by hand, now and then with a letter. Nobody is asked and nothing is sent."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from connectors.own.connector import beside, written
from connectors.own.report import Report
from connectors.sandboxing import Happening, Sandbox


class OwnSandbox(Sandbox):
    """Members of the organization. A reference is the member's own id."""

    name = "own"

    def __init__(self, now: Any, seed: int = 0) -> None:
        """See `Sandbox`."""
        super().__init__(now, seed)
        self._reports = 0

    def tell(self, happening: Happening) -> str | None:
        """Find out something, whatever it is, and write it down: the report's number. Every second one has a letter."""
        if happening.reference not in self.people:
            return None
        self._reports += 1
        number = f"{self.seed}-{self._reports}"
        report = Report(
            kind=happening.kind,
            institution=happening.institution,
            last_four=happening.last_four,
            amount=f"{happening.amount:.2f}" if happening.amount else None,
            currency="USD" if happening.amount else None,
            happened_from=happening.opened,
            found_on=happening.at.astimezone(UTC).date(),
            note=f"Found out by an invented member, number {number}.",
        )
        letter = f"An invented letter, number {number}.\n".encode() if self._reports % 2 else None
        self.unhanded.append((letter or written(report), beside(report, happening.reference, letter)))
        return number


sandbox = OwnSandbox
