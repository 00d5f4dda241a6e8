"""A body that comes too slowly is given up: there is a deadline for all of it, and a rate that it must keep on average.

The server waits for ever for the next byte of a body. Everything before the body is watched by `app.kit.serving`.
"""

import asyncio
import time
from collections.abc import Awaitable, Generator
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from app.kit.limits import Limits

GRACE = 5.0
"""Seconds that a sender may take for its first bytes, and be behind later on."""


def in_time(receive: Receive, limits: Limits) -> Receive:
    """`receive`, except that a body which comes too slowly raises a 408 HTTPException that ends the connection.

    Time runs from when the body is first asked for. What comes after it (that the sender hung up) may take any time.
    """
    began: float | None = None
    came, whole = 0, False

    async def timed() -> Message:
        nonlocal began, came, whole
        if whole:
            return await receive()
        if began is None:
            began = time.monotonic()
        message, coming = _begun(receive())
        if coming is not None:
            message = await _before(began + min(limits.body_seconds, GRACE + came / limits.body_rate), coming)
        came += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        return message

    return timed


def _begun(asked: Awaitable[Message]) -> tuple[Message, "_Begun | None"]:
    """What was asked for, begun at once: what is there already costs no deadline. Else nothing, and what is to be waited for."""
    steps = asked.__await__()
    try:
        return {}, _Begun(steps, next(steps))
    except StopIteration as end:
        return end.value, None


class _Begun(Awaitable[Message]):
    """Something that was begun, and has to wait."""

    def __init__(self, steps: Generator[Any, Any, Message], waits_for: Any) -> None:
        self._steps, self._waits_for = steps, waits_for

    def __await__(self) -> Generator[Any, Any, Message]:
        try:
            while True:
                try:
                    told = yield self._waits_for
                except BaseException as raised:  # a cancellation too belongs to what was begun
                    self._waits_for = self._steps.throw(raised)
                else:
                    self._waits_for = self._steps.send(told)
        except StopIteration as end:
            message: Message = end.value
            return message


async def _before(deadline: float, coming: Awaitable[Message]) -> Message:
    try:
        async with asyncio.timeout(deadline - time.monotonic()):
            return await coming
    except TimeoutError:
        raise HTTPException(408, headers={"Connection": "close"}) from None
