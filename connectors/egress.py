"""Where the outgoing client may connect: which base addresses, which paths below them, which resolved addresses.

An admin types the address of a provider, and a provider's name can be made to point anywhere. So the spelling is strict,
nothing leaves the base, and the machine addresses are judged after resolving, never by the name.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import quote, unquote_to_bytes, urlencode

from connectors.asking import NotAllowed, NotAPath, TryLater

HTTPS_PORT = 443
LONGEST_NAME = 253
LONGEST_TARGET = 8000
"""Letters of path and query together; providers' page tokens can be long."""

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# The last label begins with a letter, so that no number in any base is a host: every such spelling is an address.
_TOP = r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])"
_PATH = r"(?P<path>(?:/[A-Za-z0-9._~-]+)*)/?"
_PROVIDER = re.compile(rf"https://(?P<host>(?:{_LABEL}\.)+{_TOP})(?P<port>:443)?{_PATH}")
_SANDBOX = re.compile(rf"(?P<origin>http://(?P<host>127\.0\.0\.1):(?P<port>[1-9][0-9]{{0,4}})){_PATH}")
_MAIL = re.compile(rf"(?P<scheme>imaps?)://(?P<host>(?:{_LABEL}\.)+{_TOP})(?::(?P<port>[0-9]+))?/?")
_MAIL_SANDBOX = re.compile(r"(?P<origin>imap://(?P<host>127\.0\.0\.1):(?P<port>[1-9][0-9]{0,4}))/?")
_MAIL_PORTS = {"imaps": 993, "imap": 143}
_ORIGIN = re.compile(r"(?<![A-Za-z])[A-Za-z]+://[^/]*")
_TARGET = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_CONTROL = frozenset(range(0x20)) | {0x7F}

NAMES_OF_THE_HOUSE = frozenset({"localhost", "local", "internal", "arpa", "onion", "lan", "home", "corp", "intranet"})
"""Last labels that never name a provider (RFC 6761, RFC 6762, RFC 7686, and what private networks use)."""

NOT_PUBLIC_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; some clouds' metadata
        "127.0.0.0/8",  # this machine
        "168.63.129.16/32",  # the host below an Azure machine, though its number is public
        "169.254.0.0/16",  # link-local; metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; metadata of one cloud
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
"""IANA's special-purpose registry and what clouds added. Python's own `is_global` differs between its versions."""

PUBLIC_V6 = IPv6Network("2000::/3")
"""All that is handed out for global unicast; mapped, NAT64, link-local, site-local and multicast lie outside."""

NOT_PUBLIC_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: holds an IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3ffe::/16",  # the former 6bone
        "3fff::/20",  # documentation
    )
)
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})  # RFC 5214: the interface part holds an IPv4 address

Resolver = Callable[[str], Awaitable[Sequence[str]]]
"""A host's addresses as text, all of them. OSError when it has none."""

# Threads of our own: a name server that does not answer must not hold up what else the process does in threads.
_lookups = ThreadPoolExecutor(max_workers=8, thread_name_prefix="harmline-dns")


@dataclass(frozen=True, slots=True)
class Base:
    """A connection's base address, taken apart. `path` begins with a slash or is empty; it never ends with one."""

    origin: str
    host: str
    port: int
    path: str
    sandbox: bool

    def target(self, path: str, params: Mapping[str, str] | None = None) -> bytes:
        """Path and query below the base, ready for the wire. `path` is already quoted. NotAPath when it leaves the base."""
        own = path.removeprefix("/")
        if not _TARGET.fullmatch(own) or _leaves(own):
            raise NotAPath("A path must stay below the base address")
        query = f"?{urlencode(params, quote_via=quote, errors='replace')}" if params else ""
        target = f"{self.path}/{own}{query}" if own or not self.path else f"{self.path}{query}"
        if len(target) > LONGEST_TARGET:
            raise NotAPath("A path and its parameters are too long")
        return target.encode("ascii")


def base_of(base_url: str, sandboxes: Container[str] = ()) -> Base:
    """An admin's base address: https, port 443, a plain host name, plain path. NotAllowed on anything else.

    `sandboxes`: the plain-http origins of this machine that are open just now.
    """
    spelled = _ORIGIN.sub(lambda found: found[0].lower(), base_url, count=1)
    if found := _SANDBOX.fullmatch(spelled):
        if found["origin"] not in sandboxes:
            raise NotAllowed("The address must begin with https://")
        return Base(found["origin"], found["host"], int(found["port"]), _plain(found["path"]), sandbox=True)
    found = _PROVIDER.fullmatch(spelled)
    if found is None or len(found["host"]) > LONGEST_NAME:
        raise NotAllowed("The address must be https:// and a host's name, without a port, a user or a question mark")
    if found["host"].rpartition(".")[2] in NAMES_OF_THE_HOUSE:
        raise NotAllowed("The address is one inside a private network")
    return Base(f"https://{found['host']}", found["host"], HTTPS_PORT, _plain(found["path"]), sandbox=False)


def mail_base_of(address: str, sandboxes: Container[str] = ()) -> Base:
    """A mail server's address: imaps:// (TLS at once, 993) or imap:// (STARTTLS, 143), and a plain host name. NotAllowed.

    `sandboxes`: the origins of this machine that are open just now; they are talked to in plain.
    """
    spelled = address.lower()
    found = _MAIL_SANDBOX.fullmatch(spelled)
    if found is not None and found["origin"] in sandboxes:
        return Base(found["origin"], found["host"], int(found["port"]), "", sandbox=True)
    found = _MAIL.fullmatch(spelled)
    port = _MAIL_PORTS[found["scheme"]] if found else 0
    if found is None or len(found["host"]) > LONGEST_NAME or found["port"] not in {None, str(port)}:
        raise NotAllowed("The address must be imaps:// or imap:// and a host's name, without a user or a port of its own")
    if found["host"].rpartition(".")[2] in NAMES_OF_THE_HOUSE:
        raise NotAllowed("The address is one inside a private network")
    return Base(f"{found['scheme']}://{found['host']}", found["host"], port, "", sandbox=False)


def is_public(address: str) -> bool:
    """Whether this is the address of a machine on the internet, in either family, written the usual way."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv4Address):
        return not any(parsed in network for network in NOT_PUBLIC_V4) and parsed.is_global
    if parsed.scope_id or parsed not in PUBLIC_V6 or any(parsed in network for network in NOT_PUBLIC_V6):
        return False
    return int(parsed) >> 32 & 0xFFFFFFFF not in _ISATAP and parsed.is_global


def is_own(address: str) -> bool:
    """Whether this machine would talk to itself: the way to the address begins at the address. Nothing is sent."""
    family = socket.AF_INET6 if isinstance(ip_address(address), IPv6Address) else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, HTTPS_PORT))
            return ip_address(probe.getsockname()[0]) == ip_address(address)
    except OSError:
        return False  # no way there at all


async def look_up(host: str) -> Sequence[str]:
    """The host's addresses by the system's resolver, in its order. OSError when it has none."""
    loop = asyncio.get_running_loop()
    found = await loop.run_in_executor(_lookups, _addresses, host)
    return list(dict.fromkeys(found))


async def allowed_addresses(host: str, resolver: Resolver, deadline: float) -> Sequence[str]:
    """The host's addresses, to be connected to as they are. `deadline` in seconds.

    NotAllowed if even one of them is not public; TryLater if there is none in time.
    """
    found: Sequence[str] = ()
    with suppress(OSError, UnicodeError):  # a TimeoutError is an OSError; all of them carry the name
        async with asyncio.timeout(deadline):
            found = await resolver(host)
    if not found:
        raise TryLater("The provider's name could not be resolved")
    if not all(is_public(address) and not is_own(address) for address in found):
        raise NotAllowed("The provider's name leads into a private network")
    return found


def _addresses(host: str) -> list[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, HTTPS_PORT, type=socket.SOCK_STREAM)]


def _plain(path: str) -> str:
    if _leaves(path.removeprefix("/")):
        raise NotAllowed("The path of the address must not hold dots alone")
    return path


def _leaves(path: str) -> bool:
    """Whether a server, however often it unquotes, could read this path as one that does not stay below."""
    here = path.encode("ascii")
    while True:
        segments = here.split(b"/")
        # Some servers drop what follows a semicolon before they look for dots.
        if any(segment.partition(b";")[0] in {b".", b".."} for segment in segments):
            return True
        if b"" in segments[:-1] or b"\\" in here or any(letter in _CONTROL for letter in here):
            return True
        unquoted = unquote_to_bytes(here)
        if unquoted == here:
            return False
        here = unquoted
