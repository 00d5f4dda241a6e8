"""A document as PDF/A-3b by typst: a template of ours, and values that are only ever data. Nothing of it depends on the clock.

Provider text is hostile text. It goes in as JSON and is shown letter by letter: nothing that stands in it is markup. Letters that
the fonts do not have, or that turn text around, are written by their number: "[U+202E]". The fonts are those inside of typst.
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any, Protocol

import typst

_RANGES = ((0x20, 0x7E), (0xA1, 0xAC), (0xAE, 0x17F), (0x391, 0x3A1), (0x3A3, 0x3C9), (0x400, 0x45F))
_SIGNS = "–—‘’‚“”„†‡•…‰‹›€™→←−≤≥≠\ufffd\n"
_WITHOUT_LETTER = re.compile("[^" + "".join(f"{chr(first)}-{chr(last)}" for first, last in _RANGES) + _SIGNS + "]")
_KEPT = 11
"""Typst keeps what it has worked out for a document until so many others were made, some thirty megabytes for each."""


class Pen(Protocol):
    """Whoever signs pages."""

    @property
    def who(self) -> str:
        """Who signs, as their certificate says it."""

    @property
    def certificate(self) -> str:
        """SHA-256 of that certificate, in hex."""

    async def sign(self, pdf: bytes) -> bytes:
        """The PDF with a signature behind it, its own bytes unchanged."""


def printable(text: str) -> str:
    """The text as it can be printed: what has no letter in the fonts, or is no letter at all, by its number."""
    return _WITHOUT_LETTER.sub(lambda found: f"[U+{ord(found[0]):04X}]", unicodedata.normalize("NFC", text))


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {name: _printable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(item) for item in value]
    return value


def _compiler(template: str, data: Mapping[str, Any]) -> typst.Compiler:
    source = resources.files("app.evidence").joinpath(f"templates/{template}.typ").read_bytes()
    told = json.dumps(_printable(data), sort_keys=True)
    return typst.Compiler(source, font_paths=_fonts(), ignore_system_fonts=True, sys_inputs={"data": told})


@cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False)


def _forget() -> None:
    """Let typst forget the last document: of ten thousand exhibits, none is to stay in memory."""
    for _ in range(_KEPT):
        typst.Compiler(b"", font_paths=_fonts(), ignore_system_fonts=True).compile(format="pdf")


def render(template: str, data: Mapping[str, Any], at: datetime) -> bytes:
    """The PDF of one of `templates/` with these JSON values. `at`: the moment that it says it was made. Same in, same out."""
    made = _compiler(template, data).compile(format="pdf", pdf_standards=["a-3b"], timestamp=int(at.timestamp()))
    _forget()
    return bytes(made)  # type: ignore[arg-type]  # one document, since no page numbers are in a name


def pages(pdf: bytes) -> int:
    """How many pages a PDF of `render` has."""
    return pdf.count(b"/Type/Page/")
