"""The one outgoing HTTP client. Only this module and `guarded` import httpx.

Every request has deadlines, also in total (httpx alone has none); redirects are not followed, the environment's proxies
and netrc are not read, and no address is written to a log: a webhook's address holds its token. `client` is for the house's
own tools; whatever an admin configured is asked by `ProviderClient`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from json import dumps
from types import MappingProxyType
from typing import Any

import httpx
import stamina
import stamina.instrumentation

from connectors.answers import (
    LONGEST_PATIENCE,
    MOST_HEADERS,
    Body,
    PerhapsDone,
    TokenRefused,
    out_of_quota,
    patience,
    refusal,
    require_file,
    require_meaning,
)
from connectors.asking import Answer, Login, NotAllowed, ProviderError, TryLater, UnexpectedAnswer
from connectors.egress import Resolver, allowed_addresses, look_up
from connectors.here import base_here as base_here
from connectors.here import require_base as require_base
from connectors.here import sandbox_allowed as sandbox_allowed
from connectors.pace import Pace, Paced
from connectors.sign_in import Tokens, signing_in

Client = httpx.AsyncClient
Response = httpx.Response
HttpError = httpx.HTTPError

_USER_AGENT = "harmline"
_LIMITS = httpx.Limits(max_connections=8, max_keepalive_connections=2, keepalive_expiry=30.0)
_FILES_TAKE = 3  # times as long as any other answer
_HEADERS_TOO_LARGE = 431  # h11's hint when a head does not end
_TOO_LARGE_HEADERS = "The provider's answer has too large headers"
_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_OURS = frozenset(
    {
        *("host", "content-length", "transfer-encoding", "accept-encoding", "cookie", "expect", "te", "trailer", "upgrade"),
        *("connection", "keep-alive", "proxy-authorization", "proxy-connection"),
    }
)

# Both write whole addresses, at INFO and DEBUG.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)
# What is tried again is told by the connection's health; stamina's own line would name neither.
stamina.instrumentation.set_on_retry_hooks(())


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
        headers={"user-agent": _USER_AGENT, **(headers or {})},
        follow_redirects=False,
        trust_env=False,
    )


@dataclass(frozen=True, slots=True, repr=False)
class _Request:
    """One request, ready to be sent; holds secrets, so it is shown nowhere."""

    method: str
    target: bytes
    headers: Mapping[str, str]
    content: bytes | None
    may_miss: bool
    repeatable: bool
    told_only: bool = False
    file: tuple[str, int] | None = None
    """The media type and the most bytes of what is no JSON."""


class ProviderClient(Paced):
    """Asks one provider, below one base address, and nobody else: `connectors.asking.Http`. Raises only ProviderError.

    - Every request resolves the name anew, refuses it if even one address is not public, and connects to the address that
      was judged; certificate and Host are the name's. Redirects, proxies, netrc and cookies do not exist here.
    - Whatever may pass is tried again, a few times, with full jitter. A POST is, only where nothing was done with it or
      while signing in: nobody is harmed by a second token.
    - What the provider asks for by Retry-After holds for all requests of this client.
    - An empty body is an answer only with status 204, or with a 404 that the caller takes for one.
    """

    def __init__(
        self,
        base_url: str,
        *,
        requests_per_minute: float,
        now: Callable[[], datetime],
        connect: float = 5.0,
        read: float = 10.0,
        total: float = 30.0,
        attempts: int = 3,
        backoff: float = 0.5,
        longest_wait: float = 5.0,
        resolver: Resolver = look_up,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """To be closed by its owner. NotAllowed for a base address that is not one; see `egress.base_of`.

        Seconds: `connect` for the name and for each address, `read` between two pieces, `total` for one attempt; none begins
        later than `total` after the first. `backoff`: the first one's upper bound. `longest_wait`: how long a Retry-After
        may be to be waited for in place. `now`: aware. `tls`: whom to trust; the usual authorities when None.
        """
        self._base = base_here(base_url)
        self._now = now
        self._connect, self._total = connect, total
        self._attempts, self._backoff, self._longest_wait = attempts, backoff, longest_wait
        self._resolver = resolver
        super().__init__(Pace(requests_per_minute, longest_hold=longest_wait))
        self._tokens = Tokens()
        self._timeout = httpx.Timeout(read, connect=connect, pool=total).as_dict()
        self._transport = httpx.AsyncHTTPTransport(verify=tls or usual_authorities(), trust_env=False, limits=_LIMITS)
        self._reached: str | None = None

    async def __aenter__(self) -> ProviderClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def get(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        login: Login | None = None,
        may_miss: bool = False,
    ) -> Answer:
        """See `Http.get`. `path` is already quoted: a name inside it by `urllib.parse.quote(name, safe="")`."""
        target = self._base.target(path, params)
        request = _Request("GET", target, _checked(headers), None, may_miss, repeatable=True)
        return await self._ask(request, login)

    async def post(self, path: str, *, json: Any, headers: Mapping[str, str] | None = None, login: Login | None = None) -> Answer:
        """See `Http.post`."""
        content = _written(json)
        head = {**_checked(headers), "content-type": "application/json"}
        request = _Request("POST", self._base.target(path), head, content, False, repeatable=signing_in())
        return await self._ask(request, login)

    async def download(
        self,
        path: str,
        *,
        media_type: str,
        most: int,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """See `Http.download`."""
        head, target = {**_checked(headers), "accept": media_type}, self._base.target(path, params)
        return await self._ask(_Request("GET", target, head, None, False, repeatable=True, file=(media_type, most)), None)

    async def notify(self, body: bytes, *, headers: Mapping[str, str]) -> None:
        """POST these exact bytes to the base address itself; any 2xx will do, and what it says is not read.

        For messages that carry an id of their own, and may therefore be sent again whenever the answer is lost.
        """
        request = _Request("POST", self._base.target(""), _checked(headers), body, False, repeatable=True, told_only=True)
        await self._repeat(request)

    async def _ask(self, request: _Request, login: Login | None) -> Answer:
        if login is None:
            return await self._repeat(request)
        token = await self._tokens.get(login)
        with suppress(TokenRefused):
            return await self._repeat(_with_token(request, token))
        self._tokens.forget(login, token)
        return await self._repeat(_with_token(request, await self._tokens.get(login)))

    async def _repeat(self, request: _Request) -> Answer:
        tried = 0

        def worth_it(error: Exception) -> bool | float:
            if not isinstance(error, TryLater) or (isinstance(error, PerhapsDone) and not request.repeatable):
                return False
            if error.seconds is not None and error.seconds > self._longest_wait:
                return False
            # Full jitter; what Retry-After asked for is kept by the pace.
            return random.uniform(0, min(self._longest_wait, self._backoff * 2 ** (tried - 1)))  # noqa: S311

        async for attempt in stamina.retry_context(on=worth_it, attempts=self._attempts, timeout=self._total):
            with attempt:
                tried = attempt.num
                return await self._attempt(request)
        raise AssertionError("there is always a first attempt")

    async def _attempt(self, request: _Request) -> Answer:
        await self._pace.turn()
        try:
            async with asyncio.timeout(_FILES_TAKE * self._total if request.file else self._total):
                return await self._send(request)
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            failure = in_our_words(error)
        # Outside of the handler: what was caught leads to the address and the headers, and would travel along.
        raise failure

    async def _send(self, request: _Request) -> Answer:
        response = await self._connected(request, await self._addresses())
        try:
            return await self._read(response, request)
        finally:
            await response.aclose()

    async def _addresses(self) -> Sequence[str]:
        if not self._base.sandbox:
            found = await allowed_addresses(self._base.host, self._resolver, self._connect)
            # The one that answered last time first, if it is still one of them.
            return sorted(found, key=lambda address: address != self._reached)
        base_here(self._base.origin)  # it may be closed by now
        return [self._base.host]

    async def _connected(self, request: _Request, addresses: Sequence[str]) -> httpx.Response:
        """The answer's head, from the first address that lets us in."""
        failure: ProviderError = TryLater("The provider cannot be reached")
        for address in addresses:
            try:
                response = await self._transport.handle_async_request(self._to(address, request))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = in_our_words(error)
            else:
                self._reached = address
                return response
        raise failure

    def _to(self, address: str, request: _Request) -> httpx.Request:
        base = self._base
        port = base.port if base.sandbox else None
        headers = {
            "host": base.origin.partition("//")[2],
            "user-agent": _USER_AGENT,
            "accept": "application/json",
            "accept-encoding": "gzip",
            **request.headers,
        }
        return httpx.Request(
            request.method,
            httpx.URL(scheme=base.origin.partition(":")[0], host=address, port=port, raw_path=request.target),
            headers=headers,
            content=request.content,
            extensions={"timeout": self._timeout, "sni_hostname": base.host},
        )

    async def _read(self, response: httpx.Response, request: _Request) -> Answer:
        if sum(len(name) + len(value) + len(": \r\n") for name, value in response.headers.raw) > MOST_HEADERS:
            raise UnexpectedAnswer(_TOO_LARGE_HEADERS)
        if out_of_quota(response.status_code, response.headers.get("x-amzn-errortype", "")):
            raise TryLater("The provider says that the quota of our key is used up (status 429)", LONGEST_PATIENCE)
        seconds = patience(response.headers.get_list("retry-after"), response.headers.get("date"), self._now())
        refused = refusal(response.status_code, seconds, may_miss=request.may_miss)
        if refused is not None:
            if isinstance(refused, TryLater) and seconds:
                self._pace.hold(seconds)
            raise refused
        if request.told_only:
            return Answer(response.status_code, MappingProxyType({}), b"")
        most = {"wire": request.file[1], "inflated": request.file[1]} if request.file else {}
        body = Body(response.headers.get_list("content-encoding"), **most)
        async for chunk in response.aiter_raw():
            body.feed(chunk)
        whole = body.whole()
        said = response.headers.get("content-type", "")
        if request.file:
            require_file(said, request.file[0], whole)
        else:
            require_meaning(response.status_code, said, whole)
        return Answer(response.status_code, MappingProxyType(dict(response.headers)), whole)


def authorities() -> ssl.SSLContext:
    """The certificate authorities that this machine's software trusts."""
    return httpx.create_ssl_context(trust_env=False)


@cache
def usual_authorities() -> ssl.SSLContext:
    """The same, read once."""
    # Reading them takes tens of milliseconds, and a poll may make a client for a single request.
    return authorities()


def _with_token(request: _Request, token: str) -> _Request:
    return replace(request, headers={**request.headers, **_checked({"authorization": f"Bearer {token}"})})


def _checked(headers: Mapping[str, str] | None) -> dict[str, str]:
    """The headers with small letters, or NotAllowed: what cannot be sent would otherwise be quoted in an error."""
    checked = {name.lower(): value for name, value in (headers or {}).items()}
    for name, value in checked.items():
        if not _HEADER_NAME.fullmatch(name) or name in _OURS:
            raise NotAllowed("A header is not one that may be set")
        if not _HEADER_VALUE.fullmatch(value):
            raise NotAllowed("A secret or setting holds a character that cannot be sent, perhaps a space or line at its end")
    return checked


def _written(tree: Any) -> bytes:
    with suppress(ValueError, TypeError, RecursionError):
        return dumps(tree, allow_nan=False).encode()
    raise NotAllowed("What is to be sent is no JSON")


def in_our_words(error: Exception) -> ProviderError:
    """The same in our own words: httpx's hold addresses."""
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return UnexpectedAnswer("The provider's certificate is not valid for its name")
    if any(getattr(cause, "error_status_hint", None) == _HEADERS_TOO_LARGE for cause in causes):
        return UnexpectedAnswer(_TOO_LARGE_HEADERS)
    if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol):
        return NotAllowed("The request cannot be sent")
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        return TryLater("The provider cannot be reached")
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return PerhapsDone("The provider did not answer in time")
    return PerhapsDone("The connection to the provider broke off")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
