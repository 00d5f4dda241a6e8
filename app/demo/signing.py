"""The invented monitoring service's mail server: it signs mails by DKIM, with a key made of the seed, and a DNS knows the key."""

import asyncio
import base64
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import count
from random import Random
from typing import Any, cast

import dkim
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPrivateNumbers,
    RSAPublicNumbers,
    rsa_crt_dmp1,
    rsa_crt_dmq1,
    rsa_crt_iqmp,
)
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from connectors.mail.samples import DOMAIN

SELECTOR = "demo"
NAME = f"{SELECTOR}._domainkey.{DOMAIN}"
BITS, EXPONENT = 1024, 65537
"""A short key, as it is an invented one and made anew each time. A longer one takes seconds to be found."""

WITNESSES = 20
LONGEST_STRING = 255
"""Letters in one string of a TXT record."""


class MailServer:
    """Signs what the invented service writes."""

    def __init__(self, seed: int) -> None:
        """The same key for the same seed."""
        self._key = key_of(Random(f"{seed}:signing"))
        self._pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())

    @property
    def record(self) -> str:
        """The TXT record of its key."""
        public = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"

    def sign(self, mail: bytes, at: datetime) -> bytes:
        """The mail with its signature of `at` (aware) above it."""
        return bytes(_Signature(mail, at).sign(SELECTOR.encode(), DOMAIN.encode(), self._pem)) + mail


class _Signature(dkim.DKIM):  # type: ignore[misc]  # dkimpy has no types
    """dkimpy dates a signature by the wall clock, and the scenario has another."""

    def __init__(self, mail: bytes, at: datetime) -> None:
        super().__init__(mail)
        self._stamp = str(int(at.timestamp())).encode()

    def gen_header(self, fields: list[tuple[bytes, bytes]], *rest: Any) -> Any:
        """The header, with the moment that the scenario has."""
        return super().gen_header([(name, self._stamp if name == b"t" else value) for name, value in fields], *rest)


def key_of(rng: Random) -> RSAPrivateKey:
    """An RSA key that is the same for the same chance: for invented senders alone, as whoever knows the seed knows it."""
    primes = _primes(rng)
    p, q = next(primes), next(primes)
    d = pow(EXPONENT, -1, math.lcm(p - 1, q - 1))
    public = RSAPublicNumbers(EXPONENT, p * q)
    return RSAPrivateNumbers(p, q, d, rsa_crt_dmp1(d, p), rsa_crt_dmq1(d, q), rsa_crt_iqmp(p, q), public).private_key()


def _primes(rng: Random) -> Iterator[int]:
    """Odd numbers whose two topmost bits are set, as long as they pass Miller and Rabin's test."""
    half = BITS // 2
    small = math.prod(n for n in range(3, 2000, 2) if all(n % d for d in range(3, math.isqrt(n) + 1, 2)))
    for _ in count():
        n = rng.getrandbits(half) | (3 << (half - 2)) | 1
        if math.gcd(n, small) == 1 and (n - 1) % EXPONENT and all(_passes(n, rng.randrange(2, n - 1)) for _ in range(WITNESSES)):
            yield n


def _passes(n: int, witness: int) -> bool:
    twos = ((n - 1) & -(n - 1)).bit_length() - 1
    x = pow(witness, (n - 1) >> twos, n)
    return x in (1, n - 1) or any((x := x * x % n) == n - 1 for _ in range(twos - 1))


class Names(asyncio.DatagramProtocol):
    """A name server over UDP. It knows some TXT records, and of every other name that it does not exist."""

    def __init__(self, records: dict[str, str]) -> None:
        """`records`: by name, without the dot at its end."""
        self.records = records
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Listen."""
        self._transport = cast(asyncio.DatagramTransport, transport)
        host, port = transport.get_extra_info("sockname")
        self.address = f"{host}:{port}"

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Answer one question."""
        question = dns.message.from_wire(data)
        answer = dns.message.make_response(question)
        answer.flags |= dns.flags.AA
        text = self.records.get(question.question[0].name.to_text().rstrip("."))
        if text is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif question.question[0].rdtype == dns.rdatatype.TXT:
            strings = " ".join(f'"{text[at : at + LONGEST_STRING]}"' for at in range(0, len(text), LONGEST_STRING))
            answer.answer.append(dns.rrset.from_text(question.question[0].name, 300, "IN", "TXT", strings))
        self._transport.sendto(answer.to_wire(), addr)


@asynccontextmanager
async def name_server(records: dict[str, str]) -> AsyncIterator[str]:
    """Serve these TXT records on the loopback interface while the block lasts; yields the address and port to ask."""
    loop = asyncio.get_running_loop()
    transport, names = await loop.create_datagram_endpoint(lambda: Names(records), local_addr=("127.0.0.1", 0))
    try:
        yield names.address
    finally:
        transport.close()
