"""Fixtures broken on purpose: every field six ways, bad neighbours in a batch, types that nobody declared.

A body that is no JSON has no fields that are known here: it is broken by its lines and bytes (`raw`), and has no batch.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from connectors.asking import Asked
from connectors.testing import raw
from connectors.testing.cases import Case

GONE = object()
WRONG: tuple[Any, ...] = (GONE, None, 7, "", [], {})
JUNK: tuple[Any, ...] = (7, None, "x", [], {}, {"type": "never.heard.of", "id": "0"}, {"id": 5, "type": None})
UNKNOWN = "never.heard.of"
Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Retyped:
    """A fixture's body and question with the event type replaced, and the type that its event has now."""

    event_type: str
    body: bytes
    asked: Asked


def places(node: Any, at: Place = ()) -> Iterator[Place]:
    """The place of every value in a tree, outermost first."""
    items: Iterable[tuple[str | int, Any]] = ()
    if isinstance(node, dict):
        items = node.items()
    elif isinstance(node, list):
        items = enumerate(node)
    for step, value in items:
        yield (*at, step)
        yield from places(value, (*at, step))


def at(tree: Any, place: Place) -> Any:
    """What stands at a place."""
    for step in place:
        tree = tree[step]
    return tree


def altered(tree: Any, place: Place, value: Any) -> Any:
    """A copy with one value replaced, or taken out when it is GONE. An empty place is the whole."""
    if not place:
        return value
    whole = copy.deepcopy(tree)
    here = at(whole, place[:-1])
    if value is GONE:
        del here[place[-1]]
    else:
        here[place[-1]] = value
    return whole


def breakages(case: Case) -> Iterator[tuple[Place, Any, bytes]]:
    """The fixture with every field broken six ways: the place, what stands there now, and the body."""
    if not case.is_json:
        yield from (((place,), wrong, body) for place, wrong, body in raw.broken(case))
        return
    tree = json.loads(case.body)
    for place in places(tree):
        for wrong in WRONG:
            yield place, wrong, json.dumps(altered(tree, place, wrong)).encode()


def batch_place(case: Case) -> Place | None:
    """Where the fixture lists its events (empty: it is the list); None when it is one event alone, or no JSON."""
    if not case.is_json:
        return None
    tree, events = json.loads(case.body), len(case.events())
    lists = {place: here for place in ((), *places(tree)) if isinstance(here := at(tree, place), list) and len(here) == events}
    # A list of words is one of events only where there are several: a list of one word may be anything.
    kinds = (dict, str) if events > 1 else (dict,)
    return next((place for kind in kinds for place, here in lists.items() if all(isinstance(one, kind) for one in here)), None)


def is_batch(case: Case) -> bool:
    """Whether a bad item can be put beside its events: in a list, or on a line of its own."""
    return batch_place(case) is not None or case.path.suffix in raw.ROWS


def with_neighbours(case: Case, junk: Any) -> Iterator[bytes]:
    """The fixture's batch with a bad item before, between and behind its good ones; nothing when it has no batch."""
    if case.path.suffix in raw.ROWS:
        yield from raw.with_rows(case, junk)
        return
    place = batch_place(case)
    if place is None:
        return
    tree = json.loads(case.body)
    items = at(tree, place)
    for here in range(len(items) + 1):
        yield json.dumps(altered(tree, place, [*items[:here], junk, *items[here:]])).encode()


def retyped(case: Case, event_type: str) -> Retyped | None:
    """The fixture as one of another type, where the provider's own body names the type; None where it does not, or is no JSON.

    A type may be written `dialect.word`, with the dialect known from elsewhere: then the word alone is replaced.
    """
    if not case.is_json:
        return None
    dialect, dot, word = case.event.partition(".")
    if _names(case, case.event):
        return _replaced(case, case.event, event_type, event_type)
    new = event_type.removeprefix(f"{dialect}.")
    return _replaced(case, word, new, f"{dialect}.{new}") if dot and _names(case, word) else None


def _names(case: Case, word: str) -> bool:
    tree = json.loads(case.body)
    return any(at(tree, place) == word for place in places(tree))


def _replaced(case: Case, word: str, new: str, event_type: str) -> Retyped:
    body = case.body.replace(json.dumps(word).encode(), json.dumps(new).encode())
    asked = {name: new if value == word else value for name, value in case.asked.items()}
    return Retyped(event_type, body, asked)
