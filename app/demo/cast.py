"""Sets the stage: two organizations with their people, accounts in every role, connections, enrollments, by the real code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.access import service as access
from app.access.repository import account_of_member
from app.access.roles import Principal, Role
from app.connections import documents
from app.connections import service as connections
from app.connections.service import Created
from app.demo import export
from app.demo.enrollment import ASKED, MAIL_DOMAIN, Book, Enrolled, Service, enrollment_csv
from app.demo.population import Person, roster_csv
from app.demo.providers import Providers
from app.kit.context import Context
from app.kit.database import Transaction
from app.ledger.service import SYSTEM
from app.members import service as members
from app.members.roster import parsed, read_enrollments, read_roster
from app.members.schemas import ImportReport
from connectors.file.columns import DOCUMENT as COLUMNS

UNION = "Invented Police Officers' Union"
NEIGHBOUR = "Invented Nurses' Association"


class StageError(RuntimeError):
    """The scenario cannot be set up or played: the message says what was refused."""


@dataclass
class Tenant:
    """One organization as the scenario knows it: `members` and their `accounts` by external id, other accounts by role."""

    id: UUID
    connections: dict[Service, Created] = field(default_factory=dict)
    members: dict[str, UUID] = field(default_factory=dict)
    accounts: dict[str, UUID] = field(default_factory=dict)

    def member(self, external_id: str) -> Principal:
        """A member as they act and ask."""
        return Principal(self.id, self.accounts[external_id], Role.MEMBER, self.members[external_id])

    def official(self, role: Role) -> Principal:
        """The person in one of the other roles."""
        return Principal(self.id, self.accounts[role], role)


async def set_up_union(
    context: Context, people: Sequence[Person], book: Book, providers: Providers, addresses: Mapping[Service, str]
) -> Tenant:
    """The union with all its services, its whole roster and everybody's enrollment. `addresses`: where `providers` are asked."""
    async with context.database.begin() as tx:
        tenant = await _organization(tx, context, UNION, (Service.WATCH, Service.IDENTITY, Service.DESK), "union.example")
        await _connect(tx, context, tenant, Service.MAIL, settings={"domain": MAIL_DOMAIN})
        for service in (*ASKED, Service.CARRIER):
            sandbox = providers.sandboxes[service]
            settings = sandbox.settings(addresses.get(service, ""))
            await _connect(tx, context, tenant, service, secret=sandbox.webhook_secret, settings=settings)
        await _connect(tx, context, tenant, Service.EXPORT)
        file = tenant.connections[Service.EXPORT].connection.id
        await documents.write(tx, context.keyring, tenant.id, file, name=COLUMNS, text=export.DOCUMENT, actor=SYSTEM)
        own = await connections.own_connection(tx, context.keyring, tenant.id, SYSTEM)
        tenant.connections[Service.OWN] = Created(own, "", "")
        await _roster(tx, context, tenant, people)
        for service in tenant.connections:
            if book.enrolled[service]:
                await _enroll(tx, context, tenant, service, book.enrolled[service])
        for one in book.shared:
            await _enroll(tx, context, tenant, Service.WATCH, (one,))
    return tenant


async def set_up_neighbour(context: Context, book: Book) -> Tenant:
    """Another organization, whose people bear the same numbers and references."""
    async with context.database.begin() as tx:
        tenant = await _organization(tx, context, NEIGHBOUR, (Service.ELSEWHERE,), "nurses.example")
        await _roster(tx, context, tenant, book.neighbours)
        await _enroll(tx, context, tenant, Service.ELSEWHERE, book.enrolled[Service.ELSEWHERE])
    return tenant


async def _organization(tx: Transaction, context: Context, name: str, services: Sequence[Service], domain: str) -> Tenant:
    tenant = Tenant((await members.create_organization(tx, context.keyring, name)).id)
    for role in (Role.STAFF, Role.CASEWORKER, Role.COUNSEL, Role.ADMIN, Role.AUDITOR):
        account = await access.create_account(tx, context.keyring, tenant.id, f"{role}@{domain}")
        await access.grant_role(tx, context.keyring, account, role)
        tenant.accounts[role] = account.id
    for service in services:
        await _connect(tx, context, tenant, service)
    return tenant


async def _connect(
    tx: Transaction,
    context: Context,
    tenant: Tenant,
    service: Service,
    secret: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> None:
    tenant.connections[service] = await connections.create_connection(
        tx,
        context.keyring,
        tenant.id,
        connector=service.connector,
        title=service.named,
        sender=service.stands_behind,
        secret=secret,
        settings=settings,
    )


async def _roster(tx: Transaction, context: Context, tenant: Tenant, people: Sequence[Person]) -> None:
    entries, problems = parsed(roster_csv(people), read_roster)
    _refuse(await members.import_roster(tx, context.keyring, tenant.id, entries, problems))
    for person in people:
        found = await members.find_member(tx, context.keyring, tenant.id, person.external_id)
        account = await account_of_member(tx, tenant.id, found.id) if found else None
        if found is None or account is None:
            raise StageError(f"{person.external_id} is not on the roster after the import")
        tenant.members[person.external_id], tenant.accounts[person.external_id] = found.id, account.id


async def _enroll(tx: Transaction, context: Context, tenant: Tenant, service: Service, enrolled: Sequence[Enrolled]) -> None:
    entries, problems = parsed(enrollment_csv(enrolled), read_enrollments)
    connection = tenant.connections[service].connection
    _refuse(await members.import_enrollments(tx, context.keyring, tenant.id, connection.id, entries, problems))


def _refuse(report: ImportReport) -> None:
    if report.problems:
        raise StageError(f"an import was refused: {report.problems[0]}")
