"""Mailgun: a route posts each mail as a form, raw in one field. The form is signed, and the mail in it is not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from connectors.asking import NOTHING_ASKED, Asked
from connectors.carried_mail import LARGEST_BODY, MAIL, PARSED, CarriedMail
from connectors.contract import BrokenEvent, Malformed, Meaning, Notice, RawEvent, WebhookPlan
from connectors.forms import Form
from connectors.verifiers_mail import SignedForm

RAW = "body-mime"
TAKEN_APART = ("message-headers", "body-plain", "body-html")
SHOWN = {"From": "from", "Subject": "subject"}


class Mailgun(CarriedMail):
    """One mail a form. The recipient is the envelope's, several with commas."""

    name = "mailgun"
    title = "Mailgun"
    webhook = WebhookPlan(
        SignedForm("the HTTP webhook signing key of your Mailgun account"),
        media_types=frozenset({"application/x-www-form-urlencoded", "multipart/form-data"}),
        largest_body=LARGEST_BODY,
    )
    events: ClassVar[Mapping[str, Meaning]] = {MAIL: Notice.HAND_ON, PARSED: Notice.AS_IT_SAYS}
    left: ClassVar[Mapping[str, str]] = {
        PARSED: "Mailgun took this mail apart, so its bytes are lost: let the route's address end in ?mime"
    }

    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        """The raw mail, for each recipient; or the one event that it did not come raw."""
        form = Form(body, {RAW, "recipient", "sender", "token", *TAKEN_APART, *SHOWN.values()})
        if RAW not in form:
            if not any(name in form for name in TAKEN_APART):
                raise Malformed(RAW)
            said = {label: form.text(name) for label, name in SHOWN.items() if name in form}
            return [RawEvent(PARSED, form.text("token"), {"To": form.text("recipient"), **said})]
        recipients = [one for one in form.text("recipient").split(",") if one.strip()]
        sender = form.text("sender") if "sender" in form else ""
        return list(self.each(form.raw(RAW), recipients, sender, "recipient"))
