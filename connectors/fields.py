"""Fields of a payload that may be left out, read in one way. What is wrong is Malformed with its name."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from connectors.claimed import interval
from connectors.contract import Interval, Malformed, pick, storable

LONGEST_ID = 200
LONGEST_TEXT = 2000


def text(body: Mapping[str, Any], name: str) -> str | None:
    """A text that may be left out; a blank one is none, a longer one than can be kept is cut."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not storable(value):
        raise Malformed(name)
    return value.strip()[:LONGEST_TEXT] or None


def identifier(body: Mapping[str, Any], name: str) -> str:
    """A text that must be there, and must not be longer than an id can be."""
    value = text(body, name)
    if value is None or len(value) > LONGEST_ID:
        raise Malformed(name)
    return value


def binary(body: Mapping[str, Any], name: str) -> bytes:
    """Bytes that stand in an event as base64, as events are kept as JSON; they must be there."""
    try:
        return base64.b64decode(pick(body, name, str), validate=True)
    except (binascii.Error, ValueError):
        raise Malformed(name) from None


def last_digits(number: str | None) -> str | None:
    """The last two to four digits of an account's number, masked or not; None when it does not end in any."""
    found = re.search(r"[0-9]{2,4}\Z", re.sub(r"[ -]", "", number or ""))
    return found[0] if found else None


def moment(body: Mapping[str, Any], name: str) -> Interval | None:
    """The provider's claim of when, if it makes one: see `claimed.interval`."""
    claim = text(body, name)
    try:
        return None if claim is None else interval(claim)
    except ValueError:
        raise Malformed(name) from None
