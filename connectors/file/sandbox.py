"""A monitoring service of which one gets nothing but exports: CSV files with the columns of our own schema."""

from __future__ import annotations

import csv
import io
from typing import Any

from connectors.file.connector import File
from connectors.sandboxing import Happening, Sandbox
from connectors.vocabulary import AlertKind

COLUMNS = ("id", "member", "type", "summary", "institution", "last_four", "amount", "bureau", "opened", "reported")
_KINDS = frozenset(AlertKind) - {AlertKind.OTHER_UNCLASSIFIED}


class FileSandbox(Sandbox):
    """Writes one export for each thing that happened."""

    name = "file"

    def __init__(self, now: Any, seed: int = 0) -> None:
        """See `Sandbox`."""
        super().__init__(now, seed)
        self._told = 0

    def tell(self, happening: Happening) -> str | None:
        """Write an export with one row: the id in it."""
        if happening.reference not in self.people or happening.kind not in _KINDS:
            return None
        self._told += 1
        row = {
            "id": f"export-{self.seed}-{self._told}",
            "member": happening.reference,
            "type": happening.kind.value,
            "summary": f"Invented export number {self._told}",
            "institution": happening.institution or "",
            "last_four": f"xxxx{happening.last_four}" if happening.last_four else "",
            "amount": f"{happening.amount:.2f}" if happening.amount else "",
            "bureau": happening.bureau or "",
            "opened": happening.opened.isoformat() if happening.opened else "",
            "reported": happening.at.date().isoformat(),
        }
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        writer.writerow(row)
        for piece in File().pieces(io.BytesIO(text.getvalue().encode()), {}):
            self.unhanded.append((piece.body, piece.asked))
        return row["id"]


sandbox = FileSandbox
