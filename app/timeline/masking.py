"""Masks what must not stand in plain in "the original": long numbers keep their last four. Pure.

Full numbers (SSN, licence, passport, account, card) exist only inside sealed bodies; dates, times and amounts stay legible.
"""

import re
from typing import Any

MASK = "•"
_KEEP = 4
_LEAST_DIGITS = 6
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?")
_AMOUNT = re.compile(r"\d{1,9}\.\d{2}")
_NUMBER = re.compile(r"[0-9A-Za-z]*\d[0-9A-Za-z]*(?:[ .\-/]?\d[0-9A-Za-z]*)*")
_ADDRESS = re.compile(r"[^\s@<>\"']+@[^\s@<>\"']+")


def _mask_number(match: re.Match[str]) -> str:
    text = match.group()
    digits = sum(letter.isdigit() for letter in text)
    if digits < _LEAST_DIGITS or _DATE.fullmatch(text) or _AMOUNT.fullmatch(text):
        return text
    hidden = digits - _KEEP
    out = []
    for letter in text:
        if letter.isdigit() and hidden > 0:
            out.append(MASK)
            hidden -= 1
        else:
            out.append(letter)
    return "".join(out)


def mask_text(text: str) -> str:
    """A text with long numbers and e-mail addresses masked."""
    if _DATE.fullmatch(text) or _AMOUNT.fullmatch(text):
        return text
    pieces, last = [], 0
    for date in _DATE.finditer(text):
        pieces += [_NUMBER.sub(_mask_number, text[last : date.start()]), date.group()]
        last = date.end()
    pieces.append(_NUMBER.sub(_mask_number, text[last:]))
    return _ADDRESS.sub(lambda found: f"{MASK * 3}@{MASK * 3}", "".join(pieces))


def mask(value: Any) -> Any:
    """Any JSON value with every text and every long whole number masked; keys stay."""
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, dict):
        return {key: mask(item) for key, item in value.items()}
    if isinstance(value, list):
        return [mask(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and len(str(abs(value))) >= _LEAST_DIGITS:
        return mask_text(str(value))
    return value
