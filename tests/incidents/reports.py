"""Reports of members, made over the real application. Importable; holds no tests."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select

from app.access.roles import Role
from app.connections.repository import open_one
from app.connections.service import create_connection
from app.incidents.models import IncidentAlert, MemberEvent
from app.intake.models import Channel
from app.intake.receive import Arrival, keep
from app.members import service as members
from app.members.roster import EnrollmentEntry
from connectors.contract import Sender
from connectors.docs import folder_of
from connectors.mail import connector as mail
from tests.support.world import Tenant, World

LOG_IN = folder_of(mail()) / "fixtures" / "handed__mail~log_in.eml"
PDF = b"%PDF-1.4\nAn invented letter of Invented Savings to Avery Invented.\n%%EOF\n"
FOUND = {
    "kind": "new_account.bank",
    "institution": "Invented Savings",
    "last_four": "77",
    "amount": "120.50",
    "happened_from": "2023-03-01",
    "found_on": "2023-04-02",
    "note": "A letter about an account that I never opened.\r\nIt came on a Sunday.",
}


async def report(
    world: World, fields: dict[str, Any], document: bytes | None = None, who: str = "M-1", tenant: Tenant | None = None
) -> httpx.Response:
    """Post a report as a browser does: always a form with a file, an empty one where none is chosen. Its name says nothing."""
    name = "" if document is None else "letter.exe"
    file = (name, document or b"", "application/x-msdownload")
    async with await world.sign_in(Role.MEMBER, who, tenant) as browser:
        return await browser.post("/v1/reports", data=fields, files={"document": file})


async def incident_with(world: World, receipt_id: str, who: str = "M-1", tenant: Tenant | None = None) -> dict[str, Any]:
    """The incident that a receipt's alert belongs to, as its member reads it, after all work is done."""
    await world.workers.drain()
    async with world.context.database.begin(read_only=True) as tx:
        same = (IncidentAlert.member_id == MemberEvent.member_id) & (IncidentAlert.alert_id == MemberEvent.alert_id)
        query = select(IncidentAlert.incident_id).join(MemberEvent, same).where(MemberEvent.receipt_id == UUID(receipt_id))
        incident_id = (await tx.execute(query.distinct())).scalar_one()
    async with await world.sign_in(Role.MEMBER, who, tenant) as browser:
        answer = await browser.get(f"/v1/incidents/{incident_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def reported(
    world: World, fields: dict[str, Any], document: bytes | None = None, who: str = "M-1", tenant: Tenant | None = None
) -> dict[str, Any]:
    """The incident that a report is on."""
    answer = await report(world, fields, document, who, tenant)
    assert answer.status_code == 202, answer.text
    return await incident_with(world, answer.json()["receipt_id"], who, tenant)


async def hinted(world: World, who: str = "M-1", tenant: Tenant | None = None, number: int = 1) -> dict[str, Any]:
    """A mail "log in to see" came for a member; the incident that it is on. `number`: another mail for each."""
    tenant, keyring, to = tenant or world.union, world.context.keyring, f"{who.lower()}@in.example"
    body = LOG_IN.read_bytes().replace(b"Message-ID: <", f"Message-ID: <{number}-".encode())
    async with world.context.database.begin() as tx:
        found = await open_one(tx, tenant.id, "mail")
        if found is None:
            made = await create_connection(
                tx,
                keyring,
                tenant.id,
                connector="mail",
                title="Forwarded mail",
                sender=Sender.PROVIDER,
                settings={"domain": "in.example"},
            )
            found = made.connection
        entry = EnrollmentEntry(2, who, to, True, None, None)
        await members.import_enrollments(tx, keyring, tenant.id, found.id, [entry], ())
        beside = {"to": to}
        arrival = Arrival(body, mail().proof_of(body, beside), Channel.HANDED_IN, asked=beside)
        kept = await keep(tx, keyring, found, arrival)
    return await incident_with(world, str(kept.receipt_id), who, tenant)


def event_of(incident: dict[str, Any], receipt_id: str = "") -> dict[str, Any]:
    """The last event of an incident, or the one of a receipt."""
    events = [event for source in incident["sources"] for event in source["events"]]
    return next(event for event in reversed(events) if not receipt_id or event["receipt_id"] == receipt_id)
