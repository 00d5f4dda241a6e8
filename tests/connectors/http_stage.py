"""What the tests of the outgoing client stand on: a server that says exactly these bytes, and an internet of our own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import traceback
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.egress import is_public
from connectors.http import ProviderClient, sandbox_allowed

NOW = datetime(2026, 3, 2, 16, tzinfo=UTC)
FAST = 600_000.0
"""Requests a minute: no turn is waited for."""


def answer(body: bytes = b"{}", status: str = "200 OK", media_type: str = "application/json", **headers: str) -> bytes:
    """One whole answer. Header names with `_` for `-`."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}"]
    if media_type:
        lines.append(f"content-type: {media_type}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


@dataclass
class Asked:
    """One request as it came over the wire."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """Says one answer after the other, the last one for ever. A callable writes for itself and closes."""

    answers: list[Any]
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    url: str = ""
    running: dict[asyncio.Task[Any], asyncio.StreamWriter] = field(default_factory=dict)

    async def close(self) -> None:
        for writer in self.running.values():
            writer.transport.abort()
        await asyncio.gather(*self.running, return_exceptions=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if task := asyncio.current_task():
            self.running[task] = writer
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.asked.append(Asked(head[0], headers, body))
                said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if callable(said):
                    await said(writer)
                    break
                writer.write(said)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def saying(*answers: Any, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server of this machine; the outgoing client may reach it as a sandbox, unless it speaks TLS."""
    server = Server(list(answers))
    running = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    port = running.sockets[0].getsockname()[1]
    server.url = f"http://127.0.0.1:{port}"
    with sandbox_allowed(server.url):
        yield server
    running.close()
    await server.close()


def asking(url: str, **options: Any) -> ProviderClient:
    """A client without patience."""
    usual = {"requests_per_minute": FAST, "now": lambda: NOW, "backoff": 0.001, "read": 2.0, "connect": 2.0, "total": 4.0}
    return ProviderClient(url, **{**usual, **options})


@dataclass
class Internet:
    """Names and machines. Behind every address that is not public, one real socket listens and counts who comes."""

    loop: asyncio.AbstractEventLoop
    names: Callable[[str], Sequence[str]]
    machines: dict[str, int] = field(default_factory=dict)
    dialled: list[str] = field(default_factory=list)
    looked_up: int = 0
    inside: int = 0
    trap: int = 0

    def getaddrinfo(self, host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        self.looked_up += 1
        found = self.names(host.decode() if isinstance(host, bytes) else str(host))
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, f"nobody is called {host}")
        return [(socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found]

    async def create_connection(self, protocol: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        try:
            address = str(ip_address(host))
        except ValueError:  # somebody handed the name on: the system would look it up once more
            address = self.getaddrinfo(host, port)[0][4][0]
        self.dialled.append(address)
        if is_public(address) and address not in self.machines:
            raise ConnectionRefusedError
        options.pop("local_addr", None)
        real: Any = asyncio.BaseEventLoop.create_connection
        return await real(self.loop, protocol, "127.0.0.1", self.machines.get(address, self.trap), **options)

    async def _came_in(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.inside += 1
        writer.close()


@asynccontextmanager
async def internet(monkeypatch: pytest.MonkeyPatch, names: Callable[[str], Sequence[str]]) -> AsyncIterator[Internet]:
    """Meanwhile every name and every connection of this process goes through it."""
    loop = asyncio.get_running_loop()
    net = Internet(loop, names)
    trap = await asyncio.start_server(net._came_in, "127.0.0.1", 0)
    net.trap = trap.sockets[0].getsockname()[1]
    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", net.getaddrinfo)
        patched.setattr(loop, "create_connection", net.create_connection)
        yield net
    trap.close()


@dataclass(frozen=True)
class Authority:
    """A certificate authority of our own, and a server's certificate under it."""

    server: ssl.SSLContext
    trusting: ssl.SSLContext


def authority(tmp_path: Any, name: str) -> Authority:
    """TLS for one name; `trusting` believes this authority alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = tmp_path / "server.pem"
    file.write_bytes(private + public)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return Authority(server, ssl.create_default_context(cadata=public.decode()))


def told_by(error: BaseException) -> Iterator[str]:
    """All that an error, and whatever hangs on it, would show in a log."""
    here: BaseException | None = error
    while here is not None:
        yield from (str(here), repr(here), repr(here.args), repr(vars(here)))
        here = here.__cause__ or here.__context__
    yield "".join(traceback.format_exception(error))
