"""Amazon SES: a receipt rule publishes each mail to one SNS topic, and SNS posts it here in a message that it signs."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from connectors import strict_json
from connectors.asking import NOTHING_ASKED, Asked
from connectors.carried_mail import MAIL, CarriedMail
from connectors.contract import BrokenEvent, Malformed, Meaning, Notice, RawEvent, WebhookPlan, pick
from connectors.fields import identifier, text
from connectors.verifiers_mail import SnsMessage, is_at_sns

CONFIRM, ENDED = "SubscriptionConfirmation", "UnsubscribeConfirmation"
RECEIVED, ELSEWHERE = "Received", "elsewhere"
BASE64 = "BASE64"


class Ses(CarriedMail):
    """One mail a message, for everybody in its envelope whom the rule is about."""

    name = "ses"
    title = "Amazon SES"
    webhook = WebhookPlan(
        SnsMessage("the ARN of the topic, a blank, and the certificate that its messages are signed with"),
        media_types=frozenset({"text/plain", "application/json"}),
    )
    events: ClassVar[Mapping[str, Meaning]] = {
        MAIL: Notice.HAND_ON,
        ELSEWHERE: Notice.AS_IT_SAYS,
        CONFIRM: Notice.AS_IT_SAYS,
        ENDED: Notice.AS_IT_SAYS,
        "AmazonSnsSubscriptionSucceeded": None,
    }
    left: ClassVar[Mapping[str, str]] = {
        ELSEWHERE: "This mail is too large for SNS, or its rule keeps it in a bucket: fetch it there and hand it in",
        CONFIRM: "Amazon wants to know whether this topic may send here: visit the address it gives, if the topic is yours",
        ENDED: "Somebody ended the subscription of this topic: nothing comes any more. Visit the address to have it back",
    }
    questions = frozenset({CONFIRM, ENDED})

    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        """The raw mail, for each recipient; or the one thing that SNS says."""
        tree = strict_json.parse(body)
        kind, number = pick(tree, "Type", str), identifier(tree, "MessageId")
        if kind == "Notification":
            return self._told(strict_json.parse(pick(tree, "Message", str).encode("utf-8", "replace")), number)
        if kind not in (CONFIRM, ENDED):
            return [RawEvent(_word(kind), number, {})]
        address = text(tree, "SubscribeURL")
        if not is_at_sns(address):
            raise Malformed("SubscribeURL")
        return [RawEvent(kind, number, {"Topic": text(tree, "TopicArn"), "Address": address})]

    def _told(self, message: Any, number: str) -> Iterable[RawEvent | BrokenEvent]:
        kind = pick(message, "notificationType", str)
        if kind != RECEIVED:
            return [RawEvent(_word(kind), number, {})]
        action = pick(message, "receipt.action", dict)
        if message.get("content") is None:
            said = {
                "Subject": _common(message).get("subject"),
                "Bucket": action.get("bucketName"),
                "Key": action.get("objectKey"),
            }
            return [RawEvent(ELSEWHERE, number, {name: text(said, name) for name in said})]
        recipients, sender = pick(message, "receipt.recipients", list), message.get("mail", {})
        raw = _bytes(pick(message, "content", str), encoded=action.get("encoding") == BASE64)
        source = sender.get("source") if isinstance(sender, dict) else None
        return list(self.each(raw, recipients, source if isinstance(source, str) else "", "receipt.recipients"))


def _bytes(content: str, *, encoded: bool) -> bytes:
    try:
        return base64.b64decode(content, validate=True) if encoded else content.encode("utf-8")
    except (binascii.Error, ValueError):
        raise Malformed("content") from None


def _common(message: Mapping[str, Any]) -> Mapping[str, Any]:
    mail = message.get("mail")
    found = mail.get("commonHeaders") if isinstance(mail, dict) else None
    return found if isinstance(found, dict) else {}


def _word(kind: str) -> str:
    """A type that nobody declared, as far as it can be kept."""
    return identifier({"Type": kind}, "Type")
