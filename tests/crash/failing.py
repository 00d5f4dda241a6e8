"""Makes the n-th step of something fail: a call of the database or of a provider (before or after it was done), or any await."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, TypeVar

import httpx
import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session

from app.kit.at_once import AtOnce

T = TypeVar("T")


class Way(StrEnum):
    """How a step fails. BEFORE, AFTER: the store is gone, before or after the call. CANCELLED: whoever waits is cancelled there.

    UNSENT, UNHEARD: from the n-th request to a provider on its line is gone, before it was sent or before its answer came.
    """

    BEFORE = "before the call"
    AFTER = "after the call"
    CANCELLED = "cancelled"
    UNSENT = "request not sent"
    UNHEARD = "answer not heard"


class Steps:
    """Counts the steps; the n-th one fails, once. `happened` says whether there was an n-th step at all."""

    def __init__(self, fails_at: int) -> None:
        self.left = fails_at
        self.happened = False

    def step(self) -> bool:
        """Whether this is the one."""
        self.left -= 1
        self.happened = self.happened or self.left == 0
        return self.left == 0


def store_is_gone() -> OperationalError:
    """What SQLAlchemy raises when the database goes away in the middle."""
    return OperationalError("the n-th call", {}, ConnectionResetError("invented"))


@contextmanager
def failing_database(engine: AsyncEngine, steps: Steps, way: Way) -> Iterator[None]:
    """Every statement and every commit of an engine is a step, in whatever task it runs."""

    def fail(*_: Any) -> None:
        if steps.step():
            raise store_is_gone()

    def committed(session: Session) -> None:
        if session.get_bind().engine is engine.sync_engine and steps.step():
            raise store_is_gone()

    if way is Way.BEFORE:
        hooks: list[tuple[Any, str, Callable[..., None]]] = [
            (engine.sync_engine, "before_cursor_execute", fail),
            (engine.sync_engine, "commit", fail),
        ]
    else:
        hooks = [(engine.sync_engine, "after_cursor_execute", fail), (Session, "after_commit", committed)]
    for target, name, hook in hooks:
        event.listen(target, name, hook)
    try:
        with _failing_at_once(fail, way):
            yield
    finally:
        for target, name, hook in hooks:
            event.remove(target, name, hook)


@contextmanager
def _failing_at_once(fail: Callable[..., None], way: Way) -> Iterator[None]:
    """A statement that is a transaction of its own is one step."""
    fetch = AtOnce.fetch

    async def failing(self: AtOnce, statement: str, *values: Any) -> list[Any]:
        if way is Way.BEFORE:
            fail()
        rows = await fetch(self, statement, *values)
        if way is Way.AFTER:
            fail()
        return rows

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(AtOnce, "fetch", failing)
        yield


@contextmanager
def failing_line(steps: Steps, way: Way) -> Iterator[None]:
    """Every request to a provider is a step; after the one that fails every other does, too."""
    ask = httpx.AsyncHTTPTransport.handle_async_request

    async def failing(self: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        gone = steps.step() or steps.happened
        if gone and way is Way.UNSENT:
            raise httpx.ConnectError("invented", request=request)
        response = await ask(self, request)
        if gone:
            await response.aclose()
            raise httpx.ReadError("invented", request=request)
        return response

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(httpx.AsyncHTTPTransport, "handle_async_request", failing)
        yield


class _Driven(Awaitable[T]):
    """A coroutine whose every suspension is a step. The one that fails is cancelled there, as asyncio does it."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], steps: Steps) -> None:
        self._coroutine, self._steps = coroutine, steps

    def __await__(self) -> Generator[Any, Any, T]:
        value: Any = None
        error: BaseException | None = None
        while True:
            try:
                waits_for = self._coroutine.throw(error) if error is not None else self._coroutine.send(value)
            except StopIteration as end:
                done: T = end.value
                return done
            value, error = None, None
            if self._steps.step() and not (isinstance(waits_for, asyncio.Future) and waits_for.cancel()):
                error = asyncio.CancelledError()
                continue
            try:
                value = yield waits_for
            except BaseException as raised:  # whatever comes, a cancellation too, belongs to the coroutine within
                error = raised


async def cancelled_at(coroutine: Coroutine[Any, Any, T], steps: Steps) -> T:
    """Run a coroutine by hand; its n-th await raises CancelledError. What it started in tasks of their own goes on."""
    return await _Driven(coroutine, steps)
