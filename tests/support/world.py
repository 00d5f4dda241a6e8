"""A small world for tests: two organizations on a real database, people in every role, deliveries over the real application."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.routing import BaseRoute

from app.access import service as access
from app.access import sessions
from app.access.gate import cookie_name
from app.access.models import Account
from app.access.repository import account_of_member
from app.access.roles import Role, Standing
from app.breaches import service as breaches
from app.connections import service as connections
from app.connections.service import Created
from app.kit import clock, crypto
from app.kit.config import Settings
from app.kit.context import Context
from app.kit.database import Database
from app.kit.keyring import Keyring
from app.kit.mail import Mailer
from app.kit.outbox import ConsumerState
from app.ledger.service import SYSTEM
from app.main import Workers, create_app
from app.members import service as members
from app.members.roster import EnrollmentEntry, Job, RosterEntry
from connectors.contract import Sender
from connectors.standard.sandbox import sign
from tests.support.logins import as_service

NOW = datetime(2023, 6, 1, 12, tzinfo=UTC)
ORIGIN = "http://localhost:8000"


@dataclass
class Tenant:
    """One organization with a connection, members by external id, and accounts by role."""

    id: UUID
    connection: Created
    members: dict[str, UUID] = field(default_factory=dict)
    accounts: dict[str, UUID] = field(default_factory=dict)


@dataclass
class World:
    """Everything a test needs. `union` is the organization under test, `other` a second one with the same people's numbers."""

    context: Context
    app: Any
    workers: Workers
    client: httpx.AsyncClient
    union: Tenant
    other: Tenant
    owner_url: str
    """The same database for whoever owns it; the service itself is a login that may only take on roles."""

    async def as_owner(self, *statements: str) -> None:
        """Do what the service may not do itself, each by a statement without values."""
        engine = create_async_engine(self.owner_url)
        async with engine.begin() as connection:
            for statement in statements:
                await connection.execute(text(statement))
        await engine.dispose()

    async def deliver(self, body: bytes | dict[str, Any], tenant: Tenant | None = None, **change: Any) -> httpx.Response:
        """Post a signed delivery; `secret`, `headers`, `path`, `at` and `message_id` may be other than right."""
        tenant = tenant or self.union
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        secret = change.get("secret", tenant.connection.secret)
        headers = sign(secret, raw, at=change.get("at", clock.now()), message_id=change.get("message_id"))
        headers = {"content-type": "application/json", **headers, **change.get("headers", {})}
        path = change.get("path", tenant.connection.path)
        return await self.client.post(path, content=change.get("send", raw), headers=headers)

    async def sign_in(self, role: Role, who: str = "", tenant: Tenant | None = None) -> httpx.AsyncClient:
        """A client signed in all the way, as a browser of its own; `who` is a member's external id."""
        cookie = await self.session(role, who, tenant)
        return self.browser({cookie_name(self.context.settings): cookie})

    async def session(self, role: Role, who: str = "", tenant: Tenant | None = None, standing: Standing = Standing.FULL) -> str:
        """The cookie of a session just opened; how people come to one is what tests/access/test_ways_in.py is about."""
        account_id = (tenant or self.union).accounts[who or role]
        async with self.context.database.begin() as tx:
            account = await tx.get_one(Account, account_id)
            opened = await sessions.open_session(tx, self.context.keyring, account, role, "test", standing)
        return opened.cookie

    def browser(self, cookies: dict[str, str] | None = None) -> httpx.AsyncClient:
        """A browser of its own that sends what browsers send with forms of the same site."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        headers = {"sec-fetch-site": "same-origin"}
        return httpx.AsyncClient(transport=transport, base_url=ORIGIN, cookies=cookies, headers=headers)

    async def timeline(self, who: str = "M-1", tenant: Tenant | None = None) -> list[dict[str, Any]]:
        """A member's timeline after all work is done."""
        await self.workers.drain()
        async with await self.sign_in(Role.MEMBER, who, tenant) as browser:
            answer = await browser.get("/v1/me/timeline")
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items


def alert(**change: Any) -> dict[str, Any]:
    """A good alert of the standard schema about member M-1; any field may be other."""
    return {
        "id": "a-1",
        "type": "new_account.credit_card",
        "member": "ref-M-1",
        "summary": "A new card was reported.",
        "bureau": "experian",
        "institution": "Invented Bank",
        "last_four": "4321",
        "amount": "2500.00",
        "currency": "USD",
        "opened": "2023-03-20",
        **change,
    }


ROSTER = (
    RosterEntry(2, "M-1", "Avery Invented", "avery@example.org", {Job(date(2012, 1, 1), None)}),
    RosterEntry(3, "M-2", "Blake Invented", "blake@example.org", {Job(date(2015, 1, 1), date(2020, 6, 30))}),
    RosterEntry(4, "M-3", "Casey Invented", "casey@example.org", {Job(date(2022, 9, 1), None)}),
)
"""Two members inside the reported population of the Oakland breach, and one outside."""


async def _tenant(context: Context, name: str) -> Tenant:
    async with context.database.begin() as tx:
        row = await members.create_organization(tx, context.keyring, name)
        made = await connections.create_connection(
            tx, context.keyring, row.id, connector="standard", title=f"{name} Monitor", sender=Sender.PROVIDER
        )
        tenant = Tenant(row.id, made)
        await members.import_roster(tx, context.keyring, row.id, ROSTER, ())
        entries = [EnrollmentEntry(n, e.external_id, f"ref-{e.external_id}", True, None, None) for n, e in enumerate(ROSTER)]
        await members.import_enrollments(tx, context.keyring, row.id, made.connection.id, entries, ())
        for entry in ROSTER:
            found = await members.find_member(tx, context.keyring, row.id, entry.external_id)
            assert found is not None
            tenant.members[entry.external_id] = found.id
            account = await account_of_member(tx, row.id, found.id)
            assert account is not None
            tenant.accounts[entry.external_id] = account.id
        tenant.accounts[Role.MEMBER] = tenant.accounts["M-1"]
        for role in Role:
            if role is not Role.MEMBER:
                account = await access.create_account(tx, context.keyring, row.id, f"{role}@{name.lower()}.example")
                await access.grant_role(tx, context.keyring, account, role)
                tenant.accounts[role] = account.id
    return tenant


@dataclass(frozen=True)
class Filled:
    """What a filled database was filled with: the key that opens it, and its two organizations. To be copied, not changed."""

    top_key: bytes
    tenants: tuple[Tenant, ...]
    more: Any = None
    """What was put in besides, to whoever did it."""


ANY_NUMBER: dict[str, Any] = {"address_rate": 0, "connection_rate": 0, "forged_rate": 0}
"""No limit of how often somebody may knock: tests are in a hurry. Those about limits set them."""


def _context(database_url: str, top_key: bytes, **settings: Any) -> Context:
    config = Settings(database_url=database_url, **{**ANY_NUMBER, **settings})
    return Context(config, Database(database_url), Keyring(top_key), Mailer(config.smtp_url, config.mail_from))


async def free_consumers(database: Database) -> None:
    """Whoever worked so far ends here; others must not wait for their leases."""
    async with database.begin() as tx:
        await tx.execute(update(ConsumerState).values(lease_owner=None, lease_until=None))


async def fill(database_url: str) -> Filled:
    """Two organizations with the Oakland breaches and a matter for counsel, in an empty, migrated database."""
    top_key = crypto.new_key()
    context = _context(database_url, top_key)
    with clock.stopped(NOW):
        tenants = [await _tenant(context, name) for name in ("Union", "Other")]
        for tenant in tenants:
            async with context.database.begin() as tx:
                await breaches.load_catalogue(tx, context.keyring, tenant.id, "oakland", SYSTEM)
                await breaches.open_matter(
                    tx, context.keyring, tenant.id, "oakland-2023", "The matter", tenant.accounts[Role.COUNSEL], SYSTEM
                )
        await Workers(context).drain()
        await free_consumers(context.database)
        await context.database.close()
    return Filled(top_key, tuple(tenants))


@cache
def _routes() -> list[BaseRoute]:
    """What the framework works out for a route at its first request stands in the route; it takes a tenth of a second for all."""
    return create_app(work=False).router.routes


@asynccontextmanager
async def make_world(
    database_url: str, filled: Filled | None = None, login: Callable[[str], Awaitable[str]] = as_service, **settings: Any
) -> AsyncIterator[World]:
    """The world of `fill`, with the clock stopped at NOW; `filled`: what the database was filled with, if it was.

    `login` makes the URL of the service out of the owner's.
    """
    known = filled or await fill(database_url)
    tenants = copy.deepcopy(known.tenants)
    with clock.stopped(NOW), TemporaryDirectory() as folder:
        context = _context(await login(database_url), known.top_key, **{"packet_folder": Path(folder), **settings})
        app = create_app(context=context, work=False)
        app.router.routes[:] = _routes()
        workers: Workers = app.state.workers
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
            yield World(context, app, workers, client, *tenants, database_url)
        await context.database.close()
