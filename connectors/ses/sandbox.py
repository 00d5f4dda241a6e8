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

from connectors.sandboxing import zulu
from connectors.telling_mail import SENDER, TellsByMail

TOPIC = "arn:aws:sns:us-east-1:123456789012:invented-alerts"
SIGNED = ("Message", "MessageId", "Timestamp", "TopicArn", "Type")


@cache
def _key(word: str) -> rsa.RSAPrivateKey:
    """A key for each word, as long as the process lives: to make one takes a while."""
    return rsa.generate_private_key(65537, 2048)


class SesSandbox(TellsByMail):
    """Every second mail is encoded in base64."""

    name = "ses"

    @property
    def webhook_secret(self) -> str:
        """The topic, and the public key of its messages."""
        key = _key("own").public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"{TOPIC} {base64.b64encode(key).decode()}"

    def bring(self, mail: bytes, to: str) -> None:
        """It is published."""
        self.unsent.append(self._message(mail, to, "own"))

    def made_up(self, number: int) -> bytes:
        """A mail to somebody whom nobody knows, signed with another key."""
        return self._message(*self.nobodys(number), "guessed")

    def headers(self, body: bytes, *, forged: bool = False) -> Mapping[str, str]:
        """SNS calls its JSON plain text; the signature is in it."""
        return {"content-type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": "Notification"}

    def _message(self, mail: bytes, to: str, word: str) -> bytes:
        encoded = self.brought % 2 == 0
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
            "source": SENDER,
            "messageId": hashlib.sha256(mail).hexdigest()[:40],
            "destination": [to],
            "headersTruncated": False,
            "headers": [],
            "commonHeaders": {"from": [f"Example Monitor <{SENDER}>"], "to": [to], "subject": "An alert"},
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
