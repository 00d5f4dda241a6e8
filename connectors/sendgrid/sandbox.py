"""A fake SendGrid: Inbound Parse in raw mode with a security policy, so that what it posts is signed. Everything is invented."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from connectors.forms import media_type, multipart
from connectors.telling_mail import SENDER, TellsByMail


class SendGridSandbox(TellsByMail):
    """Each mail in a form of its own."""

    name = "sendgrid"

    def __init__(self, now: Any, seed: int = 0) -> None:
        """See `Sandbox`."""
        super().__init__(now, seed)
        self._key = ec.derive_private_key(2**200 + seed, ec.SECP256R1())

    @property
    def webhook_secret(self) -> str:
        """The public key of the security policy."""
        return base64.b64encode(self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()

    def bring(self, mail: bytes, to: str) -> None:
        """It is posted."""
        self.unsent.append(_form(mail, to))

    def made_up(self, number: int) -> bytes:
        """A mail to somebody whom nobody knows."""
        return _form(*self.nobodys(number))

    def headers(self, body: bytes, *, forged: bool = False) -> Mapping[str, str]:
        """Signed as of now over the stamp and the body; if forged with another key."""
        stamp = str(int(self.now().timestamp()))
        key = ec.derive_private_key(7, ec.SECP256R1()) if forged else self._key
        signature = key.sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        return {
            "content-type": media_type(body),
            "x-twilio-email-event-webhook-timestamp": stamp,
            "x-twilio-email-event-webhook-signature": base64.b64encode(signature).decode(),
        }


def _form(mail: bytes, to: str) -> bytes:
    return multipart(
        {
            "email": mail,
            "to": to,
            "from": f"Example Monitor <{SENDER}>",
            "subject": "An alert",
            "sender_ip": "192.0.2.25",
            "envelope": json.dumps({"to": [to], "from": SENDER}),
            "charsets": json.dumps({"to": "UTF-8", "subject": "UTF-8", "from": "UTF-8"}),
            "dkim": f"{{@{SENDER.partition('@')[2]} : none}}",
            "SPF": "none",
        },
        hashlib.sha256(mail).hexdigest(),
    )


sandbox = SendGridSandbox
