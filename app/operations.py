"""What the command line does, each in a transaction of its own: the same use cases as behind the doors, without a session."""

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from app.access import service as access
from app.access.policy import scopes_of
from app.access.repository import account_of_member
from app.access.roles import Principal, Role
from app.breaches.service import breach_summary, load_catalogue
from app.connections import repository as connection_rows
from app.connections import service as connections
from app.incidents.repository import unmatched_counts
from app.intake import service as intake
from app.intake import workers as intake_workers
from app.kit.context import Context
from app.kit.database import Transaction
from app.kit.errors import Problem
from app.ledger.service import SYSTEM
from app.main import Workers
from app.members import repository as member_rows
from app.members import service as members
from app.members.roster import parsed, read_enrollments, read_roster
from connectors.contract import Sender

T = TypeVar("T")
Operation = Callable[[Context], Coroutine[Any, Any, T]]

SETUP_LIFETIME = timedelta(days=7)


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


async def create_connection(
    context: Context, organization_id: UUID, connector: str, title: str, sender: Sender
) -> dict[str, Any]:
    """A new connection: its id, its webhook address and its secret."""
    async with context.database.begin() as tx:
        await _known(tx, organization_id)
        made = await connections.create_connection(
            tx, context.keyring, organization_id, connector=connector, title=title, sender=sender
        )
        url = context.settings.origin + made.path
        return {"connection": made.connection.id, "webhook_url": url, "secret": made.secret}


async def load_breaches(context: Context, organization_id: UUID, catalogue: str) -> list[dict[str, Any]]:
    """Load a catalogue, and say for each breach how many members it exposed."""
    async with context.database.begin() as tx:
        await _known(tx, organization_id)
        try:
            await load_catalogue(tx, context.keyring, organization_id, catalogue, SYSTEM)
        except FileNotFoundError:
            raise Problem(404, "There is no such catalogue: oakland is the one that comes with Harmline.") from None
        return [summary.model_dump(mode="json") for summary in await breach_summary(tx, organization_id)]


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
        story = await intake.trace(tx, context, receipt_id)
    if story is None:
        raise Problem(404, "There is no receipt with this id.")
    return story


async def accounts(context: Context, organization_id: UUID) -> dict[str, Any]:
    """The accounts of intake, with the alerts that are nobody's."""
    async with context.database.begin(read_only=True) as tx:
        await _known(tx, organization_id)
        found = await intake.accounts(tx, organization_id)
        found.unmatched = await unmatched_counts(tx, organization_id)
        return found.model_dump()
