"""The letters of notices: what is written when one is about to be sent, and how a webhook is told."""

import json
from datetime import timedelta
from uuid import UUID

from standardwebhooks import Webhook

from app.access.mailing import address_of, mail
from app.access.roles import Role
from app.kit import clock
from app.kit.context import Context
from app.kit.database import Transaction
from app.kit.letters import Dropped, Kind, Letter, NotSent, Send
from app.members.service import consents_to
from app.notices import repository
from app.notices.models import Alarm, AlarmKind
from app.notices.service import ALARM_HOOK, ALARM_MAIL, CONSENT, LATE_NEWS, NEWS
from app.notices.wording import CONSENT as CONSENT_TEXT
from app.notices.wording import CONSENT_SUBJECT, DETAILS, DETAILS_SUBJECT, NEWS_SUBJECT, WHOLE_SERVICE, Change, alarm_mail
from app.notices.wording import NEWS as NEWS_TEXT
from connectors.asking import ProviderError
from connectors.http import ProviderClient

_MEMBERS_GOOD_FOR = timedelta(days=30)
_ALARMS_GOOD_FOR = timedelta(days=3)
_PER_MINUTE = 60


def kinds(context: Context) -> list[Kind]:
    """Every letter that this room posts. Members' are sent at most once; an alarm rather twice than never."""
    ready = context.mailer.ready
    return [
        Kind(NEWS, _News(context), _MEMBERS_GOOD_FOR, at_most_once=True, ready=ready),
        Kind(LATE_NEWS, _News(context), _MEMBERS_GOOD_FOR, at_most_once=True, ready=ready),
        Kind(CONSENT, _Consent(context), _MEMBERS_GOOD_FOR, at_most_once=True, ready=ready),
        Kind(ALARM_MAIL, _AlarmMail(context), _ALARMS_GOOD_FOR, ready=ready),
        Kind(ALARM_HOOK, _AlarmHook(context), _ALARMS_GOOD_FOR),
    ]


class _News:
    """Something new: sign in. Where a service only hinted at it, details are wanted."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def __call__(self, tx: Transaction, letter: Letter) -> Send | Dropped:
        if not await repository.tells_of_something(tx, letter.id):
            return Dropped("merged into another, or gone")
        to = await address_of(tx, self._context, letter.recipient, Role.MEMBER)
        if isinstance(to, Dropped):
            return to
        details = await repository.wants_details(tx, letter.id)
        subject, text = (DETAILS_SUBJECT, DETAILS) if details else (NEWS_SUBJECT, NEWS_TEXT)
        return mail(self._context, to, subject, text.format(link=_sign_in(self._context)))


class _Consent:
    """Something waits for an answer: sign in."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def __call__(self, tx: Transaction, letter: Letter) -> Send | Dropped:
        member_id, connection_id = UUID(letter.payload["member_id"]), UUID(letter.payload["connection_id"])
        if await consents_to(tx, member_id, connection_id, clock.now()) is not None:
            return Dropped("answered")
        to = await address_of(tx, self._context, letter.recipient, Role.MEMBER)
        if isinstance(to, Dropped):
            return to
        return mail(self._context, to, CONSENT_SUBJECT, CONSENT_TEXT.format(link=_sign_in(self._context)))


class _AlarmMail:
    """An alarm has opened or is over, for one admin."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def __call__(self, tx: Transaction, letter: Letter) -> Send | Dropped:
        found = await repository.alarm(tx, UUID(letter.payload["alarm_id"]))
        if found is None:
            return Dropped("no such alarm")
        to = await address_of(tx, self._context, letter.recipient, Role.ADMIN)
        if isinstance(to, Dropped):
            return to
        row, title = found
        change, link = Change(letter.payload["change"]), f"{self._context.settings.origin}/admin"
        written = alarm_mail(change, AlarmKind(row.kind), title or WHOLE_SERVICE, row.opened_at, row.closed_at, link)
        return mail(self._context, to, *written, known_as=letter.id)


class _AlarmHook:
    """An alarm has opened or is over, for the operator's own program. Signed by Standard Webhooks; ids and words only."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def __call__(self, tx: Transaction, letter: Letter) -> Send | Dropped:
        found = await repository.alarm(tx, UUID(letter.payload["alarm_id"]))
        url, secret = self._context.settings.alarm_webhook_url, self._context.settings.alarm_webhook_secret
        if found is None or url is None or secret is None:
            return Dropped("no such alarm" if found is None else "no webhook is set up")
        body = json.dumps(_told(found[0], Change(letter.payload["change"])))
        # The letter's id is the message's, as it is a mail's: whoever gets it twice, because an answer was lost, can tell.
        message_id, signer = str(letter.id), Webhook(secret.get_secret_value())
        address = url.get_secret_value()

        async def send() -> None:
            now = clock.now()
            headers = {
                "webhook-id": message_id,
                "webhook-timestamp": str(int(now.timestamp())),
                "webhook-signature": signer.sign(message_id, now, body),
                "content-type": "application/json",
            }
            await _notify(address, body.encode(), headers)

        return send


async def _notify(address: str, body: bytes, headers: dict[str, str]) -> None:
    """Post to the operator's webhook. Raises NotSent, also where an answer was lost: the message's id tells it apart."""
    try:
        async with ProviderClient(address, requests_per_minute=_PER_MINUTE, now=clock.now, attempts=1) as http:
            await http.notify(body, headers=headers)
        return
    except ProviderError as error:
        failure = NotSent(str(error))
    raise failure


def _told(row: Alarm, change: Change) -> dict[str, object]:
    at = row.opened_at if change is Change.OPENED or row.closed_at is None else row.closed_at
    return {
        "type": f"alarm.{change}",
        "timestamp": at.isoformat(),
        "data": {
            "alarm": str(row.id),
            "organization": str(row.organization_id),
            "connection": str(row.connection_id) if row.connection_id else None,
            "kind": row.kind,
            "opened_at": row.opened_at.isoformat(),
        },
    }


def _sign_in(context: Context) -> str:
    return f"{context.settings.origin}/sign-in"
