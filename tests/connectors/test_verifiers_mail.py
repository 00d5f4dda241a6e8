"""Services that bring mail: requests signed as each documents it, made here without our own code, and forgeries of each."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from connectors.forms import multipart
from connectors.verifiers import Basic, Grade, Outcome, Secret, Verification, asked_for, new_secret
from connectors.verifiers_mail import EitherOf, SignedForm, SignedP256, _p256

NOW = datetime(2026, 3, 2, 16, tzinfo=UTC)
STAMP = str(int(NOW.timestamp()))
TOKEN = "b6f2" * 12 + "a1"
KEY = "invented-signing-key"
FORM = SignedForm("the signing key")


@pytest.fixture(autouse=True)
def nothing_read_before() -> None:
    """What a key is read as is remembered, and would hide a mistake made since (mutmut forks a process that has read them)."""
    _p256.cache_clear()


def mailgun(stamp: str = STAMP, token: str = TOKEN, key: str = KEY, **changes: Any) -> dict[str, str]:
    """The fields of a form of Mailgun's: hex(HMAC-SHA256(key, timestamp + token))."""
    signature = hmac.new(key.encode(), (stamp + token).encode(), hashlib.sha256).hexdigest()
    fields = {
        "recipient": "a@x.example",
        "timestamp": stamp,
        "token": token,
        "signature": signature,
        "body-mime": "From: a\r\n\r\nhi",
    }
    return {name: value for name, value in {**fields, **changes}.items() if value is not None}


def taken(body: bytes, secrets: tuple[str, ...] = (KEY,), now: datetime = NOW) -> Verification:
    return FORM.check(body, {}, [Secret(str(n), value) for n, value in enumerate(secrets)], now)


@pytest.mark.parametrize("written", [lambda f: urlencode(f).encode(), lambda f: multipart(f, "b")], ids=["form", "multipart"])
def test_a_form_of_mailgun_is_known_in_both_spellings(written: Callable[[dict[str, str]], bytes]) -> None:
    found = taken(written(mailgun()), ("another", KEY))
    assert (found.outcome, found.key_id, found.signed_at, found.grade) == (Outcome.AUTHENTIC, "1", NOW, Grade.SHARED_SECRET)
    forged = [
        mailgun(key="guessed"),
        {**mailgun(), "token": TOKEN[:-1] + "0"},
        {**mailgun(), "timestamp": str(int(STAMP) + 1)},
        {**mailgun(), "token": mailgun()["signature"], "signature": TOKEN},
        {**mailgun(), "timestamp": STAMP + TOKEN[:1], "token": TOKEN[1:]},
        {**mailgun(), "timestamp": STAMP[:-1], "token": STAMP[-1:] + TOKEN},
        *({**mailgun(), name: value} for name in ("timestamp", "token", "signature") for value in ("", " ", "x" * 2000)),
        *({key: value for key, value in mailgun().items() if key != name} for name in ("timestamp", "token", "signature")),
        {**mailgun(), "signature": mailgun()["signature"].upper()},
        {**mailgun(), "signature": mailgun()["signature"] + "\n"},
    ]
    for fields in forged:
        assert taken(written(fields)).outcome is Outcome.REFUSED, fields


def test_what_is_refused_of_a_form_says_why() -> None:
    good = mailgun()
    because = {
        "no signature matches": taken(urlencode({**good, "signature": "0" * 64}).encode()),
        "no usable secret": taken(urlencode(good).encode(), (" ",)),
        "the timestamp is not ten digits, or the token is not allowed": taken(urlencode({**good, "token": "a b"}).encode()),
    }
    assert {reason: found.reason for reason, found in because.items()} == {reason: reason for reason in because}
    broken = taken(b"timestamp=1&timestamp=2")
    assert broken.reason.startswith("the form is not signed: ")
    assert "timestamp" in broken.reason
    assert {one.scheme for one in (*because.values(), broken, taken(urlencode(good).encode()))} == {"hmac-sha256-form"}


def test_a_field_of_a_form_that_is_there_twice_is_none() -> None:
    good = urlencode(mailgun()).encode()
    for name in ("timestamp", "token", "signature"):
        again = urlencode({name: mailgun()[name]}).encode()
        assert taken(good + b"&" + again).outcome is Outcome.REFUSED
        assert taken(good + b"&" + again.replace(name[0].encode(), f"%{ord(name[0]):02x}".encode(), 1)).outcome is Outcome.REFUSED
    assert taken(good + b"&recipient=b%40x.example").outcome is Outcome.AUTHENTIC, "it is not signed at all"


def test_a_form_is_late_after_a_quarter_of_an_hour_and_never_refused() -> None:
    body = urlencode(mailgun()).encode()
    for seconds, outcome in (
        (0, "authentic"),
        (900, "authentic"),
        (901, "stale"),
        (-900, "authentic"),
        (-901, "stale"),
        (10**7, "stale"),
    ):
        assert taken(body, now=NOW + timedelta(seconds=seconds)).outcome == outcome
    assert taken(urlencode(mailgun(key="x")).encode(), now=NOW + timedelta(seconds=901)).outcome is Outcome.REFUSED


def test_the_mail_in_a_form_is_not_signed_and_the_grade_says_no_more() -> None:
    """Decided, and written in Mailgun's README: a signature used again proves a notification, never the mail beside it."""
    again = taken(urlencode(mailgun(**{"body-mime": "From: somebody else\r\n\r\n"})).encode())
    assert (again.outcome, again.grade) == (Outcome.AUTHENTIC, Grade.SHARED_SECRET)


SIGNATURE, TIMESTAMP = "x-twilio-email-event-webhook-signature", "x-twilio-email-event-webhook-timestamp"
P256 = SignedP256(SIGNATURE, TIMESTAMP, "the public key")
POLICY, STRANGER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
BODY = b'--x\r\nContent-Disposition: form-data; name="email"\r\n\r\nFrom: a\r\n\r\n\xff\r\n--x--\r\n'


def public(key: Any) -> str:
    return base64.b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def sendgrid(body: bytes = BODY, stamp: str = STAMP, key: ec.EllipticCurvePrivateKey = POLICY) -> dict[str, str]:
    """The headers of SendGrid's: base64(ECDSA-SHA256(timestamp + body))."""
    return {SIGNATURE: base64.b64encode(key.sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))).decode(), TIMESTAMP: stamp}


def compressed(key: ec.EllipticCurvePrivateKey) -> str:
    """The same key in another spelling, which libraries read as well."""
    raw = base64.b64decode(public(key))
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return base64.b64encode(b"\x30\x39" + raw[2:23] + b"\x03\x22\x00" + point).decode()


def test_what_sendgrid_signs_is_known_and_forgeries_are_not() -> None:
    secret = Secret("policy", public(POLICY))
    found = P256.check(
        BODY, {name.upper(): value for name, value in sendgrid().items()}, [Secret("x", public(STRANGER)), secret], NOW
    )
    assert (found.outcome, found.key_id, found.signed_at, found.grade) == (Outcome.AUTHENTIC, "policy", NOW, Grade.THIRD_PARTY)
    good, flipped = sendgrid(), bytearray(BODY)
    flipped[-20] ^= 1
    for body, headers in (
        (bytes(flipped), good),
        (BODY, sendgrid(key=STRANGER)),
        (BODY, {**good, TIMESTAMP: str(int(STAMP) + 1)}),
        (BODY, {SIGNATURE: good[TIMESTAMP], TIMESTAMP: good[SIGNATURE]}),
        (BODY, {SIGNATURE: good[SIGNATURE]}),
        (BODY, {TIMESTAMP: STAMP}),
        (BODY, {**good, SIGNATURE.upper(): good[SIGNATURE]}),
        (BODY, {**good, SIGNATURE: good[SIGNATURE].rstrip("=") + "A"}),
        (b"23", sendgrid(stamp=STAMP + "1", body=b"23")),
        (BODY[:1] + BODY, good),
        (b"", good),
    ):
        assert P256.check(body, headers, [secret], NOW).outcome is Outcome.REFUSED
    late = P256.check(BODY, good, [secret], NOW + timedelta(seconds=301))
    assert (late.outcome, late.key_id) == (Outcome.STALE, "policy")


@pytest.mark.parametrize(
    "value",
    [
        public(ec.generate_private_key(ec.SECP384R1())),
        public(ec.generate_private_key(ec.SECP256K1())),
        public(rsa.generate_private_key(65537, 2048)),
        compressed(POLICY),
        public(POLICY)[:-4],
        public(POLICY).replace("=", ""),
        public(POLICY) + "AAAA",
        base64.b64encode(b"\x30\x00").decode(),
        "user:password",
        "\ud800",
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_only_a_public_key_on_p256_in_its_one_spelling_is_usable(value: str) -> None:
    assert not P256.usable(Secret("x", value))
    assert P256.check(BODY, sendgrid(), [Secret("x", value)], NOW).outcome is Outcome.REFUSED


def test_of_two_ways_each_secret_is_for_one() -> None:
    """Without a secret of that way nothing passes by it; during a change both do, each with its own grade."""
    either = EitherOf(P256, Basic())
    key, pair = Secret("key", public(POLICY)), Secret("pair", "harmline:pw")
    basic = {"authorization": "Basic " + base64.b64encode(b"harmline:pw").decode()}
    as_key = {"authorization": "Basic " + base64.b64encode(key.value.encode()).decode()}
    assert either.check(BODY, sendgrid(), [pair, key], NOW).grade is Grade.THIRD_PARTY
    assert either.check(BODY, basic, [pair, key], NOW).grade is Grade.SHARED_SECRET
    assert either.check(BODY, {**basic, **sendgrid()}, [pair, key], NOW).key_id == "key"
    for headers, secrets in (
        (basic, [key]),
        (sendgrid(), [pair]),
        (as_key, [key]),
        (sendgrid(key=STRANGER), [pair, key]),
        (basic, []),
    ):
        assert either.check(BODY, headers, secrets, NOW).outcome is Outcome.REFUSED
    assert either.check(BODY, {}, [pair], NOW).reason == "the header does not match", "not that there is no key"
    assert either.check(BODY, {}, [key], NOW).reason == "the timestamp is not ten digits"
    assert (either.grade, asked_for(either)) == (Grade.SHARED_SECRET, None)
    assert [either.usable(one) for one in (key, pair, Secret("neither", "x"))] == [True, True, False]
    assert Basic().usable(Secret("k", new_secret(either) or ""))


def test_the_second_way_is_asked_with_the_body_and_the_time_as_they_are() -> None:
    either = EitherOf(Basic(), FORM)
    secrets = [Secret("form", KEY)]
    assert either.check(urlencode(mailgun()).encode(), {}, secrets, NOW).outcome is Outcome.AUTHENTIC
    assert either.check(urlencode(mailgun()).encode(), {}, secrets, NOW + timedelta(seconds=901)).outcome is Outcome.STALE


def test_what_only_the_sender_has_is_asked_for() -> None:
    for verifier in (FORM, P256):
        assert new_secret(verifier) is None
        assert asked_for(verifier)
    assert asked_for(Basic()) is None


@given(
    body=st.binary(max_size=200) | st.text(max_size=200).map(str.encode),
    lead=st.sampled_from([b"", b"timestamp=", b"--x\r\n", b'{"Type":']),
)
def test_nothing_that_is_posted_raises_or_passes(body: bytes, lead: bytes) -> None:
    secrets = [Secret("a", KEY), Secret("b", "\ud800")]
    assert FORM.check(lead + body, {}, secrets, NOW).outcome is Outcome.REFUSED


def test_a_large_forgery_is_cheap() -> None:
    megabyte = 1024 * 1024
    for body in (b"&" * 30 * megabyte, b"timestamp=" + b"%41" * 10 * megabyte, b"--x\r\n" + b"\r\n--x\r\n" * 3 * megabyte):
        begin = time.perf_counter()
        assert taken(body).outcome is Outcome.REFUSED
        assert time.perf_counter() - begin < 0.5
