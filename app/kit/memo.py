"""Remember what was computed of objects that never change and are one object for each content: to hash them would cost more."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
MOST = 4096


def by_identity(compute: Callable[[T], R]) -> Callable[[T], R]:
    """`compute`, once for each object. The objects are held, so that no other one can take their place; MOST of them at once."""
    known: dict[int, tuple[T, R]] = {}

    @wraps(compute)
    def remembered(value: T) -> R:
        found = known.get(id(value))
        if found is None:
            if len(known) >= MOST:
                known.clear()
            found = known[id(value)] = (value, compute(value))
        return found[1]

    return remembered
