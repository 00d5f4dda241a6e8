"""JSON as strangers write it, read with care: what two readers could read differently is a flaw, not a value.

A flaw is a key given twice (also when one is escaped or composed differently), NaN or Infinity, a number too large to
be exact (RFC 7493), or a text that no database can store. A flaw stays in the tree, so that a connector can refuse one
item and keep its neighbours. Whatever the bytes are, nothing but Malformed("$") is ever raised.
"""

from __future__ import annotations

import json
import math
import unicodedata
from dataclasses import dataclass
from typing import Any

from connectors.contract import Malformed, storable

DEEPEST = 32
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
        return json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=Flaw,
        )
    except (ValueError, RecursionError):
        # UnicodeDecodeError and JSONDecodeError are ValueErrors; both carry the body, so neither is chained.
        raise Malformed("$") from None


def flawed(tree: Any, above: int = 0) -> bool:
    """Whether a flaw is anywhere in the tree, or it nests deeper than 32 counting the `above` levels around it."""
    level, depth = [tree], above
    while level:
        depth += 1
        below: list[Any] = []
        for node in level:
            if isinstance(node, Flaw) or (isinstance(node, str) and not storable(node)):
                return True
            if isinstance(node, dict | list) and depth > DEEPEST:
                return True
            if isinstance(node, dict):
                below.extend(node.keys())
                below.extend(node.values())
            elif isinstance(node, list):
                below.extend(node)
        level = below
    return False


def read(body: bytes) -> Any:
    """The tree without any flaw, or Malformed("$"): for bodies of one item, where there is no neighbour to keep."""
    tree = parse(body)
    if flawed(tree):
        raise Malformed("$")
    return tree


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | Flaw:
    if len({unicodedata.normalize("NFC", key) for key, _ in pairs}) != len(pairs):
        return Flaw("a key is given twice")
    return dict(pairs)


def _integer(text: str) -> int | Flaw:
    if len(text) > LONGEST_INTEGER or abs(int(text)) > LARGEST_EXACT:
        return Flaw("a number is too large to be exact")
    return int(text)


def _float(text: str) -> float | Flaw:
    number = float(text)
    return number if math.isfinite(number) else Flaw("a number is too large")
