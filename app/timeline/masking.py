"""Masks what must not stand in plain in "the original": long numbers keep their last four. Pure.

Full numbers (SSN, licence, passport, account, card) exist only inside sealed bodies; dates, times and amounts stay legible.
A number may be written in pieces: whatever up to three signs stand between its digits, it is one number. Where it is not
clear whether something is one, it is masked.
"""

import re
from typing import Any

MASK = "•"
_KEEP = 4
_LEAST_DIGITS = 6
_LEAST_IN_PIECES = 7

_DAY = r"(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_TIME = r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?"
_LEGIBLE = re.compile(
    rf"(?<![\d.,:/-])(?:{_DAY}(?:T{_TIME}(?:Z|[+-]\d{{2}}:?\d{{2}})?)?|\d{{1,2}}/\d{{1,2}}/(?:19|20)\d\d|{_TIME}"
    r"|\d{1,3}(?:,\d{3}){0,2}\.\d{2}|\d{1,7}\.\d{2})(?![\w-])(?![.,:/]\d)",
    re.ASCII,
)
# Both are tried only where a word begins: else a long one that does not fit would be read again from each of its letters.
_PIECE = r"(?:[^\W\d_]*\d)+[^\W\d_]*"
_NUMBER = re.compile(rf"(?<![^\W_]){_PIECE}(?:[\W_]{{1,3}}{_PIECE})*")
_LINK = re.compile(r"(?:https?://|(?<![\w.@])www\.)[^\s<>\"'()\[\]]+", re.IGNORECASE)
_HOST = re.compile(r"(?:https?://)?(?:[^/?#@]*@)?([^/?#@:]*)", re.IGNORECASE)
_ADDRESS = re.compile(r"(?<![^\s@<>\"'])[^\s@<>\"']+@[^\s@<>\"']+")


def _mask_number(match: re.Match[str]) -> str:
    text = match.group()
    digits = sum(letter.isdigit() for letter in text)
    if digits < (_LEAST_DIGITS if text.isalnum() else _LEAST_IN_PIECES):
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
    pieces, last = [], 0
    for legible in _LEGIBLE.finditer(text):
        pieces += [_NUMBER.sub(_mask_number, text[last : legible.start()]), legible.group()]
        last = legible.end()
    pieces.append(_NUMBER.sub(_mask_number, text[last:]))
    return _ADDRESS.sub(lambda found: f"{MASK * 3}@{MASK * 3}", "".join(pieces))


def mask_letter(text: str) -> str:
    """A letter as somebody else may read it: numbers and addresses masked, and of links only where they lead, not by which way.

    A link in a mail may let in whoever follows it.
    """
    return mask_text(_LINK.sub(_only_host, text))


def _only_host(match: re.Match[str]) -> str:
    host = _HOST.match(match.group())
    return f"{host.group(1) if host else ''}/…"


def mask(value: Any) -> Any:
    """Any JSON value with every text, every name and every long number masked."""
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, dict):
        return _mask_object(value)
    if isinstance(value, list):
        return [mask(item) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        written = repr(value)
        shown = mask_text(written)
        return value if shown == written else shown
    return value


def _mask_object(value: dict[str, Any]) -> dict[str, Any]:
    """The same members; names that would look alike once masked are kept apart."""
    out: dict[str, Any] = {}
    for key, item in value.items():
        shown = mask_text(key)
        while shown in out:
            shown += MASK
        out[shown] = mask(item)
    return out
