"""What the command line does, each in a transaction of its own: the same use cases as behind the doors, without a session."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol, TypeVar
from uuid import UUID

from app import every_index, handing_over, rotation
from app.access import recovery
from app.access import service as access
from app.access.policy import scopes_of
from app.access.repository import account_by_email, account_of_member, live_grant
from app.access.roles import Principal, Role
from app.breaches import repository as breach_rows
from app.breaches import service as breaches
from app.connections import managing
from app.connections import repository as connection_rows
from app.connections import service as connections
from app.connections.models import Connection, Poll
from app.connections.polls import poll_of
from app.connections.viewing import connection_view
from app.incidents.repository import unmatched_counts
from app.intake import service as intake
from app.intake import workers as intake_workers
from app.intake.health import health_of
from app.intake.repository import receipts_of
from app.intake.schemas import HealthView
from app.kit import escrow
from app.kit.context import Context
from app.kit.database import Transaction
from app.kit.door_keys import doors
from app.kit.errors import Problem
from app.kit.escrow import EscrowError
from app.kit.keyring import Keyring, Lane
from app.kit.vault import KeyFile, fingerprint
from app.ledger.service import SYSTEM
from app.main import Workers
from app.members import repository as member_rows
from app.members import service as members
from app.members.roster import parsed, read_enrollments, read_roster
from app.watch.tracing import story
from connectors.contract import Sender

T = TypeVar("T")
Operation = Callable[[Context], Coroutine[Any, Any, T]]

SETUP_LIFETIME = timedelta(days=7)


class Act(Protocol):
    """An act on a connection that needs to be told nothing more: pause, resume, close."""

    def __call__(self, tx: Transaction, keyring: Keyring, organization_id: UUID, connection_id: UUID) -> Awaitable[Connection]:
        """Do it. Raises a Problem."""


async def _known(tx: Transaction, organization_id: UUID) -> None:
    if await member_rows.organization(tx, organization_id) is None:
        raise Problem(404, "There is no organization with this id.")


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Problem(422, "The file is not UTF-8 text: save it as CSV UTF-8 and try again.") from None


async def create_organization(context: Context, name: str, admin: str, counsel: str | None) -> dict[str, Any]:
    """A new organization with its first admin and, if named, first counsel; each gets a one-time link."""
    async with context.database.begin() as tx:
        row = await members.create_organization(tx, context.keyring, name)
        account = await access.create_account(tx, context.keyring, row.id, admin)
        await access.grant_role(tx, context.keyring, account, Role.ADMIN)
        token = await access.create_link(tx, account.id, Role.ADMIN, SETUP_LIFETIME)
        made = {"organization": row.id, "admin_link": f"{context.settings.origin}/sign-in/{token}"}
        if counsel:
            setup = await access.first_counsel(tx, context.keyring, row.id, counsel)
            made["counsel_link"] = f"{context.settings.origin}/sign-in/{setup}"
        return made


async def _counsel(tx: Transaction, context: Context, organization_id: UUID, email: str) -> UUID:
    """The account of somebody who has the role counsel. Raises a 404 Problem."""
    await _known(tx, organization_id)
    account = await account_by_email(tx, organization_id, await access.email_index(tx, context.keyring, email))
    if account is None or account.disabled_at is not None or await live_grant(tx, account.id, Role.COUNSEL) is None:
        raise Problem(404, "Nobody with this address has the role counsel here. Counsel is given it by counsel.")
    return account.id


async def list_matters(context: Context, organization_id: UUID) -> list[dict[str, Any]]:
    """Every matter of an organization: its id, its breach, since when, and how many counsel work on it."""
    async with context.database.begin(read_only=True) as tx:
        await _known(tx, organization_id)
        return [
            {
                "matter": matter.id,
                "breach": breach.key,
                "opened_at": matter.opened_at,
                "counsel": len(await breach_rows.counsel_of(tx, matter.id)),
            }
            for matter, breach in await breach_rows.of_organization(tx, organization_id)
        ]


async def open_matter(context: Context, organization_id: UUID, breach: str, title: str, counsel: str) -> dict[str, Any]:
    """A new matter over a breach of the catalogue, with its first counsel."""
    if not title.strip():
        raise Problem(422, "title: say what counsel call this matter.")
    async with context.database.begin() as tx:
        account_id = await _counsel(tx, context, organization_id, counsel)
        if await breach_rows.breach_by_key(tx, organization_id, breach) is None:
            raise Problem(404, f"There is no breach {breach} in this organization's catalogue.")
        made = await breaches.open_matter(tx, context.keyring, organization_id, breach, title.strip(), account_id)
        await breaches.tell_counsel(tx, organization_id, made.id, account_id)
        return {"matter": made.id}


async def assign_counsel(context: Context, organization_id: UUID, matter_id: UUID, counsel: str) -> dict[str, Any]:
    """One more counsel of a matter."""
    async with context.database.begin() as tx:
        account_id = await _counsel(tx, context, organization_id, counsel)
        if await breach_rows.matter(tx, organization_id, matter_id) is None:
            raise Problem(404, "There is no matter with this id. To see them: harmline matters list")
        await breaches.assign_counsel(tx, context.keyring, organization_id, matter_id, account_id)
        await breaches.tell_counsel(tx, organization_id, matter_id, account_id)
        return {"matter": matter_id, "counsel": len(await breach_rows.counsel_of(tx, matter_id))}


async def let_back_in(context: Context, organization_id: UUID, email: str) -> dict[str, Any]:
    """Let somebody who is no member begin anew who lost every way to sign in. They are told; nothing happens for a day."""
    async with context.database.begin() as tx:
        await _known(tx, organization_id)
        index = await access.email_index(tx, context.keyring, email)
        account = await account_by_email(tx, organization_id, index)
        if account is None or account.disabled_at is not None:
            raise Problem(404, "Nobody in this organization has this address. Members are let back in by an admin.")
        begun = await recovery.by_operator(tx, context.keyring, account)
        return {"account": account.id, "from": begun.ready_at, "until": begun.ends_at}


async def create_connection(
    context: Context,
    organization_id: UUID,
    connector: str,
    title: str,
    sender: Sender,
    settings: Mapping[str, Any] | None = None,
    secret: str | None = None,
) -> dict[str, Any]:
    """A new connection: its id, its webhook address and its secret; empty where it has none. `settings`: secrets in plain."""
    async with context.database.begin() as tx:
        await _known(tx, organization_id)
        made = await connections.create_connection(
            tx,
            context.keyring,
            organization_id,
            connector=connector,
            title=title,
            sender=sender,
            secret=secret,
            settings=settings,
        )
        url = made.path and context.settings.origin + made.path
        return {"connection": made.connection.id, "webhook_url": url, "secret": made.secret}


async def _connection(tx: Transaction, connection_id: UUID) -> Connection:
    found = await connection_rows.connection(tx, connection_id)
    if found is None:
        raise Problem(404, "There is no connection with this id.")
    return found


async def act_on_connection(context: Context, connection_id: UUID, act: Act) -> dict[str, Any]:
    """One act of `app.connections.managing` on a connection; what it is then."""
    async with context.database.begin() as tx:
        row = await _connection(tx, connection_id)
        return connection_view(await act(tx, context.keyring, row.organization_id, row.id)).model_dump(mode="json")


async def rotate_secret(context: Context, connection_id: UUID, secret: str | None, overlap_hours: int) -> dict[str, Any]:
    """A new secret for deliveries, shown once."""
    async with context.database.begin() as tx:
        row = await _connection(tx, connection_id)
        made = await managing.rotate_secret(
            tx, context.keyring, row.organization_id, row.id, secret=secret, overlap_hours=overlap_hours
        )
        return {"secret": made.secret, "hours_the_old_one_is_taken": overlap_hours}


async def list_connections(context: Context, organization_id: UUID) -> list[dict[str, Any]]:
    """Every connection of an organization."""
    async with context.database.begin(read_only=True) as tx:
        await _known(tx, organization_id)
        rows = await connection_rows.connections_of(tx, organization_id)
        return [connection_view(row).model_dump(mode="json") for row in rows]


async def connection_health(context: Context, organization_id: UUID) -> list[dict[str, Any]]:
    """How every connection of an organization is doing."""
    async with context.database.begin(read_only=True) as tx:
        await _known(tx, organization_id)
        return [HealthView.model_validate(one).model_dump(mode="json") for one in await health_of(tx, organization_id)]


def _asked(poll: Poll | None) -> dict[str, Any]:
    names = ("state", "error", "failures", "last_success_at", "poll_due_at", "look_ups_due_at", "waits_until")
    return {} if poll is None else {name: getattr(poll, name) for name in names}


async def ask_provider(context: Context, connection_id: UUID, *, sweep: bool) -> dict[str, Any]:
    """Ask one provider now and do all the work behind; what was kept, and how the connection is."""
    async with context.database.begin() as tx:
        row = await _connection(tx, connection_id)
        await managing.ask_now(tx, context.keyring, row.organization_id, row.id, sweep=sweep)
        before = await receipts_of(tx, connection_id)
    workers = Workers(context)
    try:
        asked = await workers.asker.ask(connection_id)
        await workers.drain()
        if asked:  # what it told may have to be looked up
            await workers.asker.ask(connection_id)
            await workers.drain()
    finally:
        await workers.asker.close()
    async with context.database.begin(read_only=True) as tx:
        after = await receipts_of(tx, connection_id)
        poll = await poll_of(tx, connection_id)
    kept, again = after[0] - before[0], after[1] - before[1]
    return {"asked": asked, "new_answers": kept, "answers_seen_before": again, **_asked(poll)}


async def load_breaches(context: Context, organization_id: UUID, catalogue: str) -> list[dict[str, Any]]:
    """Load a catalogue, and say for each breach how many members it exposed."""
    async with context.database.begin() as tx:
        await _known(tx, organization_id)
        try:
            await breaches.load_catalogue(tx, context.keyring, organization_id, catalogue, SYSTEM)
        except FileNotFoundError:
            raise Problem(404, "There is no such catalogue: oakland is the one that comes with Harmline.") from None
        return [summary.model_dump(mode="json") for summary in await breaches.breach_summary(tx, organization_id)]


async def member_token(context: Context, organization_id: UUID, external_id: str, days: int) -> dict[str, Any]:
    """A token that reads and answers one member's own timeline."""
    async with context.database.begin() as tx:
        member = await members.find_member(tx, context.keyring, organization_id, external_id)
        account = await account_of_member(tx, organization_id, member.id) if member else None
        if member is None or account is None:
            raise Problem(404, "Nobody on the roster has this number.")
        caller = Principal(organization_id, account.id, Role.MEMBER, member.id)
        scopes = scopes_of(Role.MEMBER) - {"account"}
        token, row = await access.create_token(tx, context.keyring, caller, "command line", scopes, days)
        return {"token": token, "scopes": row.scopes, "expires_at": row.expires_at.isoformat()}


async def import_roster(context: Context, organization_id: UUID, raw: bytes, dry_run: bool) -> dict[str, Any]:
    """Import a roster; the report as JSON values."""
    entries, problems = parsed(_text(raw), read_roster)
    async with context.database.begin() as tx:
        await _known(tx, organization_id)
        report = await members.import_roster(tx, context.keyring, organization_id, entries, problems, dry_run=dry_run)
        return report.model_dump()


async def import_enrollments(
    context: Context, organization_id: UUID, connection_id: UUID, raw: bytes, dry_run: bool
) -> dict[str, Any]:
    """Import enrollments on one connection; the report as JSON values."""
    entries, problems = parsed(_text(raw), read_enrollments)
    async with context.database.begin() as tx:
        if await connection_rows.connection_of(tx, organization_id, connection_id) is None:
            raise Problem(404, "This organization has no connection with this id.")
        report = await members.import_enrollments(
            tx, context.keyring, organization_id, connection_id, entries, problems, dry_run=dry_run
        )
        return report.model_dump()


async def replay(context: Context, organization_id: UUID) -> int:
    """Handle again what was set aside, and everything that follows from it."""
    done = await intake_workers.replay(context, organization_id, SYSTEM)
    await Workers(context).drain()
    return done


async def trace(context: Context, receipt_id: UUID) -> dict[str, Any]:
    """The story of one receipt."""
    async with context.database.begin() as tx:
        told = await story(tx, context, receipt_id)
    if told is None:
        raise Problem(404, "There is no receipt with this id.")
    return told


async def accounts(context: Context, organization_id: UUID, connection_id: UUID | None = None) -> dict[str, Any]:
    """The accounts of intake: of an organization, with the alerts that are nobody's, or of one of its connections."""
    async with context.database.begin(read_only=True) as tx:
        await _known(tx, organization_id)
        if connection_id is not None:
            if await connection_rows.connection_of(tx, organization_id, connection_id) is None:
                raise Problem(404, "This organization has no connection with this id.")
            return (await intake.accounts(tx, organization_id, connection_id)).model_dump(exclude={"unmatched"})
        found = await intake.accounts(tx, organization_id)
        found.unmatched = await unmatched_counts(tx, organization_id)
        return found.model_dump()


async def rotate_keys(context: Context, organization_id: UUID | None, told: Callable[[str], None]) -> dict[str, Any]:
    """Replace the keys of one organization or of all; how many values could not be moved, by organization and place."""
    left: dict[str, Any] = {}
    for one in await _whose_keys(context, organization_id):
        told(f"organization {one}")
        for lane in Lane:
            if found := await rotation.replace(context.database, context.keyring, one, lane, told):
                left.setdefault(str(one), {}).update(found)
    return left


async def rotate_indexes(
    context: Context, organization_id: UUID | None, told: Callable[[str], None], *, large: bool = False
) -> dict[str, Any]:
    """Put the blind indexes of one organization or of all under new keys; how many are left, by organization and place.

    `large`: also of connections that take long, while nobody else can write.
    """
    where = (context.database, context.keyring, await _whose_keys(context, organization_id))
    return await every_index.replace_all(*where, told, of_all=organization_id is None, large=large)


async def _whose_keys(context: Context, organization_id: UUID | None) -> list[UUID]:
    """The organizations that are meant, all or this one. Raises a 404 Problem."""
    async with context.database.begin(read_only=True) as tx:
        there = await rotation.organizations(tx)
    if organization_id is not None and organization_id not in there:
        raise Problem(404, "There is no organization with this id.")
    return there if organization_id is None else [organization_id]


async def unconfirmed_keys(context: Context) -> list[str]:
    """The names of the top keys in use that nobody has tried to recover."""
    async with context.database.begin(read_only=True) as tx:
        return await escrow.unconfirmed(tx, context.keyring.vault)


async def confirm_key(context: Context, shares: Sequence[str]) -> str:
    """Try shares; if they give a top key that is in use, write that down. Returns its name; raises EscrowError."""
    name = fingerprint(escrow.key_of(shares))
    if name not in {fingerprint(key) for key in key_file(context).keys}:
        raise EscrowError(f"These shares give a key, but not one of this service: it is {name}.")
    async with context.database.begin() as tx:
        await escrow.confirm(tx, name, len(shares))
    return name


def key_file(context: Context) -> KeyFile:
    """The file of the top key. Raises a 409 Problem where the top key is somewhere else."""
    vault = context.keyring.vault
    if not isinstance(vault, KeyFile):
        raise Problem(409, "The top key is not in a file of this service: replace it where it is.")
    return vault


async def replace_top_key(context: Context, *, only_prepare: bool) -> dict[str, Any]:
    """Put another top key in the place of the one there is, in two steps if people reach the service over TLS.

    There the new one must have been recovered from its shares once before anything is wrapped by it.
    """
    vault = key_file(context)
    name = rotation.prepare_top(vault)
    async with context.database.begin(read_only=True) as tx:
        waits = context.settings.https and not await escrow.is_confirmed(tx, name)
    if only_prepare or waits:
        return {"prepared": name, "confirmed": not waits}
    return {"top_key": name, "wrapped": await rotation.replace_top(context.database, context.keyring, vault)}


async def hand_over_to_door(context: Context, *, replace: bool) -> dict[str, Any]:
    """Hand over to the door's key what the door needs; `replace`: to another one, which takes the place of the one there is."""
    vault = handing_over.door_file(context.keyring)
    if replace:
        done = await handing_over.replace_door(context.database, context.keyring)
    else:
        done = await handing_over.hand_over(context.database, context.keyring, anew=True)
    return {"door_key": vault.newest, "organizations": done}


async def key_status(context: Context) -> dict[str, Any]:
    """The top keys, whether each was recovered once, the door's key, every organization's key versions, and what is left."""
    async with context.database.begin(read_only=True) as tx:
        file = [fingerprint(key) for key in key_file(context).keys]
        tops = [{"top_key": name, "recovery_confirmed": await escrow.is_confirmed(tx, name)} for name in file]
        door = {"file": context.keyring.door.vault.newest if context.keyring.door else None, "in_use": sorted(await doors(tx))}
        lanes = await rotation.status(tx)
        index = await every_index.status(tx, context.keyring, await rotation.organizations(tx))
        return {"top_keys": tops, "door_key": door, "organizations": lanes, "indexes": index}
