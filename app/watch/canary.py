"""The canary: a signed delivery of nobody's that goes through the real door, and is looked for on the timeline of a member
who does not exist, linked to a breach that never was, in an organization of its own. No real organization's counts, queues or
statistics ever hold it.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from standardwebhooks import Webhook

from app.access.repository import account_of_member
from app.access.roles import Principal, Role
from app.breaches.catalogue import BreachSpec
from app.breaches.service import breaches_of, recompute_and_tell, write_breach
from app.connections import repository as connection_rows
from app.connections import service as connections
from app.connections.models import Connection
from app.intake import measures
from app.kit import clock
from app.kit.config import Settings
from app.kit.context import Context
from app.kit.crypto import token_hash
from app.kit.database import Transaction
from app.kit.keyring import Keyring
from app.members import repository as member_rows
from app.members import service as members
from app.members.roster import EnrollmentEntry, RosterEntry
from app.timeline.service import incident_detail, timeline_page
from app.watch.repository import is_newest_linked
from connectors.contract import Sender

ORGANIZATION = UUID("00000000-0000-7000-8000-00000000ca9a")
"""The canary's own organization, the same in every installation, so that whoever goes through all of them can leave it out."""

EVERY = timedelta(hours=1)
LATE_AFTER = timedelta(minutes=15)
"""How long after it was due a canary must have been seen on its timeline."""

_ON_THIS_MACHINE = frozenset({"127.0.0.1", "localhost", "0.0.0.0", "::", "::1", ""})  # noqa: S104 - compared, not bound
NO_WAY = "set HARMLINE_CANARY_URL, or HARMLINE_CANARY=false: we may send neither to this process's own port nor to the origin"
"""What is to be done where `origin` is None."""

_NAME = "Canary"
_INVENTED = {"mark": "A", "source": "Invented by Harmline for its canary. It is about nobody."}
_BREACH = BreachSpec.model_validate(
    {
        "key": "canary",
        "name": _NAME,
        "defendant": {"key": "canary", "name": "Nobody"},
        "time_zone": "UTC",
        "milestones": [],
        "waves": [
            {
                "key": "canary",
                "title": "Nobody's data",
                "elements": [{"element": element, **_INVENTED} for element in ("NAME", "SSN", "DOB")],
            }
        ],
    }
)


@dataclass(frozen=True)
class Nest:
    """Where the canary lives: its connection with the path of its address and its secret, and whose timeline it comes to."""

    connection: Connection
    path: str
    secret: str
    reference: str
    caller: Principal
    made_at: datetime


@dataclass(frozen=True)
class Flight:
    """One delivery, ready to be posted."""

    url: str
    body: bytes
    headers: dict[str, str]


def origin(settings: Settings) -> str | None:
    """Where the canary is sent: where the settings say, else this process's own port; None where neither can be reached."""
    if settings.canary_url is not None:
        return str(settings.canary_url).rstrip("/")
    if settings.host in _ON_THIS_MACHINE:
        return f"http://127.0.0.1:{settings.port}"
    return settings.origin if settings.https else None


async def nest(tx: Transaction, keyring: Keyring) -> Nest:
    """The canary's home, made where it is missing. Each month has a member of its own, so that no timeline grows for ever."""
    home = await member_rows.organization(tx, ORGANIZATION)
    if home is None:
        home = await members.create_organization(tx, keyring, _NAME, ORGANIZATION)
    found = await connection_rows.connections_of(tx, ORGANIZATION)
    connection = found[0] if found else await _connection(tx, keyring)
    # Written once and never again: of two versions side by side each would make it its own, every minute.
    is_new = not await breaches_of(tx, ORGANIZATION)
    if is_new:
        await write_breach(tx, keyring, ORGANIZATION, _BREACH, focal=True)
    token = await _token(tx, keyring, connection)
    secrets = await connections.open_secrets(tx, keyring, connection)
    reference = f"canary-{clock.now():%Y-%m}"
    caller = await _member(tx, keyring, connection, reference, exposed=not is_new)
    return Nest(connection, f"/webhooks/{connection.id}/{token}", secrets[0].value, reference, caller, home.created_at)


async def _token(tx: Transaction, keyring: Keyring, connection: Connection) -> str:
    """The address's own token: only its hash is stored, so this one is computed, from the organization's key."""
    return (await keyring.index(tx, ORGANIZATION, "canary.address", connection.id.bytes)).hex()


async def _connection(tx: Transaction, keyring: Keyring) -> Connection:
    made = await connections.create_connection(
        tx, keyring, ORGANIZATION, connector="standard", title=_NAME, sender=Sender.PROVIDER
    )
    made.connection.token_hash = token_hash(await _token(tx, keyring, made.connection))
    await tx.flush()
    return made.connection


async def _member(tx: Transaction, keyring: Keyring, connection: Connection, reference: str, *, exposed: bool) -> Principal:
    """Who the canary is about. `exposed`: whether a member who is there already is known to be in the breach."""
    found = await members.find_member(tx, keyring, ORGANIZATION, reference)
    if found is None:
        person = RosterEntry(line=1, external_id=reference, name=_NAME, email=None)
        enrolled = EnrollmentEntry(1, reference, reference, True, None, None)
        await members.import_roster(tx, keyring, ORGANIZATION, [person], ())
        await members.import_enrollments(tx, keyring, ORGANIZATION, connection.id, [enrolled], ())
        found, exposed = await members.find_member(tx, keyring, ORGANIZATION, reference), False
    if found is not None and not exposed:
        await recompute_and_tell(tx, ORGANIZATION, [found.id])
    account = await account_of_member(tx, ORGANIZATION, found.id) if found else None
    if found is None or account is None:
        raise RuntimeError("the canary has no account")  # both are made in one transaction, or neither is
    return Principal(ORGANIZATION, account.id, Role.MEMBER, found.id)


def flight(where: Nest, to: str, now: datetime) -> Flight:
    """A delivery that no other is like. What it says is seen again on the timeline."""
    body = json.dumps(
        {
            "id": f"canary-{now.isoformat()}",
            "type": "new_account.credit_card",
            "member": where.reference,
            "summary": "Sent by Harmline itself, to see that the way is open. It is about nobody.",
            "institution": _institution(now),
            "opened": f"{now:%Y-%m-%d}",
        }
    )
    message_id = f"canary_{int(now.timestamp())}"
    headers = {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(where.secret).sign(message_id, now, body),
    }
    return Flight(f"{to}{where.path}", body.encode(), headers)


def _institution(now: datetime) -> str:
    return f"{_NAME} {now:%Y-%m-%dT%H:%M:%S}"


async def last_kept(tx: Transaction, connection_id: UUID) -> datetime | None:
    """When the newest canary was kept."""
    return (await measures.last_received(tx, [connection_id])).get(connection_id)


async def last_seen(tx: Transaction, context: Context, where: Nest, kept: datetime) -> datetime | None:
    """When the newest canary came in, if it stands on its member's timeline, linked, as the member reads it; None: it does not.

    `kept`: when the newest came in. It is read only once that is linked: what is read is written into the ledger, as for
    every reader.
    """
    if where.caller.member_id is None or not await is_newest_linked(tx, where.caller.member_id, kept):
        return None
    page = await timeline_page(tx, context, where.caller, None, 1)
    detail = await incident_detail(tx, context, where.caller, page.items[0].id)
    return page.items[0].first_received_at if detail.links else None


def is_absent(now: datetime, *, seen: datetime | None, since: datetime) -> bool:
    """Whether a canary should have been seen by now and was not. `since`: from when on this process could have sent one."""
    due = max(seen + EVERY, since) if seen is not None else since
    return now > due + LATE_AFTER
