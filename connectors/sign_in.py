"""Tokens of providers that want a sign-in first: kept until shortly before they end, fetched one at a time."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Hashable
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from types import FunctionType

from connectors.asking import CredentialsRefused, Login, UnexpectedAnswer

EARLY = 30.0
"""Seconds before its end that a token is no longer used; half its life for one that is shorter than a minute."""

REFUSED_FOR = 60.0
"""Seconds that a refused sign-in is not tried again: repeated ones lock accounts."""

MOST_KEPT = 1000

_running: ContextVar[frozenset[Hashable]] = ContextVar("sign_ins_running", default=frozenset())


def signing_in() -> bool:
    """Whether a sign-in is what is being asked just now: asking twice for a token harms nobody."""
    return bool(_running.get())


def key_of(login: Login) -> Hashable:
    """What makes two sign-ins the same: their code and all that they were made with.

    A name would not do: sign-ins of two people are made by the same function, and one must never get the other's token.
    Holds good while one of them lives: what cannot be compared is the same only as itself.
    """
    if isinstance(login, partial):
        return (login.func, *map(_part, login.args), *((name, _part(login.keywords[name])) for name in sorted(login.keywords)))
    if not isinstance(login, FunctionType):
        return _part(login)  # a method, say: Python compares its object and its function
    try:
        inside = [cell.cell_contents for cell in login.__closure__ or ()]
    except ValueError:  # one is not filled yet
        return _part(login)
    defaults = [*(login.__defaults__ or ()), *(login.__kwdefaults__ or {}).values()]
    return (login.__code__, *map(_part, inside), *map(_part, defaults))


def _part(value: object) -> Hashable:
    try:
        hash(value)
    except TypeError:
        return ("itself", id(value))
    return value


@dataclass(slots=True)
class _Kept:
    """One sign-in's token, and until when it, or its refusal, holds."""

    login: Login  # held, so that no other callable takes over the identity of a key
    one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    token: str = field(default="", repr=False)
    until: float = -math.inf
    refused_until: float = -math.inf


class Tokens:
    """The tokens of one connection."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` in seconds, never back."""
        self._clock = clock
        self._kept: dict[Hashable, _Kept] = {}

    async def get(self, login: Login) -> str:
        """A token that is good for now. CredentialsRefused, also for a while after; else what `login` raises."""
        key = key_of(login)
        running = _running.get()
        if key in running:
            raise UnexpectedAnswer("The sign-in needs itself")
        kept = self._kept.get(key) or self._room_for(key, login)
        async with kept.one_at_a_time:
            if self._clock() < kept.refused_until:
                raise CredentialsRefused("The provider refused the sign-in a moment ago")
            if self._clock() >= kept.until:
                before = _running.set(running | {key})
                try:
                    token, seconds = await login()
                except CredentialsRefused:
                    kept.refused_until = self._clock() + REFUSED_FOR
                    raise
                finally:
                    _running.reset(before)
                kept.token, kept.until = token, self._clock() + _usable(seconds)
            return kept.token

    def forget(self, login: Login, token: str) -> None:
        """The provider refused this token: fetch another, unless somebody has done so already."""
        kept = self._kept.get(key_of(login))
        if kept is not None and kept.token == token:
            kept.until = -math.inf

    def _room_for(self, key: Hashable, login: Login) -> _Kept:
        if len(self._kept) >= MOST_KEPT:
            now = self._clock()
            ended = [old for old, kept in self._kept.items() if max(kept.until, kept.refused_until) <= now]
            for old in ended or list(self._kept)[:1]:
                del self._kept[old]
        return self._kept.setdefault(key, _Kept(login))


def _usable(seconds: float) -> float:
    return max(seconds - EARLY, seconds / 2) if math.isfinite(seconds) and seconds > 0 else 0.0
