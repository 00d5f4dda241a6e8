"""What a mail proves by itself: its DKIM signatures (RFC 6376), checked with keys that were kept beside it. No network, no clock.

dkimpy hashes and compares; what a stranger could make it stumble over is checked before: tags, lengths, keys, times. A signature
counts for an alert only if it is by the sender's own domain, over the whole body, From and Subject.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import dkim

from connectors import strict_json
from connectors.contract import Malformed
from connectors.mail import dkim_keys, forwards, message
from connectors.mail.dkim_keys import KeyRefused, PublicKey
from connectors.mail.domains import aligned, is_name, is_peoples
from connectors.mail.message import Mail
from connectors.mail.parts import headers_of
from connectors.verifiers import Grade

SCHEME = "dkim"
MOST_SIGNATURES = 8
LONGEST_SIGNATURE = 8 * 1024
MOST_NAMED = 200
"""Header names in h=."""

MOST_FOLDED = 2000
"""Lines that go on with a header above. dkimpy copies the header for each of them."""

SLOP = timedelta(hours=10)
"""How wrong a mail server's clock may be."""

MAILBOX_FILE = b"From "
ALGORITHMS = frozenset({"rsa-sha256", "ed25519-sha256"})
ONCE = ("from", "subject", "date", "message-id", "content-type", "content-transfer-encoding", "mime-version")
"""Headers that are read. Two of one kind, and it is open which of them the reader sees and which one was signed."""

CANONICAL = (b"simple", b"relaxed")
ENCODING = ("content-type", "content-transfer-encoding")
NO_SIGNATURE = "no signature"
NO_KEY = "no key in DNS"
BY_HAND = "forwarded by hand: what the sender signed is not preserved"
OF_A_PERSON = "where people have their mailboxes: it proves a person's mail, not a service's word"
CHANGED = "the text was changed after it was signed"
_BLANKS = re.compile(r"[ \t\r\n]{60}")
_FOLDED = re.compile(rb"\n[ \t]")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")


@dataclass(frozen=True, slots=True)
class Proof:
    """What a mail proves, and why in plain words.

    `key_id`: the name of the key, "selector._domainkey.domain"; `signed_at`: when it says that it was signed, UTC.
    """

    grade: Grade
    reason: str
    key_id: str | None = None
    signed_at: datetime | None = None
    scheme: str = SCHEME


class _Refused(Exception):
    """One signature that is not accepted. `near`: how far it came, so that the one that came farthest is told of."""

    def __init__(self, reason: str, near: int, key_id: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.near, self.key_id = reason, near, key_id


@dataclass(frozen=True, slots=True)
class _Signature:
    """One DKIM-Signature as it stands there: its place among them, and its tags."""

    place: int
    given: dict[str, str] = field(repr=False)
    signer: str
    key_id: str


def keys_needed(raw: bytes) -> tuple[str, ...]:
    """The names in DNS whose TXT records prove this mail, each once; of at most MOST_SIGNATURES signatures. Never raises."""
    try:
        headers, _ = headers_of(raw, 0, len(raw))
    except Malformed:
        return ()
    names: list[str] = []
    for place, value in enumerate(_signatures(headers)):
        try:
            names.append(_read(place, value).key_id)
        except _Refused:
            continue
    return tuple(dict.fromkeys(names))


def keys_in(text: str) -> dict[str, str]:
    """The keys that were kept beside a mail: a JSON object of name -> TXT record; none when it is anything else."""
    try:
        found = strict_json.parse(text.encode("utf-8", "replace")) if text else {}
    except Malformed:
        return {}
    return {name: key for name, key in found.items() if isinstance(key, str)} if isinstance(found, dict) else {}


def proof_of(raw: bytes, keys: Mapping[str, str], at: datetime | None = None) -> Proof:
    """What the mail proves with these keys (name -> TXT record). Never raises.

    `at`: when it reached us, aware; a signature that had expired by then is not accepted. None: when its topmost Received header
    says, written by whoever handed it over last; without one, expiry is not looked at.
    """
    if raw.startswith(MAILBOX_FILE):
        return Proof(Grade.UNVERIFIABLE, "a file of mails: each of them is looked at by itself")
    try:
        mail = message.read(raw)
    except Malformed:
        return Proof(Grade.UNVERIFIABLE, "it cannot be read as a mail")
    if forwards.reading(mail).letter.how.by_hand:
        return Proof(Grade.UNVERIFIABLE, BY_HAND)
    values = _signatures(mail.whole.headers)
    if not values:
        return Proof(Grade.UNVERIFIABLE, NO_SIGNATURE)
    return _best(raw, mail, values, keys, at or _reached(mail))


def _reached(mail: Mail) -> datetime | None:
    return message.moment(next(iter(mail.whole.values("received")), "").rpartition(";")[2].strip())


def _best(raw: bytes, mail: Mail, values: list[str], keys: Mapping[str, str], at: datetime | None) -> Proof:
    refusals: list[_Refused] = []
    body = _Body(raw)
    if len(_FOLDED.findall(body.head)) > MOST_FOLDED:
        return Proof(Grade.UNVERIFIABLE, "its headers cannot be read")
    for place, value in enumerate(values):
        try:
            signature = _read(place, value)
            _require_acceptable(signature, mail, at)
            key = _key(signature, keys)
            if not _verifies(signature, key, body):
                raise _Refused(CHANGED, 5, signature.key_id)
        except _Refused as refused:
            refusals.append(refused)
        else:
            stamp = _moment(signature.given.get("t"))
            if is_peoples(signature.signer):
                return Proof(Grade.UNVERIFIABLE, f"signed by {signature.signer}, {OF_A_PERSON}", signature.key_id, stamp)
            return Proof(Grade.THIRD_PARTY, _praise(signature, mail), signature.key_id, stamp)
    nearest = max(refusals, key=lambda refused: refused.near)
    return Proof(Grade.UNVERIFIABLE, nearest.reason, nearest.key_id)


def _praise(signature: _Signature, mail: Mail) -> str:
    """What is proven. Whoever adds or changes a header that says how the text is encoded can hide some of it, and add nothing."""
    named = _named(signature)
    loose = [name for name in ENCODING if mail.whole.values(name) and name not in named]
    said = f"signed by {signature.signer}, and unchanged"
    return f"{said}; its header {' and '.join(name.title() for name in loose)} is not signed" if loose else said


def _named(signature: _Signature) -> list[str]:
    return [name.strip().lower() for name in signature.given.get("h", "").split(":")]


def _signatures(headers: tuple[tuple[str, bytes], ...]) -> list[str]:
    return [value.decode("latin-1") for name, value in headers if name == "dkim-signature"][:MOST_SIGNATURES]


def _read(place: int, value: str) -> _Signature:
    """The tags of one signature, and the name of its key."""
    if len(value) >= LONGEST_SIGNATURE or _BLANKS.search(value):
        raise _Refused("its signature cannot be read", 0)
    try:
        given = dkim_keys.tags(value)
    except KeyRefused:
        raise _Refused("its signature cannot be read", 0) from None
    signer, selector = given.get("d", "").lower(), given.get("s", "").lower()
    key_id = f"{selector}._domainkey.{signer}"
    if not is_name(signer) or not is_name(key_id):
        raise _Refused("its signature names no domain that could be asked", 0)
    return _Signature(place, given, signer, key_id)


def _require_acceptable(signature: _Signature, mail: Mail, at: datetime | None) -> None:
    """Everything about a signature that needs no key."""
    given, key_id = signature.given, signature.key_id
    if not mail.sender:
        raise _Refused("it does not name exactly one sender", 1, key_id)
    if not aligned(signature.signer, mail.sender.rpartition("@")[2]):
        raise _Refused("signed by another domain than the sender's", 1, key_id)
    doubled = [name for name in ONCE if len(mail.whole.values(name)) > 1]
    if doubled:
        raise _Refused(f"its header {doubled[0].title()} stands there twice", 2, key_id)
    if given.get("v") != "1" or given.get("q", "dns/txt") != "dns/txt":
        raise _Refused("its signature is of a kind that is not known", 2, key_id)
    if given.get("a") not in ALGORITHMS:
        raise _Refused("signed with a method that is not accepted any more", 2, key_id)
    if "l" in given:
        raise _Refused("its signature covers only part of the text", 2, key_id)
    named = _named(signature)
    if "from" not in named or (mail.whole.values("subject") and "subject" not in named):
        raise _Refused("its signature leaves out who wrote it, or about what", 2, key_id)
    blanks_gone = [re.sub(r"\s+", "", given.get(tag, "")) for tag in ("b", "bh")]
    if len(named) > MOST_NAMED or not all(_BASE64.fullmatch(text) and len(text) % 4 == 0 for text in blanks_gone):
        raise _Refused("its signature cannot be read", 2, key_id)
    _require_in_time(signature, at)


def _require_in_time(signature: _Signature, at: datetime | None) -> None:
    given = signature.given
    signed_at, expires = _moment(given.get("t")), _moment(given.get("x"))
    broken = ("t" in given and signed_at is None) or ("x" in given and expires is None)
    if broken or (signed_at and expires and expires < signed_at):
        raise _Refused("its signature says an impossible time", 2, signature.key_id)
    if at is not None and expires is not None and expires < at - SLOP:
        raise _Refused("its signature had expired when it reached us", 2, signature.key_id)


def _key(signature: _Signature, keys: Mapping[str, str]) -> PublicKey:
    record = keys.get(signature.key_id)
    if record is None:
        raise _Refused(NO_KEY, 3, signature.key_id)
    try:
        key = dkim_keys.key_of(record)
    except KeyRefused as refused:
        raise _Refused(str(refused), 3, signature.key_id) from None
    identity = signature.given.get("i", f"@{signature.signer}").lower().rpartition("@")[2]
    below = identity.endswith(f".{signature.signer}") and not key.strict
    if identity != signature.signer and not below:
        raise _Refused("its signature speaks for another domain than its own", 4, signature.key_id)
    if not signature.given["a"].startswith(key.algorithm.decode()):
        raise _Refused("its key in DNS is of another kind than its signature", 4, signature.key_id)
    return key


class _Body:
    """A mail's head as dkimpy takes it, and the hash of its body, made once for each canonical form.

    dkimpy's own way with bodies takes minutes for a text of many blanks, and for each signature anew.
    """

    def __init__(self, raw: bytes) -> None:
        _, start = headers_of(raw, 0, len(raw))
        self.head = raw[:start].rstrip(b"\r\n") + b"\r\n\r\n"
        self._body = raw[start:].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        self._hashes: dict[bool, bytes] = {}

    def sha256(self, *, relaxed: bool) -> bytes:
        """Of the body in its canonical form, RFC 6376 3.4.3 and 3.4.4."""
        if relaxed not in self._hashes:
            body = _without_blanks(self._body) if relaxed else self._body
            end = _end_of_text(body)
            empty = b"" if relaxed else b"\r\n"
            self._hashes[relaxed] = hashlib.sha256(body[:end] + b"\r\n" if end else empty).digest()
        return self._hashes[relaxed]


def _without_blanks(body: bytes) -> bytes:
    """Blanks made one, and none at the ends of lines."""
    body = body.replace(b"\t", b" ")
    while b"  " in body:
        body = body.replace(b"  ", b" ")
    return body.replace(b" \r\n", b"\r\n")


def _end_of_text(body: bytes) -> int:
    """Where the empty lines at the end begin, the line break of the last line with them."""
    end = len(body)
    for step in (1 << 16, 1 << 8, 1):
        empty = b"\r\n" * step
        while body.endswith(empty, 0, end):
            end -= 2 * step
    return end


def _verifies(signature: _Signature, key: PublicKey, body: _Body) -> bool:
    given = {name.encode(): value.encode("latin-1") for name, value in signature.given.items()}
    for_headers, _, for_body = given.get(b"c", b"simple").lower().partition(b"/")
    if for_headers not in CANONICAL or (for_body or b"simple") not in CANONICAL:
        return False
    if base64.b64decode(re.sub(rb"\s+", b"", given.pop(b"bh"))) != body.sha256(relaxed=for_body == b"relaxed"):
        return False
    given[b"c"] = for_headers
    try:
        checker: Any = dkim.DKIM(body.head)
        checker.pk, checker.keysize, checker.ktag = key.key, key.bits, key.algorithm
        headers = [(name, value) for name, value in checker.headers if name.lower() == b"dkim-signature"]
        named = [name.encode("latin-1") for name in _named(signature)]
        verified = bool(checker.verify_sig_process(given, named, headers[signature.place], None))
    except (dkim.DKIMException, ValueError, IndexError, AssertionError):
        return False
    return verified and (not isinstance(key.key, dkim_keys.Ed25519Key) or key.key.fits)


def _moment(text: str | None) -> datetime | None:
    if text is None or re.fullmatch(r"[0-9]{1,12}", text) is None:
        return None
    try:
        return datetime.fromtimestamp(int(text), UTC)
    except (OverflowError, ValueError, OSError):
        return None
