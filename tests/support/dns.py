"""A DNS server of our own, over real UDP: it knows what it is told, and can be made to fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

LONGEST = 255
"""Letters in one string of a TXT record."""


@dataclass
class Names(asyncio.DatagramProtocol):
    """TXT records by name, as one or more strings. `broken`: it answers SERVFAIL; `mute`: it answers nothing."""

    records: dict[str, list[str]] = field(default_factory=dict)
    broken: bool = False
    mute: bool = False
    asked: list[str] = field(default_factory=list)
    server: str = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        host, port = transport.get_extra_info("sockname")
        self.server = f"{host}:{port}"

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        question = dns.message.from_wire(data)
        name = question.question[0].name.to_text().rstrip(".")
        self.asked.append(name)
        if self.mute:
            return
        answer = dns.message.make_response(question)
        answer.flags |= dns.flags.AA
        known = self.records.get(name)
        if self.broken:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif known is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif question.question[0].rdtype == dns.rdatatype.TXT and known:
            strings = [text[at : at + LONGEST] for text in known for at in range(0, len(text), LONGEST)]
            quoted = " ".join('"' + text.replace('"', '\\"') + '"' for text in strings)
            answer.answer.append(dns.rrset.from_text(f"{name}.", 300, "IN", "TXT", quoted))
        self._transport.sendto(answer.to_wire(), address)  # type: ignore[attr-defined]


@asynccontextmanager
async def name_server(**records: list[str]) -> AsyncIterator[Names]:
    """Serve while the block lasts; records are added to `records`."""
    transport, names = await asyncio.get_running_loop().create_datagram_endpoint(Names, local_addr=("127.0.0.1", 0))
    names.records.update(records)
    try:
        yield names
    finally:
        transport.close()
