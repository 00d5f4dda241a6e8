"""The rows of an answer: which leak each is of, and which sorts of data it has. Pure; what is not as documented is Malformed."""

from __future__ import annotations

import calendar
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors import strict_json
from connectors.asking import Asked
from connectors.claimed import interval
from connectors.contract import BrokenEvent, Interval, Malformed, RawEvent, pick
from connectors.fields import identifier, text
from connectors.vocabulary import DataElement

LISTING, COMPILATION, UNVERIFIED, UNNAMED = "listing", "compilation", "unverified", "unnamed"
NO_NAMES = frozenset({"unknown", "stealer logs"})
"""What stands where a name of a breach would, and is none: general knowledge, not documented."""

FIELDS: Mapping[str, DataElement] = {
    **dict.fromkeys(("name", "first_name", "last_name"), DataElement.NAME),
    "address": DataElement.ADDR,
    "dob": DataElement.DOB,
    "phone": DataElement.PHONE,
    "password": DataElement.PASSWORD,
}
"""`username` and `zip` are documented, too: no element of ours says the same."""

READ = ("email", "source", "fields")
IN_A_LIST = 2
_HASH = re.compile(r"[0-9a-f]{24}|[0-9a-f]{64}")
_PERIOD = re.compile(r"([0-9]{4})(?:-([0-9]{2}))?")


@dataclass(frozen=True, slots=True)
class Leak:
    """What sort of leak it is, its name, the provider's word on when it was, and the names of the fields that its rows have."""

    sort: str
    name: str
    day: str | None
    fields: set[str] = field(default_factory=set, compare=False)

    def event(self, asked: Asked) -> RawEvent:
        """The leak as an event, without anything that stands in its rows."""
        return RawEvent(self.sort, self.name, {"name": self.name, "breach_date": self.day, "fields": sorted(self.fields)}, asked)


def digest_of(account: str) -> str | None:
    """The SHA-256 of an e-mail address in small letters, in hex; of a reference that is one already, itself; None of others."""
    plain = account.strip().lower()
    if _HASH.fullmatch(plain):
        return plain
    return hashlib.sha256(plain.encode()).hexdigest() if "@" in plain else None


def leaks_in(rows: Iterable[object], account: str) -> list[Leak | BrokenEvent]:
    """Each leak once, in the order of its first row, with the fields of all its rows; and each row that cannot be read."""
    found: list[Leak | BrokenEvent] = []
    known: dict[Leak, Leak] = {}
    for at, row in enumerate(rows):
        try:
            leak = _leak_of(row, account)
        except Malformed as error:
            found.append(BrokenEvent(f"result[{at}].{error}"))
            continue
        if leak not in known:
            known[leak] = leak
            found.append(leak)
        known[leak].fields.update(leak.fields)
    return found


def _leak_of(row: object, account: str) -> Leak:
    """Of which leak a row is. A row about somebody else than `account` is Malformed."""
    # Of a row only what is read: leaked passwords hold whatever somebody once typed.
    if not isinstance(row, dict) or strict_json.flawed({name: row.get(name) for name in READ}, above=IN_A_LIST):
        raise Malformed("$")
    found, asked = text(row, "email"), digest_of(account)
    if found is not None and (asked is None or not (digest_of(found) or "").startswith(asked)):
        raise Malformed("email")
    source, fields = pick(row, "source", dict), row.get("fields") or []
    if not isinstance(fields, list) or not all(isinstance(name, str) for name in fields):
        raise Malformed("fields")
    name, day = identifier(source, "name"), text(source, "breach_date")
    if day is not None:
        period(day)
    held = {name for name in FIELDS if name in fields or row.get(name)}
    return Leak(_sort(source, name), name, day, held)


def _sort(source: Mapping[str, Any], name: str) -> str:
    compiled, unverified = _flag(source, "compilation"), _flag(source, "unverified")
    if compiled:
        return COMPILATION
    if unverified:
        return UNVERIFIED
    return UNNAMED if name.lower() in NO_NAMES else LISTING


def period(claim: str) -> Interval:
    """A year, a month or a day, as that time anywhere on Earth."""
    try:
        found = _PERIOD.fullmatch(claim)
        if found is None:
            return interval(claim)
        year, first, last = found[1], found[2] or "01", found[2] or "12"
        end = calendar.monthrange(int(year), int(last))[1]
        return interval({"earliest": f"{year}-{first}-01", "latest": f"{year}-{last}-{end}"})
    except ValueError:
        raise Malformed("source.breach_date") from None


def _flag(source: Mapping[str, Any], name: str) -> bool:
    """A flag that must be said: without it nobody knows whether the leak may be told of as a breach."""
    if source.get(name) not in (0, 1):
        raise Malformed(f"source.{name}")
    return bool(source[name])
