"""One delivery as it knocks: whom it is for, its headers, where it comes from, and its body, read when it is asked for."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Any
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope

from app.kit.errors import Problem


class Body:
    """The exact bytes of a request, read once and never more than its connection takes."""

    def __init__(self, receive: Receive, declared: str, whole: bytes | None = None) -> None:
        """Nothing is read before it is asked for. `declared`: how long it is said to be; `whole`: all of it, if it is there."""
        self._receive = receive
        self._declared = int(declared[:20]) if declared.isdigit() else 0
        self._chunks: list[bytes] = [] if whole is None else [whole]
        self._size = 0 if whole is None else len(whole)
        self._more = whole is None

    async def read(self, largest: int) -> bytes:
        """All of it. Raises a 408 or 413 Problem, and Gone when the sender went away."""
        if self._declared > largest:
            raise _too_large(largest)
        while self._more and self._size <= largest:
            try:
                message = await self._receive()
            except HTTPException as late:
                raise Late(408, "The body came too slowly. Send it again.", headers=dict(late.headers or {})) from None
            if message["type"] == "http.disconnect":
                raise Gone
            self._chunks.append(message.get("body", b""))
            self._size += len(self._chunks[-1])
            self._more = message.get("more_body", False)
        if self._size > largest:
            self._chunks.clear()
            raise _too_large(largest)
        if len(self._chunks) > 1:
            self._chunks = [b"".join(self._chunks)]
        return self._chunks[0]


def _too_large(largest: int) -> Problem:
    return Problem(413, f"The delivery is larger than {largest} bytes: send fewer alerts at a time.")


class Late(Problem):
    """The body came too slowly: nothing is gained by asking for it again."""


class Gone(Exception):
    """The sender went away before its delivery was whole."""


@dataclass(slots=True)
class Delivery:
    """One request that knocks. `path`: connection and token, as it is addressed; `headers`: decoded; the body is not read yet."""

    receipt_id: UUID
    connection_id: str
    token: str
    path: str
    headers: Mapping[str, str]
    source: str | None
    body: Body


class Given(Mapping[str, str]):
    """A request's headers, decoded once: lower-case names, in order; one that came twice is in `items` twice."""

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        """`raw`: as ASGI has them."""
        self._pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]
        self._first = dict(reversed(self._pairs))

    def __getitem__(self, name: str) -> str:
        """The first of this name."""
        return self._first[name]

    def get(self, name: str, default: Any = None) -> Any:
        """The first of this name, if it was given at all."""
        return self._first.get(name, default)

    def __iter__(self) -> Iterator[str]:
        """Each name once."""
        return iter(self._first)

    def __len__(self) -> int:
        """How many names there are."""
        return len(self._first)

    def items(self) -> Any:
        """Every header, also those that came twice."""
        return self._pairs


def source_of(scope: Scope) -> str | None:
    """The address that a request came from, as its proxy says where one is believed; IPv4 is written as IPv4."""
    client = scope.get("client")
    return _address(client[0]) if client else None


@lru_cache(maxsize=4096)
def _address(text: str) -> str | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)
