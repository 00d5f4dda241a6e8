"""What the tests of connectors share beyond `connectors.testing`: the connectors of this repository, every verifier, v1a."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import connectors
from connectors.registry import folders, registry
from connectors.testing.cases import Case, cases_of, described
from connectors.testing.signing import secrets_for, signed
from connectors.verifiers import (
    Basic,
    BearerList,
    HmacSha256,
    Secret,
    StampedHmacSha256,
    StandardWebhooks,
    StaticHeader,
    Verifier,
)
from connectors.verifiers_mail import EitherOf, SignedP256

__all__ = ["DATED", "VERIFIERS", "Case", "cases", "described", "secrets_for", "signed", "signed_v1a"]

ROOT = Path(connectors.__file__).parent


def cases(name: str | None = None) -> list[Case]:
    """Every fixture of every connector that lives here, or of one."""
    ours = [registry()[folder] for folder in folders() if name in {None, folder}]
    return [case for connector in ours for case in cases_of(connector, ROOT / connector.name)]


ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_PUBLIC = "whpk_" + base64.b64encode(ED25519.public_key().public_bytes_raw()).decode()


def signed_v1a(body: bytes, at: datetime, message_id: str = "msg_1") -> tuple[dict[str, str], Secret]:
    """Standard Webhooks v1a: the headers, and the public key as a connection holds it."""
    stamp = str(int(at.timestamp()))
    signature = base64.b64encode(ED25519.sign(f"{message_id}.{stamp}.".encode() + body)).decode()
    names: Sequence[str] = ("webhook-id", "webhook-timestamp", "webhook-signature")
    return dict(zip(names, (message_id, stamp, f"v1a,{signature}"), strict=True)), Secret("public", _PUBLIC)


VERIFIERS: list[Verifier] = [
    StandardWebhooks(),
    HmacSha256("X-Signature"),
    HmacSha256("x-signature", "x-timestamp"),
    HmacSha256("x-hub-signature-256", prefix="sha256="),
    HmacSha256("x-signature", "x-timestamp", encoding="base64"),
    HmacSha256("x-signature", "x-timestamp", separator=":", encoding="either"),
    StampedHmacSha256("provider-signature"),
    Basic(),
    BearerList(),
    StaticHeader("X-Api-Key"),
    SignedP256("x-signature", "x-timestamp", "the public key"),
    EitherOf(SignedP256("x-signature", "x-timestamp", "the public key"), Basic()),
]
DATED = [v for v in VERIFIERS if isinstance(v, StandardWebhooks | StampedHmacSha256) or getattr(v, "timestamp_header", None)]
