"""What other servers say, and what is proven by it: mailboxes, the DNS, signed mails, whoever signs people in."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.nameserver
import dns.rrset
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwt
from joserfc.jwk import ECKey

from app.access.id_tokens import Expected, NotGood, Said, believed, verified_email
from app.kit import dns as names
from benchmarks.campaigns._fuzz_promises import Fuzzed, loop, require
from connectors import imap_answers as imap
from connectors.asking import NotAllowed, ProviderError, TryLater
from connectors.mail import dkim_keys, signed
from connectors.registry import registry
from connectors.testing.cases import cases_of
from connectors.verifiers import Grade

NOW = datetime(2026, 3, 2, 16, tzinfo=UTC)
FOLDERS = Path(__file__).parents[2] / "connectors"


def _responses(data: bytes) -> Iterator[list[bytes]]:
    """Lines with their literals, as the client of mailboxes reads them off the wire."""
    while data:
        pieces: list[bytes] = []
        while True:
            line, _, data = data.partition(b"\n")
            found = imap.LITERAL.search(line.rstrip(b"\r"))
            if found is None or int(found[1]) > len(data):
                break
            pieces += [line[: found.start()], data[: int(found[1])]]
            data = data[int(found[1]) :]
        yield [*pieces, line.rstrip(b"\r")]


def read_mailbox(data: bytes) -> None:
    """What a mail server says: a ProviderError, or ids upwards, a number, a part. And a folder's name, which comes back."""
    told = list(_responses(data))
    for pieces in told:
        words = imap.words(pieces)
        require(sum(isinstance(word, imap.Text) for word in words) >= len(pieces) // 2, "a literal that is no text")
        with contextlib.suppress(ProviderError):
            imap.refusal(imap.said(pieces[0].partition(b" ")[2]), TryLater(""))
    require((imap.validity(told) or 0) < 10**10, "a number without bounds")
    with contextlib.suppress(ProviderError):
        ids = imap.uids(told, 7)
        require(ids == sorted(set(ids)) and all(7 < one < 10**10 for one in ids), "ids that were not asked for")
    for uid in (8, 9):
        part = imap.part(told, uid)
        require(part is None or part.body in data or b"\\" in data, "a part that was not sent")
    require(len(imap.head(data)) <= imap.LONGEST_HEAD + 4, "a header without an end")
    _arguments(data.decode("utf-8", "replace"))


def _arguments(text: str) -> None:
    folder = imap.folder_name(text)
    require(folder.isascii() and _known_folder(folder) == text, "another folder")
    with contextlib.suppress(NotAllowed):
        sent = imap.argument(text)
        read = imap.words([sent]) if isinstance(sent, bytes) else [sent]
        require(read == [imap.Text(text.encode())], "a command that says something else")


def _known_folder(name: str) -> str:
    """What a mail server takes modified UTF-7 for."""
    plain = re.sub(r"&([A-Za-z0-9+,]*)-", lambda run: "&" if not run[1] else _letters(run[1]), name)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _letters(coded: str) -> str:
    return base64.b64decode(coded.replace(",", "/") + "=" * (-len(coded) % 4)).decode("utf-16-be", "surrogatepass")


def mailboxes() -> Fuzzed:
    """A whole session, and the settings that go into it."""
    session = (
        b"* OK [CAPABILITY IMAP4rev1] ready\r\nh1 OK done\r\n* OK [UIDVALIDITY 42] valid\r\nh2 OK [READ-ONLY] done\r\n",
        b"* SEARCH 8 9 12\r\nh3 OK done\r\n",
        b'* 1 FETCH (UID 8 FLAGS (\\Seen) RFC822.SIZE 9 BODY[]<0> {9}\r\na: b\r\n\r\n) \r\nh4 OK "done"\r\n',
        b'* 2 FETCH (BODY[]<0> "a\\"b" UID 9)\r\nh5 NO [AUTHENTICATIONFAILED] no\r\n* BYE [UNAVAILABLE] gone\r\n',
        "Entw\u00fcrfe & \U0001f4e7".encode(),
    )
    return Fuzzed(read_mailbox, (*session, b"".join(session[:4])))


ASKED_FOR = "s1._domainkey.monitor.example"


class Nameserver(dns.nameserver.AddressAndPortNameserver):
    """Answers once with these bytes, whatever is asked, and is then gone."""

    def __init__(self, wire: bytes) -> None:
        super().__init__("192.0.2.1", 53)
        self._wire: bytes | None = wire

    def kind(self) -> str:
        return "Do53"

    async def async_query(self, request: dns.message.QueryMessage, *_: Any, **__: Any) -> dns.message.Message:
        wire, self._wire = self._wire, None
        if wire is None:
            raise EOFError
        answer = dns.message.from_wire(request.id.to_bytes(2, "big") + wire[2:], raise_on_truncation=True)
        if not request.is_response(answer):
            raise dns.query.BadResponse
        return answer


def read_names(data: bytes) -> None:
    """A name that stands in a mail, and what the DNS answers: NoAnswer, or texts; and of a text KeyRefused, or a key."""
    name, _, wire = data.partition(b"\n")
    asked = names.resolver("192.0.2.1")
    asked.nameservers = [Nameserver(wire)]  # type: ignore[list-item]  # dnspython takes both
    with contextlib.suppress(names.NoAnswer):
        found = loop().run_until_complete(names.txt(asked, [name.decode("utf-8", "replace")]))
        require(all(len(text) < 2**16 for text in found.values()), "more than an answer holds")
        for text in found.values():
            _key_of(text)
    _key_of(wire.decode("utf-8", "replace"))


def _key_of(text: str) -> None:
    with contextlib.suppress(dkim_keys.KeyRefused):
        key = dkim_keys.key_of(text)
        require(key.bits == 256 or dkim_keys.WEAKEST <= key.bits <= dkim_keys.STRONGEST, "a key of no size")


def _answers(record: str) -> Iterator[bytes]:
    asked = dns.message.make_query(ASKED_FOR, "TXT")
    for texts in ((record,), (record[:20], record[20:]), ("v=spf1 -all",), ()):
        answer = dns.message.make_response(asked)
        if texts:
            written = " ".join(f'"{text}"' for text in texts)
            answer.answer.append(dns.rrset.from_text(ASKED_FOR + ".", 60, "IN", "TXT", written))
        yield ASKED_FOR.encode() + b"\n" + answer.to_wire()
    answer.flags |= dns.flags.TC
    yield ASKED_FOR.encode() + b"\n" + answer.to_wire()


SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RECORD = f"v=DKIM1; k=ed25519; p={base64.b64encode(SIGNER.public_key().public_bytes_raw()).decode()}"
RSA_RECORD = "v=DKIM1; k=rsa; h=sha256; s=email; t=s; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAL8=;"


def name_servers() -> Fuzzed:
    """Answers with a record of one text and of two, with another one, with none, and cut off."""
    return Fuzzed(read_names, (*_answers(RECORD), *_answers(RSA_RECORD), ASKED_FOR.encode() + b"\n" + RSA_RECORD.encode()))


def _signed_mail() -> bytes:
    """A mail with one signature (RFC 8463), made here: what makes others may not be installed."""
    body = b"Your new account at Lakeside Card Bank.\r\n"
    head = [b"from:Alerts <alerts@monitor.example>\r\n", b"subject:New account\r\n"]
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    tags = f"v=1; a=ed25519-sha256; c=relaxed/simple; d=monitor.example; s=s1; h=from:subject; t=1772460000; bh={digest}; b="
    over = b"".join(head) + b"dkim-signature:" + tags.encode()
    signature = base64.b64encode(SIGNER.sign(hashlib.sha256(over).digest())).decode()
    return f"DKIM-Signature: {tags}{signature}\r\n".encode() + b"".join(head) + b"\r\n" + body


def read_proof(data: bytes) -> None:
    """A mail and the keys beside it: never an error; what is proven has its key among them, and says what our signer said."""
    beside, _, mail = data.partition(b"\n")
    asked = {"keys": beside.decode("utf-8", "replace")}
    for one in registry().values():
        wanted = one.names_to_ask(mail)
        require(len(wanted) <= signed.MOST_SIGNATURES and len(set(wanted)) == len(wanted), "names without an end")
        require(all(name.isascii() and len(name) <= 253 for name in wanted), "what is no name")
        said = one.proof_of(mail, asked)
        if said.grade is Grade.THIRD_PARTY:
            require(said.key_id in signed.keys_in(asked["keys"]) and said.key_id in wanted, "proven by a key that is not there")
            require(b"Lakeside" in mail, "proven without its text")


def proofs() -> Fuzzed:
    """A signed mail, with its key and without; and mails of every carrier."""
    key = json.dumps({ASKED_FOR: RECORD}).encode()
    mails = [case.body for case in cases_of(registry()["mail"], FOLDERS / "mail")]
    return Fuzzed(read_proof, (key + b"\n" + _signed_mail(), b"\n" + _signed_mail(), *(key + b"\n" + mail for mail in mails)))


OURS = ECKey.import_key(ec.derive_private_key(4417, ec.SECP256R1()))  # type: ignore[arg-type]
EXPECTED = Expected("https://id.example", "client", "nonce", NOW)
CLAIMS = {
    "iss": EXPECTED.issuer,
    "aud": "client",
    "nonce": "nonce",
    "sub": "somebody",
    "email": "a@b.example",
    "exp": int(NOW.timestamp()) + 60,
    "iat": int(NOW.timestamp()),
    "auth_time": int(NOW.timestamp()),
    "email_verified": True,
}
KEYS = {
    "keys": [
        {**OURS.as_dict(private=False), "kid": "k", "use": "sig", "alg": "ES256"},
        {"kty": "RSA", "n": "AQ", "e": "AQAB"},
    ]
}
SAID = Said("somebody", "a@b.example", NOW, True)


def read_id_token(data: bytes) -> None:
    """A token and the provider's keys: NotGood, or exactly what was signed, by whatever keys. An address is ASCII, or none."""
    token, _, written = data.partition(b"\n")
    try:
        keys = json.loads(written)
    except (ValueError, RecursionError):
        keys = KEYS
    if isinstance(keys, dict):
        require((verified_email(keys) or "").isascii(), "an address that looks like another's")
    with contextlib.suppress(NotGood):
        require(believed(token.decode("utf-8", "replace"), keys, EXPECTED, NOW) == SAID, "what nobody signed")


def id_tokens() -> Fuzzed:
    """A good one, one by no key, and one of each other way to sign."""
    keys = json.dumps(KEYS).encode()
    good = jwt.encode({"alg": "ES256", "kid": "k"}, CLAIMS, OURS, algorithms=["ES256"]).encode()
    head, claims, signature = good.split(b".")
    others = [
        b".".join((base64.urlsafe_b64encode(json.dumps({"alg": way, **more}).encode()).rstrip(b"="), claims, signature))
        for way, more in (("none", {}), ("HS256", {"kid": "k"}), ("RS256", {}), ("ES384", {"crit": ["b64"], "b64": False}))
    ]
    return Fuzzed(read_id_token, tuple(one + b"\n" + keys for one in (good, head + b"." + claims + b".", *others)))


def targets() -> dict[str, Fuzzed]:
    """These targets by name."""
    return {"imap": mailboxes(), "dns": name_servers(), "proofs": proofs(), "id_tokens": id_tokens()}
