"""Postmark: each inbound mail is posted as JSON, with the raw mail in it where the server is set so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from connectors import strict_json
from connectors.asking import NOTHING_ASKED, Asked
from connectors.carried_mail import LARGEST_BODY, MAIL, PARSED, CarriedMail
from connectors.contract import BrokenEvent, Malformed, Meaning, Notice, RawEvent, WebhookPlan, pick
from connectors.fields import identifier
from connectors.verifiers import Basic

RAW, RECIPIENT = "RawEmail", "OriginalRecipient"
SHOWN = ("From", "To", "Subject")
LONGEST_ID = 200


class Postmark(CarriedMail):
    """One mail a delivery, to one recipient of the envelope."""

    name = "postmark"
    title = "Postmark"
    webhook = WebhookPlan(Basic(), largest_body=LARGEST_BODY)
    events: ClassVar[Mapping[str, Meaning]] = {MAIL: Notice.HAND_ON, PARSED: Notice.AS_IT_SAYS}
    left: ClassVar[Mapping[str, str]] = {
        PARSED: "Postmark took this mail apart, so its bytes are lost: let the inbound stream include the raw email"
    }

    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        """The raw mail; or the one event that it did not come raw."""
        tree = strict_json.parse(body)
        if not isinstance(tree, dict):
            raise Malformed("$")
        raw, others = tree.get(RAW), {name: value for name, value in tree.items() if name != RAW}
        try:
            identifier(others, "MessageID")
            recipient = pick(others, RECIPIENT, str)
            if raw in (None, ""):
                return [_parsed(others)]
            mail = pick(tree, RAW, str).encode("utf-8")
            return list(self.each(mail, [recipient], _return_path(others), RECIPIENT))
        except Malformed as error:
            return [BrokenEvent(str(error), None)]
        except UnicodeEncodeError:
            return [BrokenEvent(RAW, None)]


def _parsed(body: Mapping[str, Any]) -> RawEvent:
    said = {name: body[name][:LONGEST_ID] for name in SHOWN if isinstance(body.get(name), str)}
    if strict_json.flawed(said):
        raise Malformed(", ".join(SHOWN))
    return RawEvent(PARSED, identifier(body, "MessageID"), said)


def _return_path(body: Mapping[str, Any]) -> str:
    """The envelope's sender, where Postmark wrote it down; "" where it did not: it is not what anything is known by."""
    headers = body.get("Headers")
    found = [one for one in headers if isinstance(one, dict)] if isinstance(headers, list) else []
    said = [one.get("Value") for one in found if one.get("Name") == "Return-Path"]
    return said[0] if len(said) == 1 and isinstance(said[0], str) else ""
