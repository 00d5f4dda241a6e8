"""What a campaign has found so far, in a file where the docs find it: the next run adds to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def load(file: Path, empty: Mapping[str, Any]) -> dict[str, Any]:
    """What was found so far. `empty`: as it is before anything was; what an older file lacks is taken from there."""
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return {**json.loads(json.dumps(empty)), **found}


def save(results: Mapping[str, Any], file: Path) -> None:
    """Write the results where the docs find them."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(results, indent=2) + "\n")
