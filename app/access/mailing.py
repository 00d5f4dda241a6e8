"""Who may be written to, and the letters that bring one-time links. Asking for one takes the same time for everybody."""

import re
import unicodedata
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import structlog

from app.access import repository, service
from app.access.models import Account
from app.access.roles import Role
from app.kit import clock, letters
from app.kit.context import Context
from app.kit.database import Transaction
from app.kit.keyring import Lane
from app.kit.letters import Dropped, Kind, Letter, NotSent, Send
from app.kit.outbox import Consumer, Heard

log = structlog.get_logger(__name__)

SIGN_IN_LETTER = "access.sign_in"
CHANGED_LETTER = "access.changed"
RECOVERY_LETTER = "access.recovery"
BREAK_GLASS_LETTER = "access.break_glass"
PROVIDER_LETTER = "access.provider"
MOST_LINKS = 2
_FRESH_FOR = timedelta(minutes=5)
_GOOD_FOR = timedelta(hours=1)

_TEXT = """\
Somebody, probably you, asked to sign in to Harmline.

Open this link and press the button. It works once, for 15 minutes:

{link}

If you did not ask for it, you can leave this mail alone: nothing happens.
"""

_CHANGED = """\
The ways in which you sign in to Harmline were changed. To see them, sign in:

{link}

If this was not you, sign out on every device there, remove what is not yours, and tell your organization.
"""

_RECOVERY = """\
Somebody, probably you, said that every way to sign in to Harmline was lost, and asked to begin anew.

For 24 hours nothing happens, so that you can stop it. If it was you: after that, ask for a link on the page below and open it.
If it was not you: sign in as always, and press "Stop it".

{link}
"""

_BREAK_GLASS = """\
For one hour somebody of your organization may see your timeline on Harmline. Two people agreed that an emergency asks for it.

Whether and when they looked, and as what, is on your page "Who looked". To see it, sign in:

{link}

For your safety this mail does not say more. If you did not expect it, ask your organization.
"""

_ROLE = """\
Somebody of your organization was given a role on Harmline, or one was taken back, by somebody who may do so as you may.

To see who has which role, sign in:

{link}
"""

_MATTER = """\
Counsel was assigned to a matter on Harmline that you work on, or you were assigned to one yourself.

To see your matters, sign in:

{link}

If you did not expect this, speak with the other counsel and with whoever runs Harmline for you.
"""

_PROVIDER = """\
The sign-in of your organization's own on Harmline was connected, changed, switched on or off, or removed.

Whoever runs it can say who somebody is. To see how it stands, ask an admin of your organization, or sign in:

{link}

If you did not expect this, speak with the other admins now.
"""

_NOTICES = {
    PROVIDER_LETTER: ("How your organization's people sign in was changed", _PROVIDER, "/"),
    service.ROLE_LETTER: ("Who may do what was changed", _ROLE, "/"),
    service.MATTER_LETTER: ("Counsel was assigned to a matter", _MATTER, "/"),
    BREAK_GLASS_LETTER: ("Somebody may see your timeline for an hour", _BREAK_GLASS, "/visits"),
    CHANGED_LETTER: ("How you sign in was changed", _CHANGED, "/ways-in"),
    RECOVERY_LETTER: ("Somebody asked to begin anew", _RECOVERY, "/ways-in"),
}
_NOTICE_GOOD_FOR = timedelta(days=7)

_PLAIN = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9-]+(\.[a-z0-9-]+)+")


def mailbox(email: str) -> str | None:
    """The one mailbox behind an address as mail servers read it, domain in ASCII; None for anything but a plain address.

    What could be read as a list, a comment or a name with an address would get past the held domains.
    """
    local, _, domain = email.strip().rpartition("@")
    try:
        ascii_domain = unicodedata.normalize("NFKC", domain).rstrip(".").lower().encode("idna").decode("ascii")
    except UnicodeError:
        return None
    plain = f"{local}@{ascii_domain}"
    return plain if _PLAIN.fullmatch(plain) else None


async def address_of(tx: Transaction, context: Context, account_id: UUID, role: Role) -> str | Dropped:
    """The address at which an account may be written to in one role, opened now; or why it may not be.

    Nothing goes to an account that was closed or erased, that lost the role, or to the defendant's domains.
    """
    account = await tx.get(Account, account_id, populate_existing=True)
    if account is None or account.disabled_at is not None or account.email_sealed is None:
        return Dropped("the account is closed, or has no address")
    if await repository.live_grant(tx, account.id, role) is None:
        return Dropped("the account has lost the role")
    where = ("account", "email_sealed", account.id)
    typed = await context.keyring.unseal(tx, account.organization_id, Lane.FACTUAL, account.email_sealed, *where)
    email = mailbox(typed)
    if email is None:
        log.warning("nothing sent: not a plain address", account=str(account.id))
        return Dropped("not a plain address")
    if await repository.is_held(tx, account.organization_id, email.rpartition("@")[2]):
        log.warning("held back: the address belongs to the defendant", account=str(account.id))
        return Dropped("the address belongs to the defendant")
    return email


def mail(context: Context, to: str, subject: str, text: str, known_as: UUID | None = None) -> Send:
    """What sends one mail; see `Mailer.send`."""

    async def send() -> None:
        if not await context.mailer.send(to, subject, text, known_as):
            raise NotSent("there is no mail server")

    return send


def sign_in_letter(context: Context) -> Kind:
    """The letter with a one-time link. The link is made when it is about to be sent, and its time counts from then.

    At least once: a second link does no harm, a missing one locks somebody out.
    """

    async def write(tx: Transaction, letter: Letter) -> Send | Dropped:
        role = Role(letter.payload["role"])
        to = await address_of(tx, context, letter.recipient, role)
        if isinstance(to, Dropped):
            return to
        token = await service.create_link(tx, letter.recipient, role)
        link = f"{context.settings.origin}/sign-in/{token}"
        return mail(context, to, "Your sign-in link", _TEXT.format(link=link))

    return Kind(SIGN_IN_LETTER, write, _GOOD_FOR, ready=context.mailer.ready)


async def post_notice(tx: Transaction, kind: str, organization_id: UUID, account_id: UUID, role: Role, about: str) -> None:
    """Tell somebody by mail of a change of the ways into their account."""
    await letters.post(tx, kind, organization_id, account_id, about, {"role": role})


def notices(context: Context) -> list[Kind]:
    """The letters about changes of ways in. At least once: a second one does no harm."""

    def kind(name: str, subject: str, text: str, path: str) -> Kind:
        async def write(tx: Transaction, letter: Letter) -> Send | Dropped:
            to = await address_of(tx, context, letter.recipient, Role(letter.payload["role"]))
            if isinstance(to, Dropped):
                return to
            return mail(context, to, subject, text.format(link=f"{context.settings.origin}{path}"), letter.id)

        return Kind(name, write, _NOTICE_GOOD_FOR, ready=context.mailer.ready)

    return [kind(name, *said) for name, said in _NOTICES.items()]


async def _post_link(tx: Transaction, account: Account, role: str, about: str) -> None:
    """Post a letter with a link, unless it would only fill the mailbox; one that waits for the mail server is tried at once.

    Anybody can ask for links. Whoever is written to no more has some that are good for ten minutes yet: nobody is locked out.
    """
    waiting = [one.id for one in await letters.on_their_way(tx, SIGN_IN_LETTER, account.id) if one.payload["role"] == role]
    if waiting:
        await letters.hurry(tx, waiting)
    elif await repository.links_made_since(tx, account.id, role, clock.now() - _FRESH_FOR) >= MOST_LINKS:
        log.info("no further link: the last ones are still good", account=str(account.id))
    else:
        await letters.post(tx, SIGN_IN_LETTER, account.organization_id, account.id, about, {"role": role})


def consumer(context: Context) -> Consumer:
    """The worker that posts a letter for every account and role behind an address that asked."""

    async def handle(tx: Transaction, messages: Sequence[Heard]) -> None:
        if not context.mailer.ready:
            log.warning("a link was asked for, and mail is not sent: set HARMLINE_SMTP_URL to a mail server")
        for message in messages:
            index = await service.as_it_counts(tx, context.keyring, bytes.fromhex(message.payload["email_index"]))
            for account, role in await repository.accounts_by_email(tx, index):
                await _post_link(tx, account, role, f"{message.id} {role}")

    return Consumer("access.links", frozenset({service.SIGN_IN_REQUESTED}), handle)
