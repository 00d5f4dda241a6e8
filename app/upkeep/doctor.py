"""What `harmline doctor` says of an installation: refusals, obstacles, advice."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from app.kit import clock
from app.kit.config import Settings
from app.kit.context import Context, is_door_alone
from app.kit.durability import what_is_off
from app.kit.health import Check as ReadyCheck
from app.kit.health import Readiness
from app.kit.standing import what_is_wrong
from app.upkeep import journal
from app.upkeep.facts import gather, store_facts
from app.upkeep.manifest import NAME
from app.upkeep.safety import ADVICE, REFUSED, judged, told
from app.upkeep.unsafe import DOOR_ALONE
from app.watch import logs
from app.watch.repository import organizations

KEPT_FOR = timedelta(days=35)
"""How long a backup is kept: for as long, whoever has it and the key can read who was erased since."""
NEWEST = timedelta(days=2)


@dataclass
class Findings:
    """Sentences for people. `refusals`: the service would not start; `obstacles`: it is not ready; `advice`: better mended."""

    refusals: list[str] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)


def off_told(off: Sequence[str]) -> str:
    """What is said of a PostgreSQL that forgets."""
    return (
        f"PostgreSQL runs with {', '.join(f'{name}=off' for name in off)}. If the power fails, alerts that were "
        "acknowledged would be lost. Set each to on in postgresql.conf and let PostgreSQL read it again. "
        "HARMLINE_UNSAFE_STORE=yes starts all the same: for tests and demonstrations only."
    )


def login_told(wrong: Sequence[str]) -> str:
    """What is said of a login that row-level security does not bind."""
    return (
        f"The PostgreSQL login {' and '.join(wrong)}, so row-level security would not hold. Use a login of its own for the "
        "service, which owns nothing and is a member of harmline_service; the owner's goes into HARMLINE_OWNER_URL, for "
        "`harmline migrate`. The statements are in docs/running.md. HARMLINE_UNSAFE_LOGIN=yes starts all the same: for tests "
        "and demonstrations only."
    )


async def refusals(settings: Settings, role: str) -> list[str]:
    """Why the service must not start, each in a sentence; nothing when it may."""
    facts = gather(settings, role, await store_facts(settings.database_url))
    found = [told(check, facts) for check in judged(facts, REFUSED)]
    if not settings.unsafe_login and (wrong := await what_is_wrong(settings.database_url)):
        found.append(login_told(wrong))
    if not settings.unsafe_store and (off := await what_is_off(settings.database_url)):
        found.append(off_told(off))
    return found


def about_backups(made: Sequence[datetime], now: datetime) -> list[str]:
    """What there is to say of backups by when they were made (aware)."""
    if not made:
        return ["There is no backup in HARMLINE_BACKUP_FOLDER. Make one each day: harmline backup create."]
    said = []
    if now - max(made) > NEWEST:
        said.append(f"The newest backup is {(now - max(made)).days} days old. Make one each day: harmline backup create.")
    old = sum(now - one > KEPT_FOR for one in made)
    if old:
        said.append(f"{old} backups are older than {KEPT_FOR.days} days. Delete them: who was erased since can be read in them.")
    return said


def backups_made(folder: Path) -> list[datetime]:
    """When the backups in a folder were made, by the files."""
    found = [path.stat().st_mtime for path in folder.glob(f"harmline-*/{NAME}")] if folder.is_dir() else []
    return [datetime.fromtimestamp(one, clock.machine().tzinfo) for one in found]


async def _unwritten(context: Context) -> list[str]:
    kept = journal.Journal(context.settings.journal)
    try:
        kept.read()
    except FileNotFoundError:
        pass
    except journal.JournalBroken as error:
        return [str(error)]
    missing = await journal.not_yet_written(context.database, kept)
    if not missing:
        return []
    return [f"{len(missing)} erasures are not in {context.settings.journal} yet: is a worker running on this machine?"]


async def _amiss_in_ledger(context: Context) -> list[str]:
    async with context.database.begin(read_only=True) as tx:
        return [said for one in await organizations(tx) for said in await logs.told(tx, one)]


async def examine(context: Context, checks: Sequence[tuple[str, ReadyCheck]]) -> Findings:
    """Look at everything. `checks`: those of the rooms about being ready."""
    settings = context.settings
    role = DOOR_ALONE if is_door_alone(settings) else "doctor"
    facts = gather(settings, role, await store_facts(settings.database_url))
    found = Findings(refusals=await refusals(settings, role), advice=[told(one, facts) for one in judged(facts, ADVICE)])
    found.obstacles = [one.says for one in await Readiness(context, checks).obstacles()]
    if not found.obstacles:
        found.advice += await _unwritten(context)
        found.advice += await _amiss_in_ledger(context)
    found.advice += about_backups(backups_made(settings.backup_folder), clock.machine())
    return found
