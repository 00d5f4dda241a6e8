"""Amazon SNS: messages signed as Amazon documents it, made here without our own code, and forgeries of each."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from connectors.verifiers import Grade, Outcome, Secret, Verification, asked_for, new_secret
from connectors.verifiers_mail import SnsMessage, _topic_and_key, is_at_sns
from tests.connectors.test_verifiers_mail import NOW, POLICY, public


@pytest.fixture(autouse=True)
def nothing_read_before() -> None:
    """What a key is read as is remembered, and would hide a mistake made since (mutmut forks a process that has read them)."""
    _topic_and_key.cache_clear()


AMAZON, OTHER = rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048)
TOPIC = "arn:aws:sns:us-east-1:123456789012:alerts"
SNS = SnsMessage("the topic and its certificate")
ORDER = {
    "Notification": ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
    "SubscriptionConfirmation": ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
    "UnsubscribeConfirmation": ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
}


def amazon(kind: str = "Notification", key: rsa.RSAPrivateKey = AMAZON, algorithm: Any = None, **changes: Any) -> dict[str, Any]:
    """A message of SNS, signed over `name\\nvalue\\n` of its fields in the order of Amazon's guide; what is None is left out."""
    message = {
        "Type": kind,
        "MessageId": "165545c9-2a5c-472c-8df2-7ff2be2b3b1b",
        "TopicArn": TOPIC,
        "Subject": "A mail" if kind == "Notification" else None,
        "Message": '{"notificationType":"Received"}\nsecond line',
        "Timestamp": "2026-03-02T16:00:00.000Z",
        "SignatureVersion": "2",
        "SigningCertURL": "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0.pem",
        "Token": None if kind == "Notification" else "2336412f",
        "SubscribeURL": None if kind == "Notification" else "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription",
        **changes,
    }
    message = {name: value for name, value in message.items() if value is not None}
    over = "".join(f"{name}\n{message[name]}\n" for name in ORDER[kind] if name in message)
    signature = key.sign(over.encode(), padding.PKCS1v15(), algorithm or hashes.SHA256())
    return {**message, "Signature": base64.b64encode(signature).decode()}


def told(message: Any, value: str = f"{TOPIC} {public(AMAZON)}", now: datetime = NOW) -> Verification:
    body = message if isinstance(message, bytes) else json.dumps(message, indent=2).encode()
    return SNS.check(body, {}, [Secret("other", f"{TOPIC} {public(OTHER)}"), Secret("amazon", value)], now)


@pytest.mark.parametrize("kind", ORDER)
def test_what_amazon_signs_is_known(kind: str) -> None:
    found = told(amazon(kind))
    assert (found.outcome, found.key_id, found.signed_at, found.grade) == (Outcome.AUTHENTIC, "amazon", NOW, Grade.THIRD_PARTY)
    assert told(amazon(kind, Subject=None)).outcome is Outcome.AUTHENTIC
    assert told(amazon(kind, Message="Grüße 日本")).outcome is Outcome.AUTHENTIC


@pytest.mark.parametrize("kind", ORDER)
def test_whatever_is_changed_in_a_message_of_amazon_is_refused(kind: str) -> None:
    for name in ORDER[kind]:
        good = amazon(kind)
        if name not in good:
            continue
        changed = [{**good, name: good[name] + " "}, {**good, name: good[name][:-1]}, {**good, name: 7}, {**good, name: None}]
        changed.append({key: value for key, value in good.items() if key != name})
        for message in changed:
            assert told(message).outcome is Outcome.REFUSED, name
    good = amazon(kind, Subject=None)
    if kind == "Notification":
        assert told({**good, "Subject": 7}).outcome is Outcome.REFUSED
    assert told({**good, "Message": good["MessageId"], "MessageId": good["Message"]}).outcome is Outcome.REFUSED
    assert told({**good, "Signature": base64.b64encode(b"x" * 256).decode()}).outcome is Outcome.REFUSED
    assert told({**good, "Signature": good["Signature"].rstrip("=")}).outcome is Outcome.REFUSED


HOSTS = [
    "https://sns.us-east-1.amazonaws.com.evil.example/x.pem",
    "https://evil.example/sns.us-east-1.amazonaws.com/x.pem",
    "https://sns.us-east-1.amazonaws.com@evil.example/x.pem",
    "https://user@sns.us-east-1.amazonaws.com/x.pem",
    "https://sns.us-east-1.amazonaws.com:8443/x.pem",
    "https://xsns.us-east-1.amazonaws.com/x.pem",
    "https://sns.a.b.amazonaws.com/x.pem",
    "https://sns-us-east-1.amazonaws.com/x.pem",
    "https://sns.us-east-1.amazonaws.com.us/x.pem",
    "http://sns.us-east-1.amazonaws.com/x.pem",
    "https://s3.amazonaws.com/sns.pem",
    "https://[",
    "",
]


@pytest.mark.parametrize("url", HOSTS)
def test_a_certificate_of_another_host_is_refused(url: str) -> None:
    found = told(amazon(SigningCertURL=url))
    assert (found.outcome, found.reason) == (Outcome.REFUSED, "it names a certificate of another host")
    assert told(amazon(SigningCertURL="https://sns.cn-north-1.amazonaws.com.cn/x.pem")).outcome is Outcome.AUTHENTIC


def test_no_address_is_not_one_of_sns() -> None:
    assert [is_at_sns(url) for url in (None, "", "https://sns.amazonaws.com/x.pem")] == [False, False, True]


def test_other_keys_topics_times_and_algorithms() -> None:
    assert told(amazon(key=rsa.generate_private_key(65537, 2048))).outcome is Outcome.REFUSED
    assert "another certificate" in told(amazon(key=rsa.generate_private_key(65537, 2048))).reason
    assert told(amazon(TopicArn=TOPIC + "2")).reason == "it is of another topic", "Amazon signs for everybody"
    sha1 = amazon(SignatureVersion="1", algorithm=hashes.SHA1())
    assert "SignatureVersion" in told(sha1).reason
    assert told({**sha1, "SignatureVersion": "2"}).outcome is Outcome.REFUSED
    for seconds, outcome in ((7200, "authentic"), (7201, "stale"), (-7200, "authentic"), (-7201, "stale"), (10**8, "stale")):
        assert told(amazon(), now=NOW + timedelta(seconds=seconds)).outcome == outcome
    for sent in ("yesterday", "2026-03-02T16:00:00", "2026-02-30T16:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
        assert told(amazon(Timestamp=sent)).outcome is Outcome.REFUSED, sent


def test_no_line_can_move_from_one_field_of_a_message_to_another() -> None:
    """A message whose text ends as if other fields followed: the same bytes are signed, and only one reading of them counts."""
    good = amazon(Subject=None, Message="x\nMessageId\nother\nSubject\nfalse")
    moved = {**good, "Message": "x", "MessageId": "other\nSubject\nfalse\nMessageId\n" + good["MessageId"]}
    assert told(good).outcome is Outcome.AUTHENTIC
    assert told(moved).outcome is Outcome.REFUSED


def test_json_that_two_readers_read_differently_is_no_message() -> None:
    whole = json.dumps(amazon())
    for name in ("Message", "TopicArn", "Signature"):
        assert told((whole[:-1] + f', "{name}": "x"}}').encode()).outcome is Outcome.REFUSED
        assert told((f'{{"{name}": "x", ' + whole[1:]).encode()).outcome is Outcome.REFUSED
    for body in (
        b"",
        b"[]",
        b"null",
        whole.encode("utf-16"),
        b"[" * 100_000,
        b'{"Type": "Notification"}',
        b'{"Type": ["Notification"]}',
    ):
        assert told(body).outcome is Outcome.REFUSED
    lone = json.dumps({**amazon(), "Message": "\ud800"}).encode()
    assert told(lone).outcome is Outcome.REFUSED


def certificate(name: str, *others: str, key: Any = AMAZON) -> str:
    """A certificate in PEM: its subject's name, and other names of its host."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder(subject, subject, key.public_key(), 7, NOW - timedelta(days=9), NOW - timedelta(days=1))
    if others:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in others]), critical=False)
    return made.sign(OTHER, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def test_a_certificate_as_it_is_downloaded_and_as_a_field_of_one_line_leaves_it() -> None:
    pem = certificate("sns.amazonaws.com")
    written = [
        f"{TOPIC} {pem}",
        f"{TOPIC}\n{pem}",
        f"  {TOPIC}   {pem.strip()}  ",
        TOPIC + pem.replace("\n", ""),
        f"{TOPIC} {pem}".replace("\n", " "),
    ]
    for value in [*written, f"{TOPIC} {certificate('x.example', 'sns.us-east-1.amazonaws.com')}"]:
        assert SNS.usable(Secret("k", value)), value[:60]
        assert told(amazon(), value).outcome is Outcome.AUTHENTIC
    der = AMAZON.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert told(amazon(), f"{TOPIC} {der}").outcome is Outcome.AUTHENTIC


@pytest.mark.parametrize(
    "value",
    [
        public(AMAZON),
        TOPIC,
        f"{TOPIC} ",
        f"arn:aws:sqs:us-east-1:123456789012:alerts {public(AMAZON)}",
        f"arn:aws:sns:us-east-1:123456789012:* {public(AMAZON)}",
        f"{TOPIC} {public(rsa.generate_private_key(65537, 1024))}",
        f"{TOPIC} {public(POLICY)}",
        f"{TOPIC} {certificate('sns.amazonaws.com.evil.example')}",
        f"{TOPIC} {certificate('evil.example', 'www.evil.example')}",
        f"{TOPIC} {certificate('sns.amazonaws.com', key=POLICY)}",
        f"{TOPIC} -----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        f"{TOPIC} -----BEGIN PRIVATE KEY-----\n{public(AMAZON)}\n-----END PRIVATE KEY-----",
        f"{TOPIC} {certificate('sns.amazonaws.com')}{certificate('evil.example')}",
        "\ud800",
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_what_is_no_topic_with_a_key_of_amazon_is_not_usable(value: str) -> None:
    assert not SNS.usable(Secret("k", value))
    assert SNS.check(json.dumps(amazon()).encode(), {}, [Secret("k", value)], NOW).reason == "no usable secret"


def test_what_only_amazon_has_is_asked_for() -> None:
    assert new_secret(SNS) is None
    assert asked_for(SNS)


@given(
    body=st.binary(max_size=200) | st.text(max_size=200).map(str.encode),
    lead=st.sampled_from([b"", b"timestamp=", b"--x\r\n", b'{"Type":']),
)
def test_nothing_that_is_posted_raises_or_passes(body: bytes, lead: bytes) -> None:
    secrets = [Secret("a", f"{TOPIC} {public(AMAZON)}"), Secret("b", "\ud800")]
    assert SNS.check(lead + body, {}, secrets, NOW).outcome is Outcome.REFUSED
