"""The one door for pushes. 2xx only after COMMIT; what is not authentic gets one and the same answer."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from app.access.gate import Caller, MemberCaller
from app.connections.doors import Doors
from app.connections.schemas import NewDocument
from app.intake import forwarding, look_ups, looking_up, previewing, repository
from app.intake.desk import Desk
from app.intake.gateway import Intake, answer_of
from app.intake.health import health_of
from app.intake.schemas import (
    Accepted,
    Forwarding,
    ForwardingAddress,
    HealthView,
    NotFoundView,
    Preview,
    QuarantinedView,
    Retried,
    SetAside,
)
from app.intake.service import try_again
from app.kit import errors, metrics
from app.kit.context import Context, Ctx, Tx
from app.kit.pagination import Cursor, Limit, Page, decode_id_cursor, encode_cursor

router = APIRouter(tags=["intake"])

_ANSWERS = errors.described(
    {
        401: "Not authentic, or no such address: always the same answer.",
        408: "The body came too slowly.",
        410: "This connection is closed.",
        413: "Larger than this connection takes.",
        415: "A media type or content encoding that this connection does not take.",
        429: "Too many at once. Nothing was kept; send it again after `Retry-After` seconds.",
        503: "Nothing was kept. Send it again after `Retry-After` seconds.",
    }
)
_BODY = {
    "requestBody": {
        "required": True,
        "description": "The sender's own format. For the standard connector: /v1/connectors/standard/schema.json.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    },
    "parameters": [
        {"name": name, "in": "header", "required": False, "schema": {"type": "string"}, "description": text}
        for name, text in (
            ("webhook-id", "The sender's own id of this message (Standard Webhooks)."),
            ("webhook-timestamp", "When it was signed, in seconds since 1970."),
            ("webhook-signature", "One or more signatures over id, timestamp and the exact body, such as `v1,<base64>`."),
        )
    ],
}
"""For OpenAPI: what the route reads itself, byte for byte."""


def open_intake(context: Context) -> Intake:
    """What takes deliveries in, for one process."""
    desk = Desk(context.database, context.settings.most_waiting, metrics.committed)
    return Intake(Doors(context.database, context.keyring), desk, context.settings)


@router.post(
    "/webhooks/{connection_id}/{token}", status_code=202, response_model=Accepted, responses=_ANSWERS, openapi_extra=_BODY
)
async def deliver(connection_id: str, token: str, request: Request) -> Response:
    """Take in one delivery. 202 says that it is kept, whatever is in it; understanding it is a later step."""
    # The gateway answers these before they come here, quicker; this route is how they are described and permitted.
    intake: Intake = request.app.state.intake
    kept = await intake.take(connection_id, token, request.scope, request.receive)
    return Response(answer_of(kept), status_code=202, media_type="application/json")


@router.get("/v1/queues/quarantined")
async def quarantined(caller: Caller, tx: Tx, cursor: Cursor = None, limit: Limit = 50) -> Page[QuarantinedView]:
    """Events that could not be understood, oldest first: where the trouble is, never what stands there."""
    after = decode_id_cursor(cursor)
    rows = await repository.quarantined_after(tx, caller.organization_id, after, limit + 1)
    items = [QuarantinedView.model_validate(row, from_attributes=True) for row in rows[:limit]]
    return Page(items=items, next=encode_cursor(rows[limit - 1].id.hex) if len(rows) > limit else None)


@router.get("/v1/queues/set-aside")
async def set_aside(caller: Caller, tx: Tx, cursor: Cursor = None, limit: Limit = 50) -> Page[SetAside]:
    """Whole deliveries that wait for a person: stale, or not to be cut into events."""
    after = decode_id_cursor(cursor)
    rows = await repository.set_aside_after(tx, caller.organization_id, after, limit + 1)
    items = [SetAside.model_validate(row, from_attributes=True) for row in rows[:limit]]
    return Page(items=items, next=encode_cursor(rows[limit - 1].id.hex) if len(rows) > limit else None)


@router.post("/v1/queues/receipts/{receipt_id}/retry")
async def retry(receipt_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> Retried:
    """Try once more to understand a delivery that was set aside, whole or in part. A late one is then taken as it is."""
    left = await try_again(tx, context.keyring, caller.organization_id, receipt_id, caller.actor)
    return Retried(still_aside=left)


@router.get("/v1/queues/not-found")
async def not_found(caller: Caller, tx: Tx, cursor: Cursor = None, limit: Limit = 50) -> Page[NotFoundView]:
    """Notices that prove themselves and of which their provider knows nothing, oldest first. No content."""
    rows = await look_ups.not_found_after(tx, caller.organization_id, decode_id_cursor(cursor), limit + 1)
    items = [
        NotFoundView(id=row.event_id, connection_id=row.connection_id, received_at=received_at, attempts=row.attempts)
        for row, received_at in rows[:limit]
    ]
    return Page(items=items, next=encode_cursor(items[-1].id.hex) if len(rows) > limit else None)


@router.post("/v1/queues/not-found/{event_id}/retry", status_code=204)
async def ask_again(event_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> None:
    """Let the provider be asked once more for what it did not know."""
    await looking_up.ask_again(tx, context.keyring, caller.organization_id, event_id, caller.actor)


@router.post("/v1/queues/not-found/{event_id}/leave", status_code=204)
async def leave(event_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> None:
    """Decide that nothing comes of it. The notice is kept, and looked up when the provider tells of it again."""
    await looking_up.leave(tx, context.keyring, caller.organization_id, event_id, caller.actor)


@router.get("/v1/connection-health")
async def connection_health(caller: Caller, tx: Tx) -> list[HealthView]:
    """How each of your organization's connections is doing, oldest first."""
    return [HealthView.model_validate(one) for one in await health_of(tx, caller.organization_id)]


@router.post("/v1/connections/{connection_id}/documents/preview")
async def preview_document(connection_id: UUID, body: NewDocument, caller: Caller, context: Ctx, tx: Tx) -> Preview:
    """What would become of the newest events if this document were written: counts and ids, no content. Nothing is changed."""
    where = (tx, context.keyring, caller.organization_id, connection_id)
    return await previewing.preview(*where, name=body.name, text=body.text, actor=caller.actor)


@router.get("/v1/me/forwarding-address")
async def forwarding_address(caller: MemberCaller, context: Ctx, tx: Tx) -> ForwardingAddress:
    """The address that you let alert mails be forwarded to, and what your mailbox has asked of it in the last week."""
    return await forwarding.address_of(tx, context, caller)


@router.post("/v1/me/forwarding-address", status_code=201)
async def make_forwarding_address(caller: MemberCaller, context: Ctx, tx: Tx) -> ForwardingAddress:
    """A new address. The one before it ends. By asking for it you agree that what comes to it is kept.

    What no rule understands is read by a caseworker of your organization, masked; each look stands under your visits.
    """
    return await forwarding.make(tx, context, caller)


@router.delete("/v1/me/forwarding-address", status_code=204)
async def give_up_forwarding_address(caller: MemberCaller, context: Ctx, tx: Tx) -> None:
    """End your address. What still comes to it is kept sealed, and shown to nobody."""
    await forwarding.give_up(tx, context, caller)


@router.get("/v1/forwarding-addresses")
async def forwarding_addresses(
    caller: Caller, context: Ctx, tx: Tx, cursor: Cursor = None, limit: Limit = 50
) -> Page[Forwarding]:
    """Which members let mails be forwarded, since when. Not where to: only the member sees that."""
    return await forwarding.forwarding_page(tx, context, caller, cursor, limit)
