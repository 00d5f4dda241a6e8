"""Routes of losses."""

from uuid import UUID

from fastapi import APIRouter

from app.access.gate import Caller, MemberCaller
from app.damages import service
from app.damages.schemas import EnteredLoss, LossList, NewLoss
from app.kit.context import Ctx, Tx

router = APIRouter(prefix="/v1/incidents", tags=["losses"])


@router.post("/{incident_id}/losses", status_code=201)
async def enter_loss(incident_id: UUID, body: NewLoss, caller: MemberCaller, context: Ctx, tx: Tx) -> EnteredLoss:
    """Write down what an incident cost you, and what was paid back. It counts once you have answered "not me"."""
    return await service.enter_loss(tx, context.keyring, caller, incident_id, body)


@router.get("/{incident_id}/losses")
async def list_losses(incident_id: UUID, caller: Caller, context: Ctx, tx: Tx) -> LossList:
    """What an incident cost, entry by entry, with the sums per currency."""
    return await service.read_losses(tx, context.keyring, caller, incident_id)
