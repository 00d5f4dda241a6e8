"""What patterns find in a mail besides its kind: company, last four digits, amount, bureau. A find that is not sane is none."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import TypeVar

from connectors.mail.patterns import Pattern
from connectors.vocabulary import Bureau

MOST_FINDS = 20
"""Places of one text where one pattern is looked at."""
LONGEST_INSTITUTION = 80
T = TypeVar("T")

_BUREAUS = {
    "equifax": Bureau.EQUIFAX,
    "experian": Bureau.EXPERIAN,
    "transunion": Bureau.TRANSUNION,
    "innovis": Bureau.INNOVIS,
    "chexsystems": Bureau.CHEXSYSTEMS,
}
_DOLLARS = re.compile(
    r"\A(?:.*[^A-Za-z])?(?:US ?)?\$ ?([0-9]{1,3}(?:,[0-9]{3}){1,3}(?:\.[0-9]{2})?|[0-9]{1,9}(?:\.[0-9]{2})?)", re.DOTALL
)
_ADDRESS = re.compile(r"https?:|www\.|://|@|\.(?:com|net|org|example)\b", re.IGNORECASE)
_NO_NAME = re.compile(
    r"(?:your|you|our|this|that|these|his|her|their|its|view|see|click|log|sign|please|unknown|unavailable|not|none|n/a|tbd|"
    r"su|sus|tu|ver|vea|inicie|haga|desconocid[oa]|no|information|"
    r"details?|contact|phone|address|type|date|number|accounts?|alerts?|name|report|file|an?|the|una?|el|la) ?(?:\b.*)?",
    re.IGNORECASE,
)
_THE_NAMED = re.compile(r"^(?:the|el|la) (?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Details:
    """What a mail names. `many_institutions`: it names more than one company, so that it may tell of more than one act."""

    institution: str | None
    last_four: str | None
    amount: Decimal | None
    bureau: Bureau | None
    many_institutions: bool


def details(places: Iterable[tuple[Pattern, str]]) -> Details:
    """What the named groups of each pattern find in its text. Two different last fours, amounts or bureaus are none.

    `amount` is in US dollars, and is there only where a $ stands before it.
    """
    found: dict[str, list[str]] = {"institution": [], "last_four": [], "amount": [], "bureau": []}
    for pattern, text in places:
        for match in islice(pattern.finditer(text), MOST_FINDS):
            for name, number in pattern.groupindex.items():
                start, end = match.span(number)
                if start >= 0:
                    found[name].append(text[max(0, start - 5) : end] if name == "amount" else text[start:end])
    institutions = _distinct(filter(None, map(institution, found["institution"])))
    return Details(
        institutions[0] if len(institutions) == 1 else None,
        _agreed(map(last_four, found["last_four"])),
        _agreed(map(dollars, found["amount"])),
        _agreed(map(bureau, found["bureau"])),
        len(institutions) > 1,
    )


def institution(text: str) -> str | None:
    """A company's name as a mail writes it, without what stands around it; None when it is no name that could be shown."""
    name = _THE_NAMED.sub("", " ".join(text.split()), count=1).strip(" .,;:*\"'-|")
    if not 2 <= len(name) <= LONGEST_INSTITUTION or not any(letter.isalpha() for letter in name):
        return None
    if (
        any(unicodedata.category(letter)[0] == "C" for letter in name)
        or _ADDRESS.search(name)
        or re.search(r"\d{5}|[<>{}]", name)
    ):
        return None
    if _NO_NAME.fullmatch(name) or bureau(name) is not None:
        return None
    return name


def last_four(text: str) -> str | None:
    """The last four digits at most of a number; None when there are fewer than two."""
    digits = "".join(letter for letter in text if letter in "0123456789")[-4:]
    return digits if len(digits) >= 2 else None


def dollars(text: str) -> Decimal | None:
    """An amount that ends `text`, with a $ before it that is the US one, as $1,234.56; else None."""
    found = _DOLLARS.fullmatch(text.rstrip(" .,"))
    return Decimal(found[1].replace(",", "")) if found else None


def bureau(text: str) -> Bureau | None:
    """The bureau of that name, or None."""
    return _BUREAUS.get("".join(text.lower().split()).strip("."))


def _agreed(values: Iterable[T | None]) -> T | None:
    kept = {value for value in values if value is not None}
    return kept.pop() if len(kept) == 1 else None


def _distinct(names: Iterable[str]) -> list[str]:
    """The names that are not the same or the beginning of another, whatever their case and signs."""
    by_key = {re.sub(r"[^\w]", "", name.casefold()): name for name in sorted(names)}
    return [by_key[key] for key in sorted(by_key) if not any(other != key and other.startswith(key) for other in by_key)]
