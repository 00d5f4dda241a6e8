"""The texts of notices and alarms. Nothing in them says what happened to anybody, or to how many."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.notices.models import AlarmKind

NEWS_SUBJECT = "Something new for you"
NEWS = """\
There is something new for you on Harmline. To see it, sign in:

{link}

For your safety this mail does not say what it is, and it has no link that signs you in. We never ask for a password or a number.
"""

DETAILS_SUBJECT = "We need a few details from you"
DETAILS = """\
There is something new for you on Harmline, and we need a few details of it from you. To see it, sign in:

{link}

For your safety this mail does not say what it is, and it has no link that signs you in. We never ask for a password or a number.
"""

CONSENT_SUBJECT = "We need your answer"
CONSENT = """\
Something came for you on Harmline, and nobody has looked at it: first you decide whether it may be kept. To answer, sign in:

{link}

Until you answer, it stays locked. If you say no, or do not answer within 90 days, it is destroyed.
For your safety this mail does not say what it is, and it has no link that signs you in.
"""


class Change(StrEnum):
    """What an alarm does when somebody is told of it."""

    OPENED = "opened"
    CLOSED = "closed"


@dataclass(frozen=True)
class Said:
    """What is the matter, and what to do."""

    what: str
    to_do: str


SAID = {
    AlarmKind.SILENT: Said(
        "Nothing has come in for longer than it should.",
        "Look at its state and its last success, and ask the provider whether it still sends.",
    ),
    AlarmKind.CREDENTIALS: Said(
        "The provider does not accept our key or password. What it knows does not reach us.",
        "Check with the provider whether the key was changed or has run out, and enter the new one.",
    ),
    AlarmKind.FAILING: Said(
        "The provider cannot be asked, again and again. We go on trying.",
        "If this lasts, look at the last error, and ask the provider.",
    ),
    AlarmKind.DRIFT: Said(
        "What comes in no longer looks as the provider documents it. All of it is kept, some of it cannot be read yet.",
        "Whoever looks after the connector should compare it with the provider's present format, and then replay.",
    ),
    AlarmKind.SET_ASIDE: Said(
        "Something that came in could not be read and was set aside. It is kept.",
        "A caseworker should look at the queues; after a correction it can be replayed.",
    ),
    AlarmKind.UNHANDLED: Said(
        "What came in has waited too long to be handled. It is kept.",
        "See whether a worker is running, and look at its log. Where mails come in: is there a connection for e-mail, and does"
        " the DNS answer?",
    ),
    AlarmKind.MADE_UP: Said(
        "Many notices speak of things that the provider does not know: somebody may be making them up.",
        "Make a new webhook address, give it to the provider, and to nobody else.",
    ),
    AlarmKind.PARTLY: Said(
        "The provider answers, but not about everybody or everything that it is asked about. The others are not held up.",
        "Look at the last error on the connection's page: a reference may be wrong, or the provider has trouble with one thing.",
    ),
    AlarmKind.EXPIRING: Said(
        "Something has waited for two months because nobody has the number that it names. In 30 days it is destroyed.",
        "Import who has which number at the service, or let a caseworker say whose it is, in the queue of nobody's alerts.",
    ),
    AlarmKind.NOT_FOUND: Said(
        "The provider told us of something that it does not know when it is asked. The notice is kept.",
        "Ask the provider where it went, and see whether the settings fit. A caseworker can let it be asked for again.",
    ),
    AlarmKind.REFUSED: Said(
        "Every delivery of today was refused, most likely because it does not prove where it comes from.",
        "Check with the provider whether its secret was changed. If it was not, somebody else knows the address: make a new one.",
    ),
    AlarmKind.BURST: Said(
        "Ten times as much has come in as usual. All of it is kept.",
        "Ask the provider whether something happened there, and whether all of it is meant for you.",
    ),
    AlarmKind.FEWER: Said(
        "Only a tenth of the usual has come in.",
        "Ask the provider whether it still sends everything, and whether its settings were changed.",
    ),
    AlarmKind.PARKED: Said(
        "Some of the work could not be done after several attempts, and waits.",
        "Whoever runs the service should look at the log, and then replay.",
    ),
    AlarmKind.MAIL: Said(
        "Mail cannot be sent. Members are not told, and nobody gets a sign-in link.",
        "Whoever runs the service should look at the settings and the state of the mail server.",
    ),
    AlarmKind.ACCOUNTS: Said(
        "The accounts of what came in do not close: something that was received may be missing.",
        "Whoever runs the service should look at the log for the receipts that it names, and keep every backup.",
    ),
    AlarmKind.LEDGER: Said(
        "The ledger's log does not go on, or something in it is not what was written. The alerts themselves are kept.",
        "Whoever runs the service should run harmline ledger verify, and keep every backup.",
    ),
    AlarmKind.CANARY: Said(
        "A trial alert that is sent through the whole service every hour did not arrive. Real alerts may be held up too.",
        "Whoever runs the service should see whether web and workers are running, and look at the log.",
    ),
    AlarmKind.CLOCK: Said(
        "The clock of the machine is off by more than a minute. What is signed in time may look late.",
        "Whoever runs the service should set the clock right, and restart the service.",
    ),
    AlarmKind.DISK: Said(
        "The disk of the database is nearly full. When it is full, nothing can be taken in.",
        "Whoever runs the service should make room.",
    ),
    AlarmKind.UNWITNESSED: Said(
        "A witness has not seen the ledger's newest state for more than ten minutes. The ledger goes on.",
        "Whoever runs the service should look at the log, and ask whoever runs the witness. If it knows a longer ledger than"
        " ours, a backup was restored, or the ledger was rewritten: keep everything as it is.",
    ),
    AlarmKind.UNSTAMPED: Said(
        "A timestamp authority has been due for a day and has not stamped the ledger.",
        "Whoever runs the service should look at the log, and check the authority's address and root certificates.",
    ),
    AlarmKind.FOLDERS: Said(
        "The disk of packets of evidence or of backups is nearly full, or cannot be looked at. Taking alerts in needs neither,"
        " unless the database lies on the same disk.",
        "Whoever runs the service should see at /readyz which of the two it is, and make room, or see that the folder is there."
        " Without it no packet, or no backup, can be made.",
    ),
}

WHOLE_SERVICE = "The whole service"

_ALARM = """\
{title}

{what}
Since {since} (UTC).

What to do: {to_do}

{link}
"""

_OVER = """\
{title}

This is over: {what}
It lasted from {since} to {until} (UTC).

{link}
"""


def alarm_mail(
    change: Change, kind: AlarmKind, title: str, opened_at: datetime, closed_at: datetime | None, link: str
) -> tuple[str, str]:
    """Subject and text of the mail about an alarm. `title`: the connection's, as the admin wrote it."""
    said, facts = SAID[kind], {"title": " ".join(title.split()), "link": link, "since": f"{opened_at:%d %B %Y, %H:%M}"}
    if change is Change.CLOSED and closed_at is not None:
        until = f"{closed_at:%d %B %Y, %H:%M}"
        return "Harmline: this is over", _OVER.format(**facts, what=said.what, until=until)
    return "Harmline: something stands in the way", _ALARM.format(**facts, what=said.what, to_do=said.to_do)
