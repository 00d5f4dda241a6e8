"""Distinctive values to put in through every door, and how to find them again wherever they should not be."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field

WORD = "zqcanary"
INSTITUTION = "zqinstitute"
SERIAL = "[a-z]{4}"


def _letters(number: int) -> str:
    out = ""
    for _ in range(4):
        number, place = divmod(number, 26)
        out = chr(97 + place) + out
    return out


def _encoded(marker: str) -> list[str]:
    """How a marker looks inside hex and inside base64, whatever stands before it."""
    raw = marker.encode()
    shifted = [base64.b64encode(b"\0" * shift + raw).decode()[shift + (shift > 0) : -4] for shift in range(3)]
    return [raw.hex(), raw.hex().upper(), *shifted]


PLAIN = re.compile(f"({WORD}|{INSTITUTION}){SERIAL}", re.IGNORECASE)
DIGITS = re.compile(r"981-?7[0-9]-?[0-9]{4}")
# In megabytes of ciphertext written out as hexadecimal, any nine digits stand somewhere by chance; nobody hid them there.
HEXADECIMAL = re.compile(r"[0-9a-f]{40,}")
ENCODED = re.compile("|".join(re.escape(text) for marker in (WORD, INSTITUTION) for text in _encoded(marker)))


@dataclass
class Canaries:
    """Every value given out so far, with what it was given for. The same call sequence gives the same values."""

    given: dict[str, str] = field(default_factory=dict)

    def word(self, what: str) -> str:
        """A word that stands nowhere else."""
        return self._keep(f"{WORD}{_letters(len(self.given))}", what)

    def institution(self, what: str) -> str:
        """A word for an institution's name, which may stand in plain in one column."""
        return self._keep(f"{INSTITUTION}{_letters(len(self.given))}", what)

    def number(self, what: str) -> str:
        """Nine digits, written as a Social Security number."""
        digits = f"9817{len(self.given):05d}"
        return self._keep(f"{digits[:3]}-{digits[3:5]}-{digits[5:]}", what)

    def _keep(self, value: str, what: str) -> str:
        self.given[value] = what
        return value

    def found_in(self, text: str | bytes) -> dict[str, str]:
        """Every canary in a text, plain or encoded, with what it was given for."""
        if isinstance(text, bytes):
            text = text.decode("latin-1")
        found = {match.group().lower() for match in PLAIN.finditer(text)}
        for match in DIGITS.finditer(HEXADECIMAL.sub("", text)):
            digits = match.group().replace("-", "")
            found.add(f"{digits[:3]}-{digits[3:5]}-{digits[5:]}")
        hits = {value: self.given[value] for value in found if value in self.given}
        return hits | {match.group(): "something encoded" for match in ENCODED.finditer(text)}
