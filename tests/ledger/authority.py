"""A timestamp authority on this machine: `openssl ts` behind a small HTTP server, with a certificate made here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.kit import clock
from app.kit.ids import uuid7
from connectors.http import sandbox_allowed
from tests.web.browsing import free_socket

# No `certs`: a chain that arrives unsorted is no DER set, and is refused.
SETTINGS = """\
[tsa]
default_tsa = one
[one]
serial = {folder}/serial
signer_cert = {folder}/authority.pem
signer_key = {folder}/authority.key
signer_digest = sha256
default_policy = 1.3.6.1.4.1.55555.1
digests = sha256, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
"""


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def make_authority(folder: Path, *, life: timedelta = timedelta(days=30)) -> Path:
    """Make a root, an authority below it and openssl's settings in `folder`; the path of the root's certificate."""
    now, root_key, own_key = clock.machine(), ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def certificate(subject: str, key: ec.EllipticCurvePrivateKey, *extensions: tuple[x509.ExtensionType, bool]) -> Any:
        made = x509.CertificateBuilder().subject_name(_name(subject)).issuer_name(_name("Invented Root"))
        made = made.public_key(key.public_key()).serial_number(x509.random_serial_number())
        made = made.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + life)
        for extension, critical in extensions:
            made = made.add_extension(extension, critical)
        return made.sign(root_key, hashes.SHA256())

    stamping = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
    root = certificate("Invented Root", root_key, (x509.BasicConstraints(ca=True, path_length=None), True))
    own = certificate("Invented Authority", own_key, (x509.BasicConstraints(ca=False, path_length=None), True), (stamping, True))
    folder.mkdir(parents=True, exist_ok=True)
    for name, one in (("root", root), ("authority", own)):
        (folder / f"{name}.pem").write_bytes(one.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    written = own_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "authority.key").write_bytes(written)
    (folder / "serial").write_text("01\n")
    (folder / "tsa.cnf").write_text(SETTINGS.format(folder=folder))
    return folder / "root.pem"


async def openssl(*arguments: str | Path, given: bytes = b"") -> tuple[int, bytes]:
    """What openssl says: its status and all its output."""
    made = await asyncio.create_subprocess_exec(
        "openssl", *map(str, arguments), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await made.communicate(given)
    return made.returncode or 0, out


async def stamped(folder: Path, query: bytes) -> bytes:
    """The authority's answer to one request, DER in and out."""
    number = uuid7()
    asked, answered = folder / f"{number}.tsq", folder / f"{number}.tsr"
    asked.write_bytes(query)
    status, said = await openssl("ts", "-reply", "-config", folder / "tsa.cnf", "-queryfile", asked, "-out", answered)
    assert status == 0, said
    return answered.read_bytes()


@dataclass
class TestAuthority:
    """One authority that is there. `instead`: what it answers instead of what is right; `asked`: every request's body."""

    __test__ = False

    folder: Path
    roots: Path
    url: str
    instead: Callable[[bytes], Any] | None = None
    asked: list[bytes] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        query = await request.body()
        self.asked.append(query)
        assert request.headers["content-type"] == "application/timestamp-query"
        if self.instead is not None:
            other = self.instead(query)
            other = await other if asyncio.iscoroutine(other) else other
            if isinstance(other, Response):
                return other
            return Response(other, media_type="application/timestamp-reply")
        return Response(await stamped(self.folder, query), media_type="application/timestamp-reply")


@asynccontextmanager
async def served(answer: Callable[[Request], Any] | Starlette) -> AsyncIterator[str]:
    """Serve one function, or a whole application, on a free port that the outgoing client may reach in this block; the origin."""
    listening = free_socket()
    origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
    app = answer if isinstance(answer, Starlette) else Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, access_log=False))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    with sandbox_allowed(origin):
        try:
            yield origin
        finally:
            server.should_exit = server.force_exit = True
            with suppress(asyncio.CancelledError):
                await task


@asynccontextmanager
async def authority(folder: Path) -> AsyncIterator[TestAuthority]:
    """An authority on a free port."""
    made = TestAuthority(folder, make_authority(folder), "")
    async with served(made.answer) as origin:
        made.url = f"{origin}/tsr"
        yield made
