"""Finds out what the house made of the alerts: whose they are and which incident holds them, by the services' own ids."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.damages.schemas import LossView
from app.damages.service import losses_of
from app.demo.cast import Tenant
from app.demo.enrollment import Service
from app.demo.expected import AlertKey
from app.demo.export import NUMBER
from app.incidents import repository as incidents
from app.incidents.details import wanting
from app.incidents.matching import sealed_at
from app.incidents.models import Incident, MemberEvent
from app.kit.context import Context
from app.kit.database import Transaction
from app.linkage.schemas import CounselLinkView
from app.linkage.service import counsel_links
from app.members import repository as members
from app.members.keys import open_json, open_key


@dataclass(frozen=True)
class Found:
    """One present incident with its alerts: the services' ids, and under which id of our own each is.

    `grades`: how well each alert is proven, each time that it was told; `asks`: whether its member is asked for details.
    """

    row: Incident
    alerts: dict[AlertKey, UUID]
    grades: dict[AlertKey, set[str]]
    asks: bool


async def found_incidents(tx: Transaction, context: Context, tenant: Tenant, member_id: UUID) -> list[Found]:
    """Every present incident of one member; empty for one of whom nothing may be read."""
    member = await members.member(tx, tenant.id, member_id)
    events = await incidents.events_of_member(tx, member_id)
    if member is None or not events:
        return []
    key = await open_key(tx, context.keyring, member)
    services = {made.connection.id: service for service, made in tenant.connections.items()}
    names: dict[UUID, AlertKey] = {}
    for event in events:
        copy = open_json(key, event.sealed, *sealed_at(member_id, event.event_id))
        service = services[event.connection_id]
        names.setdefault(event.alert_id, (service, _name(service, copy)))
    held = await incidents.alerts_by_incident(tx, member_id)
    rows = await incidents.incidents_of_member(tx, member_id)
    return [_found(row, held.get(row.id, ()), names, events) for row in rows if row.redirect_to is None]


def _found(row: Incident, held: Collection[UUID], names: Mapping[UUID, AlertKey], events: Sequence[MemberEvent]) -> Found:
    ours = [event for event in events if event.alert_id in held]
    grades: dict[AlertKey, set[str]] = {}
    for event in ours:
        grades.setdefault(names[event.alert_id], set()).add(event.grade)
    return Found(row, {names[alert_id]: alert_id for alert_id in held}, grades, bool(wanting(ours)))


def _name(service: Service, copy: Mapping[str, Any]) -> str:
    """The service's own id of an alert; where there is none, what of it is like no other."""
    body = copy["body"]
    match service:
        case Service.MAIL if body["message_id"] is None:
            return f"{copy['asked']['to']} {body['dated']}"
        case Service.OWN:
            return str(body["note"])
        case Service.EXPORT:
            return str(body[NUMBER])
    return str(copy["id"])


def holding(found: Sequence[Found], alerts: set[AlertKey]) -> Found | None:
    """The incident that holds any of these alerts."""
    return next((one for one in found if alerts & one.alerts.keys()), None)


async def losses_under(tx: Transaction, context: Context, tenant: Tenant, row: Incident) -> list[LossView]:
    """What was entered under one incident."""
    return await losses_of(tx, context.keyring, tenant.id, row.member_id, [row.id])


async def links_under(tx: Transaction, tenant: Tenant, row: Incident) -> list[CounselLinkView]:
    """The links of one incident, as counsel reads them."""
    return await counsel_links(tx, tenant.id, row.member_id, [row.id])


def describe(alerts: set[AlertKey] | frozenset[AlertKey]) -> str:
    """Alerts by their services' ids, for a message."""
    return ", ".join(sorted(f"{Service(service).value}:{name}" for service, name in alerts))
