"""SendGrid Inbound Parse: each mail is posted as a form, raw in one field, with its envelope in another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from connectors import strict_json
from connectors.asking import NOTHING_ASKED, Asked
from connectors.carried_mail import LARGEST_BODY, MAIL, PARSED, CarriedMail
from connectors.contract import BrokenEvent, Malformed, Meaning, Notice, RawEvent, WebhookPlan, pick
from connectors.forms import Form
from connectors.verifiers import Basic
from connectors.verifiers_mail import EitherOf, SignedP256

RAW, ENVELOPE = "email", "envelope"
TAKEN_APART = ("headers", "text", "html")
SHOWN = {"From": "from", "To": "to", "Subject": "subject"}


class SendGrid(CarriedMail):
    """One mail a form, for everybody in its envelope."""

    name = "sendgrid"
    title = "SendGrid Inbound Parse"
    webhook = WebhookPlan(
        EitherOf(
            SignedP256(
                "x-twilio-email-event-webhook-signature",
                "x-twilio-email-event-webhook-timestamp",
                "the public key of the security policy, as SendGrid shows it",
            ),
            Basic(),
        ),
        media_types=frozenset({"multipart/form-data"}),
        largest_body=LARGEST_BODY,
    )
    events: ClassVar[Mapping[str, Meaning]] = {MAIL: Notice.HAND_ON, PARSED: Notice.AS_IT_SAYS}
    left: ClassVar[Mapping[str, str]] = {
        PARSED: "SendGrid took this mail apart, so its bytes are lost: tick “POST the raw, full MIME message”"
    }

    def split(self, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterable[RawEvent | BrokenEvent]:
        """The raw mail, for each recipient; or the one event that it did not come raw."""
        form = Form(body, {RAW, ENVELOPE, *TAKEN_APART, *SHOWN.values()})
        if RAW in form:
            to, sender = _envelope(form)
            return list(self.each(form.raw(RAW), to, sender, f"{ENVELOPE}.to"))
        if not any(name in form for name in TAKEN_APART):
            raise Malformed(RAW)
        return [RawEvent(PARSED, "", {label: form.text(name) for label, name in SHOWN.items() if name in form})]


def _envelope(form: Form) -> tuple[list[object], str]:
    """To whom the mail was sent, and by whom; a sender that is none is left out: it is not what anything is known by."""
    envelope = strict_json.read(form.raw(ENVELOPE))
    try:
        to: list[object] = pick(envelope, "to", list)
    except Malformed:
        raise Malformed(f"{ENVELOPE}.to") from None
    sender = envelope.get("from")
    return to, sender if isinstance(sender, str) else ""
