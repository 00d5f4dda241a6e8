"""A fake Amazon: mails that come in are published to a topic of SNS, which posts them, signed. Everything in it is invented."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from connectors.mail.samples import DOMAIN, alert_mail
from connectors.sandboxing import Happening, Sandbox, zulu
from connectors.vocabulary import AlertKind

TOPIC = "arn:aws:sns:us-east-1:123456789012:invented-alerts"
SIGNED = ("Message", "MessageId", "Timestamp", "TopicArn", "Type")


@cache
def _key(word: str) -> rsa.RSAPrivateKey:
    """A key for each word, as long as the process lives: to make one takes a while."""
    return rsa.generate_private_key(65537, 2048)


class SesSandbox(Sandbox):
    """A reference is the address that a mail is sent to. Every second mail is encoded in base64."""

    name = "ses"

    def __init__(self, now: Any, seed: int = 0) -> None:
        """See `Sandbox`."""
        super().__init__(now, seed)
        self._told = 0

    @property
    def webhook_secret(self) -> str:
        """The topic, and the public key of its messages."""
        key = _key("own").public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"{TOPIC} {base64.b64encode(key).decode()}"

    def tell(self, happening: Happening) -> str | None:
        """A mail about it comes in: a number. Only to somebody whom it knows."""
        if happening.reference not in self.people:
            return None
        number = self.seed * 1_000_000 + self._told + 1
        mail = alert_mail(happening.kind, happening.reference, happening.at, number, happening.institution, happening.last_four)
        if mail is None:
            return None
        self._told += 1
        self.unsent.append(self._message(mail, happening.reference, "own"))
        return str(number)

    def made_up(self, number: int) -> bytes:
        """A mail to somebody whom nobody knows, signed with another key."""
        to = f"nobody-{number}@example.org"
        mail = alert_mail(AlertKind.INQUIRY_HARD, to, self.now(), number, "Invented Bank", None)
        return self._message(mail or b"", to, "guessed")

    def headers(self, body: bytes, *, forged: bool = False) -> Mapping[str, str]:
        """SNS calls its JSON plain text; the signature is in it."""
        return {"content-type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": "Notification"}

    def _message(self, mail: bytes, to: str, word: str) -> bytes:
        encoded = self._told % 2 == 0
        digest = hashlib.sha256(mail).digest()
        message = {
            "Type": "Notification",
            "MessageId": str(uuid.UUID(bytes=digest[:16])),
            "TopicArn": TOPIC,
            "Message": json.dumps(_received(mail, to, self.now(), encoded=encoded)),
            "Timestamp": zulu(self.now(), "milliseconds"),
            "SignatureVersion": "2",
        }
        over = "".join(f"{name}\n{message[name]}\n" for name in SIGNED).encode()
        signature = base64.b64encode(_key(word).sign(over, padding.PKCS1v15(), hashes.SHA256())).decode()
        where = "https://sns.us-east-1.amazonaws.com/"
        certificate = f"{where}SimpleNotificationService-invented.pem"
        ending = f"{where}?Action=Unsubscribe&SubscriptionArn={TOPIC}:invented"
        return json.dumps({**message, "Signature": signature, "SigningCertURL": certificate, "UnsubscribeURL": ending}).encode()


def _received(mail: bytes, to: str, at: datetime, *, encoded: bool) -> dict[str, Any]:
    passed = {"status": "PASS"}
    return {
        "notificationType": "Received",
        "mail": {
            "timestamp": zulu(at, "milliseconds"),
            "source": f"notices@{DOMAIN}",
            "messageId": hashlib.sha256(mail).hexdigest()[:40],
            "destination": [to],
            "headersTruncated": False,
            "headers": [],
            "commonHeaders": {"from": [f"Example Monitor <notices@{DOMAIN}>"], "to": [to], "subject": "An alert"},
        },
        "receipt": {
            "timestamp": zulu(at, "milliseconds"),
            "processingTimeMillis": 300,
            "recipients": [to],
            "spamVerdict": passed,
            "virusVerdict": passed,
            "spfVerdict": passed,
            "dkimVerdict": {"status": "GRAY"},
            "dmarcVerdict": {"status": "GRAY"},
            "action": {"type": "SNS", "topicArn": TOPIC, "encoding": "BASE64" if encoded else "UTF8"},
        },
        "content": base64.b64encode(mail).decode() if encoded else mail.decode(),
    }


sandbox = SesSandbox
