"""Routes of breaches: counsel's matters."""

from fastapi import APIRouter

from app.access.gate import Caller
from app.breaches import service
from app.breaches.schemas import MatterView
from app.kit.context import Ctx, Tx

router = APIRouter(prefix="/v1", tags=["matters"])


@router.get("/matters")
async def list_matters(caller: Caller, context: Ctx, tx: Tx) -> list[MatterView]:
    """The matters that you are assigned to, oldest first."""
    return await service.matters_of(tx, context.keyring, caller)
