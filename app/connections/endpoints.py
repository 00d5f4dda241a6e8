"""Routes of connections, and the documented schema of the standard connector."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter

from app.access.gate import Caller
from app.connections import repository, service
from app.connections.schemas import ConnectionView, CreatedConnection, NewConnection
from app.kit.context import Ctx, Tx
from app.kit.errors import not_found
from app.members import service as members
from app.members.endpoints import Upload, csv_text
from app.members.roster import parsed, read_enrollments
from app.members.schemas import ImportReport
from connectors.standard.schema import json_schema

router = APIRouter(prefix="/v1", tags=["connections"])


@router.get("/connections")
async def list_connections(caller: Caller, tx: Tx) -> list[ConnectionView]:
    """Your organization's connections, oldest first."""
    rows = await repository.connections_of(tx, caller.organization_id)
    return [ConnectionView.model_validate(row, from_attributes=True) for row in rows]


@router.post("/connections", status_code=201)
async def create_connection(body: NewConnection, caller: Caller, context: Ctx, tx: Tx) -> CreatedConnection:
    """Set up a connection; give its address and its secret to the sender. Both are shown once, here."""
    made = await service.create_connection(
        tx,
        context.keyring,
        caller.organization_id,
        connector=body.connector,
        title=body.title,
        sender=body.sender,
        secret=body.secret.get_secret_value() if body.secret else None,
        actor=caller.actor,
    )
    view = ConnectionView.model_validate(made.connection, from_attributes=True)
    return CreatedConnection(
        **view.model_dump(), webhook_url=made.path and context.settings.origin + made.path, secret=made.secret
    )


@router.post("/enrollments/import")
async def import_enrollments(
    caller: Caller, context: Ctx, tx: Tx, file: Upload, connection_id: UUID, dry_run: bool = False
) -> ImportReport:
    """Import from CSV who is whom at one connection's sender, and who agreed; with any bad row nothing changes."""
    if await repository.connection_of(tx, caller.organization_id, connection_id) is None:
        raise not_found()
    entries, problems = parsed(await csv_text(file), read_enrollments)
    return await members.import_enrollments(
        tx,
        context.keyring,
        caller.organization_id,
        connection_id,
        entries,
        problems,
        actor=caller.actor,
        dry_run=dry_run,
    )


@router.get("/connectors/standard/schema.json")
async def standard_schema() -> dict[str, Any]:
    """The JSON Schema of the alerts that the standard connector takes."""
    return json_schema()
