"""A passkey on this side of the wire: what a browser and a security key answer, made here, so that every lie can be told too."""

from __future__ import annotations

import hashlib
import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from tests.support.world import ORIGIN

PRESENT, VERIFIED, WITH_KEY = 0x01, 0x04, 0x40


def to_text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def to_bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Authenticator:
    """One passkey. `origin`, `rp`, `flags` and `kind` may be other than right for one answer."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    credential_id: bytes = field(default_factory=lambda: os.urandom(32))
    user: bytes = b""
    count: int = 0

    def _client(self, options: Any, kind: str, origin: str) -> bytes:
        return json.dumps({"type": kind, "challenge": options["challenge"], "origin": origin, "crossOrigin": False}).encode()

    def _data(self, rp: str, flags: int, more: bytes = b"") -> bytes:
        self.count += 1
        return hashlib.sha256(rp.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big") + more

    def create(
        self, options: Any, *, origin: str = ORIGIN, rp: str = "localhost", flags: int = PRESENT | VERIFIED
    ) -> dict[str, Any]:
        """The answer of navigator.credentials.create."""
        self.user = to_bytes(options["user"]["id"])
        at = self.key.public_key().public_numbers()
        public = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: at.x.to_bytes(32, "big"), -3: at.y.to_bytes(32, "big")})
        about = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + public
        attested = {"fmt": "none", "attStmt": {}, "authData": self._data(rp, flags | WITH_KEY, about)}
        client = self._client(options, "webauthn.create", origin)
        return self._answer({"clientDataJSON": to_text(client), "attestationObject": to_text(cbor2.dumps(attested))})

    def get(
        self,
        options: Any,
        *,
        origin: str = ORIGIN,
        rp: str = "localhost",
        flags: int = PRESENT | VERIFIED,
        kind: str = "webauthn.get",
        by: ec.EllipticCurvePrivateKey | None = None,
    ) -> dict[str, Any]:
        """The answer of navigator.credentials.get."""
        client, data = self._client(options, kind, origin), self._data(rp, flags)
        signature = (by or self.key).sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        parts = {"clientDataJSON": client, "authenticatorData": data, "signature": signature, "userHandle": self.user}
        return self._answer({name: to_text(raw) for name, raw in parts.items()})

    def _answer(self, response: dict[str, str]) -> dict[str, Any]:
        known = to_text(self.credential_id)
        return {"id": known, "rawId": known, "type": "public-key", "clientExtensionResults": {}, "response": response}
