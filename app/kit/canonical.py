"""JSON in its one canonical form (RFC 8785). What holds no fraction and no rare letter in a name is written by the C encoder."""

import json
from typing import Any

import rfc8785

_LARGEST = 2**53 - 1

_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), check_circular=False).encode


def dumps(value: Any) -> bytes:
    """The same bytes as `rfc8785.dumps`, and the same errors. Raises rfc8785.CanonicalizationError."""
    if _plain(value):
        try:
            return _encode(value).encode()
        except UnicodeEncodeError:  # a lone surrogate: the other one says so in its own words
            pass
    return rfc8785.dumps(value)


def dumps_simple(value: Any) -> bytes:
    """`dumps` for a value that is known to hold no fraction, no large number, and ASCII names only."""
    return _encode(value).encode()


def _plain(value: Any) -> bool:
    """Whether the C encoder writes a value as RFC 8785 does: no fraction, no other class, names sorted the same either way."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        return abs(int(value)) <= _LARGEST
    if kind is dict:
        return all(type(name) is str and name.isascii() and _plain(item) for name, item in value.items())
    if kind is list or kind is tuple:
        return all(map(_plain, value))
    return isinstance(value, str)
