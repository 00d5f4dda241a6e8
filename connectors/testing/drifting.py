"""Schema drift: fixtures as a provider might send them after a change that it told nobody of. Seeded, so repeatable.

Whatever is made up holds MARK, so that a message that quotes a value or an unknown name can be told. What is no JSON drifts by
its lines and bytes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from connectors.testing import raw
from connectors.testing.breaking import GONE, Place, altered, at, places
from connectors.testing.cases import Case
from connectors.testing.raw import MARK

_TWICE = f"\x01{MARK}"
"""Behind a key that is to be given twice; taken out once the JSON is written."""

_TEXTS = (
    MARK,
    f" {MARK} ",
    f"{MARK}\x00",
    f"{MARK}\ud800",
    f"\u202e{MARK}\u200b\u0301",
    f"{MARK} 日本 \U0001f9fe",
    f"<script>{MARK}</script>",
    f"=cmd|'{MARK}'!A0",
    MARK * 2000,
)
_ODD = (
    "",
    " ",
    "null",
    "NaN",
    "-1",
    "1e400",
    "0000-00-00",
    "2023-13-45",
    "9999-12-31T23:59:60Z",
    "0001-01-01T00:00:00+23:59",
    "12/31/2023",
    "20230230",
    "$1,000.00",
    "000000655",
    "١٢٣",
)
_NUMBERS = (0, -1, 1, 3.5, -0.0, 2**31, 2**53, 2**63, 10**30, 1e308, 1_700_000_000, 1_700_000_000_000, float("nan"), float("inf"))


def drifted(case: Case, dice: random.Random) -> bytes:
    """The fixture after one to three changes of its fields, and now and then one of its bytes."""
    if not case.is_json:
        return raw.drifted(case, dice)
    tree = json.loads(case.body)
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        tree = changed(tree, dice)
    body = written(tree)
    return dice.choice(_BYTES)(body, dice) if dice.random() < 0.12 else body


def drifts(case: Case, count: int, seed: str) -> Iterator[bytes]:
    """So many of them; the same ones for the same seed."""
    dice = random.Random(f"{seed} {case}")
    for _ in range(count):
        yield drifted(case, dice)


def shared(total: int, known: int) -> int:
    """How many of `total` fall to each of so many fixtures: rounded up, so that it is never fewer in all."""
    return -(-total // known)


def changed(tree: Any, dice: random.Random) -> Any:
    """The tree with one field dropped, renamed, of another type, nested deeper, given twice, repeated or beside a new one."""
    known = list(places(tree))
    if not known:
        return MARK
    place = dice.choice(known)
    return dice.choice(_CHANGES)(tree, place, dice)


def written(tree: Any) -> bytes:
    """The tree as JSON, with its NaNs and its keys that are given twice."""
    return json.dumps(tree, ensure_ascii=True).replace(json.dumps(_TWICE)[1:-1], "").encode()


def _drop(tree: Any, place: Place, _: random.Random) -> Any:
    return altered(tree, place, GONE)


def _retype(tree: Any, place: Place, dice: random.Random) -> Any:
    kinds: tuple[Any, ...] = (*_TEXTS, *_ODD, *_NUMBERS, None, True, False, [], {}, [MARK], {MARK: MARK})
    return altered(tree, place, dice.choice(kinds))


def _reform(tree: Any, place: Place, dice: random.Random) -> Any:
    """The same value written another way: a number as text, another case, blanks around it."""
    value = at(tree, place)
    if isinstance(value, str):
        forms = [
            value.upper(),
            value.lower(),
            value.title(),
            f" {value}",
            f"{value}\n",
            value[::-1],
            value * 2,
            value[:-1],
            value + MARK,
        ]
        return altered(tree, place, dice.choice(forms))
    if isinstance(value, int | float):
        return altered(tree, place, dice.choice([str(value), -value, value * 1000, value / 7, [value], bool(value)]))
    return altered(tree, place, json.dumps(value))


def _nest(tree: Any, place: Place, dice: random.Random) -> Any:
    value = at(tree, place)
    deep = value
    for _ in range(40):
        deep = [deep]
    return altered(tree, place, dice.choice([[value], {"value": value}, {MARK: [value]}, [[value, value]], deep]))


def _rename(tree: Any, place: Place, dice: random.Random) -> Any:
    name = place[-1]
    if not isinstance(name, str):
        return _repeat(tree, place, dice)
    new = dice.choice([name.upper(), name.lower(), name.title(), f"{name}_", f"{MARK}.{name}", f"new{MARK}", f" {name}"])
    parent = at(tree, place[:-1])
    return altered(tree, place[:-1], {(new if key == name else key): value for key, value in parent.items()})


def _twice(tree: Any, place: Place, dice: random.Random) -> Any:
    name, parent = place[-1], at(tree, place[:-1])
    if not isinstance(name, str):
        return _repeat(tree, place, dice)
    again = dice.choice([parent[name], MARK, None])
    return altered(tree, place[:-1], {**parent, name + _TWICE: again})


def _repeat(tree: Any, place: Place, dice: random.Random) -> Any:
    """An item of a list again, all of them backwards, or one among them that is none; of anything else, the whole as a list."""
    parent, step = at(tree, place[:-1]), place[-1]
    if not isinstance(parent, list):
        return [tree]
    items = dice.choice([[*parent, parent[int(step)]], parent[::-1], [MARK, *parent], [*parent, {MARK: 1}, None]])
    return altered(tree, place[:-1], items)


def _extra(tree: Any, place: Place, dice: random.Random) -> Any:
    value = at(tree, place)
    if not isinstance(value, dict):
        return _retype(tree, place, dice)
    return altered(tree, place, {**value, dice.choice([MARK, "", "type", "id", "__class__"]): dice.choice([MARK, 1, None, {}])})


def _swap(tree: Any, place: Place, dice: random.Random) -> Any:
    other = dice.choice(list(places(tree)))
    return altered(tree, place, at(tree, other))


_CHANGES: tuple[Callable[[Any, Place, random.Random], Any], ...] = (
    _drop,
    _retype,
    _retype,
    _reform,
    _nest,
    _rename,
    _twice,
    _repeat,
    _extra,
    _swap,
)


def _cut_off(body: bytes, dice: random.Random) -> bytes:
    return body[: dice.randrange(len(body))]


def _flipped(body: bytes, dice: random.Random) -> bytes:
    place = dice.randrange(len(body))
    return body[:place] + bytes([dice.randrange(256)]) + body[place + 1 :]


_BYTES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _cut_off,
    _flipped,
    lambda body, _: b"\xef\xbb\xbf" + body,
    lambda body, _: body + b"}",
    lambda body, _: body + b"\n" + body,
    lambda body, _: body.decode().encode("utf-16"),
    lambda body, _: body.replace(b'"', b"'"),
    lambda body, _: b"<!doctype html>" + body,
    lambda _, __: b"",
    lambda _, __: b" \n",
    lambda body, _: b"[" * 100_000 + body,
)
