"""Whether the database keeps what it says it has kept, when the power goes. SQLite is told to by `kit/sqlite`."""

import asyncio
from collections.abc import Mapping, Sequence

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.kit.database import Database

NEEDED = ("fsync", "full_page_writes", "synchronous_commit")
"""Settings of PostgreSQL. The last is asked for by each of our connections; a pooler in between may not pass that on."""

_FIRST_WORD = 5.0  # seconds


def switched_off(settings: Mapping[str, str]) -> Sequence[str]:
    """Those of the settings without which an acknowledged alert may be lost."""
    return [name for name in NEEDED if settings[name] == "off"]


async def what_is_off(url: str) -> Sequence[str]:
    """What is switched off in the database behind `url`; nothing for SQLite, and for a database that does not answer.

    Of that one nothing is known; whoever needs it says so in its own way, and `harmline work` waits until it is there.
    """
    database = Database(url)
    try:
        return [] if database.is_sqlite else switched_off(await _shown(database))
    except (OSError, TimeoutError, SQLAlchemyError):
        return []
    finally:
        await database.close()


async def _shown(database: Database) -> Mapping[str, str]:
    async with asyncio.timeout(_FIRST_WORD), database.begin(read_only=True) as tx:
        return {name: (await tx.execute(text(f"SHOW {name}"))).scalar_one() for name in NEEDED}
