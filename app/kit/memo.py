"""Remember what was computed of objects that never change and are one object for each content: to hash them would cost more."""

from collections.abc import Callable, Hashable
from functools import wraps
from typing import Any, Generic, TypeVar, TypeVarTuple

Given = TypeVarTuple("Given")
R = TypeVar("R")
MOST = 4096


def by_identity(compute: Callable[[*Given], R]) -> Callable[[*Given], R]:
    """`compute`, once for the same objects. They are held, so that no other one can take their place; MOST times at once."""
    known: dict[tuple[int, ...], tuple[Any, R]] = {}

    @wraps(compute)
    def remembered(*given: *Given) -> R:
        key = tuple(map(id, given))
        found = known.get(key)
        if found is None:
            if len(known) >= MOST:
                known.clear()
            found = known[key] = (given, compute(*given))
        return found[1]

    return remembered


class Remembered(Generic[R]):
    """What was computed under keys that each say all that it follows from; so many at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[Hashable, R] = {}

    def get(self, key: Hashable, compute: Callable[[], R]) -> R:
        """What is known under a key, computed where it is not."""
        try:
            return self._known[key]
        except KeyError:
            found = compute()
        if len(self._known) >= self._most:
            self._known.clear()
        self._known[key] = found
        return found
