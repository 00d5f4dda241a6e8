"""A mail connection, members' addresses on it, and mails that come to them, as tests of reviewing and forwarding need them."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from itertools import count
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select

from app.access.roles import Role
from app.connections.models import Connection
from app.connections.service import create_connection
from app.intake import receive
from app.intake.models import Channel, Event
from app.intake.receive import Arrival
from app.members.roster import EnrollmentEntry
from app.members.service import import_enrollments, reference_index
from connectors.contract import Sender
from connectors.mail.connector import Mail
from tests.support.world import Tenant, World

NUMBERS = count(1)
DOMAIN = "alerts.union.example"
STRANGE = "something.service.example"
"""A sender that no rule knows."""


ASKED = """avery@gmail.example has requested to automatically forward mail to your email address.
Confirmation code: 123456789

To allow avery@gmail.example to automatically forward mail to your address, please click the link below to confirm the request:

https://mail-settings.google.com/mail/vf-%5BANGjdJ8-x%5D-abc

Thanks for using Gmail!
"""
SUBJECT = "(#123456789) Gmail Forwarding Confirmation - Receive Mail from avery@gmail.example"


def mail(sender: str = f"notices@{STRANGE}", subject: str = "Something happened", text: str = "A word.", **more: str) -> bytes:
    """A mail as its sender sent it, each with a Message-ID of its own."""
    made = EmailMessage(policy=SMTP)
    made["From"], made["Subject"], made["To"] = f"Some Service <{sender}>", subject, "pat@example.org"
    made["Date"] = more.get("date", "Thu, 25 May 2023 10:00:00 +0000")
    made["Message-ID"] = f"<{more.get('id', next(NUMBERS))}@{sender.rpartition('@')[2]}>"
    made.set_content(text)
    return made.as_bytes()


def question() -> bytes:
    """Gmail asks whether mails may be forwarded; nothing proves that it is Gmail."""
    return mail("forwarding-noreply@google.com", SUBJECT, ASKED)


@dataclass
class Mailed:
    """A world whose union takes mails."""

    world: World
    connection_id: UUID

    async def address(self, who: str = "M-1") -> str:
        """A new forwarding address of a member, made by them."""
        async with await self.world.sign_in(Role.MEMBER, who) as browser:
            answer = await browser.post("/v1/me/forwarding-address")
        assert answer.status_code == 201, answer.text
        address: str = answer.json()["address"]
        return address

    async def bring(self, raw: bytes, to: str, **asked: str) -> UUID:
        """A mail comes in as it does out of a carrier's delivery, and is worked on; its receipt."""
        context, beside = self.world.context, {"to": to, **asked} if to else dict(asked)
        async with context.database.begin() as tx:
            row = await tx.get_one(Connection, self.connection_id)
            index = await reference_index(tx, context.keyring, row.organization_id, row.id, to) if to else None
            proof = Mail().proof_of(raw, beside)
            arrival = Arrival(raw, proof, Channel.HANDED_ON, asked=beside, about_index=index)
            kept = await receive.keep(tx, context.keyring, row, arrival)
        await self.world.workers.drain()
        return kept.receipt_id

    async def event(self, receipt_id: UUID) -> Event:
        """The one event of a receipt."""
        async with self.world.context.database.begin(read_only=True) as tx:
            return (await tx.execute(select(Event).where(Event.receipt_id == receipt_id))).scalar_one()

    async def asked(self, raw: bytes | None = None, who: str = "M-1") -> UUID:
        """The event of a mail to a member's new address that only a person can tell."""
        event = await self.event(await self.bring(raw or mail(), await self.address(who)))
        assert (event.outcome, event.path) == ("quarantined", "for a person")
        return event.id

    async def imported(self, reference: str, who: str = "M-1") -> None:
        """An admin says that mails to an address are a member's, and that they agreed that alerts are kept."""
        entry = EnrollmentEntry(2, who, reference, True, None, None)
        async with self.world.context.database.begin() as tx:
            await import_enrollments(tx, self.world.context.keyring, self.world.union.id, self.connection_id, [entry], [])

    async def consent(self, *, given: bool, who: str = "M-1") -> None:
        """A member says yes or no to what comes over the mail connection."""
        body = {"connection_id": str(self.connection_id), "given": given}
        assert (await self.call(Role.MEMBER, "POST", "/v1/me/consents", body, who)).status_code == 204

    async def call(self, role: Role, method: str, path: str, body: Any = None, who: str = "") -> httpx.Response:
        """One request by somebody."""
        async with await self.world.sign_in(role, who) as browser:
            return await browser.request(method, path, json=body)


async def mailed_world(world: World, tenant: Tenant | None = None) -> Mailed:
    """Set up a mail connection."""
    async with world.context.database.begin() as tx:
        made = await create_connection(
            tx,
            world.context.keyring,
            (tenant or world.union).id,
            connector="mail",
            title="Forwarded mail",
            sender=Sender.PROVIDER,
            settings={"domain": DOMAIN},
        )
    return Mailed(world, made.connection.id)
