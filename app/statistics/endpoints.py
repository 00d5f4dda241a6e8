"""Routes of statistics: the newest release, as it was published."""

from fastapi import APIRouter

from app.access.gate import Caller
from app.kit.context import Ctx, Tx
from app.kit.errors import Problem
from app.ledger.service import Act, append
from app.statistics.release import Release
from app.statistics.service import latest_release

router = APIRouter(prefix="/v1/statistics", tags=["statistics"])


@router.get("/incidents")
async def incidents(caller: Caller, context: Ctx, tx: Tx) -> Release:
    """How many members were hit, by what and when. A cell without a number is hidden: the notes say why."""
    release = await latest_release(tx, caller.organization_id)
    if release is None:
        raise Problem(404, "No statistics have been published yet.")
    facts = {"what": "statistics", "as_of": release.as_of.isoformat()}
    await append(tx, context.keyring, caller.organization_id, Act.VIEW, facts=facts, actor=caller.actor)
    return release
