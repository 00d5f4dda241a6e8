"""What browsers and whoever else knocks send: the head of a request, a form with a file, a passkey, what a browser keeps."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import logging
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import cbor2
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.server import ServerState

from app.access import by_provider, passkeys
from app.access.by_provider import Going
from app.access.gate import refuse_foreign_origin
from app.access.mailing import mailbox
from app.access.models import Passkey
from app.access.passkeys import Purpose
from app.intake.delivery import Body, Given, Gone, source_of
from app.kit.answering import WHOLE
from app.kit.edge import bounded
from app.kit.errors import Problem
from app.kit.limits import Limits
from app.kit.serving import server_options
from app.kit.uploads import LARGEST_FIELD, MOST_FIELDS, Upload, read_upload
from benchmarks.campaigns._fuzz_promises import Fuzzed, finished, loop, require

logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it writes a line about every form that is none
MOST = 4096
"""Bytes of a body, or of a file, that are taken here."""

TYPE = b"multipart/form-data; boundary=mark"


def upload(kind: bytes, body: bytes, at_once: int) -> Upload | int:
    """What a form brings that comes in pieces; or how it is refused."""
    pieces = [body[at : at + at_once] for at in range(0, len(body), at_once)]

    async def receive() -> Message:
        piece = pieces.pop(0) if pieces else b""
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", kind)], "query_string": b""}
    try:
        return finished(read_upload(Request(scope, receive), "file", MOST))
    except Problem as refusal:
        return refusal.status


def read_file(data: bytes) -> None:
    """A form with a file: refused as it must be, or bounded; and the same whether it comes whole or in pieces."""
    at_once, (kind, _, body) = 1 + (data[0] if data else 0) % 64, data[1:].partition(b"\n")
    found = upload(kind, body, at_once)
    require(found == upload(kind, body, len(body) + 1), "read otherwise in pieces")
    if isinstance(found, int):
        require(found in (413, 415, 422), "refused as nothing is")
        return
    require(len(found.fields) <= MOST_FIELDS and len(found.file or b"") <= MOST, "more than is taken")
    require(all(len(value) <= LARGEST_FIELD for value in found.fields.values()), "a field that is too long")


def _uploads() -> Iterator[bytes]:
    part = b'--mark\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
    file = b'; filename="a.csv"\r\nContent-Type: text/csv'
    for parts in (
        (part % (b"title", b"", b"one"), part % (b"file", file, b"a,b\r\n1,2")),
        (part % (b"file", b'; filename=""', b""),),
        (part % (b"other", file, b"x"),),
        (part % (b"a", b"", b"1"), part % (b"a", b"", b"2"), part % (b"file", b"; filename*=utf-8''%C3%A9", b"x" * 80)),
    ):
        yield b"\x06" + TYPE + b"\n" + b"".join(parts) + b"--mark--\r\n"
    yield b"\x06" + b'multipart/form-data; charset=latin-1; boundary="a b"' + b"\n--a b\r\n\r\n"


HOST, ORIGIN = "people.example", "https://people.example"
SITE: Any = SimpleNamespace(base_url=SimpleNamespace(host=HOST), origin=ORIGIN)
OWNER = UUID(int=7)
AUTHENTICATOR = ec.derive_private_key(4417, ec.SECP256R1())
KEY = b"the key that challenges are made with"


def _proof(said: str) -> bytes:
    return hmac.digest(KEY, said.encode(), "sha256")


SAID = bytes(16) + int(datetime(2100, 1, 1, tzinfo=UTC).timestamp()).to_bytes(8, "big")
CHALLENGE = SAID + _proof(SAID.hex())
"""One that is good for long: whoever fuzzes takes their time."""

KNOWN = b"known"


def _public() -> bytes:
    at = AUTHENTICATOR.public_key().public_numbers()
    return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: at.x.to_bytes(32, "big"), -3: at.y.to_bytes(32, "big")})


class _Store:
    """A database that knows one passkey and lets every challenge be answered; and the key that challenges are made with."""

    async def execute(self, *_: Any) -> Any:
        key = Passkey(credential_id=KNOWN, public_key=_public(), sign_count=0, account_id=OWNER)
        return SimpleNamespace(first=lambda: (1,), scalar_one_or_none=lambda: key)

    def get_bind(self) -> Any:
        return SimpleNamespace(dialect=SimpleNamespace(name="sqlite"))

    @property
    def bind(self) -> Any:
        return self.get_bind()

    async def system_index(self, _: Any, field: str, value: str) -> bytes:
        return _proof(value.partition(" ")[0])


async def enrolled(answer: dict[str, Any]) -> passkeys.Enrolled | None:
    """The passkey that is made by this answer."""
    store: Any = _Store()
    return await passkeys.enrolled(store, SITE, store, OWNER, answer)


async def signed_by(answer: dict[str, Any]) -> Passkey | None:
    """The passkey that signs in by this answer."""
    store: Any = _Store()
    return await passkeys.signed_by(store, SITE, store, Purpose.SIGN_IN, None, answer)


def read_passkey(data: bytes) -> None:
    """What a browser answers for a passkey: none, or one; it signs in only as our own authenticator would."""
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(answer, dict):
        return
    made = finished(enrolled(answer))
    require(made is None or (bool(made.credential_id) and bool(made.public_key)), "a passkey of nothing")
    signed = finished(signed_by(answer))
    require(signed is None or signed.sign_count == 1, "signed by nobody")


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _answer(kind: str, **parts: bytes) -> bytes:
    client = json.dumps({"type": kind, "challenge": _text(CHALLENGE), "origin": ORIGIN, "crossOrigin": False}).encode()
    if "signature" in parts:
        over = parts["authenticatorData"] + hashlib.sha256(client).digest()
        parts["signature"] = AUTHENTICATOR.sign(over, ec.ECDSA(SHA256()))
    response = {name: _text(raw) for name, raw in {"clientDataJSON": client, **parts}.items()}
    return json.dumps({"id": _text(KNOWN), "rawId": _text(KNOWN), "type": "public-key", "response": response}).encode()


def _passkeys() -> Iterator[bytes]:
    """A passkey that signs, and one that is made: without a word on what it is, and with each sort of word."""
    begins = hashlib.sha256(HOST.encode()).digest()
    about = bytes(16) + len(KNOWN).to_bytes(2, "big") + KNOWN + _public()
    yield _answer("webauthn.get", authenticatorData=begins + b"\x05" + bytes(3) + b"\x01", signature=b"", userHandle=OWNER.bytes)
    said = {
        "alg": -7,
        "sig": b"s",
        "x5c": [b"0"],
        "ver": "2.0",
        "response": b"a.b.c",
        "certInfo": b"\xffTCG",
        "pubArea": b"\x00\x01",
    }
    for form, statement in (("none", {}), ("packed", {"alg": -7, "sig": b"s"}), *((form, said) for form in FORMS)):
        attested = cbor2.dumps({"fmt": form, "attStmt": statement, "authData": begins + b"\x45" + bytes(4) + about})
        yield _answer("webauthn.create", attestationObject=attested)


FORMS = ("packed", "fido-u2f", "tpm", "android-key", "android-safetynet", "apple")


def read_kept(data: bytes) -> None:
    """What a browser brings back from a provider: none, or what is written again as it was. And an address: one, or none."""
    text = data.decode("utf-8", "replace")
    going = Going.read(text, OWNER)
    require(going is None or Going.read(going.cookie(), OWNER) == going, "another way than was begun")
    address = mailbox(text)
    require(address is None or (address.isascii() and address.count("@") == 1 and mailbox(address) == address), "another address")


class _Wire(asyncio.Transport):
    """A connection whose other side is these bytes."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 4417), "sockname": ("192.0.2.2", 443)})
        self.said, self._closing = b"", False

    def write(self, data: Any) -> None:
        self.said += bytes(data)

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """Nobody reads on."""

    def pause_reading(self) -> None:
        """All is here already."""

    def resume_reading(self) -> None:
        """All is here already."""


LIMITS = Limits(largest_url=512, largest_head=1024, most_headers=20)


class _Application:
    """What a delivery is read by, and other requests by their bounds. What it raises is kept: the server would answer it."""

    def __init__(self) -> None:
        self.raised: list[Exception] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            status = await _status(scope, receive)
        except Gone:
            return
        except Exception as error:  # whatever it is, it is a finding
            self.raised.append(error)
            raise
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


async def _status(scope: Scope, receive: Receive) -> int:
    given, source = Given(scope["headers"]), source_of(scope)
    require(all(given[name] == given.get(name) for name in given) and len(scope["path"]) <= LIMITS.largest_url, "another head")
    require(source is None or str(ip_address(source)) == source, "from nowhere")
    asked = Request(scope)
    require(isinstance(asked.cookies, dict) and bool(asked.url.path), "no request")
    asked.query_params.multi_items()
    with contextlib.suppress(Problem):
        refuse_foreign_origin(asked, SITE)
    try:
        if scope["path"].startswith("/webhooks/"):
            require(
                len(await Body(receive, given.get("content-length", ""), scope.get(WHOLE)).read(MOST)) <= MOST, "a whole flood"
            )
            return 202
        bound = bounded(scope, receive)
        while (await bound()).get("more_body"):
            pass
    except (Problem, HTTPException) as refusal:
        return refusal.status if isinstance(refusal, Problem) else refusal.status_code
    return 200


def read_requests(data: bytes) -> None:
    """Bytes on a connection, a few at a time: nothing but answers of HTTP, and the application reads what came or refuses it."""
    application, wire = _Application(), _Wire()
    config, state = _config(), ServerState()
    config.loaded_app = ProxyHeadersMiddleware(application, "192.0.2.1")
    protocol = config.http_protocol_class(config=config, server_state=state, app_state={}, _loop=loop())  # type: ignore[call-arg]

    async def serve() -> None:
        protocol.connection_made(wire)
        at_once = 1 + (data[0] if data else 0)
        for at in range(1, len(data), at_once):
            if not wire.is_closing():
                protocol.data_received(data[at : at + at_once])
                await asyncio.sleep(0)
        for _ in range(3):
            await asyncio.sleep(0)
        protocol.connection_lost(None)
        await asyncio.gather(*state.tasks)

    loop().run_until_complete(serve())
    if application.raised:
        raise application.raised[0]
    require(wire.said[:9] in (b"", b"HTTP/1.1 "), "no answer of HTTP")


@cache
def _config() -> uvicorn.Config:
    config = uvicorn.Config(_Application(), lifespan="off", log_level="critical", **server_options(LIMITS))
    config.load()
    return config


def _requests() -> Iterator[bytes]:
    head = b"POST /webhooks/1/t?a=%C3%A9 HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    yield (
        b"\xff"
        + head
        + b"Content-Length: 2\r\nX-Forwarded-For: 203.0.113.9, ::1\r\nCookie: a=b; c=d\r\n\r\n{}"
        + b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    yield b"\x10" + head + b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    yield b"\x40" + head + b"Content-Length: 99999999999999999999\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    yield b"\x80GET /" + b"a" * 600 + b" HTTP/1.1\r\n\r\n"
    yield b"\xff" + head + b"X-A: b\r\n" * 25 + b"\r\n"


def targets() -> dict[str, Fuzzed]:
    """These targets by name."""
    going = Going(by_provider.Purpose.SIGN_IN, OWNER, None, "/a?b=\u00e9", "secret").cookie()
    return {
        "requests": Fuzzed(read_requests, tuple(_requests())),
        "uploads": Fuzzed(read_file, tuple(_uploads())),
        "passkeys": Fuzzed(read_passkey, tuple(_passkeys())),
        "browsers": Fuzzed(read_kept, (going.encode(), b" A.B+c@Stra\xc3\x9fe.example. ", b"a@b.example, c@d.example")),
    }
