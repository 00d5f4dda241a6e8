"""What is read of a record: which sort of find it is, and nothing that could be used to do harm once more.

Passwords and whole numbers go no further than the page in which they came.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from connectors import strict_json
from connectors.contract import BrokenEvent, RawEvent
from connectors.fields import LONGEST_ID, last_digits
from connectors.vocabulary import AlertKind

SEVERITY = "severity"
UNSAID = f"{SEVERITY}.unsaid"
MALWARE = f"{SEVERITY}.25"
NUMBERS: Mapping[str, tuple[AlertKind, str]] = {
    "ssn": (AlertKind.EXPOSURE_SSN, "A Social Security number"),
    "drivers_license": (AlertKind.EXPOSURE_GOVERNMENT_ID, "The number of a driver's license"),
    "passport_number": (AlertKind.EXPOSURE_GOVERNMENT_ID, "The number of a passport"),
    "national_id": (AlertKind.EXPOSURE_GOVERNMENT_ID, "The number of a national identity document"),
    "bank_number": (AlertKind.EXPOSURE_FINANCIAL, "The number of a bank account"),
    "cc_number": (AlertKind.EXPOSURE_FINANCIAL, "The number of a payment card"),
}
"""Fields that name a find, the weightiest first: a record is named by the first that it has, and without any by its severity."""

SEVERITIES: Mapping[str, tuple[AlertKind, str]] = {
    MALWARE: (AlertKind.EXPOSURE_INFOSTEALER, "This e-mail address was found in what malware took from a device"),
    f"{SEVERITY}.20": (AlertKind.EXPOSURE_CREDENTIALS, "This e-mail address was found with a password in leaked data"),
    f"{SEVERITY}.5": (AlertKind.EXPOSURE_CONTACT, "This e-mail address was found in leaked data"),
    f"{SEVERITY}.2": (AlertKind.EXPOSURE_CONTACT, "This e-mail address was found in leaked data"),
    UNSAID: (AlertKind.EXPOSURE_BREACH_LISTING, "This e-mail address was found in leaked data"),
}
_READ = ("document_id", "source_id", "email", "severity", "breach_title", "spycloud_publish_date", "infected_time")
_WITH_AN_END = frozenset({"bank_number", "cc_number"})
_MASKED_OR_NOT = re.compile(r"[0-9*Xx]{4,40}")


def record(item: Any, path: str) -> RawEvent | BrokenEvent:
    """One record as an event, by the provider's own id of it."""
    if not isinstance(item, dict) or strict_json.flawed(item, above=2):
        return BrokenEvent(path)
    found = item.get("document_id")
    if not isinstance(found, str) or not found.strip() or len(found) > LONGEST_ID:
        return BrokenEvent(f"{path}.document_id")
    sort = _sort(item)
    if sort is None:
        return BrokenEvent(f"{path}.{SEVERITY}")
    kept = {name: item[name] for name in _READ if item.get(name) is not None}
    return RawEvent(sort, found, {**kept, **({"ends": end} if (end := _end(sort, item)) else {})})


def _sort(item: Mapping[str, Any]) -> str | None:
    """The event's type; a severity that is not declared is handed on as it is. None: it is no severity at all."""
    number = next((name for name in NUMBERS if item.get(name)), None)
    severity = item.get(SEVERITY)
    if number or severity is None:
        return number or UNSAID
    if not isinstance(severity, int | str) or isinstance(severity, bool) or not str(severity).strip():
        return None
    return f"{SEVERITY}.{severity}"[:LONGEST_ID]


def _end(sort: str, item: Mapping[str, Any]) -> str | None:
    """The last digits of an account's number; none of a hash, which can end in digits too."""
    number = item.get(sort)
    if sort not in _WITH_AN_END or not isinstance(number, str | int):
        return None
    plain = re.sub(r"[ -]", "", str(number))
    return last_digits(plain) if _MASKED_OR_NOT.fullmatch(plain) else None
