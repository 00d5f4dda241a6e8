"""JSON as strangers write it, read with care: what two readers could read differently is a flaw, not a value.

A flaw is a key given twice (also when one is escaped or composed differently), NaN or Infinity, a number too large to
be exact (RFC 7493), or a text that no database can store; and whatever is deeper, longer or more than any alert is. A flaw
stays in the tree, so that a connector can refuse one item and keep its neighbours. Whatever the bytes are, nothing but
Malformed("$") is ever raised. The limits are of one item, the same in every process and at every replay: no settings.
"""

from __future__ import annotations

import json
import math
import unicodedata
from dataclasses import dataclass
from typing import Any

from connectors.contract import Malformed, storable

DEEPEST = 32
MOST_VALUES = 10_000
MOST_KEYS = 1_000
LONGEST_KEY = 128
"""Letters. To compose a long key costs its length squared: 80 kB of accents took six seconds."""

LONGEST_TEXT = 256 * 1024
"""Letters."""

MOST_DIGITS = 20
LARGEST_EXACT = 2**53 - 1
LONGEST_INTEGER = 17
"""Letters, with a sign: longer ones are not even converted (CPython refuses above 4,300 digits)."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """Stands in the tree where a value could not be read one way only."""

    what: str


def parse(body: bytes) -> Any:
    """The tree, with a `Flaw` wherever one is. Malformed("$") when it is no JSON in UTF-8 or nested past reading."""
    try:
        return _DECODER.decode(body.decode("utf-8"))
    except (ValueError, RecursionError):
        # UnicodeDecodeError and JSONDecodeError are ValueErrors; both carry the body, so neither is chained.
        raise Malformed("$") from None


def flawed(tree: Any, above: int = 0) -> bool:
    """Whether a flaw is anywhere in the tree, or it is too much for one item; `above`: how many levels stand around it."""
    level, depth, values = [tree], above, 0
    while level:
        depth += 1
        values += len(level)
        if values > MOST_VALUES:
            return True
        below: list[Any] = []
        for node in level:
            if isinstance(node, str):
                if not _keepable(node):
                    return True
            elif isinstance(node, (dict, list)):
                if depth > DEEPEST or not all(map(storable, node if isinstance(node, dict) else ())):
                    return True
                below.extend(node.values() if isinstance(node, dict) else node)
            elif isinstance(node, Flaw):
                return True
        level = below
    return False


def _keepable(text: str) -> bool:
    return len(text) <= LONGEST_TEXT and storable(text)


def read(body: bytes) -> Any:
    """The tree without any flaw, or Malformed("$"): for bodies of one item, where there is no neighbour to keep."""
    tree = parse(body)
    if flawed(tree):
        raise Malformed("$")
    return tree


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | Flaw:
    tree = dict(pairs)
    if len(pairs) > MOST_KEYS or max(map(len, tree), default=0) > LONGEST_KEY:
        return Flaw("there are too many keys, or one is too long")
    composed = tree if "".join(tree).isascii() else {unicodedata.normalize("NFC", key) for key in tree}
    return tree if len(composed) == len(pairs) else Flaw("a key is given twice")


def _integer(text: str) -> int | Flaw:
    if len(text) > LONGEST_INTEGER or abs(int(text)) > LARGEST_EXACT:
        return Flaw("a number is too large to be exact")
    return int(text)


def _float(text: str) -> float | Flaw:
    if len(text) > MOST_DIGITS and sum(letter.isdigit() for letter in text) > MOST_DIGITS:
        return Flaw("a number has too many digits")
    number = float(text)
    return number if math.isfinite(number) else Flaw("a number is too large")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=Flaw)
