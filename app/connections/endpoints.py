"""Routes of connections and connectors, and the documented schema of the standard connector."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from fastapi import APIRouter

from app.access.gate import Caller
from app.connections import disputing, documents, managing, repository, service
from app.connections.schemas import (
    ConnectionChange,
    ConnectionDetail,
    ConnectionView,
    ConnectorView,
    CreatedConnection,
    DisputeView,
    DocumentName,
    Documents,
    DocumentVersion,
    MadeAddress,
    MadeSecret,
    NewAddress,
    NewConnection,
    NewDispute,
    NewDocument,
    NewSecret,
    Question,
    ShippedDocument,
)
from app.connections.viewing import connection_detail, connection_view, connector_view
from app.kit import clock
from app.kit.context import Ctx, Tx
from app.kit.errors import not_found
from app.members import service as members
from app.members.endpoints import Upload, csv_text
from app.members.roster import parsed, read_enrollments
from app.members.schemas import ImportReport
from connectors.registry import registry
from connectors.standard.schema import json_schema

router = APIRouter(prefix="/v1", tags=["connections"])


@router.get("/connectors")
async def list_connectors(caller: Caller) -> list[ConnectorView]:
    """The connectors that are installed here, each with the settings that it needs."""
    return [connector_view(connector) for connector in registry().values()]


@router.get("/connections")
async def list_connections(caller: Caller, tx: Tx) -> list[ConnectionView]:
    """Your organization's connections, oldest first. How each of them is: /v1/connection-health."""
    return [connection_view(row) for row in await repository.connections_of(tx, caller.organization_id)]


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
        settings=body.settings,
        actor=caller.actor,
    )
    url = made.path and context.settings.origin + made.path
    return CreatedConnection(**connection_view(made.connection).model_dump(), webhook_url=url, secret=made.secret)


@router.get("/connections/{connection_id}")
async def get_connection(connection_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> ConnectionDetail:
    """One connection with its settings; secrets are never told."""
    row = await repository.connection_of(tx, caller.organization_id, connection_id)
    if row is None:
        raise not_found()
    return await connection_detail(tx, context.keyring, row)


@router.patch("/connections/{connection_id}")
async def change_connection(
    connection_id: UUID, body: ConnectionChange, caller: Caller, context: Ctx, tx: Tx
) -> ConnectionDetail:
    """Change the name, the settings, or after how many hours without anything it is called silent."""
    wanted = {name: getattr(body, name) for name in body.model_fields_set - {"version"}}
    if wanted.get("title", "") is None:
        del wanted["title"]
    row = await managing.change(
        tx,
        context.keyring,
        caller.organization_id,
        connection_id,
        wanted=wanted,
        version=body.version,
        actor=caller.actor,
    )
    return await connection_detail(tx, context.keyring, row)


@router.post("/connections/{connection_id}/secret")
async def new_secret(connection_id: UUID, body: NewSecret, caller: Caller, context: Ctx, tx: Tx) -> MadeSecret:
    """Replace the secret that deliveries prove themselves with. The one before it is taken for the overlap."""
    given = body.secret.get_secret_value() if body.secret else None
    made = await managing.rotate_secret(
        tx,
        context.keyring,
        caller.organization_id,
        connection_id,
        secret=given,
        overlap_hours=body.overlap_hours,
        actor=caller.actor,
    )
    return MadeSecret(secret=made.secret, others_until=clock.now() + timedelta(hours=body.overlap_hours))


@router.post("/connections/{connection_id}/address")
async def new_address(connection_id: UUID, body: NewAddress, caller: Caller, context: Ctx, tx: Tx) -> MadeAddress:
    """Replace the webhook address. The one before it is taken for the overlap."""
    made = await managing.new_address(
        tx,
        context.keyring,
        caller.organization_id,
        connection_id,
        overlap_hours=body.overlap_hours,
        actor=caller.actor,
    )
    url = context.settings.origin + made.path
    return MadeAddress(webhook_url=url, other_until=clock.now() + timedelta(hours=body.overlap_hours))


@router.post("/connections/{connection_id}/retire")
async def retire_old(connection_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> ConnectionView:
    """Take no older secret and no older address any more, from now on: for one that leaked."""
    return connection_view(await managing.retire_old(tx, context.keyring, caller.organization_id, connection_id, caller.actor))


@router.post("/connections/{connection_id}/pause")
async def pause_connection(connection_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> ConnectionView:
    """Ask the provider nothing until it is resumed. What it sends is still taken in."""
    return connection_view(await managing.pause(tx, context.keyring, caller.organization_id, connection_id, caller.actor))


@router.post("/connections/{connection_id}/resume")
async def resume_connection(connection_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> ConnectionView:
    """Ask the provider again, from where it was left."""
    return connection_view(await managing.resume(tx, context.keyring, caller.organization_id, connection_id, caller.actor))


@router.post("/connections/{connection_id}/close")
async def close_connection(connection_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> ConnectionView:
    """Remove a connection for good: its secrets and settings are destroyed, its alerts stay. It cannot be taken back."""
    return connection_view(await managing.close(tx, context.keyring, caller.organization_id, connection_id, caller.actor))


@router.post("/connections/{connection_id}/poll", status_code=202)
async def ask_now(connection_id: UUID, body: Question, caller: Caller, context: Ctx, tx: Tx) -> ConnectionView:
    """Ask the provider as soon as a worker is free, whatever it waits for. 202: it has not been asked yet."""
    row = await managing.ask_now(tx, context.keyring, caller.organization_id, connection_id, sweep=body.sweep, actor=caller.actor)
    return connection_view(row)


@router.get("/connections/{connection_id}/disputes")
async def list_disputes(connection_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> list[DisputeView]:
    """The stretches of time that are or were marked as disputed, newest first."""
    return await disputing.disputes_of(tx, context.keyring, caller.organization_id, connection_id)


@router.post("/connections/{connection_id}/disputes", status_code=201)
async def dispute_range(connection_id: UUID, body: NewDispute, caller: Caller, context: Ctx, tx: Tx) -> DisputeView:
    """Mark what came, or comes, in a stretch of time as disputed: the provider's account was taken over. Nothing is removed."""
    return await disputing.dispute(
        tx,
        context.keyring,
        caller.organization_id,
        connection_id,
        received_from=body.received_from,
        received_until=body.received_until,
        reason=body.reason,
        actor=caller.actor,
    )


@router.post("/connections/{connection_id}/disputes/{dispute_id}/withdraw")
async def withdraw_dispute(connection_id: UUID, dispute_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> DisputeView:
    """Take a mark back, because it is settled: what came then counts again, unless another mark is over it."""
    return await disputing.withdraw(tx, context.keyring, caller.organization_id, connection_id, dispute_id, caller.actor)


@router.get("/connections/{connection_id}/documents")
async def list_documents(connection_id: UUID, caller: Caller, tx: Tx) -> Documents:
    """The documents that a connection reads by, every version of them with who wrote it and when: rules about senders."""
    row = await repository.connection_of(tx, caller.organization_id, connection_id)
    if row is None:
        raise not_found()
    written = await documents.versions(tx, caller.organization_id, connection_id)
    shipped = [ShippedDocument(name=name, text=text) for name, text in documents.shipped(row.connector).items()]
    return Documents(own=[DocumentVersion.model_validate(one, from_attributes=True) for one in written], shipped=shipped)


@router.post("/connections/{connection_id}/documents", status_code=201)
async def write_document(connection_id: UUID, body: NewDocument, caller: Caller, context: Ctx, tx: Tx) -> DocumentVersion:
    """Write the next version of a document. What comes from now on is read by it; what came stays as it was understood."""
    where = (tx, context.keyring, caller.organization_id, connection_id)
    await documents.write(*where, name=body.name, text=body.text, actor=caller.actor, after=body.after)
    return await _newest(tx, caller.organization_id, connection_id, body.name)


@router.delete("/connections/{connection_id}/documents/{name}")
async def withdraw_document(connection_id: UUID, name: DocumentName, caller: Caller, context: Ctx, tx: Tx) -> DocumentVersion:
    """Withdraw a document: nothing is read by it any more, and its versions stay. One that is shipped counts again."""
    where = (tx, context.keyring, caller.organization_id, connection_id)
    await documents.write(*where, name=name, text=None, actor=caller.actor)
    return await _newest(tx, caller.organization_id, connection_id, name)


async def _newest(tx: Tx, organization_id: UUID, connection_id: UUID, name: str) -> DocumentVersion:
    (newest, *_) = await documents.versions(tx, organization_id, connection_id, name)
    return DocumentVersion.model_validate(newest, from_attributes=True)


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
