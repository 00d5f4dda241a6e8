"""Whether the login of the service is bound by the second wall: one that stands above it would make it an ornament."""

import asyncio
from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.kit.acting import SERVICE
from app.kit.database import Database

_FIRST_WORD = 5.0  # seconds

_ASKED = text(
    "SELECT rolsuper, rolbypassrls, EXISTS (SELECT 1 FROM pg_class AS c WHERE c.relkind IN ('r', 'p')"
    " AND c.relnamespace = to_regnamespace(current_schema()) AND pg_has_role(session_user, c.relowner, 'MEMBER')),"
    f" CASE WHEN to_regrole('{SERVICE}') IS NULL THEN false ELSE pg_has_role(session_user, '{SERVICE}', 'MEMBER') END"
    " FROM pg_roles WHERE rolname = session_user"
)


def said(superuser: bool, bypasses: bool, owns: bool, member: bool) -> Sequence[str]:
    """What is wrong with a login, in words that follow "it"."""
    if superuser:
        return ["is a superuser"]
    wrong = {"has BYPASSRLS": bypasses, "owns the tables": owns, f"is no member of {SERVICE}": not member}
    return [words for words, so in wrong.items() if so]


async def what_is_wrong(url: str) -> Sequence[str]:
    """What is wrong with the login of `url`; nothing for SQLite, which knows none, and for a database that does not answer.

    Of that one nothing is known; whoever needs it says so in its own way, and `harmline work` waits until it is there.
    """
    database = Database(url)
    try:
        return [] if database.is_sqlite else said(*await _told(database))
    except (OSError, TimeoutError, SQLAlchemyError):
        return []
    finally:
        await database.close()


async def _told(database: Database) -> tuple[bool, bool, bool, bool]:
    async with asyncio.timeout(_FIRST_WORD), database.engine.connect() as login:
        superuser, bypasses, owns, member = (await login.execute(_ASKED)).one()
        return superuser, bypasses, owns, member
