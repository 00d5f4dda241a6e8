"""Mails signed by dkimpy, and by hand as dkimpy would not sign; keys, and their records in the DNS. No tests here."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import dkim
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from connectors.mail.samples import alert_mail
from connectors.vocabulary import AlertKind

AT = datetime(2026, 3, 2, 9, 14, tzinfo=UTC)
TO = "m-7f3a91c2@alerts.example.org"
DOMAIN = "alerts.monitor.example"
NAME = f"s1._domainkey.{DOMAIN}"
UNCHANGED = f"signed by {DOMAIN}, and unchanged"


def rsa(bits: int) -> RSAPrivateKey:
    return generate_private_key(65537, bits)


RSA, OTHER, SMALL = rsa(2048), rsa(2048), rsa(1024)
ED25519 = Ed25519PrivateKey.generate()


def record(key: Any = RSA, more: str = "") -> str:
    """The TXT record of a key."""
    if isinstance(key, Ed25519PrivateKey):
        raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return f"v=DKIM1; k=ed25519; {more}p={base64.b64encode(raw).decode()}"
    raw = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k=rsa; {more}p={base64.b64encode(raw).decode()}"


KEYS = {NAME: record()}


def plain_mail() -> bytes:
    mail = alert_mail(AlertKind.NEW_ACCOUNT_CREDIT_CARD, TO, AT, 1, "Lakeside Card Bank", "4417")
    assert mail is not None
    return mail


def sign(mail: bytes, domain: str = DOMAIN, key: RSAPrivateKey = RSA, selector: str = "s1", **how: Any) -> bytes:
    """The mail with a signature of dkimpy above it."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    signature: bytes = dkim.sign(mail, selector.encode(), domain.encode(), pem, **how)
    return signature + mail


def with_tags(mail: bytes, **changed: str) -> bytes:
    """The mail signed anew by hand, as dkimpy would not sign: tags replaced, "" leaves one out. RSA, relaxed/relaxed."""
    given = {
        "v": "1",
        "a": "rsa-sha256",
        "c": "relaxed/relaxed",
        "d": DOMAIN,
        "s": "s1",
        "h": "from:to:subject:date:message-id:content-type",
        **changed,
    }
    checker = dkim.DKIM(mail)
    policy = dkim.CanonicalizationPolicy.from_c_value(given["c"].encode())
    body = policy.canonicalize_body(checker.body)
    if given.get("l"):
        body = body[: int(given["l"])]
    hasher = dkim.HASH_ALGORITHMS[given["a"].encode()]
    given["bh"] = base64.b64encode(hasher(body).digest()).decode()
    text = "; ".join(f"{name}={value}" for name, value in given.items() if value) + "; b="
    named = [name.strip().lower().encode() for name in given["h"].split(":")]
    headers = policy.canonicalize_headers(checker.headers)
    digest = dkim.HashThrough(hasher())
    dkim.hash_headers(digest, policy, headers, [*named, b"from"], (b"DKIM-Signature", b" " + text.encode()), {})
    numbers = RSA.private_numbers()
    key = {
        "modulus": numbers.public_numbers.n,
        "prime1": numbers.p,
        "prime2": numbers.q,
        "exponent1": numbers.dmp1,
        "exponent2": numbers.dmq1,
        "coefficient": numbers.iqmp,
    }
    signature = base64.b64encode(dkim.RSASSA_PKCS1_v1_5_sign(digest, key)).decode()
    return f"DKIM-Signature: {text}{signature}\r\n".encode() + mail
