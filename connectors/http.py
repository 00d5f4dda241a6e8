"""The one outgoing HTTP client, and the one module that imports httpx.

Every request has deadlines, also in total (httpx alone has none); redirects are not followed, the environment's proxies
and netrc are not read, and no address is written to a log: a webhook's address holds its token.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

Client = httpx.AsyncClient
Response = httpx.Response
HttpError = httpx.HTTPError

# Both write whole addresses, at INFO and DEBUG.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class _WithDeadline(httpx.AsyncClient):
    """httpx, with one deadline over connecting, sending and reading the whole answer."""

    def __init__(self, *, total: float, **options: Any) -> None:
        super().__init__(**options)
        self._total = total

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        try:
            async with asyncio.timeout(self._total):
                return await super().send(request, **options)
        except TimeoutError:
            raise httpx.TimeoutException("no whole answer in time", request=request) from None


def client(
    *,
    connect: float = 5.0,
    read: float = 10.0,
    total: float = 30.0,
    base_url: str = "",
    headers: Mapping[str, str] | None = None,
) -> Client:
    """A client to be closed by its owner (`async with`). Seconds. Raises HttpError on anything but an answer."""
    return _WithDeadline(
        total=total,
        timeout=httpx.Timeout(read, connect=connect),
        base_url=base_url,
        headers={"user-agent": "harmline", **(headers or {})},
        follow_redirects=False,
        trust_env=False,
    )


_sandboxes: set[str] = set()


@contextmanager
def sandbox_allowed(origin: str) -> Iterator[None]:
    """Let the provider client reach one plain-http origin of this machine, in this process only; no setting can do that."""
    _sandboxes.add(origin)
    try:
        yield
    finally:
        _sandboxes.discard(origin)
