"""Whether the process lives, and whether it can do its work."""

from datetime import timedelta

from alembic.runtime.migration import MigrationContext
from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from app.kit import clock
from app.kit.context import Ctx
from app.kit.errors import Problem, described
from app.kit.migrate import head
from app.kit.outbox import LAST_ATTEMPT, Failure, Message

router = APIRouter(tags=["health"])

STUCK_AFTER = timedelta(minutes=5)


class Health(BaseModel):
    """What stands in the way, in plain words; empty when nothing does."""

    status: str
    problems: list[str] = []


@router.get("/livez")
async def livez() -> Health:
    """The process answers."""
    return Health(status="alive")


@router.get("/readyz", responses=described({503: "Something stands in the way; the body says what."}))
async def readyz(context: Ctx) -> Health:
    """The database answers, has the schema of this code, and nothing is stuck behind the doors."""
    try:
        async with context.database.begin(read_only=True) as tx:
            connection = await tx.connection()
            revision = await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
            parked = (await tx.execute(select(func.count()).where(Failure.attempts >= LAST_ATTEMPT))).scalar_one()
            oldest = (await tx.execute(select(func.min(Message.created_at)).where(Message.position.is_(None)))).scalar_one()
    except (SQLAlchemyError, OSError):
        raise Problem(503, "The database does not answer.", headers={"Retry-After": "5"}) from None
    problems = []
    if revision != head():
        problems.append("The database has another schema than this code: run `harmline migrate`.")
    if parked:
        problems.append(f"{parked} messages could not be handled: look at the log, then replay.")
    if oldest is not None and clock.now() - oldest > STUCK_AFTER:
        problems.append("Messages wait and nobody takes them: is a worker running?")
    if problems:
        raise Problem(503, " ".join(problems))
    return Health(status="ready")
