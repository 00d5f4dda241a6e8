"""A small organization for tests of services: members, alerts that are already matched, workers, an HTTP client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from uuid import UUID

import httpx
from fastapi import APIRouter, Depends, FastAPI
from sqlalchemy import select

from app.access.gate import authorize
from app.access.models import Account
from app.access.policy import scopes_of
from app.access.roles import Principal, Role
from app.access.service import create_account, create_token, grant_role
from app.incidents.identity import Answer
from app.incidents.models import Incident, MemberAlert, MemberEvent
from app.incidents.repository import alerts_by_incident
from app.incidents.service import give_verdict, recompute_around
from app.kit import crypto, errors
from app.kit.config import Settings
from app.kit.context import Context
from app.kit.database import Database
from app.kit.ids import uuid7
from app.kit.keyring import Keyring
from app.kit.mail import Mailer
from app.kit.outbox import Consumer, sequence
from app.kit.pulling import Worker
from app.ledger.models import LedgerEntry
from app.ledger.service import SYSTEM, Act
from app.members import erasing
from app.members import service as members
from app.members.repository import by_external
from app.members.roster import Job, RosterEntry
from connectors.vocabulary import AlertKind

WHOLE_TIME = (date(2012, 5, 1), None)


def at(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, 12, tzinfo=UTC)


@dataclass
class Rooms:
    """One organization in one database."""

    context: Context
    organization_id: UUID
    numbers: count[int] = field(default_factory=lambda: count(1))
    workers: dict[str, Worker] = field(default_factory=dict)

    @property
    def database(self) -> Database:
        return self.context.database

    @property
    def keyring(self) -> Keyring:
        return self.context.keyring

    async def another_organization(self) -> Rooms:
        async with self.database.begin() as tx:
            organization = await members.create_organization(tx, self.keyring, "Another union")
        return Rooms(self.context, organization.id)

    async def member(self, *jobs: tuple[date, date | None], external_id: str | None = None) -> UUID:
        """Put one person on the roster, or change their employment; no jobs: their employment is not known."""
        number = external_id or f"M-{next(self.numbers)}"
        entry = RosterEntry(line=2, external_id=number, name="Pat Example", email=None, jobs={Job(*job) for job in jobs})
        async with self.database.begin() as tx:
            await members.import_roster(tx, self.keyring, self.organization_id, [entry], [])
            index = await self.keyring.index(tx, self.organization_id, "member.external_id", number)
            found = await by_external(tx, self.organization_id, [index])
        assert found is not None
        return found.id

    async def erase(self, member_id: UUID) -> None:
        async with self.database.begin() as tx:
            await erasing.erase(tx, self.keyring, self.organization_id, member_id, SYSTEM)

    async def counsel(self) -> Principal:
        async with self.database.begin() as tx:
            account = await create_account(tx, self.keyring, self.organization_id, f"c{next(self.numbers)}@law.example")
            await grant_role(tx, self.keyring, account, Role.COUNSEL)
        return Principal(self.organization_id, account.id, Role.COUNSEL)

    async def principal(self, member_id: UUID) -> Principal:
        async with self.database.begin(read_only=True) as tx:
            account = (await tx.execute(select(Account).where(Account.member_id == member_id))).scalar_one()
        return Principal(self.organization_id, account.id, Role.MEMBER, member_id)

    async def alert(
        self,
        member_id: UUID,
        kind: AlertKind,
        happened: datetime | None,
        *,
        received: datetime | None = None,
        institution: str | None = None,
        alert_id: UUID | None = None,
        product: AlertKind | None = None,
        completes: UUID | None = None,
        details_requested: bool = False,
    ) -> UUID:
        """A matched alert, or with `alert_id` a revision of one, and the member's incidents recomputed."""
        moment = received or (happened or at(2024, 1, 1)) + timedelta(days=20)
        async with self.database.begin() as tx:
            if alert_id is None:
                alert_id = uuid7()
                tx.add(self._match(member_id, alert_id, moment))
            event = _event(member_id, alert_id, kind, happened, moment, institution, product)
            event.completes, event.details_requested = completes, details_requested
            tx.add(event)
            await tx.flush()
            await recompute_around(tx, self.keyring, {member_id: [alert_id]}, {member_id: self.organization_id})
        return alert_id

    def _match(self, member_id: UUID, alert_id: UUID, moment: datetime) -> MemberAlert:
        return MemberAlert(
            member_id=member_id,
            alert_id=alert_id,
            organization_id=self.organization_id,
            connection_id=uuid7(),
            enrollment_id=uuid7(),
            grade="shared_secret",
            first_received_at=moment,
            matched_at=moment,
        )

    async def incident_of(self, member_id: UUID, alert_id: UUID) -> UUID:
        async with self.database.begin(read_only=True) as tx:
            held = await alerts_by_incident(tx, member_id)
        return next(incident for incident, alerts in held.items() if alert_id in alerts)

    async def answer(self, member_id: UUID, alert_id: UUID, answer: Answer) -> None:
        incident_id = await self.incident_of(member_id, alert_id)
        async with self.database.begin() as tx:
            incident = await tx.get_one(Incident, (member_id, incident_id))
            await give_verdict(tx, self.keyring, incident, answer, [alert_id], SYSTEM)

    async def run(self, *consumers: Consumer) -> None:
        """Let these workers pull until none finds anything more."""
        for consumer in consumers:
            self.workers.setdefault(consumer.name, Worker(self.database, consumer))
        busy = True
        while busy:
            await sequence(self.database)
            busy = any([await self.workers[consumer.name].run() for consumer in consumers])

    async def ledger(self, act: Act) -> list[LedgerEntry]:
        async with self.database.begin(read_only=True) as tx:
            rows = select(LedgerEntry).where(LedgerEntry.kind == act, LedgerEntry.organization_id == self.organization_id)
            return list((await tx.execute(rows.order_by(LedgerEntry.id))).scalars())

    @asynccontextmanager
    async def client(self, router: APIRouter, principal: Principal) -> AsyncIterator[httpx.AsyncClient]:
        """An HTTP client signed in as `principal`, with a token of every scope, of an application with one room's routes."""
        app = FastAPI(dependencies=[Depends(authorize)])
        app.state.context = self.context
        errors.register(app)
        app.include_router(router)
        async with self.database.begin() as tx:
            token, _ = await create_token(tx, self.keyring, principal, "test", scopes_of(principal.role), 1)
        headers = {"Authorization": f"Bearer {token}"}
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
            yield client


def _event(
    member_id: UUID,
    alert_id: UUID,
    kind: AlertKind,
    happened: datetime | None,
    received: datetime,
    institution: str | None,
    product: AlertKind | None,
) -> MemberEvent:
    return MemberEvent(
        member_id=member_id,
        event_id=uuid7(),
        alert_id=alert_id,
        connection_id=uuid7(),
        receipt_id=uuid7(),
        outcome="new",
        grade="shared_secret",
        kind=kind.value,
        product=product.value if product else None,
        institution=institution,
        institution_index=institution.encode() if institution else None,
        occurred_earliest=happened,
        occurred_latest=happened,
        received_at=received,
        sealed=b"",
    )


@asynccontextmanager
async def rooms(database_url: str) -> AsyncIterator[Rooms]:
    """Open one organization in a migrated database, and close the database after."""
    database = Database(database_url)
    keyring = Keyring(crypto.new_key())
    context = Context(Settings(_env_file=None), database, keyring, Mailer(None, "harmline@localhost"))
    async with database.begin() as tx:
        organization = await members.create_organization(tx, keyring, "A union")
    yield Rooms(context, organization.id)
    await database.close()
