"""JSON in canonical form (RFC 8785), quickly where nothing in it can be written in two ways."""

import json
from typing import Any

import rfc8785

_LARGEST = 2**53 - 1


def dumps(value: Any) -> bytes:
    """The canonical bytes. Raises rfc8785.CanonicalizationError for what has none (NaN, half a surrogate pair, huge numbers).

    ASCII texts, whole numbers, truth values and null are written by the C encoder, which puts them as RFC 8785 does; tests
    hold the two side by side. Anything else goes to the library.
    """
    if _is_plain(value):
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("ascii")
    return rfc8785.dumps(value)


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return value.isascii()
    if value is None or value is True or value is False:
        return True
    if isinstance(value, int):
        return -_LARGEST <= value <= _LARGEST
    if isinstance(value, dict):
        return all(isinstance(name, str) and name.isascii() and _is_plain(held) for name, held in value.items())
    return isinstance(value, list | tuple) and all(map(_is_plain, value))
