"""The one door for pushes. 2xx only after COMMIT; what is not authentic gets one and the same answer."""

from datetime import UTC
from typing import Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.access.gate import Caller
from app.connections import service as connections
from app.connections.service import Addressed
from app.intake import look_ups, looking_up, receive, repository
from app.intake.health import health_of
from app.intake.receive import Arrival
from app.intake.schemas import Accepted, HealthView, NotFoundView, QuarantinedView, Retried, SetAside
from app.intake.service import try_again
from app.kit import clock, errors
from app.kit.context import Context, Ctx, Tx
from app.kit.errors import Problem
from app.kit.pagination import Cursor, Limit, Page, decode_id_cursor, encode_cursor
from connectors.verifiers import Outcome

router = APIRouter(tags=["intake"])
log = structlog.get_logger(__name__)

NOBODY = UUID(int=0)
RETRY_SECONDS = "5"
_ANSWERS = errors.described(
    {
        401: "Not authentic, or no such address: always the same answer.",
        410: "This connection is closed.",
        413: "Larger than this connection takes.",
        415: "A media type or content encoding that this connection does not take.",
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


def _not_authentic() -> Problem:
    return Problem(401, "This delivery does not prove that it comes from the sender of this address.")


async def _body(request: Request, largest: int) -> bytes:
    """The exact bytes of a request, never more than `largest`. Raises a 413 Problem."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > largest:
            raise Problem(413, f"The delivery is larger than {largest} bytes: send fewer alerts at a time.")
        chunks.append(chunk)
    return b"".join(chunks)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _admitted(request: Request, context: Context, to: Addressed | None) -> tuple[bytes, Any]:
    """The body and its verification, or the refusal. Raises a 401, 410, 413 or 415 Problem."""
    if to is None:
        raise _not_authentic()
    if to.connection.closed_at is not None:
        raise Problem(410, "This connection is closed.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "Send the body as it is, without a content encoding.")
    if _media_type(request) not in to.plan.media_types:
        raise Problem(415, f"Send the body as {', '.join(sorted(to.plan.media_types))}.")
    body = await _body(request, to.plan.largest_body)
    source = request.client.host if request.client else None
    verification = receive.verify(to, body, request.headers, source)
    if verification.outcome is Outcome.REFUSED:
        raise _not_authentic()
    return body, verification


_REASONS = {401: "not_authentic", 410: "closed", 413: "too_large", 415: "wrong_type"}


async def _count_refusal(context: Context, to: Addressed | None, status: int) -> None:
    organization_id = to.connection.organization_id if to else NOBODY
    connection_id = to.connection.id if to else NOBODY
    async with context.database.begin() as tx:
        await repository.count_refusal(tx, organization_id, connection_id, _REASONS[status], clock.now().astimezone(UTC))


@router.post(
    "/webhooks/{connection_id}/{token}", status_code=202, response_model=Accepted, responses=_ANSWERS, openapi_extra=_BODY
)
async def deliver(connection_id: str, token: str, request: Request, context: Ctx) -> JSONResponse:
    """Take in one delivery. 202 says that it is kept, whatever is in it; understanding it is a later step."""
    try:
        async with context.database.begin(read_only=True) as tx:
            to = await connections.addressed(tx, context.keyring, connection_id, token)
        try:
            body, verification = await _admitted(request, context, to)
        except Problem as refusal:
            await _count_refusal(context, to, refusal.status)
            raise
        async with context.database.begin() as tx:
            assert to is not None  # noqa: S101 - _admitted refuses a delivery that is addressed to nobody
            read = {name: value for name, value in request.headers.items() if name in to.plan.verifier.headers}
            arrival = Arrival(body, verification, headers=read)
            kept = await receive.keep(tx, context.keyring, to.connection, arrival)
    except (DBAPIError, PoolTimeout, OSError) as error:
        log.error("store unavailable", error=type(error).__name__)
        raise Problem(503, "Nothing was kept. Send it again.", headers={"Retry-After": RETRY_SECONDS}) from None
    return JSONResponse({"receipt": str(kept.receipt_id), "repeat": kept.repeat}, status_code=202)


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
