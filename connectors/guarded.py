"""The guard of `http`, as a transport below a library that brings an httpx client of its own (Authlib, for signing in), and as
one POST of bytes that are no JSON, to whoever attests the ledger.

Every request resolves the name anew, refuses it if even one address is not public, connects to the address that was judged, and
ends in time; the answer is read whole, within a bound. Redirects are for the client above to refuse. Raises only ProviderError.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Container, Sequence
from dataclasses import dataclass

import httpx

from connectors.answers import MOST_HEADERS, Body
from connectors.asking import ProviderError, TryLater, UnexpectedAnswer
from connectors.egress import Base, Resolver, allowed_addresses, base_of, look_up
from connectors.http import base_here, in_our_words, usual_authorities

MOST_BYTES = 512 * 1024
"""Of one answer, on the wire and unpacked: keys and descriptions of a provider are a few thousand."""

_PASSED_ON = ("accept", "authorization", "content-type")
_LIMITS = httpx.Limits(max_connections=4, max_keepalive_connections=2, keepalive_expiry=5.0)


class _OfThisMachine(Container[str]):
    """Every plain-http origin of this machine, for demonstrations on it."""

    def __contains__(self, origin: object) -> bool:
        return True


def base_for(url: str, *, at_home: bool = False) -> Base:
    """An address taken apart; NotAllowed for one that is not to be connected to. A question mark and what follows is not judged.

    `at_home`: plain http to 127.0.0.1 is allowed, too.
    """
    plain = url.partition("?")[0]
    return base_of(plain, _OfThisMachine()) if at_home else base_here(plain)


class GuardedTransport(httpx.AsyncBaseTransport):
    """See the module."""

    def __init__(
        self,
        *,
        at_home: bool = False,
        connect: float = 4.0,
        total: float = 10.0,
        most: int = MOST_BYTES,
        resolver: Resolver = look_up,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`at_home`: see `base_for`. Seconds: `connect` for the name and for each address, `total` for one whole request."""
        self._at_home, self._connect, self._total, self._most = at_home, connect, total, most
        self._resolver = resolver
        self._timeout = httpx.Timeout(total, connect=connect, pool=total).as_dict()
        self._transport = httpx.AsyncHTTPTransport(verify=tls or usual_authorities(), trust_env=False, limits=_LIMITS)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The whole answer to one request. Raises ProviderError."""
        try:
            async with asyncio.timeout(self._total):
                return await self._asked(request)
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            failure = in_our_words(error)
        # Outside of the handler: what was caught leads to the address and the headers, and would travel along.
        raise failure

    async def _asked(self, request: httpx.Request) -> httpx.Response:
        base, body = base_for(str(request.url), at_home=self._at_home), await request.aread()
        addresses = [base.host] if base.sandbox else await allowed_addresses(base.host, self._resolver, self._connect)
        response = await self._connected(request, base, addresses, body)
        try:
            return await self._read(response)
        finally:
            await response.aclose()

    async def _connected(self, request: httpx.Request, base: Base, addresses: Sequence[str], body: bytes) -> httpx.Response:
        failure: ProviderError = TryLater("The provider cannot be reached")
        for address in addresses:
            try:
                return await self._transport.handle_async_request(self._to(address, request, base, body))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = in_our_words(error)
        raise failure

    def _to(self, address: str, request: httpx.Request, base: Base, body: bytes) -> httpx.Request:
        headers = {name: value for name in _PASSED_ON if (value := request.headers.get(name)) is not None}
        host = base.origin.partition("//")[2]
        return httpx.Request(
            request.method,
            httpx.URL(
                scheme=base.origin.partition(":")[0],
                host=address,
                port=base.port if base.sandbox else None,
                raw_path=request.url.raw_path,
            ),
            headers={"host": host, "user-agent": "harmline", "accept-encoding": "gzip", **headers},
            content=body or None,
            extensions={"timeout": self._timeout, "sni_hostname": base.host},
        )

    async def _read(self, response: httpx.Response) -> httpx.Response:
        if sum(len(name) + len(value) + len(": \r\n") for name, value in response.headers.raw) > MOST_HEADERS:
            raise UnexpectedAnswer("The provider's answer has too large headers")
        body = Body(response.headers.get_list("content-encoding"), wire=self._most, inflated=self._most)
        async for chunk in response.aiter_raw():
            body.feed(chunk)
        kept = {"content-type": response.headers.get("content-type", "")}
        return httpx.Response(response.status_code, headers=kept, content=body.whole())


@dataclass(frozen=True, slots=True)
class Posted:
    """What came back. `media_type`: in small letters, without its parameters."""

    status: int
    media_type: str
    body: bytes


async def post(transport: GuardedTransport, url: str, body: bytes, *, media_type: str, accept: str = "*/*") -> Posted:
    """POST these exact bytes; any status is an answer, also a redirect, which is not followed. Raises ProviderError."""
    headers = {"content-type": media_type, "accept": accept}
    answer = await transport.handle_async_request(httpx.Request("POST", url, headers=headers, content=body))
    said = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Posted(answer.status_code, said, answer.content)
