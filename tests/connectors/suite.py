"""What the tests of every connector need: fixtures, broken copies of them, signatures. Importable; holds no tests.

A connector brings fixtures, not test code. The database half of the suite builds on the same helpers.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import connectors
from connectors.contract import Alert, BreachRecord, Connector, NotAnAlert, RawEvent
from connectors.registry import folders, registry
from connectors.standard.sandbox import sign as sign_standard
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

ROOT = Path(connectors.__file__).parent
GONE = object()
WRONG: tuple[Any, ...] = (GONE, None, 7, "", [], {})
JUNK: tuple[Any, ...] = (7, None, "x", [], {}, {"type": "never.heard.of", "id": "0"}, {"id": 5, "type": None})
Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Case:
    """One fixture: what a provider sends, and what it is to become."""

    connector: Connector
    event: str
    path: Path

    @property
    def body(self) -> bytes:
        return self.path.read_bytes()

    @property
    def expected(self) -> list[dict[str, Any]]:
        """One entry an event, in order: {"alert": ...}, {"breach_record": ...} or {"not_an_alert": reason}."""
        whole: list[dict[str, Any]] = json.loads(self.path.with_suffix(".expected.json").read_text(encoding="utf-8"))
        return whole

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """The alerts alone, as `Alert.model_dump(mode="json", exclude_none=True)`."""
        return [entry["alert"] for entry in self.expected if "alert" in entry]

    def __str__(self) -> str:
        return f"{self.connector.name}:{self.event}"


def cases(name: str | None = None) -> list[Case]:
    """Every fixture of every connector that lives here, or of one."""
    found = []
    for connector in (registry()[folder] for folder in folders() if name in {None, folder}):
        for path in sorted((ROOT / connector.name / "fixtures").glob("webhook__*.json")):
            if not path.name.endswith(".expected.json"):
                found.append(Case(connector, path.name.removeprefix("webhook__").removesuffix(".json"), path))
    return found


def outcome(connector: Connector, event: RawEvent) -> dict[str, Any]:
    """One event normalised, as an entry of `Case.expected`."""
    said = connector.normalise(event)
    if isinstance(said, NotAnAlert):
        return {"not_an_alert": said.reason}
    word = {Alert: "alert", BreachRecord: "breach_record"}[type(said)]
    return {word: said.model_dump(mode="json", exclude_none=True)}


def described(connector: Connector, body: bytes) -> list[dict[str, Any]]:
    """Every event of a body that is right throughout, as `Case.expected`. A broken one fails the assertion."""
    events = list(connector.split(body))
    assert all(isinstance(event, RawEvent) for event in events), events
    return [outcome(connector, event) for event in events if isinstance(event, RawEvent)]


def places(node: Any, at: Place = ()) -> Iterator[Place]:
    """The place of every value in a tree, outermost first."""
    items: Iterable[tuple[str | int, Any]] = ()
    if isinstance(node, dict):
        items = node.items()
    elif isinstance(node, list):
        items = enumerate(node)
    for step, value in items:
        yield (*at, step)
        yield from places(value, (*at, step))


def altered(tree: Any, place: Place, value: Any) -> Any:
    """A copy with one value replaced, or taken out when it is GONE."""
    whole = copy.deepcopy(tree)
    here = whole
    for step in place[:-1]:
        here = here[step]
    if value is GONE:
        del here[place[-1]]
    else:
        here[place[-1]] = value
    return whole


def breakages(case: Case) -> Iterator[tuple[Place, Any, bytes]]:
    """The fixture with every field broken six ways: the place, what stands there now, and the body."""
    tree = json.loads(case.body)
    for place in places(tree):
        for wrong in WRONG:
            yield place, wrong, json.dumps(altered(tree, place, wrong)).encode()


def batch_place(case: Case) -> Place | None:
    """Where the fixture lists its events; None when it is one event alone."""
    tree, events = json.loads(case.body), len(list(case.connector.split(case.body)))
    for place in places(tree):
        here = tree
        for step in place:
            here = here[step]
        if isinstance(here, list) and len(here) == events and all(isinstance(item, dict) for item in here):
            return place
    return None


def with_neighbours(case: Case, junk: Any) -> Iterator[bytes]:
    """The fixture's batch with a bad item before, between and behind its good ones; nothing when it has no batch."""
    place, tree = batch_place(case), json.loads(case.body)
    if place is None:
        return
    items = tree
    for step in place:
        items = items[step]
    for at in range(len(items) + 1):
        yield json.dumps(altered(tree, place, [*items[:at], junk, *items[at:]])).encode()


def retyped(case: Case, event_type: str) -> bytes:
    """The fixture with every mention of its event type replaced by another."""
    return case.body.replace(json.dumps(case.event).encode(), json.dumps(event_type).encode())


ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_PUBLIC = "whpk_" + base64.b64encode(ED25519.public_key().public_bytes_raw()).decode()
_RANDOM = [hashlib.sha256(word).digest() for word in (b"new", b"old", b"foreign")]


def secrets_for(verifier: Verifier) -> tuple[Secret, Secret, Secret]:
    """A new secret, an old one and a foreign one, in the form that this verifier wants."""
    values = [raw.hex() for raw in _RANDOM]
    if isinstance(verifier, StandardWebhooks):
        values = ["whsec_" + base64.b64encode(raw).decode() for raw in _RANDOM]
    if isinstance(verifier, Basic):
        values = [f"harmline:{value}" for value in values]
    new, old, foreign = (Secret(word, value) for word, value in zip(("new", "old", "foreign"), values, strict=True))
    return new, old, foreign


def signed(verifier: Verifier, secret: Secret, body: bytes, at: datetime) -> dict[str, str]:
    """The headers an honest sender would send with this body at this time. Fails loudly for a verifier unknown here."""
    stamp = str(int(at.timestamp()))
    dated = stamp.encode() + b"." + body
    key = secret.value.encode()
    if isinstance(verifier, StandardWebhooks):
        return sign_standard(secret.value, body, at=at)
    if isinstance(verifier, HmacSha256):
        mac = hmac.digest(key, dated if verifier.timestamp_header else body, "sha256")
        text = mac.hex() if verifier.encoding == "hex" else base64.b64encode(mac).decode()
        stamps = {verifier.timestamp_header: stamp} if verifier.timestamp_header else {}
        return {verifier.signature_header: verifier.prefix + text, **stamps}
    if isinstance(verifier, StampedHmacSha256):
        return {verifier.signature_header: f"t={stamp},v1={hmac.digest(key, dated, 'sha256').hex()}"}
    if isinstance(verifier, Basic):
        return {"authorization": "Basic " + base64.b64encode(key).decode()}
    if isinstance(verifier, BearerList):
        return {"authorization": f"Bearer {secret.value}"}
    assert isinstance(verifier, StaticHeader), f"the suite cannot sign for {verifier.scheme}: teach signed() and secrets_for()"
    return {verifier.header: secret.value}


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
    StampedHmacSha256("provider-signature"),
    Basic(),
    BearerList(),
    StaticHeader("X-Api-Key"),
]
DATED = [v for v in VERIFIERS if isinstance(v, StandardWebhooks | StampedHmacSha256) or getattr(v, "timestamp_header", None)]
