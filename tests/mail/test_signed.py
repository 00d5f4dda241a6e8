"""DKIM: what a mail proves with the keys that were kept beside it. Signed by dkimpy, and by the test vectors of RFC 8463."""

import base64
import time
from datetime import timedelta
from types import SimpleNamespace

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connectors.mail import connector, signed
from connectors.mail.domains import aligned, is_name
from connectors.mail.message import read
from connectors.mail.sandbox import attached
from connectors.mail.signed import Proof, keys_needed, proof_of
from connectors.verifiers import Grade, Outcome
from tests.mail.signing import (
    AT,
    DOMAIN,
    ED25519,
    KEYS,
    NAME,
    OTHER,
    SMALL,
    TO,
    UNCHANGED,
    plain_mail,
    record,
    sign,
    with_tags,
)


@pytest.fixture
def nacl(monkeypatch: pytest.MonkeyPatch) -> None:
    """dkimpy signs Ed25519 with PyNaCl, which is not installed: here with `cryptography`."""

    class SigningKey:
        def __init__(self, seed: bytes, encoder: object) -> None:
            self._key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(seed))

        def sign(self, message: bytes) -> SimpleNamespace:
            return SimpleNamespace(signature=self._key.sign(message))

    fake = SimpleNamespace(
        signing=SimpleNamespace(SigningKey=SigningKey),
        encoding=SimpleNamespace(Base64Encoder=None),
        exceptions=SimpleNamespace(ValueError=ValueError),
    )
    monkeypatch.setattr(dkim, "nacl", fake, raising=False)


def refused(proof: Proof, reason: str) -> None:
    assert (proof.grade, proof.reason) == (Grade.UNVERIFIABLE, reason)


@pytest.mark.parametrize(
    "way", [(b"relaxed", b"relaxed"), (b"simple", b"simple"), (b"relaxed", b"simple"), (b"simple", b"relaxed")]
)
def test_a_signed_mail_verifies_whatever_its_canonical_form(way: tuple[bytes, bytes]) -> None:
    mail = sign(plain_mail(), canonicalize=way)
    assert keys_needed(mail) == (NAME,)
    proof = proof_of(mail, KEYS)
    assert (proof.grade, proof.reason, proof.key_id) == (Grade.THIRD_PARTY, UNCHANGED, NAME)
    assert proof.signed_at is not None
    assert abs(proof.signed_at.timestamp() - time.time()) < 60


@pytest.mark.parametrize("tail", [b"", b"\r\n", b"\r\n\r\n\r\n", b" \t x \t \r\n \r\n\t\r\n", b"x" * 3, b"\r\n" * 5000])
@pytest.mark.parametrize("way", [b"relaxed", b"simple"])
def test_our_canonical_bodies_are_those_of_dkimpy(tail: bytes, way: bytes) -> None:
    mail = FROM_SUBJECT + b"one  \t two\t\r\n" + tail
    assert proof_of(sign(mail, canonicalize=(b"relaxed", way)), KEYS).grade is Grade.THIRD_PARTY
    assert proof_of(sign(FROM_SUBJECT + tail, canonicalize=(b"relaxed", way)), KEYS).grade is Grade.THIRD_PARTY


FROM_SUBJECT = f"From: a@{DOMAIN}\r\nSubject: x\r\n\r\n".encode()


def test_line_ends_of_a_mailbox_change_nothing() -> None:
    assert proof_of(sign(plain_mail()).replace(b"\r\n", b"\n"), KEYS).grade is Grade.THIRD_PARTY


def test_an_ed25519_key_verifies(nacl: None) -> None:
    seed = base64.b64encode(ED25519.private_bytes_raw())
    mail: bytes = plain_mail()
    signature: bytes = dkim.sign(mail, b"s1", DOMAIN.encode(), seed, signature_algorithm=b"ed25519-sha256")
    keys = {NAME: record(ED25519)}
    assert proof_of(signature + mail, keys).reason == UNCHANGED
    refused(proof_of(signature + mail.replace(b"4417", b"4418", 1), keys), signed.CHANGED)
    refused(proof_of(signature + mail.replace(b"Example", b"example", 1), keys), signed.CHANGED)
    refused(proof_of(signature + mail, KEYS), "its key in DNS is of another kind than its signature")


def test_every_flipped_byte_of_the_text_is_noticed() -> None:
    mail = sign(plain_mail(), canonicalize=(b"relaxed", b"simple"))
    start = mail.index(b"\r\n\r\n") + 4
    for at in range(start, len(mail), 7):
        flipped = mail[:at] + bytes([mail[at] ^ 1]) + mail[at + 1 :]
        assert proof_of(flipped, KEYS).grade is Grade.UNVERIFIABLE, at


def test_after_the_key_is_rotated_the_kept_one_still_verifies() -> None:
    mail = sign(plain_mail())
    refused(proof_of(mail, {NAME: record(OTHER)}), signed.CHANGED)
    refused(proof_of(mail, {}), "no key in DNS")
    refused(proof_of(mail, {NAME: "v=DKIM1; p="}), "its signer has revoked the key")
    assert proof_of(mail, KEYS).reason == UNCHANGED


def test_a_forward_by_hand_is_graded_lower_though_its_forwarder_signs() -> None:
    forwarded = (
        b"From: Avery <avery@example.net>\r\nSubject: Fwd: alert\r\n\r\n---------- Forwarded message ---------\r\n"
        b"From: Example Monitor <notices@alerts.monitor.example>\r\nDate: Mon, Mar 2, 2026 at 9:14 AM\r\n"
        b"Subject: alert\r\n\r\nhello\r\n"
    )
    mail = sign(forwarded, "example.net")
    refused(proof_of(mail, {"s1._domainkey.example.net": record()}), signed.BY_HAND)


def test_an_attached_mail_keeps_what_it_proves_byte_for_byte() -> None:
    mail = sign(plain_mail())
    outer = sign(attached(mail, TO), "example.net")
    (inner,) = read(outer).attached
    assert inner == mail
    assert proof_of(inner, KEYS).reason == UNCHANGED


def test_a_redirected_mail_keeps_what_it_proves() -> None:
    above = (
        b"Received: from a by b; Mon, 2 Mar 2026 17:20:01 +0000\r\nResent-From: <avery@example.net>\r\nX-Forwarded-To: x@y\r\n"
    )
    assert proof_of(above + sign(plain_mail()), KEYS).reason == UNCHANGED


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"a": "rsa-sha1"}, "signed with a method that is not accepted any more"),
        ({"l": "40"}, "its signature covers only part of the text"),
        ({"h": "from:date"}, "its signature leaves out who wrote it, or about what"),
        ({"h": "to:subject"}, "its signature leaves out who wrote it, or about what"),
        ({"v": "2"}, "its signature is of a kind that is not known"),
        ({"i": "@example.org"}, "its signature speaks for another domain than its own"),
        ({"x": "1000", "t": "2000"}, "its signature says an impossible time"),
        ({"t": "soon"}, "its signature says an impossible time"),
        ({"c": "odd/odd2", "s": "bad selector"}, "its signature names no domain that could be asked"),
        ({"d": "localhost"}, "its signature names no domain that could be asked"),
        ({"d": "router.local"}, "its signature names no domain that could be asked"),
        ({"d": "127.0.0.1"}, "its signature names no domain that could be asked"),
        ({"d": "monitor.example"}, "no key in DNS"),
        ({"d": "example"}, "its signature names no domain that could be asked"),
        ({"d": "evil.example"}, "signed by another domain than the sender's"),
        ({"d": "news.monitor.example"}, "signed by another domain than the sender's"),
    ],
)
def test_what_is_not_accepted_says_why(changed: dict[str, str], reason: str) -> None:
    made = {name: value for name, value in changed.items() if name != "c"}
    refused(proof_of(with_tags(plain_mail(), **made), KEYS), reason)


def test_our_own_signing_by_hand_is_right() -> None:
    """Else the test above would show nothing."""
    assert proof_of(with_tags(plain_mail()), KEYS).reason == UNCHANGED
    assert proof_of(with_tags(plain_mail(), i=f"@below.{DOMAIN}"), KEYS).reason == UNCHANGED


@pytest.mark.parametrize(
    ("txt", "reason"),
    [
        (record(more="t=s; "), "its signature speaks for another domain than its own"),
        (record(more="t=y; "), "its signer only tries signing out, by its own word"),
        (record(more="h=sha1; "), "its key in DNS is only for a hash that is not accepted"),
        (record(more="s=tlsrpt; "), "its key in DNS is not for mail"),
        (record().replace("k=rsa", "k=dsa"), "its key in DNS is of a kind that is not known"),
        (record().replace("k=rsa", "k=ed25519"), "its key in DNS is of a kind that is not known"),
        (record()[:-20], "its key in DNS cannot be read, or is too weak to be read"),
        ("v=DKIM1; p=%%%", "its key in DNS cannot be read"),
        ("v=spf1 -all", "its key in DNS cannot be read"),
        ("v=DKIM1; v=DKIM1; p=AAAA", "its key in DNS cannot be read"),
        ("\u202e", "its key in DNS cannot be read"),
        ("p=" + "A" * 9000, "its key in DNS cannot be read"),
    ],
)
def test_a_key_that_is_not_accepted_says_why(txt: str, reason: str) -> None:
    refused(proof_of(with_tags(plain_mail(), i=f"@below.{DOMAIN}"), {NAME: txt}), reason)


def test_an_rsa_key_needs_1024_bits_and_sane_numbers() -> None:
    assert proof_of(sign(plain_mail(), key=SMALL), {NAME: record(SMALL)}).grade is Grade.THIRD_PARTY
    weak = "MEwwDQYJKoZIhvcNAQEBBQADOwAwOAIxAOWu8zeyRsYvhpe+G2f5WvOv9Y8HtrHTwRsTGXG0jJEZHHhm9jqGfXmeTUO+oXWlSQIDAQAB"
    proof = proof_of(sign(plain_mail()), {NAME: f"v=DKIM1; p={weak}"})
    assert proof.grade is Grade.UNVERIFIABLE
    assert "too weak" in proof.reason


def test_a_signature_that_expired_before_it_reached_us_is_not_accepted() -> None:
    expires = int((AT + timedelta(days=7)).timestamp())
    mail = with_tags(plain_mail(), t=str(int(AT.timestamp())), x=str(expires))
    assert proof_of(mail, KEYS, at=AT + timedelta(days=7)).reason == UNCHANGED
    refused(proof_of(mail, KEYS, at=AT + timedelta(days=8)), "its signature had expired when it reached us")
    late = b"Received: from a by b; Mon, 30 Mar 2026 17:20:01 +0000\r\n" + mail
    refused(proof_of(late, KEYS), "its signature had expired when it reached us")
    assert proof_of(mail, KEYS).reason == UNCHANGED


@pytest.mark.parametrize("name", signed.ONCE)
def test_a_header_that_stands_there_twice_proves_nothing(name: str) -> None:
    """Another copy above the signed one would be read, and the signed one checked."""
    mail = sign(plain_mail())
    mail = f"{name.title()}: notices@{DOMAIN}\r\n".encode() * (2 - (name == "from")) + mail
    proof = proof_of(mail, KEYS)
    assert proof.grade is Grade.UNVERIFIABLE
    assert "twice" in proof.reason or "one sender" in proof.reason


def test_a_header_about_the_encoding_that_is_not_signed_is_told() -> None:
    proof = proof_of(with_tags(plain_mail(), h="from:subject"), KEYS)
    assert (proof.grade, proof.reason) == (Grade.THIRD_PARTY, f"{UNCHANGED}; its header Content-Type is not signed")


def test_no_signature_no_mail_and_a_file_of_mails() -> None:
    refused(proof_of(plain_mail(), KEYS), "no signature")
    refused(proof_of(b"\x00", KEYS), "it cannot be read as a mail")
    refused(proof_of(b"From x\n" + plain_mail(), KEYS), "a file of mails: each of them is looked at by itself")


def test_the_one_good_signature_counts_wherever_it_stands() -> None:
    mail = sign(sign(plain_mail(), "evil.example"), key=OTHER, selector="s2")
    keys = {**KEYS, "s1._domainkey.evil.example": record(), f"s2._domainkey.{DOMAIN}": record(OTHER)}
    assert keys_needed(mail) == (f"s2._domainkey.{DOMAIN}", "s1._domainkey.evil.example")
    assert proof_of(mail, keys).key_id == f"s2._domainkey.{DOMAIN}"
    mixed = sign(sign(plain_mail()), "evil.example")
    assert proof_of(mixed, keys).key_id == NAME


def test_no_more_names_are_asked_for_than_the_bound() -> None:
    many = b"".join(f"DKIM-Signature: v=1; d=d{n}.example; s=s\r\n".encode() for n in range(50)) + plain_mail()
    assert keys_needed(many) == tuple(f"s._domainkey.d{n}.example" for n in range(signed.MOST_SIGNATURES))
    assert keys_needed(b"DKIM-Signature: d=x.example; s=" + b"a" * 300 + b"\r\n\r\n") == ()
    assert keys_needed(b"DKIM-Signature: d=x.example;" + b" " * 9000 + b"s=a\r\n\r\n") == ()
    assert keys_needed(b"") == ()


def test_a_heap_of_folded_lines_is_refused_before_it_is_copied() -> None:
    heap = sign(plain_mail() + b"")
    refused(proof_of(b"X-Long: y\r\n" + b" z\r\n" * 5000 + heap, KEYS), "its headers cannot be read")


@pytest.mark.parametrize(
    ("signer", "sender", "same"),
    [
        ("experian.com", "s.usa.experian.com", True),
        ("s.usa.experian.com", "experian.com", True),
        ("e.experian.com", "s.experian.com", False),
        ("co.uk", "example.co.uk", False),
        ("example.co.uk", "alerts.example.co.uk", True),
        ("example.co.uk", "other.co.uk", False),
        ("com", "experian.com", False),
        ("gob.mx", "imss.gob.mx", False),
        ("t.co", "t.co", False),
        ("bank.de", "mail.bank.de", True),
        ("experian.com", "notexperian.com", False),
        ("", "experian.com", False),
        ("experian.com", "", False),
    ],
)
def test_a_signer_speaks_for_its_own_domain_and_what_is_below(signer: str, sender: str, same: bool) -> None:
    assert aligned(signer, sender) is same
    assert aligned(sender, signer) is same


@pytest.mark.parametrize(
    "name", ["a", "a..b", "-a.com", "a.com.", "A.com", "a b.com", "x.onion", "1.2.3.4", "a." + "b" * 64 + ".com", "é.com"]
)
def test_names_that_are_not_asked(name: str) -> None:
    assert not is_name(name)


def test_the_connector_says_the_same_to_the_core() -> None:
    mail = sign(plain_mail())
    assert connector().names_to_ask(mail) == (NAME,)
    good = connector().proof_of(mail, {"keys": '{"' + NAME + '": "' + record() + '"}'})
    assert (good.outcome, good.scheme, good.key_id, good.grade) == (Outcome.AUTHENTIC, "dkim", NAME, Grade.THIRD_PARTY)
    for keys in ("", "[", "[]", '{"a": 1}', "{}"):
        assert connector().proof_of(mail, {"keys": keys}).reason == "no key in DNS"
    silent = connector().proof_of(mail, {"keys_missing": "the DNS did not answer"})
    assert silent.reason == "the DNS did not answer when its key was asked for"


RFC8463 = """DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
""".replace("\n", "\r\n").encode()
RFC8463_KEYS = {
    "brisbane._domainkey.football.example.com": "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    "test._domainkey.football.example.com": "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3"
    "idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLz"
    "BfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
}


@pytest.mark.parametrize("name", RFC8463_KEYS)
def test_the_vectors_of_rfc_8463_verify_each_alone(name: str) -> None:
    assert keys_needed(RFC8463) == tuple(RFC8463_KEYS)
    proof = proof_of(RFC8463, {name: RFC8463_KEYS[name]})
    assert (proof.grade, proof.key_id) == (Grade.THIRD_PARTY, name)
    refused(proof_of(RFC8463.replace(b"lost", b"won"), RFC8463_KEYS), signed.CHANGED)


@pytest.mark.parametrize("domain", ["gmail.com", "mail.yahoo.com", "icloud.com"])
def test_what_a_person_wrote_is_no_services_word(domain: str) -> None:
    """Whoever forwards in their own words signs with their own mailbox; a caseworker may read an alert out of it all the same."""
    mail = plain_mail().replace(DOMAIN.encode(), domain.encode())
    proof = proof_of(sign(mail, domain=domain), {f"s1._domainkey.{domain}": record()})
    assert (proof.grade, proof.key_id) == (Grade.UNVERIFIABLE, f"s1._domainkey.{domain}")
    assert "not a service's word" in proof.reason
