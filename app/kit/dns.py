"""TXT records of the DNS, where the keys stand that mails are signed with."""

import asyncio
from collections.abc import Iterable

import dns.asyncresolver
import dns.exception
import dns.resolver
from dns.rdtypes.txtbase import TXTBase

IN_TIME = 5.0
"""Seconds for one name, all tries together."""

PORT = 53


class NoAnswer(Exception):
    """The DNS does not answer just now: nothing is known about whether the name exists."""


def resolver(servers: str) -> dns.asyncresolver.Resolver:
    """A resolver that asks these servers ("address" or "address:port", with commas); none: those of the machine."""
    wanted = [part.strip() for part in servers.split(",") if part.strip()]
    found = dns.asyncresolver.Resolver(configure=not wanted)
    if wanted:
        split = [part.rpartition(":") if part.count(":") == 1 else (part, "", "") for part in wanted]
        found.nameservers = [address for address, _, _ in split]
        found.nameserver_ports = {address: int(port or PORT) for address, _, port in split}
    found.lifetime = IN_TIME
    return found


async def txt(asked: dns.asyncresolver.Resolver, names: Iterable[str]) -> dict[str, str]:
    """The TXT record of each name that has one, its strings joined. Raises NoAnswer when any of them is not answered for."""
    wanted = sorted(set(names))
    found = await asyncio.gather(*(_one(asked, name) for name in wanted))
    return {name: text for name, text in zip(wanted, found, strict=True) if text is not None}


async def _one(asked: dns.asyncresolver.Resolver, name: str) -> str | None:
    try:
        answer = await asked.resolve(name, "TXT")
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return None
    except (dns.exception.DNSException, OSError) as error:
        raise NoAnswer(type(error).__name__) from None
    texts = [b"".join(record.strings).decode("ascii", "replace") for record in answer if isinstance(record, TXTBase)]
    return next((text for text in texts if "p=" in text), texts[0] if texts else None)
