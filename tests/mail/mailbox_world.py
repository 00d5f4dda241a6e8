"""The real core with a connection to a real mail server, which has a public name and address here. Importable; holds no tests."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from app.connections import service as connections
from app.connections.models import Poll
from app.intake import asker
from app.intake.models import AlertRow, HandedOn, Receipt
from app.kit import clock
from app.members import service as members
from app.members.roster import EnrollmentEntry
from connectors.contract import Sender
from connectors.mail.samples import alert_mail
from connectors.mailbox import MailboxClient
from connectors.vocabulary import AlertKind
from tests.mail.dovecot import NAME, PASSWORD, USER, Dovecot
from tests.support.world import World

ADDRESS = "93.184.216.34"
PEOPLE = {"m-7fq2raven4@alerts.example.org": "M-1", "m-3kd8heron9@alerts.example.org": "M-2"}
KINDS = (AlertKind.NEW_ACCOUNT_CREDIT_CARD, AlertKind.INQUIRY_HARD, AlertKind.EXPOSURE_SSN)
FAST = 600_000.0
PATIENT = {"connect": 60.0, "read": 60.0, "total": 120.0}
"""Seconds: the machine may have much else to do."""


@dataclass
class Mailed:
    """One mailbox and the connection that reads it. `told`: how many alerts are in it."""

    world: World
    server: Dovecot
    connection_id: UUID
    receiver_id: UUID
    bodies: list[bytes] = field(default_factory=list)
    told: int = 0

    def alert(self, make: Any = lambda mail: mail) -> None:
        """An alert is mailed to one of the people; `make`: what else is done with the mail."""
        number = self.told
        to = list(PEOPLE)[number % len(PEOPLE)]
        at = clock.now() - timedelta(days=number)
        mail = alert_mail(KINDS[number % len(KINDS)], to, at, number, f"Invented Bank {number}", "4321")
        assert mail is not None
        self.told += 1
        self.bring(f"Delivered-To: {to}\r\n".encode() + make(mail))

    def bring(self, mail: bytes) -> None:
        """Any mail comes in."""
        self.bodies.append(mail)
        self.server.deliver(mail)

    async def ask(self, **later: float) -> None:
        """A while later, ask what is due, and do all the work behind it."""
        clock.set_to(clock.now() + timedelta(**(later or {"hours": 1})))
        await self.world.workers.ask()

    async def from_the_beginning(self) -> None:
        """A sweep, now."""
        async with self.world.context.database.begin() as tx:
            due = {"poll_due_at": clock.now(), "sweep_due_at": clock.now(), "waits_until": None}
            await tx.execute(update(Poll).where(Poll.connection_id == self.connection_id).values(due))
        await self.world.workers.ask()

    async def poll(self) -> Poll:
        async with self.world.context.database.begin(read_only=True) as tx:
            return await tx.get_one(Poll, self.connection_id, populate_existing=True)

    async def kept(self) -> Counter[int]:
        """The sizes of what was kept of the mailbox are not known to us; so how many, by how often each was seen again."""
        async with self.world.context.database.begin(read_only=True) as tx:
            rows = select(Receipt.repeats).where(Receipt.connection_id == self.connection_id)
            return Counter((await tx.execute(rows)).scalars())

    async def require_all_once(self) -> None:
        """Every mail is one receipt, every alert one alert, and nothing waits."""
        assert sum((await self.kept()).values()) == len(set(self.bodies))
        async with self.world.context.database.begin(read_only=True) as tx:
            waiting = select(func.count()).select_from(HandedOn).where(HandedOn.due_at.is_not(None))
            assert (await tx.execute(waiting)).scalar_one() == 0
            alerts = select(func.count()).select_from(AlertRow).where(AlertRow.connection_id == self.receiver_id)
            assert (await tx.execute(alerts)).scalar_one() == self.told


@asynccontextmanager
async def mailed(world: World, server: Dovecot, monkeypatch: pytest.MonkeyPatch, scheme: str = "imaps") -> AsyncIterator[Mailed]:
    """M-1 and M-2 have forwarding addresses that lead into the mailbox; its connection trusts the server's certificate."""
    with monkeypatch.context() as patched:
        stand_in(patched, server.tls if scheme == "imaps" else server.starttls)
        use(patched, server)
        async with world.context.database.begin() as tx:
            common: dict[str, Any] = {"title": "Mail", "sender": Sender.PROVIDER}
            keyring, union = world.context.keyring, world.union.id
            settings = {"domain": "alerts.example.org"}
            receiver = await connections.create_connection(tx, keyring, union, connector="mail", settings=settings, **common)
            settings = {"base_url": f"{scheme}://{NAME}", "user": USER, "password": PASSWORD}
            made = await connections.create_connection(tx, keyring, union, connector="imap", settings=settings, **common)
            entries = [EnrollmentEntry(n, who, to, True, None, None) for n, (to, who) in enumerate(PEOPLE.items())]
            await members.import_enrollments(tx, keyring, union, receiver.connection.id, entries, ())
        yield Mailed(world, server, made.connection.id, receiver.connection.id)
        await world.workers.asker.close()


def stand_in(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """Whoever of this process connects to the mail server's address connects to this port of this machine."""
    loop = asyncio.get_running_loop()
    real = loop.create_connection

    async def create_connection(protocol: Any, host: Any = None, at: Any = None, **options: Any) -> Any:
        here = ("127.0.0.1", port) if host == ADDRESS else (host, at)
        return await real(protocol, *here, **options)

    monkeypatch.setattr(loop, "create_connection", create_connection)


async def names(name: str) -> list[str]:
    """A resolver that knows the mail server alone."""
    return [ADDRESS] if name == NAME else []


def use(monkeypatch: pytest.MonkeyPatch, server: Dovecot, kind: type[MailboxClient] = MailboxClient, **options: Any) -> None:
    """The asker's client from now on: it trusts the server's certificate, and waits for no turn."""

    def client(base_url: str, *, requests_per_minute: float) -> MailboxClient:
        assert requests_per_minute > 0
        return partial(kind, base_url, requests_per_minute=FAST, resolver=names, **PATIENT)(
            **{"tls": server.trusted.trusting, **options}
        )

    monkeypatch.setattr(asker, "MailboxClient", client)
