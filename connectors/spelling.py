"""How what proves a delivery is spelled, in headers and in secrets: nothing that can be read in two ways counts."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Set


def shown_in(headers: Mapping[str, str], names: Set[str]) -> dict[str, str]:
    """The text of each of these headers (lower-case) that is there, "" where it comes more than once: two answers are none."""
    shown: dict[str, str] = {}
    for key, value in headers.items():
        name = key.lower()
        if name in names:
            shown[name] = "" if name in shown else value
    return shown


def header(headers: Mapping[str, str], name: str) -> str:
    """The header's text, "" when it is missing or comes more than once."""
    return shown_in(headers, {name.lower()}).get(name.lower(), "")


def wire(text: str) -> bytes:
    """A header's bytes as they came: servers decode them as Latin-1. Other text never came by wire, matches nothing."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return b""


def utf8(text: str) -> bytes:
    """A secret's bytes, whatever text it is."""
    return text.encode("utf-8", "surrogatepass")


def is_written(text: str) -> bool:
    """Not blank. NULs are blank too: HMAC pads with them, so a key of NULs is the empty key."""
    return any(letter.isprintable() and not letter.isspace() for letter in text)


def canonical_base64(text: str) -> bytes | None:
    """Base64 in its one canonical spelling: Python decodes three others of a 32-byte value to the same bytes."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None
    return raw if base64.b64encode(raw).decode("ascii") == text else None
