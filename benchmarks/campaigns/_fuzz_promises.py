"""What every target of the fuzzing is made of: a promise, what breaks it, and real-shaped bytes to begin with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")
Target = Callable[[bytes], None]


class Finding(Exception):
    """A promise was broken without an error of Python's own."""


def require(promise: bool, words: str) -> None:
    """Raise a Finding unless the promise is kept."""
    if not promise:
        raise Finding(words)


@dataclass(frozen=True)
class Fuzzed:
    """One target, and real-shaped bytes to begin with."""

    run: Target
    seeds: tuple[bytes, ...]


def finished(work: Coroutine[Any, Any, T]) -> T:
    """What comes of work that waits for nothing: all that it asks for is there. No loop, which would cost more than the work."""
    try:
        work.send(None)
    except StopIteration as end:
        found: T = end.value
        return found
    work.close()
    raise Finding("it waits for something")


@cache
def loop() -> asyncio.AbstractEventLoop:
    """The one loop of a process, for work that cannot do without."""
    return asyncio.new_event_loop()
