"""Whether the process lives, and whether it can do its work."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from fastapi import APIRouter, Request
from pydantic import BaseModel
from sqlalchemy import func, inspect, select, text
from sqlalchemy.engine import make_url

from app.kit import clock, metrics
from app.kit.config import Settings
from app.kit.context import Context, Ctx
from app.kit.database import Database, Transaction
from app.kit.disks import Disks, Usage, nearly_full, usage_of
from app.kit.errors import Problem, described
from app.kit.migrate import head
from app.kit.outbox import LAST_ATTEMPT, Failure, Message

router = APIRouter(tags=["health"])
log = structlog.get_logger(__name__)

STUCK_AFTER = timedelta(minutes=5)
LONGEST_LOOK = 5.0
"""Seconds that a look may take: a monitor that waits learns nothing."""

MOST_OFFSET = timedelta(seconds=60)
"""How far a clock may be off: signatures are good for five minutes."""

DATABASE, SCHEMA, PARKED, OUTBOX, DISK, CLOCK, KEYS = "database", "schema", "parked", "outbox", "disk", "clock", "keys"
FOLDERS = "folders"
IN_NO_DELIVERYS_WAY = frozenset({KEYS, FOLDERS})
"""What must be mended soon, and keeps nobody from taking deliveries in: a monitor is told, the answer stays 200."""
READY, TAKING_IN = "ready", "taking in only"
"""What a process is that does all its work, and one that takes deliveries in and cannot read any: whoever spreads requests
must pass by neither."""


class Health(BaseModel):
    """What stands in the way, in plain words; empty when nothing does."""

    status: str
    problems: list[str] = []


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One thing that stands in the way: a word for metrics and alarms, a sentence for people."""

    reason: str
    says: str


Check = Callable[[Transaction], Awaitable[Obstacle | None]]
"""A look of one room, in a transaction that only reads. It must be cheap whatever the tables hold."""


class Readiness:
    """Everything that must be well, in one look. Rooms hand in their checks by the reasons that they may give."""

    def __init__(self, context: Context, checks: Sequence[tuple[str, Check]] = ()) -> None:
        """`checks`: those of the rooms; the kit's own are always there."""
        self._database, self._settings = context.database, context.settings
        self._checks = [(SCHEMA, _schema), (PARKED, _parked), (OUTBOX, _unsequenced), (CLOCK, _clock), *checks]
        self._reasons = {DATABASE, DISK, FOLDERS, *(reason for reason, _ in self._checks)}
        self._disks = Disks()
        self._look: asyncio.Task[list[Obstacle]] | None = None

    async def obstacles(self) -> list[Obstacle]:
        """What stands in the way now; nothing when all is well. Never raises, waits for no writer, and never for long.

        However many ask at once, one look answers them all.
        """
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._obstacles())
        return await asyncio.shield(self._look)

    async def _obstacles(self) -> list[Obstacle]:
        found: list[Obstacle] = []
        try:
            looks = (_disk(self._database), await _folders(self._disks, self._settings), _jump())
            found += [one for one in looks if one]
            async with asyncio.timeout(LONGEST_LOOK):
                found += await self._looked()
        except Exception as error:  # whatever it is, the service is not ready, and the answer is the one for that
            log.error("not ready", error=type(error).__name__)
            found.append(Obstacle(DATABASE, "The database does not answer as it should."))
        reasons = {obstacle.reason for obstacle in found}
        for reason in self._reasons | reasons:
            metrics.NOT_READY.labels(reason).set(reason in reasons)
        return found

    async def _looked(self) -> list[Obstacle]:
        async with self._database.begin(read_only=True) as tx:
            schema = await _schema(tx)
            if schema is not None:  # nothing else can be asked of tables that may be other than this code knows them
                return [schema]
            return [one for _, check in self._checks if (one := await check(tx)) is not None]


async def _schema(tx: Transaction) -> Obstacle | None:
    connection = await tx.connection()
    if await connection.run_sync(lambda sync: inspect(sync).has_table("alembic_version")):
        revisions = (await tx.execute(text("SELECT version_num FROM alembic_version"))).scalars().all()
        if list(revisions) == [head()]:
            return None
    return Obstacle(SCHEMA, "The database has another schema than this code: run `harmline migrate`.")


async def _parked(tx: Transaction) -> Obstacle | None:
    parked = (await tx.execute(select(func.count()).where(Failure.attempts >= LAST_ATTEMPT))).scalar_one()
    metrics.PARKED.set(parked)
    if not parked:
        return None
    return Obstacle(PARKED, f"{parked} messages could not be handled: look at the log, then replay.")


async def _unsequenced(tx: Transaction) -> Obstacle | None:
    oldest = (await tx.execute(select(func.min(Message.created_at)).where(Message.position.is_(None)))).scalar_one()
    if oldest is None or clock.now() - oldest <= STUCK_AFTER:
        return None
    return Obstacle(OUTBOX, "Messages wait and nobody takes them: is a worker running?")


async def _clock(tx: Transaction) -> Obstacle | None:
    """The clock of PostgreSQL, which may be another machine's, against ours. SQLite has no clock of its own."""
    if clock.is_stopped() or tx.get_bind().dialect.name != "postgresql":
        return None
    before = clock.machine()
    theirs: datetime = (await tx.execute(text("SELECT clock_timestamp()"))).scalar_one()
    after = clock.machine()
    return _off("database", before + (after - before) / 2 - theirs.astimezone(UTC))


def _jump() -> Obstacle | None:
    return None if clock.is_stopped() else _off("start", clock.SINCE_START.jump())


def _off(against: str, offset: timedelta) -> Obstacle | None:
    metrics.CLOCK_OFFSET.labels(against).set(offset.total_seconds())
    if abs(offset) <= MOST_OFFSET:
        return None
    if against == "database":
        return Obstacle(CLOCK, f"This machine's clock and the database's are {abs(offset).total_seconds():.0f} seconds apart.")
    seconds = offset.total_seconds()
    return Obstacle(CLOCK, f"The clock was set {seconds:+.0f} seconds since the start. If it is right now, restart the service.")


def _disk(database: Database) -> Obstacle | None:
    """The disk of a SQLite file. PostgreSQL's is on another machine as a rule, and its own monitor must watch it."""
    path = make_url(database.url).database
    if not database.is_sqlite or not path or not _is_full("database", usage_of(Path(path).parent)):
        return None
    return Obstacle(DISK, "The disk of the database is nearly full.")


async def _folders(disks: Disks, settings: Settings) -> Obstacle | None:
    """The disks of what else is written on this machine, or on one whose folders it has."""
    folders = {"packets": settings.packet_folder, "backups": settings.backup_folder}
    usages = dict(zip(folders, await asyncio.gather(*map(disks.usage, folders.values())), strict=True))
    full = [of for of, usage in usages.items() if usage is not None and _is_full(of, usage)]
    unseen = [of for of, usage in usages.items() if usage is None]
    for of in unseen:
        metrics.DISK_FREE.labels(of).set(math.nan)
    says = [f"The disk of the {' and of the '.join(full)} is nearly full."] if full else []
    says += [f"The folder of the {' and of the '.join(unseen)} cannot be looked at."] if unseen else []
    return Obstacle(FOLDERS, " ".join(says)) if says else None


def _is_full(of: str, usage: Usage) -> bool:
    free, total = usage
    metrics.DISK_FREE.labels(of).set(free)
    return nearly_full(free, total)


@router.get("/livez")
async def livez() -> Health:
    """The process answers."""
    return Health(status="alive")


@router.get("/readyz", responses=described({503: "Something stands in the way; the body says what."}))
async def readyz(request: Request, context: Ctx) -> Health:
    """The database answers, has the schema of this code, nothing is stuck behind the doors, the disk and the clock are well.

    With the top key away and all else well the status is "taking in only", and the answer 200: deliveries are kept. So it is,
    with the status "ready", where only packets or backups are short of room, or their folder cannot be looked at. What it is
    stands in `problems`.
    """
    readiness: Readiness = getattr(request.app.state, "readiness", None) or Readiness(context)
    found = await readiness.obstacles()
    reasons = {obstacle.reason for obstacle in found}
    if reasons - IN_NO_DELIVERYS_WAY:
        raise Problem(503, " ".join(obstacle.says for obstacle in found), headers={"Retry-After": "5"})
    return Health(status=TAKING_IN if KEYS in reasons else READY, problems=[obstacle.says for obstacle in found])
