"""Webhook authenticity: published vectors, every single bit, every malformed header, every missing secret."""

from __future__ import annotations

import base64
import dataclasses
import hmac
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from standardwebhooks import Webhook

from connectors.contract import Sender, grade_of
from connectors.standard.sandbox import sign
from connectors.testing.signing import p256_key
from connectors.verifiers import (
    Basic,
    BearerList,
    Grade,
    HmacSha256,
    NotSigned,
    Outcome,
    Secret,
    StampedHmacSha256,
    StandardWebhooks,
    StaticHeader,
    Verification,
    Verifier,
    new_secret,
)
from connectors.verifiers_mail import SignedP256
from tests.connectors.suite import DATED, VERIFIERS, secrets_for, signed, signed_v1a

NOW = datetime(2026, 3, 2, 16, tzinfo=UTC)
BODY = b'{"id": "a", "type": "ping"}'
each_verifier = pytest.mark.parametrize("verifier", VERIFIERS, ids=repr)
each_dated = pytest.mark.parametrize("verifier", DATED, ids=repr)

SW = StandardWebhooks()
SW_SECRET = Secret("k1", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
SW_ID, SW_STAMP, SW_BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}'
SW_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
SW_NOW = datetime.fromtimestamp(int(SW_STAMP), UTC)


def sw(message_id: str = SW_ID, stamp: str = SW_STAMP, signature: str = SW_SIGNATURE) -> dict[str, str]:
    return {"webhook-id": message_id, "webhook-timestamp": stamp, "webhook-signature": signature}


def sw_check(headers: dict[str, str], body: bytes = SW_BODY, now: datetime = SW_NOW) -> Verification:
    return SW.check(body, headers, [SW_SECRET], now)


def test_the_published_standard_webhooks_vector_is_authentic() -> None:
    found = sw_check(sw())
    assert found.outcome is Outcome.AUTHENTIC
    assert (found.key_id, found.scheme, found.grade) == ("k1", "standard-webhooks/v1", Grade.SHARED_SECRET)
    assert found.signed_at == SW_NOW


WRONG_MAC = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="


@pytest.mark.parametrize(
    ("headers", "ok"),
    [
        ({k.title(): v for k, v in sw().items()}, True),
        (sw(signature=f"{WRONG_MAC} {SW_SIGNATURE} v2,abc"), True),
        (sw(signature=f"{SW_SIGNATURE} {WRONG_MAC}"), True),
        (sw(signature=f"{WRONG_MAC} {SW_SIGNATURE}"), True),
        (sw(signature=" ".join([WRONG_MAC] * 15 + [SW_SIGNATURE])), True),
        (sw(signature=" ".join([WRONG_MAC] * 16 + [SW_SIGNATURE])), False),
        (sw(signature=f"  {SW_SIGNATURE}"), True),
        (sw(signature=SW_SIGNATURE.replace("v1,", "v0,")), False),
        (sw(signature=SW_SIGNATURE.replace("v1,", "V1,")), False),
        (sw(signature=SW_SIGNATURE.replace("v1,", "v1a,")), False),
        (sw(signature=SW_SIGNATURE.replace("v1,", "v1")), False),
        (sw(signature=SW_SIGNATURE.replace("v1,", "v1,v1,")), False),
        (sw(signature=SW_SIGNATURE.replace("v1,", "")), False),
        (sw(signature=SW_SIGNATURE.swapcase()), False),
        (sw(signature=SW_SIGNATURE[:-2] + "F="), False),
        (sw(signature=SW_SIGNATURE[:-2] + "G="), False),
        (sw(signature=SW_SIGNATURE[:-2] + "H="), False),
        (sw(signature=SW_SIGNATURE.rstrip("=")), False),
        (sw(signature=SW_SIGNATURE + "="), False),
        (sw(signature=SW_SIGNATURE + "\n"), False),
        (sw(signature=SW_SIGNATURE.replace("+", "-").replace("/", "_")), False),
        (sw(signature="v1"), False),
        (sw(signature="v1,"), False),
        (sw(signature="v1,a,b"), False),
        (sw(signature="v1,abc"), False),
        (sw(signature="v1a,abc"), False),
        (sw(signature="v1,é"), False),
        (sw(signature="v1,\udcff"), False),
        (sw(signature="v1a,\udcff"), False),
        (sw(signature=""), False),
        (sw(message_id=""), False),
        (sw(message_id="msg_1"), False),
        (sw(message_id=SW_ID + " "), False),
        (sw(message_id=SW_ID + ",x"), False),
        (sw(message_id="é" + SW_ID), False),
        (sw(message_id="x" * 256), False),
        ({k: v for k, v in sw().items() if k != "webhook-id"}, False),
        ({k: v for k, v in sw().items() if k != "webhook-timestamp"}, False),
        ({k: v for k, v in sw().items() if k != "webhook-signature"}, False),
        ({**sw(), "Webhook-Signature": SW_SIGNATURE}, False),
        ({**sw(), "WEBHOOK-ID": "msg_other"}, False),
    ],
    ids=lambda value: repr(value)[-60:],
)
def test_standard_webhooks_headers(headers: dict[str, str], ok: bool) -> None:
    assert sw_check(headers).outcome is (Outcome.AUTHENTIC if ok else Outcome.REFUSED)


@pytest.mark.parametrize("size", [*range(32), 33, 64])
def test_a_signature_of_another_length_is_refused(size: int) -> None:
    mac = (base64.b64decode(SW_SIGNATURE[3:]) * 2)[:size]
    assert sw_check(sw(signature="v1," + base64.b64encode(mac).decode())).outcome is Outcome.REFUSED


def test_an_id_cannot_reach_into_the_timestamp_or_the_body() -> None:
    """The same signed bytes, cut elsewhere: "id.ts.body" read as "id.ts" + a later timestamp."""
    inner = f"{SW_STAMP}.{{}}".encode()
    headers = sign(SW_SECRET.value, inner, at=SW_NOW, message_id="msg_1")
    moved = {**headers, "webhook-id": f"msg_1.{SW_STAMP}"}
    assert sw_check(headers, inner).outcome is Outcome.AUTHENTIC
    assert sw_check(moved, b"{}").outcome is Outcome.REFUSED


def test_a_flood_of_signatures_is_cheap() -> None:
    headers = sw(signature=" ".join([WRONG_MAC] * 10_000))
    begin = time.perf_counter()
    for _ in range(20):
        assert sw_check(headers).outcome is Outcome.REFUSED
    assert (time.perf_counter() - begin) / 20 < 0.02


STAMPS = "١٦٧٤٠٨٧٢٣١|1_674_087_231| 1674087231|1674087231\n|1e9|+1674087231|+167408723|NaN|nan|inf|-167408723|0|167408723"
STAMPS += "|16740872310|16740872310000000000|0x63c88c3f|1674087231.0|²674087231|1674 87231"


@each_dated
@pytest.mark.parametrize("stamp", STAMPS.split("|"), ids=ascii)
def test_only_ten_plain_digits_are_a_timestamp(verifier: Verifier, stamp: str) -> None:
    """Signed over the odd stamp with the right secret, so that only the grammar stands in its way."""
    new, *_ = secrets_for(verifier)
    at = str(int(NOW.timestamp()))
    assert verifier.check(BODY, signed_over(verifier, new, at), [new], NOW).outcome is Outcome.AUTHENTIC
    assert verifier.check(BODY, signed_over(verifier, new, stamp), [new], NOW).outcome is Outcome.REFUSED


def signed_over(verifier: Verifier, secret: Secret, stamp: str) -> dict[str, str]:
    """The headers with another stamp, freshly signed over it; on the wire as UTF-8."""
    wire = stamp.encode().decode("latin-1")
    if isinstance(verifier, StandardWebhooks):
        mac = hmac.digest(base64.b64decode(secret.value[6:]), b"msg_1." + stamp.encode() + b"." + BODY, "sha256")
        return sw("msg_1", wire, "v1," + base64.b64encode(mac).decode())
    if isinstance(verifier, SignedP256):
        signature = p256_key(secret.key_id).sign(stamp.encode() + BODY, ec.ECDSA(hashes.SHA256()))
        return {verifier.signature_header: base64.b64encode(signature).decode(), verifier.timestamp_header: wire}
    separator = getattr(verifier, "separator", ".")
    mac = hmac.digest(secret.value.encode(), f"{stamp}{separator}".encode() + BODY, "sha256")
    if isinstance(verifier, StampedHmacSha256):
        return {verifier.signature_header: f"t={wire},v1={mac.hex()}"}
    assert isinstance(verifier, HmacSha256)
    assert verifier.timestamp_header
    text = base64.b64encode(mac).decode() if verifier.encoding == "base64" else mac.hex()
    return {verifier.signature_header: text, verifier.timestamp_header: wire}


@each_dated
@pytest.mark.parametrize("forward", [1, -1])
def test_the_edges_of_the_tolerance(verifier: Verifier, forward: int) -> None:
    new, *_ = secrets_for(verifier)
    headers = signed(verifier, new, BODY, NOW)
    for seconds, outcome in ((0, "authentic"), (299, "authentic"), (300, "authentic"), (301, "stale"), (86400, "stale")):
        found = verifier.check(BODY, headers, [new], NOW + forward * timedelta(seconds=seconds))
        assert (found.outcome, found.key_id, found.signed_at) == (outcome, "new", NOW)
    assert verifier.check(BODY + b" ", headers, [new], NOW + timedelta(seconds=301)).outcome is Outcome.REFUSED


@pytest.mark.parametrize("now", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_a_clock_gone_mad_raises_nothing(now: datetime) -> None:
    assert sw_check(sw(), now=now).outcome is Outcome.STALE


BLANK = ["", " ", "\t\n", "\x00", "\x00" * 64, "\u200b", "whsec_", "whpk_", "whsec_" + base64.b64encode(bytes(32)).decode()]
STANDARD_ONLY = [
    "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw=",
    "whsec_" + base64.b64encode(b"x" * 23).decode(),
    "whsec_" + base64.b64encode(b"x" * 65).decode(),
    "whsec_é",
    "whsec_\ud800",
    "whpk_" + base64.b64encode(bytes(32)).decode(),
    "whpk_" + base64.b64encode(b"x" * 31).decode(),
    "whsk_" + base64.b64encode(b"x" * 32).decode(),
]


@each_verifier
def test_no_secret_and_blank_secrets_prove_nothing(verifier: Verifier) -> None:
    new, *_ = secrets_for(verifier)
    good = signed(verifier, new, BODY, NOW)
    assert verifier.check(BODY, good, [], NOW).outcome is Outcome.REFUSED
    standard = isinstance(verifier, StandardWebhooks)
    for value in BLANK if standard else BLANK[:6]:
        blank = Secret("blank", value)
        assert not verifier.usable(blank)
        for secrets in ([blank], [blank, blank]):
            assert verifier.check(BODY, good, secrets, NOW).outcome is Outcome.REFUSED
            if not standard:
                forged = signed(verifier, Secret("blank", value.replace("\u200b", "")), BODY, NOW)
                assert verifier.check(BODY, forged, secrets, NOW).outcome is Outcome.REFUSED
        assert verifier.check(BODY, good, [blank, new], NOW).outcome is Outcome.AUTHENTIC


@pytest.mark.parametrize("value", STANDARD_ONLY, ids=ascii)
def test_a_secret_in_another_form_is_not_usable(value: str) -> None:
    assert not SW.usable(Secret("odd", value))
    assert SW.check(SW_BODY, sw(), [Secret("odd", value)], SW_NOW).outcome is Outcome.REFUSED


@pytest.mark.parametrize("value", ["user", "user:", ":password", ":", " : ", "user:\x00"], ids=ascii)
def test_basic_needs_a_user_and_a_password(value: str) -> None:
    given_header = {"authorization": "Basic " + base64.b64encode(value.encode()).decode()}
    assert Basic().check(BODY, given_header, [Secret("k", value)], NOW).outcome is Outcome.REFUSED


@pytest.mark.parametrize("value", ["pässword", "пароль", "日本"], ids=ascii)
@pytest.mark.parametrize("verifier", [BearerList(), StaticHeader("x-api-key")], ids=repr)
def test_a_secret_beyond_ascii_works_as_its_utf8_bytes(verifier: Verifier, value: str) -> None:
    on_the_wire = {
        name: text.replace(value, value.encode().decode("latin-1"))
        for name, text in signed(verifier, Secret("k", value), BODY, NOW).items()
    }
    assert verifier.check(BODY, on_the_wire, [Secret("k", value)], NOW).outcome is Outcome.AUTHENTIC


@pytest.mark.parametrize(
    ("verifier", "value"),
    [
        (Basic(), "basic aGFybWxpbmU6cHc="),
        (Basic(), "BASIC aGFybWxpbmU6cHc="),
        (Basic(), "Basic  aGFybWxpbmU6cHc="),
        (Basic(), "Basic aGFybWxpbmU6cHc"),
        (Basic(), "Basic aGFybWxpbmU6cHd="),
        (Basic(), "Bearer aGFybWxpbmU6cHc="),
        (BearerList(), "bearer harmline:pw"),
        (BearerList(), "Bearer harmline:pw "),
        (BearerList(), "Bearer harmline:p"),
        (BearerList(), "Bearer harmline:pw,x"),
        (BearerList(), "harmline:pw"),
        (StaticHeader("authorization"), "HARMLINE:PW"),
        (StaticHeader("authorization"), "harmline:pw\x00"),
    ],
)
def test_a_shown_secret_in_another_form_is_refused(verifier: Verifier, value: str) -> None:
    secret = Secret("k", "harmline:pw")
    assert verifier.check(BODY, signed(verifier, secret, BODY, NOW), [secret], NOW).outcome is Outcome.AUTHENTIC
    assert verifier.check(BODY, {"authorization": value}, [secret], NOW).outcome is Outcome.REFUSED


GITHUB = HmacSha256("X-Hub-Signature-256", prefix="sha256=")
GITHUB_MAC = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


@pytest.mark.parametrize(
    ("header", "value", "ok"),
    [
        ("X-Hub-Signature-256", f"sha256={GITHUB_MAC}", True),
        ("x-hub-signature-256", f"sha256={GITHUB_MAC}", True),
        ("X-Hub-Signature-256", f"sha256={GITHUB_MAC.upper()}", False),
        ("X-Hub-Signature-256", f"SHA256={GITHUB_MAC}", False),
        ("X-Hub-Signature-256", GITHUB_MAC, False),
        ("X-Hub-Signature-256", f"sha1={GITHUB_MAC[:40]}", False),
        ("X-Hub-Signature-256", f"sha256={GITHUB_MAC[:-1]}", False),
        ("X-Hub-Signature", f"sha256={GITHUB_MAC}", False),
    ],
)
def test_the_published_github_vector(header: str, value: str, ok: bool) -> None:
    found = GITHUB.check(b"Hello, World!", {header: value}, [Secret("k", "It's a Secret to Everybody")], NOW)
    assert found.outcome is (Outcome.AUTHENTIC if ok else Outcome.REFUSED)


STRIPE = StampedHmacSha256("stripe-signature")
STRIPE_KEY = Secret("k", "whsec_test_secret")


@pytest.mark.parametrize(
    ("form", "outcome"),
    [
        ("t={t},v1={v}", "authentic"),
        ("v1={v},t={t}", "authentic"),
        ("t={t},v1=bad_signature,v1={v}", "authentic"),
        ("t={t},v1={v},v0=whatever", "authentic"),
        ("t={t}," + "v1=bad," * 15 + "v1={v}", "authentic"),
        ("t={t}," + "v1=bad," * 16 + "v1={v}", "refused"),
        ("t={t},v0={v}", "refused"),
        ("t={t},V1={v}", "refused"),
        ("i'm not even a real signature header", "refused"),
        ("t={t},v1=bad_signature", "refused"),
        ("t={t}", "refused"),
        ("v1={v}", "refused"),
        ("t={t},t={t},v1={v}", "refused"),
        ("t=,v1={v}", "refused"),
        ("t={t};v1={v}", "refused"),
        ("t={t},v1=\udcff", "refused"),
        ("", "refused"),
    ],
)
def test_stripe_style_headers(form: str, outcome: str) -> None:
    good = signed(STRIPE, STRIPE_KEY, BODY, NOW)["stripe-signature"]
    stamp, mac = (part.partition("=")[2] for part in good.split(","))
    header = {"Stripe-Signature": form.format(t=stamp, v=mac)}
    assert STRIPE.check(BODY, header, [STRIPE_KEY], NOW).outcome == outcome
    assert STRIPE.check(BODY + b"\n", header, [STRIPE_KEY], NOW).outcome is Outcome.REFUSED


@pytest.mark.parametrize(("encoding", "taken"), [("hex", "h"), ("base64", "b"), ("either", "hb")])
def test_a_mac_counts_in_the_spellings_that_were_agreed(encoding: Literal["hex", "base64", "either"], taken: str) -> None:
    verifier = HmacSha256("x-signature", "x-timestamp", separator=":", encoding=encoding)
    stamp = str(int(NOW.timestamp()))
    mac = hmac.digest(b"a-secret", f"{stamp}:".encode() + BODY, "sha256")
    for name, text in (("h", mac.hex()), ("b", base64.b64encode(mac).decode()), ("-", mac.hex().upper())):
        found = verifier.check(BODY, {"x-signature": text, "x-timestamp": stamp}, [Secret("k", "a-secret")], NOW)
        assert found.outcome is (Outcome.AUTHENTIC if name in taken else Outcome.REFUSED), name


def test_an_undated_hmac_never_grows_stale() -> None:
    verifier = HmacSha256("x-signature")
    new, *_ = secrets_for(verifier)
    found = verifier.check(BODY, signed(verifier, new, BODY, NOW), [new], NOW + timedelta(days=9999))
    assert (found.outcome, found.signed_at) == (Outcome.AUTHENTIC, None)


V1A_VECTOR = "v1a,yoUrgEkc12aGqm0n4Sydmdz55xJfTz4AsAgieHFjmkR7LJtqVCZOQYzvvHjI5kAey+r4iaBGxTFRrl2iBQxtDQ=="


def test_v1a_is_third_party_verifiable_and_named_before_v1() -> None:
    headers, public = signed_v1a(SW_BODY, SW_NOW, SW_ID)
    assert headers["webhook-signature"] == V1A_VECTOR, "Ed25519 is deterministic: the vector is fixed"
    for signature in (V1A_VECTOR, f"{SW_SIGNATURE} {V1A_VECTOR}", f"{V1A_VECTOR} {SW_SIGNATURE}"):
        found = SW.check(SW_BODY, sw(signature=signature), [SW_SECRET, public], SW_NOW)
        assert found.outcome is Outcome.AUTHENTIC
        assert (found.key_id, found.scheme, found.grade) == ("public", "standard-webhooks/v1a", Grade.THIRD_PARTY)
    stale = SW.check(SW_BODY, headers, [public], SW_NOW + timedelta(seconds=301))
    assert (stale.outcome, stale.grade) == (Outcome.STALE, Grade.THIRD_PARTY)
    assert SW.check(SW_BODY, headers, [SW_SECRET], SW_NOW).outcome is Outcome.REFUSED
    assert SW.check(SW_BODY, sw(), [public], SW_NOW).outcome is Outcome.REFUSED


def test_both_ways_with_the_standardwebhooks_package() -> None:
    secret = Secret("k", StandardWebhooks.new_secret())
    now = datetime.now(UTC)
    for body in (b"{}", '{"é": "日本"}'.encode(), b"[1,2]", b"null"):
        headers = sign(secret.value, body, at=now, message_id="msg_1")
        assert Webhook(secret.value).verify(body, headers) == json.loads(body)
        theirs = {**headers, "webhook-signature": Webhook(secret.value).sign("msg_1", now, body.decode())}
        foreign = {**headers, "webhook-signature": Webhook(StandardWebhooks.new_secret()).sign("msg_1", now, body.decode())}
        found = [SW.check(body, sent, [secret], now).outcome for sent in (headers, theirs, foreign)]
        assert found == [Outcome.AUTHENTIC, Outcome.AUTHENTIC, Outcome.REFUSED]


def test_new_secrets_differ_and_are_usable() -> None:
    made = {StandardWebhooks.new_secret() for _ in range(50)}
    assert len(made) == 50
    assert all(SW.usable(Secret("k", value)) for value in made)
    assert {len(base64.b64decode(value.removeprefix("whsec_"), validate=True)) for value in made} == {32}


def test_a_new_secret_has_the_form_that_its_verifier_takes() -> None:
    for verifier in (SW, Basic(), BearerList()):
        made = {new_secret(verifier) for _ in range(50)}
        assert len(made) == 50
        assert all(verifier.usable(Secret("k", value)) for value in made), verifier
    assert all(value.startswith("whsec_") for value in (new_secret(SW), StandardWebhooks.new_secret()))
    user, _, password = new_secret(Basic()).partition(":")
    assert (user, len(password)) == ("harmline", 15), "some providers take no more"
    assert len(new_secret(BearerList())) == 43, "256 bits, as letters"


def test_a_secret_is_not_shown_by_accident() -> None:
    assert "hidden" not in repr(Secret("k", "hidden"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        Secret("k", "hidden").value = "x"  # type: ignore[misc]


def test_the_grade_is_the_organizations_when_it_sends() -> None:
    found = sw_check(sw())
    assert grade_of(found, Sender.PROVIDER) is Grade.SHARED_SECRET
    assert grade_of(found, Sender.ORGANIZATION) is Grade.ORGANIZATION
    assert NotSigned("the path token").grade is Grade.UNVERIFIABLE
