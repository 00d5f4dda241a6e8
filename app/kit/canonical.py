"""JSON in canonical form (RFC 8785), quickly where nothing in it can be written in two ways."""

from collections.abc import Iterable
from typing import Any

import msgspec
import rfc8785

_LARGEST = 2**53 - 1
_plain = msgspec.json.Encoder(order="sorted").encode


def dumps(value: Any) -> bytes:
    """The canonical bytes. Raises rfc8785.CanonicalizationError for what has none (NaN, half a surrogate pair, huge numbers).

    ASCII names, whole texts, whole numbers, truth values and null are written by msgspec, which puts them as RFC 8785 does;
    tests hold the two side by side. Anything else goes to the library.
    """
    return _plain(value) if _is_plain(value) else rfc8785.dumps(value)


def dumps_simple(value: Any) -> bytes:
    """`dumps` for a value that is known to hold no fraction, no large number, and ASCII names only."""
    return _plain(value)


def _is_plain(value: Any) -> bool:
    found = [value]
    for one in found:  # grows while it is read
        kind = type(one)
        if kind is str:
            if not one.isascii():
                return False
        elif kind is dict:
            if not _are_plain_names(one):
                return False
            found.extend(one.values())
        elif kind is list or kind is tuple:
            found.extend(one)
        elif kind is int or kind is bool:
            if not -_LARGEST <= one <= _LARGEST:
                return False
        elif one is not None and not (isinstance(one, str) and one.isascii()):  # a word of an enumeration
            return False
    return True


def _are_plain_names(names: Iterable[Any]) -> bool:
    try:
        return "".join(names).isascii()
    except TypeError:  # not all of them are texts
        return False
