"""A body that comes too slowly is given up: there is a deadline for all of it, and a rate that it must keep on average.

The server waits for ever for the next byte of a body. Everything before the body is watched by `app.kit.serving`.
"""

import asyncio

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
            began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(began + min(limits.body_seconds, GRACE + came / limits.body_rate)):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, headers={"Connection": "close"}) from None
        came += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        return message

    return timed
